/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypt/base/secret.h"

static size_t alive(void)
{
    size_t count, bytes;
    secret_stats(&count, &bytes);
    return count;
}

static void new_is_zero_and_counted(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const size_t sizes[] = {0, 1, 32, 4087, 4088, 4095, 4096, 4097, 70000, SECRET_SIZE_MAX};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        size_t before = alive(), count, bytes_before, bytes;
        secret_stats(&count, &bytes_before);
        struct secret *secret;
        assert_done(secret_new(sizes[i], &secret, &err), &err);
        assert_int_equal(secret_len(secret), sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(secret_bytes(secret).data[k], 0);
        secret_stats(&count, &bytes);
        assert_int_equal(bytes - bytes_before, sizes[i]);
        assert_int_equal(count, before + 1);
        secret_unref(secret_ref(secret));
        assert_int_equal(alive(), before + 1);
        secret_unref(secret);
        assert_int_equal(alive(), before);
    }
    secret_unref(NULL);
}

static void too_large_is_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct secret *secret = NULL;
    size_t before = alive();
    assert_refused(
        secret_new(SECRET_SIZE_MAX + 1, &secret, &err), &err, ERR_FORMAT, "1048577 bytes");
    assert_refused(secret_random(SIZE_MAX, &secret, &err), &err, ERR_FORMAT, "bytes");
    assert_null(secret);
    assert_int_equal(alive(), before);
}

static void copy_truncate_equal(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_secret *a = NULL;
    auto_secret *b = NULL;
    assert_done(secret_copy(bytes_str("correct horse"), &a, &err), &err);
    assert_done(secret_copy(bytes_str("correct"), &b, &err), &err);
    assert_false(secret_equal(secret_bytes(a), secret_bytes(b)));
    const uint8_t *tail = secret_bytes(a).data + 7;
    secret_truncate(a, 7);
    assert_true(secret_equal(secret_bytes(a), secret_bytes(b)));
    assert_memory_equal(tail, "\0\0\0\0\0\0", 6);
    secret_truncate(a, 100);
    assert_int_equal(secret_len(a), 7);
    secret_data(b)[6] ^= 1;
    assert_false(secret_equal(secret_bytes(a), secret_bytes(b)));
    assert_true(secret_equal(BYTES_EMPTY, BYTES_EMPTY));
}

static void random_differs(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_secret *a = NULL;
    auto_secret *b = NULL;
    assert_done(secret_random(32, &a, &err), &err);
    assert_done(secret_random(32, &b, &err), &err);
    assert_false(secret_equal(secret_bytes(a), secret_bytes(b)));
}

/* Runs `act` in a child and gives its wait status; a sanitizer turns SIGSEGV into an exit status of
 * its own. */
static int status_of(void (*act)(struct secret *), struct secret *secret)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, STDERR_FILENO);
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        act(secret);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static struct secret *own_secret(size_t size)
{
    struct err err = ERR_INIT;
    struct secret *secret;
    if (!secret_new(size, &secret, &err))
        _exit(0);
    return secret;
}

static void write_past_end(struct secret *secret)
{
    (void)secret;
    struct secret *own = own_secret(33);
    *(volatile uint8_t *)(secret_data(own) + 33) = 1;
}

static void write_before_guarded(struct secret *secret)
{
    (void)secret;
    struct secret *own = own_secret(4096);
    *(volatile uint8_t *)(secret_data(own) - 1) = 1;
}

static void write_before_canary(struct secret *secret)
{
    (void)secret;
    struct secret *own = own_secret(33);
    *(volatile uint8_t *)(secret_data(own) - 1) ^= 1;
    secret_unref(own);
}

/* One of many, which were mapped together and some of which are kept. */
static struct secret *one_of_many(size_t size)
{
    struct secret *many[20];
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = own_secret(size);
    for (size_t i = 0; i < ARRAY_LEN(many); i += 2)
        secret_unref(many[i]);
    return many[11];
}

static void write_past_one(struct secret *secret)
{
    (void)secret;
    *(volatile uint8_t *)(secret_data(one_of_many(33)) + 33) = 1;
}

static void write_before_one(struct secret *secret)
{
    (void)secret;
    *(volatile uint8_t *)(secret_data(one_of_many(4096)) - 1) = 1;
}

static void make_many(struct secret *secret)
{
    (void)secret;
    for (int i = 0; i < 200; i++)
        memset(secret_data(own_secret(4096)), 'x', 4096);
}

static void read_inherited(struct secret *secret)
{
    (void)*(volatile const uint8_t *)secret_bytes(secret).data;
}

static void do_nothing(struct secret *secret)
{
    (void)secret;
}

