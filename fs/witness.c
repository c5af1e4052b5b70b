/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/witness.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "crypt/base/ipc.h"
#include "crypt/base/log.h"
#include "crypt/base/loop.h"
#include "fs/audit_file.h"
#include "fs/audit_journal.h"
#include "fs/exec_watch.h"
#include "fs/thread.h"
#include "fs/witness_wire.h"

/* Records on their way to a slow sink. */
#define QUEUE_BYTES (4 * 1024 * 1024)
/* Between two lines about lost records. */
#define COMPLAIN_MS 10000

struct witness {
    bool required;
    const char *journal;
    struct exe_digests *digests;
    pthread_mutex_t lanes_lock; /* protects the next three */
    pthread_cond_t lane_gone;
    unsigned lane_count;
    struct lane *lanes[WITNESS_LANES_MAX]; /* NULL: free */
    pthread_mutex_t lock;                  /* protects what follows */
    struct audit_file *file;
    int journal_fd;
    uint64_t lost;
    int64_t complained_ms;
};

struct lane {
    struct witness *witness;
    int fd;
    struct witness_texts texts;
};

/* -- records ------------------------------------------------------------------------------------ */

static void complain(struct witness *witness, const struct err *cause)
{
    int64_t now = loop_now_ms();
    witness->lost++;
    if (witness->complained_ms != 0 && now - witness->complained_ms < COMPLAIN_MS)
        return;
    witness->complained_ms = now;
    log_error("audit: %llu records could not be written so far%s: %s",
        (unsigned long long)witness->lost,
        witness->required ? ", and as many opens were refused" : "", cause->message);
}

/* Every sink that there is must take it; a file that cannot does not keep the journal from its copy. */
static bool write_record(
    struct witness *witness, const struct witness_request *request, struct err *err)
{
    auto_buf line = BUF_INIT(AUDIT_LINE_MAX);
    if (!audit_record_line(&request->record, &line, err))
        return false;
    int wait_ms = request->want_answer ? WITNESS_JOURNAL_MS : 0;
    bool done = !witness->file || audit_file_append(witness->file, buf_bytes(&line), err);
    if (witness->journal_fd < 0)
        return done;
    struct err journal_err = ERR_INIT;
    if (!audit_journal_send(witness->journal_fd, witness->journal, &request->record,
            buf_bytes(&line), wait_ms, &journal_err)) {
        if (done)
            *err = journal_err;
        done = false;
    }
    return done;
}

static int handle_record(struct witness *witness, const struct witness_request *request)
{
    struct err err = ERR_INIT;
    pthread_mutex_lock(&witness->lock);
    bool done = write_record(witness, request, &err);
    if (!done)
        complain(witness, &err);
    pthread_mutex_unlock(&witness->lock);
    return done ? 0 : err.sys_errno ? err.sys_errno : EIO;
}

/* -- requests ----------------------------------------------------------------------------------- */

static int errno_of(const struct err *err)
{
    return err->code == ERR_NOTFOUND ? ESRCH : err->sys_errno ? err->sys_errno : EIO;
}

static void handle_look(
    struct witness *witness, const struct witness_request *request, struct witness_answer *answer)
{
    struct err err = ERR_INIT;
    if (!caller_look(witness->digests, request->tid, request->needs, &answer->look, &err))
        answer->sys_errno = errno_of(&err);
}

static int handle_may(const struct witness_request *request)
{
    struct err err = ERR_INIT;
    if (permission_check(&request->permission, request->tid, &err))
        return 0;
    return err.code == ERR_DENIED_LOCAL ? EACCES : errno_of(&err);
}

static int handle_execs(struct witness_answer *answer)
{
    struct err err = ERR_INIT;
    int fd = -1;
    if (!exec_watch_new(&fd, &err)) {
        answer->sys_errno = errno_of(&err);
        log_info("every open asks anew for the caller's executable: %s", err.message);
    }
    return fd;
}

