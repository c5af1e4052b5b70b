/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/gate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "crypt/base/clock.h"
#include "crypt/base/log.h"
#include "fs/monitor_client.h"
#include "fs/witness.h"

/* Reading /proc takes no time; the monitor may be busy. */
#define GATE_MAY_MS 10000

struct gate {
    struct gate_conf conf;
    int policy; /* enum conf_audit */
    struct access *access;
    struct callers *callers;
    struct witness_client looks, digests, records;
    uint16_t tag; /* of the ids that this process gives */
    atomic_uint_fast64_t last_id;
    atomic_uint_fast64_t unwritten; /* records that were required */
    atomic_int_fast64_t stuck_us;   /* when that last happened; 0: one was written since */
};

struct passage {
    struct caller *caller; /* NULL: not known */
    pid_t tid;
    uid_t uid;
    gid_t gid;
    int64_t entered_us;
    const char *rule;     /* NULL: none */
    const char *resource; /* in the storage of the path; NULL: not known before it is opened */
    char path[];
};

/* -- the record --------------------------------------------------------------------------------- */

/* What a record says of a refusal: id, cause, the broker's id. */
struct reason {
    char id[WORKER_ID_SIZE];
    const char *cause, *ref;
    struct refusal refusal; /* storage */
};

/* Those that ended for all who waited are remembered; what ended one waiter alone has only its errno. (A refusal is answered with the errno of
 * its class, whatever system call it came from.) */
static void find_reason(
    struct gate *gate, const struct passage *passage, int sys_errno, struct reason *reason)
{
    *reason = (struct reason){.cause = "", .ref = ""};
    if (sys_errno != 0 &&
        gate->conf.find_refusal(gate->conf.arg, passage->path, &reason->refusal) &&
        err_info(reason->refusal.err.code)->sys_errno == sys_errno) {
        memcpy(reason->id, reason->refusal.id, sizeof reason->id);
        reason->cause = err_info(reason->refusal.err.code)->name;
        reason->ref = reason->refusal.err.ref;
        return;
    }
    snprintf(reason->id, sizeof reason->id, "o-%04x-%llu", gate->tag,
        (unsigned long long)atomic_fetch_add(&gate->last_id, 1) + 1);
    if (sys_errno != 0)
        reason->cause = sys_errno == EINTR       ? "interrupted"
                        : sys_errno == ETIMEDOUT ? "timeout"
                        : sys_errno == ENOTCONN  ? "stopped"
                                                 : "internal";
}

static enum audit_verdict verdict_of(const struct gate_outcome *outcome)
{
    switch (outcome->sys_errno) {
    case 0:
        return outcome->stale ? AUDIT_STALE : AUDIT_ALLOWED;
    case EACCES:
    case EKEYREVOKED:
    case EKEYREJECTED:
        return AUDIT_REFUSED;
    default:
        return AUDIT_FAILED;
    }
}

/* False: it must be written, and is not. */
static bool send_record(struct gate *gate, const struct audit_record *record, struct err *err)
{
    if (gate->policy != AUDIT_REQUIRED) {
        witness_record_soon(&gate->records, record);
        return true;
    }
    bool written = witness_record(&gate->records, record, GATE_RECORD_MS, err);
    atomic_store(&gate->stuck_us, written ? 0 : clock_us(CLOCK_MONOTONIC));
    if (!written)
        atomic_fetch_add(&gate->unwritten, 1);
    return written;
}

static bool put_record(struct gate *gate, const struct passage *passage,
    const struct gate_outcome *outcome, const struct reason *reason, struct err *err)
{
    const struct caller *caller = passage->caller;
    const struct audit_record record = {.time_us = clock_us(CLOCK_REALTIME),
        .verdict = verdict_of(outcome),
        .pid = caller ? caller->pid : passage->tid,
        .start_time = caller ? caller->start_time : 0,
        .uid = passage->uid,
        .gid = passage->gid,
        .sys_errno = outcome->sys_errno,
        .exe_deleted = caller && caller->exe_deleted,
        .took_us = clock_us(CLOCK_MONOTONIC) - passage->entered_us,
        .id = reason->id,
        .cause = reason->cause,
        .rule = passage->rule ? passage->rule : "",
        .cgroup = caller ? caller->cgroup : "",
        .exe = caller ? caller->exe : "",
        .path = passage->path,
        .resource = outcome->resource   ? outcome->resource
                    : passage->resource ? passage->resource
                                        : "",
        .version = outcome->version ? outcome->version : "",
        .ref = reason->ref};
    return send_record(gate, &record, err);
}

