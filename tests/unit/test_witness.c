/* SPDX-License-Identifier: Apache-2.0 */
/* The witness with its client, and what the worker remembers of callers. */
#include "fs/callers.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "crypt/base/file.h"
#include "crypt/base/ipc.h"
#include "crypt/base/log.h"
#include "fs/exec_watch.h"
#include "fs/witness.h"
#include "tests/unit/unit.h"

#define WAIT_MS 20000

static char log_path[64];
static struct witness *witness;
static struct witness_client client, digest_client;

static bool connect_lane(void *arg, int *ret_fd, struct err *err)
{
    (void)arg;
    return witness_lane(witness, ret_fd, err);
}

static int begin(void **state)
{
    static char dir[] = "/tmp/sealed-witness-XXXXXX";
    struct err err = ERR_INIT;
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(log_path, sizeof log_path, "%s/log", dir);
    const struct witness_conf conf = {.file = log_path, .rotate_size = 1 << 20, .rotate_keep = 1};
    witness_client_init(&client, connect_lane, NULL);
    witness_client_init(&digest_client, connect_lane, NULL);
    return witness_new(&conf, &witness, &err) ? 0 : -1;
}

static int end(void **state)
{
    char *slash = strrchr(log_path, '/');
    (void)state;
    unlink(log_path);
    *slash = '\0';
    return rmdir(log_path);
}

static void own_exe(char *out, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", out, size - 1);
    assert_true(len > 0);
    out[len] = '\0';
}

/* -- looks -------------------------------------------------------------------------------------- */

static void expect_self(pid_t tid)
{
    char exe[PATH_SIZE];
    struct caller_look look;
    struct err err = ERR_INIT;
    assert_done(witness_look(&client, tid, CALLER_NEEDS, WAIT_MS, &look, &err), &err);
    own_exe(exe, sizeof exe);
    assert_int_equal(look.pid, getpid());
    assert_true(look.start_time > 0);
    assert_string_equal(look.exe, exe);
    assert_false(look.exe_deleted);
    caller_look_done(&look);
}

static void *thread_main(void *arg)
{
    (void)arg;
    assert_int_not_equal(gettid(), getpid());
    expect_self(gettid());
    return NULL;
}

static void test_process(void **state)
{
    pthread_t thread;
    (void)state;
    expect_self(getpid());
    assert_int_equal(pthread_create(&thread, NULL, thread_main, NULL), 0);
    pthread_join(thread, NULL);
}

static void test_nobody(void **state)
{
    struct caller_look look;
    struct err err = ERR_INIT;
    (void)state;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    assert_refused(
        witness_look(&client, child, 0, WAIT_MS, &look, &err), &err, ERR_NOTFOUND, "witness");
    assert_int_equal(err.sys_errno, ESRCH);
}

/* What it says of us: root with all capabilities where tests run so, else nobody in particular. */
static void test_may(void **state)
{
    struct err err = ERR_INIT;
    const struct permission mine = {getuid(), getgid(), getuid(), getgid(), 0400, PERMISSION_READ},
                            never = {getuid() + 1, getgid() + 1, 7, 7, 0660, PERMISSION_READ};
    (void)state;
    assert_done(witness_may(&client, getpid(), &mine, WAIT_MS, &err), &err);
    assert_refused(
        witness_may(&client, getpid(), &never, WAIT_MS, &err), &err, ERR_DENIED_LOCAL, "witness");
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    err_clear(&err);
    assert_refused(
        witness_may(&client, child, &mine, WAIT_MS, &err), &err, ERR_NOTFOUND, "witness");
}

/* A process that executes `program`, a copy of cat, when it is told. */
struct puppet {
    pid_t pid;
    int to, from;
};

