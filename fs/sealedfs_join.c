/* SPDX-License-Identifier: Apache-2.0 */
/* What one section of sealedfs.conf says of another. */
#include <string.h>

#include "fs/credential_name.h"
#include "fs/path.h"
#include "fs/sealedfs_fields.h"
#include "fs/token_run.h"

#define DIGEST_DIGITS 64

static bool check_memory(const struct sealedfs_conf *conf, struct err *err)
{
    if (conf->secrets.memory > 0 && conf->secrets.memory < conf->secrets.maximum)
        return err_set(err, ERR_CONFIG,
            "secrets.memory (%lld bytes) is less than secrets.maximum (%lld): the largest secret "
            "could never be kept; raise memory, lower maximum, or set memory = 0 to keep none",
            (long long)conf->secrets.memory, (long long)conf->secrets.maximum);
    return true;
}

/* -- mounts ------------------------------------------------------------------------------------- */

static bool check_mounts(const struct sealedfs_conf *conf, struct err *err)
{
    if (conf->mounts.count > MOUNTS_MAX)
        return err_set(err, ERR_CONFIG, "%zu mounts; one process serves at most %d",
            conf->mounts.count, MOUNTS_MAX);
    for (size_t i = 0; i < conf->mounts.count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(conf->mounts.items[i].path, conf->mounts.items[k].path) == 0)
                return err_set(err, ERR_CONFIG, "[mount:%s] and [mount:%s] are both on %s",
                    conf->mounts.items[k].name, conf->mounts.items[i].name,
                    conf->mounts.items[i].path);
    return true;
}

/* NULL stands for the only mount. */
static bool find_mount(const struct sealedfs_conf *conf, const char *kind, const char *name,
    const char *mount, size_t *ret_mount, struct err *err)
{
    if (conf->mounts.count == 0)
        return err_set(err, ERR_CONFIG,
            "[%s:%s]: there is no mount to show it; add a section [mount:NAME] with a path", kind,
            name);
    if (!mount && conf->mounts.count > 1)
        return err_set(err, ERR_CONFIG,
            "[%s:%s]: there are %zu mounts; say which one with mount = NAME", kind, name,
            conf->mounts.count);
    for (size_t i = 0; i < conf->mounts.count; i++)
        if (!mount || strcmp(conf->mounts.items[i].name, mount) == 0) {
            *ret_mount = i;
            return true;
        }
    return err_set(err, ERR_CONFIG, "[%s:%s]: mount = %s: there is no section [mount:%s]", kind,
        name, mount, mount);
}

/* -- paths and settings ------------------------------------------------------------------------- */

static bool check_path(
    const char *kind, const char *name, const char *key, const char *path, struct err *err)
{
    char normal[PATH_SIZE];
    if (!path_valid(path) || !*path)
        return err_set(err, ERR_CONFIG,
            "[%s:%s]: %s = %s: a path below the mount point, such as db/password", kind, name, key,
            path);
    path_normal(path, normal);
    if (strcmp(path, normal) != 0)
        return err_set(err, ERR_CONFIG,
            "[%s:%s]: %s = %s: names that start with .. are those of volumes that "
            "rotate; choose another",
            kind, name, key, path);
    if (strcmp(path, ".kbs") == 0 || strncmp(path, ".kbs/", 5) == 0)
        return err_set(err, ERR_CONFIG,
            "[%s:%s]: %s = %s: .kbs is where resources are shown by their names", kind, name, key,
            path);
    return true;
}

static bool join_settings(const struct sealedfs_conf *conf, const char *kind, const char *name,
    struct conf_settings *settings, struct err *err)
{
    if (settings->fresh_ms < 0)
        settings->fresh_ms = conf->secrets.ttl_ms;
    if (settings->usable_ms < 0)
        settings->usable_ms = conf->secrets.usable_ms;
    const char *stamp = settings->on_change;
    if (stamp && !path_name_valid(stamp, strlen(stamp)))
        return err_set(err, ERR_CONFIG, "[%s:%s]: on_change = %s: a plain file name, not a path",
            kind, name, stamp);
    return true;
}

