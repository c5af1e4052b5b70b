/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/handover.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypt/base/ipc.h"
#include "crypt/base/loop.h"
#include "tests/unit/unit.h"

static int ends[2];
static struct leases *old_leases, *new_leases;
static char seen[4096];
static size_t seen_len;
#define SEEN_FIRST "key;past /m/w 00ff 1234 1 0 0;past /m/l ff00 ffffffffffffffff 0 1 77;"

static int start(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    seen_len = 0;
    seen[0] = '\0';
    assert_done(ipc_pair(ends, &err), &err);
    assert_done(leases_new(&old_leases, &err), &err);
    assert_done(leases_new(&new_leases, &err), &err);
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    leases_free(old_leases);
    leases_free(new_leases);
    return 0;
}

static void note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    seen_len += (size_t)vsnprintf(seen + seen_len, sizeof seen - seen_len, format, args);
    va_end(args);
}

static void on_key(void *arg, struct secret *key)
{
    struct err err = ERR_INIT;
    (void)arg;
    assert_done(leases_take_key(new_leases, key, &err), &err);
    note("key;");
}

static void on_past(void *arg, const struct cache_past *past)
{
    (void)arg;
    note("past %s %s %llx %d %d %lld;", past->path, past->version,
        (unsigned long long)past->text_hash, past->withdrawn, past->has_limit,
        (long long)past->left_ms);
}

static struct lease *on_lease(
    void *arg, const char *path, const char *resource, int64_t age_ms, struct secret *plaintext)
{
    struct lease *lease;
    struct err err = ERR_INIT;
    (void)arg;
    assert_true(age_ms >= 1000 && age_ms < 1000000);
    assert_done(lease_new(new_leases, path, plaintext, resource, 0, &lease, &err), &err);
    return lease;
}

static void on_kept(void *arg, struct lease *lease, bool is_name, struct bytes text,
    int64_t fresh_ms, int64_t limit_ms)
{
    auto_secret *plaintext = lease_secret(lease);
    struct bytes plain = secret_bytes(plaintext);
    (void)arg;
    note("kept %s %s %d %.*s %lld %lld %.*s;", lease_path(lease), lease->resource, is_name,
        (int)text.len, (const char *)text.data, (long long)fresh_ms, (long long)limit_ms,
        (int)(plain.len < 40 ? plain.len : 40), (const char *)plain.data);
}

static void on_open(
    void *arg, const char *mountpoint, uint64_t fh, int file_fd, struct lease *lease)
{
    struct stat st;
    (void)arg;
    assert_int_equal(fstat(file_fd, &st), 0);
    close(file_fd);
    note("open %s %llx %zd;", mountpoint, (unsigned long long)fh, lease ? (ssize_t)lease->len : -1);
}

/* The first one is held, no more. */
static bool on_credential(void *arg, int fd)
{
    struct stat st;
    (void)arg;
    assert_int_equal(fstat(fd, &st), 0);
    note("credential;");
    return strstr(seen, "credential;credential;") == NULL;
}

static void on_well(void *arg)
{
    (void)arg;
    note("well;");
}

static bool take(size_t memory, struct handover_count *ret_count, struct err *err)
{
    const struct handover_sink sink = {
        on_key, on_past, on_lease, on_kept, on_open, on_credential, on_well, NULL, memory};
    return handover_take(ends[1], &sink, ret_count, err);
}

static struct lease *lease_of(const char *path, size_t len, const char *text)
{
    struct err err = ERR_INIT;
    auto_secret *secret = NULL;
    struct lease *lease;
    assert_done(secret_new(len, &secret, &err), &err);
    memcpy(secret_data(secret), text, strlen(text));
    assert_done(
        lease_new(old_leases, path, secret, "kbs:///a/b/c", loop_now_ms() - 1000, &lease, &err),
        &err);
    return lease;
}