static void puppet_start(struct puppet *puppet, const char *program)
{
    int to[2], from[2];
    char name[] = "puppet";
    char *argv[] = {name, NULL};
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    puppet->pid = fork();
    if (puppet->pid == 0) {
        char byte;
        close(to[1]);
        dup2(to[0], 0);
        dup2(from[1], 1);
        if (read(0, &byte, 1) == 1)
            execv(program, argv);
        _exit(1);
    }
    close(to[0]);
    close(from[1]);
    puppet->to = to[1];
    puppet->from = from[0];
}

/* The new program has run when it has said something: as one that opens a file has. */
static void puppet_execute(const struct puppet *puppet)
{
    char byte = 0;
    assert_int_equal(write(puppet->to, "xy", 2), 2);
    assert_int_equal(read(puppet->from, &byte, 1), 1);
    assert_int_equal(byte, 'y');
}

static void puppet_end(struct puppet *puppet)
{
    kill(puppet->pid, SIGKILL);
    waitpid(puppet->pid, NULL, 0);
    close(puppet->to);
    close(puppet->from);
}

/* A copy of a program that reads its standard input, in a directory of ours. */
static void copy_cat(const char *path)
{
    char command[256];
    snprintf(command, sizeof command, "cp \"$(readlink -f /bin/cat)\" %s", path);
    assert_int_equal(system(command), 0);
}

static void test_executes(void **state)
{
    (void)state;
    char own[PATH_SIZE], cat[80];
    struct puppet puppet;
    struct callers *callers;
    struct err err = ERR_INIT;
    own_exe(own, sizeof own);
    snprintf(cat, sizeof cat, "%s.cat", log_path);
    copy_cat(cat);
    assert_done(callers_new(&client, &digest_client, 4, &callers, &err), &err);
    callers_watch(callers);
    puppet_start(&puppet, cat);
    for (int i = 0; i < 3; i++) {
        auto_caller *caller = NULL;
        assert_done(callers_find(callers, puppet.pid, CALLER_NEEDS, &caller, &err), &err);
        assert_string_equal(caller->exe, own);
        assert_true(caller->cgroup[0] == '/');
    }
    puppet_execute(&puppet);
    auto_caller *after = NULL;
    assert_done(callers_find(callers, puppet.pid, CALLER_NEEDS, &after, &err), &err);
    assert_string_equal(after->exe, cat);
    assert_false(after->exe_deleted);
    assert_int_equal(unlink(cat), 0);
    callers_free(callers);
    assert_done(callers_new(&client, &digest_client, 1, &callers, &err), &err);
    auto_caller *deleted = NULL;
    assert_done(callers_find(callers, puppet.pid, CALLER_NEEDS, &deleted, &err), &err);
    assert_string_equal(deleted->exe, cat);
    assert_true(deleted->exe_deleted);
    assert_int_equal(deleted->start_time, after->start_time);
    puppet_end(&puppet);
    auto_caller *gone = NULL;
    assert_refused(callers_find(callers, puppet.pid, 0, &gone, &err), &err, ERR_NOTFOUND, "");
    callers_free(callers);
}

static void test_digest(void **state)
{
    (void)state;
    char command[256], cat[80], hex[65], exe_hex[65];
    struct caller_look look;
    struct puppet puppet;
    struct err err = ERR_INIT;
    snprintf(cat, sizeof cat, "%s.cat", log_path);
    copy_cat(cat);
    puppet_start(&puppet, cat);
    puppet_execute(&puppet);
    snprintf(command, sizeof command, "sha256sum %s", cat);
    FILE *pipe = popen(command, "r");
    assert_int_equal(fscanf(pipe, "%64s", hex), 1);
    pclose(pipe);
    for (int turn = 0; turn < 2; turn++) { /* the second time the file at the path is another one */
        assert_done(witness_look(&client, puppet.pid, CALLER_DIGEST, WAIT_MS, &look, &err), &err);
        assert_true(look.has_digest);
        for (size_t i = 0; i < EXE_DIGEST_SIZE; i++)
            snprintf(exe_hex + 2 * i, 3, "%02x", look.digest[i]);
        assert_string_equal(exe_hex, hex);
        caller_look_done(&look);
        assert_done(unlink(cat) == 0 && file_write(cat, bytes_str("other"), 0700, &err), &err);
    }
    unlink(cat);
    puppet_end(&puppet);
}

