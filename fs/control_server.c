/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/control_server.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "crypt/base/ipc.h"
#include "crypt/base/landlock.h"
#include "crypt/base/log.h"
#include "fs/mounted.h"
#include "fs/served.h"

#define CONTROL_PEERS_MAX     64
#define CONTROL_ROOT_KEPT     8  /* of them, for root alone */
#define CONTROL_USER_MAX      32 /* of them, for one other uid */
#define CONTROL_STRANGERS_MAX 8  /* of them, peers that may not ask anything */
#define ACCEPT_RETRY_MS       100
#define CONTROL_STRANGER_MS   1000 /* long enough to be told so */
#define CONTROL_UNSEAL_MAX    (1024u * 1024)

struct peer {
    struct control_server *server;
    struct peer *next;
    int fd;
    struct ipc_peer who;
    bool allowed;
    struct loop_watch *watch;
    struct loop_timer *limit; /* for the operation in progress and for a peer that does not read */
    struct resolver_call *call; /* in progress */
    struct secret *out;         /* plaintext still to be sent */
    size_t out_offset;
};

struct control_server {
    struct loop *loop;
    struct control_conf conf;
    struct resolver *resolver;
    struct worker *worker;
    struct loop_watch *watch;
    struct peer *peers;
    size_t peer_count, stranger_count;
};

struct control_op {
    const char *name;
    bool root_only;
    bool (*run)(struct peer *peer, const json_t *request, int fd, struct err *err);
};

static void peer_free(struct peer *peer)
{
    struct control_server *server = peer->server;
    for (struct peer **at = &server->peers; *at; at = &(*at)->next)
        if (*at == peer) {
            *at = peer->next;
            server->peer_count--;
            server->stranger_count -= !peer->allowed;
            break;
        }
    if (peer->call)
        server->resolver->cancel(server->resolver, peer->call);
    loop_unwatch(peer->watch);
    loop_timer_free(peer->limit);
    secret_unref(peer->out);
    close(peer->fd);
    free(peer);
}

static void peer_timed_out(void *arg)
{
    peer_free(arg);
}

/* ---- answers ---- */

static bool peer_answer(struct peer *peer, const json_t *answer, struct err *err)
{
    auto_free char *text = json_text(answer);
    if (!text)
        return err_nomem(err);
    return ipc_send(peer->fd, bytes_str(text), NULL, 0, err);
}

static bool peer_answer_named(struct peer *peer, const char *name, json_t *value, struct err *err)
{
    auto_json *answer = NULL;
    return json_build(&answer, err, "{s:b,s:O}", "ok", true, name, value) &&
           peer_answer(peer, answer, err);
}

static bool peer_refuse(struct peer *peer, const struct err *cause, struct err *err)
{
    auto_json *answer = NULL;
    return json_build(&answer, err, "{s:b,s:s,s:s,s:s}", "ok", false, "code",
               err_info(cause->code)->name, "message", cause->message, "ref", cause->ref) &&
           peer_answer(peer, answer, err);
}

/* One packet of plaintext for each time the socket can take one. True when there is nothing left to
 * send. */
static bool peer_send_more(struct peer *peer, struct err *err)
{
    auto_secret *part = NULL;
    struct bytes left = bytes_slice(secret_bytes(peer->out), peer->out_offset, IPC_MESSAGE_MAX);
    if (left.len == 0 || !secret_copy(left, &part, err) || !ipc_send_secret(peer->fd, part, err))
        return false;
    peer->out_offset += left.len;
    return true;
}

static bool peer_answer_secret(struct peer *peer, struct secret *plaintext, struct err *err)
{
    auto_json *answer = NULL;
    size_t len = secret_len(plaintext);
    if (!json_build(&answer, err, "{s:b,s:I}", "ok", true, "length", (json_int_t)len) ||
        !peer_answer(peer, answer, err))
        return false;
    if (len == 0)
        return true;
    peer->out = secret_ref(plaintext);
    peer->out_offset = 0;
    loop_timer_set(peer->limit, CONTROL_TIMEOUT_MS);
    return loop_watch_change(peer->watch, EPOLLIN | EPOLLOUT, err);
}

