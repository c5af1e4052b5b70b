/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper as its two neighbours see it: a worker that answers, refuses or goes, and a reader that waits for the end of a stream. */
#include "fs/keeper.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "crypt/base/ipc.h"
#include "tests/unit/unit.h"

struct stage {
    char dir[32], path[64];
    int keeper;
};

static int set_up(void **state)
{
    static struct stage stage;
    struct err err = ERR_INIT;
    strcpy(stage.dir, "/tmp/keeper.XXXXXX");
    assert_non_null(mkdtemp(stage.dir));
    snprintf(stage.path, sizeof stage.path, "%s/socket", stage.dir);
    auto_fd int listening = -1;
    assert_done(ipc_listen_stream(stage.path, 0600, &listening, &err), &err);
    assert_done(keeper_start("nobody", listening, &stage.keeper, &err), &err);
    *state = &stage;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;
    if (stage->keeper >= 0)
        close(stage->keeper);
    while (wait(NULL) > 0)
        ;
    unlink(stage->path);
    rmdir(stage->dir);
    return 0;
}

static int reader(const struct stage *stage)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, stage->path, strlen(stage->path) + 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* How many bytes come before the end; -1 when it is an error. */
static ssize_t length_of(int fd)
{
    char text[4096];
    ssize_t all = 0, count;
    while ((count = read(fd, text, sizeof text)) > 0)
        all += count;
    close(fd);
    return count < 0 ? -1 : all;
}

static int answerer(const struct stage *stage, unsigned *ret_slot)
{
    struct err err = ERR_INIT;
    int fd = -1;
    assert_done(keeper_receive(stage->keeper, &fd, ret_slot, &err), &err);
    return fd;
}

static void an_answer_is_what_was_written(void **state)
{
    struct stage *stage = *state;
    struct err err = ERR_INIT;
    unsigned slot;
    int from = reader(stage), to = answerer(stage, &slot);
    assert_int_equal(write(to, "secret", 6), 6);
    assert_int_equal(shutdown(to, SHUT_WR), 0);
    assert_done(keeper_release(stage->keeper, slot, &err), &err);
    close(to);
    assert_int_equal(length_of(from), 6);
}

static void our_close_alone_is_no_end(void **state)
{
    struct stage *stage = *state;
    struct err err = ERR_INIT;
    unsigned slot;
    int from = reader(stage), to = answerer(stage, &slot);
    close(to);
    struct pollfd quiet = {.fd = from, .events = POLLIN};
    assert_int_equal(poll(&quiet, 1, 0), 0);
    assert_done(keeper_refuse(stage->keeper, slot, &err), &err);
    assert_int_equal(length_of(from), KEEPER_REFUSAL_SIZE);
}

static void a_worker_that_goes_leaves_refusals(void **state)
{
    struct stage *stage = *state;
    unsigned slot;
    int first = reader(stage), second = reader(stage);
    int to = answerer(stage, &slot), other = answerer(stage, &slot);
    assert_int_equal(write(to, "half of a sec", 13), 13);
    close(to);
    close(other);
    close(stage->keeper);
    stage->keeper = -1;
    assert_int_equal(length_of(first), KEEPER_REFUSAL_SIZE + 13);
    assert_int_equal(length_of(second), KEEPER_REFUSAL_SIZE);
}

static void a_reader_who_does_not_read_stops_nobody(void **state)
{
    struct stage *stage = *state;
    struct err err = ERR_INIT;
    unsigned slot;
    int lazy = reader(stage);
    close(answerer(stage, &slot));
    assert_done(keeper_refuse(stage->keeper, slot, &err), &err);
    for (int i = 0; i < 3; i++) {
        int from = reader(stage);
        close(answerer(stage, &slot));
        assert_done(keeper_refuse(stage->keeper, slot, &err), &err);
        assert_int_equal(length_of(from), KEEPER_REFUSAL_SIZE);
    }
    close(lazy);
}

