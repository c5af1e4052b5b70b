/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/access.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "crypt/base/number.h"
#include "fs/glob.h"

enum fit { FITS_NOT, FITS, UNKNOWN };

struct globs {
    size_t count;
    struct glob **items;
};

struct ids {
    size_t count;
    uint32_t *items;
};

struct digests {
    size_t count;
    uint8_t (*items)[EXE_DIGEST_SIZE];
};

struct rule {
    char *name;
    bool allows;
    bool everywhere; /* no path, and no file names it */
    unsigned needs;
    struct globs paths, cgroups, pods, containers, exes;
    struct ids users, groups;
    struct digests digests;
};

struct named_by {
    size_t count;
    size_t *rules;
};

struct access {
    size_t count;
    struct rule *rules;
    size_t file_count;
    struct named_by *files;
};

/* -- words of the configuration ----------------------------------------------------------------- */

static bool make_globs(const struct conf_list *words, struct globs *globs, struct err *err)
{
    globs->items = calloc(words->count + 1, sizeof *globs->items);
    if (!globs->items)
        return err_nomem(err);
    for (; globs->count < words->count; globs->count++)
        if (!glob_new(words->items[globs->count], &globs->items[globs->count], err))
            return false;
    return true;
}

static bool find_user(const char *word, uint32_t *ret_id)
{
    const struct passwd *user = getpwnam(word);
    if (user)
        *ret_id = user->pw_uid;
    return user != NULL;
}

static bool find_group(const char *word, uint32_t *ret_id)
{
    const struct group *group = getgrnam(word);
    if (group)
        *ret_id = group->gr_gid;
    return group != NULL;
}