/* What an old worker does, as its own thread. *arg: did the successor take over? */
static void *give_all(void *arg)
{
    bool *done = arg;
    struct err err = ERR_INIT;
    auto_lease *one = lease_of("/m/a", 13, "plaintext one"), *empty = lease_of("/m/e", 0, "");
    auto_lease *gone = lease_of("/m/gone", 4, "gone");
    AUTO(handover_free) struct handover *handover = NULL;
    auto_fd int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    auto_secret *key = leases_key(old_leases);
    const struct cache_past withdrawn = {"/m/w", "00ff", 0x1234, true, false, 0},
                            limited = {"/m/l", "ff00", UINT64_MAX, false, true, 77};
    leases_revoke(old_leases, "/m/gone");
    *done = handover_new(ends[0], &handover, &err) && handover_give_key(handover, key, &err) &&
            handover_give_past(handover, &withdrawn, &err) &&
            handover_give_past(handover, &limited, &err) &&
            handover_give_kept(handover, one, false, bytes_str("sealed.a"), 5000, 6000, &err) &&
            handover_give_open(handover, "/m", 0x1000001, file, one, &err) &&
            handover_give_open(handover, "/m", 0x1000002, file, NULL, &err) &&
            handover_give_open(handover, "/m", 0x1000003, file, gone, &err) &&
            handover_give_kept(handover, gone, false, bytes_str("sealed.g"), 1, 1, &err) &&
            handover_give_kept(handover, empty, true, bytes_str(""), -5, 7, &err);
    size_t held;
    *done = handover_finish(handover, &held, &err) && held == 0 && *done;
    return NULL;
}

static void test_everything(void **state)
{
    pthread_t thread;
    bool done = false;
    struct handover_count count;
    struct err err = ERR_INIT;
    (void)state;
    pthread_create(&thread, NULL, give_all, &done);
    assert_done(take(1 << 20, &count, &err), &err);
    assert_done(handover_taken(ends[1], &(struct handover_count){0}, &err), &err);
    pthread_join(thread, NULL);
    assert_true(done);
    assert_string_equal(seen,
        SEEN_FIRST "kept /m/a kbs:///a/b/c 0 sealed.a 5000 6000 plaintext one;open /m 1000001 13;"
                   "open /m 1000002 -1;kept /m/e kbs:///a/b/c 1  0 7 ;");
    assert_int_equal(count.kept, 2);
    assert_int_equal(count.open, 2);
    assert_int_equal(count.left_out, 0);
}

static void test_no_memory_for_plaintexts(void **state)
{
    pthread_t thread;
    bool done = false;
    struct handover_count count;
    struct err err = ERR_INIT;
    (void)state;
    pthread_create(&thread, NULL, give_all, &done);
    assert_done(take(1, &count, &err), &err);
    assert_done(handover_taken(ends[1], &(struct handover_count){0}, &err), &err);
    pthread_join(thread, NULL);
    assert_true(done);
    assert_string_equal(seen, SEEN_FIRST "open /m 1000002 -1;");
    assert_true(count.left_out >= 2);
}

static void test_successor_dies(void **state)
{
    pthread_t thread;
    bool done = true;
    (void)state;
    pthread_create(&thread, NULL, give_all, &done);
    close(ends[1]);
    ends[1] = -1;
    pthread_join(thread, NULL);
    assert_false(done);
}

/* Enough of it, after one message: the old worker learns that it has been relieved all the same. */
static void test_successor_has_enough(void **state)
{
    struct err err = ERR_INIT;
    AUTO(handover_free) struct handover *handover = NULL;
    auto_lease *large = lease_of("/m/large", SECRET_SIZE_MAX, "x");
    (void)state;
    assert_done(handover_new(ends[0], &handover, &err), &err);
    assert_done(handover_taken(ends[1], &(struct handover_count){0}, &err), &err);
    assert_refused(handover_give_kept(handover, large, false, bytes_str("x"), 1, 1, &err), &err,
        ERR_UNREACH, "gone");
    assert_refused(handover_give_kept(handover, large, false, bytes_str("x"), 1, 1, &err), &err,
        ERR_UNREACH, "failed already");
    size_t held;
    assert_done(handover_finish(handover, &held, &err), &err);
}

