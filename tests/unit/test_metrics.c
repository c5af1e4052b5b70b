/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/metrics.h"

#include <errno.h>

#include "tests/unit/unit.h"

static struct buf text;

static void write_text(const struct metrics_now *now)
{
    struct err err = ERR_INIT;
    buf_done(&text);
    text = (struct buf)BUF_INIT(65536);
    assert_done(metrics_text(now, &text, &err), &err);
}

static void assert_line(const char *line)
{
    char whole[256];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    if (!strstr(buf_text(&text), whole))
        fail_msg("no line '%s' in:\n%s", line, buf_text(&text));
}

static int reset(void **state)
{
    (void)state;
    metrics_reset();
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_done(&text);
    return 0;
}

static void outcomes_are_counted_apart(void **state)
{
    (void)state;
    metrics_served(METRICS_PLAIN, 10);
    metrics_served(METRICS_MEMORY, 40);
    metrics_served(METRICS_MEMORY, 60);
    metrics_served(METRICS_FETCHED, 20000);
    metrics_served(METRICS_STALE, 90000);
    metrics_refused(EACCES, 5);
    metrics_refused(EHOSTUNREACH, 40000000);
    metrics_refused(EINTR, 7);
    metrics_refused(ENAMETOOLONG, 7);
    write_text(&(struct metrics_now){.audit_lost = 1});
    assert_line("sealedfs_opens_total{verdict=\"served\",cause=\"plain\"} 1");
    assert_line("sealedfs_opens_total{verdict=\"served\",cause=\"memory\"} 2");
    assert_line("sealedfs_opens_total{verdict=\"served\",cause=\"fetched\"} 1");
    assert_line("sealedfs_opens_total{verdict=\"served\",cause=\"stale\"} 1");
    assert_line("sealedfs_opens_total{verdict=\"refused\",cause=\"EACCES\"} 1");
    assert_line("sealedfs_opens_total{verdict=\"refused\",cause=\"EHOSTUNREACH\"} 1");
    assert_line("sealedfs_opens_total{verdict=\"refused\",cause=\"EKEYREVOKED\"} 0");
    assert_line("sealedfs_opens_total{verdict=\"refused\",cause=\"EINTR\"} 1");
    assert_line("sealedfs_opens_total{verdict=\"refused\",cause=\"other\"} 1");
    assert_line("sealedfs_audit_records_lost_total 1");
}

/* Buckets are cumulative, a bound belongs to its bucket, and +Inf is the count. */
static void times_are_cumulative(void **state)
{
    (void)state;
    metrics_served(METRICS_MEMORY, 50);
    metrics_served(METRICS_MEMORY, 51);
    metrics_served(METRICS_MEMORY, 31000000);
    write_text(&(struct metrics_now){0});
    assert_line("sealedfs_open_seconds_bucket{kind=\"at_once\",le=\"5e-05\"} 1");
    assert_line("sealedfs_open_seconds_bucket{kind=\"at_once\",le=\"0.0001\"} 2");
    assert_line("sealedfs_open_seconds_bucket{kind=\"at_once\",le=\"30\"} 2");
    assert_line("sealedfs_open_seconds_bucket{kind=\"at_once\",le=\"+Inf\"} 3");
    assert_line("sealedfs_open_seconds_count{kind=\"at_once\"} 3");
    assert_line("sealedfs_open_seconds_sum{kind=\"at_once\"} 31.000101");
    assert_line("sealedfs_open_seconds_count{kind=\"waited\"} 0");
}

static void the_present_is_told(void **state)
{
    (void)state;
    write_text(&(struct metrics_now){.generation = 3,
        .up_ms = 61500,
        .mounts = 2,
        .waiting = 4,
        .secrets = 5,
        .secret_bytes = 600,
        .handshakes = 7,
        .has_token = true,
        .token_expires_at = 1795410622,
        .ready = true});
    assert_line("sealedfs_ready 1");
    assert_line("sealedfs_mounts 2");
    assert_line("sealedfs_worker_generation 3");
    assert_line("sealedfs_worker_up_seconds 61");
    assert_line("sealedfs_waiting_opens 4");
    assert_line("sealedfs_cached_secrets 5");
    assert_line("sealedfs_cached_bytes 600");
    assert_line("sealedfs_handshakes_total 7");
    assert_line("sealedfs_token_expiry_timestamp_seconds 1795410622");
}

/* Each sample has its HELP and TYPE before it; names are ours. */
static void every_line_is_in_the_format(void **state)
{
    (void)state;
    write_text(&(struct metrics_now){0});
    char *rest = strdup(buf_text(&text)), *whole = rest;
    for (char *line; (line = strsep(&rest, "\n"));)
        assert_true(*line == '\0' || strncmp(line, "# HELP sealedfs_", 16) == 0 ||
                    strncmp(line, "# TYPE sealedfs_", 16) == 0 ||
                    (strncmp(line, "sealedfs_", 9) == 0 && strrchr(line, ' ')));
    free(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(outcomes_are_counted_apart, reset, end),
        cmocka_unit_test_setup_teardown(times_are_cumulative, reset, end),
        cmocka_unit_test_setup_teardown(the_present_is_told, reset, end),
        cmocka_unit_test_setup_teardown(every_line_is_in_the_format, reset, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
