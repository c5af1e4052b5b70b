/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Events taken from the kernel in one turn. */
#define BATCH_MAX     64
#define REST_AGAIN_MS 1000
#define IDLE          SIZE_MAX /* place of a timer that is not set */

struct loop_watch {
    LIST_ENTRY(loop_watch) link; /* in loop->watches, or in loop->removed */
    struct loop *loop;
    int fd;
    uint32_t events;
    bool removed;
    loop_fd_fn *fn;
    void *arg;
    struct loop_timer *rest; /* NULL: it has never rested */
    uint32_t wanted;         /* events after the rest */
};

struct loop_timer {
    LIST_ENTRY(loop_timer) link;
    struct loop *loop;
    size_t place; /* in loop->heap, or IDLE */
    int64_t due_ms;
    uint64_t order; /* of setting: equal deadlines fire in that order */
    loop_fn *fn;
    void *arg;
};

struct task {
    STAILQ_ENTRY(task) link;
    loop_fn *fn;
    void *arg;
};

struct loop {
    int epoll_fd, timer_fd, wake_fd, signal_fd;
    unsigned depth; /* of loop_turn(): callbacks may wait synchronously */
    /*
     * A watch that is removed while a batch is being handled may have an event further on in it, so
     * it is only marked and moved here; the outermost turn frees it when no batch can name it any
     * more.
     */
    LIST_HEAD(, loop_watch) watches, removed;

    LIST_HEAD(, loop_timer) timers;
    struct loop_timer **heap; /* binary heap of the timers that are set; room for all that exist */
    size_t heap_len, heap_size, timer_count;
    uint64_t timer_order;
    int64_t armed_ms; /* what timer_fd is set to; 0: nothing */

    sigset_t signals;
    struct {
        loop_signal_fn *fn;
        void *arg;
    } signal_handlers[NSIG];

    atomic_bool stop;
    pthread_mutex_t task_lock; /* protects the three below: they are what other threads touch */
    STAILQ_HEAD(, task) tasks;
    size_t task_count;
    bool woken;
};

int64_t loop_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* -- descriptors ------------------------------------------------------------------------------- */

bool loop_watch_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *arg,
    struct loop_watch **ret_watch, struct err *err)
{
    auto_free struct loop_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return err_nomem(err);
    *watch = (struct loop_watch){.loop = loop, .fd = fd, .events = events, .fn = fn, .arg = arg};
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return err_set_errno(err, errno == ENOMEM || errno == ENOSPC ? ERR_NOMEM : ERR_INTERNAL,
            "watch descriptor %d", fd);
    LIST_INSERT_HEAD(&loop->watches, watch, link);
    *ret_watch = take_ptr(watch);
    return true;
}

bool loop_watch_change(struct loop_watch *watch, uint32_t events, struct err *err)
{
    if (watch->events == events && !(events & EPOLLONESHOT))
        return true;
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0)
        return err_set_errno(err, ERR_INTERNAL, "change watch of descriptor %d", watch->fd);
    watch->events = events;
    return true;
}

static void on_rested(void *arg)
{
    struct loop_watch *watch = arg;
    struct err err = ERR_INIT;
    if (watch->events == 0 && !loop_watch_change(watch, watch->wanted, &err))
        loop_timer_set(watch->rest, REST_AGAIN_MS);
}

void loop_watch_rest(struct loop_watch *watch, int64_t delay_ms)
{
    struct err err = ERR_INIT;
    uint32_t wanted = watch->events ? watch->events : watch->wanted;
    if ((!watch->rest && !loop_timer_new(watch->loop, on_rested, watch, &watch->rest, &err)) ||
        !loop_watch_change(watch, 0, &err))
        return; /* then it comes again at once: no worse than before */
    watch->wanted = wanted;
    loop_timer_set(watch->rest, delay_ms);
}

