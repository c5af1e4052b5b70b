/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One open, allowed or not, as a line of JSON (sealed(1) lists the members):
 *
 *     {"time":"2026-01-31T12:00:00.123456Z","id":"r-3f2a-17","verdict":"refused","cause":"rule","rule":"web","errno":"EACCES","pid":812,
 *      "start":4711,"uid":33,"gid":33,"cgroup":"/system.slice/web.service","pod":"…","container":"…","exe":"/usr/sbin/web",
 *      "path":"/sealed/db/password","resource":"kbs:///r/t/t","version":"…","ref":"…","ms":0.042}
 *
 * Members that are empty are left out, but for time, id, verdict, pid, uid, gid, path and ms. Texts are bytes that others chose, so whoever reads a
 * line must not be fooled by them: what is not a printable UTF-8 character (control characters of both kinds, marks that turn the direction
 * of writing, bytes that are no UTF-8) and the backslash stands as \xHH for each byte, in JSON "\\xHH". A line has no other backslashes but before " and that.
 */
#pragma once

#include <sys/types.h>

#include "crypt/base/buf.h"

/* More than the longest line: each text at its longest, five times. */
#define AUDIT_LINE_MAX 131072

enum audit_verdict {
    AUDIT_ALLOWED,
    AUDIT_STALE,   /* allowed, with an old copy: the key broker cannot be reached */
    AUDIT_REFUSED, /* somebody decided against it: a rule, the key broker's policy, a revocation */
    AUDIT_FAILED,  /* nobody did; it could not be served, or the caller went away */
    AUDIT_VERDICTS
};

struct audit_record {
    int64_t time_us; /* CLOCK_REALTIME */
    enum audit_verdict verdict;
    pid_t pid; /* 0: not in the daemon's pid namespace, or gone */
    uint64_t start_time;
    uid_t uid;
    gid_t gid;
    int sys_errno; /* 0: allowed */
    bool exe_deleted;
    int64_t took_us; /* between the request and this record */
    /* Borrowed, never NULL. */
    const char *id;
    const char *cause; /* "", "rule", or the name of an err code; "interrupted" */
    const char *rule;  /* that decided */
    const char *cgroup, *exe, *path, *resource, *version;
    const char *ref; /* the key broker's id of its refusal */
};

const char *audit_verdict_name(enum audit_verdict verdict);
/* Appends the line, with its newline. */
bool audit_record_line(const struct audit_record *record, struct buf *out, struct err *err)
    MUST_CHECK;
