/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/explain.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "attest/verify/appraisal.h"
#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "crypt/hash.h"
#include "kbs/server/explain_notes.h"

#define ID_BYTES    16
#define TIME_DIGITS 12
#define STRANGER    ".u" /* ends the key of an explanation that anybody can cause */
#define KEY_SIZE    (TIME_DIGITS + 1 + EXPLAIN_ID_SIZE + sizeof STRANGER)
#define SWEEP_EVERY 64 /* records between two looks at the number */
#define RECORD_MAX  (256u * 1024)

/* -- writing ------------------------------------------------------------------------------------ */

static bool is_strangers(const char *key)
{
    size_t len = strlen(key), end = strlen(STRANGER);
    return len > end && strcmp(key + len - end, STRANGER) == 0;
}

/* Keys are sorted, and begin with the time: the first are the oldest. Each pool counts for itself. */
static bool drop_oldest(struct store *store, struct err *err)
{
    auto_json *keys = NULL;
    size_t counts[2] = {0};
    if (!store_list(store, STORE_EXPLANATION, &keys, err))
        return false;
    for (size_t i = 0; i < json_array_size(keys); i++)
        counts[is_strangers(json_string_value(json_array_get(keys, i)))]++;
    for (size_t i = 0; i < json_array_size(keys); i++) {
        struct err cause = ERR_INIT;
        const char *key = json_string_value(json_array_get(keys, i));
        size_t *count = &counts[is_strangers(key)];
        if (*count <= EXPLAIN_COUNT)
            continue;
        (*count)--;
        if (!store_delete(store, STORE_EXPLANATION, key, &cause) && cause.code != ERR_NOTFOUND) {
            *err = cause;
            return false;
        }
    }
    return true;
}

static bool sweep(struct server *server, struct err *err)
{
    static atomic_uint records;
    return atomic_fetch_add(&records, 1) % SWEEP_EVERY != 0 || drop_oldest(server->store, err);
}

/* Evidence, sessions and tokens that nobody vouches for come from the whole network; a token comes from a guest that was let in. */
static bool from_stranger(const struct explain_entry *entry)
{
    static const char *const kinds[] = {"evidence", "enrolment", "session", "bad token"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(entry->kind, kinds[i]) == 0)
            return true;
    return false;
}

static bool build(const struct explain_entry *entry, const char *id, int64_t now, json_t **ret_json,
    struct err *err)
{
    char when[CLOCK_TEXT_SIZE];
    auto_json *findings = entry->findings ? json_deep_copy(entry->findings) : json_array();
    if (!findings)
        return err_nomem(err);
    clock_rfc3339(now, when);
    return json_build(ret_json, err, "{s:s, s:s, s:s, s:s?, s:s?, s:s?, s:s, s:O}", "id", id,
        "time", when, "kind", entry->kind, "resource", entry->resource, "tee", entry->tee, "agent",
        entry->agent, "summary", entry->summary, "findings", findings);
}

bool explain_record(struct server *server, const struct explain_entry *entry,
    char ret_id[EXPLAIN_ID_SIZE], struct err *err)
{
    uint8_t random[ID_BYTES];
    char id[EXPLAIN_ID_SIZE], key[KEY_SIZE];
    auto_json *json = NULL;
    int64_t now = server_now(server);
    if (!hash_random(random, sizeof random, err))
        return false;
    hex_encode(bytes_of(random, sizeof random), id);
    snprintf(key, sizeof key, "%0*" PRId64 "-%s%s", TIME_DIGITS, now, id,
        from_stranger(entry) ? STRANGER : "");
    if (!build(entry, id, now, &json, err) ||
        !explain_notes(server, json_object_get(json, "findings"), err))
        return false;
    auto_free char *text = json_text(json);
    if (!text)
        return err_nomem(err);
    if (!store_put(server->store, STORE_EXPLANATION, key, bytes_str(text), err) ||
        !sweep(server, err))
        return err_wrap(err, "explanation");
    memcpy(ret_id, id, sizeof id);
    return true;
}

bool explain_appraisal(const char *tee, const json_t *shaped, const json_t *reference_values,
    json_t *findings, struct err *err)
{
    auto_appraisal appraisal = {0};
    const json_t *claims = json_object_get(shaped, tee);
    if (!json_is_object(claims))
        return true;
    return appraise(tee, claims, reference_values, &appraisal, err) &&
           (json_array_extend(findings, appraisal.findings) == 0 || err_nomem(err));
}

/* -- routes ------------------------------------------------------------------------------------- */

static bool send_json(struct response *response, const json_t *json, struct err *err)
{
    auto_free char *text = json_text(json);
    return text ? response_json(response, text, err) : err_nomem(err);
}

static bool read_key(struct server *server, const char *key, json_t **ret_json, struct err *err)
{
    auto_buf text = BUF_INIT(RECORD_MAX);
    return store_get(server->store, STORE_EXPLANATION, key, &text, err) &&
           json_load_strict(buf_bytes(&text), RECORD_MAX, "explanation", ret_json, err);
}

static bool get_explanation(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *keys = NULL;
    if (strlen(request->rest) != EXPLAIN_ID_SIZE - 1 ||
        strspn(request->rest, "0123456789abcdef") != EXPLAIN_ID_SIZE - 1)
        return err_set(err, ERR_FORMAT, "the id of an explanation has 32 hex digits");
    if (!store_list(server->store, STORE_EXPLANATION, &keys, err))
        return false;
    for (size_t i = json_array_size(keys); i-- > 0;) {
        auto_json *json = NULL;
        const char *key = json_string_value(json_array_get(keys, i));
        const char *id = strchr(key, '-');
        if (!id || strncmp(id + 1, request->rest, EXPLAIN_ID_SIZE - 1) != 0)
            continue;
        return read_key(server, key, &json, err) && send_json(response, json, err);
    }
    return err_set(err, ERR_NOTFOUND, "no explanation %s (the newest %d are kept, for %d days)",
        request->rest, EXPLAIN_COUNT, EXPLAIN_AGE_S / (24 * 3600));
}

/* Newest first, without the findings. One that was swept meanwhile is left out. */
static bool list_explanations(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *keys = NULL, *list = json_array();
    (void)request;
    if (!list)
        return err_nomem(err);
    if (!store_list(server->store, STORE_EXPLANATION, &keys, err))
        return false;
    for (size_t i = json_array_size(keys); i-- > 0 && json_array_size(list) < EXPLAIN_LISTED;) {
        auto_json *json = NULL;
        struct err cause = ERR_INIT;
        if (!read_key(server, json_string_value(json_array_get(keys, i)), &json, &cause)) {
            if (cause.code == ERR_NOTFOUND)
                continue;
            *err = cause;
            return false;
        }
        json_object_del(json, "findings");
        if (json_array_append(list, json) != 0)
            return err_nomem(err);
    }
    return send_json(response, list, err);
}

#define ERROR "PluginInternalError", "Explanation"

const struct route explain_routes[] = {
    {REQUEST_GET, "/kbs/v0/explanation/*", AUTH_ADMIN, false, 0, get_explanation, ERROR},
    {REQUEST_GET, "/kbs/v0/explanation", AUTH_ADMIN, false, 0, list_explanations, ERROR},
    {0},
};