void loop_unwatch(struct loop_watch *watch)
{
    if (!watch || watch->removed)
        return;
    struct loop *loop = watch->loop;
    loop_timer_free(take_ptr(watch->rest));
    /* Fails only when the descriptor was closed already, which removed it as well. */
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    LIST_REMOVE(watch, link);
    if (loop->depth == 0) {
        free(watch);
        return;
    }
    watch->removed = true;
    LIST_INSERT_HEAD(&loop->removed, watch, link);
}

static void free_removed(struct loop *loop)
{
    struct loop_watch *watch;
    while ((watch = LIST_FIRST(&loop->removed))) {
        LIST_REMOVE(watch, link);
        free(watch);
    }
}

/* -- timers ------------------------------------------------------------------------------------ */

static bool timer_before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void heap_put(struct loop *loop, size_t place, struct loop_timer *timer)
{
    loop->heap[place] = timer;
    timer->place = place;
}

/* Puts `timer` where it belongs, starting from a free `place`: up towards the root, else down. */
static void heap_settle(struct loop *loop, size_t place, struct loop_timer *timer)
{
    while (place > 0 && timer_before(timer, loop->heap[(place - 1) / 2])) {
        heap_put(loop, place, loop->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= loop->heap_len)
            break;
        if (child + 1 < loop->heap_len && timer_before(loop->heap[child + 1], loop->heap[child]))
            child++;
        if (!timer_before(loop->heap[child], timer))
            break;
        heap_put(loop, place, loop->heap[child]);
        place = child;
    }
    heap_put(loop, place, timer);
}

bool loop_timer_new(
    struct loop *loop, loop_fn *fn, void *arg, struct loop_timer **ret_timer, struct err *err)
{
    /* Room is made here, so that setting a timer cannot fail. */
    if (loop->timer_count == loop->heap_size) {
        size_t size = loop->heap_size ? 2 * loop->heap_size : 16;
        struct loop_timer **heap = reallocarray(loop->heap, size, sizeof(struct loop_timer *));
        if (!heap)
            return err_nomem(err);
        loop->heap = heap;
        loop->heap_size = size;
    }
    struct loop_timer *timer = calloc(1, sizeof *timer);
    if (!timer)
        return err_nomem(err);
    *timer = (struct loop_timer){.loop = loop, .place = IDLE, .fn = fn, .arg = arg};
    LIST_INSERT_HEAD(&loop->timers, timer, link);
    loop->timer_count++;
    *ret_timer = timer;
    return true;
}

void loop_timer_set(struct loop_timer *timer, int64_t delay_ms)
{
    struct loop *loop = timer->loop;
    int64_t now = loop_now_ms();
    if (delay_ms < 0)
        delay_ms = 0;
    timer->due_ms = delay_ms < INT64_MAX - now ? now + delay_ms : INT64_MAX;
    timer->order = ++loop->timer_order;
    heap_settle(loop, timer->place == IDLE ? loop->heap_len++ : timer->place, timer);
}

void loop_timer_clear(struct loop_timer *timer)
{
    if (timer->place == IDLE)
        return;
    struct loop *loop = timer->loop;
    size_t place = timer->place;
    struct loop_timer *last = loop->heap[--loop->heap_len];
    timer->place = IDLE;
    if (last != timer)
        heap_settle(loop, place, last);
}

void loop_timer_free(struct loop_timer *timer)
{
    if (!timer)
        return;
    loop_timer_clear(timer);
    LIST_REMOVE(timer, link);
    timer->loop->timer_count--;
    free(timer);
}

static bool timer_due(const struct loop *loop)
{
    return loop->heap_len > 0 && loop->heap[0]->due_ms <= loop_now_ms();
}

static void run_timers(struct loop *loop)
{
    int64_t now = loop_now_ms();
    uint64_t barrier = loop->timer_order; /* what a callback sets waits for the next turn */
    while (loop->heap_len > 0) {
        struct loop_timer *timer = loop->heap[0];
        if (timer->due_ms > now || timer->order > barrier)
            return;
        loop_timer_clear(timer);
        timer->fn(timer->arg);
    }
}

/*
 * The kernel wakes us by a timerfd and not by epoll_wait's timeout: that one counts CLOCK_MONOTONIC
 * and would stand still while the guest is suspended.
 */
