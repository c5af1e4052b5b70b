/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/agents/admission.h"

#include <stdio.h>

#include "kbs/server/agents/agent.h"

#define HEX    "0123456789abcdef"
#define EK_LEN 64
#define BLANKS " \t\r"

struct machine {
    char ek[EK_LEN + 1];
    char uuid[AGENT_UUID_SIZE]; /* "" : any */
    json_t *tags;
};

struct admission {
    struct machine *machines; /* sorted by EK */
    size_t count;
};

void admission_free(struct admission *admission)
{
    if (!admission)
        return;
    for (size_t i = 0; i < admission->count; i++)
        json_unref(admission->machines[i].tags);
    free(admission->machines);
    free(admission);
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct machine *)a)->ek, ((const struct machine *)b)->ek);
}

static bool take_word(struct machine *machine, const char *word, struct err *err)
{
    const char *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : 0;
    char name[AGENT_TAG_MAX + 1];
    if (len == 0 || len > AGENT_TAG_MAX || equals[1] == '\0' || strlen(equals + 1) > AGENT_TAG_MAX)
        return err_set(err, ERR_CONFIG, "\"%.80s\" is not NAME=VALUE of 1 to %d characters each",
            word, AGENT_TAG_MAX);
    snprintf(name, sizeof name, "%.*s", (int)len, word);
    if (strcmp(name, "uuid") == 0) {
        if (!agent_uuid_ok(equals + 1))
            return err_set(err, ERR_CONFIG, "\"%.80s\" is no UUID in lower case", equals + 1);
        snprintf(machine->uuid, sizeof machine->uuid, "%s", equals + 1);
        return true;
    }
    if (json_object_size(machine->tags) >= AGENT_TAGS_MAX)
        return err_set(err, ERR_CONFIG, "more than %d tags", AGENT_TAGS_MAX);
    json_t *value = json_string(equals + 1);
    return (value && json_object_set_new(machine->tags, name, value) == 0) ||
           err_set(err, ERR_CONFIG, "\"%.80s\" is not UTF-8", word);
}

/* One line without its comment; *ret_used false: there is nothing on it. */
static bool take_line(char *line, struct machine *machine, bool *ret_used, struct err *err)
{
    char *rest = NULL;
    const char *word = strtok_r(line, BLANKS, &rest);
    *ret_used = word != NULL;
    if (!word)
        return true;
    if (strlen(word) != EK_LEN || strspn(word, HEX) != EK_LEN)
        return err_set(err, ERR_CONFIG,
            "\"%.80s\" is not the SHA-256 of an endorsement key: %d hex digits in lower case", word,
            EK_LEN);
    memcpy(machine->ek, word, EK_LEN + 1);
    machine->tags = json_object();
    if (!machine->tags)
        return err_nomem(err);
    while ((word = strtok_r(NULL, BLANKS, &rest)))
        if (!take_word(machine, word, err))
            return false;
    return true;
}

static bool add_line(struct admission *admission, char *line, size_t *size, struct err *err)
{
    bool used = false;
    if (admission->count == *size) {
        size_t larger = *size ? *size * 2 : 64;
        struct machine *grown = reallocarray(admission->machines, larger, sizeof *grown);
        if (!grown)
            return err_nomem(err);
        admission->machines = grown;
        *size = larger;
    }
    struct machine *machine = &admission->machines[admission->count];
    *machine = (struct machine){0};
    line[strcspn(line, "#")] = '\0';
    bool done = take_line(line, machine, &used, err);
    admission->count += used; /* a half-read one, too: it is freed with the rest */
    if (done && admission->count > ADMISSION_MAX)
        return err_set(err, ERR_CONFIG, "more than %d machines", ADMISSION_MAX);
    return done;
}

bool admission_parse(
    struct bytes text, const char *name, struct admission **ret_admission, struct err *err)
{
    AUTO(admission_free) struct admission *admission = calloc(1, sizeof *admission);
    auto_free char *copy = strndup(text.len > 0 ? (const char *)text.data : "", text.len);
    size_t size = 0, number = 0;
    if (!admission || !copy)
        return err_nomem(err);
    if (strlen(copy) != text.len)
        return err_set(err, ERR_CONFIG, "%s: a NUL character", name);
    for (char *line = copy, *next; line; line = next) {
        number++;
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (!add_line(admission, line, &size, err))
            return err_wrap(err, "%s:%zu", name, number);
    }
    if (admission->count > 0)
        qsort(admission->machines, admission->count, sizeof *admission->machines, compare);
    for (size_t i = 1; i < admission->count; i++)
        if (compare(&admission->machines[i - 1], &admission->machines[i]) == 0)
            return err_set(err, ERR_CONFIG, "%s: the machine %.16s... is listed twice", name,
                admission->machines[i].ek);
    *ret_admission = take_ptr(admission);
    return true;
}

bool admission_find(const struct admission *admission, const char *ek_sha256, const char *uuid,
    json_t **ret_tags, bool *ret_found, struct err *err)
{
    struct machine wanted = {0};
    const struct machine *found = NULL;
    *ret_found = false;
    if (!admission || admission->count == 0 || strlen(ek_sha256) != EK_LEN)
        return true;
    memcpy(wanted.ek, ek_sha256, EK_LEN);
    found = bsearch(&wanted, admission->machines, admission->count, sizeof wanted, compare);
    if (!found || (found->uuid[0] && (!uuid || strcmp(found->uuid, uuid) != 0)))
        return true;
    *ret_tags = json_deep_copy(found->tags);
    *ret_found = *ret_tags != NULL;
    return *ret_found || err_nomem(err);
}
