/* SPDX-License-Identifier: Apache-2.0 */
/* Agents that must attest again and again: who is late, who is shut out, and who comes in again. */
#include "tests/unit/kbs_fixture.h"

#include "kbs/server/agents/agent_gate.h"

#define SPKI   bytes_str("the DER of a key")
#define SPKI_2 bytes_str("the DER of another key")
#define EK     "e26431abe1694d931b62227c5e3019e3f0de8523e7bae1d3cee8108784176560"
#define EK_2   "a26431abe1694d931b62227c5e3019e3f0de8523e7bae1d3cee8108784176560"
#define UUID   "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

static char id[AGENT_ID_SIZE];

static json_t *create(struct bytes spki, const char *ek, enum agent_state state)
{
    json_t *agent = NULL;
    assert_done(agent_create(&kbs.server, spki, ek, state, &agent, &err), &err);
    return agent;
}

static int setup(void **state)
{
    if (kbs_setup(state) != 0)
        return -1;
    kbs.conf.agents.interval_ms = 60000;
    kbs.conf.agents.grace_ms = 10000;
    auto_json *agent = create(SPKI, EK, AGENT_ADMITTED);
    snprintf(id, sizeof id, "%s", json_member_text(agent, "id"));
    return 0;
}

static const char *shown(void)
{
    auto_json *agent = NULL, *attendance = NULL;
    assert_done(agent_find(&kbs.server, id, &agent, &err), &err);
    assert_done(attendance_load(&kbs.server, id, &attendance, &err), &err);
    return attendance_state(&kbs.server, agent, attendance);
}

static void attest(enum appraisal_status status)
{
    int64_t next_s = 0;
    assert_done(attendance_attested(&kbs.server, id, status, &next_s, &err), &err);
    assert_int_equal(next_s, kbs.conf.agents.interval_ms / 1000);
}

static bool is_late(void)
{
    bool late = false;
    assert_done(agent_check_late(&kbs.server, id, &late, &err), &err);
    return late;
}

static size_t events(const char *what)
{
    auto_json *attendance = NULL;
    size_t index, count = 0;
    const json_t *event;
    assert_done(attendance_load(&kbs.server, id, &attendance, &err), &err);
    json_array_foreach(json_object_get(attendance, "history"), index, event)
    {
        count += strcmp(json_member_text(event, "what"), what) == 0;
    }
    return count;
}

static void it_is_verified_until_it_is_due_and_late_after_the_grace(void **state)
{
    (void)state;
    assert_string_equal(shown(), "admitted");
    kbs.now += 100000; /* nothing is due of one that never came */
    assert_false(is_late());
    attest(APPRAISAL_AFFIRMING);
    assert_string_equal(shown(), "verified");
    kbs.now += 60;
    assert_string_equal(shown(), "attesting");
    kbs.now += 10;
    assert_false(is_late());
    assert_string_equal(shown(), "attesting");
    kbs.now += 1;
    assert_true(is_late());
    assert_string_equal(shown(), "late");
    assert_int_equal(events("late"), 1);
    assert_true(is_late()); /* told once */
    assert_int_equal(events("late"), 1);
}

static void attesting_in_time_goes_on(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        attest(APPRAISAL_AFFIRMING);
        kbs.now += 65;
        assert_false(is_late());
    }
    assert_int_equal(events("affirming"), 1); /* the history tells what changed */
    attest(APPRAISAL_WARNING);
    assert_int_equal(events("warning"), 1);
}

static void who_is_late_stays_out_until_an_administrator_says(void **state)
{
    (void)state;
    attest(APPRAISAL_AFFIRMING);
    kbs.now += 1000;
    assert_true(is_late());
    attest(APPRAISAL_AFFIRMING); /* coming too late is not enough */
    assert_string_equal(shown(), "late");
    auto_json *agent = NULL;
    assert_done(agent_find(&kbs.server, id, &agent, &err), &err);
    assert_done(attendance_admitted(&kbs.server, id, "ann", &err), &err);
    assert_done(agent_set_state(&kbs.server, agent, AGENT_ADMITTED, "ann", NULL, &err), &err);
    assert_false(is_late());
    assert_string_equal(shown(), "admitted");
}

static void who_left_is_not_late(void **state)
{
    (void)state;
    attest(APPRAISAL_AFFIRMING);
    assert_done(attendance_left(&kbs.server, id, &err), &err);
    kbs.now += 1000;
    assert_false(is_late());
    assert_string_equal(shown(), "admitted");
    assert_int_equal(events("left"), 1);
    attest(APPRAISAL_AFFIRMING);
    kbs.now += 71;
    assert_true(is_late());
}

