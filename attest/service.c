/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/service.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "attest/jobs.h"
#include "attest/rate.h"
#include "attest/task.h"
#include "crypt/base/ipc.h"
#include "crypt/base/json.h"
#include "crypt/base/log.h"

#define CONNS_PER_UID 16
#define WAITING_MAX   64
#define ACCEPTS_MAX   16 /* connections taken in one turn of the loop */
/* Refusals in the log, of one user and of all strangers together: they cost them nothing and must not fill the disk. */
#define REFUSAL_LOGS_PER_SECOND 1
#define REFUSAL_LOGS_BURST      10
/* Without descriptors a connection stays in the queue and the socket readable: look again after a while, not at once. */
#define ACCEPT_RETRY_MS 250

struct user {
    uid_t uid;
    struct rate rate, logs;
    unsigned conns;
};

struct service {
    struct loop *loop;
    int listen_fd;
    const struct attestd_conf *conf;
    const struct attester *attester;
    struct jobs *jobs;
    struct loop_watch *watch;
    struct loop_timer *accept_retry;
    struct rate total, stranger_logs;
    struct user users[ATTESTD_UIDS_MAX];
    size_t user_count;
    LIST_HEAD(, conn) conns;
    LIST_HEAD(, work) works;
};

struct conn {
    LIST_ENTRY(conn) link;
    struct service *service;
    struct user *user;
    struct ipc_peer peer;
    int fd;
    struct loop_watch *watch;
    struct work *work; /* the request under way: then nothing is read */
};

/* A task with its place in the queue, its deadline and who waits for it. */
struct work {
    LIST_ENTRY(work) link;
    struct job job;
    struct service *service;
    struct conn *conn; /* NULL: nobody waits any more */
    struct loop_timer *deadline;
    struct task *task;
    int64_t started_ms;
};

static const char *kind_name(enum attest_kind kind)
{
    static const char *const names[] = {
        [ATTEST_EVIDENCE] = "evidence",
        [ATTEST_INFO] = "info",
        [ATTEST_ENROL] = "enrol",
        [ATTEST_ACTIVATE] = "activate",
    };
    return names[kind];
}

/* -- connections and work ---------------------------------------------------------------------- */

static void work_free(struct work *work)
{
    if (!work)
        return;
    if (work->conn)
        work->conn->work = NULL;
    LIST_REMOVE(work, link);
    loop_timer_free(work->deadline);
    task_free(work->task);
    free(work);
}

/* Nobody waits any more: what has not started never does, what runs ends in work_done(). */
static void work_abandon(struct work *work)
{
    loop_timer_clear(work->deadline);
    work->conn->work = NULL;
    work->conn = NULL;
    if (jobs_cancel(work->service->jobs, &work->job))
        work_free(work);
}

static void conn_close(struct conn *conn)
{
    if (conn->work)
        work_abandon(conn->work);
    LIST_REMOVE(conn, link);
    loop_unwatch(conn->watch);
    close(conn->fd);
    conn->user->conns--;
    free(conn);
}

/* -- answers ----------------------------------------------------------------------------------- */

static bool send_refusal(int fd, const struct err *cause, struct err *err)
{
    struct attest_answer answer = {.refused = true, .cause = *cause};
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    return attest_answer_encode(ATTEST_INFO, &answer, &message, err) &&
           ipc_send(fd, buf_bytes(&message), NULL, 0, err);
}

static void log_refusal(
    struct rate *rate, const char *what, const struct ipc_peer *peer, const struct err *cause)
{
    if (!rate_allows(rate, loop_now_ms()))
        return;
    rate_take(rate);
    log_err(
        LOG_LEVEL_WARNING, cause, "%s uid %u (pid %d)", what, (unsigned)peer->uid, (int)peer->pid);
}

/* False when the connection has been closed, because its peer does not read. */
static bool conn_refuse(struct conn *conn, const struct err *cause)
{
    struct err err = ERR_INIT;
    log_refusal(&conn->user->logs, "nothing for", &conn->peer, cause);
    if (send_refusal(conn->fd, cause, &err))
        return true;
    log_err(LOG_LEVEL_DEBUG, &err, "answer to pid %d", (int)conn->peer.pid);
    conn_close(conn);
    return false;
}

