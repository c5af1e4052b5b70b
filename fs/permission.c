/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/permission.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypt/base/buf.h"

/* A process may have 65,536 groups. */
#define TEXT_MAX   (1024u * 1024u)
#define PIECE_SIZE 8192u

/* -- bits --------------------------------------------------------------------------------------- */

static bool bits_allow(mode_t bits, const struct permission *asked)
{
    return (asked->want & ~(bits & 07u)) == 0;
}

bool permission_is_plain(const struct permission *asked)
{
    if (asked->uid == asked->owner)
        return bits_allow(asked->mode >> 6, asked);
    if (asked->gid == asked->group)
        return bits_allow(asked->mode >> 3, asked);
    /* He may be in the group or not. */
    return bits_allow(asked->mode >> 3 & asked->mode, asked);
}

/* -- what /proc says ---------------------------------------------------------------------------- */

/* What follows "\nNAME:", or NULL. The first line is a name that the process has chosen, in which the kernel writes no line end. */
static const char *field(const char *status, const char *name)
{
    char head[32];
    snprintf(head, sizeof head, "\n%s:", name);
    const char *at = strstr(status, head);
    return at ? at + strlen(head) : NULL;
}

/* "Uid:\t1 2 3 4": real, effective, saved, of the file system. */
static bool has_id(const char *status, const char *name, unsigned id)
{
    const char *at = field(status, name);
    unsigned real, effective, saved, files;
    return at && sscanf(at, "%u %u %u %u", &real, &effective, &saved, &files) == 4 && files == id;
}

static bool has_group(const char *status, gid_t group)
{
    const char *at = field(status, "Groups");
    while (at) {
        char *after;
        at += strspn(at, " \t");
        if (*at < '0' || *at > '9')
            return false;
        if (strtoul(at, &after, 10) == group)
            return true;
        at = after;
    }
    return false;
}

static bool has_capability(const char *status)
{
    const char *at = field(status, "CapEff");
    unsigned long long held;
    return at && sscanf(at, "%llx", &held) == 1 &&
           (held & (1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH));
}

/* Lines "FIRST LOWER COUNT". The first are ids of the namespace; the second are ids as the reader sees them, unless it is his own. */
static bool maps_id(const char *map, bool same_namespace, unsigned long id)
{
    unsigned long inside, outside, count;
    int used;
    for (; sscanf(map, "%lu %lu %lu%n", &inside, &outside, &count, &used) == 3; map += used) {
        unsigned long first = same_namespace ? inside : outside;
        if (id >= first && id - first < count)
            return true;
    }
    return false;
}

bool permission_is_held(const struct permission *asked, const struct permission_thread *thread)
{
    if (permission_is_plain(asked))
        return true;
    if (!has_id(thread->status, "Uid", asked->uid) || !has_id(thread->status, "Gid", asked->gid))
        return false;
    if (asked->uid != asked->owner && asked->gid != asked->group) {
        bool member = has_group(thread->status, asked->group);
        if (bits_allow(member ? asked->mode >> 3 : asked->mode, asked))
            return true;
    }
    return has_capability(thread->status) &&
           maps_id(thread->uid_map, thread->same_namespace, asked->owner) &&
           maps_id(thread->gid_map, thread->same_namespace, asked->group);
}

/* -- looking ------------------------------------------------------------------------------------ */

static bool read_of(pid_t tid, const char *name, struct buf *out, struct err *err)
{
    char path[64];
    uint8_t *room;
    ssize_t len;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)tid, name);
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "%s", path);
    do {
        if (!buf_reserve(out, PIECE_SIZE, &room, err))
            return false;
        len = read(fd, room, PIECE_SIZE);
        if (len < 0)
            return err_set_errno(err, errno == ESRCH ? ERR_NOTFOUND : ERR_IO, "%s", path);
        buf_commit(out, (size_t)len);
    } while (len > 0);
    return true;
}

static bool is_same_namespace(pid_t tid)
{
    char path[64], own[64], other[64];
    snprintf(path, sizeof path, "/proc/%d/ns/user", (int)tid);
    ssize_t len = readlink("/proc/self/ns/user", own, sizeof own);
    return len > 0 && readlink(path, other, sizeof other) == len &&
           memcmp(own, other, (size_t)len) == 0;
}

bool permission_check(const struct permission *asked, pid_t tid, struct err *err)
{
    auto_buf status = BUF_INIT(TEXT_MAX), uid_map = BUF_INIT(TEXT_MAX),
             gid_map = BUF_INIT(TEXT_MAX);
    if (!read_of(tid, "status", &status, err) || !read_of(tid, "uid_map", &uid_map, err) ||
        !read_of(tid, "gid_map", &gid_map, err))
        return false;
    const struct permission_thread thread = {
        buf_text(&status), buf_text(&uid_map), buf_text(&gid_map), is_same_namespace(tid)};
    return permission_is_held(asked, &thread) ||
           err_set(err, ERR_DENIED_LOCAL,
               "the mode %03o of user %u and group %u lets user %u with group %u not in",
               (unsigned)asked->mode, (unsigned)asked->owner, (unsigned)asked->group,
               (unsigned)asked->uid, (unsigned)asked->gid);
}
