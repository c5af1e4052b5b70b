/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access rules: who may open what, beside the mode bits, which the kernel has looked at before.
 *
 * A rule holds for a path that one of its own patterns fits (`path`), and for the files that name it (`rules` of [file:]). One
 * without patterns that no file names holds for every path. Of the rules that hold, in the order of the configuration, the first that fits the
 * caller decides: all kinds of words that it has (user, group, cgroup, pod, container, exe, exe_sha256) must fit, each with
 * one of its words. If some hold and none fits, the open is refused. If none holds, the mode bits alone decide.
 *
 * A group fits by the caller's primary group, with which he asks, or by a supplementary one. What cannot be known of a caller
 * (a control group that cannot be read, an executable that has no digest, the groups) counts as a fit in a rule that denies, and as none in
 * one that allows. Of a caller without a pid (outside of the daemon's pid namespace) nothing is known.
 */
#pragma once

#include "fs/callers.h"
#include "fs/sealedfs_conf.h"

#define ACCESS_NO_FILE SIZE_MAX

/* Beside enum caller_need. */
enum access_need {
    ACCESS_RULED = 0x10,  /* a rule holds; the request itself may be enough for it */
    ACCESS_CALLER = 0x20, /* a look at the caller */
    ACCESS_GROUPS = 0x40, /* and at his supplementary groups */
};

struct access;

struct access_question {
    const char *path; /* absolute, normal form */
    size_t file;      /* index into conf.files, or ACCESS_NO_FILE */
    pid_t pid;        /* of the request; 0: not known, then all that follows is not looked at */
    uid_t uid;
    gid_t gid;
    const gid_t *groups; /* NULL: not known */
    size_t group_count;
    const struct caller *caller; /* NULL: not known */
};

struct access_answer {
    bool allowed;
    const char *rule; /* that decided, valid as long as the rules; NULL: none */
};

/* Looks users and groups up: call it while that is possible. ERR_CONFIG names the rule. Borrows nothing. Constant then; any thread. */
bool access_new(const struct sealedfs_conf *conf, struct access **ret_access, struct err *err)
    MUST_CHECK;
void access_free(struct access *access);
DEFINE_AUTO(struct access, access_free);
/* What must be known to decide; 0: no rule holds for this path. */
unsigned access_needs(const struct access *access, const char *path, size_t file);
void access_decide(const struct access *access, const struct access_question *question,
    struct access_answer *ret_answer);
