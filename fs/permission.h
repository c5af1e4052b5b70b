/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May who asks read or search what has this owner, group and mode? The kernel decides it before it asks us (default_permissions), but not always by
 * what we have just told it. fuse_change_attributes() in fs/fuse/inode.c drops the attributes of an answer without a word if those of the
 * node were changed, or declared invalid, between the question and the answer (attr_version): another GETATTR of the same moment, or
 * the end of the last open, after which we have its pages dropped. fuse_permission() then goes by the mode that it had before. So what a chmod
 * took away would be given once more, now and then. Where the kernel may have gone by another mode than the one of now, we decide.
 *
 * As generic_permission() does: the owner's bits, else the group's, else the others'; beyond them capabilities, as far as the user
 * namespace of who has them knows owner and group. What cannot be learnt of the caller, he has not: without a pid (outside of the daemon's
 * pid namespace), or when the kernel asks in the name of somebody else (a thread whose ids are not those of the request).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "crypt/base/err.h"

#define PERMISSION_READ   04u
#define PERMISSION_SEARCH 01u

struct permission {
    uid_t uid; /* who asks: of the request */
    gid_t gid;
    uid_t owner;
    gid_t group;
    mode_t mode;   /* 0777 at most */
    unsigned want; /* PERMISSION_* */
};

/* What /proc says of a thread. */
struct permission_thread {
    const char *status;
    const char *uid_map, *gid_map;
    bool same_namespace; /* of users, as the reader */
};

/* Has he it by the ids of the request alone, whatever his groups and capabilities are? */
bool permission_is_plain(const struct permission *asked);
/* Has the thread it, all in all? What is not understood counts as not there. */
bool permission_is_held(const struct permission *asked, const struct permission_thread *thread);
/* As permission_is_held, of a thread whose request waits (fs/caller.h). ERR_DENIED_LOCAL; ERR_NOTFOUND: there is no such thread. Only for who may look at
 * all processes. Any thread. */
bool permission_check(const struct permission *asked, pid_t tid, struct err *err) MUST_CHECK;
