/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/callers.h"

#include <errno.h>
#include <string.h>

#include "crypt/base/log.h"
#include "crypt/base/loop.h"
#include "fs/exec_watch.h"

/* Reading a large executable may take a while the first time. */
#define LOOK_MS 10000
/* More notices at once are as good as a loss: everything is looked at anew. */
#define NOTICES_MAX 1024
/* A notice that the kernel could not even allocate is lost without a word; so no memory of an executable is older than this. */
#define EXE_KEPT_MS 2000
#define STATUS_SIZE 8192
#define STATUS_MAX  (1024u * 1024u)

struct entry {
    pid_t tid; /* 0: free */
    unsigned needs;
    int cgroup_fd, status_fd;
    struct caller *caller;
    int64_t looked_ms;
    uint64_t used;
};

struct callers {
    struct witness_client *witness, *digests;
    int execs_fd;         /* -1: no notices */
    pthread_mutex_t lock; /* protects what follows */
    uint64_t clock;
    size_t size;
    struct entry entries[];
};

/* -- callers ------------------------------------------------------------------------------------ */

struct caller *caller_ref(struct caller *caller)
{
    atomic_fetch_add_explicit(&caller->count, 1, memory_order_relaxed);
    return caller;
}

void caller_unref(struct caller *caller)
{
    if (!caller || atomic_fetch_sub(&caller->count, 1) != 1)
        return;
    free(caller->cgroup);
    free(caller->exe);
    free(caller);
}

static struct caller *caller_new(const struct caller *like, const char *cgroup, const char *exe)
{
    auto_caller *caller = calloc(1, sizeof *caller);
    if (!caller)
        return NULL;
    *caller = *like;
    atomic_init(&caller->count, 1);
    caller->cgroup = strdup(cgroup);
    caller->exe = strdup(exe);
    cgroup_names(cgroup, &caller->names);
    return caller->cgroup && caller->exe ? take_ptr(caller) : NULL;
}

/* -- entries, under the lock -------------------------------------------------------------------- */

static void drop(struct entry *entry)
{
    if (entry->tid == 0)
        return;
    close(entry->cgroup_fd);
    close(entry->status_fd);
    caller_unref(entry->caller);
    *entry = (struct entry){0};
}

static void drop_process(struct callers *callers, pid_t pid)
{
    for (size_t i = 0; i < callers->size; i++)
        if (callers->entries[i].tid != 0 && callers->entries[i].caller->pid == pid)
            drop(&callers->entries[i]);
}

static void drop_all(struct callers *callers)
{
    for (size_t i = 0; i < callers->size; i++)
        drop(&callers->entries[i]);
}

/* Who has executed since the last time? What he executed before he asked lies there already. */
static void heed_notices(struct callers *callers)
{
    if (callers->execs_fd < 0)
        return;
    for (int i = 0; i < NOTICES_MAX; i++) {
        pid_t pid = 0;
        switch (exec_watch_next(callers->execs_fd, &pid)) {
        case EXEC_NONE:
            return;
        case EXEC_ONE:
            drop_process(callers, pid);
            break;
        case EXEC_LOST:
            drop_all(callers);
            break;
        }
    }
    drop_all(callers);
}

static struct entry *find_entry(struct callers *callers, pid_t tid)
{
    for (size_t i = 0; i < callers->size; i++)
        if (callers->entries[i].tid == tid)
            return &callers->entries[i];
    return NULL;
}

/* A free one, else the one that was not used for longest. */
static struct entry *room(struct callers *callers)
{
    struct entry *oldest = &callers->entries[0];
    for (size_t i = 0; i < callers->size; i++) {
        if (callers->entries[i].tid == 0)
            return &callers->entries[i];
        if (callers->entries[i].used < oldest->used)
            oldest = &callers->entries[i];
    }
    drop(oldest);
    return oldest;
}

