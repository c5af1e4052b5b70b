/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Upper bounds in microseconds: a warm open takes tens of them, a handshake with a TPM a second. */
static const int64_t bounds[] = {
    50, 100, 250, 500, 1000, 5000, 25000, 100000, 500000, 2000000, 10000000, 30000000};
#define BUCKETS (ARRAY_LEN(bounds) + 1)

/* The errnos that sealedfs(8) promises; the last stands for every other. */
static const struct {
    int sys_errno;
    const char *name;
} errnos[] = {{EACCES, "EACCES"}, {ENOKEY, "ENOKEY"}, {EKEYREVOKED, "EKEYREVOKED"},
    {EKEYEXPIRED, "EKEYEXPIRED"}, {EBADMSG, "EBADMSG"}, {EKEYREJECTED, "EKEYREJECTED"},
    {EHOSTUNREACH, "EHOSTUNREACH"}, {ETIMEDOUT, "ETIMEDOUT"}, {EINTR, "EINTR"},
    {ENOTCONN, "ENOTCONN"}, {EIO, "EIO"}, {0, "other"}};

/* Opens that were answered from here, and those that had to wait: two things that no one average should mix. */
enum kind { AT_ONCE, WAITED, REFUSED, KIND_COUNT };

struct histogram {
    atomic_uint_fast64_t buckets[BUCKETS];
    atomic_uint_fast64_t sum_us;
};

static struct {
    atomic_uint_fast64_t served[METRICS_FROM_COUNT];
    atomic_uint_fast64_t refused[ARRAY_LEN(errnos)];
    struct histogram times[KIND_COUNT];
} counts;

static void add(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t get(atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void observe(enum kind kind, int64_t us)
{
    size_t bucket = 0;
    while (bucket < ARRAY_LEN(bounds) && us > bounds[bucket])
        bucket++;
    add(&counts.times[kind].buckets[bucket], 1);
    add(&counts.times[kind].sum_us, us > 0 ? (uint64_t)us : 0);
}

void metrics_served(enum metrics_from from, int64_t us)
{
    add(&counts.served[from], 1);
    observe(from == METRICS_FETCHED || from == METRICS_STALE ? WAITED : AT_ONCE, us);
}

void metrics_refused(int sys_errno, int64_t us)
{
    size_t i = 0;
    while (i < ARRAY_LEN(errnos) - 1 && errnos[i].sys_errno != sys_errno)
        i++;
    add(&counts.refused[i], 1);
    observe(REFUSED, us);
}

void metrics_reset(void)
{
    memset(&counts, 0, sizeof counts);
}

/* -- text --------------------------------------------------------------------------------------- */

static bool head(
    const char *name, const char *type, const char *help, struct buf *out, struct err *err)
{
    return buf_printf(
        out, err, "# HELP sealedfs_%s %s\n# TYPE sealedfs_%s %s\n", name, help, name, type);
}

static bool one(const char *name, const char *type, const char *help, uint64_t value,
    struct buf *out, struct err *err)
{
    return head(name, type, help, out, err) &&
           buf_printf(out, err, "sealedfs_%s %" PRIu64 "\n", name, value);
}

static bool opens_text(struct buf *out, struct err *err)
{
    static const char *const from[] = {"plain", "memory", "fetched", "stale"};
    if (!head("opens_total", "counter", "Opens that were answered, by outcome.", out, err))
        return false;
    for (size_t i = 0; i < METRICS_FROM_COUNT; i++)
        if (!buf_printf(out, err,
                "sealedfs_opens_total{verdict=\"served\",cause=\"%s\"} %" PRIu64 "\n", from[i],
                get(&counts.served[i])))
            return false;
    for (size_t i = 0; i < ARRAY_LEN(errnos); i++)
        if (!buf_printf(out, err,
                "sealedfs_opens_total{verdict=\"refused\",cause=\"%s\"} %" PRIu64 "\n",
                errnos[i].name, get(&counts.refused[i])))
            return false;
    return true;
}

static bool histogram_text(
    struct histogram *histogram, const char *label, struct buf *out, struct err *err)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        char bound[32] = "+Inf";
        sum += get(&histogram->buckets[i]);
        if (i < ARRAY_LEN(bounds))
            snprintf(bound, sizeof bound, "%g", (double)bounds[i] / 1e6);
        if (!buf_printf(out, err,
                "sealedfs_open_seconds_bucket{kind=\"%s\",le=\"%s\"} %" PRIu64 "\n", label, bound,
                sum))
            return false;
    }
    return buf_printf(out, err,
        "sealedfs_open_seconds_sum{kind=\"%s\"} %.6f\n"
        "sealedfs_open_seconds_count{kind=\"%s\"} %" PRIu64 "\n",
        label, (double)get(&histogram->sum_us) / 1e6, label, sum);
}

static bool times_text(struct buf *out, struct err *err)
{
    static const char *const kinds[] = {"at_once", "waited", "refused"};
    if (!head("open_seconds", "histogram",
            "Time from an open's arrival to its answer, of those served from memory, of those that "
            "asked a "
            "key broker, and of those refused.",
            out, err))
        return false;
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (!histogram_text(&counts.times[i], kinds[i], out, err))
            return false;
    return true;
}

static bool now_text(const struct metrics_now *now, struct buf *out, struct err *err)
{
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } rows[] = {
        {"ready", "gauge", "1 when secrets can be served.", now->ready},
        {"mounts", "gauge", "Mounts that are served.", now->mounts},
        {"worker_generation", "gauge", "1 for the first worker, one more for each replacement.",
            now->generation},
        {"worker_up_seconds", "gauge", "Age of the worker.", (uint64_t)now->up_ms / 1000},
        {"waiting_opens", "gauge", "Opens that wait for a key broker.", now->waiting},
        {"resolutions", "gauge", "Secrets that are being fetched.", now->flights},
        {"open_files", "gauge", "Open descriptors.", now->open_files},
        {"cached_secrets", "gauge", "Plaintexts in memory.", now->secrets},
        {"cached_bytes", "gauge", "Their bytes.", now->secret_bytes},
        {"handshakes_total", "counter", "Attestations that gave a token.", now->handshakes},
        {"handshakes_failed_total", "counter", "Attestations that did not.",
            now->handshakes_failed},
        {"fetches_total", "counter", "Resources that were asked for.", now->fetches},
        {"audit_records_lost_total", "counter", "Audit records that could not be written.",
            now->audit_lost},
        {"token_expiry_timestamp_seconds", "gauge",
            "When the token ends, in seconds since 1970; 0: there is none.",
            now->has_token ? (uint64_t)now->token_expires_at : 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!one(rows[i].name, rows[i].type, rows[i].help, rows[i].value, out, err))
            return false;
    return true;
}

bool metrics_text(const struct metrics_now *now, struct buf *out, struct err *err)
{
    return opens_text(out, err) && times_text(out, err) && now_text(now, out, err);
}