static bool send_answer(
    int lane, const struct witness_answer *answer, const int *fds, size_t count, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    return witness_answer_encode(answer, &message, err) &&
           ipc_send(lane, buf_bytes(&message), fds, count, err);
}

static bool answer_request(
    const struct lane *lane, const struct witness_request *request, struct err *err)
{
    struct witness_answer answer = {.operation = request->operation,
        .number = request->number,
        .look = {.cgroup_fd = -1, .status_fd = -1}};
    auto_fd int execs = -1;
    bool done;
    switch (request->operation) {
    case WITNESS_LOOK:
        handle_look(lane->witness, request, &answer);
        const int fds[] = {answer.look.cgroup_fd, answer.look.status_fd};
        done = send_answer(lane->fd, &answer, fds, answer.sys_errno ? 0 : ARRAY_LEN(fds), err);
        caller_look_done(&answer.look);
        return done;
    case WITNESS_EXECS:
        execs = handle_execs(&answer);
        return send_answer(lane->fd, &answer, &execs, execs >= 0 ? 1 : 0, err);
    case WITNESS_MAY:
        answer.sys_errno = handle_may(request);
        return send_answer(lane->fd, &answer, NULL, 0, err);
    case WITNESS_RECORD:
        answer.sys_errno = handle_record(lane->witness, request);
        return (!request->want_answer && answer.sys_errno == 0) ||
               send_answer(lane->fd, &answer, NULL, 0, err);
    }
    return true;
}

static bool serve_one(struct lane *lane, bool *ret_closed, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct witness_request request;
    return ipc_receive(lane->fd, &message, NULL, NULL, ret_closed, err) &&
           (*ret_closed ||
               (witness_request_decode(buf_bytes(&message), &lane->texts, &request, err) &&
                   answer_request(lane, &request, err)));
}

/* False: there are too many. */
static bool lane_enlist(struct lane *lane)
{
    struct witness *witness = lane->witness;
    bool done = false;
    pthread_mutex_lock(&witness->lanes_lock);
    for (size_t i = 0; !done && i < WITNESS_LANES_MAX; i++)
        if (!witness->lanes[i]) {
            witness->lanes[i] = lane;
            witness->lane_count++;
            done = true;
        }
    pthread_mutex_unlock(&witness->lanes_lock);
    return done;
}

static void lane_end(struct lane *lane)
{
    struct witness *witness = lane->witness;
    pthread_mutex_lock(&witness->lanes_lock);
    for (size_t i = 0; i < WITNESS_LANES_MAX; i++)
        if (witness->lanes[i] == lane) {
            witness->lanes[i] = NULL;
            witness->lane_count--;
        }
    close(lane->fd); /* under the lock: witness_rest must not find another's */
    pthread_cond_signal(&witness->lane_gone);
    pthread_mutex_unlock(&witness->lanes_lock);
    free(lane);
}

static void *lane_main(void *arg)
{
    struct lane *lane = arg;
    struct err err = ERR_INIT;
    bool closed = false;
    while (!closed && serve_one(lane, &closed, &err))
        ;
    if (!closed && err.code != ERR_UNREACH)
        log_err(LOG_LEVEL_ERROR, &err, "the worker breaks the witness's protocol");
    lane_end(lane);
    return NULL;
}

/* -- life --------------------------------------------------------------------------------------- */

/* Takes `fd`. */
static bool start_lane(struct witness *witness, int fd, struct err *err)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane) {
        close(fd);
        return err_nomem(err);
    }
    lane->witness = witness;
    lane->fd = fd;
    bool enlisted = lane_enlist(lane);
    if (!enlisted)
        err_set(err, ERR_BUSY, "the witness has %d lanes already", WITNESS_LANES_MAX);
    if (enlisted && thread_start(lane_main, lane, err))
        return true;
    lane_end(lane);
    return false;
}