/* ---- operations ---- */

static void peer_resolved(void *arg, const struct resolve_result *result, const struct err *cause)
{
    struct peer *peer = arg;
    struct err err = ERR_INIT;
    peer->call = NULL;
    loop_timer_clear(peer->limit);
    bool sent =
        result ? peer_answer_secret(peer, result->plaintext, &err) : peer_refuse(peer, cause, &err);
    if (!sent) {
        log_err(LOG_LEVEL_DEBUG, &err, "control socket: peer %d", (int)peer->who.pid);
        peer_free(peer);
    }
}

static bool op_get(struct peer *peer, const json_t *request, int fd, struct err *err)
{
    struct resolver *resolver = peer->server->resolver;
    const char *uri = json_member_text(request, "uri");
    (void)fd;
    if (!uri)
        return err_set(err, ERR_FORMAT, "the request has no uri");
    return resolver->fetch(
        resolver, uri, peer->server->conf.timeout_ms, peer_resolved, peer, &peer->call, err);
}

/* Only a sealed memfd: a descriptor of anything else could block the loop (a pipe, or a file of our own mount). */
static bool unseal_text(int fd, struct secret **ret_text, struct err *err)
{
    if (fd < 0)
        return err_set(err, ERR_FORMAT, "unseal needs a descriptor of the text beside the request");
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & (F_SEAL_WRITE | F_SEAL_SHRINK)) != (F_SEAL_WRITE | F_SEAL_SHRINK))
        return err_set(
            err, ERR_FORMAT, "the descriptor is not a memfd sealed against writing and shrinking");
    return secret_read_fd(fd, CONTROL_UNSEAL_MAX, ret_text, err);
}

static bool op_unseal(struct peer *peer, const json_t *request, int fd, struct err *err)
{
    struct resolver *resolver = peer->server->resolver;
    const char *path = json_member_text(request, "path");
    auto_secret *text = NULL;
    if (!unseal_text(fd, &text, err))
        return err_wrap(err, "sealed text");
    struct resolve_request resolve = {.path = path ? path : "",
        .blob = secret_bytes(text),
        .max_age_ms = INT64_MAX,
        .timeout_ms = peer->server->conf.timeout_ms};
    return resolver->resolve(resolver, &resolve, peer_resolved, peer, &peer->call, err);
}

static bool op_token(struct peer *peer, const json_t *request, int fd, struct err *err)
{
    struct resolver *resolver = peer->server->resolver;
    (void)request, (void)fd;
    return resolver->attest(
        resolver, peer->server->conf.timeout_ms, peer_resolved, peer, &peer->call, err);
}

static bool describe_mount(const struct served_status *mount, json_t *ret_list, struct err *err)
{
    auto_json *entry = NULL;
    return json_build(&entry, err, "{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "mountpoint",
               mount->mountpoint, "generation", (json_int_t)mount->generation, "nodes",
               (json_int_t)mount->nodes, "handles", (json_int_t)mount->handles, "parked",
               (json_int_t)mount->parked, "opens", (json_int_t)mount->opens, "hits",
               (json_int_t)mount->hits, "resolved", (json_int_t)mount->resolved, "refused",
               (json_int_t)mount->refused) &&
           (json_array_append(ret_list, entry) == 0 || err_nomem(err));
}

static bool describe_mounts(const struct worker *worker, json_t **ret_list, struct err *err)
{
    struct served_status mounts[MOUNTS_MAX];
    size_t count = worker_mounts(worker, mounts, ARRAY_LEN(mounts));
    auto_json *list = json_array();
    if (!list)
        return err_nomem(err);
    for (size_t i = 0; i < count; i++)
        if (!describe_mount(&mounts[i], list, err))
            return false;
    *ret_list = take_ptr(list);
    return true;
}

