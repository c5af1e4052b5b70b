/* SPDX-License-Identifier: Apache-2.0 */
/* What the control socket asks of the resolver besides sealed strings: a resource, a token, to forget, to describe itself. */
#include "fs/resolve_changes.h"
#include "fs/resolve_private.h"

#include <string.h>

static void call_fetch_arrived(void *arg, struct secret *plaintext, const struct err *err)
{
    struct resolver_call *call = arg;
    struct err copy = *err;
    call->fetch = NULL;
    if (plaintext) {
        call->taken_ms = loop_now_ms();
        call_succeed(call, plaintext);
        return;
    }
    resolve_blame_broker(&copy);
    call_fail(call, &copy);
}

static void call_fetch_start(void *arg)
{
    struct resolver_call *call = arg;
    struct err err = ERR_INIT;
    auto_free char *uri = take_ptr(call->blob);
    if (!call_fetch(call, uri, call_fetch_arrived, &err))
        call_fail(call, &err);
}

bool resolver_fetch(struct resolver *resolver, const char *uri, int64_t timeout_ms, resolve_fn *fn,
    void *arg, struct resolver_call **ret_call, struct err *err)
{
    struct kbs_uri parsed;
    struct resolver_call *call;
    if (!kbs_uri_parse(uri, &parsed, err) ||
        !call_new(resolve_self(resolver), call_fetch_start, timeout_ms, fn, arg, &call, err))
        return false;
    call->blob = strdup(uri);
    if (!call->blob) {
        call_free(call);
        return err_nomem(err);
    }
    *ret_call = call;
    return true;
}

static void wait_unlink(struct attest_wait *wait)
{
    for (struct attest_wait **at = &wait->owner->waits; *at; at = &(*at)->next)
        if (*at == wait) {
            *at = wait->next;
            break;
        }
}

static void probe_next(struct resolver_call *call);

static void call_attested(void *arg, const char *token, const struct err *err)
{
    auto_free struct attest_wait *wait = arg;
    struct resolver_call *call = wait->call;
    wait_unlink(wait);
    struct err copy = *err;
    auto_secret *text = NULL;
    if (!call)
        return;
    if (token && call->is_probe) {
        probe_next(call);
        return;
    }
    if (token && secret_copy(bytes_str(token), &text, &copy))
        call_succeed(call, text);
    else
        call_fail(call, &copy);
}

static void call_attest_at(struct resolver_call *call, struct kbs_client *client)
{
    struct resolve_sealed *self = call->owner;
    struct err err = ERR_INIT;
    struct attest_wait *wait = malloc(sizeof *wait);
    if (!wait) {
        err_nomem(&err);
        call_fail(call, &err);
        return;
    }
    *wait = (struct attest_wait){self->waits, self, call};
    self->waits = wait;
    if (!kbs_client_attest(client, call->deadline_ms - loop_now_ms(), call_attested, wait, &err)) {
        wait_unlink(wait);
        free(wait);
        call_fail(call, &err);
    }
}

/* -- every broker ------------------------------------------------------------------------------- */

/* Of the one that gave its token just now. */
static bool is_affirmed(const struct resolver_call *call, struct err *err)
{
    const char *name;
    struct kbs_client_state state;
    kbs_client_state(brokers_at(call->owner->brokers, call->probed, &name), &state);
    return state.token_affirming ||
           err_set(err, ERR_DENIED_POLICY,
               "KBS %s does not find this guest affirming: what its policy gives to others is all "
               "that can be had (sealed explain)",
               state.url ? state.url : "");
}

static void probe_start(void *arg)
{
    struct resolver_call *call = arg;
    struct brokers *brokers = call->owner->brokers;
    struct err err = ERR_INIT;
    auto_secret *nothing = NULL;
    const char *name;
    if (brokers_count(brokers) == 0) {
        err_set(&err, ERR_CONFIG, "no key broker is configured: set url in section [kbs]");
        call_fail(call, &err);
    } else if (call->probed < brokers_count(brokers)) {
        struct kbs_client *client = brokers_at(brokers, call->probed, &name);
        if (call->is_anew)
            kbs_client_doubt(client);
        call_attest_at(call, client);
    } else if (secret_copy(BYTES_EMPTY, &nothing, &err)) {
        call_succeed(call, nothing);
    } else {
        call_fail(call, &err);
    }
}