bool witness_lane(struct witness *witness, int *ret_fd, struct err *err)
{
    int ends[2];
    const int bytes = QUEUE_BYTES;
    if (!ipc_pair(ends, err))
        return false;
    auto_fd int ours = ends[0], theirs = ends[1];
    if (setsockopt(theirs, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        (void)setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (!start_lane(witness, take_fd(ours), err))
        return false;
    *ret_fd = take_fd(theirs);
    return true;
}

unsigned witness_rest(struct witness *witness, int wait_ms)
{
    struct timespec end;
    int failed = 0;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += wait_ms / 1000;
    pthread_mutex_lock(&witness->lanes_lock);
    for (size_t i = 0; i < WITNESS_LANES_MAX; i++)
        if (witness->lanes[i])
            (void)shutdown(witness->lanes[i]->fd, SHUT_RD);
    while (witness->lane_count > 0 && failed == 0)
        failed = pthread_cond_clockwait(
            &witness->lane_gone, &witness->lanes_lock, CLOCK_MONOTONIC, &end);
    unsigned left = witness->lane_count;
    pthread_mutex_unlock(&witness->lanes_lock);
    return left;
}

static bool open_journal(struct witness *witness, const char *path, struct err *err)
{
    struct err cause = ERR_INIT;
    witness->journal = path;
    if (!path || audit_journal_open(path, &witness->journal_fd, &cause))
        return true;
    if (witness->required)
        return err_set(err, ERR_CONFIG,
            "audit.policy = required, and there is no journal here (%s): set audit.journal = no "
            "and audit.file = FILE",
            cause.message);
    if (witness->file)
        log_info("audit: there is no journal here; records go to the file alone");
    return true;
}

static bool open_file(struct witness *witness, const struct witness_conf *conf, struct err *err)
{
    const struct audit_file_conf file = {conf->file, conf->rotate_size, conf->rotate_keep};
    return !conf->file || audit_file_open(&file, &witness->file, err);
}

enum conf_audit witness_policy(const struct sealedfs_conf *conf)
{
    if (conf->audit.policy != AUDIT_BEST_EFFORT || conf->audit.file ||
        (conf->audit.journal && access(AUDIT_JOURNAL_SOCKET, F_OK) == 0))
        return (enum conf_audit)conf->audit.policy;
    return AUDIT_OFF;
}

struct witness_conf witness_conf_of(const struct sealedfs_conf *conf)
{
    if (witness_policy(conf) == AUDIT_OFF)
        return (struct witness_conf){.required = false};
    return (struct witness_conf){.file = conf->audit.file,
        .rotate_size = conf->audit.rotate_size,
        .rotate_keep = conf->audit.rotate_keep,
        .journal = conf->audit.journal ? AUDIT_JOURNAL_SOCKET : NULL,
        .required = conf->audit.policy == AUDIT_REQUIRED};
}

bool witness_needed(const struct sealedfs_conf *conf)
{
    return witness_policy(conf) != AUDIT_OFF || conf->rules.count > 0;
}

bool witness_check(const struct witness_conf *conf, struct err *err)
{
    struct witness witness = {.required = conf->required, .journal_fd = -1};
    bool done = (!conf->file || audit_file_check(conf->file, err)) &&
                open_journal(&witness, conf->journal, err) && caller_proc_check(err);
    if (witness.journal_fd >= 0)
        close(witness.journal_fd);
    return done;
}

bool witness_new(const struct witness_conf *conf, struct witness **ret_witness, struct err *err)
{
    struct witness *witness = calloc(1, sizeof *witness);
    if (!witness)
        return err_nomem(err);
    witness->required = conf->required;
    witness->journal_fd = -1;
    pthread_mutex_init(&witness->lock, NULL);
    pthread_mutex_init(&witness->lanes_lock, NULL);
    pthread_cond_init(&witness->lane_gone, NULL);
    if (open_file(witness, conf, err) && open_journal(witness, conf->journal, err) &&
        caller_proc_check(err) && exe_digests_new(&witness->digests, err)) {
        *ret_witness = witness;
        return true;
    }
    audit_file_close(witness->file);
    free(witness);
    return false;
}
