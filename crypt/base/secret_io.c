/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in and out of descriptors. What pins pages instead of copying (/dev/fuse, O_DIRECT, splice)
 * cannot reach memfd_secret pages and fails with EFAULT, and we do not know what a descriptor
 * leads to: so both ways lead through locked plain pages that are wiped. */
#include "crypt/base/secret.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

#include "crypt/base/pages.h"

#define BOUNCE_SIZE (64u * 1024u)
#define FIRST_SIZE  4096u

bool secret_bounce_init(struct secret_bounce *bounce, size_t size, struct err *err)
{
    struct pages pages;
    if (!pages_map(PAGES_PLAIN, size, &pages, err))
        return false;
    *bounce = (struct secret_bounce){pages.data, pages.len};
    return true;
}

void secret_bounce_wipe(struct secret_bounce *bounce, size_t used)
{
    secret_wipe(bounce->data, used < bounce->size ? used : bounce->size);
}

void secret_bounce_done(struct secret_bounce *bounce)
{
    struct pages pages = {bounce->data, bounce->size};
    pages_unmap(&pages);
    *bounce = (struct secret_bounce){0};
}

/* After a failed read or write: true when it is worth another try. */
static bool wait_for(int fd, short events)
{
    struct pollfd poller = {.fd = fd, .events = events};
    if (errno == EINTR)
        return true;
    if (errno != EAGAIN)
        return false;
    return poll(&poller, 1, -1) >= 0 || errno == EINTR;
}

static bool read_some(int fd, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
    for (;;) {
        ssize_t len = read(fd, data, size);
        if (len >= 0) {
            *ret_len = (size_t)len;
            return true;
        }
        if (!wait_for(fd, POLLIN))
            return err_set_errno(err, ERR_IO, "reading a secret");
    }
}

/* Makes room for `len` more behind the first `used` bytes by moving to a larger secret: never by
 * realloc. */
static bool grow(struct secret **secret, size_t used, size_t len, struct err *err)
{
    size_t size = secret_len(*secret);
    if (len <= size - used)
        return true;
    while (size < used + len)
        size *= 2;
    struct secret *larger;
    if (!secret_new(size < SECRET_SIZE_MAX ? size : SECRET_SIZE_MAX, &larger, err))
        return false;
    memcpy(secret_data(larger), secret_data(*secret), used);
    secret_unref(*secret);
    *secret = larger;
    return true;
}

static size_t first_size(int fd, size_t max)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
        return FIRST_SIZE;
    return (uint64_t)st.st_size < max ? (size_t)st.st_size : max;
}

static bool gather(int fd, size_t max, struct secret_bounce *bounce, struct secret **secret,
    size_t *ret_used, struct err *err)
{
    for (size_t used = 0, len = 0;; used += len) {
        if (!read_some(fd, bounce->data, bounce->size, &len, err))
            return false;
        if (len == 0) {
            *ret_used = used;
            return true;
        }
        if (len > max - used)
            return err_set(err, ERR_FORMAT, "more than the %zu bytes that are taken", max);
        if (!grow(secret, used, len, err))
            return false;
        memcpy(secret_data(*secret) + used, bounce->data, len);
        secret_bounce_wipe(bounce, len);
    }
}

bool secret_read_fd(int fd, size_t max, struct secret **ret_secret, struct err *err)
{
    if (max > SECRET_SIZE_MAX)
        max = SECRET_SIZE_MAX;
    auto_secret *secret = NULL;
    AUTO_DONE(secret_bounce_done) struct secret_bounce bounce = {0};
    size_t size = first_size(fd, max), used = 0;
    if (!secret_new(size > 0 ? size : 1, &secret, err))
        return false;
    if (!secret_bounce_init(&bounce, size < BOUNCE_SIZE ? size : BOUNCE_SIZE, err) ||
        !gather(fd, max, &bounce, &secret, &used, err))
        return false;
    if (used < secret_len(secret))
        return secret_copy(bytes_of(secret_data(secret), used), ret_secret, err);
    *ret_secret = take_ptr(secret);
    return true;
}

static bool write_all(int fd, const uint8_t *data, size_t len, struct err *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t count = write(fd, data + done, len - done);
        if (count >= 0)
            done += (size_t)count;
        else if (!wait_for(fd, POLLOUT))
            return err_set_errno(err, ERR_IO, "writing a secret");
    }
    return true;
}

bool secret_write_fd(const struct secret *secret, int fd, struct err *err)
{
    struct bytes all = secret_bytes(secret);
    AUTO_DONE(secret_bounce_done) struct secret_bounce bounce = {0};
    if (!secret_bounce_init(&bounce, all.len < BOUNCE_SIZE ? all.len : BOUNCE_SIZE, err))
        return false;
    for (size_t done = 0; done < all.len;) {
        struct bytes part = bytes_slice(all, done, bounce.size);
        memcpy(bounce.data, part.data, part.len);
        if (!write_all(fd, bounce.data, part.len, err))
            return false;
        done += part.len;
    }
    return true;
}
