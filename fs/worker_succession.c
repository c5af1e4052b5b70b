/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/worker_private.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypt/base/log.h"

/* How often a thread that was about to read is woken again. */
#define FREEZE_TURN_MS 2
/* Locked memory for plaintexts of open files, beside what the two caches may hold. */
#define HANDOVER_MEMORY (64u * 1024 * 1024)

/* -- from one worker to the next --------------------------------------------------------------- */

static void take_key(void *arg, struct secret *key)
{
    struct worker *worker = arg;
    struct err err = ERR_INIT;
    if (!leases_take_key(custody_leases(worker->custody), key, &err))
        log_err(LOG_LEVEL_WARNING, &err, "key of versions");
}

static void take_past(void *arg, const struct cache_past *past)
{
    struct worker *worker = arg;
    cache_put_past(custody_cache(worker->custody), past);
}

static struct lease *take_lease(
    void *arg, const char *path, const char *resource, int64_t age_ms, struct secret *plaintext)
{
    struct worker *worker = arg;
    struct lease *lease;
    struct err err = ERR_INIT;
    if (lease_new(custody_leases(worker->custody), path, plaintext, resource,
            loop_now_ms() - age_ms, &lease, &err))
        return lease;
    log_err(LOG_LEVEL_WARNING, &err, "%s", path);
    return NULL;
}

/* It keeps the times that it had, as far as this configuration allows any. */
static void take_kept(void *arg, struct lease *lease, bool is_name, struct bytes text,
    int64_t fresh_ms, int64_t limit_ms)
{
    struct worker *worker = arg;
    AUTO(blob_unref) struct blob *blob = NULL;
    struct conf_settings most = settings_most(&worker->settings);
    enum cache_news news;
    struct err err = ERR_INIT;
    if (fresh_ms < most.fresh_ms)
        most.fresh_ms = fresh_ms;
    if (limit_ms < most.usable_ms)
        most.usable_ms = limit_ms;
    if (!blob_copy(text, &blob, &err))
        return;
    blob->is_name = is_name;
    lease_unref(
        cache_put(custody_cache(worker->custody), lease_path(lease), blob, lease, &most, &news));
}

static void take_open(
    void *arg, const char *mountpoint, uint64_t fh, int file_fd, struct lease *lease)
{
    struct worker *worker = arg;
    for (size_t i = 0; i < worker->conf.mount_count; i++)
        if (worker->mounts[i] && strcmp(worker->conf.mountpoints[i], mountpoint) == 0) {
            served_take_open(worker->mounts[i], fh, file_fd, lease);
            return;
        }
    close(file_fd); /* of a mount that there is no more */
}

static bool take_credential(void *arg, int fd)
{
    struct worker *worker = arg;
    return worker->credentials && credentials_adopt(worker->credentials, fd);
}

static void take_well(void *arg)
{
    health_inherit(((struct worker *)arg)->health);
}

/* From here on it is this worker that answers the kernel. What the old one could not give is fetched anew. */
bool worker_relieve(struct worker *worker, struct err *err)
{
    const struct handover_sink sink = {take_key, take_past, take_lease, take_kept, take_open,
        take_credential, take_well, worker,
        2 * (size_t)worker->conf.conf->secrets.memory + HANDOVER_MEMORY};
    auto_fd int fd = take_fd(worker->conf.predecessor_fd);
    struct handover_count count = {0};
    struct err why = ERR_INIT;
    if (fd < 0)
        return true;
    if (!handover_take(fd, &sink, &count, &why))
        log_err(LOG_LEVEL_WARNING, &why, "not all is taken over from the old worker");
    log_info("%zu plaintexts and %zu open files taken over", count.kept, count.open);
    if (count.left_out > 0)
        log_warning(
            "%zu plaintexts and open files are not taken over: they need more locked memory "
            "than [secrets] memory allows; they are fetched anew",
            count.left_out);
    return handover_taken(fd, &count, err);
}

struct giving {
    struct handover *handover;
    struct err *err;
    bool failed;
};

static void give_kept(
    void *arg, struct lease *lease, const struct blob *blob, int64_t fresh_ms, int64_t limit_ms)
{
    struct giving *giving = arg;
    giving->failed = giving->failed || !handover_give_kept(giving->handover, lease, blob->is_name,
                                           buf_bytes(&blob->text), fresh_ms, limit_ms, giving->err);
}

static void give_past(void *arg, const struct cache_past *past)
{
    struct giving *giving = arg;
    giving->failed = giving->failed || !handover_give_past(giving->handover, past, giving->err);
}

static bool give_credential(void *arg, int fd)
{
    struct giving *giving = arg;
    return handover_give_credential(giving->handover, fd, giving->err);
}

static bool give_all(struct worker *worker, struct handover *handover, struct err *err)
{
    struct giving giving = {handover, err, false};
    auto_secret *key = leases_key(custody_leases(worker->custody));
    if (!handover_give_key(handover, key, err))
        return false;
    cache_each_past(custody_cache(worker->custody), give_past, &giving);
    if (giving.failed)
        return false;
    for (size_t i = 0; i < worker->conf.mount_count; i++)
        if (worker->mounts[i] && !served_give(worker->mounts[i], handover, err))
            return false;
    cache_each(custody_cache(worker->custody), give_kept, &giving);
    struct err why = ERR_INIT;
    if (!giving.failed && worker_healthy(worker, false, &why))
        giving.failed = !handover_give_well(handover, err);
    if (!giving.failed && worker->credentials)
        credentials_give(worker->credentials, give_credential, &giving);
    return !giving.failed;
}

/* All goes to the successor. Returns only when that does not take over: then nothing has changed. */
void worker_be_relieved(struct worker *worker, int fd)
{
    AUTO(handover_free) struct handover *handover = NULL;
    struct err err = ERR_INIT, why = ERR_INIT;
    if (handover_new(fd, &handover, &err)) {
        if (!give_all(worker, handover, &why))
            log_err(LOG_LEVEL_WARNING, &why, "not all is handed over");
        size_t held;
        if (handover_finish(handover, &held, &err)) {
            if (worker->credentials)
                credentials_given(worker->credentials, held);
            _exit(0); /* no destructor: what is in flight is the successor's now */
        }
        if (worker->credentials)
            credentials_go_on(worker->credentials);
    }
    log_err(LOG_LEVEL_WARNING, &err, "no successor takes over");
}

/* -- standing still ---------------------------------------------------------------------------- */

void worker_freeze(void *arg)
{
    struct worker *worker = arg;
    struct err err = ERR_INIT;
    bool still = true;
    for (size_t i = 0; i < worker->conf.mount_count; i++)
        still = (!worker->mounts[i] || served_freeze(worker->mounts[i])) && still;
    if (!still)
        loop_timer_set(worker->freeze, FREEZE_TURN_MS);
    else if (!worker_tell(worker, MONITOR_FROZEN, 0, &err))
        log_err(LOG_LEVEL_WARNING, &err, "tell the monitor");
}

void worker_thaw(struct worker *worker)
{
    struct err err = ERR_INIT;
    loop_timer_clear(worker->freeze);
    for (size_t i = 0; i < worker->conf.mount_count; i++)
        if (worker->mounts[i] && !served_thaw(worker->mounts[i], &err)) {
            log_err(LOG_LEVEL_ERROR, &err, "go on serving");
            _exit(3); /* the monitor replaces us */
        }
}