/* More at once than there are slots: the others wait their turn. */
static void all_get_their_turn(void **state)
{
    enum { MANY = KEEPER_SLOTS + 20 };
    struct stage *stage = *state;
    struct err err = ERR_INIT;
    int from[MANY];
    unsigned slot;
    for (int i = 0; i < MANY; i++)
        from[i] = reader(stage);
    for (int i = 0; i < MANY; i++) {
        int to = answerer(stage, &slot);
        assert_int_equal(write(to, "x", 1), 1);
        assert_int_equal(shutdown(to, SHUT_WR), 0);
        assert_done(keeper_release(stage->keeper, slot, &err), &err);
        close(to);
    }
    for (int i = 0; i < MANY; i++)
        assert_int_equal(length_of(from[i]), 1);
}

static void take_answerer(void *arg, int fd, unsigned slot)
{
    int *taken = arg;
    (void)slot;
    assert_true(fd >= 0);
    close(fd);
    ++*taken;
}

/* Paused, it accepts nobody, and who came before is told of first; resumed, those who waited have their turn. */
static void a_pause_holds_newcomers_back(void **state)
{
    struct stage *stage = *state;
    struct err err = ERR_INIT;
    int taken = 0;
    unsigned slot;
    int early = reader(stage), first = answerer(stage, &slot);
    assert_done(keeper_pause(stage->keeper, take_answerer, &taken, &err), &err);
    assert_int_equal(taken, 0);
    int late = reader(stage);
    struct pollfd quiet = {.fd = stage->keeper, .events = POLLIN};
    assert_int_equal(poll(&quiet, 1, 50), 0);
    assert_done(keeper_resume(stage->keeper, &err), &err);
    int second = answerer(stage, &slot);
    assert_true(second >= 0);
    close(first);
    close(second);
    close(early);
    close(late);
}

/* What two keepers hold ends when both have let go; what the adopter holds is refused when its worker goes. */
static void another_keeper_takes_over(void **state)
{
    struct stage *stage = *state;
    struct err err = ERR_INIT;
    int taken = 0, next;
    unsigned slot, new_slot;
    int from = reader(stage), to = answerer(stage, &slot);
    int lost = reader(stage), lost_to = answerer(stage, &new_slot);
    auto_fd int listening = -1;
    char path[80];
    snprintf(path, sizeof path, "%s.next", stage->path);
    assert_done(ipc_listen_stream(path, 0600, &listening, &err), &err);
    assert_done(keeper_start("nobody", listening, &next, &err), &err);
    assert_done(keeper_pause(stage->keeper, take_answerer, &taken, &err), &err);
    assert_done(keeper_adopt(next, to, &err), &err);
    assert_done(keeper_adopt(next, lost_to, &err), &err);
    close(to);
    close(lost_to);
    assert_done(keeper_release(stage->keeper, slot, &err), &err);
    assert_done(keeper_release(stage->keeper, new_slot, &err), &err);
    assert_done(keeper_receive(next, &to, &new_slot, &err), &err);
    assert_true(new_slot >= KEEPER_SLOTS);
    struct pollfd quiet = {.fd = from, .events = POLLIN};
    assert_int_equal(poll(&quiet, 1, 50), 0);
    assert_int_equal(write(to, "secret", 6), 6);
    assert_int_equal(shutdown(to, SHUT_WR), 0);
    assert_done(keeper_release(next, new_slot, &err), &err);
    close(to);
    assert_int_equal(length_of(from), 6);
    close(next);
    assert_int_equal(length_of(lost), KEEPER_REFUSAL_SIZE);
    unlink(path);
}

static void it_ends_when_nobody_needs_it(void **state)
{
    struct stage *stage = *state;
    unsigned slot;
    int status, from = reader(stage), to = answerer(stage, &slot);
    close(to);
    close(from);
    close(stage->keeper);
    stage->keeper = -1;
    assert_true(wait(&status) > 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define stage_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0,
        0); /* which every program of ours has from its first line on */
    const struct CMUnitTest tests[] = {
        stage_test(an_answer_is_what_was_written),
        stage_test(our_close_alone_is_no_end),
        stage_test(a_worker_that_goes_leaves_refusals),
        stage_test(a_reader_who_does_not_read_stops_nobody),
        stage_test(all_get_their_turn),
        stage_test(a_pause_holds_newcomers_back),
        stage_test(another_keeper_takes_over),
        stage_test(it_ends_when_nobody_needs_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