static bool read_cgroup(int fd, char *ret_path, struct err *err)
{
    char text[CGROUP_TEXT_MAX];
    ssize_t len = pread(fd, text, sizeof text, 0);
    if (len < 0)
        return err_set_errno(err, ERR_NOTFOUND, "control group of the caller");
    return cgroup_path(bytes_of(text, (size_t)len), ret_path, err);
}

static bool exe_still(const struct callers *callers, const struct entry *entry)
{
    return callers->execs_fd >= 0 && loop_now_ms() - entry->looked_ms < EXE_KEPT_MS;
}

/* What is remembered, if it is all that is needed and must still be so. */
static struct caller *recall(struct callers *callers, pid_t tid, unsigned needs)
{
    char cgroup[CGROUP_PATH_SIZE];
    struct err err = ERR_INIT;
    heed_notices(callers);
    struct entry *entry = find_entry(callers, tid);
    if (!entry)
        return NULL;
    if ((needs & ~entry->needs) || (needs && !exe_still(callers, entry)) ||
        !read_cgroup(entry->cgroup_fd, cgroup, &err)) {
        drop(entry);
        return NULL;
    }
    if (strcmp(cgroup, entry->caller->cgroup) != 0) {
        struct caller *moved = caller_new(entry->caller, cgroup, entry->caller->exe);
        if (!moved)
            return NULL;
        caller_unref(entry->caller);
        entry->caller = moved;
    }
    entry->used = ++callers->clock;
    return caller_ref(entry->caller);
}

/* The descriptors are the entry's. */
static void remember(struct callers *callers, pid_t tid, unsigned needs,
    const struct caller_look *look, struct caller *caller)
{
    pthread_mutex_lock(&callers->lock);
    struct entry *entry = find_entry(callers, tid);
    if (entry)
        drop(entry);
    else
        entry = room(callers);
    *entry = (struct entry){.tid = tid,
        .needs = needs,
        .cgroup_fd = look->cgroup_fd,
        .status_fd = look->status_fd,
        .caller = caller_ref(caller),
        .looked_ms = loop_now_ms(),
        .used = ++callers->clock};
    pthread_mutex_unlock(&callers->lock);
}

/* -- looking ------------------------------------------------------------------------------------ */

static bool look_at(struct callers *callers, pid_t tid, unsigned needs,
    struct caller_look *ret_look, struct err *err)
{
    unsigned quick = needs & CALLER_DIGEST ? CALLER_QUICK : 0;
    if (!witness_look(callers->witness, tid, needs | quick, LOOK_MS, ret_look, err))
        return false;
    if (!quick || ret_look->has_digest)
        return true;
    caller_look_done(ret_look);
    return witness_look(callers->digests, tid, needs, LOOK_MS, ret_look, err);
}

static bool look_anew(
    struct callers *callers, pid_t tid, unsigned needs, struct caller **ret_caller, struct err *err)
{
    struct caller_look look;
    char cgroup[CGROUP_PATH_SIZE] = "";
    struct err ignored = ERR_INIT;
    if (!look_at(callers, tid, needs, &look, err))
        return false;
    (void)!read_cgroup(look.cgroup_fd, cgroup, &ignored); /* "": then no pattern of one fits */
    struct caller like = {.pid = look.pid,
        .start_time = look.start_time,
        .exe_deleted = look.exe_deleted,
        .has_digest = look.has_digest};
    memcpy(like.digest, look.digest, sizeof like.digest);
    struct caller *caller = caller_new(&like, cgroup, look.exe);
    if (!caller) {
        caller_look_done(&look);
        return err_nomem(err);
    }
    remember(callers, tid, needs, &look, caller);
    *ret_caller = caller;
    return true;
}

bool callers_find(
    struct callers *callers, pid_t tid, unsigned needs, struct caller **ret_caller, struct err *err)
{
    pthread_mutex_lock(&callers->lock);
    struct caller *caller = recall(callers, tid, needs);
    pthread_mutex_unlock(&callers->lock);
    if (!caller)
        return look_anew(callers, tid, needs, ret_caller, err);
    *ret_caller = caller;
    return true;
}

