/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/credentials.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <libgen.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "crypt/base/file.h"
#include "crypt/base/ipc.h"
#include "crypt/base/log.h"
#include "fs/credential_name.h"
#include "fs/keeper.h"
#include "fs/mount.h"

#define SEALED_MAX (2u * 1024 * 1024)
/* To read the answer, counted from its first byte. */
#define SEND_MS 30000
/* For answers that were begun when a successor takes over. */
#define REST_MS 1000
/* Plaintext goes through this much locked memory at a time. */
#define BOUNCE_SIZE 65536

struct request {
    struct credentials *credentials;
    struct request *next;
    int fd;
    unsigned slot;
    struct credential_name name;
    struct loop_watch *watch;
    struct loop_timer *limit;
    struct resolver_call *call; /* in progress */
    struct secret *plaintext;   /* the answer, when it is there */
    size_t sent;
};

struct credentials {
    struct loop *loop;
    const struct sealedfs_conf *conf;
    struct resolver *resolver;
    int keeper_fd;
    struct loop_watch *watch;
    struct request *requests;
    struct secret_bounce bounce;
    unsigned given[KEEPER_ADOPTED]; /* slots of those that a successor was given */
    size_t given_count;
};

static void request_free(struct request *request)
{
    struct credentials *credentials = request->credentials;
    for (struct request **at = &credentials->requests; *at; at = &(*at)->next)
        if (*at == request) {
            *at = request->next;
            break;
        }
    if (request->call)
        credentials->resolver->cancel(credentials->resolver, request->call);
    loop_unwatch(request->watch);
    loop_timer_free(request->limit);
    secret_unref(request->plaintext);
    close(request->fd);
    free(request);
}

/* ---- the answer ---- */

static void report(const struct request *request, const struct err *cause)
{
    const struct log_field fields[] = {{"UNIT", request->name.unit},
        {"CREDENTIAL", request->name.id}, {"CODE", cause ? err_info(cause->code)->name : NULL},
        {"REF", cause && cause->ref[0] ? cause->ref : NULL}};
    if (cause)
        log_text(LOG_LEVEL_WARNING, fields, ARRAY_LEN(fields), "credential %s for %s refused: %s",
            request->name.id, request->name.unit, cause->message);
    else
        log_text(LOG_LEVEL_INFO, fields, ARRAY_LEN(fields), "credential %s given to %s",
            request->name.id, request->name.unit);
}

/* A reader must not take what came so far, perhaps nothing, for the whole: the keeper sees to that. */
static void refuse(struct request *request, const struct err *cause)
{
    struct credentials *credentials = request->credentials;
    struct err err = ERR_INIT;
    report(request, cause);
    if (!keeper_refuse(credentials->keeper_fd, request->slot, &err)) {
        log_err(LOG_LEVEL_ERROR, &err, "credentials");
        loop_stop(credentials->loop); /* our end makes the keeper refuse what it holds */
    }
    request_free(request);
}

static void finish(struct request *request)
{
    struct err err = ERR_INIT;
    report(request, NULL);
    /* The end of the stream now, not when the keeper has come to it. */
    (void)shutdown(request->fd, SHUT_WR);
    if (!keeper_release(request->credentials->keeper_fd, request->slot, &err))
        log_err(LOG_LEVEL_WARNING, &err, "credentials");
    request_free(request);
}

