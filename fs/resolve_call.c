/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fs/resolve_private.h"

struct resolve_sealed *resolve_self(struct resolver *resolver)
{
    return CONTAINER_OF(resolver, struct resolve_sealed, resolver);
}

bool call_new(struct resolve_sealed *self, loop_fn *start, int64_t timeout_ms, resolve_fn *fn,
    void *arg, struct resolver_call **ret_call, struct err *err)
{
    struct resolver_call *call = calloc(1, sizeof *call);
    if (!call)
        return err_nomem(err);
    *call = (struct resolver_call){.owner = self,
        .next = self->calls,
        .deadline_ms = loop_now_ms() + timeout_ms,
        .fn = fn,
        .arg = arg};
    self->calls = call;
    if (!loop_timer_new(self->loop, start, call, &call->soon, err)) {
        call_free(call);
        return false;
    }
    loop_timer_set(call->soon, 0);
    *ret_call = call;
    return true;
}

void call_free(struct resolver_call *call)
{
    for (struct attest_wait *wait = call->owner->waits; wait; wait = wait->next)
        if (wait->call == call)
            wait->call = NULL;
    for (struct resolver_call **at = &call->owner->calls; *at; at = &(*at)->next)
        if (*at == call) {
            *at = call->next;
            break;
        }
    loop_timer_free(call->soon);
    kbs_fetch_cancel(call->fetch);
    sealed_free(call->sealed);
    free(call->path);
    free(call->blob);
    free(call->resource);
    free(call);
}

void call_fail(struct resolver_call *call, struct err *err)
{
    if (call->path)
        err_wrap(err, "%s", call->path);
    resolve_fn *fn = call->fn;
    void *arg = call->arg;
    struct err copy = *err;
    call_free(call);
    fn(arg, NULL, &copy);
}

void call_succeed(struct resolver_call *call, struct secret *plaintext)
{
    /* The call goes first, so that the receiver may free the resolver; the plaintext outlives it by
     * a reference. */
    auto_secret *held = secret_ref(plaintext);
    auto_free char *resource = take_ptr(call->resource);
    resolve_fn *fn = call->fn;
    void *arg = call->arg;
    struct err none = ERR_INIT;
    struct resolve_result result = {held, resource ? resource : "", call->taken_ms};
    call_free(call);
    fn(arg, &result, &none);
}

bool call_resource(struct resolver_call *call, const char *uri, struct err *err)
{
    char *copy = strdup(uri);
    if (!copy)
        return err_nomem(err);
    free(call->resource);
    call->resource = copy;
    return true;
}

/* A broker whose answers make no sense is no fault of the sealed file: EBADMSG would send people to the wrong place. */
bool resolve_blame_broker(struct err *err)
{
    if (err->code == ERR_FORMAT)
        err->code = ERR_IO;
    return false;
}

bool call_fetch(struct resolver_call *call, const char *uri, kbs_fetch_fn *fn, struct err *err)
{
    struct kbs_uri parsed;
    struct kbs_client *client;
    int64_t left = call->deadline_ms - loop_now_ms();
    if (!kbs_uri_parse(uri, &parsed, err) || !call_resource(call, uri, err))
        return false;
    if (!brokers_find(call->owner->brokers, &parsed, &client, err))
        return false;
    if (left <= 0)
        return err_set(err, ERR_TIMEOUT, "no time left to fetch %s", uri);
    return kbs_client_fetch(client, &parsed, left, fn, call, &call->fetch, err) ||
           resolve_blame_broker(err);
}
