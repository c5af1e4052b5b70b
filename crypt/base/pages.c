/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
/* Who still uses what is kept is found. */
#define hide(data, len) ASAN_POISON_MEMORY_REGION(data, len)
#define show(data, len) ASAN_UNPOISON_MEMORY_REGION(data, len)
#else
#define hide(data, len) ((void)(data), (void)(len))
#define show(data, len) ((void)(data), (void)(len))
#endif

/* Single pages that are mapped together: a descriptor and its size, once for all. */
#define SEVERAL 8u

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
 * `count` times guard, `len` bytes, guard. Secret memory is mapped with the guards included, and these are then
 * mapped over: the other way round, a mapping refused at a fixed address could leave a hole in a
 * reservation, which another thread may fill before we unmap it. mprotect would not do, since pages
 * of this kind stay counted against RLIMIT_MEMLOCK for as long as they are mapped.
 */
static bool map_hidden(int fd, uint8_t **ret_map, size_t len, size_t count, struct err *err)
{
    size_t page = page_size(), each = len + 2 * page;
    uint8_t *map = mmap(NULL, count * each, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return cannot_lock(count * len, err);
    for (size_t i = 0; i <= count; i++) {
        /* The last of one and the first of the next. */
        uint8_t *guard = map + i * each - (i > 0 ? page : 0);
        size_t guards = i > 0 && i < count ? 2 * page : page;
        if (mmap(guard, guards, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
                -1, 0) != MAP_FAILED)
            continue;
        /* What was mapped is ours, but for this piece, which may be a hole by now. */
        err_set_errno(err, ERR_NOMEM, "guard page");
        munmap(map, (size_t)(guard - map));
        munmap(guard + guards, (size_t)(map + count * each - guard) - guards);
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

static void unmap(struct pages *pages)
{
    size_t page = page_size();
    munmap(pages->data - page, pages->len + 2 * page);
    *pages = (struct pages){0};
}

/* -- pages that are kept ------------------------------------------------------------------------ */

static struct {
    pthread_mutex_t lock; /* protects what follows */
    size_t count;
    uint8_t *data[PAGES_KEPT_MAX];
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};
static pthread_once_t forks_known = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
    pthread_mutex_lock(&kept.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&kept.lock);
}

/* The child has none of these pages. */
static void in_child(void)
{
    while (kept.count > 0) {
        kept.count--;
        show(kept.data[kept.count], page_size()); /* other memory may come to lie there */
    }
    pthread_mutex_unlock(&kept.lock);
}

static void know_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, in_child);
}

static bool take_kept(struct pages *ret_pages)
{
    pthread_mutex_lock(&kept.lock);
    uint8_t *data = kept.count > 0 ? kept.data[--kept.count] : NULL;
    pthread_mutex_unlock(&kept.lock);
    if (!data)
        return false;
    *ret_pages = (struct pages){data, page_size(), PAGES_HIDDEN};
    show(data, ret_pages->len);
    return true;
}

/* False: there are enough. */
static bool keep(const struct pages *pages)
{
    (void)pthread_once(&forks_known, know_forks);
    pthread_mutex_lock(&kept.lock);
    bool room = kept.count < PAGES_KEPT_MAX;
    if (room) {
        hide(pages->data, pages->len);
        kept.data[kept.count++] = pages->data;
    }
    pthread_mutex_unlock(&kept.lock);
    return room;
}

/* False: there were none. */
static bool drop_kept(void)
{
    struct pages pages;
    bool any = false;
    for (; take_kept(&pages); any = true)
        unmap(&pages);
    return any;
}

/* -- mapping ------------------------------------------------------------------------------------ */

static bool map_whole(enum pages_kind kind, uint8_t **ret_map, size_t whole, struct err *err)
{
    auto_fd int fd = kind == PAGES_HIDDEN ? open_hidden(whole) : -1;
    return fd >= 0 ? map_hidden(fd, ret_map, whole - 2 * page_size(), 1, err)
                   : map_plain(ret_map, whole, err);
}

static bool leave_out(uint8_t *map, size_t len, struct err *err)
{
    return (madvise(map, len, MADV_DONTDUMP) == 0 && madvise(map, len, MADV_DONTFORK) == 0) ||
           err_set_errno(
               err, ERR_NOMEM, "keeping %zu KiB out of core dumps and children", len / 1024);
}

/* Several single pages by one descriptor, all but one of which are kept. False: not now, or not here. */
static bool map_several(struct pages *ret_pages)
{
    size_t page = page_size(), whole = SEVERAL * 3 * page;
    struct err err = ERR_INIT;
    uint8_t *map;
    auto_fd int fd = open_hidden(whole);
    if (fd < 0 || !map_hidden(fd, &map, page, SEVERAL, &err))
        return false;
    if (!leave_out(map, whole, &err)) {
        munmap(map, whole);
        return false;
    }
    *ret_pages = (struct pages){map + page, page, PAGES_HIDDEN};
    for (size_t i = 1; i < SEVERAL; i++) {
        struct pages more = {map + (3 * i + 1) * page, page, PAGES_HIDDEN};
        if (!keep(&more))
            unmap(&more);
    }
    return true;
}

bool pages_map(enum pages_kind kind, size_t size, struct pages *ret_pages, struct err *err)
{
    size_t page = page_size();
    if (size > SECRET_SIZE_MAX)
        return err_set(err, ERR_FORMAT, "%zu bytes, more than the %u that a secret may have", size,
            SECRET_SIZE_MAX);
    size_t len = size == 0 ? page : (size + page - 1) / page * page;
    size_t whole = len + 2 * page;
    if (kind == PAGES_HIDDEN && len == page && (take_kept(ret_pages) || map_several(ret_pages)))
        return true;
    uint8_t *map = NULL;
    if (!map_whole(kind, &map, whole, err)) {
        if (!drop_kept())
            return false;
        err_clear(err);
        if (!map_whole(kind, &map, whole, err))
            return false;
    }
    struct pages pages = {map + page, len, kind};
    if (!leave_out(map, whole, err)) {
        unmap(&pages);
        return false;
    }
    *ret_pages = pages;
    return true;
}

void pages_unmap(struct pages *pages)
{
    if (!pages->data)
        return;
    secret_wipe(pages->data, pages->len);
    if (pages->kind == PAGES_HIDDEN && pages->len == page_size() && keep(pages))
        *pages = (struct pages){0};
    else
        unmap(pages);
}
