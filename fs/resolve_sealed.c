/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/resolve_sealed.h"

#include <limits.h>
#include <string.h>

#include "crypt/sealed.h"
#include "fs/resolve_changes.h"
#include "fs/resolve_keys.h"
#include "fs/resolve_signers.h"

/*
 * One resolution is a chain of steps, each either immediate or a fetch:
 *     parse -> signer key -> verify -> context and name rules -> secret or wrapping key -> open
 * A call starts from a zero timer, so that its callback never runs inside resolve().
 */
struct resolver_call {
    struct resolve_sealed *owner;
    struct resolver_call *next;
    struct sealed *sealed; /* NULL for fetch() and attest() */
    char *path;
    char *blob;
    size_t blob_len;
    char *resource; /* URI of what is being fetched, then of the result */
    int64_t deadline_ms;
    struct loop_timer *soon;
    struct kbs_fetch *fetch;
    bool key_was_kept; /* the signer or wrapping key in use came from the keeper, not fresh from the
                          KBS */
    resolve_fn *fn;
    void *arg;
};

struct resolve_sealed {
    struct resolver resolver; /* first: the interface */
    struct loop *loop;
    struct kbs_client *kbs;
    struct resolve_sealed_conf conf;
    struct resolve_keys keys;
    struct resolve_signers signers;
    struct resolver_call *calls;
    struct attest_wait *waits;
};

/* kbs_client_attest has no cancel: the wait of a call that ended before the answer came names no call any more. It
 * must not be left to compare addresses, since the next call, perhaps one for a secret, may get the same. */
struct attest_wait {
    struct attest_wait *next;
    struct resolve_sealed *owner;
    struct resolver_call *call;
};

static void call_free(struct resolver_call *call)
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

static void call_fail(struct resolver_call *call, struct err *err)
{
    if (call->path)
        err_wrap(err, "%s", call->path);
    resolve_fn *fn = call->fn;
    void *arg = call->arg;
    struct err copy = *err;
    call_free(call);
    fn(arg, NULL, &copy);
}

static void call_succeed(struct resolver_call *call, struct secret *plaintext)
{
    /* The call goes first, so that the receiver may free the resolver; the plaintext outlives it by
     * a reference. */
    auto_secret *held = secret_ref(plaintext);
    auto_free char *resource = take_ptr(call->resource);
    resolve_fn *fn = call->fn;
    void *arg = call->arg;
    struct err none = ERR_INIT;
    struct resolve_result result = {held, resource ? resource : ""};
    call_free(call);
    fn(arg, &result, &none);
}

static bool call_resource(struct resolver_call *call, const char *uri, struct err *err)
{
    char *copy = strdup(uri);
    if (!copy)
        return err_nomem(err);
    free(call->resource);
    call->resource = copy;
    return true;
}

static bool no_kbs(struct err *err)
{
    return err_set(err, ERR_CONFIG, "no key broker is configured: set url in section [kbs]");
}

/* A broker whose answers make no sense is no fault of the sealed file: EBADMSG would send people to the wrong place. */
static bool blame_broker(struct err *err)
{
    if (err->code == ERR_FORMAT)
        err->code = ERR_IO;
    return false;
}

static bool call_fetch(
    struct resolver_call *call, const char *uri, kbs_fetch_fn *fn, struct err *err)
{
    struct kbs_uri parsed;
    int64_t left = call->deadline_ms - loop_now_ms();
    if (!kbs_uri_parse(uri, &parsed, err) || !call_resource(call, uri, err))
        return false;
    if (!call->owner->kbs)
        return no_kbs(err);
    if (left <= 0)
        return err_set(err, ERR_TIMEOUT, "no time left to fetch %s", uri);
    return kbs_client_fetch(call->owner->kbs, &parsed, left, fn, call, &call->fetch, err) ||
           blame_broker(err);
}

/* ---- open: the last step ---- */

static void call_material_arrived(void *arg, struct secret *fetched, const struct err *err);

static void call_open(struct resolver_call *call, struct secret *fetched)
{
    struct err err = ERR_INIT;
    auto_secret *plaintext = NULL;
    if (sealed_open(call->sealed, fetched, &plaintext, &err)) {
        call_succeed(call, plaintext);
        return;
    }
    /* A wrapping key that was kept may have been replaced at the KBS since: ask once more before
     * giving up. */
    if (call->key_was_kept && err.code == ERR_CRYPTO) {
        call->key_was_kept = false;
        resolve_keys_drop(&call->owner->keys, call->resource);
        if (call_fetch(call, call->resource, call_material_arrived, &err))
            return;
    }
    call_fail(call, &err);
}

