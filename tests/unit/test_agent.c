/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/kbs_fixture.h"

#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "kbs/server/agents/agent.h"

#define SPKI_1 bytes_str("the DER of one key")
#define SPKI_2 bytes_str("the DER of another")
#define EK     "e26431abe1694d931b62227c5e3019e3f0de8523e7bae1d3cee8108784176560"

static json_t *create(struct bytes spki, const char *ek, enum agent_state state)
{
    json_t *agent = NULL;
    assert_done(agent_create(&kbs.server, spki, ek, state, &agent, &err), &err);
    return agent;
}

static bool is_admitted(struct bytes spki, char id[AGENT_ID_SIZE])
{
    bool admitted = false;
    assert_done(agent_admitted(&kbs.server, spki, &admitted, id, &err), &err);
    return admitted;
}

static void set_state(const char *name, enum agent_state state)
{
    auto_json *agent = NULL;
    assert_done(agent_find(&kbs.server, name, &agent, &err), &err);
    assert_done(agent_set_state(&kbs.server, agent, state, "ann", NULL, &err), &err);
}

static bool finds(const char *name)
{
    auto_json *agent = NULL;
    return agent_find(&kbs.server, name, &agent, &err);
}

static void test_record(void **state)
{
    (void)state;
    char id[AGENT_ID_SIZE];
    struct hash hash;
    char wanted[2 * HASH_SIZE_MAX + 1];
    auto_json *agent = create(SPKI_1, EK, AGENT_REGISTERED);
    assert_done(hash_bytes(HASH_SHA256, SPKI_1, &hash, &err), &err);
    hex_encode(hash_view(&hash), wanted);
    assert_string_equal(json_member_text(agent, "id"), wanted);
    assert_string_equal(json_member_text(agent, "ek_sha256"), EK);
    assert_string_equal(json_member_text(agent, "state"), "registered");
    assert_string_equal(json_member_text(agent, "ak_public"), "dGhlIERFUiBvZiBvbmUga2V5");
    assert_non_null(json_member_text(agent, "created"));
    assert_false(is_admitted(SPKI_1, id));
    assert_string_equal(id, wanted);
}

static void test_unknown(void **state)
{
    (void)state;
    char id[AGENT_ID_SIZE] = "";
    bool enrolled = true;
    assert_false(is_admitted(SPKI_1, id));
    assert_int_equal(strlen(id), AGENT_ID_SIZE - 1);
    assert_done(agent_enrolled(&kbs.server, id, &enrolled, &err), &err);
    assert_false(enrolled);
    assert_refused(finds(id), &err, ERR_NOTFOUND, "no agent");
}

static void test_only_admitted_is_admitted(void **state)
{
    (void)state;
    auto_json *agent = create(SPKI_1, EK, AGENT_REGISTERED);
    const char *id = json_member_text(agent, "id");
    assert_false(is_admitted(SPKI_1, NULL));
    set_state(id, AGENT_ADMITTED);
    assert_true(is_admitted(SPKI_1, NULL));
    assert_false(is_admitted(SPKI_2, NULL));
    set_state(id, AGENT_REVOKED);
    assert_false(is_admitted(SPKI_1, NULL));
}

static void test_an_admission_may_end(void **state)
{
    (void)state;
    auto_json *agent = create(SPKI_1, EK, AGENT_ADMITTED);
    char end[CLOCK_TEXT_SIZE];
    clock_rfc3339(kbs.now + 60, end);
    json_object_set_new(agent, "until", json_string(end));
    assert_done(agent_put(&kbs.server, agent, &err), &err);
    assert_true(is_admitted(SPKI_1, NULL));
    kbs.now += 59;
    assert_true(is_admitted(SPKI_1, NULL));
    kbs.now += 1;
    assert_false(is_admitted(SPKI_1, NULL));
    assert_string_equal(agent_state_name(agent_state_at(agent, kbs.now)), "expired");
    static const char *const unreadable[] = {"", "tomorrow", "2099-01-01"};
    for (size_t i = 0; i < ARRAY_LEN(unreadable); i++) {
        json_object_set_new(agent, "until", json_string(unreadable[i]));
        assert_int_equal(agent_state_at(agent, 0), AGENT_EXPIRED);
    }
    json_object_set_new(agent, "until", json_integer(kbs.now + 60));
    assert_int_equal(agent_state_at(agent, 0), AGENT_EXPIRED);
    assert_int_equal(agent_state_of(agent), AGENT_ADMITTED);
}

