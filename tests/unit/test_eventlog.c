/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <stdlib.h>

#include "attest/verify/eventlog.h"
#include "crypt/base/b64.h"
#include "crypt/base/file.h"

#define CCEL            TEST_SOURCE_DIR "/vectors/eventlog/ccel.bin"
#define TPM             TEST_SOURCE_DIR "/vectors/eventlog/tpm.bin"
#define PCR0            "6ef88caea18efa1870d184b77fcacdda9e3e48f4e6138baf167c9c9091aea5e1"
#define PCR0_LOCALITY_0 "029564541f665fbf13d461bfb7f5d683bb949bf69d0b91f6ce2a1acf09b7087a"
#define PCR1            "3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969"
#define PCR4            "dd50c8da0f899f655b4305d2438663c1b3da6d1922a0c8226533ac417abcd523"
#define PCR9            "5c1d070ec5d29dc510a2b42e695f04c04407f7b9454a63b65727c3e1b8ccfbc1"
#define BAD             TEST_SOURCE_DIR "/bad/eventlog"

static void load(const char *path, struct buf *out)
{
    struct err err = ERR_INIT;
    assert_done(file_read(path, EVENTLOG_MAX, out, &err), &err);
}

static void assert_hex(struct bytes got, const char *wanted)
{
    char text[2 * HASH_SIZE_MAX + 1];
    hex_encode(got, text);
    assert_string_equal(text, wanted);
}

static void a_ccel_is_read(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf raw = BUF_INIT(EVENTLOG_MAX);
    auto_eventlog log = {0};
    bool matches = false;
    load(CCEL, &raw);
    assert_done(eventlog_parse(buf_bytes(&raw), &log, &err), &err);
    assert_int_equal(log.count, 19);
    assert_int_equal(log.alg_count, 1);
    assert_int_equal(log.algs[0], EVENTLOG_SHA384);
    assert_int_equal(log.events[0].type, EV_NO_ACTION);
    const struct eventlog_event *aael = &log.events[17];
    assert_int_equal(aael->index, 4);
    assert_int_equal(aael->type, EV_EVENT_TAG);
    assert_int_equal(aael->digest_count, 1);
    assert_hex(eventlog_digest_of(aael, EVENTLOG_SHA384)->value,
        "dad5f0e226318ffa9839b75a472c6aa7fdb5834949d0a0a22990cf04d5692440"
        "fb00f3aa0609db7e49cd8d793f670d02");
    assert_done(eventlog_digest_matches(aael, &aael->digests[0], &matches, &err), &err);
    assert_true(matches);
    assert_done(
        eventlog_digest_matches(&log.events[1], log.events[1].digests, &matches, &err), &err);
    assert_false(matches); /* of the table, not of its name */
    assert_null(eventlog_digest_of(aael, EVENTLOG_SHA256));
}

static void one_event(uint32_t index, const char *hex, struct eventlog_event *ret_event)
{
    static uint8_t values[8][48];
    static size_t used;
    struct err err = ERR_INIT;
    uint8_t *value = values[used++ % 8];
    assert_done(hex_decode(bytes_str(hex), "digest", value, 48, &err), &err);
    *ret_event = (struct eventlog_event){.index = index,
        .type = EV_SEPARATOR,
        .digests = {{EVENTLOG_SHA384, bytes_of(value, 48)}},
        .digest_count = 1};
}

