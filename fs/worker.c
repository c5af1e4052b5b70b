/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/worker_private.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "crypt/base/ipc.h"
#include "crypt/base/log.h"
#include "fs/witness.h"

/* Descriptors kept on source files; fewer when the process may not have many. */
#define PINS_MAX 4096u
/* Left for everything else. */
#define FDS_RESERVED 256u
#define CALLERS_MAX  256u
/* Less than what the monitor waits for us when it stops. */
#define LEAVE_MS 1500

/* -- what the control socket asks -------------------------------------------------------------- */

size_t worker_flush(struct worker *worker)
{
    return worker->custody ? custody_flush(worker->custody) : 0;
}

static void add_mount(struct worker_status *total, const struct served_status *mount)
{
    total->mountpoint = total->mount_count++ == 0 ? mount->mountpoint : NULL;
    if (mount->generation > total->generation)
        total->generation = mount->generation;
    total->nodes += mount->nodes;
    total->handles += mount->handles;
    total->parked += mount->parked;
    total->flights += mount->flights;
    total->resolved += mount->resolved;
    total->refused += mount->refused;
    total->opens += mount->opens;
    total->hits += mount->hits;
}

void worker_status(const struct worker *worker, struct worker_status *ret_status)
{
    struct worker_status status = {.generation = 1, .up_ms = loop_now_ms() - worker->started_ms};
    for (size_t i = 0; i < worker->conf.mount_count; i++) {
        struct served_status mount;
        if (!worker->mounts[i])
            continue;
        served_status(worker->mounts[i], &mount);
        add_mount(&status, &mount);
    }
    if (worker->custody)
        cache_stats(custody_cache(worker->custody), &status.secrets, &status.secret_bytes);
    if (worker->gate)
        status.audit_lost = gate_lost(worker->gate);
    status.audit = witness_policy(worker->conf.conf);
    *ret_status = status;
}

size_t worker_mounts(const struct worker *worker, struct served_status *ret_mounts, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < worker->conf.mount_count && count < max; i++)
        if (worker->mounts[i])
            served_status(worker->mounts[i], &ret_mounts[count++]);
    return count;
}

bool worker_healthy(struct worker *worker, bool may_try, struct err *ret_why)
{
    struct worker_status status;
    worker_status(worker, &status);
    return !(worker->gate && gate_stuck(worker->gate, ret_why)) &&
           (may_try ? health_good : health_known)(worker->health, status.resolved, ret_why);
}

size_t worker_refusals(struct worker *worker, struct refusal *ret_refusals, size_t max)
{
    pthread_mutex_lock(&worker->refusals_lock);
    size_t count = refusals_copy(&worker->refusals, ret_refusals, max);
    pthread_mutex_unlock(&worker->refusals_lock);
    return count;
}

bool worker_find_refusal(
    struct worker *worker, const char *id, const char *path, struct refusal *ret_refusal)
{
    pthread_mutex_lock(&worker->refusals_lock);
    const struct refusal *refusal = refusals_find(&worker->refusals, id, path);
    if (refusal)
        *ret_refusal = *refusal;
    pthread_mutex_unlock(&worker->refusals_lock);
    return refusal != NULL;
}

/* The one that the path lies in; the deepest, where one is mounted below another. */
static const struct served *find_mount(const struct worker *worker, const char *path)
{
    const struct served *found = NULL;
    size_t found_len = 0;
    for (size_t i = 0; i < worker->conf.mount_count; i++) {
        const struct served *served = worker->mounts[i];
        size_t len = served ? path_below(served_mountpoint(served), path) : 0;
        if (len > found_len) {
            found = served;
            found_len = len;
        }
    }
    return found;
}

/* The only one there is, or NULL. */
static const struct served *only_mount(const struct worker *worker)
{
    const struct served *found = NULL;
    for (size_t i = 0; i < worker->conf.mount_count; i++)
        if (worker->mounts[i]) {
            if (found)
                return NULL;
            found = worker->mounts[i];
        }
    return found;
}

void worker_normal_path(const struct worker *worker, const char *path, char *out, size_t out_size)
{
    char full[PATH_FULL_SIZE];
    bool absolute = path[0] == '/';
    const struct served *served = absolute ? find_mount(worker, path) : only_mount(worker);
    out[0] = '\0';
    if (!served)
        return;
    if (absolute)
        path += path_below(served_mountpoint(served), path);
    if (!path_valid(path))
        return;
    path_full(served_mountpoint(served), path, full);
    if (strlen(full) < out_size)
        memcpy(out, full, strlen(full) + 1);
}

