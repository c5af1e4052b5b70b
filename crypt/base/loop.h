/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small event loop on epoll: descriptors, one-shot timers, signals, and tasks posted from other threads.
 * One thread runs a loop and makes all calls on it, except loop_post() and loop_stop(), which any thread may make.
 * Callbacks run on the loop's thread and may add and remove anything, themselves included. Time is
 * CLOCK_BOOTTIME in milliseconds, so that a suspended guest does not stretch deadlines.
 */
#pragma once

#include <stdint.h>
#include <sys/epoll.h>

#include "crypt/base/err.h"

struct loop;
struct loop_watch;
struct loop_timer;

typedef void loop_fd_fn(void *arg, uint32_t events);
typedef void loop_fn(void *arg);
typedef void loop_signal_fn(void *arg, int signo);

bool loop_new(struct loop **ret_loop, struct err *err) MUST_CHECK;
void loop_free(
    struct loop *loop); /* everything still registered is released; posted tasks are dropped */
DEFINE_AUTO(struct loop, loop_free);
bool loop_run(struct loop *loop, struct err *err) MUST_CHECK; /* until loop_stop() */
/* One turn: waits at most timeout_ms (-1 = for ever). For tests and synchronous waits. */
bool loop_turn(struct loop *loop, int timeout_ms, struct err *err) MUST_CHECK;
void loop_stop(
    struct loop *loop); /* loop_run() returns after the turn; before loop_run(): at once */
int64_t loop_now_ms(void);

/* Does not own the descriptor. Remove the watch before closing it. One watch a descriptor. EPOLLERR and EPOLLHUP come unasked
 * (events may be 0) and again until the watch is removed. */
bool loop_watch_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *arg,
    struct loop_watch **ret_watch, struct err *err) MUST_CHECK;
bool loop_watch_change(struct loop_watch *watch, uint32_t events, struct err *err) MUST_CHECK;
/* No events for a while, for one that cannot be served now and would come again at once: accept(2) without descriptors. */
void loop_watch_rest(struct loop_watch *watch, int64_t delay_ms);
void loop_unwatch(struct loop_watch *watch); /* NULL is fine */

bool loop_timer_new(struct loop *loop, loop_fn *fn, void *arg, struct loop_timer **ret_timer,
    struct err *err) MUST_CHECK;
void loop_timer_set(
    struct loop_timer *timer, int64_t delay_ms); /* one shot; replaces an earlier setting */
void loop_timer_clear(struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer); /* NULL is fine */

/* Blocks the signal in the calling thread (call before making threads) and reports it on the loop; it stays blocked after
 * loop_free(), and children inherit that. */
bool loop_signal(struct loop *loop, int signo, loop_signal_fn *fn, void *arg, struct err *err)
    MUST_CHECK;
/* Runs fn(arg) once on the loop's thread, first in first out; what a task posts runs in a later turn. */
bool loop_post(struct loop *loop, loop_fn *fn, void *arg, struct err *err) MUST_CHECK;