/* Digests and registers of a guest in the field (Trustee's first sample). */
static void rtmrs_of_a_real_guest(void **state)
{
    (void)state;
    static const char separator[] =
        "394341b7182cd227c5c6b07ef8000cdfd86136c4292b8e576573ad7ed9ae4101"
        "9f5818b4b971c9effc60e1ad9f1289f0";
    struct err err = ERR_INIT;
    struct eventlog_event events[5];
    struct eventlog log = {.events = events, .count = 5};
    struct hash rtmrs[EVENTLOG_RTMRS];
    char zeros[97] = "";
    memset(zeros, '0', 96);
    one_event(1,
        "c6e6d33de4104b8196acfb57a9866ef6a85d413e86c1be96486e857b464591f4"
        "e2d252414346e9b98960246d2219a0eb",
        &events[0]);
    one_event(1, separator, &events[1]);
    one_event(2, separator, &events[2]);
    one_event(2,
        "5b7aa6572f649714ff00b6a2b9170516a068fd1a0ba72aa8de27574131d454e6"
        "396d3bfa1727d9baf421618a942977fa",
        &events[3]);
    one_event(2,
        "64ed1e5a47e8632f80faf428465bd987af3e8e4ceb10a5a9f387b6302e30f499"
        "3bded2331f0691c4a38ad34e4cbbc627",
        &events[4]);
    assert_done(eventlog_replay_rtmrs(&log, rtmrs, &err), &err);
    assert_hex(hash_view(&rtmrs[0]),
        "2dc712306a963eadb894ad47dbaa17df44814151555aee11cbb843becca88950"
        "ffd079664902e6f22c66f7c8213543f4");
    assert_hex(hash_view(&rtmrs[1]),
        "0fa3be56af61208bbd179dc7b124988eb929319154663c539d6f46445ecac2fe"
        "c287075047ff7bd1922829fec28cd3cf");
    assert_hex(hash_view(&rtmrs[2]), zeros);
    assert_hex(hash_view(&rtmrs[3]), zeros);
    events[0].index = 0; /* MRTD is no register that is extended, nor is what lies above RTMR 3 */
    events[1].index = 5;
    assert_done(eventlog_replay_rtmrs(&log, rtmrs, &err), &err);
    assert_hex(hash_view(&rtmrs[0]), zeros);
}

/* What does not extend in a TPM does here: a record slipped in under EV_NO_ACTION is noticed. */
static void no_action_counts_in_rtmrs(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct eventlog_event event;
    struct eventlog log = {.events = &event, .count = 1};
    struct hash with[EVENTLOG_RTMRS], without[EVENTLOG_RTMRS];
    char zeros[97] = "";
    memset(zeros, '0', 96);
    one_event(1, zeros, &event);
    event.type = EV_NO_ACTION;
    assert_done(eventlog_replay_rtmrs(&log, with, &err), &err);
    log.count = 0;
    assert_done(eventlog_replay_rtmrs(&log, without, &err), &err);
    assert_memory_not_equal(with[0].data, without[0].data, 48);
}

/* Computed apart, with hashlib: make_eventlog.py's replay(). */
static void pcrs_of_a_tpm(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf raw = BUF_INIT(EVENTLOG_MAX);
    auto_eventlog log = {0};
    struct eventlog_pcr pcrs[EVENTLOG_PCRS];
    static const uint8_t ones[32] = {[0 ... 31] = 0xff}, zeros[32];
    load(TPM, &raw);
    assert_done(eventlog_parse(buf_bytes(&raw), &log, &err), &err);
    assert_int_equal(log.alg_count, 2);
    assert_done(eventlog_replay_pcrs(&log, pcrs, &err), &err);
    assert_hex(bytes_of(pcrs[0].value, 32), PCR0);
    assert_hex(bytes_of(pcrs[1].value, 32), PCR1);
    assert_hex(bytes_of(pcrs[4].value, 32), PCR4);
    assert_hex(bytes_of(pcrs[9].value, 32), PCR9);
    assert_int_equal(pcrs[0].events, 2);
    assert_int_equal(pcrs[4].events, 2);
    assert_int_equal(pcrs[9].events, 1);
    assert_int_equal(pcrs[10].events, 0);
    assert_memory_equal(pcrs[10].value, zeros, 32);
    assert_memory_equal(pcrs[17].value, ones, 32);
    assert_memory_equal(pcrs[22].value, ones, 32);
    assert_memory_equal(pcrs[16].value, zeros, 32);
    assert_memory_equal(pcrs[23].value, zeros, 32);
}