static bool conn_listen_again(struct conn *conn, struct err *err)
{
    return loop_watch_change(conn->watch, EPOLLIN, err);
}

/* In as many packets as it takes; they fit into the queue together, since the last answer has been read. */
static bool send_answer(int fd, struct bytes answer, struct err *err)
{
    for (size_t at = 0; at < answer.len; at += IPC_MESSAGE_MAX)
        if (!ipc_send(fd, bytes_slice(answer, at, IPC_MESSAGE_MAX), NULL, 0, err))
            return false;
    return true;
}

static void work_answer(struct work *work)
{
    struct conn *conn = work->conn;
    struct task *task = work->task;
    struct err err = ERR_INIT;
    bool sent;
    if (!task->done)
        sent = conn_refuse(conn, &task->err);
    else if (task->secret_answer)
        sent = ipc_send_secret(conn->fd, task->secret_answer, &err);
    else
        sent = send_answer(conn->fd, buf_bytes(&task->answer), &err);
    if (!task->done && !sent)
        return; /* closed */
    if (task->done && sent)
        log_info("%s for uid %u (pid %d) in %" PRId64 " ms", kind_name(task->request.kind),
            (unsigned)conn->peer.uid, (int)conn->peer.pid, loop_now_ms() - work->started_ms);
    if (sent && conn_listen_again(conn, &err))
        return;
    log_err(LOG_LEVEL_WARNING, &err, "answer to pid %d", (int)conn->peer.pid);
    conn_close(conn);
}

static void work_done(struct job *job)
{
    struct work *work = CONTAINER_OF(job, struct work, job);
    struct conn *conn = work->conn;
    if (conn) {
        conn->work = NULL; /* answered from here on: closing must not abandon it */
        work_answer(work);
        work->conn = NULL;
    }
    work_free(work);
}

static void work_run(struct job *job)
{
    task_run(CONTAINER_OF(job, struct work, job)->task);
}

static void work_expired(void *arg)
{
    struct work *work = arg;
    struct conn *conn = work->conn;
    struct err cause = ERR_INIT, err = ERR_INIT;
    err_set(&cause, ERR_TIMEOUT,
        "the TPM did not do it within %" PRId64
        " ms ([attestd] deadline); is something else using %s?",
        work->service->conf->deadline_ms, work->service->conf->attester.tcti);
    work_abandon(work);
    if (conn_refuse(conn, &cause) && !conn_listen_again(conn, &err))
        conn_close(conn);
}

/* -- requests ---------------------------------------------------------------------------------- */

static bool check_rate(struct conn *conn, struct err *err)
{
    struct service *service = conn->service;
    int64_t now = loop_now_ms();
    if (!rate_allows(&conn->user->rate, now))
        return err_set(err, ERR_BUSY,
            "more than %" PRId64 " requests a second from uid %u ([attestd] rate and burst)",
            service->conf->rate, (unsigned)conn->peer.uid);
    if (!rate_allows(&service->total, now))
        return err_set(err, ERR_BUSY,
            "more than %" PRId64 " requests a second ([attestd] rate_total and burst_total)",
            service->conf->rate_total);
    rate_take(&conn->user->rate);
    rate_take(&service->total);
    return true;
}

static bool check_permitted(
    const struct conn *conn, const struct attest_request *request, struct err *err)
{
    const struct attester *attester = conn->service->attester;
    if (request->kind == ATTEST_ENROL && request->create && conn->peer.uid != 0)
        return err_set(err, ERR_DENIED_LOCAL,
            "only root may have an attestation key made; run `sealed attest enroll --create-key` "
            "as "
            "root");
    if ((request->kind == ATTEST_ENROL || request->kind == ATTEST_ACTIVATE) && !attester->enrol)
        return err_set(err, ERR_ATTEST, "%s evidence has no key to enrol", attester->tee);
    return true;
}

