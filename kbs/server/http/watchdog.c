/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/http/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "crypt/base/loop.h"
#include "kbs/server/quiet_thread.h"

struct watchdog {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    struct watch *first;
    int64_t tick_ms;
    bool stopping;
};

/* With the lock held, so that no descriptor can be closed (and its number used again) meanwhile. */
static void end_late(const struct watchdog *watchdog)
{
    int64_t now = loop_now_ms();
    for (struct watch *watch = watchdog->first; watch; watch = watch->next) {
        if (watch->deadline > now)
            continue;
        shutdown(watch->fd, SHUT_RDWR);
        watch->deadline = INT64_MAX;
    }
}

static void wait_tick(struct watchdog *watchdog)
{
    struct timespec until;
    if (!watchdog->first) {
        pthread_cond_wait(&watchdog->changed, &watchdog->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + watchdog->tick_ms % 1000 * 1000000;
    until.tv_sec += (time_t)(watchdog->tick_ms / 1000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(&watchdog->changed, &watchdog->lock, &until);
}

static void *run(void *arg)
{
    struct watchdog *watchdog = arg;
    pthread_mutex_lock(&watchdog->lock);
    while (!watchdog->stopping) {
        wait_tick(watchdog);
        end_late(watchdog);
    }
    pthread_mutex_unlock(&watchdog->lock);
    return NULL;
}

static bool start(struct watchdog *watchdog, struct err *err)
{
    pthread_mutex_init(&watchdog->lock, NULL);
    quiet_thread_condition(&watchdog->changed);
    int failed = quiet_thread_start(&watchdog->thread, run, watchdog);
    if (failed) {
        errno = failed;
        return err_set_errno(err, ERR_NOMEM, "thread that keeps deadlines");
    }
    return true;
}

bool watchdog_new(int64_t tick_ms, struct watchdog **ret_watchdog, struct err *err)
{
    auto_free struct watchdog *watchdog = calloc(1, sizeof *watchdog);
    if (!watchdog)
        return err_nomem(err);
    watchdog->tick_ms = tick_ms;
    if (!start(watchdog, err))
        return false;
    *ret_watchdog = take_ptr(watchdog);
    return true;
}

void watchdog_add(struct watchdog *watchdog, struct watch *watch, int fd, int64_t delay_ms)
{
    *watch = (struct watch){.fd = fd, .deadline = loop_now_ms() + delay_ms};
    pthread_mutex_lock(&watchdog->lock);
    watch->next = watchdog->first;
    if (watch->next)
        watch->next->previous = watch;
    else
        pthread_cond_signal(&watchdog->changed);
    watchdog->first = watch;
    pthread_mutex_unlock(&watchdog->lock);
}

void watchdog_set(struct watchdog *watchdog, struct watch *watch, int64_t delay_ms)
{
    pthread_mutex_lock(&watchdog->lock);
    watch->deadline = loop_now_ms() + delay_ms;
    pthread_mutex_unlock(&watchdog->lock);
}

void watchdog_remove(struct watchdog *watchdog, struct watch *watch)
{
    pthread_mutex_lock(&watchdog->lock);
    if (watch->previous)
        watch->previous->next = watch->next;
    else
        watchdog->first = watch->next;
    if (watch->next)
        watch->next->previous = watch->previous;
    pthread_mutex_unlock(&watchdog->lock);
}

void watchdog_free(struct watchdog *watchdog)
{
    if (!watchdog)
        return;
    pthread_mutex_lock(&watchdog->lock);
    watchdog->stopping = true;
    pthread_cond_signal(&watchdog->changed);
    pthread_mutex_unlock(&watchdog->lock);
    pthread_join(watchdog->thread, NULL);
    pthread_cond_destroy(&watchdog->changed);
    pthread_mutex_destroy(&watchdog->lock);
    free(watchdog);
}
