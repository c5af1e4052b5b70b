/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/worker.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "crypt/base/ipc.h"
#include "crypt/base/log.h"
#include "fs/monitor_client.h"
#include "fs/ops.h"
#include "fs/refusals.h"

/* Descriptors kept on source files; fewer when the process may not have many. */
#define PINS_MAX 4096u
/* Left for everything else. */
#define FDS_RESERVED 256u

struct worker {
    struct worker_conf conf;
    int64_t started_ms;
    struct monitor_client monitor;
    struct source source;
    struct nodetable_data *table;
    struct tree *tree;
    struct handles *handles;
    struct cache *cache;
    struct park *park;
    struct ops *ops;
    struct loop_timer *sweep;
    struct loop_watch *events;
    struct refusals refusals;
};

/* -- what the control socket asks -------------------------------------------------------------- */

static void drop_pages(void *arg, uint64_t node)
{
    struct worker *worker = arg;
    ops_invalidate(worker->ops, node);
}

size_t worker_flush(struct worker *worker)
{
    if (!worker->ops)
        return 0;
    size_t dropped = cache_flush(worker->cache);
    tree_each_sealed(worker->tree, drop_pages, worker);
    return dropped;
}

void worker_status(const struct worker *worker, struct worker_status *ret_status)
{
    struct worker_status status = {.source = worker->conf.source,
        .mountpoint = worker->conf.mountpoint,
        .generation = 1,
        .up_ms = loop_now_ms() - worker->started_ms};
    if (worker->ops) {
        struct park_stats park;
        park_stats(worker->park, &park);
        status.generation = worker->table->generation;
        status.nodes = tree_count(worker->tree);
        status.handles = handles_count(worker->handles);
        status.parked = park.waiters;
        status.flights = park.flights;
        status.resolved = park.resolved;
        status.refused = park.refused;
        cache_stats(worker->cache, &status.secrets, &status.secret_bytes);
        ops_stats(worker->ops, &status.opens, &status.hits);
    }
    *ret_status = status;
}

size_t worker_refusals(const struct worker *worker, struct refusal *ret_refusals, size_t max)
{
    return refusals_copy(&worker->refusals, ret_refusals, max);
}

bool worker_find_refusal(
    const struct worker *worker, const char *id, const char *path, struct refusal *ret_refusal)
{
    const struct refusal *refusal = refusals_find(&worker->refusals, id, path);
    if (refusal)
        *ret_refusal = *refusal;
    return refusal != NULL;
}

void worker_normal_path(const struct worker *worker, const char *path, char *out, size_t out_size)
{
    char normal[PATH_SIZE];
    const char *mountpoint = worker->conf.mountpoint;
    size_t len = mountpoint ? strlen(mountpoint) : 0;
    out[0] = '\0';
    if (path[0] == '/') {
        if (len == 0 || strncmp(path, mountpoint, len) != 0 || path[len] != '/')
            return;
        path += len + 1;
    }
    if (!path_valid(path))
        return;
    path_normal(path, normal);
    if (strlen(normal) < out_size)
        memcpy(out, normal, strlen(normal) + 1);
}

/* -- events ------------------------------------------------------------------------------------ */

static bool tell(const struct worker *worker, enum monitor_event_kind kind, struct err *err)
{
    struct monitor_event event = {.kind = kind};
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    return monitor_event_encode(&event, &message, err) &&
           ipc_send(worker->conf.events_fd, buf_bytes(&message), NULL, 0, err);
}

static void stop(struct worker *worker)
{
    struct err err = ERR_INIT;
    if (worker->park)
        park_stop(worker->park);
    if (!tell(worker, MONITOR_STOPPED, &err))
        log_err(LOG_LEVEL_WARNING, &err, "tell the monitor");
}

static void on_events(void *arg, uint32_t flags)
{
    struct worker *worker = arg;
    struct monitor_event event;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct err err = ERR_INIT;
    bool closed = false;
    (void)flags;
    if (!ipc_receive(worker->conf.events_fd, &message, NULL, NULL, &closed, &err) || closed)
        loop_stop(worker->conf.loop); /* the monitor has gone: nobody could replace or unmount us */
    else if (!monitor_event_decode(buf_bytes(&message), &event, &err))
        log_err(LOG_LEVEL_ERROR, &err, "event of the monitor");
    else if (event.kind == MONITOR_STOP)
        stop(worker);
}