static bool answer_info(struct conn *conn, struct err *err)
{
    const struct service *service = conn->service;
    struct attest_answer answer = {.refused = false};
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    auto_json *json = NULL;
    char handle[16];
    snprintf(handle, sizeof handle, "0x%08" PRIx64, (uint64_t)service->conf->attester.ak_handle);
    if (!json_build(&json, err, "{s:s, s:s, s:s, s:s, s:I}", "tee", service->attester->tee, "tcti",
            service->conf->attester.tcti, "ak_handle", handle, "version", SEALED_VERSION,
            "event_log_bytes", (json_int_t)service->conf->attester.boot_log.len))
        return false;
    auto_free char *text = json_text(json);
    if (!text)
        return err_nomem(err);
    answer.body = bytes_str(text);
    snprintf(answer.tee, sizeof answer.tee, "%s", service->attester->tee);
    return attest_answer_encode(ATTEST_INFO, &answer, &message, err) &&
           ipc_send(conn->fd, buf_bytes(&message), NULL, 0, err);
}

static bool start_work(struct conn *conn, struct buf *message, struct err *err)
{
    struct service *service = conn->service;
    struct work *work = calloc(1, sizeof *work);
    if (!work)
        return err_nomem(err);
    LIST_INSERT_HEAD(&service->works, work, link);
    work->service = service;
    work->job = (struct job){.run = work_run, .done = work_done};
    work->started_ms = loop_now_ms();
    if (!task_new(service->attester, &service->conf->attester, message, &work->task, err) ||
        !loop_timer_new(service->loop, work_expired, work, &work->deadline, err) ||
        !loop_watch_change(conn->watch, 0, err) || !jobs_put(service->jobs, &work->job, err)) {
        work_free(work);
        return false;
    }
    work->conn = conn;
    conn->work = work;
    loop_timer_set(work->deadline, service->conf->deadline_ms);
    return true;
}

static bool handle_request(struct conn *conn, struct buf *message, struct err *err)
{
    struct attest_request request;
    if (!attest_request_decode(buf_bytes(message), &request, err) || !check_rate(conn, err) ||
        !check_permitted(conn, &request, err))
        return false;
    return request.kind == ATTEST_INFO ? answer_info(conn, err) : start_work(conn, message, err);
}

static void on_request(void *arg, uint32_t events)
{
    struct conn *conn = arg;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct err err = ERR_INIT;
    bool closed = false;
    if (conn->work || !(events & EPOLLIN)) {
        conn_close(conn); /* hung up, or talks out of turn */
        return;
    }
    if (!ipc_receive(conn->fd, &message, NULL, NULL, &closed, &err)) {
        if (err.code != ERR_BUSY && conn_refuse(conn, &err))
            conn_close(conn);
        return;
    }
    if (closed) {
        conn_close(conn);
        return;
    }
    if (handle_request(conn, &message, &err))
        return;
    bool malformed = err.code == ERR_FORMAT;
    struct err watch_err = ERR_INIT;
    if (conn_refuse(conn, &err) && (malformed || !conn_listen_again(conn, &watch_err)))
        conn_close(conn); /* a peer that is out of step does not get back into it */
}

/* -- new connections --------------------------------------------------------------------------- */

/* Unread data at close would make the peer's next receive fail with ECONNRESET in front of the refusal. */
static void drain(int fd)
{
    char scrap[64];
    (void)shutdown(fd, SHUT_RD);
    while (recv(fd, scrap, sizeof scrap, MSG_DONTWAIT) > 0)
        ;
}

static void refuse_peer(
    struct service *service, int fd, const struct ipc_peer *peer, const struct err *cause)
{
    struct err err = ERR_INIT;
    if (!send_refusal(fd, cause, &err))
        log_err(LOG_LEVEL_DEBUG, &err, "answer to pid %d", (int)peer->pid);
    drain(fd);
    log_refusal(&service->stranger_logs, "refused", peer, cause);
}

static bool find_user(
    struct service *service, const struct ipc_peer *peer, struct user **ret_user, struct err *err)
{
    for (size_t i = 0; i < service->user_count; i++) {
        struct user *user = &service->users[i];
        if (user->uid != peer->uid)
            continue;
        if (user->conns == CONNS_PER_UID)
            return err_set(err, ERR_BUSY, "uid %u has %d connections already", (unsigned)peer->uid,
                CONNS_PER_UID);
        *ret_user = user;
        return true;
    }
    return err_set(err, ERR_DENIED_LOCAL,
        "uid %u may not ask sealed-attestd; see allow_users in its configuration",
        (unsigned)peer->uid);
}

