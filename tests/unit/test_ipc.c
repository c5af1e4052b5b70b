/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/ipc.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypt/base/loop.h"

static struct err err;
static char directory[] = "/tmp/test_ipc.XXXXXX";
static char path[64];
static int one, other; /* a connected pair */
static uint8_t packet[IPC_MESSAGE_MAX + 1];

static int make_directory(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/socket", directory);
    return 0;
}

static int drop_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static int make_pair(void **state)
{
    (void)state;
    int fds[2];
    if (!ipc_pair(fds, &err))
        return -1;
    one = fds[0];
    other = fds[1];
    return 0;
}

static int drop_pair(void **state)
{
    (void)state;
    if (one >= 0)
        close(one);
    close(other);
    return 0;
}

static int open_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* -- listening -- */

static void peer_is_known_and_mode_is_kept(void **state)
{
    (void)state;
    auto_fd int server = -1, client = -1, accepted = -1;
    struct ipc_peer peer;
    struct stat info;
    mode_t umask_before = umask(077); /* as sandbox_harden() sets it */
    assert_done(ipc_listen(path, 0660, &server, &err), &err);
    umask(umask_before);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0660);
    assert_done(ipc_accept(server, &accepted, &peer, &err), &err);
    assert_int_equal(accepted, -1);
    assert_done(ipc_connect(path, "sealed-test", 1000, &client, &err), &err);
    assert_done(ipc_accept(server, &accepted, &peer, &err), &err);
    assert_true(accepted >= 0);
    assert_int_equal(peer.pid, getpid());
    assert_int_equal(peer.uid, geteuid());
    assert_int_equal(peer.gid, getegid());
    assert_true(fcntl(accepted, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(accepted, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(client, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(server, F_GETFD) & FD_CLOEXEC);
}

static void stale_is_replaced_and_live_is_not(void **state)
{
    (void)state;
    auto_fd int server = -1;
    int second = -1, client = -1;
    assert_done(ipc_listen(path, 0600, &server, &err),
        &err); /* the case before left its file: that was stale */
    assert_refused(ipc_listen(path, 0600, &second, &err), &err, ERR_BUSY, path);
    assert_int_equal(second, -1);
    close(take_fd(server));
    assert_refused(ipc_connect(path, "sealed-test", 100, &client, &err), &err, ERR_UNREACH,
        "start sealed-test");
    assert_done(ipc_listen(path, 0600, &server, &err), &err);
    assert_done(ipc_connect(path, "sealed-test", 100, &client, &err), &err);
    close(client);
}

/* Whoever may read the directory may hold the lock on it. */
static void a_held_lock_does_not_stop_a_server(void **state)
{
    (void)state;
    auto_fd int server = -1;
    auto_fd int lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    assert_done(ipc_listen(path, 0600, &server, &err), &err);
}

static void what_is_no_socket_is_left_alone(void **state)
{
    (void)state;
    int fd = -1;
    struct stat info;
    unlink(path);
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_refused(ipc_listen(path, 0600, &fd, &err), &err, ERR_CONFIG, "is not a socket");
    assert_int_equal(lstat(path, &info), 0);
    assert_true(S_ISREG(info.st_mode));
    unlink(path);
    assert_int_equal(symlink("/nowhere", path), 0);
    assert_refused(ipc_listen(path, 0600, &fd, &err), &err, ERR_CONFIG, "is not a socket");
    unlink(path);
    assert_int_equal(fd, -1);
}

static void bad_paths_are_refused(void **state)
{
    (void)state;
    int fd = -1;
    char longer[200];
    memset(longer, 'a', sizeof longer);
    longer[0] = '/';
    longer[sizeof longer - 1] = '\0';
    assert_refused(ipc_listen("relative", 0600, &fd, &err), &err, ERR_CONFIG, "must be absolute");
    assert_refused(ipc_listen(longer, 0600, &fd, &err), &err, ERR_CONFIG, "shorter than 108");
    assert_refused(
        ipc_listen("/nowhere/x", 0600, &fd, &err), &err, ERR_CONFIG, "mkdir -p /nowhere");
    assert_refused(ipc_connect(path, "sealed-test", 100, &fd, &err), &err, ERR_UNREACH,
        "nobody listens on /tmp/test_ipc");
    assert_refused(ipc_connect(longer, "sealed-test", 100, &fd, &err), &err, ERR_CONFIG, "shorter");
}

static void mode_keeps_strangers_out(void **state)
{
    (void)state;
    auto_fd int server = -1;
    int status;
    if (geteuid() != 0)
        skip(); /* needs a second user */
    assert_int_equal(chmod(directory, 0755), 0);
    assert_done(ipc_listen(path, 0600, &server, &err), &err);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int fd;
        bool refused = setuid(65534) == 0 && !ipc_connect(path, "x", 100, &fd, &err) &&
                       err.code == ERR_DENIED_LOCAL;
        _exit(refused ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void full_backlog_meets_the_deadline(void **state)
{
    (void)state;
    /* A server of our own with no queue at all, which never accepts. */
    auto_fd int server = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fds[4] = {-1, -1, -1, -1};
    memcpy(address.sun_path, path, strlen(path) + 1);
    unlink(path);
    assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server, 0), 0);
    bool refused = false;
    for (int i = 0; i < 4 && !refused; i++)
        refused = !ipc_connect(path, "sealed-test", 20, &fds[i], &err);
    assert_true(refused);
    assert_int_equal(err.code, ERR_TIMEOUT);
    for (int i = 0; i < 4; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* -- messages -- */

static void messages_keep_their_boundaries(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    bool closed = true;
    memset(packet, 'x', sizeof packet);
    assert_done(ipc_send(one, bytes_str("first"), NULL, 0, &err), &err);
    assert_done(ipc_send(one, bytes_of(packet, IPC_MESSAGE_MAX), NULL, 0, &err), &err);
    assert_done(ipc_receive(other, &message, NULL, NULL, &closed, &err), &err);
    assert_true(bytes_equal(buf_bytes(&message), bytes_str("first")));
    assert_false(closed);
    assert_done(ipc_receive_within(other, 1000, &message, &closed, &err), &err);
    assert_true(bytes_equal(buf_bytes(&message), bytes_of(packet, IPC_MESSAGE_MAX)));
    close(take_fd(one));
    assert_done(ipc_receive_within(other, 1000, &message, &closed, &err), &err);
    assert_true(closed);
    assert_int_equal(message.len, 0);
    assert_refused(ipc_send(other, bytes_str("x"), NULL, 0, &err), &err, ERR_UNREACH, "gone");
}

static void wrong_sizes_are_refused(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX), small = BUF_INIT(4);
    bool closed = false;
    assert_refused(ipc_send(one, BYTES_EMPTY, NULL, 0, &err), &err, ERR_INTERNAL, "0 bytes");
    assert_refused(
        ipc_send(one, bytes_of(packet, sizeof packet), NULL, 0, &err), &err, ERR_INTERNAL, "65537");
    assert_int_equal(send(one, packet, sizeof packet, 0), sizeof packet);
    assert_refused(ipc_receive(other, &message, NULL, NULL, &closed, &err), &err, ERR_FORMAT,
        "longer than 65536");
    assert_done(ipc_send(one, bytes_str("12345"), NULL, 0, &err), &err);
    assert_refused(
        ipc_receive(other, &small, NULL, NULL, &closed, &err), &err, ERR_FORMAT, "local message");
    assert_false(closed);
}

static void nothing_there_is_busy_or_timeout(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    bool closed;
    int64_t start = loop_now_ms();
    assert_refused(ipc_receive_within(other, 20, &message, &closed, &err), &err, ERR_TIMEOUT,
        "did not answer in time");
    assert_true(loop_now_ms() - start >= 19);
    fcntl(other, F_SETFL, O_NONBLOCK);
    assert_refused(ipc_receive(other, &message, NULL, NULL, &closed, &err), &err, ERR_BUSY,
        "no local message");
    fcntl(one, F_SETFL, O_NONBLOCK);
    int sent = 0;
    while (ipc_send(one, bytes_of(packet, IPC_MESSAGE_MAX), NULL, 0, &err) && sent < 100)
        sent++;
    assert_int_equal(err.code, ERR_BUSY);
    assert_true(sent >= 2 && sent < 100);
}

static void descriptors_travel(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    int sent[2] = {
        open("/dev/null", O_RDONLY | O_CLOEXEC), open("/dev/zero", O_RDONLY | O_CLOEXEC)};
    int got[IPC_FDS_MAX];
    size_t count = 99;
    bool closed;
    char zero = 'x';
    assert_done(ipc_send(one, bytes_str("fds"), sent, 2, &err), &err);
    assert_done(ipc_receive(other, &message, got, &count, &closed, &err), &err);
    assert_int_equal(count, 2);
    assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(read(got[1], &zero, 1), 1);
    assert_int_equal(zero, 0);
    close(got[0]);
    close(got[1]);
    assert_done(ipc_send(one, bytes_str("none"), NULL, 0, &err), &err);
    assert_done(ipc_receive(other, &message, got, &count, &closed, &err), &err);
    assert_int_equal(count, 0);
    close(sent[0]);
    close(sent[1]);
}

/* Five descriptors in one packet, which ipc_send would not do. */
static void send_raw_fds(const void *data, size_t len, int fd, size_t count)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * 8)];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    struct msghdr header = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int) * count);
    for (size_t i = 0; i < count; i++)
        memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &fd, sizeof fd);
    assert_int_equal(sendmsg(one, &header, 0), len);
}

