/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/http/watchdog.h"
#include "tests/unit/unit.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypt/base/loop.h"

static struct err err;

#define LIMIT_MS 60000 /* a bound for broken runs */

/* Milliseconds from `begin` until the end of file, or -1 when none comes within `limit`. */
static int64_t time_to_end(int fd, int64_t begin, int limit)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, limit) == 1 ? loop_now_ms() - begin : -1;
}

static void late_sockets_are_ended_others_not(void **state)
{
    (void)state;
    int late[2], fine[2];
    struct watch watch_late, watch_fine;
    struct watchdog *watchdog = NULL;
    char byte;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, late), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fine), 0);
    assert_done(watchdog_new(10, &watchdog, &err), &err);
    watchdog_add(watchdog, &watch_fine, fine[0], 10 * LIMIT_MS);
    int64_t begin = loop_now_ms();
    watchdog_add(watchdog, &watch_late, late[0], 50);
    assert_in_range(time_to_end(late[1], begin, LIMIT_MS), 40, LIMIT_MS);
    assert_int_equal(read(late[1], &byte, 1), 0);
    assert_int_equal(time_to_end(fine[1], begin, 0), -1);
    watchdog_remove(watchdog, &watch_late);
    watchdog_set(watchdog, &watch_fine, 0);
    assert_true(time_to_end(fine[1], begin, LIMIT_MS) >= 0);
    watchdog_remove(watchdog, &watch_fine);
    watchdog_free(watchdog);
    close(late[0]);
    close(late[1]);
    close(fine[0]);
    close(fine[1]);
}

static void removed_sockets_are_left_alone(void **state)
{
    (void)state;
    int pair[2], marker[2];
    struct watch watch, watch_marker;
    struct watchdog *watchdog = NULL;
    int64_t begin;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, marker), 0);
    assert_done(watchdog_new(10, &watchdog, &err), &err);
    for (;;) { /* removed before it was late; anew if the machine stood still */
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        begin = loop_now_ms();
        watchdog_add(watchdog, &watch, pair[0], 50);
        watchdog_remove(watchdog, &watch);
        if (loop_now_ms() - begin < 40)
            break;
        close(pair[0]);
        close(pair[1]);
    }
    begin = loop_now_ms();
    watchdog_add(watchdog, &watch_marker, marker[0], 100);
    assert_in_range(
        time_to_end(marker[1], begin, LIMIT_MS), 90, LIMIT_MS); /* the other would be late */
    assert_int_equal(time_to_end(pair[1], begin, 0), -1);
    watchdog_remove(watchdog, &watch_marker);
    watchdog_free(watchdog);
    close(pair[0]);
    close(pair[1]);
    close(marker[0]);
    close(marker[1]);
}

static void it_ends_without_work(void **state)
{
    (void)state;
    struct watchdog *watchdog = NULL;
    assert_done(watchdog_new(10, &watchdog, &err), &err);
    watchdog_free(watchdog);
    watchdog_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_sockets_are_ended_others_not),
        cmocka_unit_test(removed_sockets_are_left_alone),
        cmocka_unit_test(it_ends_without_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