static void *give_credentials(void *arg)
{
    AUTO(handover_free) struct handover *handover = NULL;
    struct err err = ERR_INIT;
    auto_fd int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool done = handover_new(ends[0], &handover, &err) && handover_give_well(handover, &err);
    for (int i = 0; done && i < 4; i++)
        done = handover_give_credential(handover, file, &err);
    size_t held = SIZE_MAX;
    done = done && handover_finish(handover, &held, &err);
    *(size_t *)arg = done ? held : SIZE_MAX;
    assert_int_equal(
        shutdown(ends[0], SHUT_RDWR), 0); /* its end, as that of the process would be */
    return NULL;
}

/* What is not held stays the old worker's, and so does what comes after it, or the two would count differently. */
static void test_credentials_are_counted(void **state)
{
    pthread_t thread;
    size_t held = 0;
    struct handover_count count;
    struct err err = ERR_INIT;
    (void)state;
    pthread_create(&thread, NULL, give_credentials, &held);
    assert_done(take(1 << 20, &count, &err), &err);
    assert_int_equal(count.held, 1);
    assert_done(handover_taken(ends[1], &count, &err), &err);
    pthread_join(thread, NULL);
    assert_int_equal(held, 1);
    assert_string_equal(seen, "well;credential;credential;");
}

static void send_raw(struct bytes message, const int *fds, size_t fd_count)
{
    struct err err = ERR_INIT;
    assert_done(ipc_send(ends[0], message, fds, fd_count, &err), &err);
}

static void send_item(struct handover_item item, const int *fds, size_t fd_count)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct err err = ERR_INIT;
    assert_done(handover_encode(&item, &message, &err), &err);
    send_raw(buf_bytes(&message), fds, fd_count);
}

static void refuse(const char *text)
{
    struct handover_count count;
    struct err err = ERR_INIT;
    assert_refused(take(1 << 20, &count, &err), &err, ERR_FORMAT, text);
}

static void test_bad_old_worker(void **state)
{
    const int two[] = {ends[0], ends[0]};
    (void)state;
    send_raw(bytes_str("x"), NULL, 0);
    refuse("handover");
    send_item((struct handover_item){.kind = HANDOVER_TAKEN}, NULL, 0);
    refuse("only the successor");
    send_item((struct handover_item){.kind = HANDOVER_OPEN, .path = "/m", .fh = 1}, NULL, 0);
    refuse("descriptor missing");
    send_item((struct handover_item){.kind = HANDOVER_OPEN, .path = "/m", .fh = 1}, two, 2);
    refuse("too many");
    send_item((struct handover_item){.kind = HANDOVER_END}, two, 1);
    refuse("too many");
    send_item((struct handover_item){.kind = HANDOVER_KEPT, .number = 0}, NULL, 0);
    refuse("lease 0 of 0");
    send_item((struct handover_item){.kind = HANDOVER_LEASE, .path = "m"}, NULL, 0);
    refuse("handover");
    send_item(
        (struct handover_item){.kind = HANDOVER_LEASE, .path = "/m", .length = SECRET_SIZE_MAX + 1},
        NULL, 0);
    refuse("handover");
    send_item((struct handover_item){.kind = HANDOVER_LEASE, .path = "/m", .length = 5}, NULL, 0);
    send_raw(bytes_str("four"), NULL, 0);
    refuse("part of a secret");
    assert_string_equal(seen, "");
}

static void test_old_worker_dies(void **state)
{
    struct handover_count count;
    struct err err = ERR_INIT;
    (void)state;
    send_item((struct handover_item){.kind = HANDOVER_LEASE, .path = "/m", .length = 1}, NULL, 0);
    close(ends[0]);
    ends[0] = -1;
    assert_refused(take(1 << 20, &count, &err), &err, ERR_UNREACH, "has gone");
    err_clear(&err);
    assert_refused(take(1 << 20, &count, &err), &err, ERR_UNREACH, "ended before");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_everything, start, end),
        cmocka_unit_test_setup_teardown(test_credentials_are_counted, start, end),
        cmocka_unit_test_setup_teardown(test_no_memory_for_plaintexts, start, end),
        cmocka_unit_test_setup_teardown(test_successor_dies, start, end),
        cmocka_unit_test_setup_teardown(test_successor_has_enough, start, end),
        cmocka_unit_test_setup_teardown(test_bad_old_worker, start, end),
        cmocka_unit_test_setup_teardown(test_old_worker_dies, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
