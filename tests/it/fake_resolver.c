/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resolver and the control socket of the test program sealedfs_fake: everything of fs, nothing of the world. A sealed file is
 *
 *     sealed.MS.TEXT          TEXT after MS milliseconds
 *     sealed.MS.!CODE         refused with that error code after MS milliseconds, e.g. sealed.50.!unreachable
 *     sealed.MS.@FILE         the content of FILE (below /tmp) at that time: what is in the "key broker" can change
 *     sealed.MS.?FILE         the same, as soon as FILE is there, which is looked for every MS milliseconds: what answers when a test says so
 *     sealed.MS.=LENGTH       a plaintext of that many bytes, line after line "0000000\n0000008\n..."
 *     sealed.MS.#TEXT         TEXT, its length told in advance (an envelope)
 *
 * and the resource kbs:///fake/MS/BODY is what the file sealed.MS.BODY is. Any other resource is its own URI as text, but what the
 * repository "nobody" has is not there. Anything else that starts with "sealed." is malformed. Each resolution is one line on standard error: "resolve PATH",
 * or "fetch URI".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/base/file.h"
#include "fs/resolver_make.h"
#include "fs/control_server.h"
#include "fs/sealedfs_control.h"

#define PREFIX     "sealed."
#define PREFIX_LEN 7
#define NOTHING    "kbs:///nobody/"
#define RESOURCES  "kbs:///fake/"

struct fake {
    struct resolver resolver;
    struct loop *loop;
};

struct resolver_call {
    struct loop_timer *timer;
    char path[4096];
    char *body;
    long delay_ms;
    resolve_fn *fn;
    void *arg;
};

static void call_free(struct resolver_call *call)
{
    loop_timer_free(call->timer);
    free(call->body);
    free(call);
}

static bool make_lines(size_t len, struct secret **ret_secret, struct err *err)
{
    auto_secret *secret = NULL;
    if (!secret_new(len, &secret, err))
        return false;
    for (size_t at = 0; at < len; at += 8) {
        char line[32];
        snprintf(line, sizeof line, "%07zu\n", at);
        memcpy(secret_data(secret) + at, line, len - at < 8 ? len - at : 8);
    }
    *ret_secret = take_ptr(secret);
    return true;
}

static bool make_plaintext(
    const struct resolver_call *call, struct secret **ret_secret, struct err *err)
{
    const char *body = call->body;
    auto_buf file = BUF_INIT(SECRET_SIZE_MAX);
    switch (body[0]) {
    case '!':
        return err_set(err, err_code_from_name(body + 1), "%s: refused as asked", call->path);
    case '@':
    case '?':
        return file_read(body + 1, SECRET_SIZE_MAX, &file, err) &&
               secret_copy(buf_bytes(&file), ret_secret, err);
    case '=':
        return make_lines(strtoul(body + 1, NULL, 10), ret_secret, err);
    case '#':
        return secret_copy(bytes_str(body + 1), ret_secret, err);
    default:
        return secret_copy(bytes_str(body), ret_secret, err);
    }
}

static void on_time(void *arg)
{
    struct resolver_call *call = arg;
    auto_secret *secret = NULL;
    struct err err = ERR_INIT;
    resolve_fn *fn = call->fn;
    void *to = call->arg;
    bool done = make_plaintext(call, &secret, &err);
    if (!done && call->body[0] == '?' && err.code == ERR_NOTFOUND) {
        loop_timer_set(call->timer, call->delay_ms);
        return;
    }
    struct resolve_result result = {secret, "kbs:///fake/key/1", loop_now_ms()};
    call_free(call);
    fn(to, done ? &result : NULL, &err);
}

/* The number behind the prefix; the body starts behind its dot. */
static bool split(const char *text, long *ret_delay, const char **ret_body)
{
    char *end;
    if (strncmp(text, PREFIX, PREFIX_LEN) != 0)
        return false;
    *ret_delay = strtol(text + PREFIX_LEN, &end, 10);
    *ret_body = end + 1;
    return end != text + PREFIX_LEN && *end == '.';
}