static ssize_t send_plaintext(struct request *request)
{
    struct secret_bounce *bounce = &request->credentials->bounce;
    struct bytes part = bytes_slice(secret_bytes(request->plaintext), request->sent, bounce->size);
    memcpy(bounce->data, part.data, part.len);
    ssize_t count = send(request->fd, bounce->data, part.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    int sys_errno = errno;
    secret_bounce_wipe(bounce, part.len);
    errno = sys_errno;
    return count;
}

static void send_more(struct request *request)
{
    struct err err = ERR_INIT;
    ssize_t count = send_plaintext(request);
    if (count > 0)
        request->sent += (size_t)count;
    if (request->sent == secret_len(request->plaintext))
        finish(request);
    else if (count < 0 && errno != EAGAIN && errno != EINTR) {
        err_set_errno(&err, ERR_IO, "send to the service manager");
        refuse(request, &err);
    }
}

static bool answer(struct request *request, struct secret *plaintext, struct err *err)
{
    request->plaintext = secret_ref(plaintext);
    loop_timer_set(request->limit, SEND_MS);
    return loop_watch_change(request->watch, EPOLLOUT, err);
}

/* ---- who gets what ---- */

static bool unit_fits(const struct conf_unit_credential *item, const char *unit)
{
    for (size_t i = 0; i < item->units.count; i++)
        if (fnmatch(item->units.items[i], unit, FNM_NOESCAPE) == 0)
            return true;
    return false;
}

static const struct conf_unit_credential *find(
    const struct sealedfs_conf *conf, const struct credential_name *name)
{
    for (size_t i = 0; i < conf->unit_credentials.count; i++) {
        const struct conf_unit_credential *item = &conf->unit_credentials.items[i];
        if (strcmp(item->id, name->id) == 0 && unit_fits(item, name->unit))
            return item;
    }
    return NULL;
}

/*
 * A sealed string from a file that the worker's user may read. Not from a mount of our own, whose answer would wait for us: so where it lies is
 * looked at before it is opened.
 */
static bool read_sealed(const char *path, struct buf *out, struct err *err)
{
    char again[64];
    bool ours;
    auto_fd int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "sealed file %s", path);
    if (!mount_is_ours(fd, &ours, err))
        return err_wrap(err, "sealed file %s", path);
    if (ours)
        return err_set(err, ERR_CONFIG,
            "sealed file %s is on a mount of sealedfs; name the file in its source", path);
    snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
    return file_read(again, SEALED_MAX, out, err) ||
           err_wrap(err, "sealed file %s, which the worker's user reads", path);
}

static void on_resolved(void *arg, const struct resolve_result *result, const struct err *cause)
{
    struct request *request = arg;
    struct err err = ERR_INIT;
    request->call = NULL;
    if (!result)
        refuse(request, cause);
    else if (secret_len(result->plaintext) == 0) {
        err_set(&err, ERR_FORMAT,
            "%s is empty, which a unit could not tell from a credential that is missing",
            result->resource);
        refuse(request, &err);
    } else if (!answer(request, result->plaintext, &err))
        refuse(request, &err);
}

static bool resolve(
    struct request *request, const struct conf_unit_credential *item, struct err *err)
{
    struct resolver *resolver = request->credentials->resolver;
    int64_t timeout_ms = request->credentials->conf->secrets.open_timeout_ms;
    auto_buf text = BUF_INIT(SEALED_MAX);
    auto_buf path = BUF_INIT(CREDENTIAL_WORD_SIZE * 2);
    if (item->resource[0] != '/')
        return resolver->fetch(
            resolver, item->resource, timeout_ms, on_resolved, request, &request->call, err);
    if (!read_sealed(item->resource, &text, err) ||
        !buf_printf(&path, err, "credentials/%s", item->name))
        return false;
    struct resolve_request wanted = {
        .path = buf_text(&path), .blob = buf_bytes(&text), .timeout_ms = timeout_ms};
    return resolver->resolve(resolver, &wanted, on_resolved, request, &request->call, err);
}

static bool identify(int fd, struct credential_name *ret_name, struct err *err)
{
    struct sockaddr_un address;
    socklen_t len = sizeof address;
    struct ucred peer;
    socklen_t peer_len = sizeof peer;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) < 0 ||
        getpeername(fd, (struct sockaddr *)&address, &len) < 0)
        return err_set_errno(err, ERR_IO, "identity of the peer");
    if (peer.uid != 0)
        return err_set(err, ERR_DENIED_LOCAL, "uid %u asks for a credential; only root may",
            (unsigned)peer.uid);
    if (len < head || len > sizeof address)
        return err_set(err, ERR_FORMAT, "the peer's address has %u bytes", (unsigned)len);
    return credential_name_parse(bytes_of(address.sun_path, len - head), ret_name, err);
}