static void call_material_arrived(void *arg, struct secret *fetched, const struct err *err)
{
    struct resolver_call *call = arg;
    call->fetch = NULL;
    if (!fetched) {
        struct err copy = *err; /* kbs/client has named the resource and the broker */
        blame_broker(&copy);
        call_fail(call, &copy);
        return;
    }
    if (sealed_payload(call->sealed)->type == SEALED_ENVELOPE)
        resolve_keys_keep(&call->owner->keys, call->resource, fetched);
    call_open(call, fetched);
}

/* ---- rules on what a verified payload says ---- */

static bool vault_name_allowed(
    const struct resolve_sealed *self, const struct sealed_payload *payload, struct err *err)
{
    if (payload->type != SEALED_VAULT || self->conf.vault_prefix_count == 0)
        return true;
    for (size_t i = 0; i < self->conf.vault_prefix_count; i++)
        if (strncmp(payload->name, self->conf.vault_prefixes[i],
                strlen(self->conf.vault_prefixes[i])) == 0)
            return true;
    return err_set(err, ERR_DENIED_LOCAL,
        "the sealed secret names %s, which no vault_prefixes entry of the configuration covers",
        payload->name);
}

static bool context_check(
    const struct resolve_sealed *self, const struct resolver_call *call, struct err *err)
{
    char context[PATH_MAX + SEALED_CONTEXT_MAX];
    enum sealed_context rule =
        self->conf.context_required ? SEALED_CONTEXT_REQUIRED : SEALED_CONTEXT_WHEN_PRESENT;
    int len = snprintf(context, sizeof context, "%s%s",
        self->conf.context_prefix ? self->conf.context_prefix : "", call->path);
    if (len < 0 || (size_t)len >= sizeof context)
        return err_set(err, ERR_FORMAT, "the context of this path is longer than %zu bytes",
            sizeof context - 1);
    return sealed_check_context(call->sealed, rule, call->path[0] ? context : NULL, err);
}

static bool call_payload(struct resolver_call *call, struct err *err)
{
    struct resolve_sealed *self = call->owner;
    const char *uri;
    if (!context_check(self, call, err) ||
        !vault_name_allowed(self, sealed_payload(call->sealed), err) ||
        !sealed_uri(call->sealed, &uri, err))
        return false;
    struct secret *kept = sealed_payload(call->sealed)->type == SEALED_ENVELOPE
                              ? resolve_keys_find(&self->keys, uri)
                              : NULL;
    call->key_was_kept = kept != NULL;
    if (!kept)
        return call_fetch(call, uri, call_material_arrived, err);
    if (!call_resource(call, uri, err))
        return false;
    auto_secret *held = secret_ref(kept);
    call_open(call, held);
    return true;
}

/* ---- the signer ---- */

static bool call_verify(struct resolver_call *call, const struct jwk *signer, struct err *err)
{
    if (!sealed_verify(call->sealed, signer, err))
        return err_wrap(err, "signer %s", sealed_kid(call->sealed));
    return call_payload(call, err);
}

static bool call_verify_text(
    struct resolver_call *call, const struct secret *signer_text, struct err *err)
{
    auto_jwk *signer = NULL;
    if (!jwk_from_secret(signer_text, &signer, err))
        return err_wrap(err, "signer %s", sealed_kid(call->sealed));
    return call_verify(call, signer, err);
}

static void call_signer_arrived(void *arg, struct secret *fetched, const struct err *err)
{
    struct resolver_call *call = arg;
    struct err copy = *err;
    call->fetch = NULL;
    if (!fetched) {
        err_wrap(&copy, "signing key");
        blame_broker(&copy);
        call_fail(call, &copy);
        return;
    }
    resolve_keys_keep(&call->owner->keys, call->resource, fetched);
    if (!call_verify_text(call, fetched, &copy)) {
        resolve_keys_drop(&call->owner->keys, sealed_kid(call->sealed));
        call_fail(call, &copy);
    }
}

