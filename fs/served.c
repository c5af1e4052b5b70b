/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/served.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypt/base/log.h"

/* How long an open waits for the key broker that could go on with what is kept. A slow TPM and three exchanges should fit. */
#define PATIENCE_MS 1500
/* A file with on_change is looked at, at the cost of a question to the monitor, and not so soon again when the key broker was asked. */
#define LOOK_MS 2000
#define ASK_MS  10000
/* Nor, after refusals, later than this. */
#define ASK_LAST_MS 300000

struct served {
    struct served_conf conf;
    struct source source;
    struct nodetable_data *table;
    struct tree *tree;
    struct handles *handles;
    struct pagecache *pagecache;
    struct lookout *lookout; /* NULL: nothing has on_change */
    struct park *park;
    struct ops *ops;
    struct loop_timer *room;
};

static void on_unmounted(void *arg)
{
    struct served *served = arg;
    served->conf.unmounted(served->conf.arg, served);
}

/* On a thread of ops. */
static void post_unmounted(void *arg)
{
    struct served *served = arg;
    struct err err = ERR_INIT;
    if (!loop_post(served->conf.loop, on_unmounted, served, &err))
        _exit(0);
}

static void make_room(void *arg)
{
    struct served *served = arg;
    if (ops_make_room(served->ops))
        loop_timer_set(served->room, OPS_ROOM_MS);
}

/* On a thread of ops. What it waits for is no news before OPS_ROOM_MS are over. */
static void watch_room(void *arg)
{
    loop_timer_set(((struct served *)arg)->room, OPS_ROOM_MS);
}

static void on_crowded(void *arg)
{
    struct served *served = arg;
    struct err err = ERR_INIT;
    if (!loop_post(served->conf.loop, watch_room, served, &err))
        log_err(LOG_LEVEL_WARNING, &err, "%s: threads that hang", served->conf.mountpoint);
}

static bool make_ops(struct served *served, struct err *err)
{
    const struct served_conf *conf = &served->conf;
    struct ops_conf ops = {.fuse_fd = conf->fuse_fd,
        .threads = conf->threads,
        .table = served->table,
        .source = &served->source,
        .shown = {served->tree, custody_cache(conf->custody), conf->resolver, conf->mountpoint,
            conf->maximum},
        .handles = served->handles,
        .settings = conf->settings,
        .gate = conf->gate,
        .pagecache = served->pagecache,
        .lookout = served->lookout,
        .unmounted = post_unmounted,
        .crowded = on_crowded,
        .arg = served};
    return loop_timer_new(conf->loop, make_room, served, &served->room, err) &&
           ops_new(&ops, &served->ops, err);
}

static bool make_park(struct served *served, struct err *err)
{
    const struct served_conf *conf = &served->conf;
    struct park_conf park = {.loop = conf->loop,
        .resolver = conf->resolver,
        .cache = custody_cache(conf->custody),
        .leases = custody_leases(conf->custody),
        .mountpoint = conf->mountpoint,
        .timeout_ms = conf->timeout_ms,
        .patience_ms = PATIENCE_MS,
        .length_max = (size_t)conf->maximum,
        .reply = ops_reply,
        .reply_arg = served->ops,
        .events = custody_events(conf->custody)};
    return park_new(&park, &served->park, err);
}

/* -- what changes without a reader ----------------------------------------------------------------- */

/* The path that a walk would come to now: a volume that rotates has been flipped to another directory. */
static void follow_flip(struct served *served, const char *path, char out[PATH_SIZE])
{
    char data[PATH_SIZE];
    struct err err = ERR_INIT;
    const char *part = path;
    snprintf(out, PATH_SIZE, "%s", path);
    while (strncmp(part, "..", 2) != 0) {
        part = strchr(part, '/');
        if (!part++)
            return;
    }
    const char *rest = strchr(part, '/');
    auto_pin *link = NULL;
    int prefix = (int)(part - path);
    int len = snprintf(data, sizeof data, "%.*s..data", prefix, path);
    if (!rest || len >= (int)sizeof data || !source_pin(&served->source, data, &link, &err) ||
        !link->target || strchr(link->target, '/'))
        return;
    len = snprintf(data, sizeof data, "%.*s%s%s", prefix, path, link->target, rest);
    if (len < (int)sizeof data)
        memcpy(out, data, (size_t)len + 1);
}