static void probe_next(struct resolver_call *call)
{
    struct err err = ERR_INIT;
    if (!is_affirmed(call, &err)) {
        call_fail(call, &err);
        return;
    }
    call->probed++;
    probe_start(call);
}

bool resolver_probe(struct resolver *resolver, bool anew, int64_t timeout_ms, resolve_fn *fn,
    void *arg, struct resolver_call **ret_call, struct err *err)
{
    struct resolver_call *call;
    if (!call_new(resolve_self(resolver), probe_start, timeout_ms, fn, arg, &call, err))
        return false;
    call->is_probe = true;
    call->is_anew = anew;
    *ret_call = call;
    return true;
}

/* -- the default one ---------------------------------------------------------------------------- */

static void call_attest_start(void *arg)
{
    struct resolver_call *call = arg;
    struct err err = ERR_INIT;
    struct resolve_sealed *self = call->owner;
    static const struct kbs_uri anything = {.host = ""};
    struct kbs_client *client;
    if (!brokers_find(self->brokers, &anything, &client, &err)) {
        call_fail(call, &err);
        return;
    }
    call_attest_at(call, client);
}

bool resolver_attest(struct resolver *resolver, int64_t timeout_ms, resolve_fn *fn, void *arg,
    struct resolver_call **ret_call, struct err *err)
{
    return call_new(resolve_self(resolver), call_attest_start, timeout_ms, fn, arg, ret_call, err);
}

void resolver_forget(struct resolver *resolver, bool token)
{
    struct resolve_sealed *self = resolve_self(resolver);
    resolve_keys_drop(&self->keys, NULL);
    const char *name;
    for (size_t i = 0; token && i < brokers_count(self->brokers); i++)
        kbs_client_forget(brokers_at(self->brokers, i, &name));
}

/* A broker beside the default one, as it stands. */
static bool describe_broker(
    const struct kbs_client *client, const char *name, json_t *list, struct err *err)
{
    struct kbs_client_state state;
    json_t *json = NULL;
    kbs_client_state(client, &state);
    if (!json_build(&json, err, "{s:s,s:s,s:b,s:b,s:I,s:I,s:I,s:I}", "name", name, "url",
            state.url ? state.url : "", "token", state.has_token, "token_affirming",
            state.token_affirming, "token_expires_at", (json_int_t)state.token_expires_at,
            "handshakes", (json_int_t)state.handshakes, "handshakes_failed",
            (json_int_t)state.handshakes_failed, "fetches", (json_int_t)state.fetches))
        return false;
    return json_array_append_new(list, json) == 0 || err_nomem(err);
}

static bool describe_brokers(const struct brokers *brokers, json_t **ret_list, struct err *err)
{
    auto_json *list = json_array();
    if (!list)
        return err_nomem(err);
    for (size_t i = 0; i < brokers_count(brokers); i++) {
        const char *name;
        struct kbs_client *client = brokers_at(brokers, i, &name);
        if (name && !describe_broker(client, name, list, err))
            return false;
    }
    *ret_list = take_ptr(list);
    return true;
}

bool resolver_describe(struct resolver *resolver, json_t **ret_json, struct err *err)
{
    struct resolve_sealed *self = resolve_self(resolver);
    struct kbs_client_state state = {0};
    auto_json *changed = NULL, *others = NULL;
    if (brokers_default(self->brokers))
        kbs_client_state(brokers_default(self->brokers), &state);
    if (!describe_brokers(self->brokers, &others, err) ||
        !resolve_changes(state.accepted_evidence, state.latest_evidence, &changed, err))
        return false;
    return json_build(ret_json, err, "{s:s,s:b,s:b,s:I,s:I,s:I,s:I,s:I,s:O,s:O}", "url",
        state.url ? state.url : "", "token", state.has_token, "token_affirming",
        state.token_affirming, "token_expires_at", (json_int_t)state.token_expires_at, "handshakes",
        (json_int_t)state.handshakes, "handshakes_failed", (json_int_t)state.handshakes_failed,
        "fetches", (json_int_t)state.fetches, "since", (json_int_t)state.accepted_at, "changed",
        changed, "brokers", others);
}

void resolve_waits_free(struct resolve_sealed *self)
{
    while (self->waits) {
        struct attest_wait *wait = self->waits;
        wait_unlink(wait);
        free(wait);
    }
}
