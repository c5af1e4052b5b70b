/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crypt/base/secret.h"

static size_t alive(void)
{
    size_t count, bytes;
    secret_stats(&count, &bytes);
    return count;
}

/* A file of `len` bytes that can be told apart, at its start. */
static int file_of(size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)(i * 31 + i / 256);
        assert_int_equal(pwrite(fd, &c, 1, (off_t)i), 1);
    }
    return fd;
}

static void assert_pattern(struct bytes data, size_t len)
{
    assert_int_equal(data.len, len);
    for (size_t i = 0; i < len; i++)
        if (data.data[i] != (uint8_t)(i * 31 + i / 256))
            fail_msg("byte %zu differs", i);
}

static void files_of_all_sizes(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 65536, 65537, 200000};
    size_t before = alive();
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        auto_fd int fd = file_of(sizes[i]);
        auto_secret *secret = NULL;
        assert_done(secret_read_fd(fd, SECRET_SIZE_MAX, &secret, &err), &err);
        assert_pattern(secret_bytes(secret), sizes[i]);

        auto_fd int copy = memfd_create("copy", MFD_CLOEXEC);
        auto_secret *again = NULL;
        assert_done(secret_write_fd(secret, copy, &err), &err);
        assert_int_equal(lseek(copy, 0, SEEK_SET), 0);
        assert_done(secret_read_fd(copy, sizes[i], &again, &err), &err);
        assert_true(secret_equal(secret_bytes(secret), secret_bytes(again)));
    }
    assert_int_equal(alive(), before);
}

struct writing {
    int fd;
    size_t len;
};

/* In odd pieces, with pauses made by the pipe's own capacity. */
static void *write_slowly(void *arg)
{
    const struct writing *writing = arg;
    for (size_t i = 0; i < writing->len;) {
        uint8_t piece[777];
        size_t len = writing->len - i < sizeof piece ? writing->len - i : sizeof piece;
        for (size_t k = 0; k < len; k++)
            piece[k] = (uint8_t)((i + k) * 31 + (i + k) / 256);
        ssize_t done = write(writing->fd, piece, len);
        i += done > 0 ? (size_t)done : 0;
    }
    close(writing->fd);
    return NULL;
}

static void pipe_that_is_not_ready(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    struct writing writing = {ends[1], 150000};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_slowly, &writing), 0);
    auto_secret *secret = NULL;
    assert_done(secret_read_fd(ends[0], 150000, &secret, &err), &err);
    pthread_join(thread, NULL);
    assert_pattern(secret_bytes(secret), 150000);
    close(ends[0]);
}

struct reading {
    int fd;
    struct secret *secret;
};

static void *read_all(void *arg)
{
    struct reading *reading = arg;
    struct err err = ERR_INIT;
    if (!secret_read_fd(reading->fd, SECRET_SIZE_MAX, &reading->secret, &err))
        reading->secret = NULL;
    return NULL;
}

static void full_pipe_is_waited_for(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    auto_secret *secret = NULL;
    assert_done(secret_random(300000, &secret, &err), &err);
    struct reading reading = {ends[0], NULL};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_all, &reading), 0);
    assert_done(secret_write_fd(secret, ends[1], &err), &err);
    close(ends[1]);
    pthread_join(thread, NULL);
    assert_non_null(reading.secret);
    assert_true(secret_equal(secret_bytes(secret), secret_bytes(reading.secret)));
    secret_unref(reading.secret);
    close(ends[0]);
}

static void too_much_is_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    size_t before = alive();
    static const struct {
        size_t len, max;
    } cases[] = {{1, 0}, {33, 32}, {4097, 4096}, {70000, 69999}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_fd int fd = file_of(cases[i].len);
        struct secret *secret = NULL;
        assert_refused(
            secret_read_fd(fd, cases[i].max, &secret, &err), &err, ERR_FORMAT, "more than the");
        assert_null(secret);
    }
    auto_fd int endless = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    struct secret *secret = NULL;
    assert_refused(secret_read_fd(endless, SIZE_MAX, &secret, &err), &err, ERR_FORMAT, "1048576");
    assert_int_equal(alive(), before);
}

static void failures_are_told(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct secret *none = NULL;
    auto_secret *secret = NULL;
    auto_fd int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_fd int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_refused(secret_read_fd(dir, 100, &none, &err), &err, ERR_IO, "Is a directory");
    assert_refused(secret_read_fd(-1, 100, &none, &err), &err, ERR_IO, "Bad file descriptor");
    assert_null(none);
    assert_done(secret_new(10, &secret, &err), &err);
    assert_refused(secret_write_fd(secret, full, &err), &err, ERR_IO, "No space left");
    assert_refused(secret_write_fd(secret, dir, &err), &err, ERR_IO, "writing a secret");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_all_sizes),
        cmocka_unit_test(pipe_that_is_not_ready),
        cmocka_unit_test(full_pipe_is_waited_for),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(failures_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