static void stray_access_kills(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_secret *secret = NULL;
    assert_done(secret_new(33, &secret, &err), &err);
    assert_int_equal(status_of(do_nothing, secret), 0);
    assert_int_not_equal(status_of(write_past_end, secret), 0);
    assert_int_not_equal(status_of(write_before_guarded, secret), 0);
    assert_int_not_equal(status_of(write_past_one, secret), 0);
    assert_int_not_equal(status_of(write_before_one, secret), 0);
    assert_int_not_equal(status_of(read_inherited, secret), 0);
    int status = status_of(write_before_canary, secret);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* Pages that the process keeps for its next secrets are as new, and nothing that a child has. */
static void kept_pages_are_new(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static struct secret *many[300];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < ARRAY_LEN(many); i++) {
            size_t size = i % 2 ? 4096 : 100;
            assert_done(secret_new(size, &many[i], &err), &err);
            for (size_t k = 0; k < size; k++)
                assert_int_equal(secret_data(many[i])[k], 0);
            memset(secret_data(many[i]), 'x', size);
        }
        for (size_t i = 0; i < ARRAY_LEN(many); i++)
            secret_unref(many[i]);
    }
    assert_int_equal(status_of(make_many, NULL), 0);
}

static void *churn(void *arg)
{
    struct err err = ERR_INIT;
    struct secret *few[7] = {NULL};
    for (size_t i = 0; i < 20000; i++) {
        struct secret **one = &few[i % ARRAY_LEN(few)];
        secret_unref(*one);
        if (!secret_copy(bytes_of((const uint8_t *)&arg, sizeof arg), one, &err))
            return NULL;
        if (i % 3 == 0 && memcmp(secret_bytes(few[0]).data, &arg, sizeof arg) != 0)
            return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(few); i++)
        secret_unref(few[i]);
    return arg;
}

/* Nobody gets a page that somebody else has; and a child may be forked at any moment. */
static void threads_share_none(void **state)
{
    pthread_t threads[4];
    char marks[4];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, &marks[i]), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(status_of(make_many, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *done;
        pthread_join(threads[i], &done);
        assert_ptr_equal(done, &marks[i]);
    }
}

/* The kernel's own words on the mapping that holds `address`: "dd" is out of dumps, "dc" out of
 * children, "lo" locked. Secret memory is never swapped, but Debian's 6.1 does not give it the flag. */
static void vm_flags(const void *address, char *out, size_t out_size)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    assert_non_null(smaps);
    char line[512];
    bool here = false, hidden = false;
    out[0] = '\0';
    while (out[0] == '\0' && fgets(line, sizeof line, smaps)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            here = (unsigned long)address >= from && (unsigned long)address < to;
        if (here && strstr(line, "/secretmem"))
            hidden = true;
        if (here && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(out, out_size, "%s%s", line + 8, hidden ? " lo" : "");
    }
    fclose(smaps);
}

static void kernel_agrees(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_secret *secret = NULL;
    char flags[512];
    assert_done(secret_new(100, &secret, &err), &err);
    vm_flags(secret_bytes(secret).data, flags, sizeof flags);
    assert_non_null(strstr(flags, " dd"));
    assert_non_null(strstr(flags, " dc"));
    assert_non_null(strstr(flags, " lo"));

    struct secret_bounce bounce;
    assert_done(secret_bounce_init(&bounce, 5000, &err), &err);
    assert_int_equal(bounce.size, 8192);
    vm_flags(bounce.data, flags, sizeof flags);
    assert_non_null(strstr(flags, " dd"));
    assert_non_null(strstr(flags, " dc"));
    memset(bounce.data, 'x', bounce.size);
    secret_bounce_wipe(&bounce, 5000);
    assert_int_equal(bounce.data[4999], 0);
    assert_int_equal(bounce.data[5000], 'x');
    secret_bounce_done(&bounce);
    secret_bounce_done(&bounce);
    assert_null(bounce.data);
}

/* Without a descriptor for memfd_secret(2) plain locked memory serves. */
static void make_without_descriptors(struct secret *secret)
{
    (void)secret;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct rlimit none = {0, 0};
    struct err err;
    struct secret *own;
    if (null < 0 || setrlimit(RLIMIT_NOFILE, &none) != 0)
        _exit(2);
    if (!secret_copy(bytes_str("plain"), &own, &err) || write(null, secret_data(own), 5) != 5)
        _exit(3);
    secret_unref(own);
}

static void descriptors_run_out(void **state)
{
    (void)state;
    assert_int_equal(status_of(make_without_descriptors, NULL), 0);
}

static void *use_shared(void *arg)
{
    struct secret *secret = arg;
    for (int i = 0; i < 10000; i++)
        secret_unref(secret_ref(secret));
    secret_unref(secret);
    return NULL;
}

static void references_count_across_threads(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct secret *secret;
    size_t before = alive();
    assert_done(secret_copy(bytes_str("shared"), &secret, &err), &err);
    pthread_t threads[3];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_shared, secret_ref(secret)), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(alive(), before + 1);
    secret_unref(secret);
    assert_int_equal(alive(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_is_zero_and_counted),
        cmocka_unit_test(too_large_is_refused),
        cmocka_unit_test(copy_truncate_equal),
        cmocka_unit_test(random_differs),
        cmocka_unit_test(stray_access_kills),
        cmocka_unit_test(kept_pages_are_new),
        cmocka_unit_test(threads_share_none),
        cmocka_unit_test(kernel_agrees),
        cmocka_unit_test(descriptors_run_out),
        cmocka_unit_test(references_count_across_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