static bool make_ids(const char *kind, const struct conf_list *words,
    bool (*find)(const char *word, uint32_t *ret_id), struct ids *ids, struct err *err)
{
    ids->items = calloc(words->count + 1, sizeof *ids->items);
    if (!ids->items)
        return err_nomem(err);
    for (; ids->count < words->count; ids->count++) {
        const char *word = words->items[ids->count];
        int64_t number;
        if (number_int(word, &number) && number >= 0 && number < UINT32_MAX)
            ids->items[ids->count] = (uint32_t)number;
        else if (!find(word, &ids->items[ids->count]))
            return err_set(err, ERR_CONFIG, "there is no %s %s on this machine", kind, word);
    }
    return true;
}

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool read_digest(const char *word, uint8_t *out)
{
    for (size_t i = 0; i < EXE_DIGEST_SIZE; i++, word += 2) {
        int high = digit(word[0]), low = high < 0 ? -1 : digit(word[1]);
        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return *word == '\0';
}

static bool make_digests(const struct conf_list *words, struct digests *digests, struct err *err)
{
    digests->items = calloc(words->count + 1, sizeof *digests->items);
    if (!digests->items)
        return err_nomem(err);
    for (; digests->count < words->count; digests->count++)
        if (!read_digest(words->items[digests->count], digests->items[digests->count]))
            return err_set(err, ERR_CONFIG, "exe_sha256 %s: 64 hexadecimal digits (sha256sum FILE)",
                words->items[digests->count]);
    return true;
}

static unsigned needs_of(const struct rule *rule)
{
    unsigned needs = ACCESS_RULED;
    if (rule->groups.count)
        needs |= ACCESS_CALLER | ACCESS_GROUPS;
    if (rule->cgroups.count || rule->pods.count || rule->containers.count)
        needs |= ACCESS_CALLER;
    if (rule->exes.count)
        needs |= ACCESS_CALLER | CALLER_EXE;
    if (rule->digests.count)
        needs |= ACCESS_CALLER | CALLER_EXE | CALLER_DIGEST;
    return needs;
}

static bool make_rule(const struct conf_rule *conf, struct rule *rule, struct err *err)
{
    rule->allows = conf->verdict == VERDICT_ALLOW;
    rule->name = strdup(conf->name);
    if (!rule->name)
        return err_nomem(err);
    if (!make_globs(&conf->paths, &rule->paths, err) ||
        !make_ids("user", &conf->users, find_user, &rule->users, err) ||
        !make_ids("group", &conf->groups, find_group, &rule->groups, err) ||
        !make_globs(&conf->cgroups, &rule->cgroups, err) ||
        !make_globs(&conf->pods, &rule->pods, err) ||
        !make_globs(&conf->containers, &rule->containers, err) ||
        !make_globs(&conf->exes, &rule->exes, err) ||
        !make_digests(&conf->exe_sha256, &rule->digests, err))
        return err_wrap(err, "[rule:%s]", conf->name);
    rule->needs = needs_of(rule);
    rule->everywhere = conf->paths.count == 0;
    return true;
}

/* -- rules that files name ---------------------------------------------------------------------- */

static bool find_rule(const struct access *access, const char *name, size_t *ret_rule)
{
    for (size_t i = 0; i < access->count; i++)
        if (strcmp(access->rules[i].name, name) == 0) {
            *ret_rule = i;
            return true;
        }
    return false;
}

static bool make_file(
    struct access *access, const struct conf_file *conf, struct named_by *file, struct err *err)
{
    file->rules = calloc(conf->rules.count + 1, sizeof *file->rules);
    if (!file->rules)
        return err_nomem(err);
    for (; file->count < conf->rules.count; file->count++) {
        size_t rule;
        if (!find_rule(access, conf->rules.items[file->count], &rule))
            return err_set(err, ERR_CONFIG, "[file:%s]: there is no section [rule:%s]", conf->name,
                conf->rules.items[file->count]);
        file->rules[file->count] = rule;
        access->rules[rule].everywhere = false;
    }
    return true;
}

static bool make_all(struct access *access, const struct sealedfs_conf *conf, struct err *err)
{
    access->rules = calloc(conf->rules.count + 1, sizeof *access->rules);
    access->files = calloc(conf->files.count + 1, sizeof *access->files);
    if (!access->rules || !access->files)
        return err_nomem(err);
    for (; access->count < conf->rules.count; access->count++)
        if (!make_rule(&conf->rules.items[access->count], &access->rules[access->count], err)) {
            access->count++; /* what it holds already is freed */
            return false;
        }
    for (; access->file_count < conf->files.count; access->file_count++)
        if (!make_file(access, &conf->files.items[access->file_count],
                &access->files[access->file_count], err)) {
            access->file_count++;
            return false;
        }
    return true;
}

bool access_new(const struct sealedfs_conf *conf, struct access **ret_access, struct err *err)
{
    AUTO(access_free) struct access *access = calloc(1, sizeof *access);
    if (!access)
        return err_nomem(err);
    if (!make_all(access, conf, err))
        return false;
    *ret_access = take_ptr(access);
    return true;
}

static void free_globs(struct globs *globs)
{
    for (size_t i = 0; i < globs->count; i++)
        glob_free(globs->items[i]);
    free(globs->items);
}

static void free_rule(struct rule *rule)
{
    free(rule->name);
    free_globs(&rule->paths);
    free_globs(&rule->cgroups);
    free_globs(&rule->pods);
    free_globs(&rule->containers);
    free_globs(&rule->exes);
    free(rule->users.items);
    free(rule->groups.items);
    free(rule->digests.items);
}

void access_free(struct access *access)
{
    if (!access)
        return;
    for (size_t i = 0; i < access->count; i++)
        free_rule(&access->rules[i]);
    for (size_t i = 0; i < access->file_count; i++)
        free(access->files[i].rules);
    free(access->rules);
    free(access->files);
    free(access);
}

/* -- deciding ----------------------------------------------------------------------------------- */

static bool any_glob(const struct globs *globs, const char *text)
{
    for (size_t i = 0; i < globs->count; i++)
        if (glob_matches(globs->items[i], text))
            return true;
    return false;
}

static bool any_id(const struct ids *ids, uint32_t id)
{
    for (size_t i = 0; i < ids->count; i++)
        if (ids->items[i] == id)
            return true;
    return false;
}

static bool holds(const struct access *access, size_t rule, const char *path, size_t file)
{
    if (access->rules[rule].everywhere || any_glob(&access->rules[rule].paths, path))
        return true;
    if (file >= access->file_count)
        return false;
    for (size_t i = 0; i < access->files[file].count; i++)
        if (access->files[file].rules[i] == rule)
            return true;
    return false;
}

/* A kind without words fits everybody. `text` "": not known. */
static enum fit fit_text(const struct globs *globs, const char *text)
{
    if (globs->count == 0)
        return FITS;
    return !*text ? UNKNOWN : any_glob(globs, text) ? FITS : FITS_NOT;
}

/* There may be none, and that is known if the control group is. */
static enum fit fit_name(const struct globs *globs, const char *name, const char *cgroup)
{
    return globs->count && *cgroup && !*name ? FITS_NOT : fit_text(globs, name);
}

static enum fit fit_groups(const struct ids *ids, const struct access_question *question)
{
    if (ids->count == 0 || any_id(ids, question->gid))
        return FITS;
    if (!question->groups)
        return UNKNOWN;
    for (size_t i = 0; i < question->group_count; i++)
        if (any_id(ids, question->groups[i]))
            return FITS;
    return FITS_NOT;
}

static enum fit fit_digest(const struct digests *digests, const struct caller *caller)
{
    if (digests->count == 0)
        return FITS;
    if (!caller->has_digest)
        return UNKNOWN;
    for (size_t i = 0; i < digests->count; i++)
        if (memcmp(digests->items[i], caller->digest, EXE_DIGEST_SIZE) == 0)
            return FITS;
    return FITS_NOT;
}

static enum fit fit_rule(const struct rule *rule, const struct access_question *question)
{
    static char nothing[] = "";
    static const struct caller unknown = {.cgroup = nothing, .exe = nothing};
    const struct caller *caller = question->caller ? question->caller : &unknown;
    if (question->pid == 0)
        return UNKNOWN;
    const enum fit fits[] = {
        rule->users.count == 0 || any_id(&rule->users, question->uid) ? FITS : FITS_NOT,
        fit_groups(&rule->groups, question),
        fit_text(&rule->cgroups, caller->cgroup),
        fit_name(&rule->pods, caller->names.pod, caller->cgroup),
        fit_name(&rule->containers, caller->names.container, caller->cgroup),
        fit_text(&rule->exes, caller->exe),
        fit_digest(&rule->digests, caller),
    };
    enum fit all = FITS;
    for (size_t i = 0; i < ARRAY_LEN(fits); i++) {
        if (fits[i] == FITS_NOT)
            return FITS_NOT;
        if (fits[i] == UNKNOWN)
            all = UNKNOWN;
    }
    return all;
}

unsigned access_needs(const struct access *access, const char *path, size_t file)
{
    unsigned needs = 0;
    for (size_t i = 0; i < access->count; i++)
        if (holds(access, i, path, file))
            needs |= access->rules[i].needs;
    return needs;
}

void access_decide(const struct access *access, const struct access_question *question,
    struct access_answer *ret_answer)
{
    *ret_answer = (struct access_answer){.allowed = true};
    for (size_t i = 0; i < access->count; i++) {
        const struct rule *rule = &access->rules[i];
        if (!holds(access, i, question->path, question->file))
            continue;
        enum fit fit = fit_rule(rule, question);
        if (fit == FITS || (fit == UNKNOWN && !rule->allows)) {
            *ret_answer = (struct access_answer){rule->allows, rule->name};
            return;
        }
        ret_answer->allowed = false;
    }
}