/* -- groups ------------------------------------------------------------------------------------- */

/* "Groups:\t4 24 27 \n" */
static bool read_groups(const char *status, gid_t **ret_groups, size_t *ret_count, struct err *err)
{
    const char *at = strstr(status, "\nGroups:"), *end = at ? strchr(at + 1, '\n') : NULL;
    size_t count = 0;
    if (!end)
        return err_set(err, ERR_FORMAT, "/proc/PID/status without groups");
    auto_free gid_t *groups = calloc((size_t)(end - at), sizeof *groups);
    if (!groups)
        return err_nomem(err);
    for (at += strlen("\nGroups:"); at < end; at++) {
        char *after;
        unsigned long group = strtoul(at, &after, 10);
        if (after > end || after == at)
            break;
        groups[count++] = (gid_t)group;
        at = after;
    }
    *ret_groups = take_ptr(groups);
    *ret_count = count;
    return true;
}

/* A process may have 65,536 groups; the text then takes more than the first piece. */
static bool read_status(int fd, struct buf *text, struct err *err)
{
    uint8_t *room;
    for (;;) {
        if (!buf_reserve(text, STATUS_SIZE, &room, err))
            return false;
        ssize_t len = pread(fd, room, STATUS_SIZE, (off_t)text->len);
        if (len < 0)
            return err_set_errno(err, ERR_NOTFOUND, "groups of the caller");
        if (len == 0)
            return true;
        buf_commit(text, (size_t)len);
    }
}

/* False without an error: it is not remembered any more. */
static bool try_groups(struct callers *callers, pid_t tid, struct buf *text, struct err *err)
{
    pthread_mutex_lock(&callers->lock);
    struct entry *entry = find_entry(callers, tid);
    bool done = entry && read_status(entry->status_fd, text, err);
    pthread_mutex_unlock(&callers->lock);
    return done;
}

bool callers_groups(
    struct callers *callers, pid_t tid, gid_t **ret_groups, size_t *ret_count, struct err *err)
{
    auto_buf text = BUF_INIT(STATUS_MAX);
    for (int i = 0; i < 3; i++) {
        auto_caller *caller = NULL;
        if (try_groups(callers, tid, &text, err))
            return read_groups(buf_text(&text), ret_groups, ret_count, err);
        if (err->code != ERR_OK || !callers_find(callers, tid, 0, &caller, err))
            return false;
    }
    return err_set(err, ERR_BUSY, "too many callers at once to look at their groups");
}

/* -- life --------------------------------------------------------------------------------------- */

void callers_watch(struct callers *callers)
{
    struct err err = ERR_INIT;
    int fd;
    if (!witness_execs(callers->witness, LOOK_MS, &fd, &err)) {
        log_err(LOG_LEVEL_DEBUG, &err, "no notices of the kernel");
        return;
    }
    pthread_mutex_lock(&callers->lock);
    callers->execs_fd = fd;
    pthread_mutex_unlock(&callers->lock);
}

bool callers_new(struct witness_client *witness, struct witness_client *digests, size_t size,
    struct callers **ret_callers, struct err *err)
{
    struct callers *callers =
        size > 0 ? calloc(1, sizeof *callers + size * sizeof *callers->entries) : NULL;
    if (!callers)
        return err_nomem(err);
    callers->witness = witness;
    callers->digests = digests;
    callers->execs_fd = -1;
    callers->size = size;
    pthread_mutex_init(&callers->lock, NULL);
    *ret_callers = callers;
    return true;
}

void callers_free(struct callers *callers)
{
    if (!callers)
        return;
    drop_all(callers);
    if (callers->execs_fd >= 0)
        close(callers->execs_fd);
    pthread_mutex_destroy(&callers->lock);
    free(callers);
}