/* -- events ------------------------------------------------------------------------------------ */

bool worker_tell(
    const struct worker *worker, enum monitor_event_kind kind, size_t mount, struct err *err)
{
    struct monitor_event event = {.kind = kind, .mount = (uint16_t)mount};
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    return monitor_event_encode(&event, &message, err) &&
           ipc_send(worker->conf.events_fd, buf_bytes(&message), NULL, 0, err);
}

static void on_left(void *arg)
{
    struct worker *worker = arg;
    struct err err = ERR_INIT;
    if (!worker_tell(worker, MONITOR_STOPPED, 0, &err))
        log_err(LOG_LEVEL_WARNING, &err, "tell the monitor");
}

static void stop(struct worker *worker)
{
    struct resolver *resolver = worker->conf.resolver;
    for (size_t i = 0; i < worker->conf.mount_count; i++)
        if (worker->mounts[i])
            served_stop(worker->mounts[i]);
    if (!resolver->leave || !resolver->leave(resolver, LEAVE_MS, on_left, worker))
        on_left(worker);
}

static void obey(struct worker *worker, const struct monitor_event *event, int fd)
{
    if (event->kind == MONITOR_STOP)
        stop(worker);
    else if (event->kind == MONITOR_FREEZE)
        worker_freeze(worker);
    else if (event->kind == MONITOR_THAW)
        worker_thaw(worker);
    else if (event->kind == MONITOR_RELIEVE && fd >= 0)
        worker_be_relieved(worker, fd);
}

static void on_events(void *arg, uint32_t flags)
{
    struct worker *worker = arg;
    struct monitor_event event;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    int fds[IPC_FDS_MAX];
    size_t fd_count = 0;
    struct err err = ERR_INIT;
    bool closed = false;
    (void)flags;
    if (!ipc_receive(worker->conf.events_fd, &message, fds, &fd_count, &closed, &err) || closed)
        loop_stop(worker->conf.loop); /* the monitor has gone: nobody could replace or unmount us */
    else if (!monitor_event_decode(buf_bytes(&message), &event, &err))
        log_err(LOG_LEVEL_ERROR, &err, "event of the monitor");
    else
        obey(worker, &event, fd_count > 0 ? fds[0] : -1);
    for (size_t i = 0; i < fd_count; i++)
        close(fds[i]);
}

/* With the last one there is nothing left to serve. */
static void on_unmounted(void *arg, struct served *served)
{
    struct worker *worker = arg;
    struct err err = ERR_INIT;
    bool any = false;
    for (size_t i = 0; i < worker->conf.mount_count; i++) {
        if (worker->mounts[i] == served) {
            worker->mounts[i] = NULL;
            served_end(served);
            (void)!worker_tell(worker, MONITOR_UNMOUNTED, i, &err);
        }
        any = any || worker->mounts[i];
    }
    if (!any)
        loop_stop(worker->conf.loop);
}

/* -- what becomes of plaintexts ---------------------------------------------------------------- */

static void on_over(void *arg, const char *path, struct lease *lease)
{
    struct worker *worker = arg;
    for (size_t i = 0; i < worker->conf.mount_count; i++)
        if (worker->mounts[i])
            served_over(worker->mounts[i], path, lease);
}

static void on_swept(void *arg)
{
    struct worker *worker = arg;
    for (size_t i = 0; i < worker->conf.mount_count; i++)
        if (worker->mounts[i])
            served_swept(worker->mounts[i]);
}

static void on_changed(
    void *arg, const char *path, const struct conf_settings *settings, bool first)
{
    struct worker *worker = arg;
    if (!first) {
        const struct log_field fields[] = {{"PATH", path}};
        log_text(LOG_LEVEL_INFO, fields, ARRAY_LEN(fields), "%s: the secret has changed", path);
    }
    if (settings->on_change && first)
        stamps_seen(worker->stamps, settings->on_change);
    else if (settings->on_change)
        stamps_changed(worker->stamps, settings->on_change);
}