/* Only before PCR 0 was extended: later it would rewrite history. */
static void locality_comes_first(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf raw = BUF_INIT(EVENTLOG_MAX);
    auto_eventlog log = {0};
    struct eventlog_pcr pcrs[EVENTLOG_PCRS];
    load(TPM, &raw);
    assert_done(eventlog_parse(buf_bytes(&raw), &log, &err), &err);
    assert_int_equal(log.events[0].type, EV_NO_ACTION);
    struct eventlog_event locality = log.events[0];
    log.events[0] = log.events[1];
    log.events[1] = locality;
    assert_done(eventlog_replay_pcrs(&log, pcrs, &err), &err);
    assert_hex(bytes_of(pcrs[0].value, 32), PCR0_LOCALITY_0);
}

static void a_pcr_that_is_none_is_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct eventlog_event event = {.index = 24, .type = EV_IPL};
    struct eventlog log = {.events = &event, .count = 1};
    struct eventlog_pcr pcrs[EVENTLOG_PCRS];
    assert_refused(eventlog_replay_pcrs(&log, pcrs, &err), &err, ERR_FORMAT, "no PCR 24");
    event.index = 9;
    assert_refused(eventlog_replay_pcrs(&log, pcrs, &err), &err, ERR_FORMAT, "without a SHA-256");
    event.index = 0xffffffff;
    event.type = EV_NO_ACTION; /* as some firmware writes */
    assert_done(eventlog_replay_pcrs(&log, pcrs, &err), &err);
}

static const struct {
    const char *reason, *text;
} reasons[] = {
    {"empty", "first record is cut short"},
    {"first-cut", "first record is cut short"},
    {"first-algorithms-cut", "list of algorithms is cut short"},
    {"first-length-lies", "first record is cut short"},
    {"first-no-spec-id", "no \"Spec ID Event03\""},
    {"first-of-tpm-1.2", "type 00000004, not EV_NO_ACTION"},
    {"first-no-algorithm", "announces 0 digest algorithms"},
    {"first-algorithm-count-overflow", "announces 1073741825 digest algorithms"},
    {"first-unknown-algorithm", "unknown digest algorithm 0027"},
    {"first-wrong-digest-size", "SHA-384 with 32 bytes instead of 48"},
    {"first-algorithm-twice", "SHA-384 is announced twice"},
    {"first-vendor-cut", "first record has a wrong length"},
    {"first-trailing", "first record has a wrong length"},
    {"record-cut", "record 2 at byte 161: cut short"},
    {"record-padding-of-7", "record 2 at byte 161: cut short"},
    {"unknown-type", "record 1 at byte 69: unknown type 80000fff"},
    {"digest-count-cut", "record 1 at byte 69: cut short"},
    {"digest-count-overflow", "more digests than algorithms"},
    {"digest-count-three", "more digests than algorithms"},
    {"digest-list-cut", "list of digests is cut short"},
    {"digest-cut", "a digest is cut short"},
    {"digest-unknown-algorithm", "does not announce"},
    {"digest-not-announced", "does not announce"},
    {"digest-twice", "two digests of one algorithm"},
    {"event-length-cut", "event data is cut short"},
    {"event-cut", "record 2 at byte 161: its event data is cut short"},
    {"event-length-overflow", "event data is cut short"},
};

static const char *text_for(const char *file)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        size_t len = strlen(reasons[i].reason);
        if (strncmp(reasons[i].reason, file, len) == 0 && strcmp(file + len, ".bin") == 0)
            return reasons[i].text;
    }
    fail_msg("no reason is known for %s", file);
    return NULL;
}

