/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/loop.h"

#include "tests/unit/unit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct loop *loop;
static struct err err;

static int make_loop(void **state)
{
    (void)state;
    err_clear(&err);
    return loop_new(&loop, &err) ? 0 : -1;
}

static int drop_loop(void **state)
{
    (void)state;
    loop_free(loop);
    loop = NULL;
    return 0;
}

#define LIMIT_MS 60000 /* a bound for broken runs */

/* What callbacks did, in order. */
static char trail[64];

static void leave_mark(void *arg)
{
    size_t len = strlen(trail);
    snprintf(trail + len, sizeof trail - len, "%s", (const char *)arg);
}

static int ready_fd(void)
{
    int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(fd >= 0);
    return fd;
}

/* -- descriptors -- */

struct pair {
    struct loop_watch *own, *other;
    int fd, calls;
    int *other_calls;
    struct pair *peer;
};

static void remove_both(void *arg, uint32_t events)
{
    struct pair *pair = arg;
    assert_true(events & EPOLLIN);
    pair->calls++;
    loop_unwatch(take_ptr(pair->peer->own));
    loop_unwatch(take_ptr(pair->own));
}

static void removed_watch_gets_no_event_of_the_batch(void **state)
{
    (void)state;
    struct pair a = {.fd = ready_fd()}, b = {.fd = ready_fd()};
    a.peer = &b;
    b.peer = &a;
    assert_done(loop_watch_fd(loop, a.fd, EPOLLIN, remove_both, &a, &a.own, &err), &err);
    assert_done(loop_watch_fd(loop, b.fd, EPOLLIN, remove_both, &b, &b.own, &err), &err);
    assert_done(loop_turn(loop, 1000, &err), &err);
    assert_done(loop_turn(loop, 0, &err), &err);
    assert_int_equal(a.calls + b.calls, 1);
    close(a.fd);
    close(b.fd);
}

static void replace_by_another_fd(void *arg, uint32_t events)
{
    struct pair *pair = arg;
    (void)events;
    pair->calls++;
    /* The peer's descriptor number comes back as a new, silent one: its old event must not reach
     * the new watch. */
    struct pair *peer = pair->peer;
    int number = peer->fd;
    loop_unwatch(peer->own);
    close(number);
    int silent = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_int_equal(silent, number);
    assert_done(
        loop_watch_fd(loop, silent, EPOLLIN, replace_by_another_fd, peer, &peer->own, &err), &err);
    loop_unwatch(take_ptr(pair->own));
}

static void stale_event_does_not_reach_a_reused_descriptor(void **state)
{
    (void)state;
    struct pair a = {.fd = ready_fd()}, b = {.fd = ready_fd()};
    a.peer = &b;
    b.peer = &a;
    assert_done(loop_watch_fd(loop, a.fd, EPOLLIN, replace_by_another_fd, &a, &a.own, &err), &err);
    assert_done(loop_watch_fd(loop, b.fd, EPOLLIN, replace_by_another_fd, &b, &b.own, &err), &err);
    assert_done(loop_turn(loop, 1000, &err), &err);
    assert_done(loop_turn(loop, 0, &err), &err);
    assert_int_equal(a.calls + b.calls, 1);
    close(a.fd);
    close(b.fd);
}

static void count_call(void *arg, uint32_t events)
{
    (void)events;
    ++*(int *)arg;
}

static void change_selects_events(void **state)
{
    (void)state;
    int calls = 0, fd = ready_fd();
    struct loop_watch *watch;
    assert_done(loop_watch_fd(loop, fd, 0, count_call, &calls, &watch, &err), &err);
    assert_done(loop_turn(loop, 0, &err), &err);
    assert_int_equal(calls, 0);
    assert_done(loop_watch_change(watch, EPOLLIN, &err), &err);
    assert_done(loop_turn(loop, 0, &err), &err);
    assert_int_equal(calls, 1);
    assert_done(loop_watch_change(watch, 0, &err), &err);
    assert_done(loop_turn(loop, 0, &err), &err);
    assert_int_equal(calls, 1);
    loop_unwatch(watch);
    loop_unwatch(NULL);
    close(fd);
}

static int rests;