static bool join_source(struct sealedfs_conf *conf, size_t index, struct err *err)
{
    struct conf_source *source = &conf->sources.items[index];
    if (!find_mount(conf, "source", source->name, source->mount_name, &source->mount, err) ||
        (source->at && !check_path("source", source->name, "at", source->at, err)))
        return false;
    for (size_t i = 0; i < index; i++) {
        const struct conf_source *other = &conf->sources.items[i];
        if (other->mount == source->mount &&
            strcmp(other->at ? other->at : "", source->at ? source->at : "") == 0)
            return err_set(err, ERR_CONFIG,
                "[source:%s] and [source:%s] are shown at the same place; set at = DIRECTORY in "
                "one",
                other->name, source->name);
    }
    return join_settings(conf, "source", source->name, &source->settings, err);
}

/* -- the catalogue ------------------------------------------------------------------------------ */

static bool is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && path[len] == '/';
}

static bool check_place(const struct sealedfs_conf *conf, size_t index, struct err *err)
{
    const struct conf_file *file = &conf->files.items[index];
    for (size_t i = 0; i < index; i++) {
        const struct conf_file *other = &conf->files.items[i];
        if (other->mount != file->mount)
            continue;
        if (strcmp(other->path, file->path) == 0)
            return err_set(err, ERR_CONFIG, "[file:%s] and [file:%s] have the same path %s",
                other->name, file->name, file->path);
        if (is_below(other->path, file->path) || is_below(file->path, other->path))
            return err_set(err, ERR_CONFIG,
                "[file:%s] and [file:%s]: one path would be a file and a directory", other->name,
                file->name);
    }
    return true;
}

static bool check_rule_names(
    const struct sealedfs_conf *conf, const struct conf_file *file, struct err *err)
{
    for (size_t i = 0; i < file->rules.count; i++) {
        bool found = false;
        for (size_t k = 0; k < conf->rules.count; k++)
            found |= strcmp(conf->rules.items[k].name, file->rules.items[i]) == 0;
        if (!found)
            return err_set(err, ERR_CONFIG, "[file:%s]: rules: there is no section [rule:%s]",
                file->name, file->rules.items[i]);
    }
    return true;
}

static bool join_file(struct sealedfs_conf *conf, size_t index, struct err *err)
{
    struct conf_file *file = &conf->files.items[index];
    if (!find_mount(conf, "file", file->name, file->mount_name, &file->mount, err) ||
        !check_path("file", file->name, "path", file->path, err))
        return false;
    if (!file->resource == !file->sealed_file)
        return err_set(err, ERR_CONFIG,
            "[file:%s]: set one of resource = kbs:///… and sealed_file = PATH", file->name);
    return check_place(conf, index, err) && check_rule_names(conf, file, err) &&
           join_settings(conf, "file", file->name, &file->settings, err);
}

/* -- rules -------------------------------------------------------------------------------------- */

/* A rule that never fits is worse than none: who wrote it believes that it denies. */
static bool check_rule_path(const struct conf_rule *rule, const char *path, struct err *err)
{
    size_t len = strlen(path);
    if (path[0] != '/')
        return err_set(err, ERR_CONFIG,
            "[rule:%s]: path = %s: patterns are of whole paths, such as /sealed/db/*", rule->name,
            path);
    for (const char *name = path; *name == '/'; name += 1 + strcspn(name + 1, "/"))
        if (!path_name_valid(name + 1, strcspn(name + 1, "/")) || path[len - 1] == '/')
            return err_set(err, ERR_CONFIG,
                "[rule:%s]: path = %s: no path of a file has // or . or .. in it or / at its end, "
                "so this would fit none",
                rule->name, path);
    return true;
}