/* The sums over all mounts, and each by itself. */
static bool worker_describe(struct worker *worker, json_t **ret_json, struct err *err)
{
    static const char *const policies[] = {
        [AUDIT_OFF] = "off", [AUDIT_BEST_EFFORT] = "best-effort", [AUDIT_REQUIRED] = "required"};
    struct worker_status status;
    struct err why = ERR_INIT;
    bool healthy = worker_healthy(worker, false, &why);
    auto_json *mounts = NULL;
    worker_status(worker, &status);
    if (!describe_mounts(worker, &mounts, err))
        return false;
    return json_build(ret_json, err,
        "{s:s?,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:O,s:b,s:s,s:s,s:I}", "mountpoint",
        status.mountpoint, "generation", (json_int_t)status.generation, "up_ms",
        (json_int_t)status.up_ms, "nodes", (json_int_t)status.nodes, "handles",
        (json_int_t)status.handles, "parked", (json_int_t)status.parked, "flights",
        (json_int_t)status.flights, "secrets", (json_int_t)status.secrets, "secret_bytes",
        (json_int_t)status.secret_bytes, "opens", (json_int_t)status.opens, "hits",
        (json_int_t)status.hits, "resolved", (json_int_t)status.resolved, "refused",
        (json_int_t)status.refused, "mounts", mounts, "healthy", healthy, "unhealthy_because",
        healthy ? "" : why.message, "audit", policies[status.audit], "audit_lost",
        (json_int_t)status.audit_lost);
}

static bool answer_status(struct peer *peer, struct err *err)
{
    struct control_server *server = peer->server;
    auto_json *status = NULL, *filesystem = NULL;
    if (!server->resolver->describe(server->resolver, &status, err))
        return false;
    if (json_object_set_new(status, "landlock", json_integer(landlock_held())) != 0)
        return err_nomem(err);
    if (server->worker &&
        (!worker_describe(server->worker, &filesystem, err) ||
            (json_object_set(status, "filesystem", filesystem) != 0 && !err_nomem(err))))
        return false;
    return peer_answer_named(peer, "status", status, err);
}

static void peer_attested(void *arg, const struct resolve_result *result, const struct err *cause)
{
    struct peer *peer = arg;
    struct err err = ERR_INIT;
    peer->call = NULL;
    loop_timer_clear(peer->limit);
    if (!(result ? answer_status(peer, &err) : peer_refuse(peer, cause, &err)))
        peer_free(peer);
}

static bool op_attest(struct peer *peer, const json_t *request, int fd, struct err *err)
{
    struct resolver *resolver = peer->server->resolver;
    (void)request, (void)fd;
    return resolver->attest(
        resolver, peer->server->conf.timeout_ms, peer_attested, peer, &peer->call, err);
}

static bool op_status(struct peer *peer, const json_t *request, int fd, struct err *err)
{
    (void)request, (void)fd;
    return answer_status(peer, err);
}

static bool op_flush(struct peer *peer, const json_t *request, int fd, struct err *err)
{
    struct control_server *server = peer->server;
    auto_json *count = NULL;
    (void)fd;
    server->resolver->forget(server->resolver, json_is_true(json_object_get(request, "token")));
    size_t flushed = server->worker ? worker_flush(server->worker) : 0;
    count = json_integer((json_int_t)flushed);
    return count ? peer_answer_named(peer, "flushed", count, err) : err_nomem(err);
}

static bool op_explain(struct peer *peer, const json_t *request, int fd, struct err *err)
{
    struct control_server *server = peer->server;
    const char *id = json_member_text(request, "id"), *path = json_member_text(request, "path");
    auto_json *state = NULL, *explanation = NULL;
    char normal[PATH_FULL_SIZE] = "";
    struct refusal refusal;
    (void)fd;
    if (!id && !path)
        return err_set(err, ERR_FORMAT, "the request names neither path nor id");
    if (!server->worker)
        return err_set(err, ERR_NOTFOUND, "this agent serves no mount, so it refused no open");
    if (!id)
        worker_normal_path(server->worker, path, normal, sizeof normal);
    if (!worker_find_refusal(server->worker, id, normal, &refusal))
        return err_set(err, ERR_NOTFOUND,
            "no refusal of '%.300s' is remembered (the last %d are); what the mode of a file "
            "refuses "
            "is not asked here, and `sealed log` shows every open",
            id ? id : path, WORKER_REFUSALS_MAX);
    if (!server->resolver->describe(server->resolver, &state, err))
        return false;
    const struct err_info *info = err_info(refusal.err.code);
    /* Which rule it was, and who asked, is nobody's business but root's: the log says it as well. */
    const char *message = refusal.err.code == ERR_DENIED_LOCAL && peer->who.uid != 0
                              ? "an access rule of this machine refuses it"
                              : refusal.err.message;
    return json_build(&explanation, err, "{s:s,s:s,s:I,s:s,s:s,s:s,s:s,s:{s:O,s:O}}", "id",
               refusal.id, "path", refusal.path, "time", (json_int_t)refusal.when, "code",
               info->name, "class", info->meaning, "message", message, "kbs_ref", refusal.err.ref,
               "guest", "changed", json_object_get(state, "changed"), "since",
               json_object_get(state, "since")) &&
           peer_answer_named(peer, "explanation", explanation, err);
}

