/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/monitor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "crypt/base/ipc.h"
#include "fs/monitor_wire.h"

/* How often a file that is replaced between two looks is tried again. */
#define RACES_MAX 8

struct dirent64_head {
    uint64_t inode;
    int64_t cookie;
    uint16_t len;
    uint8_t type;
    char name[];
} __attribute__((packed));

static int open_at(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC | O_NOFOLLOW,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | resolve,
    };
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

/* On any of our mounts. DONT_SYNC: a FUSE file system is not asked, so this cannot wait for our own worker. */
static bool is_own(const struct monitor *monitor, int fd)
{
    struct statx stx;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) < 0)
        return true;
    dev_t device = makedev(stx.stx_dev_major, stx.stx_dev_minor);
    for (size_t i = 0; i < monitor->count; i++)
        if (monitor->mounts[i].own == device)
            return true;
    return false;
}

/* Name by name, where something is mounted on the way: a mount point below the source must not lead the walk into our own mount. */
static int open_across(const struct monitor *monitor, int root, const char *path, uint64_t flags)
{
    char names[PATH_SIZE], *rest = names, *name;
    auto_fd int dir = -1;
    snprintf(names, sizeof names, "%s", path);
    while ((name = strsep(&rest, "/"))) {
        int above = dir >= 0 ? dir : root;
        auto_fd int next = open_at(above, name, O_PATH, 0);
        if (next < 0)
            return -1;
        if (is_own(monitor, next)) {
            errno = EDEADLK;
            return -1;
        }
        if (!rest && !(flags & O_PATH))
            return open_at(above, name, flags, 0);
        if (dir >= 0)
            close(dir);
        dir = take_fd(next);
    }
    return take_fd(dir);
}

static int open_beneath(const struct monitor *monitor, int root, const char *path, uint64_t flags)
{
    int fd = open_at(root, *path ? path : ".", flags, RESOLVE_NO_XDEV);
    if (fd < 0 && errno == EXDEV)
        return open_across(monitor, root, path, flags);
    return fd;
}

static bool same_file(int one, int other)
{
    struct stat a, b;
    return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* First only the name (no side effects on a FIFO or a device), then, if it is a regular file, the same one for reading. */
static int open_file(const struct monitor *monitor, int root, const char *path)
{
    for (int race = 0; race < RACES_MAX; race++) {
        struct stat st;
        auto_fd int name = open_beneath(monitor, root, path, O_PATH);
        if (name < 0 || fstat(name, &st) < 0)
            return -1;
        if (!S_ISREG(st.st_mode))
            return take_fd(name);
        auto_fd int content = open_beneath(monitor, root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (content >= 0 && same_file(name, content))
            return take_fd(content);
        if (content < 0 && errno != ENOENT && errno != ELOOP && errno != ENXIO)
            return -1;
    }
    errno = EAGAIN;
    return -1;
}

static bool answer_open(const struct monitor *monitor, const struct monitor_request *request,
    struct monitor_answer *answer, struct buf *entries, int *ret_fd, struct err *err)
{
    (void)entries;
    (void)err;
    int fd = open_file(monitor, monitor->mounts[request->mount].source_fd, request->path);
    if (fd < 0)
        answer->sys_errno = errno;
    *ret_fd = fd;
    return true;
}

/* Appends what getdents64 gave; stops (with more = true) before the entry that does not fit. */
static bool add_entries(const char *data, size_t len, struct monitor_answer *answer,
    struct buf *entries, struct err *err)
{
    for (size_t at = 0; at < len;) {
        const struct dirent64_head *head = (const void *)(data + at);
        struct monitor_entry entry = {
            .inode = head->inode, .cookie = (uint64_t)head->cookie, .type = head->type};
        size_t name_len = strnlen(head->name, head->len - offsetof(struct dirent64_head, name));
        if (name_len >= sizeof entry.name) { /* VFAT and others have them; a lookup refuses them */
            answer->cookie = entry.cookie;
            at += head->len;
            continue;
        }
        memcpy(entry.name, head->name, name_len);
        if (entries->len + sizeof entry > MONITOR_ENTRIES_MAX) {
            answer->more = true;
            return true;
        }
        if (!monitor_entry_encode(&entry, entries, err))
            return false;
        answer->count++;
        answer->cookie = entry.cookie;
        at += head->len;
    }
    return true;
}

static bool answer_list(const struct monitor *monitor, const struct monitor_request *request,
    struct monitor_answer *answer, struct buf *entries, int *ret_fd, struct err *err)
{
    char data[8192] __attribute__((aligned(8)));
    *ret_fd = -1;
    answer->cookie = request->cookie;
    auto_fd int fd = open_beneath(monitor, monitor->mounts[request->mount].source_fd, request->path,
        O_RDONLY | O_DIRECTORY | O_NONBLOCK);
    if (fd < 0 || (request->cookie > 0 && lseek(fd, (off_t)request->cookie, SEEK_SET) < 0)) {
        answer->sys_errno = errno;
        return true;
    }
    while (!answer->more) {
        long len = syscall(SYS_getdents64, fd, data, sizeof data);
        if (len < 0) {
            answer->sys_errno = errno;
            return true;
        }
        if (len == 0)
            return true;
        if (!add_entries(data, (size_t)len, answer, entries, err))
            return false;
    }
    return true;
}

static bool answer_witness(const struct monitor *monitor, const struct monitor_request *request,
    struct monitor_answer *answer, struct buf *entries, int *ret_fd, struct err *err)
{
    struct err cause = ERR_INIT;
    (void)request;
    (void)entries;
    (void)err;
    *ret_fd = -1;
    if (!monitor->witness)
        answer->sys_errno = EOPNOTSUPP;
    else if (!witness_lane(monitor->witness, ret_fd, &cause))
        answer->sys_errno = cause.code == ERR_BUSY ? EBUSY : ENOMEM;
    return true;
}

/* All that the worker can ask for. */
static bool (*const operations[])(const struct monitor *monitor,
    const struct monitor_request *request, struct monitor_answer *answer, struct buf *entries,
    int *ret_fd, struct err *err) = {
    [MONITOR_OPEN] = answer_open,
    [MONITOR_LIST] = answer_list,
    [MONITOR_WITNESS] = answer_witness,
};

static bool answer_request(
    const struct monitor *monitor, const struct monitor_request *request, int fd, struct err *err)
{
    auto_buf entries = BUF_INIT(MONITOR_ENTRIES_MAX);
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    auto_fd int file = -1;
    struct monitor_answer answer = {.operation = request->operation, .number = request->number};
    if (!operations[request->operation](monitor, request, &answer, &entries, &file, err))
        return false;
    if (answer.sys_errno != 0)
        answer.count = 0;
    else
        answer.entries = buf_bytes(&entries);
    return monitor_answer_encode(&answer, &message, err) &&
           ipc_send(fd, buf_bytes(&message), &file, file >= 0 ? 1 : 0, err);
}

bool monitor_serve(const struct monitor *monitor, int fd, bool *ret_closed, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct monitor_request request;
    bool closed;
    if (!ipc_receive(fd, &message, NULL, NULL, &closed, err))
        return err_wrap(err, "request of the worker");
    if (closed) {
        *ret_closed = true;
        return true;
    }
    if (!monitor_request_decode(buf_bytes(&message), &request, err))
        return false;
    if (request.mount >= monitor->count)
        return err_set(err, ERR_FORMAT, "monitor request for mount %u; there are %zu",
            request.mount, monitor->count);
    *ret_closed = false;
    return answer_request(monitor, &request, fd, err);
}