static bool check_rule(const struct conf_rule *rule, struct err *err)
{
    for (size_t i = 0; i < rule->paths.count; i++)
        if (!check_rule_path(rule, rule->paths.items[i], err))
            return false;
    for (size_t i = 0; i < rule->exe_sha256.count; i++) {
        const char *digest = rule->exe_sha256.items[i];
        if (strlen(digest) != DIGEST_DIGITS ||
            strspn(digest, "0123456789abcdefABCDEF") != DIGEST_DIGITS)
            return err_set(err, ERR_CONFIG,
                "[rule:%s]: exe_sha256 = %s: 64 hexadecimal digits, as sha256sum prints them",
                rule->name, digest);
    }
    return true;
}

/* -- credentials -------------------------------------------------------------------------------- */

/* The worker would wait for itself. */
static bool check_not_shown(
    const struct sealedfs_conf *conf, const struct conf_unit_credential *item, struct err *err)
{
    for (size_t i = 0; i < conf->mounts.count; i++)
        if (is_below(item->resource, conf->mounts.items[i].path))
            return err_set(err, ERR_CONFIG,
                "[credential:%s]: resource = %s: this is on [mount:%s]; name the file that it "
                "shows, or its resource",
                item->name, item->resource, conf->mounts.items[i].name);
    return true;
}

static bool join_credential(
    const struct sealedfs_conf *conf, struct conf_unit_credential *item, struct err *err)
{
    if (!item->id) {
        item->id = strdup(item->name);
        if (!item->id)
            return err_nomem(err);
    }
    if (!credential_id_valid(item->id))
        return err_set(err, ERR_CONFIG,
            "[credential:%s]: id = %s: systemd takes printable characters without '/' and ':'",
            item->name, item->id);
    if (strncmp(item->resource, "kbs://", 6) != 0 && item->resource[0] != '/')
        return err_set(err, ERR_CONFIG,
            "[credential:%s]: resource = %s: neither kbs:///repository/type/tag nor the absolute "
            "path of a file with a sealed string",
            item->name, item->resource);
    return check_not_shown(conf, item, err);
}

/* What [kbs] or [kbs:NAME] says of tokens. */
static bool check_token(const struct conf_kbs *kbs, struct err *err)
{
    const char *prefix = kbs->name ? ":" : "", *name = kbs->name ? kbs->name : "";
    if (!kbs->token_command)
        return true;
    if (kbs->token_file)
        return err_set(err, ERR_CONFIG, "[kbs%s%s] has token_file and token_command; remove one",
            prefix, name);
    size_t words = 0;
    for (const char *at = kbs->token_command + strspn(kbs->token_command, " \t"); *at; words++) {
        at += strcspn(at, " \t");
        at += strspn(at, " \t");
    }
    if (kbs->token_command[0] != '/' || words >= TOKEN_WORDS_MAX)
        return err_set(err, ERR_CONFIG,
            "[kbs%s%s] token_command: the absolute path of a program and at most %d words; there "
            "is "
            "no shell",
            prefix, name, TOKEN_WORDS_MAX - 2);
    return true;
}

bool sealedfs_conf_join(struct sealedfs_conf *conf, struct err *err)
{
    if (!check_memory(conf, err) || !check_mounts(conf, err) || !check_token(&conf->kbs, err))
        return false;
    for (size_t i = 0; i < conf->brokers.count; i++)
        if (!check_token(&conf->brokers.items[i], err))
            return false;
    for (size_t i = 0; i < conf->sources.count; i++)
        if (!join_source(conf, i, err))
            return false;
    for (size_t i = 0; i < conf->files.count; i++)
        if (!join_file(conf, i, err))
            return false;
    for (size_t i = 0; i < conf->rules.count; i++)
        if (!check_rule(&conf->rules.items[i], err))
            return false;
    for (size_t i = 0; i < conf->unit_credentials.count; i++)
        if (!join_credential(conf, &conf->unit_credentials.items[i], err))
            return false;
    return true;
}
