/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/explain_notes.h"

#include <stdio.h>

#include "kbs/server/refvalue.h"

#define RULE     "reference value "
#define NEAR_MAX 3 /* letters by which a name may differ from one that was meant */
#define NEAR_LEN 64

/* The name that a rule is about, when its value is missing; "" otherwise. */
static void missing_name(const json_t *finding, char out[REFVALUE_NAME_MAX + 1])
{
    const char *rule = json_member_text(finding, "rule");
    out[0] = '\0';
    if (!rule || strncmp(rule, RULE, strlen(RULE)) != 0 ||
        !json_is_null(json_object_get(finding, "expected")))
        return;
    rule += strlen(RULE);
    snprintf(out, REFVALUE_NAME_MAX + 1, "%.*s", (int)strcspn(rule, " "), rule);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance, a row at a time; what is longer than NEAR_LEN is far from everything. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NEAR_LEN + 1], len_a = strlen(a), len_b = strlen(b);
    if (len_a > NEAR_LEN || len_b > NEAR_LEN)
        return NEAR_LEN;
    for (size_t j = 0; j <= len_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= len_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= len_b; j++) {
            size_t above = row[j];
            row[j] = least(least(above, row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[len_b];
}

static bool make_note(const json_t *list, const char *name, json_t **ret_note, struct err *err)
{
    size_t index, best = NEAR_MAX + 1;
    const json_t *entry;
    const char *near_name = NULL;
    json_array_foreach(list, index, entry)
    {
        const char *other = json_member_text(entry, "name");
        if (strcmp(other, name) == 0 && json_is_true(json_object_get(entry, "expired"))) {
            *ret_note = json_sprintf("reference value %s expired on %s; if it is still what a good "
                                     "guest has, set it again",
                name, json_member_text(entry, "expiration"));
            return *ret_note || err_nomem(err);
        }
        size_t far = distance(name, other);
        if (far > 0 && far < best) {
            best = far;
            near_name = other;
        }
    }
    *ret_note = near_name ? json_sprintf("no reference value named %s is registered; the nearest "
                                         "name there is: %s",
                                name, near_name)
                          : json_sprintf("no reference value named %s is registered", name);
    return *ret_note || err_nomem(err);
}

bool explain_notes(struct server *server, json_t *findings, struct err *err)
{
    auto_json *list = NULL;
    size_t index;
    json_t *finding;
    json_array_foreach(findings, index, finding)
    {
        char name[REFVALUE_NAME_MAX + 1];
        json_t *note = NULL;
        missing_name(finding, name);
        if (!name[0])
            continue;
        if (!list && !refvalue_describe(server->store, server_now(server), &list, err))
            return false;
        if (!make_note(list, name, &note, err))
            return false;
        if (json_object_set_new(finding, "note", note) != 0)
            return err_nomem(err);
    }
    return true;
}