static void on_stale(void *arg, const char *path, const struct err *err)
{
    (void)arg;
    const struct log_field fields[] = {{"PATH", path}, {"CODE", err_info(err->code)->name}};
    log_text(LOG_LEVEL_WARNING, fields, ARRAY_LEN(fields),
        "serves what was fetched before, since no key broker answers: %s", err->message);
}

static void on_distrusted(void *arg, const struct err *err)
{
    struct worker *worker = arg;
    struct worker_status status;
    worker_status(worker, &status);
    health_distrust(worker->health, err, status.resolved);
    log_err(LOG_LEVEL_ERROR, err, "every plaintext is wiped");
}

static void tell_refusal(const char *id, const char *path, const struct err *err)
{
    const struct log_field fields[] = {{"ID", id}, {"PATH", path},
        {"CODE", err_info(err->code)->name}, {"REF", err->ref[0] ? err->ref : NULL}};
    log_text(LOG_LEVEL_WARNING, fields, ARRAY_LEN(fields), "refused: %s", err->message);
}

/* False: a lookout asked, and was told the same before. */
static bool is_news(struct worker *worker, const char *path, enum err_code code)
{
    bool news = true;
    for (size_t i = 0; i < worker->conf.mount_count; i++)
        if (worker->mounts[i] && !served_answered(worker->mounts[i], path, code))
            news = false;
    return news;
}

static void on_arrived(void *arg, const char *path)
{
    (void)is_news(arg, path, ERR_OK);
}

static void on_refused(void *arg, const char *path, const struct err *err, bool awaited)
{
    struct worker *worker = arg;
    char id[WORKER_ID_SIZE];
    if (!is_news(worker, path, err->code) && !awaited)
        return;
    pthread_mutex_lock(&worker->refusals_lock);
    memcpy(id, refusals_add(&worker->refusals, path, err)->id, sizeof id);
    pthread_mutex_unlock(&worker->refusals_lock);
    tell_refusal(id, path, err);
    struct worker_status status;
    worker_status(worker, &status);
    health_note(worker->health, err, status.resolved);
}

/* Any thread. What a rule refuses again and again within a moment is one refusal, and one line. */
static void on_denied(
    void *arg, const char *path, const struct err *err, char ret_id[WORKER_ID_SIZE])
{
    struct worker *worker = arg;
    bool again;
    pthread_mutex_lock(&worker->refusals_lock);
    const struct refusal *refusal = refusals_note(&worker->refusals, path, err, &again);
    memcpy(ret_id, refusal->id, WORKER_ID_SIZE);
    pthread_mutex_unlock(&worker->refusals_lock);
    if (!again)
        tell_refusal(ret_id, path, err);
}

static bool find_refusal(void *arg, const char *path, struct refusal *ret_refusal)
{
    return worker_find_refusal(arg, NULL, path, ret_refusal);
}

/* -- the parts --------------------------------------------------------------------------------- */

static size_t mounts_live(const struct worker_conf *conf)
{
    size_t live = 0;
    for (size_t i = 0; i < conf->mount_count; i++)
        live += conf->mountpoints[i][0] != '\0';
    return live;
}

/* Of one mount. */
static size_t pins_allowed(size_t mounts)
{
    struct rlimit limit;
    size_t most = PINS_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return most / mounts;
    size_t have = limit.rlim_cur <= 2 * FDS_RESERVED ? FDS_RESERVED / 4
                                                     : (size_t)(limit.rlim_cur - FDS_RESERVED) / 2;
    return (have < most ? have : most) / mounts;
}

static bool make_mount(struct worker *worker, size_t mount, size_t mounts, struct err *err)
{
    const struct worker_conf *conf = &worker->conf;
    struct served_conf served = {.mountpoint = conf->mountpoints[mount],
        .mount = (uint16_t)mount,
        .fuse_fd = worker_fuse_fd(mount),
        .table_fd = worker_table_fd(mount),
        .threads = (unsigned)conf->conf->mount.threads,
        .pins_max = pins_allowed(mounts),
        .maximum = conf->conf->secrets.maximum,
        .timeout_ms = conf->conf->secrets.open_timeout_ms,
        .conf = conf->conf,
        .monitor = &worker->monitor,
        .loop = conf->loop,
        .resolver = conf->resolver,
        .settings = &worker->settings,
        .custody = worker->custody,
        .gate = worker->gate,
        .unmounted = on_unmounted,
        .arg = worker};
    return served_new(&served, &worker->mounts[mount], err) &&
           served_make(worker->mounts[mount], err);
}

