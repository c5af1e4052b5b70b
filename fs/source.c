/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/source.h"

#include <errno.h>
#include <fcntl.h>
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

bool blob_copy(struct bytes text, struct blob **ret_blob, struct err *err)
{
    AUTO(blob_unref) struct blob *blob = calloc(1, sizeof *blob);
    if (!blob)
        return err_nomem(err);
    atomic_init(&blob->count, 1);
    blob->text = (struct buf)BUF_INIT(BLOB_READ);
    if (!buf_append(&blob->text, text, err))
        return false;
    *ret_blob = take_ptr(blob);
    return true;
}

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
    return a == b || (a->is_name == b->is_name && a->missing == b->missing &&
                         bytes_equal(buf_bytes(&a->text), buf_bytes(&b->text)));
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

static bool blob_new(struct blob **ret_blob, struct err *err)
{
    struct blob *blob = calloc(1, sizeof *blob);
    if (!blob)
        return err_nomem(err);
    atomic_init(&blob->count, 1);
    blob->text = (struct buf)BUF_INIT(BLOB_READ);
    *ret_blob = blob;
    return true;
}

static bool read_blob(int fd, struct blob **ret_blob, struct err *err)
{
    auto_free uint8_t *data = malloc(65536);
    AUTO(blob_unref) struct blob *blob = NULL;
    if (!data)
        return err_nomem(err);
    if (!blob_new(&blob, err))
        return false;
    while (blob->text.len < BLOB_READ) {
        size_t want = BLOB_READ - blob->text.len;
        ssize_t len = pread(fd, data, want < 65536 ? want : 65536, (off_t)blob->text.len);
        if (len < 0)
            return err_set_errno(err, ERR_IO, "read a sealed file");
        if (len == 0)
            break;
        if (!buf_append(&blob->text, bytes_of(data, (size_t)len), err))
            return false;
    }
    *ret_blob = take_ptr(blob);
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
    return !pin->is_sealed || read_blob(pin->fd, &pin->blob, err);
}

/* -- files of the catalogue -------------------------------------------------------------------- */

static bool put_text(struct pin *pin, const char *prefix, const char *text, struct err *err)
{
    return blob_new(&pin->blob, err) && buf_append(&pin->blob->text, bytes_str(prefix), err) &&
           buf_append(&pin->blob->text, bytes_str(text), err);
}

static bool name_resource(const struct source *source, struct pin *pin, const char *path,
    const struct conf_file *file, struct err *err)
{
    (void)source;
    if (!put_text(pin, file ? "" : "kbs:///",
            file ? file->resource : path + strlen(BY_NAME_DIR "/"), err))
        return false;
    pin->blob->is_name = true;
    return true;
}

/* A file that cannot be read is found at the open, as a refusal that says so. */
static bool look_elsewhere(
    struct pin *pin, const struct monitor_file *got, const char *path, struct err *err)
{
    pin->elsewhere = true;
    if (got->content_fd >= 0)
        return read_blob(got->content_fd, &pin->blob, err);
    if (!put_text(pin, "", path, err))
        return false;
    pin->blob->missing = got->content_errno;
    return true;
}

static bool look_up(const struct source *source, struct pin *pin, const struct monitor_file *got,
    const char *path, struct err *err)
{
    bool catalogued = pin->origin.kind == ORIGIN_FILE;
    if (catalogued && (!source->conf || pin->origin.index >= source->conf->files.count))
        return err_set(err, ERR_INTERNAL, "the monitor has another catalogue");
    const struct conf_file *file =
        catalogued ? &source->conf->files.items[pin->origin.index] : NULL;
    pin->is_sealed = true;
    if (file && file->sealed_file)
        return look_elsewhere(pin, got, file->sealed_file, err);
    return name_resource(source, pin, path, file, err);
}

/* -- pins -------------------------------------------------------------------------------------- */

static bool look(const struct source *source, struct pin *pin, const struct monitor_file *got,
    const char *path, struct err *err)
{
    if (S_ISLNK(pin->st.st_mode))
        return read_target(pin, err);
    if (!S_ISREG(pin->st.st_mode))
        return true;
    if (pin->origin.kind == ORIGIN_SOURCE)
        return look_inside(source, pin, err);
    return look_up(source, pin, got, path, err);
}

bool source_pin(
    const struct source *source, const char *path, struct pin **ret_pin, struct err *err)
{
    struct timespec asked_at;
    struct monitor_file got;
    auto_pin *pin = calloc(1, sizeof *pin);
    if (!pin)
        return err_nomem(err);
    atomic_init(&pin->count, 1);
    pin->fd = -1;
    clock_gettime(CLOCK_REALTIME_COARSE, &asked_at);
    if (!monitor_open(source->monitor, source->mount, path, &got, err))
        return false;
    auto_fd int content = got.content_fd;
    (void)content;
    pin->fd = got.fd;
    pin->origin = got.origin;
    if (fstat(pin->fd, &pin->st) < 0)
        return err_set_errno(err, ERR_IO, "source file %s", path);
    pin->settled = !got.elsewhere && is_settled(pin, &asked_at);
    pin->allowed = S_ISLNK(pin->st.st_mode) ? 0777 : acl_allowed_of(pin->fd);
    if (!look(source, pin, &got, path, err))
        return err_wrap(err, "source file %s", path);
    *ret_pin = take_ptr(pin);
    return true;
}

bool source_pin_open(int fd, bool is_sealed, struct pin **ret_pin, struct err *err)
{
    auto_fd int owned = fd;
    auto_pin *pin = calloc(1, sizeof *pin);
    if (!pin)
        return err_nomem(err);
    atomic_init(&pin->count, 1);
    pin->fd = take_fd(owned);
    int flags = fcntl(pin->fd, F_GETFL);
    if (flags < 0 || fstat(pin->fd, &pin->st) < 0)
        return err_set_errno(err, ERR_IO, "descriptor of an open file");
    if (!S_ISREG(pin->st.st_mode) || (flags & O_PATH) || (flags & O_ACCMODE) != O_RDONLY)
        return err_set(
            err, ERR_FORMAT, "the descriptor of an open file is not one for reading a file");
    pin->allowed = acl_allowed_of(pin->fd);
    pin->is_sealed = is_sealed;
    if (is_sealed && !blob_copy(BYTES_EMPTY, &pin->blob, err))
        return false;
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
    if (!S_ISREG(pin->st.st_mode) || pin->origin.kind != ORIGIN_SOURCE)
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