/* A quick look reads nothing: it knows a digest when a slow one, on the other lane, has made it, and the file has been still for a moment. */
static void test_quick(void **state)
{
    const unsigned quick = CALLER_EXE | CALLER_DIGEST | CALLER_QUICK;
    char cat[80];
    struct caller_look look = {.has_digest = false};
    struct puppet puppet;
    struct err err = ERR_INIT;
    (void)state;
    snprintf(cat, sizeof cat, "%s.quick", log_path);
    copy_cat(cat);
    puppet_start(&puppet, cat);
    puppet_execute(&puppet);
    assert_done(witness_look(&client, puppet.pid, quick, WAIT_MS, &look, &err), &err);
    assert_string_equal(look.exe, cat);
    assert_false(look.has_digest);
    caller_look_done(&look);
    for (bool known = false; !known; caller_look_done(&look)) {
        assert_done(
            witness_look(&digest_client, puppet.pid, CALLER_NEEDS, WAIT_MS, &look, &err), &err);
        assert_true(look.has_digest);
        caller_look_done(&look);
        assert_done(witness_look(&client, puppet.pid, quick, WAIT_MS, &look, &err), &err);
        known = look.has_digest;
    }
    unlink(cat);
    puppet_end(&puppet);
}

static void test_groups(void **state)
{
    (void)state;
    struct callers *callers;
    struct err err = ERR_INIT;
    gid_t own[64];
    gid_t *groups = NULL;
    size_t count = 99;
    int own_count = getgroups(64, own);
    assert_done(callers_new(&client, &digest_client, 1, &callers, &err), &err);
    assert_done(callers_groups(callers, getpid(), &groups, &count, &err), &err);
    assert_int_equal(count, own_count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(groups[i], own[i]);
    free(groups);
    callers_free(callers);
}

/* -- records ------------------------------------------------------------------------------------ */

static struct audit_record record(const char *id)
{
    return (struct audit_record){.time_us = 1,
        .id = id,
        .cause = "",
        .rule = "",
        .cgroup = "",
        .exe = "",
        .path = "/sealed/x",
        .resource = "",
        .version = "",
        .ref = ""};
}

static bool logged(const char *id)
{
    char wanted[64];
    struct err err = ERR_INIT;
    auto_buf text = BUF_INIT(1 << 20);
    snprintf(wanted, sizeof wanted, "\"id\":\"%s\"", id);
    return file_read(log_path, 1 << 20, &text, &err) && strstr(buf_text(&text), wanted);
}

static void test_records(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct audit_record one = record("one"), two = record("two"), three = record("three");
    assert_done(witness_record(&client, &one, WAIT_MS, &err), &err);
    assert_true(logged("one"));
    witness_record_soon(&client, &two);
    assert_done(witness_record(&client, &three, WAIT_MS, &err), &err); /* behind it on the lane */
    assert_true(logged("two") && logged("three"));
    assert_int_equal(witness_lost(&client), 0);
}

/* -- a witness that misbehaves ------------------------------------------------------------------ */

static int mute[2];

static bool connect_mute(void *arg, int *ret_fd, struct err *err)
{
    (void)arg;
    if (!ipc_pair(mute, err))
        return false;
    *ret_fd = mute[1];
    return true;
}

static void test_mute(void **state)
{
    (void)state;
    struct witness_client other;
    struct err err = ERR_INIT;
    struct audit_record one = record("one");
    witness_client_init(&other, connect_mute, NULL);
    assert_refused(witness_record(&other, &one, 10, &err), &err, ERR_TIMEOUT, "audit");
    /* From now on nobody waits, until the answer that is owed has come. */
    for (int i = 0; i < 3; i++) {
        err_clear(&err);
        assert_refused(witness_record(&other, &one, WAIT_MS, &err), &err, ERR_BUSY, "owes");
    }
    auto_buf answer = BUF_INIT(IPC_MESSAGE_MAX);
    const struct witness_answer late = {.operation = WITNESS_RECORD, .number = 1};
    assert_done(witness_answer_encode(&late, &answer, &err) &&
                    ipc_send(mute[0], buf_bytes(&answer), NULL, 0, &err),
        &err);
    err_clear(&err);
    assert_refused(witness_record(&other, &one, 10, &err), &err, ERR_TIMEOUT, "audit");
    /* Records that are not waited for fill the queue, then they are counted. */
    for (int i = 0; i < 100000 && witness_lost(&other) == 0; i++)
        witness_record_soon(&other, &one);
    assert_int_equal(witness_lost(&other), 1);
    close(mute[0]);
    close(other.fd);
}

static void test_reconnects(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct audit_record one = record("anew"), soon = record("anew-soon"), last = record("last");
    shutdown(client.fd, SHUT_RDWR);
    assert_done(witness_record(&client, &one, WAIT_MS, &err), &err);
    assert_true(logged("anew"));
    shutdown(client.fd, SHUT_RDWR);
    witness_record_soon(&client, &soon);
    assert_done(witness_record(&client, &last, WAIT_MS, &err), &err);
    assert_true(logged("anew-soon") && logged("last"));
}

static void test_lanes(void **state)
{
    (void)state;
    int fds[WITNESS_LANES_MAX + 1], count = 0;
    struct err err = ERR_INIT;
    while (count < (int)ARRAY_LEN(fds) && witness_lane(witness, &fds[count], &err))
        count++;
    assert_int_equal(err.code, ERR_BUSY);
    assert_true(count < WITNESS_LANES_MAX);
    while (count > 0)
        close(fds[--count]);
    /* What is no message ends the lane, not the witness. */
    int fd = -1;
    while (fd < 0)
        (void)!witness_lane(witness, &fd, &err);
    assert_done(ipc_send(fd, bytes_str("nonsense"), NULL, 0, &err), &err);
    auto_buf nothing = BUF_INIT(16);
    bool closed = false;
    assert_done(ipc_receive_within(fd, WAIT_MS, &nothing, &closed, &err), &err);
    assert_true(closed);
    close(fd);
}

/* What was sent is written when it rests, however much; a client goes on, on a new lane. */
static void test_rest_loses_nothing(void **state)
{
    enum { MANY = 3000 };
    char line[4096];
    int count = 0;
    struct err err = ERR_INIT;
    struct audit_record record = {.time_us = 1,
        .pid = 1,
        .id = "o-1",
        .cause = "",
        .rule = "",
        .cgroup = "",
        .exe = "",
        .path = "/rest",
        .resource = "",
        .version = "",
        .ref = ""};
    (void)state;
    uint64_t lost = witness_lost(&client);
    for (int i = 0; i < MANY; i++)
        witness_record_soon(&client, &record);
    assert_int_equal(witness_rest(witness, WAIT_MS), 0);
    assert_int_equal(witness_lost(&client), lost);
    FILE *file = fopen(log_path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        count += strstr(line, "\"path\":\"/rest\"") != NULL;
    assert_int_equal(count, MANY);
    assert_done(witness_record(&client, &record, WAIT_MS, &err), &err);
    clearerr(file);
    while (fgets(line, sizeof line, file))
        count += strstr(line, "\"path\":\"/rest\"") != NULL;
    assert_int_equal(count, MANY + 1);
    fclose(file);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_may),
        cmocka_unit_test(test_quick),
        cmocka_unit_test(test_executes),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_mute),
        cmocka_unit_test(test_reconnects),
        cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_rest_loses_nothing),
    };
    (void)argv;
    if (argc > 1) /* the child by which fs/exec_watch.c proves its notices */
        return 0;
    return cmocka_run_group_tests(tests, begin, end);
}