static void test_enrolling_again(void **state)
{
    (void)state;
    auto_json *first = create(SPKI_1, EK, AGENT_REGISTERED);
    auto_json *second = create(SPKI_1, NULL, AGENT_ADMITTED);
    assert_true(json_equal(first, second));
    set_state(json_member_text(first, "id"), AGENT_REVOKED);
    auto_json *third = create(SPKI_1, EK, AGENT_ADMITTED);
    assert_string_equal(json_member_text(third, "state"), "revoked");
    assert_false(is_admitted(SPKI_1, NULL));
}

/* A guest enrols again while an administrator revokes it: what the guest says of itself must not bring back the state of before. */
static void test_noting_keeps_the_state(void **state)
{
    (void)state;
    char id[AGENT_ID_SIZE];
    auto_json *stale = create(SPKI_1, EK, AGENT_ADMITTED);
    auto_json *uuid = json_string("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), *now = NULL;
    const char *name = json_member_text(stale, "id");
    set_state(name, AGENT_REVOKED);
    assert_done(agent_note(&kbs.server, name, "uuid", uuid, &err), &err);
    assert_false(is_admitted(SPKI_1, id));
    assert_done(agent_find(&kbs.server, name, &now, &err), &err);
    assert_string_equal(json_member_text(now, "uuid"), json_string_value(uuid));
    assert_done(agent_delete(&kbs.server, now, &err), &err);
    assert_done(agent_note(&kbs.server, name, "uuid", uuid, &err), &err);
    assert_false(finds(name)); /* nor bring back what was deleted */
}

static void test_names(void **state)
{
    (void)state;
    auto_json *agent = create(SPKI_1, EK, AGENT_REGISTERED);
    char name[AGENT_ID_SIZE + 1], twin[AGENT_ID_SIZE];
    const char *id = json_member_text(agent, "id");
    for (size_t len = AGENT_PREFIX_MIN; len < AGENT_ID_SIZE; len++) {
        snprintf(name, sizeof name, "%.*s", (int)len, id);
        assert_true(finds(name));
    }
    assert_refused(finds(""), &err, ERR_FORMAT, "8 to 64 hex digits");
    snprintf(name, sizeof name, "%.7s", id);
    assert_refused(finds(name), &err, ERR_FORMAT, "8 to 64 hex digits");
    snprintf(name, sizeof name, "%s0", id);
    assert_refused(finds(name), &err, ERR_FORMAT, "8 to 64 hex digits");
    assert_refused(finds("../../../etc"), &err, ERR_FORMAT, "8 to 64 hex digits");
    assert_refused(finds("ABCDEF0123"), &err, ERR_FORMAT, "8 to 64 hex digits");
    assert_refused(finds("0000000000"), &err, ERR_NOTFOUND, "no agent");
    strcpy(twin, id);
    twin[AGENT_ID_SIZE - 2] = twin[AGENT_ID_SIZE - 2] == '0' ? '1' : '0';
    assert_done(store_put(kbs.server.store, STORE_AGENT, twin, bytes_str("{}"), &err), &err);
    snprintf(name, sizeof name, "%.12s", id);
    assert_refused(finds(name), &err, ERR_FORMAT, "not unique");
    assert_true(finds(id));
}

/* A record that was put under another key's id must not admit that key. */
static void test_records_that_lie(void **state)
{
    (void)state;
    auto_json *agent = create(SPKI_1, EK, AGENT_ADMITTED);
    auto_free char *text = json_text(agent);
    char id[AGENT_ID_SIZE];
    bool admitted = false;
    assert_false(is_admitted(SPKI_2, id));
    assert_done(store_put(kbs.server.store, STORE_AGENT, id, bytes_str(text), &err), &err);
    assert_refused(agent_admitted(&kbs.server, SPKI_2, &admitted, NULL, &err), &err, ERR_FORMAT,
        "of another agent");
    assert_false(admitted);
    assert_done(store_put(kbs.server.store, STORE_AGENT, id, bytes_str("{"), &err), &err);
    assert_refused(
        agent_admitted(&kbs.server, SPKI_2, &admitted, NULL, &err), &err, ERR_FORMAT, "agent");
}

static void test_list_and_delete(void **state)
{
    (void)state;
    auto_json *one = create(SPKI_1, EK, AGENT_REGISTERED),
              *two = create(SPKI_2, NULL, AGENT_ADMITTED);
    auto_json *both = NULL, *rest = NULL;
    assert_done(agent_list(&kbs.server, &both, &err), &err);
    assert_int_equal(json_array_size(both), 2);
    assert_done(agent_delete(&kbs.server, two, &err), &err);
    assert_refused(agent_delete(&kbs.server, two, &err), &err, ERR_NOTFOUND, "");
    assert_false(is_admitted(SPKI_2, NULL));
    assert_done(agent_list(&kbs.server, &rest, &err), &err);
    assert_int_equal(json_array_size(rest), 1);
    assert_true(json_equal(json_array_get(rest, 0), one));
}

static void refused_post(const char *path, const char *body, int status, const char *text)
{
    kbs_assert_answer(kbs_ask(REQUEST_POST, path, NULL, body), status, text);
}

static void test_routes_without_rights(void **state)
{
    (void)state;
    refused_post("/kbs/v0/agent", "{\"ak_public\":\"AAAA\"}", 401, "AdminAuthAccess");
    refused_post("/kbs/v0/agent/0123456789/admit", "", 401, "AdminAuthAccess");
    refused_post("/kbs/v0/agent/activate/x", "{}", 401, "AdminAuthAccess");
    kbs_assert_answer(
        kbs_ask(REQUEST_GET, "/kbs/v0/agent/enroll", NULL, NULL), 401, "AdminAuthAccess");
    kbs_assert_answer(kbs_ask(REQUEST_GET, "/kbs/v0/agent", NULL, NULL), 401, "AdminAuthAccess");
    kbs_assert_answer(
        kbs_ask(REQUEST_DELETE, "/kbs/v0/agent/0123456789", NULL, NULL), 401, "AdminAuthAccess");
}

/* The fixture configures no ek_roots, and has no verifier that could be asked. */
static void test_enrolment_without_roots(void **state)
{
    (void)state;
    refused_post("/kbs/v0/agent/enroll", "{}", 401,
        "this broker takes no enrolments: its administrator has not configured ek_roots");
    refused_post("/kbs/v0/agent/enroll", "", 401, "AttestationError");
}

static void test_activation_of_nothing(void **state)
{
    (void)state;
    static const char path[] = "/kbs/v0/agent/activate";
    auto_json *agents = NULL;
    refused_post(path, "", 401, "Enrolment failed");
    refused_post(path, "{}", 401, "challenge");
    refused_post(path, "{\"challenge\":\"\",\"credential\":\"AAAA\"}", 401, "not one of this");
    refused_post(path, "{\"challenge\":\"AAAA\",\"credential\":\"AAAA\"}", 401, "not one of this");
    refused_post(path,
        "{\"challenge\":\"AQAAAABq_"
        "MDVAAECAwQFBgcICQoLDA0ODwABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR"
        "4f\",\"credential\":\"AAAA\"}",
        401, "not one of this");
    assert_done(agent_list(&kbs.server, &agents, &err), &err);
    assert_int_equal(json_array_size(agents), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kbs_setup, kbs_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_record),
        TEST(test_unknown),
        TEST(test_only_admitted_is_admitted),
        TEST(test_enrolling_again),
        TEST(test_noting_keeps_the_state),
        TEST(test_an_admission_may_end),
        TEST(test_names),
        TEST(test_records_that_lie),
        TEST(test_list_and_delete),
        TEST(test_routes_without_rights),
        TEST(test_enrolment_without_roots),
        TEST(test_activation_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