static void on_unmounted(void *arg)
{
    struct worker *worker = arg;
    struct err err = ERR_INIT;
    (void)!tell(worker, MONITOR_UNMOUNTED, &err);
    loop_stop(worker->conf.loop);
}

/* On a thread of ops. */
static void post_unmounted(void *arg)
{
    struct worker *worker = arg;
    struct err err = ERR_INIT;
    if (!loop_post(worker->conf.loop, on_unmounted, worker, &err))
        _exit(0);
}

/* -- the cache's alarm, and refusals ----------------------------------------------------------- */

static void on_filled(void *arg, int64_t ttl_ms)
{
    struct worker *worker = arg;
    loop_timer_set(worker->sweep, ttl_ms + 1);
}

static void on_sweep(void *arg)
{
    struct worker *worker = arg;
    int64_t next = cache_sweep(worker->cache);
    if (next >= 0)
        loop_timer_set(worker->sweep, next + 1);
}

static void on_refused(void *arg, const char *path, const struct err *err)
{
    struct worker *worker = arg;
    const struct refusal *refusal = refusals_add(&worker->refusals, path, err);
    const struct log_field fields[] = {{"ID", refusal->id}, {"PATH", path},
        {"CODE", err_info(err->code)->name}, {"REF", err->ref[0] ? err->ref : NULL}};
    log_text(LOG_LEVEL_WARNING, fields, ARRAY_LEN(fields), "refused: %s", err->message);
}

/* -- the parts --------------------------------------------------------------------------------- */

static size_t pins_allowed(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return PINS_MAX;
    if (limit.rlim_cur <= 2 * FDS_RESERVED)
        return FDS_RESERVED / 4;
    size_t most = (size_t)(limit.rlim_cur - FDS_RESERVED) / 2;
    return most < PINS_MAX ? most : PINS_MAX;
}

static bool make_filesystem(struct worker *worker, struct err *err)
{
    const struct worker_conf *conf = &worker->conf;
    struct cache_conf cache = {.ttl_ms = conf->conf->secrets.ttl_ms,
        .error_ttl_ms = conf->conf->secrets.error_ttl_ms,
        .memory = (size_t)conf->conf->secrets.memory,
        .filled = on_filled,
        .arg = worker};
    worker->source = (struct source){&worker->monitor, conf->resolver->is_sealed};
    if (!nodetable_map(conf->table_fd, &worker->table, err) ||
        !tree_new(&worker->source, worker->table, pins_allowed(), &worker->tree, err) ||
        !handles_new(worker->table, &worker->handles, err) ||
        !cache_new(&cache, &worker->cache, err))
        return false;
    struct ops_conf ops = {.fuse_fd = conf->fuse_fd,
        .threads = (unsigned)conf->conf->mount.threads,
        .table = worker->table,
        .source = &worker->source,
        .shown = {worker->tree, worker->cache, conf->resolver, conf->conf->secrets.maximum},
        .handles = worker->handles,
        .unmounted = post_unmounted,
        .arg = worker};
    if (!ops_new(&ops, &worker->ops, err))
        return false;
    struct park_conf park = {.loop = conf->loop,
        .resolver = conf->resolver,
        .cache = worker->cache,
        .timeout_ms = conf->conf->secrets.open_timeout_ms,
        .length_max = (size_t)conf->conf->secrets.maximum,
        .reply = ops_reply,
        .reply_arg = worker->ops,
        .refused = on_refused,
        .refused_arg = worker};
    return park_new(&park, &worker->park, err);
}

bool worker_start(struct worker *worker, struct err *err)
{
    if (worker->conf.fuse_fd < 0)
        return true;
    return make_filesystem(worker, err) && ops_start(worker->ops, worker->park, err) &&
           ops_run(worker->ops, err);
}

bool worker_ready(struct worker *worker, struct err *err)
{
    return loop_watch_fd(worker->conf.loop, worker->conf.events_fd, EPOLLIN, on_events, worker,
               &worker->events, err) &&
           tell(worker, MONITOR_READY, err);
}

/* The worker lives as long as its process, and so do its parts: threads of ops use them until the end. */
bool worker_new(const struct worker_conf *conf, struct worker **ret_worker, struct err *err)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return err_nomem(err);
    worker->conf = *conf;
    worker->started_ms = loop_now_ms();
    monitor_client_init(&worker->monitor, conf->requests_fd);
    refusals_init(&worker->refusals);
    if (!loop_timer_new(conf->loop, on_sweep, worker, &worker->sweep, err)) {
        free(worker);
        return false;
    }
    *ret_worker = worker;
    return true;
}
