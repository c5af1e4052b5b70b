/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/verifier/verifier.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "attest/verify/ek_cert.h"
#include "crypt/base/log.h"
#include "kbs/server/pem_dir.h"
#include "kbs/server/warden.h"
#include "kbs/server/quiet_thread.h"

#define HELLO_MS  10000
#define RESPAWN_S 1 /* between attempts that fail */
#define HELLO_MAX 1

enum child_state { CHILD_IDLE, CHILD_BUSY, CHILD_BROKEN };

struct child {
    enum child_state state;
    pid_t pid; /* 0: none */
    int fd;    /* ours, non-blocking; -1: none */
};

struct verifiers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t keeper; /* the only one that talks to the warden */
    bool kept;        /* it has been started */
    int warden_fd;
    pid_t warden_pid;
    bool stopping;
    bool started; /* the first round is over */
    struct err start_err;
    size_t count;
    struct child children[VERIFIER_COUNT_MAX];
    struct buf roots, anchors;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* -- bytes to and from a child ----------------------------------------------------------------- */

static bool wait_ready(int fd, short events, int64_t end, struct err *err)
{
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = events};
        int64_t left = end - now_ms();
        int ready = poll(&poll_fd, 1, left > 0 ? (int)left : 0);
        if (ready > 0)
            return true;
        if (ready == 0)
            return err_set(err, ERR_TIMEOUT, "verifier process gave no answer in time");
        if (errno != EINTR)
            return err_set_errno(err, ERR_IO, "wait for a verifier process");
    }
}