static void count_and_rest(void *arg, uint32_t events)
{
    struct loop_watch **watch = arg;
    assert_true(events & EPOLLIN);
    rests++;
    loop_watch_rest(*watch, LIMIT_MS);
}

static void a_watch_that_rests_is_quiet(void **state)
{
    (void)state;
    auto_fd int fd = ready_fd();
    struct loop_watch *watch;
    assert_done(loop_watch_fd(loop, fd, EPOLLIN, count_and_rest, &watch, &watch, &err), &err);
    for (int i = 0; i < 5; i++)
        assert_done(loop_turn(loop, 0, &err), &err);
    assert_int_equal(rests, 1);
    loop_watch_rest(watch, 0);
    while (rests < 2)
        assert_done(loop_turn(loop, LIMIT_MS, &err), &err);
    loop_unwatch(watch); /* while it rests */
    assert_done(loop_turn(loop, 0, &err), &err);
    assert_int_equal(rests, 2);
}

static void bad_descriptors_are_refused(void **state)
{
    (void)state;
    int calls = 0, fd = ready_fd();
    struct loop_watch *watch = NULL, *second = NULL;
    assert_refused(loop_watch_fd(loop, -1, EPOLLIN, count_call, &calls, &watch, &err), &err,
        ERR_INTERNAL, "watch descriptor -1");
    assert_null(watch);
    assert_done(loop_watch_fd(loop, fd, EPOLLIN, count_call, &calls, &watch, &err), &err);
    assert_refused(loop_watch_fd(loop, fd, EPOLLIN, count_call, &calls, &second, &err), &err,
        ERR_INTERNAL, "exists");
    loop_unwatch(watch);
    close(fd);
}

static void wait_inside(void *arg, uint32_t events)
{
    struct pair *pair = arg;
    (void)events;
    pair->calls++;
    loop_unwatch(take_ptr(pair->peer->own));
    loop_unwatch(take_ptr(pair->own));
    assert_done(
        loop_turn(loop, 0, &err), &err); /* must not free what the outer batch still names */
}

static void nested_turn_keeps_removed_watches(void **state)
{
    (void)state;
    struct pair a = {.fd = ready_fd()}, b = {.fd = ready_fd()};
    a.peer = &b;
    b.peer = &a;
    assert_done(loop_watch_fd(loop, a.fd, EPOLLIN, wait_inside, &a, &a.own, &err), &err);
    assert_done(loop_watch_fd(loop, b.fd, EPOLLIN, wait_inside, &b, &b.own, &err), &err);
    assert_done(loop_turn(loop, 1000, &err), &err);
    assert_int_equal(a.calls + b.calls, 1);
    close(a.fd);
    close(b.fd);
}

/* -- timers -- */

static void timers_fire_in_order_of_deadline(void **state)
{
    (void)state;
    static char marks[3][2] = {"a", "b", "c"};
    struct loop_timer *timers[3];
    trail[0] = '\0';
    for (int i = 0; i < 3; i++)
        assert_done(loop_timer_new(loop, leave_mark, marks[i], &timers[i], &err), &err);
    int64_t start;
    do { /* all in the same millisecond */
        start = loop_now_ms();
        loop_timer_set(timers[2], 1);
        loop_timer_set(timers[0], 3);
        loop_timer_set(timers[1], 2);
    } while (loop_now_ms() != start);
    while (strlen(trail) < 3 && loop_now_ms() - start < LIMIT_MS)
        assert_done(loop_turn(loop, 1000, &err), &err);
    assert_string_equal(trail, "cba");
    assert_true(loop_now_ms() - start >= 3);
}

static void equal_deadlines_fire_in_order_of_setting(void **state)
{
    (void)state;
    static char marks[8][2] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    struct loop_timer *timers[8];
    trail[0] = '\0';
    for (int i = 0; i < 8; i++) {
        assert_done(loop_timer_new(loop, leave_mark, marks[i], &timers[i], &err), &err);
        loop_timer_set(timers[i], 0);
    }
    loop_timer_clear(timers[3]);
    loop_timer_clear(timers[3]);
    loop_timer_free(timers[5]);
    while (strlen(trail) < 6)
        assert_done(loop_turn(loop, 1000, &err), &err);
    assert_string_equal(trail, "012467");
}