/* The monitor answers, on the same connection, when it is done: this process may be gone by then. */
static bool ask_renewal(struct peer *peer, enum worker_renewal what, struct err *err)
{
    struct worker *renewer = peer->server->conf.renewer;
    if (!renewer)
        return err_set(err, ERR_NOTFOUND, "this agent has no monitor");
    return worker_ask_renewal(renewer, what, peer->fd, err);
}

static bool op_reload(struct peer *peer, const json_t *request, int fd, struct err *err)
{
    (void)request, (void)fd;
    return ask_renewal(peer, WORKER_RELOAD, err);
}

static bool op_upgrade(struct peer *peer, const json_t *request, int fd, struct err *err)
{
    bool discard = json_is_true(json_object_get(request, "discard"));
    (void)fd;
    return ask_renewal(peer, discard ? WORKER_UPGRADE_DISCARD : WORKER_UPGRADE, err);
}

static const struct control_op control_ops[] = {
    {"get", false, op_get},
    {"unseal", false, op_unseal},
    {"attest", false, op_attest},
    {"token", true, op_token},
    {"explain", false, op_explain},
    {"flush", false, op_flush},
    {"status", false, op_status},
    {"reload", true, op_reload},
    {"upgrade", true, op_upgrade},
};

static bool peer_run(struct peer *peer, struct bytes message, int fd, struct err *err)
{
    auto_json *request = NULL;
    const char *name;
    /* Said in answer to a request: a socket closed with unread data would swallow it. */
    if (!peer->allowed) {
        log_info("control socket: uid %u (pid %d) is not in allow_users", (unsigned)peer->who.uid,
            (int)peer->who.pid);
        return err_set(err, ERR_DENIED_LOCAL,
            "user %u may not use the agent; name it in [control] allow_users",
            (unsigned)peer->who.uid);
    }
    if (!json_load_strict(message, IPC_MESSAGE_MAX, "control request", &request, err))
        return false;
    name = json_member_text(request, "op");
    for (size_t i = 0; name && i < ARRAY_LEN(control_ops); i++) {
        if (strcmp(control_ops[i].name, name) != 0)
            continue;
        if (control_ops[i].root_only && peer->who.uid != 0)
            return err_set(err, ERR_DENIED_LOCAL, "only root may ask for '%s'", name);
        return control_ops[i].run(peer, request, fd, err);
    }
    return err_set(err, ERR_FORMAT, "unknown operation '%.64s'", name ? name : "");
}

static void peer_ready(void *arg, uint32_t events)
{
    struct peer *peer = arg;
    struct err err = ERR_INIT;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    int fds[IPC_FDS_MAX];
    size_t fd_count = 0;
    bool closed = false, alive = true;
    if (peer->out && (events & EPOLLOUT)) {
        alive = peer_send_more(peer, &err);
        if (alive && peer->out_offset == secret_len(peer->out)) {
            secret_unref(take_ptr(peer->out));
            loop_timer_clear(peer->limit);
            alive = loop_watch_change(peer->watch, EPOLLIN, &err);
        }
    } else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        alive = ipc_receive(peer->fd, &message, fds, &fd_count, &closed, &err) && !closed;
        /* A second request before the first was answered is a broken peer. */
        alive = alive && !peer->call && !peer->out;
        if (alive && !peer_run(peer, buf_bytes(&message), fd_count > 0 ? fds[0] : -1, &err)) {
            struct err cause = err;
            alive = peer_refuse(peer, &cause, &err);
        }
        for (size_t i = 0; i < fd_count; i++)
            close(fds[i]);
        if (alive && peer->call)
            loop_timer_set(peer->limit, peer->server->conf.timeout_ms + CONTROL_TIMEOUT_MS);
    }
    if (!alive)
        peer_free(peer);
}