static bool arm_timer(struct loop *loop, struct err *err)
{
    int64_t due = loop->heap_len > 0 ? loop->heap[0]->due_ms : 0;
    /* Set for an earlier time than is needed now, it stays so: one wake in vain costs less than a system call for each deadline
     * that comes and goes. */
    if (due == 0 || (loop->armed_ms != 0 && loop->armed_ms <= due))
        return true;
    struct itimerspec when = {.it_value = {due / 1000, due % 1000 * 1000000}};
    if (timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
        return err_set_errno(err, ERR_INTERNAL, "set the timer of the event loop");
    loop->armed_ms = due;
    return true;
}

static void on_timer_fd(void *arg, uint32_t events)
{
    struct loop *loop = arg;
    uint64_t count;
    (void)events;
    if (read(loop->timer_fd, &count, sizeof count) == (ssize_t)sizeof count)
        loop->armed_ms = 0;
}

/* -- tasks from other threads ------------------------------------------------------------------ */

static void wake(struct loop *loop)
{
    uint64_t one = 1;
    /* EAGAIN would mean that 2^64-2 wakes are pending: awake enough. */
    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

bool loop_post(struct loop *loop, loop_fn *fn, void *arg, struct err *err)
{
    struct task *task = malloc(sizeof *task);
    if (!task)
        return err_nomem(err);
    *task = (struct task){.fn = fn, .arg = arg};
    pthread_mutex_lock(&loop->task_lock);
    STAILQ_INSERT_TAIL(&loop->tasks, task, link);
    loop->task_count++;
    if (!loop->woken) { /* one write for any number of tasks until the loop looks again */
        loop->woken = true;
        wake(loop);
    }
    pthread_mutex_unlock(&loop->task_lock);
    return true;
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->stop, true);
    wake(loop);
}

static void on_wake_fd(void *arg, uint32_t events)
{
    struct loop *loop = arg;
    uint64_t count;
    (void)events;
    pthread_mutex_lock(&loop->task_lock);
    loop->woken = false;
    ssize_t got = read(loop->wake_fd, &count, sizeof count);
    (void)got; /* a spurious event leaves nothing to read */
    pthread_mutex_unlock(&loop->task_lock);
}

static size_t tasks_waiting(struct loop *loop)
{
    pthread_mutex_lock(&loop->task_lock);
    size_t count = loop->task_count;
    pthread_mutex_unlock(&loop->task_lock);
    return count;
}

static struct task *next_task(struct loop *loop)
{
    pthread_mutex_lock(&loop->task_lock);
    struct task *task = STAILQ_FIRST(&loop->tasks);
    if (task) {
        STAILQ_REMOVE_HEAD(&loop->tasks, link);
        loop->task_count--;
    }
    pthread_mutex_unlock(&loop->task_lock);
    return task;
}

/* What is there now; tasks that tasks post wait for the next turn, so descriptors and timers get
 * theirs. */
static void run_tasks(struct loop *loop)
{
    for (size_t left = tasks_waiting(loop); left > 0; left--) {
        auto_free struct task *task = next_task(loop);
        if (!task)
            return; /* a nested turn ran them */
        task->fn(task->arg);
    }
}

/* -- signals ----------------------------------------------------------------------------------- */

static void on_signal_fd(void *arg, uint32_t events)
{
    struct loop *loop = arg;
    struct signalfd_siginfo info;
    (void)events;
    if (read(loop->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (info.ssi_signo < NSIG && loop->signal_handlers[info.ssi_signo].fn)
        loop->signal_handlers[info.ssi_signo].fn(
            loop->signal_handlers[info.ssi_signo].arg, (int)info.ssi_signo);
}

bool loop_signal(struct loop *loop, int signo, loop_signal_fn *fn, void *arg, struct err *err)
{
    if (signo <= 0 || signo >= NSIG || sigaddset(&loop->signals, signo) < 0)
        return err_set(err, ERR_INTERNAL, "signal %d does not exist", signo);
    loop->signal_handlers[signo].fn = fn;
    loop->signal_handlers[signo].arg = arg;
    int failed = pthread_sigmask(SIG_BLOCK, &loop->signals, NULL);
    if (failed) {
        errno = failed;
        return err_set_errno(err, ERR_INTERNAL, "block signal %d", signo);
    }
    int fd = signalfd(loop->signal_fd, &loop->signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, ERR_NOMEM, "signal descriptor of the event loop");
    if (loop->signal_fd >= 0)
        return true; /* the same descriptor, with one more signal */
    loop->signal_fd = fd;
    struct loop_watch *watch;
    return loop_watch_fd(loop, fd, EPOLLIN, on_signal_fd, loop, &watch, err);
}

/* -- the loop ---------------------------------------------------------------------------------- */

static bool open_own_fds(struct loop *loop, struct err *err)
{
    struct loop_watch *watch;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->epoll_fd < 0 || loop->timer_fd < 0 || loop->wake_fd < 0)
        return err_set_errno(err, ERR_NOMEM, "descriptors of the event loop");
    return loop_watch_fd(loop, loop->timer_fd, EPOLLIN, on_timer_fd, loop, &watch, err) &&
           loop_watch_fd(loop, loop->wake_fd, EPOLLIN, on_wake_fd, loop, &watch, err);
}

bool loop_new(struct loop **ret_loop, struct err *err)
{
    AUTO(loop_free) struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return err_nomem(err);
    loop->epoll_fd = loop->timer_fd = loop->wake_fd = loop->signal_fd = -1;
    LIST_INIT(&loop->watches);
    LIST_INIT(&loop->removed);
    LIST_INIT(&loop->timers);
    STAILQ_INIT(&loop->tasks);
    sigemptyset(&loop->signals);
    pthread_mutex_init(&loop->task_lock, NULL);
    if (!open_own_fds(loop, err))
        return false;
    *ret_loop = take_ptr(loop);
    return true;
}

void loop_free(struct loop *loop)
{
    struct loop_watch *watch;
    struct loop_timer *timer;
    struct task *task;
    if (!loop)
        return;
    while ((watch = LIST_FIRST(&loop->watches)))
        loop_unwatch(watch);
    while ((timer = LIST_FIRST(&loop->timers)))
        loop_timer_free(timer);
    while ((task = next_task(loop)))
        free(task);
    free_removed(loop);
    cleanup_fd(&loop->signal_fd);
    cleanup_fd(&loop->wake_fd);
    cleanup_fd(&loop->timer_fd);
    cleanup_fd(&loop->epoll_fd);
    pthread_mutex_destroy(&loop->task_lock);
    free(loop->heap);
    free(loop);
}

static void run_watches(const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct loop_watch *watch = events[i].data.ptr;
        if (watch->removed)
            continue;
        /* An earlier callback may have asked for less in the meantime. */
        uint32_t ready = events[i].events & (watch->events | EPOLLERR | EPOLLHUP);
        if (ready)
            watch->fn(watch->arg, ready);
    }
}

bool loop_turn(struct loop *loop, int timeout_ms, struct err *err)
{
    struct epoll_event events[BATCH_MAX];
    /* What is due already needs no timer: many a callback is put off by 0 ms, only to run from the loop. */
    if (timer_due(loop) || tasks_waiting(loop) > 0)
        timeout_ms = 0;
    else if (!arm_timer(loop, err))
        return false;
    int count = epoll_wait(loop->epoll_fd, events, BATCH_MAX, timeout_ms);
    if (count < 0 && errno != EINTR)
        return err_set_errno(err, ERR_INTERNAL, "wait for events");
    loop->depth++;
    run_watches(events, count);
    run_timers(loop);
    run_tasks(loop);
    if (--loop->depth == 0)
        free_removed(loop);
    return true;
}

bool loop_run(struct loop *loop, struct err *err)
{
    while (!atomic_exchange(&loop->stop, false))
        if (!loop_turn(loop, -1, err))
            return false;
    return true;
}