static void unwanted_descriptors_are_closed(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    int got[IPC_FDS_MAX];
    size_t count;
    bool closed;
    int before = open_fds();
    send_raw_fds("x", 1, one, 1);
    assert_refused(ipc_receive(other, &message, NULL, NULL, &closed, &err), &err, ERR_FORMAT,
        "where none is expected");
    assert_int_equal(open_fds(), before);
    send_raw_fds("x", 1, one, 5);
    assert_refused(ipc_receive(other, &message, got, &count, &closed, &err), &err, ERR_FORMAT,
        "more descriptors");
    assert_int_equal(open_fds(), before);
    send_raw_fds(packet, sizeof packet, one, 2);
    assert_refused(
        ipc_receive(other, &message, got, &count, &closed, &err), &err, ERR_FORMAT, "longer");
    assert_int_equal(open_fds(), before);
    send_raw_fds("", 0, one, 1);
    assert_refused(
        ipc_receive(other, &message, got, &count, &closed, &err), &err, ERR_FORMAT, "empty");
    assert_int_equal(open_fds(), before);
}

/* -- plaintext -- */

struct transfer {
    struct secret *secret;
    struct err err;
    bool sent;
};

static void *send_in_thread(void *arg)
{
    struct transfer *transfer = arg;
    transfer->sent = ipc_send_secret(one, transfer->secret, &transfer->err);
    return NULL;
}