/* On the lookout's thread. A file that cannot be looked at now is looked at again later. */
static int64_t look(void *arg, const char *path, unsigned vain)
{
    struct served *served = arg;
    char now[PATH_SIZE], full[PATH_FULL_SIZE];
    auto_pin *pin = NULL;
    struct cache_state state;
    struct err err = ERR_INIT;
    follow_flip(served, path, now);
    if (!source_pin(&served->source, now, &pin, &err))
        return LOOK_MS;
    const struct conf_settings *settings = settings_of(served->conf.settings, pin);
    if (!settings->on_change)
        return -1; /* known from an earlier worker: nobody wants to be told, so nobody asks for it but readers */
    if (!pin->is_sealed)
        return LOOK_MS;
    if (!settings_of(served->conf.settings, pin)->on_change)
        return -1; /* known only because an earlier worker's mount had it */
    path_full(served->conf.mountpoint, now, full);
    cache_state(custody_cache(served->conf.custody), full, pin->blob, &state);
    const struct park_wanted wanted = {full, pin->blob, settings};
    bool wanted_anew = state.result == CACHE_MISS || state.result == CACHE_AGED;
    bool asked = wanted_anew && park_refresh(served->park, &wanted);
    int64_t delay = asked ? lookout_delay(ASK_MS, ASK_LAST_MS, vain) : LOOK_MS;
    return delay + (int64_t)(path_hash((uint64_t)loop_now_ms(), path) % (uint64_t)(delay / 4));
}

/* Those that the configuration names are looked at from the start, the others of a source from their first open on; what an earlier worker's
 * mount had open or in the kernel's memory goes on being looked at. */
static void look_at_all(struct served *served)
{
    const struct sealedfs_conf *conf = served->conf.conf;
    char path[PATH_SIZE];
    for (size_t i = 0; i < conf->files.count; i++)
        if (conf->files.items[i].mount == served->conf.mount &&
            conf->files.items[i].settings.on_change)
            lookout_add(served->lookout, conf->files.items[i].path, 0);
    for (uint32_t slot = 0; slot < served->table->node_high; slot++) {
        const struct node_record *record = &served->table->nodes[slot];
        if (record->id != 0 && S_ISREG(record->type) && tree_path(served->tree, record->id, path))
            lookout_add(served->lookout, path, 0);
    }
}

static bool wants_lookout(const struct served_conf *conf)
{
    for (size_t i = 0; i < conf->conf->files.count; i++)
        if (conf->conf->files.items[i].settings.on_change)
            return true;
    for (size_t i = 0; i < conf->conf->sources.count; i++)
        if (conf->conf->sources.items[i].settings.on_change)
            return true;
    return false;
}

bool served_new(const struct served_conf *conf, struct served **ret_served, struct err *err)
{
    struct served *served = calloc(1, sizeof *served);
    if (!served)
        return err_nomem(err);
    served->conf = *conf;
    *ret_served = served;
    return true;
}

static bool start_lookout(struct served *served, struct err *err)
{
    if (!served->lookout)
        return true;
    look_at_all(served);
    return lookout_run(served->lookout, err);
}

/* The parts live as long as the process, or until the mount ends: threads of ops use them. */
bool served_make(struct served *served, struct err *err)
{
    const struct served_conf *conf = &served->conf;
    served->source =
        (struct source){conf->monitor, conf->mount, conf->conf, conf->resolver->is_sealed};
    return nodetable_map(conf->table_fd, &served->table, err) &&
           tree_new(&served->source, served->table, conf->pins_max, &served->tree, err) &&
           handles_new(served->table, &served->handles, err) &&
           pagecache_new(&served->pagecache, err) &&
           (!wants_lookout(conf) || lookout_new(look, served, &served->lookout, err)) &&
           make_ops(served, err) && make_park(served, err);
}

/* The kernel may have pages that an earlier worker gave it. This one knows neither what is in them nor how long that may be shown. Before any
 * thread runs, so that the table stands still. */
static void drop_inherited(struct served *served)
{
    for (uint32_t slot = 0; slot < served->table->node_high; slot++) {
        const struct node_record *record = &served->table->nodes[slot];
        if (record->id != 0 && S_ISREG(record->type))
            ops_invalidate(served->ops, record->id);
    }
}

bool served_start(struct served *served, struct err *err)
{
    drop_inherited(served);
    return ops_start(served->ops, served->park, err) && ops_run(served->ops, err) &&
           start_lookout(served, err);
}

