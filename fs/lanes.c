/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/lanes.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypt/base/ipc.h"
#include "crypt/base/loop.h"
#include "fs/monitor_wire.h"

/* Between two looks at whether the lane has become slow. */
#define TURN_NS   100000000
#define SECOND_NS 1000000000

void lanes_init(struct lanes *lanes)
{
    memset(lanes, 0, sizeof *lanes);
    for (size_t i = 0; i < LANES_MAX; i++) {
        lanes->lanes[i].fd = -1;
        pthread_mutex_init(&lanes->lanes[i].lock, NULL);
    }
}

void lanes_use(struct lanes *lanes, const struct sealedfs_conf *conf, int wait_ms)
{
    lanes->conf = conf;
    lanes->wait_ms = wait_ms;
}

/* -- which -------------------------------------------------------------------------------------- */

/* -1: it does not lie below. Else how much of the path the place takes. */
static int covers(const char *at, const char *path)
{
    size_t len = at ? strlen(at) : 0;
    if (len > 0 && (strncmp(path, at, len) != 0 || (path[len] != '/' && path[len] != '\0')))
        return -1;
    return (int)len;
}

/* As fs/namespace.h says; that decides in the end, this only who is asked. */
struct lane *lanes_find(struct lanes *lanes, uint16_t mount, const char *path)
{
    const struct sealedfs_conf *conf = lanes->conf;
    int longest = -1;
    size_t number = 0;
    if (!conf || mount >= conf->mounts.count ||
        (conf->mounts.items[mount].by_name && covers(BY_NAME_DIR, path) >= 0))
        return NULL;
    for (size_t i = 0; i < conf->files.count; i++)
        if (conf->files.items[i].mount == mount && strcmp(conf->files.items[i].path, path) == 0)
            return conf->files.items[i].sealed_file
                       ? &lanes->lanes[(conf->sources.count + i) % LANES_MAX]
                       : NULL;
    for (size_t i = 0; i < conf->sources.count; i++) {
        const struct conf_source *source = &conf->sources.items[i];
        int len = source->mount == mount ? covers(source->at, path) : -1;
        if (len > longest) {
            longest = len;
            number = i;
        }
    }
    return longest < 0 ? NULL : &lanes->lanes[number % LANES_MAX];
}

/* -- waiting ------------------------------------------------------------------------------------ */

static bool hangs(struct err *err)
{
    return err_set_at(err, ERR_TIMEOUT, ETIMEDOUT, __FILE__, __LINE__,
        "the file system of the source does not answer");
}

static bool is_slow(const struct lane *lane)
{
    int64_t since = atomic_load(&lane->since_ms);
    return since != 0 && loop_now_ms() - since >= LANE_SLOW_MS;
}

static bool lock_soon(struct lane *lane)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += TURN_NS;
    if (end.tv_nsec >= SECOND_NS) {
        end.tv_nsec -= SECOND_NS;
        end.tv_sec++;
    }
    return pthread_mutex_clocklock(&lane->lock, CLOCK_MONOTONIC, &end) == 0;
}

bool lane_enter(struct lane *lane, struct err *err)
{
    bool is_late = atomic_fetch_add(&lane->waiting, 1) >= LANE_QUEUE;
    while (!lock_soon(lane))
        if (is_late && is_slow(lane)) {
            atomic_fetch_sub(&lane->waiting, 1);
            return hangs(err);
        }
    atomic_store(&lane->since_ms, loop_now_ms());
    return true;
}

void lane_leave(struct lane *lane)
{
    atomic_store(&lane->since_ms, 0);
    atomic_fetch_sub(&lane->waiting, 1);
    pthread_mutex_unlock(&lane->lock);
}

void lane_close(struct lane *lane)
{
    if (lane->fd >= 0)
        close(lane->fd);
    lane->fd = -1;
    lane->late = 0;
}

/* False: nothing came in time. */
static bool readable(int fd, int wait_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int64_t end = loop_now_ms() + wait_ms;
    int count = poll(&ready, 1, wait_ms);
    /* The signal that wakes threads for a freeze (ops_freeze) is no reason to give up. */
    for (int64_t left; count < 0 && errno == EINTR; count = poll(&ready, 1, (int)left))
        left = end > loop_now_ms() ? end - loop_now_ms() : 0;
    return count > 0;
}

/* The answer that is owed, or another sign that nothing is. */
static void take_late(struct lane *lane)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct monitor_answer answer;
    struct err err = ERR_INIT;
    int fds[IPC_FDS_MAX];
    size_t count = 0;
    bool closed = false;
    bool done = ipc_receive(lane->fd, &message, fds, &count, &closed, &err);
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
    if (!done || closed || !monitor_answer_decode(buf_bytes(&message), &answer, &err))
        lane_close(lane);
    else if (answer.number == lane->late)
        lane->late = 0;
}

bool lane_settle(struct lane *lane, struct err *err)
{
    while (lane->late != 0 && readable(lane->fd, 0))
        take_late(lane);
    return lane->late == 0 || hangs(err);
}

bool lane_await(struct lane *lane, uint32_t number, int wait_ms, struct err *err)
{
    if (readable(lane->fd, wait_ms))
        return true;
    lane->late = number;
    return hangs(err);
}
