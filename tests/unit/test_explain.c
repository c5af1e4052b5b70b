/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/kbs_fixture.h"

#include <fcntl.h>

#include "crypt/base/clock.h"
#include "kbs/server/explain.h"
#include "kbs/server/refvalue.h"

static const struct explain_entry sample_entry = {
    .kind = "policy", .resource = "default/key/1", .tee = "tpm", .summary = "denied by line 3"};

/* What an administrator would get; NULL when refused. The caller frees it. */
static json_t *answer_of(const char *path)
{
    struct response response;
    struct request request = {.method = REQUEST_GET};
    json_t *json = NULL;
    for (const struct route *route = explain_routes; route->handler; route++) {
        size_t len = strcspn(route->pattern, "*");
        bool exact = route->pattern[len] == '\0';
        if (exact ? strcmp(route->pattern, path) != 0 : strncmp(route->pattern, path, len) != 0)
            continue;
        assert_int_equal(route->auth, AUTH_ADMIN);
        request.rest = exact ? "" : path + len;
        response_init(&response);
        if (route->handler(&kbs.server, &request, &response, &err))
            assert_done(json_load_strict(
                            buf_bytes(&response.body), RESPONSE_BODY_MAX, "answer", &json, &err),
                &err);
        response_done(&response);
        return json;
    }
    fail_msg("no route for %s", path);
    return NULL;
}

static json_t *explanation(const char *id)
{
    char path[128];
    snprintf(path, sizeof path, "/kbs/v0/explanation/%s", id);
    return answer_of(path);
}

static void test_record(void **state)
{
    (void)state;
    char id[EXPLAIN_ID_SIZE], other[EXPLAIN_ID_SIZE];
    auto_json *findings = NULL;
    struct explain_entry entry = sample_entry;
    assert_done(json_build(&findings, &err, "[{s:s, s:s, s:[s], s:s, s:b}]", "claim", "tpm.pcr11",
                    "got", "aa", "expected", "bb", "rule", "reference value tpm_pcr11", "match", 0),
        &err);
    entry.findings = findings;
    assert_done(explain_record(&kbs.server, &entry, id, &err), &err);
    assert_done(explain_record(&kbs.server, &sample_entry, other, &err), &err);
    assert_string_not_equal(id, other);
    assert_int_equal(strspn(id, "0123456789abcdef"), 32);
    auto_json *got = explanation(id);
    assert_non_null(got);
    assert_string_equal(json_member_text(got, "id"), id);
    assert_string_equal(json_member_text(got, "kind"), "policy");
    assert_string_equal(json_member_text(got, "resource"), "default/key/1");
    assert_string_equal(json_member_text(got, "summary"), "denied by line 3");
    assert_true(json_is_null(json_object_get(got, "agent")));
    assert_true(json_equal(json_object_get(got, "findings"), findings));
    auto_json *bare = explanation(other);
    assert_int_equal(json_array_size(json_object_get(bare, "findings")), 0);
}

static void test_no_such(void **state)
{
    (void)state;
    assert_null(explanation("00112233445566778899aabbccddeeff"));
    assert_int_equal(err.code, ERR_NOTFOUND);
    static const char *const wrong[] = {"x", "0011", "00112233445566778899AABBCCDDEEFF",
        "../../../repository/default/key/1", "00112233445566778899aabbccddeeff0"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_null(explanation(wrong[i]));
        assert_int_equal(err.code, ERR_FORMAT);
    }
}

static void test_list(void **state)
{
    (void)state;
    char ids[3][EXPLAIN_ID_SIZE];
    auto_json *none = answer_of("/kbs/v0/explanation");
    assert_int_equal(json_array_size(none), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_done(explain_record(&kbs.server, &sample_entry, ids[i], &err), &err);
        kbs.now++;
    }
    auto_json *list = answer_of("/kbs/v0/explanation");
    assert_int_equal(json_array_size(list), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *entry = json_array_get(list, i);
        assert_string_equal(json_member_text(entry, "id"), ids[2 - i]); /* newest first */
        assert_null(json_object_get(entry, "findings"));
    }
}