static bool signer_allowed(
    const struct resolve_sealed *self, const char *kid, const struct kbs_uri *uri, struct err *err)
{
    for (size_t i = 0; i < self->conf.signer_count; i++)
        if (strcmp(self->conf.signers[i], kid) == 0)
            return true;
    if (self->conf.signer_count > 0)
        return err_set(err, ERR_CRYPTO,
            "signer %s is not among the configured signers; add it to signers= if it may sign",
            kid);
    if (strcmp(uri->type, "signing-key") != 0)
        return err_set(err, ERR_CRYPTO,
            "signer %s is not a resource of type signing-key; name it in signers= if it may sign "
            "all the same",
            kid);
    return true;
}

/* A kid without scheme is the name of a file in the configured directory. */
static bool signer_from_file(struct resolver_call *call, const char *kid, struct err *err)
{
    struct resolve_sealed *self = call->owner;
    auto_jwk *signer = NULL;
    return resolve_signers_get(&self->signers, self->conf.signer_dir, kid, &signer, err) &&
           call_verify(call, signer, err);
}

static bool call_signer(struct resolver_call *call, struct err *err)
{
    struct resolve_sealed *self = call->owner;
    const char *kid = sealed_kid(call->sealed);
    struct kbs_uri uri;
    if (!kid)
        return err_set(err, ERR_FORMAT,
            "the sealed secret's header has no kid, so nobody can tell who signed it");
    if (strncasecmp(kid, "kbs:", 4) != 0)
        return signer_from_file(call, kid, err);
    if (!kbs_uri_parse(kid, &uri, err) || !signer_allowed(self, kid, &uri, err))
        return false;
    struct secret *kept = resolve_keys_find(&self->keys, kid);
    if (!kept)
        return call_fetch(call, kid, call_signer_arrived, err);
    auto_secret *held = secret_ref(kept);
    if (call_verify_text(call, held, err))
        return true;
    /* Kept keys may be out of date: a failure with one is tried once more with what the KBS has
     * now. */
    if (err->code != ERR_CRYPTO || sealed_payload(call->sealed))
        return false;
    resolve_keys_drop(&self->keys, kid);
    return call_fetch(call, kid, call_signer_arrived, err);
}

static void call_start(void *arg)
{
    struct resolver_call *call = arg;
    struct resolve_sealed *self = call->owner;
    struct err err = ERR_INIT;
    bool done;
    if (!sealed_parse(bytes_of(call->blob, call->blob_len), &call->sealed, &err))
        done = false;
    else if (sealed_is_signed(call->sealed))
        done = call_signer(call, &err);
    else if (!self->conf.signature_optional)
        done = err_set(&err, ERR_CRYPTO,
            "the sealed secret is not signed; sign it (`sealed seal --key`) or set signature = "
            "optional knowing what that allows");
    else
        done = sealed_accept_unsigned(call->sealed, &err) && call_payload(call, &err);
    if (!done)
        call_fail(call, &err);
}

/* ---- the interface ---- */

static struct resolve_sealed *self_of(struct resolver *resolver)
{
    return CONTAINER_OF(resolver, struct resolve_sealed, resolver);
}

static bool call_new(struct resolve_sealed *self, loop_fn *start, int64_t timeout_ms,
    resolve_fn *fn, void *arg, struct resolver_call **ret_call, struct err *err)
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

static bool sealed_resolve(struct resolver *resolver, const struct resolve_request *request,
    resolve_fn *fn, void *arg, struct resolver_call **ret_call, struct err *err)
{
    struct resolver_call *call;
    if (!call_new(self_of(resolver), call_start, request->timeout_ms, fn, arg, &call, err))
        return false;
    call->path = strdup(request->path ? request->path : "");
    call->blob = malloc(request->blob.len + 1);
    if (!call->path || !call->blob) {
        call_free(call);
        return err_nomem(err);
    }
    if (request->blob.len > 0)
        memcpy(call->blob, request->blob.data, request->blob.len);
    call->blob_len = request->blob.len;
    *ret_call = call;
    return true;
}

static void sealed_cancel(struct resolver *resolver, struct resolver_call *call)
{
    (void)resolver;
    if (call)
        call_free(call);
}

