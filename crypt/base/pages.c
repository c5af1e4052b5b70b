/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

/* Set once memfd_secret(2) has been refused for good: too old a kernel, secretmem.enable=0, or a
 * seccomp filter. */
static atomic_bool hidden_missing;

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* A descriptor for `len` bytes of secret memory, or -1 when plain memory has to do: for good if the
 * kernel does not know the call, this once if only descriptors have run out. */
static int open_hidden(size_t len)
{
    if (atomic_load_explicit(&hidden_missing, memory_order_relaxed))
        return -1;
    /* Its pages are never swapped, whether a kernel calls them locked (6.18) or not (Debian's 6.1). */
    auto_fd int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
    if (fd < 0) {
        if (errno != EMFILE && errno != ENFILE && errno != ENOMEM)
            atomic_store_explicit(&hidden_missing, true, memory_order_relaxed);
        return -1;
    }
    if (ftruncate(fd, (off_t)len) != 0)
        return -1;
    return take_fd(fd);
}

static bool cannot_lock(size_t len, struct err *err)
{
    int cause = errno;
    struct rlimit limit = {0};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    errno = cause;
    if (limit.rlim_cur == RLIM_INFINITY)
        return err_set_errno(err, ERR_NOMEM, "cannot lock %zu KiB of memory", len / 1024);
    return err_set_errno(err, ERR_NOMEM,
        "cannot lock %zu KiB of memory (RLIMIT_MEMLOCK is %llu KiB)", len / 1024,
        (unsigned long long)limit.rlim_cur / 1024);
}

/*
 * Secret memory is mapped with the guards included, and these are then mapped over: the other way
 * round, a mapping refused at a fixed address could leave a hole in a reservation, which another
 * thread may fill before we unmap it. mprotect would not do, since pages of this kind stay counted
 * against RLIMIT_MEMLOCK for as long as they are mapped.
 */
static bool map_hidden(int fd, uint8_t **ret_map, size_t len, struct err *err)
{
    size_t page = page_size();
    uint8_t *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return cannot_lock(len, err);
    uint8_t *guards[] = {map, map + len - page};
    for (size_t i = 0; i < ARRAY_LEN(guards); i++)
        if (mmap(guards[i], page, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED) {
            err_set_errno(err, ERR_NOMEM, "guard page");
            munmap(map + page, len - 2 * page);
            return false;
        }
    *ret_map = map;
    return true;
}

static bool map_plain(uint8_t **ret_map, size_t len, struct err *err)
{
    size_t page = page_size();
    uint8_t *map = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return err_set_errno(err, ERR_NOMEM, "mapping %zu KiB", len / 1024);
    if (mprotect(map + page, len - 2 * page, PROT_READ | PROT_WRITE) == 0 &&
        mlock(map + page, len - 2 * page) == 0) {
        *ret_map = map;
        return true;
    }
    cannot_lock(len - 2 * page, err);
    munmap(map, len);
    return false;
}

bool pages_map(enum pages_kind kind, size_t size, struct pages *ret_pages, struct err *err)
{
    size_t page = page_size();
    if (size > SECRET_SIZE_MAX)
        return err_set(err, ERR_FORMAT, "%zu bytes, more than the %u that a secret may have", size,
            SECRET_SIZE_MAX);
    size_t len = size == 0 ? page : (size + page - 1) / page * page;
    size_t whole = len + 2 * page;
    uint8_t *map = NULL;
    auto_fd int fd = kind == PAGES_HIDDEN ? open_hidden(whole) : -1;
    if (fd >= 0 ? !map_hidden(fd, &map, whole, err) : !map_plain(&map, whole, err))
        return false;
    struct pages pages = {map + page, len};
    if (madvise(map, whole, MADV_DONTDUMP) != 0 || madvise(map, whole, MADV_DONTFORK) != 0) {
        err_set_errno(err, ERR_NOMEM, "keeping %zu KiB out of core dumps and children", len / 1024);
        pages_unmap(&pages);
        return false;
    }
    *ret_pages = pages;
    return true;
}

void pages_unmap(struct pages *pages)
{
    if (!pages->data)
        return;
    size_t page = page_size();
    secret_wipe(pages->data, pages->len);
    munmap(pages->data - page, pages->len + 2 * page);
    *pages = (struct pages){0};
}
