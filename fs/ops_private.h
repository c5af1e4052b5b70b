/* SPDX-License-Identifier: Apache-2.0 */
/* What the four files that answer the kernel share: ops.c (connection, threads), ops_names.c (names, attributes, directories),
 * ops_xattr.c and ops_open.c (open, read, release). Nobody else includes libfuse. */
#pragma once

#define FUSE_USE_VERSION 312

#include <errno.h>
#include <fuse3/fuse_lowlevel.h>
#include <stdatomic.h>

#include "fs/ops.h"

/* What one READ can ask for, and so the room each thread needs for a reply. */
#define REPLY_SIZE (128u * 1024u)

#define OPS_THREADS_MAX 16
/* Beside them, in the place of those that hang. */
#define OPS_THREADS_MORE 64
#define OPS_FREEZING     0x80000000u

struct invalidator;

struct ops_seat {
    atomic_int id;                /* of a thread, in the kernel; 0: none */
    atomic_int_fast64_t since_ms; /* when it began its request; 0: it waits for one */
};

struct ops {
    struct ops_conf conf;
    struct park *park;
    struct fuse_session *session;
    bool swallow; /* while a synthetic FUSE_INIT is answered */
    atomic_uint
        serving; /* threads; and OPS_FREEZING: they shall end when they have answered what they are at */
    struct ops_seat
        seats[2 * (OPS_THREADS_MAX + OPS_THREADS_MORE)]; /* also of threads that are ending */
    atomic_uint busy;                                    /* threads that are at a request */
    atomic_bool crowded;                                 /* and who calls ops_make_room knows */
    atomic_bool closed;                                  /* by the kernel */
    atomic_uint_fast64_t opens, hits, refused;

    struct invalidator *invalidator;
};

static inline struct ops *ops_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

static inline int errno_of(const struct err *err)
{
    int sys_errno = err->sys_errno ? err->sys_errno : err_info(err->code)->sys_errno;
    return sys_errno ? sys_errno : EIO;
}

/* What must be asked of the caller beside what the kernel has decided; NULL: nothing. `st` is the source's. */
const struct permission *ops_permission(fuse_req_t req, fuse_ino_t node, const struct pin *pin,
    const struct stat *st, unsigned want, struct permission *room);

/* ops_names.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t node, uint64_t count);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info);
void op_readlink(fuse_req_t req, fuse_ino_t node);
void op_statfs(fuse_req_t req, fuse_ino_t node);
void op_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info);
void op_readdir(
    fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *info);

/* ops_xattr.c */
void op_getxattr(fuse_req_t req, fuse_ino_t node, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t node, size_t size);

/* ops_open.c */
void op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info);
void op_read(
    fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *info);
void op_release(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info);
/* The calling thread's locked memory, from which the kernel can read a reply: false when there is none. */
bool ops_bounce_init(void);
void ops_bounce_done(void);