static void call_fetch_arrived(void *arg, struct secret *plaintext, const struct err *err)
{
    struct resolver_call *call = arg;
    struct err copy = *err;
    call->fetch = NULL;
    if (plaintext) {
        call_succeed(call, plaintext);
        return;
    }
    blame_broker(&copy);
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

static bool resolver_fetch(struct resolver *resolver, const char *uri, int64_t timeout_ms,
    resolve_fn *fn, void *arg, struct resolver_call **ret_call, struct err *err)
{
    struct kbs_uri parsed;
    struct resolver_call *call;
    if (!kbs_uri_parse(uri, &parsed, err) ||
        !call_new(self_of(resolver), call_fetch_start, timeout_ms, fn, arg, &call, err))
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

static void call_attested(void *arg, const char *token, const struct err *err)
{
    auto_free struct attest_wait *wait = arg;
    struct resolver_call *call = wait->call;
    wait_unlink(wait);
    struct err copy = *err;
    auto_secret *text = NULL;
    if (!call)
        return;
    if (token && secret_copy(bytes_str(token), &text, &copy))
        call_succeed(call, text);
    else
        call_fail(call, &copy);
}

static void call_attest_start(void *arg)
{
    struct resolver_call *call = arg;
    struct err err = ERR_INIT;
    struct resolve_sealed *self = call->owner;
    struct attest_wait *wait = self->kbs ? malloc(sizeof *wait) : NULL;
    if (!wait) {
        self->kbs ? err_nomem(&err) : no_kbs(&err);
        call_fail(call, &err);
        return;
    }
    *wait = (struct attest_wait){self->waits, self, call};
    self->waits = wait;
    if (!kbs_client_attest(
            self->kbs, call->deadline_ms - loop_now_ms(), call_attested, wait, &err)) {
        wait_unlink(wait);
        free(wait);
        call_fail(call, &err);
    }
}

static bool resolver_attest(struct resolver *resolver, int64_t timeout_ms, resolve_fn *fn,
    void *arg, struct resolver_call **ret_call, struct err *err)
{
    return call_new(self_of(resolver), call_attest_start, timeout_ms, fn, arg, ret_call, err);
}

static void resolver_forget(struct resolver *resolver, bool token)
{
    struct resolve_sealed *self = self_of(resolver);
    resolve_keys_drop(&self->keys, NULL);
    if (token && self->kbs)
        kbs_client_forget(self->kbs);
}

static bool resolver_describe(struct resolver *resolver, json_t **ret_json, struct err *err)
{
    struct resolve_sealed *self = self_of(resolver);
    struct kbs_client_state state = {0};
    auto_json *changed = NULL;
    if (self->kbs)
        kbs_client_state(self->kbs, &state);
    if (!resolve_changes(state.accepted_evidence, state.latest_evidence, &changed, err))
        return false;
    return json_build(ret_json, err, "{s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:O}", "url",
        self->conf.kbs.url ? self->conf.kbs.url : "", "token", state.has_token, "token_expires_at",
        (json_int_t)state.token_expires_at, "handshakes", (json_int_t)state.handshakes,
        "handshakes_failed", (json_int_t)state.handshakes_failed, "fetches",
        (json_int_t)state.fetches, "since", (json_int_t)state.accepted_at, "changed", changed);
}

static void resolver_free(struct resolver *resolver)
{
    struct resolve_sealed *self = self_of(resolver);
    while (self->calls)
        call_free(self->calls);
    kbs_client_free(self->kbs);
    while (self->waits) {
        struct attest_wait *wait = self->waits;
        wait_unlink(wait);
        free(wait);
    }
    resolve_keys_drop(&self->keys, NULL);
    resolve_signers_done(&self->signers);
    free(self);
}

bool resolve_sealed_new(struct loop *loop, const struct resolve_sealed_conf *conf,
    struct resolver **ret_resolver, struct err *err)
{
    struct resolve_sealed *self = calloc(1, sizeof *self);
    if (!self)
        return err_nomem(err);
    self->loop = loop;
    self->conf = *conf;
    self->keys.keep_ms = conf->keep_ms;
    self->resolver = (struct resolver){.resolve = sealed_resolve,
        .cancel = sealed_cancel,
        .length_hint = sealed_length_hint,
        .is_sealed = sealed_is_claimed,
        .fetch = resolver_fetch,
        .attest = resolver_attest,
        .forget = resolver_forget,
        .describe = resolver_describe,
        .free = resolver_free};
    if (conf->kbs.url && !kbs_client_new(loop, &conf->kbs, &self->kbs, err)) {
        resolver_free(&self->resolver);
        return false;
    }
    *ret_resolver = &self->resolver;
    return true;
}
