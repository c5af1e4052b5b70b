/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "attest/verify/tpm_log.h"
#include "crypt/base/file.h"

#define TPM TEST_SOURCE_DIR "/vectors/eventlog/tpm.bin"

struct guest {
    struct buf log;
    uint8_t pcrs[EVENTLOG_PCRS][32];
    json_t *claims;
};

static int set_up(void **state)
{
    static struct guest guest;
    struct err err = ERR_INIT;
    auto_eventlog log = {0};
    struct eventlog_pcr replayed[EVENTLOG_PCRS];
    guest = (struct guest){.log = BUF_INIT(EVENTLOG_MAX), .claims = json_object()};
    assert_done(file_read(TPM, EVENTLOG_MAX, &guest.log, &err) &&
                    eventlog_parse(buf_bytes(&guest.log), &log, &err) &&
                    eventlog_replay_pcrs(&log, replayed, &err),
        &err);
    for (size_t i = 0; i < EVENTLOG_PCRS; i++)
        memcpy(guest.pcrs[i], replayed[i].value, 32);
    *state = &guest;
    return 0;
}

static int tear_down(void **state)
{
    struct guest *guest = *state;
    buf_done(&guest->log);
    json_unref(guest->claims);
    return 0;
}

static const json_t *look(struct guest *guest, const char *wanted_status)
{
    struct err err = ERR_INIT;
    assert_done(tpm_log_claims(
                    buf_bytes(&guest->log), (const uint8_t(*)[32])guest->pcrs, guest->claims, &err),
        &err);
    const json_t *status = json_object_get(guest->claims, "event_log");
    assert_string_equal(json_member_text(status, "status"), wanted_status);
    return status;
}

static void assert_list(const json_t *status, const char *name, const char *wanted)
{
    auto_free char *text = json_text(json_object_get(status, name));
    assert_string_equal(text, wanted);
}

static void a_log_that_leads_to_the_quote(void **state)
{
    struct guest *guest = *state;
    const json_t *status = look(guest, "replayed");
    assert_list(status, "pcrs", "[0,1,2,3,4,5,6,7,9]");
    assert_list(status, "differs", "[]");
    assert_list(status, "unlogged", "[]");
    assert_int_equal(json_array_size(json_object_get(guest->claims, "uefi_event_logs")), 11);
}

/* What userspace extends on its own does not spoil the rest. */
static void pcrs_that_the_log_does_not_know(void **state)
{
    struct guest *guest = *state;
    guest->pcrs[11][5] = 1;
    guest->pcrs[17][5] = 1;
    const json_t *status = look(guest, "replayed");
    assert_list(status, "unlogged", "[11,17]");
}

static void a_pcr_that_is_not_as_logged(void **state)
{
    struct guest *guest = *state;
    size_t index;
    json_t *entry;
    guest->pcrs[4][0] ^= 1;
    const json_t *status = look(guest, "differs");
    assert_list(status, "pcrs", "[0,1,2,3,5,6,7,9]");
    assert_list(status, "differs", "[4]");
    json_t *events = json_object_get(guest->claims, "uefi_event_logs");
    assert_int_equal(json_array_size(events), 9);
    json_array_foreach(events, index, entry)
        assert_int_not_equal(json_integer_value(json_object_get(entry, "index")), 4);
}

static void a_malformed_log_explains_nothing(void **state)
{
    struct guest *guest = *state;
    buf_truncate(&guest->log, guest->log.len - 1);
    const json_t *status = look(guest, "malformed");
    assert_non_null(strstr(json_member_text(status, "problem"), "cut short"));
    assert_null(json_object_get(guest->claims, "uefi_event_logs"));
    assert_null(json_object_get(status, "pcrs"));
}

#define WITH_GUEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_GUEST(a_log_that_leads_to_the_quote),
        WITH_GUEST(pcrs_that_the_log_does_not_know),
        WITH_GUEST(a_pcr_that_is_not_as_logged),
        WITH_GUEST(a_malformed_log_explains_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