static bool fake_resolve(struct resolver *resolver, const struct resolve_request *request,
    resolve_fn *fn, void *arg, struct resolver_call **ret_call, struct err *err)
{
    struct fake *fake = CONTAINER_OF(resolver, struct fake, resolver);
    auto_free char *text = strndup((const char *)request->blob.data, request->blob.len);
    long delay;
    const char *body;
    fprintf(stderr, "resolve %s\n", request->path);
    if (!text)
        return err_nomem(err);
    if (!split(text, &delay, &body))
        return err_set(err, ERR_FORMAT, "%s: not a sealed string", request->path);
    struct resolver_call *call = calloc(1, sizeof *call);
    if (!call || !loop_timer_new(fake->loop, on_time, call, &call->timer, err)) {
        free(call);
        return err_nomem(err);
    }
    snprintf(call->path, sizeof call->path, "%s", request->path);
    call->body = strdup(body);
    call->delay_ms = delay;
    call->fn = fn;
    call->arg = arg;
    loop_timer_set(call->timer, delay);
    *ret_call = call;
    return true;
}

static bool fetch_name(struct fake *fake, const char *uri, resolve_fn *fn, void *arg,
    struct resolver_call **ret_call, struct err *err)
{
    fprintf(stderr, "fetch %s\n", uri);
    if (strncmp(uri, NOTHING, strlen(NOTHING)) == 0)
        return err_set(err, ERR_NOTFOUND, "%s: no such resource", uri);
    struct resolver_call *call = calloc(1, sizeof *call);
    if (!call || !loop_timer_new(fake->loop, on_time, call, &call->timer, err)) {
        free(call);
        return err_nomem(err);
    }
    snprintf(call->path, sizeof call->path, "%s", uri);
    call->body = strdup(uri);
    call->fn = fn;
    call->arg = arg;
    loop_timer_set(call->timer, 0);
    *ret_call = call;
    return true;
}

static bool fake_fetch(struct resolver *resolver, const char *uri, int64_t timeout_ms,
    resolve_fn *fn, void *arg, struct resolver_call **ret_call, struct err *err)
{
    char text[512];
    struct resolve_request request = {.path = uri, .timeout_ms = timeout_ms};
    if (strncmp(uri, RESOURCES, strlen(RESOURCES)) != 0)
        return fetch_name(
            CONTAINER_OF(resolver, struct fake, resolver), uri, fn, arg, ret_call, err);
    snprintf(text, sizeof text, PREFIX "%s", uri + strlen(RESOURCES));
    *strchrnul(text, '/') = '.';
    request.blob = bytes_str(text);
    return fake_resolve(resolver, &request, fn, arg, ret_call, err);
}

static void fake_cancel(struct resolver *resolver, struct resolver_call *call)
{
    (void)resolver;
    call_free(call);
}

static size_t fake_length_hint(struct bytes blob)
{
    const char *mark = memchr(blob.data, '#', blob.len < 24 ? blob.len : 24);
    return mark ? blob.len - (size_t)(mark + 1 - (const char *)blob.data) : 0;
}

static bool fake_is_sealed(struct bytes head)
{
    return head.len >= PREFIX_LEN && memcmp(head.data, PREFIX, PREFIX_LEN) == 0;
}

static void fake_free(struct resolver *resolver)
{
    free((struct fake *)resolver); /* calls under way end with the process */
}

bool resolver_make(struct loop *loop, const struct sealedfs_conf *conf,
    struct resolver **ret_resolver, struct err *err)
{
    struct fake *fake = calloc(1, sizeof *fake);
    (void)conf;
    if (!fake)
        return err_nomem(err);
    *fake = (struct fake){.resolver = {.resolve = fake_resolve,
                              .fetch = fake_fetch,
                              .cancel = fake_cancel,
                              .length_hint = fake_length_hint,
                              .is_sealed = fake_is_sealed,
                              .free = fake_free},
        .loop = loop};
    *ret_resolver = &fake->resolver;
    return true;
}

/* Only where a test names a socket of its own; for reload and upgrade alone. */
bool sealedfs_control_bind(const struct sealedfs_conf *conf, int *ret_fd, struct err *err)
{
    *ret_fd = -1;
    return strcmp(conf->control.socket, CONTROL_SOCKET_DEFAULT) == 0 ||
           control_listen(conf->control.socket, ret_fd, err);
}

bool sealedfs_control_serve(struct loop *loop, const struct sealedfs_conf *conf, int fd,
    struct resolver *resolver, struct worker *worker, struct err *err)
{
    struct control_server *server;
    struct control_conf control = {
        .listen_fd = fd, .timeout_ms = CONTROL_TIMEOUT_MS, .renewer = worker};
    (void)conf;
    return control_start(loop, &control, resolver, worker, &server, err);
}