/* The store is looked at once in 64 records, so that many are written here. */
static void test_bounded(void **state)
{
    (void)state;
    char id[EXPLAIN_ID_SIZE], path[256];
    auto_json *keys = NULL;
    assert_done(explain_record(&kbs.server, &sample_entry, id, &err), &err);
    for (unsigned i = 0; i < EXPLAIN_COUNT + 100; i++) {
        snprintf(path, sizeof path, "%s/explanation/%012u-%032u", kbs.root, i, i);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    for (int i = 0; i < 64; i++)
        assert_done(explain_record(&kbs.server, &sample_entry, id, &err), &err);
    assert_done(store_list(kbs.server.store, STORE_EXPLANATION, &keys, &err), &err);
    assert_true(json_array_size(keys) < EXPLAIN_COUNT + 64);
    auto_json *newest = explanation(id);
    assert_non_null(newest);
    auto_json *listed = answer_of("/kbs/v0/explanation/00000000000000000000000000000000");
    assert_null(listed); /* the oldest is gone */
    assert_int_equal(err.code, ERR_NOTFOUND);
}

/* A stranger can cause as many refusals of evidence as it likes. */
static void test_flood(void **state)
{
    (void)state;
    char precious[EXPLAIN_ID_SIZE], id[EXPLAIN_ID_SIZE], path[256];
    auto_json *keys = NULL;
    const struct explain_entry denial = {.kind = "policy", .summary = "denied"};
    const struct explain_entry noise = {.kind = "evidence", .summary = "noise"};
    assert_done(explain_record(&kbs.server, &denial, precious, &err), &err);
    for (unsigned i = 0; i < EXPLAIN_COUNT + 100; i++) {
        snprintf(path, sizeof path, "%s/explanation/999999999999-%032u.u", kbs.root, i);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    for (int i = 0; i < 64; i++)
        assert_done(explain_record(&kbs.server, &noise, id, &err), &err);
    assert_done(store_list(kbs.server.store, STORE_EXPLANATION, &keys, &err), &err);
    assert_true(json_array_size(keys) < EXPLAIN_COUNT + 1 + 64);
    auto_json *kept = explanation(precious);
    assert_non_null(kept);
    assert_string_equal(json_member_text(kept, "summary"), "denied");
}

static void test_appraisal(void **state)
{
    (void)state;
    auto_json *shaped = NULL, *values = NULL, *findings = json_array();
    assert_done(
        json_build(&shaped, &err, "{s:{s:s, s:s}}", "tpm", "pcr11", "aa", "pcr07", "cc"), &err);
    assert_done(
        json_build(&values, &err, "{s:[s], s:[s]}", "tpm_pcr11", "bb", "tpm_pcr07", "CC"), &err);
    assert_done(explain_appraisal("tpm", shaped, values, findings, &err), &err);
    assert_int_equal(json_array_size(findings), 2);
    const json_t *pcr11 = json_array_get(findings, 0);
    assert_string_equal(json_member_text(pcr11, "claim"), "tpm.pcr11");
    assert_string_equal(json_member_text(pcr11, "got"), "aa");
    assert_true(json_is_false(json_object_get(pcr11, "match")));
    assert_true(json_is_true(json_object_get(json_array_get(findings, 1), "match")));
    assert_done(explain_appraisal("sample", shaped, values, findings, &err), &err);
    assert_int_equal(json_array_size(findings), 2); /* no claims of that TEE: nothing to say */
}

static void register_value(const char *name, int64_t expires)
{
    struct refvalue_change change = {.operation = REFVALUE_SET, .expires = expires};
    const struct refvalue_setter setter = {.by = "ann", .now = kbs.now};
    assert_done(json_build(&change.values, &err, "{s:[s]}", name, "aa"), &err);
    assert_done(refvalue_apply(kbs.server.store, &change, &setter, &err), &err);
    refvalue_change_done(&change);
}

/* What was recorded about a finding whose reference value is missing. malloc'd. */
static char *note_on(const char *rule)
{
    char id[EXPLAIN_ID_SIZE];
    auto_json *findings = NULL;
    struct explain_entry entry = sample_entry;
    assert_done(json_build(&findings, &err, "[{s:s, s:s, s:n, s:s, s:b}]", "claim", "tpm.pcr11",
                    "got", "aa", "expected", "rule", rule, "match", 0),
        &err);
    entry.findings = findings;
    assert_done(explain_record(&kbs.server, &entry, id, &err), &err);
    auto_json *got = explanation(id);
    const char *note =
        json_member_text(json_array_get(json_object_get(got, "findings"), 0), "note");
    return note ? strdup(note) : NULL;
}

static void test_notes(void **state)
{
    (void)state;
    register_value("tpm_pcr11", kbs.now + 60);
    kbs.now += 60;
    char end[CLOCK_TEXT_SIZE], wanted[200];
    clock_rfc3339(kbs.now, end);
    auto_free char *expired = note_on("reference value tpm_pcr11 (expired; register it again)");
    snprintf(wanted, sizeof wanted, "reference value tpm_pcr11 expired on %s;", end);
    assert_non_null(strstr(expired, wanted));
    auto_free char *slip = note_on("reference value tpm_pcr1 (a list that holds it)");
    assert_string_equal(slip, "no reference value named tpm_pcr1 is registered; the nearest name "
                              "there is: tpm_pcr11");
    auto_free char *far = note_on("reference value mr_td (a list that holds it)");
    assert_string_equal(far, "no reference value named mr_td is registered");
    assert_null(note_on("must be OK"));
}

static void test_guests_read_nothing(void **state)
{
    (void)state;
    kbs_assert_answer(
        kbs_ask(REQUEST_GET, "/kbs/v0/explanation", NULL, NULL), 401, "AdminAuthAccess");
    kbs_assert_answer(
        kbs_ask(REQUEST_GET, "/kbs/v0/explanation/00112233445566778899aabbccddeeff", NULL, NULL),
        401, "AdminAuthAccess");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kbs_setup, kbs_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_record),
        TEST(test_no_such),
        TEST(test_list),
        TEST(test_bounded),
        TEST(test_flood),
        TEST(test_appraisal),
        TEST(test_notes),
        TEST(test_guests_read_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
