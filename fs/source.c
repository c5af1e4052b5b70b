/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/source.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fs/acl.h"
#include "fs/local_fs.h"

/* Enough to see through leading blanks. */
#define HEAD_SIZE 512
#define BLOB_READ (BLOB_SIZE_MAX + 1u)
/* Coarse kernel time ticks at 100 Hz or faster. */
#define TICK_NS 20000000
/* A file system that keeps whole seconds only (or two of them, as FAT does). */
#define COARSE_NS 2100000000

struct blob *blob_ref(struct blob *blob)
{
    atomic_fetch_add_explicit(&blob->count, 1, memory_order_relaxed);
    return blob;
}

void blob_unref(struct blob *blob)
{
    if (!blob || atomic_fetch_sub_explicit(&blob->count, 1, memory_order_acq_rel) != 1)
        return;
    buf_done(&blob->text);
    free(blob);
}

bool blob_equal(const struct blob *a, const struct blob *b)
{
    return a == b || bytes_equal(buf_bytes(&a->text), buf_bytes(&b->text));
}

struct pin *pin_ref(struct pin *pin)
{
    atomic_fetch_add_explicit(&pin->count, 1, memory_order_relaxed);
    return pin;
}

void pin_unref(struct pin *pin)
{
    if (!pin || atomic_fetch_sub_explicit(&pin->count, 1, memory_order_acq_rel) != 1)
        return;
    if (pin->fd >= 0)
        close(pin->fd);
    blob_unref(pin->blob);
    free(pin->target);
    free(pin);
}

static int64_t ns_of(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

static bool is_settled(const struct pin *pin, const struct timespec *asked_at)
{
    int64_t margin = pin->st.st_ctim.tv_nsec == 0 ? COARSE_NS : TICK_NS;
    return ns_of(&pin->st.st_ctim) + margin < ns_of(asked_at) && local_fs(pin->fd);
}

static bool read_target(struct pin *pin, struct err *err)
{
    char target[PATH_MAX];
    ssize_t len = readlinkat(pin->fd, "", target, sizeof target - 1);
    if (len < 0)
        return err_set_errno(err, ERR_IO, "read a symbolic link");
    pin->target = strndup(target, (size_t)len);
    return pin->target || err_nomem(err);
}

static bool read_blob(struct pin *pin, struct bytes head, struct err *err)
{
    auto_free uint8_t *data = malloc(65536);
    struct blob *blob = calloc(1, sizeof *blob);
    AUTO(blob_unref) struct blob *owner = blob;
    if (!data || !blob)
        return err_nomem(err);
    atomic_init(&blob->count, 1);
    blob->text = (struct buf)BUF_INIT(BLOB_READ);
    if (!buf_append(&blob->text, head, err))
        return false;
    while (blob->text.len < BLOB_READ) {
        size_t want = BLOB_READ - blob->text.len;
        ssize_t len = pread(pin->fd, data, want < 65536 ? want : 65536, (off_t)blob->text.len);
        if (len < 0)
            return err_set_errno(err, ERR_IO, "read a sealed file");
        if (len == 0)
            break;
        if (!buf_append(&blob->text, bytes_of(data, (size_t)len), err))
            return false;
    }
    pin->blob = take_ptr(owner);
    return true;
}

/* What a regular file holds is part of its pin: it cannot change without the pin failing. */
static bool look_inside(const struct source *source, struct pin *pin, struct err *err)
{
    uint8_t head[HEAD_SIZE];
    ssize_t len = pread(pin->fd, head, sizeof head, 0);
    if (len < 0)
        return err_set_errno(err, ERR_IO, "read the start of a file");
    pin->is_sealed = source->is_sealed && source->is_sealed(bytes_of(head, (size_t)len));
    return !pin->is_sealed || read_blob(pin, bytes_of(head, (size_t)len), err);
}

bool source_pin(
    const struct source *source, const char *path, struct pin **ret_pin, struct err *err)
{
    struct timespec asked_at;
    auto_pin *pin = calloc(1, sizeof *pin);
    if (!pin)
        return err_nomem(err);
    atomic_init(&pin->count, 1);
    pin->fd = -1;
    clock_gettime(CLOCK_REALTIME_COARSE, &asked_at);
    if (!monitor_open(source->monitor, source->mount, path, &pin->fd, err))
        return false;
    if (fstat(pin->fd, &pin->st) < 0)
        return err_set_errno(err, ERR_IO, "source file %s", path);
    pin->settled = is_settled(pin, &asked_at);
    pin->allowed = S_ISLNK(pin->st.st_mode) ? 0777 : acl_allowed_of(pin->fd);
    if (S_ISLNK(pin->st.st_mode) && !read_target(pin, err))
        return err_wrap(err, "source file %s", path);
    if (S_ISREG(pin->st.st_mode) && !look_inside(source, pin, err))
        return err_wrap(err, "source file %s", path);
    *ret_pin = take_ptr(pin);
    return true;
}

bool pin_holds(const struct pin *pin, struct stat *ret_st)
{
    if (!pin->settled || fstat(pin->fd, ret_st) < 0)
        return false;
    return ret_st->st_nlink > 0 && ret_st->st_ctim.tv_sec == pin->st.st_ctim.tv_sec &&
           ret_st->st_ctim.tv_nsec == pin->st.st_ctim.tv_nsec;
}

static bool blob_holds(int fd, struct bytes text)
{
    uint8_t part[4096];
    for (size_t at = 0;;) {
        ssize_t len = pread(fd, part, sizeof part, (off_t)at);
        if (len < 0 || (size_t)len > text.len - at)
            return false;
        if (len == 0)
            return at == text.len;
        if (!bytes_equal(bytes_of(part, (size_t)len), bytes_slice(text, at, (size_t)len)))
            return false;
        at += (size_t)len;
        if (at == BLOB_READ)
            return true;
    }
}

bool source_content_holds(const struct source *source, const struct pin *pin)
{
    uint8_t head[HEAD_SIZE];
    if (!S_ISREG(pin->st.st_mode))
        return true;
    if (pin->is_sealed)
        return blob_holds(pin->fd, buf_bytes(&pin->blob->text));
    ssize_t len = pread(pin->fd, head, sizeof head, 0);
    return len >= 0 && !(source->is_sealed && source->is_sealed(bytes_of(head, (size_t)len)));
}

bool pin_same_file(const struct pin *a, const struct pin *b)
{
    return a->st.st_dev == b->st.st_dev && a->st.st_ino == b->st.st_ino;
}