/* -- who, and may he ---------------------------------------------------------------------------- */

static struct passage *passage_new(const struct gate_asked *asked)
{
    size_t len = strlen(asked->path) + 1;
    size_t name_len = asked->resource ? strlen(asked->resource) + 1 : 0;
    struct passage *passage = calloc(1, sizeof *passage + len + name_len);
    if (!passage)
        return NULL;
    *passage = (struct passage){.tid = asked->tid,
        .uid = asked->uid,
        .gid = asked->gid,
        .entered_us = clock_us(CLOCK_MONOTONIC)};
    memcpy(passage->path, asked->path, len);
    if (asked->resource)
        passage->resource = memcpy(passage->path + len, asked->resource, name_len);
    return passage;
}

void passage_drop(struct passage *passage)
{
    if (passage)
        caller_unref(passage->caller);
    free(passage);
}
DEFINE_AUTO(struct passage, passage_drop);

static void look(struct gate *gate, unsigned needs, struct passage *passage)
{
    struct err err = ERR_INIT;
    if (passage->tid == 0)
        return;
    if (!callers_find(gate->callers, passage->tid, needs & CALLER_NEEDS, &passage->caller, &err))
        log_err(LOG_LEVEL_WARNING, &err, "thread %d, which opens %s, is not known",
            (int)passage->tid, passage->path);
}

static void find_groups(struct gate *gate, unsigned needs, struct access_question *question,
    pid_t tid, gid_t **ret_groups)
{
    struct err err = ERR_INIT;
    if (!(needs & ACCESS_GROUPS) || tid == 0)
        return;
    if (callers_groups(gate->callers, tid, ret_groups, &question->group_count, &err))
        question->groups = *ret_groups;
    else
        log_err(LOG_LEVEL_WARNING, &err, "groups of thread %d", (int)tid);
}

static bool may_enter(
    struct gate *gate, unsigned needs, const struct gate_asked *asked, struct passage *passage)
{
    struct access_answer answer;
    auto_free gid_t *groups = NULL;
    struct access_question question = {.path = asked->path,
        .file = asked->file,
        .pid = asked->tid,
        .uid = asked->uid,
        .gid = asked->gid,
        .caller = passage->caller};
    find_groups(gate, needs, &question, asked->tid, &groups);
    access_decide(gate->access, &question, &answer);
    passage->rule = answer.rule;
    return answer.allowed;
}

static void describe(const struct passage *passage, struct err *err)
{
    const struct caller *caller = passage->caller;
    int pid = caller ? (int)caller->pid : (int)passage->tid;
    if (passage->tid == 0)
        err_set(err, ERR_DENIED_LOCAL,
            "the caller (uid %u) is outside of the daemon's pid namespace, so no rule can let him "
            "in (in Kubernetes: hostPID)",
            (unsigned)passage->uid);
    else if (passage->rule)
        err_set(err, ERR_DENIED_LOCAL, "[rule:%s] denies it to process %d (uid %u, %.100s, %.150s)",
            passage->rule, pid, (unsigned)passage->uid, caller ? caller->exe : "",
            caller ? caller->cgroup : "");
    else
        err_set(err, ERR_DENIED_LOCAL,
            "rules hold here and none allows it to process %d (uid %u, %.100s, %.150s)", pid,
            (unsigned)passage->uid, caller ? caller->exe : "", caller ? caller->cgroup : "");
}

static void describe_mode(
    const struct permission *asked, const struct passage *passage, struct err *err)
{
    err_set(err, ERR_DENIED_LOCAL,
        "the mode %03o of user %u and group %u does not let process %d (uid %u, gid %u) in%s",
        (unsigned)asked->mode, (unsigned)asked->owner, (unsigned)asked->group,
        passage->caller ? (int)passage->caller->pid : (int)passage->tid, (unsigned)asked->uid,
        (unsigned)asked->gid,
        passage->tid == 0 ? ", of which nothing more is known: it is outside of the daemon's pid "
                            "namespace (in Kubernetes: hostPID)"
                          : "");
}

bool gate_permits(struct gate *gate, pid_t tid, const struct permission *asked)
{
    struct err err = ERR_INIT;
    if (permission_is_plain(asked))
        return true;
    if (tid == 0)
        return false;
    if (witness_may(&gate->looks, tid, asked, GATE_MAY_MS, &err))
        return true;
    if (err.code != ERR_DENIED_LOCAL && err.code != ERR_NOTFOUND)
        log_err(LOG_LEVEL_WARNING, &err, "what a mode allows thread %d is not known", (int)tid);
    return false;
}