static bool begin(struct request *request, struct err *err)
{
    const struct conf_unit_credential *item;
    if (!identify(request->fd, &request->name, err))
        return false;
    item = find(request->credentials->conf, &request->name);
    if (!item)
        return err_set(err, ERR_DENIED_LOCAL, "no section [credential:NAME] gives '%s' to unit %s",
            request->name.id, request->name.unit);
    return resolve(request, item, err) || err_wrap(err, "[credential:%s]", item->name);
}

/* ---- connections ---- */

static void on_limit(void *arg)
{
    struct request *request = arg;
    struct err err = ERR_INIT;
    err_set(&err, ERR_TIMEOUT, request->plaintext ? "the peer does not read" : "no answer in time");
    refuse(request, &err);
}

static void on_request(void *arg, uint32_t events)
{
    struct request *request = arg;
    struct err err = ERR_INIT;
    if (request->plaintext && (events & EPOLLOUT))
        send_more(request);
    else if (events & (EPOLLHUP | EPOLLERR)) {
        err_set(&err, ERR_UNREACH, "the peer has gone");
        refuse(request, &err);
    }
}

static bool request_new(
    struct credentials *credentials, int fd, unsigned slot, struct request **ret, struct err *err)
{
    struct request *request = calloc(1, sizeof *request);
    if (!request) {
        close(fd);
        return err_nomem(err);
    }
    *request = (struct request){
        .credentials = credentials, .next = credentials->requests, .fd = fd, .slot = slot};
    credentials->requests = request;
    if (!loop_timer_new(credentials->loop, on_limit, request, &request->limit, err) ||
        !loop_watch_fd(credentials->loop, fd, 0, on_request, request, &request->watch, err)) {
        request_free(request);
        return false;
    }
    *ret = request;
    return true;
}

static void accept_request(void *arg, int fd, unsigned slot)
{
    struct credentials *credentials = arg;
    struct request *request = NULL;
    struct err err = ERR_INIT;
    if (!request_new(credentials, fd, slot, &request, &err)) {
        log_err(LOG_LEVEL_ERROR, &err, "credentials");
        if (!keeper_refuse(credentials->keeper_fd, slot, &err))
            loop_stop(credentials->loop);
        return;
    }
    /* Longer than the resolver's own limit, which says more. */
    loop_timer_set(request->limit, credentials->conf->secrets.open_timeout_ms + SEND_MS);
    if (!begin(request, &err))
        refuse(request, &err);
}

static void on_keeper(void *arg, uint32_t events)
{
    struct credentials *credentials = arg;
    struct err err = ERR_INIT;
    unsigned slot;
    int fd;
    (void)events;
    if (keeper_receive(credentials->keeper_fd, &fd, &slot, &err)) {
        accept_request(credentials, fd, slot);
    } else if (err.code != ERR_BUSY) {
        log_err(LOG_LEVEL_ERROR, &err, "credentials");
        loop_stop(credentials->loop);
    }
}

/* ---- from one worker to the next ---- */

/* True: it has gone, sent to its end or refused. */
static bool send_rest(struct request *request, int64_t end_ms)
{
    struct credentials *credentials = request->credentials;
    struct pollfd ready = {.fd = request->fd, .events = POLLOUT};
    for (int64_t left; (left = end_ms - loop_now_ms()) > 0;) {
        if (poll(&ready, 1, (int)left) <= 0)
            return false;
        send_more(request);
        struct request *at = credentials->requests;
        while (at && at != request)
            at = at->next;
        if (!at)
            return true;
    }
    return false;
}