static void set_again(void *arg)
{
    struct loop_timer **timer = arg;
    leave_mark((void *)(uintptr_t) "x");
    loop_timer_set(*timer, 0);
}

static void timer_set_by_its_callback_waits_for_the_next_turn(void **state)
{
    (void)state;
    struct loop_timer *timer;
    trail[0] = '\0';
    assert_done(loop_timer_new(loop, set_again, &timer, &timer, &err), &err);
    loop_timer_set(timer, 0);
    assert_done(loop_turn(loop, 1000, &err), &err);
    assert_string_equal(trail, "x");
    assert_done(loop_turn(loop, 1000, &err), &err);
    assert_string_equal(trail, "xx");
}

struct killer {
    struct loop_timer *own, *victim;
};

static void free_both(void *arg)
{
    struct killer *killer = arg;
    leave_mark((void *)(uintptr_t) "k");
    loop_timer_free(killer->victim);
    loop_timer_free(killer->own);
}

static void timer_may_free_itself_and_a_due_one(void **state)
{
    (void)state;
    struct killer killer;
    trail[0] = '\0';
    assert_done(loop_timer_new(loop, free_both, &killer, &killer.own, &err), &err);
    assert_done(
        loop_timer_new(loop, leave_mark, (void *)(uintptr_t) "v", &killer.victim, &err), &err);
    loop_timer_set(killer.own, 0);
    loop_timer_set(killer.victim, 0);
    assert_done(loop_turn(loop, 1000, &err), &err);
    assert_done(loop_turn(loop, 0, &err), &err);
    assert_string_equal(trail, "k");
    loop_timer_free(NULL);
}

#define MANY 10000
static int fired;

/* A deadline is known only to the milliseconds before and after the call that set it. */
struct due {
    int64_t earliest, latest;
};
static struct due last_due;

static void check_order(void *arg)
{
    const struct due *due = arg;
    assert_true(due->latest >= last_due.earliest);
    last_due = *due;
    fired++;
}

static void many_timers_stay_ordered(void **state)
{
    (void)state;
    static struct loop_timer *timers[MANY];
    static struct due due[MANY];
    unsigned random = 1;
    fired = 0;
    last_due = (struct due){0, 0};
    for (int i = 0; i < MANY; i++)
        assert_done(loop_timer_new(loop, check_order, &due[i], &timers[i], &err), &err);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < MANY; i++) {
            random = random * 1103515245 + 12345;
            int64_t delay = (random >> 16) % 20;
            due[i].earliest = loop_now_ms() + delay;
            loop_timer_set(timers[i], delay);
            due[i].latest = loop_now_ms() + delay;
        }
    for (int i = 0; i < MANY; i += 2)
        loop_timer_clear(timers[i]);
    int64_t start = loop_now_ms();
    while (fired < MANY / 2 && loop_now_ms() - start < LIMIT_MS)
        assert_done(loop_turn(loop, 1000, &err), &err);
    assert_int_equal(fired, MANY / 2);
}

static void far_deadline_does_not_overflow(void **state)
{
    (void)state;
    struct loop_timer *far, *near;
    trail[0] = '\0';
    assert_done(loop_timer_new(loop, leave_mark, (void *)(uintptr_t) "f", &far, &err), &err);
    assert_done(loop_timer_new(loop, leave_mark, (void *)(uintptr_t) "n", &near, &err), &err);
    loop_timer_set(far, INT64_MAX);
    assert_done(loop_turn(loop, 0, &err), &err);
    loop_timer_set(near, -5);
    assert_done(loop_turn(loop, 1000, &err), &err);
    assert_string_equal(trail, "n");
}

/* -- tasks, stop, signals -- */

#define POSTS   2000
#define THREADS 3
static int next_of[THREADS];
static int posted_total;

struct post {
    int thread, number;
};

static void check_fifo(void *arg)
{
    struct post *post = arg;
    assert_int_equal(post->number, next_of[post->thread]++);
    if (++posted_total == POSTS * THREADS)
        loop_stop(loop);
}