/* -- from one worker to the next --------------------------------------------------------------- */

void served_take_open(struct served *served, uint64_t fh, int file_fd, struct lease *lease)
{
    auto_pin *pin = NULL;
    struct err err = ERR_INIT;
    uint64_t node;
    if (!source_pin_open(file_fd, lease != NULL, &pin, &err))
        log_err(
            LOG_LEVEL_DEBUG, &err, "%s: an open file is not taken over", served->conf.mountpoint);
    else if (handle_restore(served->handles, fh, pin, lease, &node))
        tree_opened(served->tree, node, pin, lease ? (int64_t)lease->len : -1);
}

struct giving {
    struct served *served;
    struct handover *handover;
    struct err *err;
    bool failed;
};

static void give_open(void *arg, uint64_t fh, const struct handle *handle)
{
    struct giving *giving = arg;
    giving->failed =
        giving->failed || !handover_give_open(giving->handover, giving->served->conf.mountpoint, fh,
                              handle->pin->fd, handle->lease, giving->err);
}

bool served_give(struct served *served, struct handover *handover, struct err *err)
{
    struct giving giving = {served, handover, err, false};
    handles_each(served->handles, give_open, &giving);
    return !giving.failed;
}

bool served_freeze(struct served *served)
{
    struct park_stats park;
    bool still = ops_freeze(served->ops);
    park_stats(served->park, &park);
    return still && (park.waiters == 0 || ops_can_resend(served->ops));
}

bool served_thaw(struct served *served, struct err *err)
{
    return ops_thaw(served->ops, err);
}

/* -- what is asked of it ----------------------------------------------------------------------- */

const char *served_mountpoint(const struct served *served)
{
    return served->conf.mountpoint;
}

void served_status(const struct served *served, struct served_status *ret_status)
{
    struct served_status status = {.mountpoint = served->conf.mountpoint};
    struct park_stats park;
    if (served->tree) {
        park_stats(served->park, &park);
        status.generation = served->table->generation;
        status.nodes = tree_count(served->tree);
        status.handles = handles_count(served->handles);
        status.parked = park.waiters;
        status.flights = park.flights;
        status.resolved = park.resolved;
        ops_stats(served->ops, &status.opens, &status.hits, &status.refused);
    }
    *ret_status = status;
}

static void drop_pages(void *arg, uint64_t node)
{
    struct served *served = arg;
    ops_invalidate(served->ops, node);
}

/* What is open there is revoked, for the workers to come as well. An open file served directly has pages only from mmap and splice; they go
 * when it is closed, or for good. */
static void revoke_at(struct served *served, const char *path)
{
    char below[PATH_SIZE], full[PATH_FULL_SIZE];
    auto_free uint64_t *nodes = NULL;
    size_t count = tree_open_nodes(served->tree, &nodes);
    for (size_t i = 0; i < count; i++) {
        if (!tree_path(served->tree, nodes[i], below))
            continue;
        path_full(served->conf.mountpoint, below, full);
        if (strcmp(full, path) != 0)
            continue;
        handles_revoke_node(served->handles, nodes[i]);
        ops_invalidate(served->ops, nodes[i]);
    }
}

void served_over(struct served *served, const char *path, struct lease *lease)
{
    if (!served->tree || (path && path_below(served->conf.mountpoint, path) == 0))
        return;
    pagecache_over(served->pagecache, path, lease, drop_pages, served);
    if (!path) {
        handles_revoke(served->handles);
        tree_each_sealed(served->tree, drop_pages, served);
    } else if (!lease) {
        revoke_at(served, path);
    }
}

bool served_answered(struct served *served, const char *path, enum err_code code)
{
    size_t below = path_below(served->conf.mountpoint, path);
    return below == 0 || !served->lookout || lookout_note(served->lookout, path + below, code);
}

void served_swept(struct served *served)
{
    if (served->tree)
        pagecache_sweep(served->pagecache, custody_cache(served->conf.custody), drop_pages, served);
}

void served_stop(struct served *served)
{
    if (served->lookout)
        lookout_stop(served->lookout);
    if (served->park)
        park_stop(served->park);
}

void served_end(struct served *served)
{
    served_stop(served);
    loop_timer_clear(served->room);
    handles_free(take_ptr(served->handles));
    pagecache_free(take_ptr(served->pagecache));
    tree_free(take_ptr(served->tree));
}