/* Threads that are remembered, two descriptors each: an eighth of what there may be in all. */
static size_t callers_allowed(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 16 >= CALLERS_MAX)
        return CALLERS_MAX;
    return limit.rlim_cur >= 32 ? (size_t)limit.rlim_cur / 16 : 2;
}

static bool make_gate(struct worker *worker, struct err *err)
{
    const struct gate_conf gate = {.conf = worker->conf.conf,
        .monitor = &worker->monitor,
        .callers = callers_allowed(),
        .refused = on_denied,
        .find_refusal = find_refusal,
        .arg = worker};
    if (!gate_new(&gate, &worker->gate, err))
        return false;
    gate_start(worker->gate);
    return true;
}

bool worker_start(struct worker *worker, struct err *err)
{
    const struct worker_conf *conf = &worker->conf;
    size_t mounts = mounts_live(conf);
    const struct custody_conf custody = {.loop = conf->loop,
        .error_ttl_ms = conf->conf->secrets.error_ttl_ms,
        .memory = (size_t)conf->conf->secrets.memory,
        .over = on_over,
        .swept = on_swept,
        .changed = on_changed,
        .arrived = on_arrived,
        .refused = on_refused,
        .stale = on_stale,
        .distrusted = on_distrusted,
        .arg = worker};
    settings_init(&worker->settings, conf->conf);
    if (!custody_new(&custody, conf->resolver, &worker->custody, err) ||
        (mounts > 0 && !make_gate(worker, err)))
        return false;
    for (size_t i = 0; i < conf->mount_count; i++)
        if (conf->mountpoints[i][0] && !make_mount(worker, i, mounts, err))
            return err_wrap(err, "%s", conf->mountpoints[i]);
    if (!worker_relieve(worker, err))
        return false;
    for (size_t i = 0; i < conf->mount_count; i++)
        if (worker->mounts[i] && !served_start(worker->mounts[i], err))
            return err_wrap(err, "%s", conf->mountpoints[i]);
    return true;
}

void worker_set_credentials(struct worker *worker, struct credentials *credentials)
{
    worker->credentials = credentials;
}

bool worker_has_mounts(const struct worker *worker)
{
    return worker->conf.mount_count > 0;
}

bool worker_ask_renewal(
    struct worker *worker, enum worker_renewal what, int asker_fd, struct err *err)
{
    static const struct monitor_event events[] = {
        [WORKER_RELOAD] = {.kind = MONITOR_RELOAD},
        [WORKER_UPGRADE] = {.kind = MONITOR_UPGRADE},
        [WORKER_UPGRADE_DISCARD] = {.kind = MONITOR_UPGRADE, .message = "discard"},
    };
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    return monitor_event_encode(&events[what], &message, err) &&
           ipc_send(worker->conf.events_fd, buf_bytes(&message), &asker_fd, 1, err);
}

bool worker_ready(struct worker *worker, struct err *err)
{
    return loop_watch_fd(worker->conf.loop, worker->conf.events_fd, EPOLLIN, on_events, worker,
               &worker->events, err) &&
           worker_tell(worker, MONITOR_READY, 0, err);
}

/* The worker lives as long as its process. */
bool worker_new(const struct worker_conf *conf, struct worker **ret_worker, struct err *err)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return err_nomem(err);
    worker->conf = *conf;
    worker->started_ms = loop_now_ms();
    monitor_client_init(&worker->monitor, conf->requests_fd);
    lanes_use(&worker->monitor.lanes, conf->conf, (int)conf->conf->secrets.open_timeout_ms);
    pthread_mutex_init(&worker->refusals_lock, NULL);
    refusals_init(&worker->refusals);
    if (!health_new(conf->loop, conf->resolver, &worker->health, err) ||
        !stamps_open(conf->conf, &worker->stamps, err) ||
        !loop_timer_new(conf->loop, worker_freeze, worker, &worker->freeze, err)) {
        stamps_free(worker->stamps);
        health_free(worker->health);
        free(worker);
        return false;
    }
    *ret_worker = worker;
    return true;
}