static void the_sweep_finds_all_that_are_late(void **state)
{
    (void)state;
    auto_json *other = create(SPKI_2, EK_2, AGENT_ADMITTED);
    attest(APPRAISAL_AFFIRMING);
    kbs.now += 1000;
    assert_done(agent_sweep_late(&kbs.server, &err), &err);
    assert_string_equal(shown(), "late");
    auto_json *again = NULL;
    assert_done(agent_find(&kbs.server, json_member_text(other, "id"), &again, &err), &err);
    assert_int_equal(agent_state_of(again), AGENT_ADMITTED);
}

static void without_an_interval_nobody_is_late(void **state)
{
    (void)state;
    attest(APPRAISAL_AFFIRMING);
    kbs.conf.agents.interval_ms = 0;
    kbs.now += 100000;
    assert_false(is_late());
    assert_string_equal(shown(), "admitted");
}

static void a_revoked_agent_is_not_gated_otherwise(void **state)
{
    (void)state;
    auto_json *agent = NULL;
    bool gated = true;
    assert_done(agent_find(&kbs.server, id, &agent, &err), &err);
    assert_done(agent_set_state(&kbs.server, agent, AGENT_REVOKED, "ann", NULL, &err), &err);
    assert_done(agent_gate(&kbs.server, id, AGENT_LATE, "x", &gated, &err), &err);
    assert_false(gated);
    assert_string_equal(shown(), "revoked");
}

static void a_uuid_is_one_machine(void **state)
{
    (void)state;
    char other[AGENT_ID_SIZE];
    auto_json *agent = NULL, *found = NULL;
    auto_json *same = create(SPKI_2, EK, AGENT_REGISTERED); /* another key of the machine */
    auto_json *twin = create(bytes_str("a third"), EK_2, AGENT_REGISTERED); /* another machine */
    assert_done(agent_find(&kbs.server, id, &agent, &err), &err);
    assert_done(agent_claim_uuid(&kbs.server, agent, UUID, other, &err), &err);
    assert_string_equal(other, "");
    assert_done(agent_claim_uuid(&kbs.server, agent, UUID, other, &err), &err);
    assert_string_equal(other, "");
    assert_done(agent_claim_uuid(&kbs.server, twin, UUID, other, &err), &err);
    assert_string_equal(other, id);
    assert_done(agent_find(&kbs.server, UUID, &found, &err), &err);
    assert_string_equal(json_member_text(found, "id"), id);
    assert_done(agent_claim_uuid(&kbs.server, same, UUID, other, &err), &err);
    assert_string_equal(other, "");
    json_unref(take_ptr(found));
    assert_done(agent_find(&kbs.server, UUID, &found, &err), &err);
    assert_string_equal(json_member_text(found, "id"), json_member_text(same, "id"));
    assert_done(agent_assign_uuid(&kbs.server, twin, UUID, &err), &err);
    json_unref(take_ptr(found));
    assert_done(agent_find(&kbs.server, UUID, &found, &err), &err);
    assert_string_equal(json_member_text(found, "id"), json_member_text(twin, "id"));
}

static void other_records_are_no_agents(void **state)
{
    (void)state;
    char other[AGENT_ID_SIZE];
    auto_json *agent = NULL, *agents = NULL;
    assert_done(agent_find(&kbs.server, id, &agent, &err), &err);
    assert_done(agent_claim_uuid(&kbs.server, agent, UUID, other, &err), &err);
    attest(APPRAISAL_AFFIRMING);
    assert_done(agent_list(&kbs.server, &agents, &err), &err);
    assert_int_equal(json_array_size(agents), 1);
    assert_done(agent_delete(&kbs.server, agent, &err), &err);
    assert_done(attendance_delete(&kbs.server, id, &err), &err);
    assert_done(attendance_delete(&kbs.server, id, &err), &err); /* nothing is there any more */
}

static void the_history_is_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * ATTENDANCE_HISTORY; i++)
        assert_done(attendance_note(&kbs.server, id, "enrolled", NULL, NULL, &err), &err);
    assert_done(attendance_note(&kbs.server, id, "revoked", "ann", NULL, &err), &err);
    assert_int_equal(events("enrolled"), ATTENDANCE_HISTORY - 1);
    assert_int_equal(events("revoked"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, kbs_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(it_is_verified_until_it_is_due_and_late_after_the_grace),
        TEST(attesting_in_time_goes_on),
        TEST(who_is_late_stays_out_until_an_administrator_says),
        TEST(who_left_is_not_late),
        TEST(the_sweep_finds_all_that_are_late),
        TEST(without_an_interval_nobody_is_late),
        TEST(a_revoked_agent_is_not_gated_otherwise),
        TEST(a_uuid_is_one_machine),
        TEST(other_records_are_no_agents),
        TEST(the_history_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
