/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/agents/attendance.h"

#include <stdio.h>

#include "crypt/base/clock.h"

#define PREFIX     "seen/"
#define KEY_MAX    (sizeof PREFIX + AGENT_ID_SIZE)
#define RECORD_MAX 65536

static void key_of(const char *id, char key[KEY_MAX])
{
    snprintf(key, KEY_MAX, PREFIX "%s", id);
}

static int64_t number(const json_t *attendance, const char *name)
{
    return json_integer_value(json_object_get(attendance, name));
}

static int64_t interval_s(const struct server *server)
{
    return server->conf->agents.interval_ms / 1000;
}

static int64_t grace_s(const struct server *server)
{
    return server->conf->agents.grace_ms / 1000;
}

bool attendance_load(
    struct server *server, const char *id, json_t **ret_attendance, struct err *err)
{
    char key[KEY_MAX];
    auto_buf text = BUF_INIT(RECORD_MAX);
    struct err cause = ERR_INIT;
    key_of(id, key);
    *ret_attendance = NULL;
    if (store_get(server->store, STORE_AGENT, key, &text, &cause))
        return json_load_strict(buf_bytes(&text), RECORD_MAX, key, ret_attendance, err);
    if (cause.code == ERR_NOTFOUND)
        return true;
    *err = cause;
    return err_wrap(err, "attendance of agent %s", id);
}

static bool load_or_new(
    struct server *server, const char *id, json_t **ret_attendance, struct err *err)
{
    if (!attendance_load(server, id, ret_attendance, err))
        return false;
    return *ret_attendance || json_build(ret_attendance, err, "{s:i, s:s, s:i, s:[]}", "attested",
                                  0, "status", "none", "due", 0, "history");
}

static bool save(struct server *server, const char *id, const json_t *attendance, struct err *err)
{
    char key[KEY_MAX];
    auto_free char *text = json_text(attendance);
    if (!text)
        return err_nomem(err);
    key_of(id, key);
    return store_put(server->store, STORE_AGENT, key, bytes_str(text), err);
}

static bool set_number(json_t *attendance, const char *name, int64_t value, struct err *err)
{
    return json_object_set_new(attendance, name, json_integer(value)) == 0 || err_nomem(err);
}

static bool add_event(struct server *server, json_t *attendance, const char *what, const char *by,
    const char *ref, struct err *err)
{
    char when[CLOCK_TEXT_SIZE];
    auto_json *event = NULL;
    json_t *history = json_object_get(attendance, "history");
    clock_rfc3339(server_now(server), when);
    if (!json_is_array(history))
        return err_set(err, ERR_FORMAT, "a record of attendance has no history");
    while (json_array_size(history) >= ATTENDANCE_HISTORY)
        json_array_remove(history, 0);
    return json_build(&event, err, "{s:s, s:s, s:s*, s:s*}", "time", when, "what", what, "by", by,
               "ref", ref) &&
           (json_array_append(history, event) == 0 || err_nomem(err));
}

static int64_t next_due(const struct server *server)
{
    return interval_s(server) > 0 ? server_now(server) + interval_s(server) : 0;
}

bool attendance_attested(struct server *server, const char *id, enum appraisal_status status,
    int64_t *ret_next_s, struct err *err)
{
    auto_json *attendance = NULL;
    const char *name = appraisal_status_name(status);
    if (!load_or_new(server, id, &attendance, err))
        return false;
    const char *before = json_member_text(attendance, "status");
    bool known = number(attendance, "attested") > 0 && before && strcmp(before, name) == 0;
    if (json_object_set_new(attendance, "status", json_string(name)) != 0)
        return err_nomem(err);
    /* The history tells what changed; that all went on as before is told by "attested". */
    if (!set_number(attendance, "attested", server_now(server), err) ||
        !set_number(attendance, "due", next_due(server), err) ||
        (!known && !add_event(server, attendance, name, NULL, NULL, err)) ||
        !save(server, id, attendance, err))
        return false;
    *ret_next_s = interval_s(server);
    return true;
}

/* From here on nothing is due, until it attests. */
static bool begin_anew(
    struct server *server, const char *id, const char *what, const char *by, struct err *err)
{
    auto_json *attendance = NULL;
    return load_or_new(server, id, &attendance, err) && set_number(attendance, "due", 0, err) &&
           set_number(attendance, "attested", 0, err) &&
           add_event(server, attendance, what, by, NULL, err) && save(server, id, attendance, err);
}

bool attendance_left(struct server *server, const char *id, struct err *err)
{
    return begin_anew(server, id, "left", NULL, err);
}

bool attendance_admitted(struct server *server, const char *id, const char *by, struct err *err)
{
    return begin_anew(server, id, agent_state_name(AGENT_ADMITTED), by, err);
}

bool attendance_note(struct server *server, const char *id, const char *what, const char *by,
    const char *ref, struct err *err)
{
    auto_json *attendance = NULL;
    return load_or_new(server, id, &attendance, err) &&
           add_event(server, attendance, what, by, ref, err) && save(server, id, attendance, err);
}

static bool is_late(const struct server *server, const json_t *attendance)
{
    int64_t due = number(attendance, "due");
    return interval_s(server) > 0 && due > 0 && server_now(server) > due + grace_s(server);
}

const char *attendance_state(
    const struct server *server, const json_t *agent, const json_t *attendance)
{
    enum agent_state state = agent_state_at(agent, server_now(server));
    int64_t due = number(attendance, "due");
    if (state != AGENT_ADMITTED || interval_s(server) == 0)
        return agent_state_name(state);
    if (is_late(server, attendance))
        return agent_state_name(AGENT_LATE);
    if (due == 0)
        return agent_state_name(state);
    return server_now(server) >= due ? "attesting" : "verified";
}

bool attendance_is_late(struct server *server, const char *id, bool *ret_late, struct err *err)
{
    auto_json *attendance = NULL;
    *ret_late = false;
    if (interval_s(server) == 0)
        return true;
    if (!attendance_load(server, id, &attendance, err))
        return false;
    *ret_late = is_late(server, attendance);
    return true;
}

bool attendance_delete(struct server *server, const char *id, struct err *err)
{
    char key[KEY_MAX];
    key_of(id, key);
    if (store_delete(server->store, STORE_AGENT, key, err))
        return true;
    bool absent = err->code == ERR_NOTFOUND;
    if (absent)
        err_clear(err);
    return absent;
}