/* ---- connections ---- */

static bool uid_allowed(const struct control_server *server, uid_t uid)
{
    if (uid == 0 || uid == geteuid())
        return true;
    for (size_t i = 0; i < server->conf.uid_count; i++)
        if (server->conf.uids[i] == uid)
            return true;
    return false;
}

static bool peer_new(
    struct control_server *server, int fd, const struct ipc_peer *who, struct err *err)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer) {
        close(fd);
        return err_nomem(err);
    }
    *peer = (struct peer){.server = server,
        .next = server->peers,
        .fd = fd,
        .who = *who,
        .allowed = uid_allowed(server, who->uid)};
    server->peers = peer;
    server->peer_count++;
    server->stranger_count += !peer->allowed;
    if (loop_timer_new(server->loop, peer_timed_out, peer, &peer->limit, err) &&
        loop_watch_fd(server->loop, fd, EPOLLIN, peer_ready, peer, &peer->watch, err)) {
        if (!peer->allowed)
            loop_timer_set(peer->limit, CONTROL_STRANGER_MS);
        return true;
    }
    peer_free(peer);
    return false;
}

/* No user keeps the others from the agent by opening connections, and nobody root. */
static bool room_for(const struct control_server *server, uid_t uid)
{
    size_t same = 0;
    if (uid == 0)
        return server->peer_count < CONTROL_PEERS_MAX;
    for (const struct peer *peer = server->peers; peer; peer = peer->next)
        same += peer->who.uid == uid;
    return server->peer_count < CONTROL_PEERS_MAX - CONTROL_ROOT_KEPT && same < CONTROL_USER_MAX &&
           (uid_allowed(server, uid) || server->stranger_count < CONTROL_STRANGERS_MAX);
}

static void server_ready(void *arg, uint32_t events)
{
    struct control_server *server = arg;
    struct err err = ERR_INIT;
    struct ipc_peer who;
    int fd;
    (void)events;
    if (!ipc_accept(server->conf.listen_fd, &fd, &who, &err)) {
        log_err(LOG_LEVEL_WARNING, &err, "control socket");
        loop_watch_rest(server->watch, ACCEPT_RETRY_MS);
        return;
    }
    if (fd < 0)
        return;
    if (!room_for(server, who.uid)) {
        log_warning("control socket: %zu connections at once; uid %u (pid %d) is turned away",
            server->peer_count, (unsigned)who.uid, (int)who.pid);
        close(fd);
    } else if (!peer_new(server, fd, &who, &err)) {
        log_err(LOG_LEVEL_WARNING, &err, "control socket");
    }
}

bool control_listen(const char *path, int *ret_fd, struct err *err)
{
    return ipc_listen(path, 0666, ret_fd, err) || err_wrap(err, "control socket");
}

bool control_start(struct loop *loop, const struct control_conf *conf, struct resolver *resolver,
    struct worker *worker, struct control_server **ret_server, struct err *err)
{
    struct control_server *server = calloc(1, sizeof *server);
    if (!server)
        return err_nomem(err);
    *server = (struct control_server){
        .loop = loop, .conf = *conf, .resolver = resolver, .worker = worker};
    if (!loop_watch_fd(loop, conf->listen_fd, EPOLLIN, server_ready, server, &server->watch, err)) {
        free(server);
        return false;
    }
    *ret_server = server;
    return true;
}

void control_free(struct control_server *server)
{
    if (!server)
        return;
    while (server->peers)
        peer_free(server->peers);
    loop_unwatch(server->watch);
    close(server->conf.listen_fd);
    free(server);
}
