/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/sealedfs_conf.h"

#include <errno.h>
#include <string.h>

#include "fs/memfd.h"
#include "fs/sealedfs_fields.h"

/* What mount(8), mount.fuse3(8) and fstab bring along. A sealedfs mount is what it is; none of
 * these changes it. */
static const char *const ignored[] = {"rw", "ro", "suid", "nosuid", "dev", "nodev", "exec",
    "noexec", "allow_other", "default_permissions", "auto", "noauto", "user", "nouser", "users",
    "owner", "group", "defaults", "nofail", "_netdev", "atime", "noatime", "relatime", "norelatime",
    "strictatime", "diratime", "nodiratime", "sync", "async", "lazytime", "nolazytime"};

static bool is_ignored(const char *option)
{
    if (strncmp(option, "x-", 2) == 0 || strncmp(option, "comment=", 8) == 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        if (strcmp(option, ignored[i]) == 0)
            return true;
    return false;
}

/* Takes "config=FILE" out of the options; malloc'd or NULL. */
static bool find_config(char *options, char **ret_path, struct err *err)
{
    for (char *rest = options, *word; (word = strsep(&rest, ","));) {
        if (strncmp(word, "config=", 7) == 0) {
            *ret_path = strdup(word + 7);
            return *ret_path || err_nomem(err);
        }
    }
    return true;
}

static bool assign_option(struct sealedfs_conf *conf, char *word, struct err *err)
{
    if (*word == '\0' || is_ignored(word) || strncmp(word, "config=", 7) == 0)
        return true;
    char *value = strchr(word, '=');
    if (!value)
        return err_set(err, ERR_CONFIG, "option -o %s: not known, or a value is missing", word);
    *value++ = '\0';
    return conf_assign(
        conf, sealedfs_table.fields, sealedfs_table.field_count, "option -o", word, value, err);
}

static bool assign_options(struct sealedfs_conf *conf, const char *options, struct err *err)
{
    auto_free char *copy = strdup(options);
    if (!copy)
        return err_nomem(err);
    for (char *rest = copy, *word; (word = strsep(&rest, ","));)
        if (!assign_option(conf, word, err))
            return false;
    return true;
}

static bool add_mirror(
    struct sealedfs_conf *conf, const struct sealedfs_mirror *mirror, struct err *err)
{
    void *item;
    if (!conf_table_add(conf, &sealedfs_table, "mount", SEALEDFS_MIRROR_NAME, &item, err))
        return false;
    struct conf_mount *mount = item;
    mount->path = strdup(mirror->mountpoint);
    if (!mount->path)
        return err_nomem(err);
    if (!conf_table_add(conf, &sealedfs_table, "source", SEALEDFS_MIRROR_NAME, &item, err))
        return false;
    struct conf_source *source = item;
    source->directory = strdup(mirror->source);
    source->mount_name = strdup(SEALEDFS_MIRROR_NAME);
    return (source->directory && source->mount_name) || err_nomem(err);
}

static bool find_file(const char *path, const char *options, char **ret_path, struct err *err)
{
    auto_free char *copy = strdup(options ? options : "");
    auto_free char *named = NULL;
    if (!copy)
        return err_nomem(err);
    if (!find_config(copy, &named, err))
        return false;
    if (named)
        path = named;
    if (path && *path != '/')
        return err_set(err, ERR_CONFIG,
            "configuration %s: the path must be absolute (the worker reads it again, from /)",
            path);
    if (!path && access(SEALEDFS_CONF_DEFAULT, F_OK) == 0)
        path = SEALEDFS_CONF_DEFAULT;
    *ret_path = path ? strdup(path) : NULL;
    return !path || *ret_path || err_nomem(err);
}

/* On top of what stands in the file. On failure *conf holds nothing. */
static bool complete(struct sealedfs_conf *conf, const char *options,
    const struct sealedfs_mirror *mirror, struct err *err)
{
    if (assign_options(conf, options ? options : "", err) &&
        (!mirror || add_mirror(conf, mirror, err)) && sealedfs_conf_join(conf, err))
        return true;
    sealedfs_conf_done(conf);
    return false;
}

bool sealedfs_conf_load(const char *path, const char *options, const struct sealedfs_mirror *mirror,
    struct sealedfs_conf *ret_conf, struct err *err)
{
    auto_free char *file = NULL;
    struct sealedfs_conf conf = {0};
    if (!find_file(path, options, &file, err) ||
        !conf_table_load(file, &sealedfs_table, &conf, err) ||
        !complete(&conf, options, mirror, err))
        return false;
    *ret_conf = conf;
    return true;
}

bool sealedfs_conf_snapshot(const char *path, const char *options, int *ret_fd, struct err *err)
{
    auto_free char *file = NULL;
    auto_buf text = BUF_INIT(CONF_FILE_MAX);
    if (!find_file(path, options, &file, err))
        return false;
    if (!file) {
        *ret_fd = -1;
        return true;
    }
    return conf_file_text(file, &text, err) &&
           memfd_sealed("sealedfs-conf", buf_bytes(&text), ret_fd, err);
}

bool sealedfs_conf_load_snapshot(int fd, const char *path, const char *options,
    const struct sealedfs_mirror *mirror, struct sealedfs_conf *ret_conf, struct err *err)
{
    auto_free char *file = NULL;
    auto_buf text = BUF_INIT(CONF_FILE_MAX);
    struct sealedfs_conf conf = {0};
    if (!find_file(path, options, &file, err) || (fd >= 0 && !memfd_read(fd, &text, err)))
        return false;
    bool done = fd >= 0 ? conf_table_parse(buf_text(&text), text.len,
                              file ? file : SEALEDFS_CONF_DEFAULT, &sealedfs_table, &conf, err)
                        : conf_table_load(NULL, &sealedfs_table, &conf, err);
    if (!done || !complete(&conf, options, mirror, err))
        return false;
    *ret_conf = conf;
    return true;
}

void sealedfs_conf_done(struct sealedfs_conf *conf)
{
    conf_table_done(conf, &sealedfs_table);
}

bool sealedfs_conf_sample(int fd, struct err *err)
{
    return conf_table_sample(&sealedfs_table, fd, err);
}