void credentials_give(struct credentials *credentials, bool (*give)(void *arg, int fd), void *arg)
{
    int64_t end_ms = loop_now_ms() + REST_MS;
    struct err err = ERR_INIT;
    if (!keeper_pause(credentials->keeper_fd, accept_request, credentials, &err)) {
        log_err(LOG_LEVEL_WARNING, &err, "units that wait for credentials are not handed over");
        return;
    }
    credentials->given_count = 0;
    for (struct request *next, *at = credentials->requests; at; at = next) {
        next = at->next;
        if (at->sent > 0)
            (void)send_rest(at, end_ms);
        else if (credentials->given_count < ARRAY_LEN(credentials->given) && give(arg, at->fd))
            credentials->given[credentials->given_count++] = at->slot;
    }
}

void credentials_given(struct credentials *credentials, size_t held)
{
    struct err err = ERR_INIT;
    for (size_t i = 0; i < held && i < credentials->given_count; i++)
        if (!keeper_release(credentials->keeper_fd, credentials->given[i], &err))
            return; /* then they are refused, as after a death */
}

void credentials_go_on(struct credentials *credentials)
{
    struct err err = ERR_INIT;
    if (!keeper_resume(credentials->keeper_fd, &err)) {
        log_err(LOG_LEVEL_ERROR, &err, "credentials");
        loop_stop(credentials->loop);
    }
}

bool credentials_adopt(struct credentials *credentials, int fd)
{
    struct err err = ERR_INIT;
    if (keeper_adopt(credentials->keeper_fd, fd, &err))
        return true;
    log_err(LOG_LEVEL_WARNING, &err, "a unit that waits for a credential");
    return false;
}

bool credentials_directory(const struct conf_unit_credential *item, char ret_path[PATH_MAX])
{
    const char *slash = strrchr(item->resource, '/');
    size_t len = slash > item->resource ? (size_t)(slash - item->resource) : 1;
    if (item->resource[0] != '/' || len >= PATH_MAX)
        return false;
    memcpy(ret_path, item->resource, len);
    ret_path[len] = '\0';
    return true;
}

bool credentials_bind(const struct sealedfs_conf *conf, int *ret_fd, struct err *err)
{
    auto_free char *copy = strdup(conf->credentials.socket);
    if (!copy)
        return err_nomem(err);
    /* Root alone may connect; SO_PEERCRED is asked all the same. */
    return (file_make_dirs(dirname(copy), 0755, err) &&
               ipc_listen_stream(conf->credentials.socket, 0600, ret_fd, err)) ||
           err_wrap(err, "[credentials] socket");
}

bool credentials_keep(const struct sealedfs_conf *conf, int listen_fd, int *ret_fd, struct err *err)
{
    auto_fd int fd = listen_fd;
    if (fd < 0) {
        *ret_fd = -1;
        return true;
    }
    return keeper_start(conf->mount.user, fd, ret_fd, err) || err_wrap(err, "[credentials] socket");
}

bool credentials_start(struct loop *loop, const struct sealedfs_conf *conf, int keeper_fd,
    struct resolver *resolver, struct credentials **ret_credentials, struct err *err)
{
    struct credentials *credentials = calloc(1, sizeof *credentials);
    if (!credentials) {
        close(keeper_fd);
        return err_nomem(err);
    }
    *credentials = (struct credentials){
        .loop = loop, .conf = conf, .resolver = resolver, .keeper_fd = keeper_fd};
    if (fcntl(keeper_fd, F_SETFL, O_NONBLOCK) < 0 ||
        !secret_bounce_init(&credentials->bounce, BOUNCE_SIZE, err) ||
        !loop_watch_fd(
            loop, keeper_fd, EPOLLIN, on_keeper, credentials, &credentials->watch, err)) {
        credentials_free(credentials);
        return false;
    }
    *ret_credentials = credentials;
    return true;
}

void credentials_free(struct credentials *credentials)
{
    if (!credentials)
        return;
    while (credentials->requests)
        request_free(credentials->requests);
    loop_unwatch(credentials->watch);
    secret_bounce_done(&credentials->bounce);
    close(credentials->keeper_fd);
    free(credentials);
}
