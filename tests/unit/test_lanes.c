/* SPDX-License-Identifier: Apache-2.0 */
/* Which lane a path is asked on, and what becomes of one whose opener does not answer. */
#include "fs/lanes.h"

#include <errno.h>
#include <unistd.h>

#include "crypt/base/ipc.h"
#include "crypt/base/loop.h"
#include "fs/monitor_wire.h"
#include "tests/unit/unit.h"

static char at_far[] = "far", at_deep[] = "far/deep", elsewhere[] = "/etc/elsewhere";
static char named[] = "catalogue/named", lying[] = "far/lying", uri[] = "kbs:///a/b/c";
static struct conf_mount mounts[2];
static struct conf_source sources[] = {
    {.mount = 0, .at = at_far}, {.mount = 0, .at = at_deep}, {.mount = 1}};
static struct conf_file files[] = {{.mount = 0, .path = named, .resource = uri},
    {.mount = 0, .path = lying, .sealed_file = elsewhere}};
static struct sealedfs_conf conf;
static struct lanes lanes;
static int ends[2];

static int start(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    mounts[0].by_name = true;
    conf.mounts.items = mounts;
    conf.mounts.count = ARRAY_LEN(mounts);
    conf.sources.items = sources;
    conf.sources.count = ARRAY_LEN(sources);
    conf.files.items = files;
    conf.files.count = ARRAY_LEN(files);
    lanes_init(&lanes);
    return ipc_pair(ends, &err) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < LANES_MAX; i++)
        lane_close(&lanes.lanes[i]);
    close(ends[1]);
    return 0;
}

static void each_source_has_its_own(void **state)
{
    (void)state;
    assert_null(lanes_find(&lanes, 0, "far/x")); /* there are none yet */
    lanes_use(&lanes, &conf, 10);
    const struct {
        uint16_t mount;
        const char *path;
        int lane; /* -1: the monitor itself */
    } rows[] = {{0, "far", 0}, {0, "far/x/y", 0}, {0, "far/deep", 1}, {0, "far/deep/x", 1},
        {0, "far/deeper", 0}, {0, "farther", -1}, {0, "", -1}, {0, "catalogue", -1},
        {0, "catalogue/named", -1}, {0, "far/lying", 4}, {0, ".kbs/a/b/c", -1}, {0, ".kbsx", -1},
        {1, "", 2}, {1, "any/where", 2}, {1, ".kbs/a/b/c", 2}, {7, "far/x", -1}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct lane *lane = lanes_find(&lanes, rows[i].mount, rows[i].path);
        assert_int_equal(lane ? lane - lanes.lanes : -1, rows[i].lane);
    }
}

static void answer(uint32_t number)
{
    const struct monitor_answer text = {
        .operation = MONITOR_OPEN, .number = number, .sys_errno = 2};
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct err err = ERR_INIT;
    assert_done(monitor_answer_encode(&text, &message, &err), &err);
    assert_done(ipc_send(ends[1], buf_bytes(&message), NULL, 0, &err), &err);
}

static void assert_hangs(bool done, struct err *err)
{
    assert_false(done);
    assert_int_equal(err->code, ERR_TIMEOUT);
    assert_int_equal(err->sys_errno, ETIMEDOUT);
    err_clear(err);
}

/* Whoever comes after one that gave up is told at once, until the answer that is owed has come: it is not his. */
static void a_late_answer_is_nobodys(void **state)
{
    struct lane *lane = &lanes.lanes[0];
    struct err err = ERR_INIT;
    (void)state;
    lane->fd = ends[0];
    assert_done(lane_enter(lane, &err), &err);
    assert_done(lane_settle(lane, &err), &err);
    assert_hangs(lane_await(lane, 7, 10, &err), &err);
    assert_hangs(lane_settle(lane, &err), &err);
    answer(6);
    assert_hangs(lane_settle(lane, &err), &err);
    answer(7);
    assert_done(lane_settle(lane, &err), &err);
    answer(8);
    assert_done(lane_await(lane, 8, 10000, &err), &err);
    lane_leave(lane);
}

static void an_opener_that_has_gone_owes_nothing(void **state)
{
    struct lane *lane = &lanes.lanes[0];
    struct err err = ERR_INIT;
    (void)state;
    lane->fd = ends[0];
    assert_hangs(lane_await(lane, 7, 10, &err), &err);
    close(ends[1]);
    assert_done(lane_settle(lane, &err), &err);
    assert_int_equal(lane->fd, -1);
    ends[1] = -1;
}

static void *enter(void *arg)
{
    struct err *err = arg;
    if (lane_enter(&lanes.lanes[0], err))
        lane_leave(&lanes.lanes[0]);
    return NULL;
}

/* While a lane is slow so many wait and no more; what waits when it moves again has its turn. */
static void the_queue_of_a_slow_lane_is_short(void **state)
{
    struct lane *lane = &lanes.lanes[0];
    struct err err = ERR_INIT, other = ERR_INIT;
    pthread_t thread;
    (void)state;
    assert_done(lane_enter(lane, &err), &err);
    atomic_fetch_add(&lane->waiting, LANE_QUEUE - 1);
    atomic_store(&lane->since_ms, loop_now_ms() - LANE_SLOW_MS);
    assert_int_equal(pthread_create(&thread, NULL, enter, &other), 0);
    pthread_join(thread, NULL);
    assert_hangs(other.code == ERR_OK, &other);
    atomic_fetch_sub(&lane->waiting, 1);
    assert_int_equal(pthread_create(&thread, NULL, enter, &other), 0);
    lane_leave(lane);
    pthread_join(thread, NULL);
    assert_int_equal(other.code, ERR_OK);
    atomic_store(&lane->waiting, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_source_has_its_own),
        TEST(a_late_answer_is_nobodys),
        TEST(an_opener_that_has_gone_owes_nothing),
        TEST(the_queue_of_a_slow_lane_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