static void *post_many(void *arg)
{
    struct post *posts = arg;
    struct err own = ERR_INIT;
    for (int i = 0; i < POSTS; i++)
        if (!loop_post(loop, check_fifo, &posts[i], &own))
            return arg;
    return NULL;
}

static void posts_of_threads_arrive_in_order(void **state)
{
    (void)state;
    static struct post posts[THREADS][POSTS];
    pthread_t threads[THREADS];
    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < POSTS; i++)
            posts[t][i] = (struct post){t, i};
        assert_int_equal(pthread_create(&threads[t], NULL, post_many, posts[t]), 0);
    }
    assert_done(loop_run(loop, &err), &err);
    for (int t = 0; t < THREADS; t++) {
        void *failed;
        pthread_join(threads[t], &failed);
        assert_null(failed);
    }
    assert_int_equal(posted_total, POSTS * THREADS);
}

static void wait_nested(void *arg)
{
    (void)arg;
    leave_mark((void *)(uintptr_t) "1");
    assert_done(loop_turn(loop, 1000, &err), &err);
    leave_mark((void *)(uintptr_t) "3");
}

static void task_may_wait_for_a_later_task(void **state)
{
    (void)state;
    trail[0] = '\0';
    assert_done(loop_post(loop, wait_nested, NULL, &err), &err);
    assert_done(loop_post(loop, leave_mark, (void *)(uintptr_t) "2", &err), &err);
    assert_done(loop_turn(loop, 1000, &err), &err);
    assert_string_equal(trail, "123");
}

static void stop_before_run_returns_at_once(void **state)
{
    (void)state;
    loop_stop(loop);
    assert_done(loop_run(loop, &err), &err);
}

static void note_signal(void *arg, int signo)
{
    *(int *)arg = signo;
    loop_stop(loop);
}

static void signals_come_as_callbacks(void **state)
{
    (void)state;
    int first = 0, second = 0;
    assert_done(loop_signal(loop, SIGUSR1, note_signal, &first, &err), &err);
    assert_done(loop_signal(loop, SIGHUP, note_signal, &second, &err), &err);
    raise(SIGUSR1);
    assert_done(loop_run(loop, &err), &err);
    assert_int_equal(first, SIGUSR1);
    raise(SIGHUP);
    assert_done(loop_run(loop, &err), &err);
    assert_int_equal(second, SIGHUP);
    assert_refused(loop_signal(loop, 4711, note_signal, &first, &err), &err, ERR_INTERNAL, "4711");
}

static void free_releases_what_is_registered(void **state)
{
    (void)state;
    int calls = 0, fd = ready_fd();
    struct loop_watch *watch;
    struct loop_timer *timer;
    assert_done(loop_watch_fd(loop, fd, EPOLLIN, count_call, &calls, &watch, &err), &err);
    assert_done(loop_timer_new(loop, leave_mark, NULL, &timer, &err), &err);
    loop_timer_set(timer, 100000);
    assert_done(loop_post(loop, leave_mark, NULL, &err), &err);
    loop_free(take_ptr(loop)); /* leaks and double frees are found by the sanitizer build */
    assert_int_equal(calls, 0);
    close(fd);
    loop_free(NULL);
}

#define loop_test(fn) cmocka_unit_test_setup_teardown(fn, make_loop, drop_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        loop_test(removed_watch_gets_no_event_of_the_batch),
        loop_test(stale_event_does_not_reach_a_reused_descriptor),
        loop_test(change_selects_events),
        loop_test(a_watch_that_rests_is_quiet),
        loop_test(bad_descriptors_are_refused),
        loop_test(nested_turn_keeps_removed_watches),
        loop_test(timers_fire_in_order_of_deadline),
        loop_test(equal_deadlines_fire_in_order_of_setting),
        loop_test(timer_set_by_its_callback_waits_for_the_next_turn),
        loop_test(timer_may_free_itself_and_a_due_one),
        loop_test(many_timers_stay_ordered),
        loop_test(far_deadline_does_not_overflow),
        loop_test(posts_of_threads_arrive_in_order),
        loop_test(task_may_wait_for_a_later_task),
        loop_test(stop_before_run_returns_at_once),
        loop_test(signals_come_as_callbacks),
        loop_test(free_releases_what_is_registered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