static bool add_conn(struct service *service, int fd, const struct ipc_peer *peer,
    struct user *user, struct err *err)
{
    auto_free struct conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return err_nomem(err);
    *conn = (struct conn){.service = service, .user = user, .peer = *peer, .fd = fd};
    if (!loop_watch_fd(service->loop, fd, EPOLLIN, on_request, conn, &conn->watch, err))
        return false;
    user->conns++;
    LIST_INSERT_HEAD(&service->conns, conn, link);
    take_ptr(conn);
    return true;
}

static void accept_again(void *arg)
{
    struct service *service = arg;
    struct err err = ERR_INIT;
    if (!loop_watch_change(service->watch, EPOLLIN, &err))
        log_err(LOG_LEVEL_ERROR, &err, "new connections");
}

static void accept_later(struct service *service, const struct err *cause)
{
    struct err err = ERR_INIT;
    log_err(LOG_LEVEL_ERROR, cause, "new connection");
    if (loop_watch_change(service->watch, 0, &err))
        loop_timer_set(service->accept_retry, ACCEPT_RETRY_MS);
}

/* False when nobody waits. */
static bool accept_one(struct service *service)
{
    auto_fd int fd = -1;
    struct ipc_peer peer;
    struct user *user = NULL;
    struct err err = ERR_INIT;
    if (!ipc_accept(service->listen_fd, &fd, &peer, &err)) {
        accept_later(service, &err);
        return false;
    }
    if (fd < 0)
        return false;
    if (!find_user(service, &peer, &user, &err) || !add_conn(service, fd, &peer, user, &err)) {
        refuse_peer(service, fd, &peer, &err);
        return true;
    }
    (void)take_fd(fd); /* the connection's now */
    return true;
}

static void on_connect(void *arg, uint32_t events)
{
    struct service *service = arg;
    (void)events;
    for (int i = 0; i < ACCEPTS_MAX && accept_one(service); i++)
        ;
}

/* -- the service ------------------------------------------------------------------------------- */

bool service_new(struct loop *loop, int listen_fd, const struct attestd_conf *conf,
    const struct attestd_uids *uids, const struct attester *attester, struct service **ret_service,
    struct err *err)
{
    int64_t now = loop_now_ms();
    AUTO(service_free) struct service *service = calloc(1, sizeof *service);
    if (!service)
        return err_nomem(err);
    LIST_INIT(&service->conns);
    LIST_INIT(&service->works);
    service->loop = loop;
    service->listen_fd = listen_fd;
    service->conf = conf;
    service->attester = attester;
    service->user_count = uids->count;
    for (size_t i = 0; i < uids->count; i++) {
        service->users[i].uid = uids->items[i];
        rate_init(&service->users[i].rate, conf->rate, conf->burst, now);
        rate_init(&service->users[i].logs, REFUSAL_LOGS_PER_SECOND, REFUSAL_LOGS_BURST, now);
    }
    rate_init(&service->total, conf->rate_total, conf->burst_total, now);
    rate_init(&service->stranger_logs, REFUSAL_LOGS_PER_SECOND, REFUSAL_LOGS_BURST, now);
    if (!loop_timer_new(loop, accept_again, service, &service->accept_retry, err) ||
        !jobs_new(loop, WAITING_MAX, &service->jobs, err) ||
        !loop_watch_fd(loop, listen_fd, EPOLLIN, on_connect, service, &service->watch, err))
        return false;
    *ret_service = take_ptr(service);
    return true;
}

void service_free(struct service *service)
{
    struct conn *conn;
    struct work *work;
    if (!service)
        return;
    loop_unwatch(service->watch);
    loop_timer_free(service->accept_retry);
    if (service->jobs && !jobs_stop(service->jobs)) {
        log_warning("the TPM is still busy; leaving it in the middle of a command");
        return; /* its thread still uses what would be freed here; the process ends */
    }
    while ((conn = LIST_FIRST(&service->conns)))
        conn_close(conn);
    while ((work = LIST_FIRST(&service->works)))
        work_free(work);
    jobs_free(service->jobs);
    free(service);
}
