/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/kbs_fixture.h"

#include <pthread.h>

#include "crypt/base/clock.h"
#include "kbs/server/policy/policy_engine.h"
#include "kbs/server/policy/policy_versions.h"

#define ID "resource-policy"

static uint32_t set(const char *text, const char *who)
{
    uint32_t number = 0;
    assert_done(policy_engine_set(&kbs.server, ID, bytes_str(text), who, &number, &err), &err);
    return number;
}

static void assert_text(uint32_t version, const char *wanted)
{
    auto_buf text = BUF_INIT(POLICY_TEXT_MAX);
    assert_done(policy_engine_text(&kbs.server, ID, version, &text, &err), &err);
    assert_string_equal(buf_text(&text), wanted);
}

static void texts_are_kept(void **state)
{
    (void)state;
    auto_json *list = NULL;
    char when[CLOCK_TEXT_SIZE];
    kbs.conf.policy.versions = 3;
    assert_text(0, POLICY_DEFAULT);
    assert_int_equal(set("allow a/**\n", "admin/a"), 1);
    assert_int_equal(set("allow b/** # \"quoted\" \xc3\xa9\n", "admin/b"), 2);
    assert_int_equal(set("allow c/**\n", "admin/c"), 3);
    assert_int_equal(set("allow d/**\n", "admin/d"), 4);
    assert_text(0, "allow d/**\n");
    assert_text(2, "allow b/** # \"quoted\" \xc3\xa9\n");
    auto_buf gone = BUF_INIT(POLICY_TEXT_MAX);
    assert_refused(policy_engine_text(&kbs.server, ID, 1, &gone, &err), &err, ERR_NOTFOUND,
        "version 1 is not kept");
    assert_done(policy_engine_versions(&kbs.server, ID, &list, &err), &err);
    assert_int_equal(json_array_size(list), 3);
    const json_t *first = json_array_get(list, 0);
    assert_int_equal(json_integer_value(json_object_get(first, "version")), 4);
    assert_string_equal(json_member_text(first, "set_by"), "admin/d");
    clock_rfc3339(kbs.now, when);
    assert_string_equal(json_member_text(first, "set_at"), when);
    /* taken away, its versions stay */
    assert_done(policy_engine_unset(&kbs.server, ID, &err), &err);
    assert_text(0, POLICY_DEFAULT);
    assert_text(4, "allow d/**\n");
    assert_refused(policy_engine_unset(&kbs.server, ID, &err), &err, ERR_NOTFOUND, ID);
}

static void a_refused_text_changes_nothing(void **state)
{
    (void)state;
    uint32_t number = 77;
    auto_json *list = NULL;
    set("allow a/**\n", "admin");
    assert_refused(
        policy_engine_set(&kbs.server, ID, bytes_str("allow a/**\nnonsense"), "x", &number, &err),
        &err, ERR_FORMAT, "line 2");
    assert_refused(policy_engine_set(&kbs.server, ID, bytes_str("package policy\nallow := true\n"),
                       "x", &number, &err),
        &err, ERR_FORMAT, "this is Rego, which needs [policy] engine = opa");
    assert_refused(
        policy_engine_set(&kbs.server, "default_cpu", bytes_str("allow **"), "x", &number, &err),
        &err, ERR_CONFIG, "takes no attestation policy");
    assert_refused(
        policy_engine_set(&kbs.server, "../x", bytes_str("allow **"), "x", &number, &err), &err,
        ERR_FORMAT, "policy id");
    assert_int_equal(number, 77);
    assert_text(0, "allow a/**\n");
    assert_done(policy_engine_versions(&kbs.server, ID, &list, &err), &err);
    assert_int_equal(json_array_size(list), 1);
}

/* A directory from before: its text becomes the first version, by nobody known. */
static void what_was_there_before_is_a_version(void **state)
{
    (void)state;
    auto_json *list = NULL;
    assert_done(
        store_put(kbs.server.store, STORE_POLICY, ID, bytes_str("allow old/**\n"), &err), &err);
    assert_int_equal(set("allow new/**\n", "admin"), 2);
    assert_text(1, "allow old/**\n");
    assert_done(policy_engine_versions(&kbs.server, ID, &list, &err), &err);
    assert_null(json_member_text(json_array_get(list, 1), "set_by"));
}

static bool some_failed;

static void *set_many(void *arg)
{
    (void)arg;
    struct policy_version version = {.id = ID, .who = "somebody", .now = 1, .keep = 1000};
    struct err mine = ERR_INIT;
    for (int i = 0; i < 20; i++) {
        uint32_t number;
        if (!policy_versions_add(kbs.server.store, &version, bytes_str("deny **"), &number, &mine))
            some_failed = true;
    }
    return NULL;
}

static void a_number_is_given_once(void **state)
{
    (void)state;
    pthread_t threads[4];
    auto_json *list = NULL;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, set_many, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_false(some_failed);
    assert_done(policy_versions_list(kbs.server.store, ID, &list, &err), &err);
    assert_int_equal(json_array_size(list), 80);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "version")), 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(texts_are_kept, kbs_setup, kbs_teardown),
        cmocka_unit_test_setup_teardown(a_refused_text_changes_nothing, kbs_setup, kbs_teardown),
        cmocka_unit_test_setup_teardown(
            what_was_there_before_is_a_version, kbs_setup, kbs_teardown),
        cmocka_unit_test_setup_teardown(a_number_is_given_once, kbs_setup, kbs_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
