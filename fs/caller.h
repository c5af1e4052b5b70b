/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits in open(2): the monitor's look at a thread. (The worker may not look itself: the path of another user's executable takes
 * CAP_SYS_PTRACE.)
 *
 * Can the caller become somebody else between its open(2) and the look? No. FUSE gives us the number of a thread whose request we have
 * not answered, and the kernel lets that thread do nothing else: once a daemon has read a request, even a fatal signal only makes
 * the thread wait "it out" (request_wait_answer() in fs/fuse/dev.c). So it does not end, and its number is not given to another. execve(2) in
 * another thread of its process first ends all other threads, that is, it waits for us too. setuid(2) and
 * setgroups(2) are of each thread alone; user, group and the descriptor's own credentials are in the request. From
 * outside, somebody may move the thread to another control group: the look tells the one of its moment.
 *
 * What the look does not prove: that only the executable's code runs in the process. Whoever may run it as the same user can put
 * his own code into it (LD_PRELOAD, ptrace(2)), name another file as its executable (PR_SET_MM_EXE_FILE), and for a script it is
 * the interpreter. A path is as seen in the caller's mount namespace, where he may have mounted what he likes. So an executable tells
 * programs apart, not users: a rule that must hold against a hostile user names a user, group or control group as well.
 */
#pragma once

#include <sys/types.h>

#include "fs/exe_digest.h"
#include "fs/path.h"

enum caller_need {
    CALLER_EXE = 1,
    CALLER_DIGEST = 2, /* of the executable */
    CALLER_QUICK = 4,  /* but only if it is remembered: nothing is read */
};
#define CALLER_NEEDS (CALLER_EXE | CALLER_DIGEST)

struct caller_look {
    pid_t pid; /* of the process, in the monitor's pid namespace */
    uint64_t
        start_time; /* of the process, in clock ticks since the boot (field 22 of /proc/PID/stat) */
    char exe[PATH_SIZE]; /* "": not asked, not readable, or a kernel thread */
    bool exe_deleted;    /* removed or replaced since it was started; exe is where it was */
    bool has_digest;
    uint8_t digest[EXE_DIGEST_SIZE];
    /* /proc/PID/cgroup and status of the thread: each pread(2) from 0 tells what is so now, ESRCH when the thread has ended, also when
     * its number was given to another. */
    int cgroup_fd, status_fd;
};

/* `tid` is the number that came with a request which still waits. Any thread. ERR_NOTFOUND: there is none (the request was
 * interrupted and answered meanwhile). What cannot be learnt of the executable is left out. */
bool caller_look(struct exe_digests *digests, pid_t tid, unsigned needs,
    struct caller_look *ret_look, struct err *err) MUST_CHECK;
void caller_look_done(struct caller_look *look); /* closes both */
/* Is /proc the one of our own pid namespace? Otherwise its numbers are not those of the requests. */
bool caller_proc_check(struct err *err) MUST_CHECK;