/* `barred`: by its mode; NULL: by a rule, or for want of one. */
static int refuse(struct gate *gate, const struct passage *passage, const struct permission *barred)
{
    struct err err = ERR_INIT;
    struct reason reason = {.cause = barred ? "mode" : "rule", .ref = ""};
    const struct gate_outcome outcome = {.sys_errno = EACCES};
    if (barred)
        describe_mode(barred, passage, &err);
    else
        describe(passage, &err);
    gate->conf.refused(gate->conf.arg, passage->path, &err, reason.id);
    if (gate->policy != AUDIT_OFF)
        (void)put_record(gate, passage, &outcome, &reason, &err);
    return EACCES;
}

int gate_enter(struct gate *gate, const struct gate_asked *asked, struct passage **ret_passage)
{
    unsigned needs = access_needs(gate->access, asked->path, asked->file);
    bool ruled = needs != 0;
    const struct permission *barred = asked->permission;
    *ret_passage = NULL;
    if (barred && gate_permits(gate, asked->tid, barred))
        barred = NULL;
    if (gate->policy != AUDIT_OFF)
        needs |= ACCESS_CALLER | CALLER_EXE;
    if (!needs && !barred)
        return 0;
    AUTO(passage_drop) struct passage *passage = passage_new(asked);
    if (!passage)
        return ENOMEM;
    if (needs & ACCESS_CALLER)
        look(gate, needs, passage);
    if (barred || (ruled && !may_enter(gate, needs, asked, passage)))
        return refuse(gate, passage, barred);
    if (gate->policy != AUDIT_OFF)
        *ret_passage = take_ptr(passage);
    return 0;
}

int gate_leave(struct gate *gate, struct passage *passage, const struct gate_outcome *outcome)
{
    AUTO(passage_drop) struct passage *owned = passage;
    struct reason reason;
    struct err cause = ERR_INIT, err = ERR_INIT;
    char id[WORKER_ID_SIZE];
    if (!owned)
        return 0;
    find_reason(gate, owned, outcome->sys_errno, &reason);
    if (put_record(gate, owned, outcome, &reason, &cause) || outcome->sys_errno)
        return 0;
    err_set(&err, ERR_IO, "its record could not be written, and audit.policy is required: %.400s",
        cause.message);
    gate->conf.refused(gate->conf.arg, owned->path, &err, id);
    return EIO;
}

uint64_t gate_lost(struct gate *gate)
{
    return witness_lost(&gate->records) + atomic_load(&gate->unwritten);
}

bool gate_stuck(struct gate *gate, struct err *ret_why)
{
    int64_t since = atomic_load(&gate->stuck_us);
    if (since == 0 || clock_us(CLOCK_MONOTONIC) - since >= GATE_STUCK_MS * INT64_C(1000))
        return false;
    err_set(ret_why, ERR_IO,
        "audit records cannot be written, and audit.policy is required: the log says why");
    return true;
}

/* -- life --------------------------------------------------------------------------------------- */

static bool connect_lane(void *arg, int *ret_fd, struct err *err)
{
    struct gate *gate = arg;
    return monitor_witness(gate->conf.monitor, ret_fd, err);
}

bool gate_new(const struct gate_conf *conf, struct gate **ret_gate, struct err *err)
{
    struct gate *gate = calloc(1, sizeof *gate);
    if (!gate)
        return err_nomem(err);
    gate->conf = *conf;
    gate->policy = (int)witness_policy(conf->conf);
    /* Ids need not be secret, only different; a failure gives the tag 0. */
    (void)!getrandom(&gate->tag, sizeof gate->tag, 0);
    witness_client_init(&gate->looks, connect_lane, gate);
    witness_client_init(&gate->digests, connect_lane, gate);
    witness_client_init(&gate->records, connect_lane, gate);
    if (access_new(conf->conf, &gate->access, err) &&
        callers_new(&gate->looks, &gate->digests, conf->callers, &gate->callers, err)) {
        *ret_gate = gate;
        return true;
    }
    access_free(gate->access);
    free(gate);
    return false;
}

void gate_start(struct gate *gate)
{
    if (gate->policy != AUDIT_OFF || gate->conf.conf->rules.count > 0)
        callers_watch(gate->callers);
}