static void bad_logs_are_refused_for_their_reason(void **state)
{
    (void)state;
    size_t count = 0;
    DIR *directory = opendir(BAD);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        struct err err = ERR_INIT;
        auto_buf raw = BUF_INIT(EVENTLOG_MAX);
        auto_eventlog log = {0};
        char path[512];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", BAD, entry->d_name);
        load(path, &raw);
        if (eventlog_parse(buf_bytes(&raw), &log, &err))
            fail_msg("%s was taken", entry->d_name);
        if (err.code != ERR_FORMAT || !strstr(err.message, text_for(entry->d_name)))
            fail_msg("%s: %s", entry->d_name, err.message);
        count++;
    }
    closedir(directory);
    assert_int_equal(count, ARRAY_LEN(reasons));
}

/* Each cut is refused, or leaves whole records of the log and no more. */
static void every_cut(void **state)
{
    (void)state;
    auto_buf raw = BUF_INIT(EVENTLOG_MAX);
    size_t whole = 0;
    load(TPM, &raw);
    for (size_t len = 0; len < raw.len; len++) {
        struct err err = ERR_INIT;
        auto_eventlog log = {0};
        auto_free uint8_t *copy = malloc(len + !len); /* so that a sanitizer sees the end */
        assert_non_null(copy);
        memcpy(copy, raw.data, len);
        if (eventlog_parse(bytes_of(copy, len), &log, &err))
            assert_int_equal(log.count, whole++);
        else
            assert_int_equal(err.code, ERR_FORMAT);
    }
    assert_int_equal(whole, 12);
}

static void giants_are_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf raw = BUF_INIT(2 * EVENTLOG_MAX);
    auto_eventlog log = {0};
    static const uint8_t record[16] = {4, [4] = 0xd}; /* no digest, no data */
    load(CCEL, &raw);
    buf_truncate(&raw, 32 + 36); /* its first record alone: one algorithm, 3 bytes of vendor */
    while (raw.len < EVENTLOG_MAX)
        assert_done(buf_append(&raw, bytes_of(record, sizeof record), &err), &err);
    assert_refused(eventlog_parse(bytes_of(raw.data, EVENTLOG_MAX), &log, &err), &err, ERR_FORMAT,
        "more than 4096 records");
    assert_done(buf_append(&raw, bytes_of(record, sizeof record), &err), &err);
    assert_refused(
        eventlog_parse(buf_bytes(&raw), &log, &err), &err, ERR_FORMAT, "at most 1048576 are taken");
}

static void padding_ends_a_log(void **state)
{
    (void)state;
    for (int pad = 0; pad <= 0xff; pad += 0xff) {
        struct err err = ERR_INIT;
        auto_buf raw = BUF_INIT(EVENTLOG_MAX);
        auto_eventlog log = {0};
        uint8_t padding[4096];
        memset(padding, pad, sizeof padding);
        load(TPM, &raw);
        assert_done(buf_append(&raw, bytes_of(padding, sizeof padding), &err), &err);
        assert_done(eventlog_parse(buf_bytes(&raw), &log, &err), &err);
        assert_int_equal(log.count, 12);
    }
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(eventlog_type_name(0), "EV_PREBOOT_CERT");
    assert_string_equal(eventlog_type_name(EV_EFI_VARIABLE_AUTHORITY), "EV_EFI_VARIABLE_AUTHORITY");
    assert_null(eventlog_type_name(0x13));
    assert_string_equal(eventlog_alg_name(EVENTLOG_SM3), "SM3");
    assert_null(eventlog_alg_name(0x27));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ccel_is_read),
        cmocka_unit_test(rtmrs_of_a_real_guest),
        cmocka_unit_test(no_action_counts_in_rtmrs),
        cmocka_unit_test(pcrs_of_a_tpm),
        cmocka_unit_test(locality_comes_first),
        cmocka_unit_test(a_pcr_that_is_none_is_refused),
        cmocka_unit_test(bad_logs_are_refused_for_their_reason),
        cmocka_unit_test(every_cut),
        cmocka_unit_test(giants_are_refused),
        cmocka_unit_test(padding_ends_a_log),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