static void secrets_of_any_size_arrive(void **state)
{
    static const size_t sizes[] = {
        0, 1, IPC_MESSAGE_MAX - 1, IPC_MESSAGE_MAX, IPC_MESSAGE_MAX + 1, SECRET_SIZE_MAX};
    (void)state;
    fcntl(one, F_SETFL, O_NONBLOCK); /* more than the queue holds: the sender must wait for us */
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct transfer transfer = {0};
        pthread_t thread;
        struct secret *got = NULL;
        assert_done(secret_random(sizes[i], &transfer.secret, &err), &err);
        assert_int_equal(pthread_create(&thread, NULL, send_in_thread, &transfer), 0);
        assert_done(ipc_receive_secret(other, sizes[i], 60000, &got, &err), &err);
        pthread_join(thread, NULL);
        assert_done(transfer.sent, &transfer.err);
        assert_true(secret_equal(secret_bytes(got), secret_bytes(transfer.secret)));
        secret_unref(got);
        secret_unref(transfer.secret);
    }
}

static void announced_length_is_held_to(void **state)
{
    (void)state;
    struct secret *got = NULL;
    assert_done(ipc_send(one, bytes_str("12345"), NULL, 0, &err), &err);
    assert_refused(
        ipc_receive_secret(other, 4, 1000, &got, &err), &err, ERR_FORMAT, "longer than 4");
    assert_done(ipc_send(one, bytes_str("12345"), NULL, 0, &err), &err);
    assert_refused(
        ipc_receive_secret(other, 6, 1000, &got, &err), &err, ERR_FORMAT, "6 bytes were announced");
    int before = open_fds();
    send_raw_fds("1234", 4, one, 1);
    assert_refused(
        ipc_receive_secret(other, 4, 1000, &got, &err), &err, ERR_FORMAT, "1 descriptors");
    assert_int_equal(open_fds(), before);
    assert_refused(ipc_receive_secret(other, 4, 10, &got, &err), &err, ERR_TIMEOUT, "in time");
    assert_refused(
        ipc_receive_secret(other, SECRET_SIZE_MAX + 1, 10, &got, &err), &err, ERR_FORMAT, "");
    close(take_fd(one));
    assert_refused(ipc_receive_secret(other, 4, 1000, &got, &err), &err, ERR_UNREACH, "gone");
    assert_null(got);
}

#define pair_test(fn) cmocka_unit_test_setup_teardown(fn, make_pair, drop_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peer_is_known_and_mode_is_kept),
        cmocka_unit_test(stale_is_replaced_and_live_is_not),
        cmocka_unit_test(a_held_lock_does_not_stop_a_server),
        cmocka_unit_test(what_is_no_socket_is_left_alone),
        cmocka_unit_test(bad_paths_are_refused),
        cmocka_unit_test(mode_keeps_strangers_out),
        cmocka_unit_test(full_backlog_meets_the_deadline),
        pair_test(messages_keep_their_boundaries),
        pair_test(wrong_sizes_are_refused),
        pair_test(nothing_there_is_busy_or_timeout),
        pair_test(descriptors_travel),
        pair_test(unwanted_descriptors_are_closed),
        pair_test(secrets_of_any_size_arrive),
        pair_test(announced_length_is_held_to),
    };
    return cmocka_run_group_tests(tests, make_directory, drop_directory);
}