static bool send_all(int fd, struct bytes data, int64_t end, struct err *err)
{
    while (data.len > 0) {
        ssize_t n = send(fd, data.data, data.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            if (!wait_ready(fd, POLLOUT, end, err))
                return false;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(err, ERR_UNREACH, "verifier process has ended");
        data = bytes_slice(data, (size_t)n, data.len);
    }
    return true;
}

static bool receive_all(int fd, uint8_t *out, size_t len, int64_t end, struct err *err)
{
    while (len > 0) {
        ssize_t n = recv(fd, out, len, 0);
        if (n < 0 && errno == EAGAIN) {
            if (!wait_ready(fd, POLLIN, end, err))
                return false;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(err, ERR_UNREACH, "verifier process ended in the midst of a request");
        out += n;
        len -= (size_t)n;
    }
    return true;
}

static bool send_frame(int fd, struct bytes message, int64_t end, struct err *err)
{
    const uint8_t head[VERIFIER_FRAME_SIZE] = {(uint8_t)(message.len >> 24),
        (uint8_t)(message.len >> 16), (uint8_t)(message.len >> 8), (uint8_t)message.len};
    return send_all(fd, bytes_of(head, sizeof head), end, err) && send_all(fd, message, end, err);
}

static bool receive_frame(int fd, struct buf *message, int64_t end, struct err *err)
{
    uint8_t head[VERIFIER_FRAME_SIZE];
    uint8_t *room;
    if (!receive_all(fd, head, sizeof head, end, err))
        return false;
    size_t len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (!buf_reserve(message, len, &room, err))
        return err_wrap(err, "verifier answer of %zu bytes", len);
    if (!receive_all(fd, room, len, end, err))
        return false;
    buf_commit(message, len);
    return true;
}

/* -- starting and ending children --------------------------------------------------------------- */

/* `why` NULL: nobody needs to know. */
static void end_child(struct verifiers *verifiers, struct child *child, const char *why)
{
    int status = 0;
    struct err err = ERR_INIT;
    if (child->fd >= 0)
        close(child->fd);
    if (child->pid > 0 && !warden_end_child(verifiers->warden_fd, child->pid, &status, &err))
        log_err(LOG_LEVEL_ERROR, &err, "end verifier process %d", (int)child->pid);
    else if (child->pid > 0 && why)
        log_warning("verifier process %d ended (%s %d): %s", (int)child->pid,
            WIFSIGNALED(status) ? "signal" : "exit status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), why);
    child->pid = 0;
    child->fd = -1;
}

/* A child counts as started when its sandbox is shut. */
static bool start_child(struct verifiers *verifiers, struct child *ret_child, struct err *err)
{
    auto_buf hello = BUF_INIT(HELLO_MAX);
    struct child child = {.state = CHILD_IDLE, .fd = -1};
    if (!warden_start_child(verifiers->warden_fd, &child.fd, &child.pid, err))
        return false;
    if (receive_frame(child.fd, &hello, now_ms() + HELLO_MS, err)) {
        *ret_child = child;
        return true;
    }
    end_child(verifiers, &child, "it did not come up; its own message is above");
    return err_wrap(err, "start a verifier process");
}

/* -- the keeper ---------------------------------------------------------------------------------- */

static struct child *find_state(struct verifiers *verifiers, enum child_state state)
{
    for (size_t i = 0; i < verifiers->count; i++)
        if (verifiers->children[i].state == state)
            return &verifiers->children[i];
    return NULL;
}

static void wait_changed(struct verifiers *verifiers, int64_t ms)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += ms / 1000;
    end.tv_nsec += ms % 1000 * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_nsec -= 1000000000;
        end.tv_sec++;
    }
    pthread_cond_timedwait(&verifiers->changed, &verifiers->lock, &end);
}

/* Takes one broken child's place; holds the lock except while it starts the successor. */
static void replace(struct verifiers *verifiers, struct child *broken)
{
    struct child old = *broken, new = {.state = CHILD_BROKEN, .fd = -1};
    struct err err = ERR_INIT;
    broken->pid = 0;
    broken->fd = -1;
    pthread_mutex_unlock(&verifiers->lock);
    end_child(verifiers, &old, "another takes its place");
    bool started = start_child(verifiers, &new, &err);
    pthread_mutex_lock(&verifiers->lock);
    if (started) {
        *broken = new;
    } else {
        if (verifiers->started)
            log_err(LOG_LEVEL_ERROR, &err, "evidence cannot be verified");
        verifiers->start_err = err;
        if (verifiers->started)
            wait_changed(verifiers, RESPAWN_S * 1000);
        else
            verifiers->stopping = true;
    }
    pthread_cond_broadcast(&verifiers->changed);
}

static void *keep(void *arg)
{
    struct verifiers *verifiers = arg;
    pthread_mutex_lock(&verifiers->lock);
    while (!verifiers->stopping) {
        struct child *broken = find_state(verifiers, CHILD_BROKEN);
        if (broken) {
            replace(verifiers, broken);
            continue;
        }
        verifiers->started = true;
        pthread_cond_broadcast(&verifiers->changed);
        pthread_cond_wait(&verifiers->changed, &verifiers->lock);
    }
    pthread_mutex_unlock(&verifiers->lock);
    for (size_t i = 0; i < verifiers->count; i++)
        end_child(verifiers, &verifiers->children[i], NULL);
    return NULL;
}

/* -- certificates that the operator trusts -------------------------------------------------------------------- */

static bool read_roots(const char *directory, struct buf *roots, struct err *err)
{
    return pem_dir_read(directory, PEM_DIR_ENDINGS, roots, err) ||
           err_wrap(err, "[attestation] ek_roots");
}

/* Read by the verifiers; here only to learn of a mistake at the start. */
static bool read_anchors(const char *directory, struct buf *pem, struct err *err)
{
    auto_anchors *anchors = NULL;
    return (pem_dir_read(directory, PEM_DIR_ALL, pem, err) &&
               anchors_new(buf_bytes(pem), true, &anchors, err)) ||
           err_wrap(err, "[attestation] roots");
}

static bool read_all(
    const struct kbs_conf *conf, struct buf *roots, struct buf *anchors, struct err *err)
{
    return (!conf->attestation.ek_roots || read_roots(conf->attestation.ek_roots, roots, err)) &&
           (!conf->attestation.roots || read_anchors(conf->attestation.roots, anchors, err));
}

bool verifiers_check(const struct kbs_conf *conf, struct err *err)
{
    auto_buf roots = BUF_INIT(EK_ROOTS_MAX), anchors = BUF_INIT(ANCHORS_PEM_MAX);
    return read_all(conf, &roots, &anchors, err);
}

/* -- the object ---------------------------------------------------------------------------------- */

static struct verifiers *make(size_t count)
{
    pthread_condattr_t attributes;
    struct verifiers *verifiers = calloc(1, sizeof *verifiers);
    if (!verifiers)
        return NULL;
    verifiers->roots = (struct buf)BUF_INIT(EK_ROOTS_MAX);
    verifiers->anchors = (struct buf)BUF_INIT(ANCHORS_PEM_MAX);
    pthread_mutex_init(&verifiers->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&verifiers->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    verifiers->count = count;
    verifiers->warden_fd = -1;
    for (size_t i = 0; i < count; i++)
        verifiers->children[i] = (struct child){.state = CHILD_BROKEN, .fd = -1};
    return verifiers;
}

bool verifiers_new(const struct kbs_conf *conf, struct verifiers **ret_verifiers, struct err *err)
{
    size_t count = (size_t)conf->attestation.verifiers;
    if (count < 1 || count > VERIFIER_COUNT_MAX)
        return err_set(err, ERR_CONFIG, "[attestation] verifiers = %zu; 1 to %d are possible",
            count, VERIFIER_COUNT_MAX);
    AUTO(verifiers_stop) struct verifiers *verifiers = make(count);
    if (!verifiers)
        return err_nomem(err);
    if (!read_all(conf, &verifiers->roots, &verifiers->anchors, err))
        return false;
    if (!warden_start(WARDEN_VERIFIERS, NULL, &verifiers->warden_fd, &verifiers->warden_pid, err))
        return false;
    *ret_verifiers = take_ptr(verifiers);
    return true;
}

bool verifiers_start(struct verifiers *verifiers, struct err *err)
{
    int failed = quiet_thread_start(&verifiers->keeper, keep, verifiers);
    if (failed) {
        errno = failed;
        return err_set_errno(err, ERR_NOMEM, "thread that keeps the verifier processes");
    }
    verifiers->kept = true;
    pthread_mutex_lock(&verifiers->lock);
    while (!verifiers->started && !verifiers->stopping)
        pthread_cond_wait(&verifiers->changed, &verifiers->lock);
    bool started = verifiers->started;
    if (!started)
        *err = verifiers->start_err;
    pthread_mutex_unlock(&verifiers->lock);
    return started;
}

void verifiers_stop(struct verifiers *verifiers)
{
    if (!verifiers)
        return;
    pthread_mutex_lock(&verifiers->lock);
    verifiers->stopping = true;
    pthread_cond_broadcast(&verifiers->changed);
    pthread_mutex_unlock(&verifiers->lock);
    if (verifiers->kept)
        pthread_join(verifiers->keeper, NULL);
    if (verifiers->warden_fd >= 0)
        warden_stop(verifiers->warden_fd, verifiers->warden_pid);
    buf_done(&verifiers->roots);
    buf_done(&verifiers->anchors);
    pthread_cond_destroy(&verifiers->changed);
    pthread_mutex_destroy(&verifiers->lock);
    free(verifiers);
}

size_t verifier_pids(struct verifiers *verifiers, pid_t *pids, size_t max)
{
    size_t count = 0;
    pthread_mutex_lock(&verifiers->lock);
    for (size_t i = 0; i < verifiers->count && count < max; i++)
        if (verifiers->children[i].pid > 0)
            pids[count++] = verifiers->children[i].pid;
    pthread_mutex_unlock(&verifiers->lock);
    return count;
}

/* -- requests ------------------------------------------------------------------------------------ */

/* An idle child says nothing: if there is something to read, it is the end. */
static bool is_alive(const struct child *child)
{
    struct pollfd poll_fd = {.fd = child->fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 0;
}

/* NULL when none gets free in time. A child is its user's alone while it is CHILD_BUSY. */
static struct child *take(struct verifiers *verifiers, int64_t end)
{
    struct child *child = NULL;
    pthread_mutex_lock(&verifiers->lock);
    for (;;) {
        child = find_state(verifiers, CHILD_IDLE);
        if (child && is_alive(child)) {
            child->state = CHILD_BUSY;
            break;
        }
        if (child) {
            child->state = CHILD_BROKEN;
            pthread_cond_broadcast(&verifiers->changed);
            continue;
        }
        int64_t left = end - now_ms();
        if (left <= 0)
            break;
        wait_changed(verifiers, left);
    }
    pthread_mutex_unlock(&verifiers->lock);
    return child;
}

static void give_back(struct verifiers *verifiers, struct child *child, bool good)
{
    pthread_mutex_lock(&verifiers->lock);
    child->state = good ? CHILD_IDLE : CHILD_BROKEN;
    pthread_cond_broadcast(&verifiers->changed);
    pthread_mutex_unlock(&verifiers->lock);
}

static bool exchange(int fd, enum verifier_kind kind, struct bytes request,
    const struct secret *credential, struct buf *message, struct verifier_answer *ret_answer,
    int64_t end, struct err *err)
{
    return send_frame(fd, request, end, err) &&
           (!credential || send_all(fd, secret_bytes(credential), end, err)) &&
           receive_frame(fd, message, end, err) &&
           verifier_answer_decode(kind, buf_bytes(message), ret_answer, err);
}

bool verifier_ask(struct verifiers *verifiers, const struct verifier_request *request,
    const struct secret *credential, struct buf *message, struct verifier_answer *ret_answer,
    struct err *err)
{
    int64_t end = now_ms() + VERIFIER_REQUEST_MS;
    auto_buf packed = BUF_INIT(VERIFIER_REQUEST_MAX);
    auto_verifier_answer answer = {0};
    struct verifier_request full = *request;
    full.roots = buf_bytes(&verifiers->roots);
    full.anchors = buf_bytes(&verifiers->anchors);
    if (!verifier_request_encode(&full, &packed, err))
        return false;
    struct child *child = take(verifiers, end);
    if (!child)
        return err_set(
            err, ERR_BUSY, "no verifier process was free within %d s", VERIFIER_REQUEST_MS / 1000);
    bool done = exchange(
        child->fd, request->kind, buf_bytes(&packed), credential, message, &answer, end, err);
    give_back(verifiers, child, done);
    if (!done)
        return false;
    if (answer.status == VERIFIER_FAILED) {
        *err = answer.cause;
        return err_wrap(err, "verifier");
    }
    *ret_answer = answer;
    answer = (struct verifier_answer){0};
    return true;
}
