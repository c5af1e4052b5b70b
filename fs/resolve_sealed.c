/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One resolution is a chain of steps, each either immediate or a fetch:
 *     parse -> signer key -> verify -> context and name rules -> secret or wrapping key -> open
 */
#include "fs/resolve_sealed.h"

#include <limits.h>
#include <string.h>

#include "fs/resolve_private.h"

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
        resolve_blame_broker(&copy);
        call_fail(call, &copy);
        return;
    }
    if (sealed_payload(call->sealed)->type == SEALED_ENVELOPE)
        resolve_keys_keep(&call->owner->keys, call->resource, fetched);
    call->taken_ms = loop_now_ms();
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
    const struct resolve_key *kept = sealed_payload(call->sealed)->type == SEALED_ENVELOPE
                                         ? resolve_keys_find(&self->keys, uri)
                                         : NULL;
    call->key_was_kept = kept && loop_now_ms() - kept->taken_ms < call->max_age_ms;
    if (!call->key_was_kept)
        return call_fetch(call, uri, call_material_arrived, err);
    if (!call_resource(call, uri, err))
        return false;
    call->taken_ms = kept->taken_ms;
    auto_secret *held = secret_ref(kept->value);
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
        resolve_blame_broker(&copy);
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
    /* Whoever runs another broker may give secrets, but not by that sign those of all the others. */
    struct kbs_client *client;
    if (!brokers_find(self->brokers, uri, &client, err))
        return false;
    if (client != brokers_default(self->brokers))
        return err_set(err, ERR_CRYPTO,
            "signer %s is in another broker than the default one; name it in signers= if it may "
            "sign",
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
    const struct resolve_key *kept = resolve_keys_find(&self->keys, kid);
    if (!kept)
        return call_fetch(call, kid, call_signer_arrived, err);
    auto_secret *held = secret_ref(kept->value);
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
static bool sealed_resolve(struct resolver *resolver, const struct resolve_request *request,
    resolve_fn *fn, void *arg, struct resolver_call **ret_call, struct err *err)
{
    struct resolver_call *call;
    if (!call_new(resolve_self(resolver), call_start, request->timeout_ms, fn, arg, &call, err))
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
    call->max_age_ms = request->max_age_ms;
    *ret_call = call;
    return true;
}

static void sealed_cancel(struct resolver *resolver, struct resolver_call *call)
{
    (void)resolver;
    if (call)
        call_free(call);
}

static void resolver_free(struct resolver *resolver)
{
    struct resolve_sealed *self = resolve_self(resolver);
    while (self->calls)
        call_free(self->calls);
    brokers_free(self->brokers);
    crew_free(self->crew);
    resolve_waits_free(self);
    resolve_keys_drop(&self->keys, NULL);
    resolve_signers_done(&self->signers);
    free(self);
}

static void on_left(void *arg)
{
    struct resolve_sealed *self = arg;
    if (--self->leaving == 0)
        self->left(self->left_arg);
}

static bool resolver_leave(
    struct resolver *resolver, int64_t timeout_ms, void (*left)(void *arg), void *arg)
{
    struct resolve_sealed *self = resolve_self(resolver);
    const char *name;
    self->left = left;
    self->left_arg = arg;
    for (size_t i = 0; i < brokers_count(self->brokers); i++)
        self->leaving +=
            kbs_client_leave(brokers_at(self->brokers, i, &name), timeout_ms, on_left, self);
    return self->leaving > 0;
}

/* Keys that were given to a guest which was still a good one open nothing any more. */
static void on_distrusted(void *arg, const struct err *err)
{
    struct resolve_sealed *self = arg;
    resolve_keys_drop(&self->keys, NULL);
    if (self->resolver.distrusted)
        self->resolver.distrusted(self->resolver.distrusted_arg, err);
}

bool resolve_sealed_new(struct loop *loop, const struct resolve_sealed_conf *conf,
    struct resolver **ret_resolver, struct err *err)
{
    struct resolve_sealed *self = calloc(1, sizeof *self);
    const char *name;
    if (!self) {
        crew_free(conf->crew);
        return err_nomem(err);
    }
    self->loop = loop;
    self->crew = conf->crew;
    self->conf = *conf;
    self->keys.keep_ms = conf->keep_ms;
    self->resolver = (struct resolver){.resolve = sealed_resolve,
        .cancel = sealed_cancel,
        .length_hint = sealed_length_hint,
        .is_sealed = sealed_is_claimed,
        .fetch = resolver_fetch,
        .attest = resolver_attest,
        .forget = resolver_forget,
        .probe = resolver_probe,
        .describe = resolver_describe,
        .leave = resolver_leave,
        .free = resolver_free};
    if (!brokers_new(loop, conf->brokers, conf->broker_count, &self->brokers, err)) {
        resolver_free(&self->resolver);
        return false;
    }
    for (size_t i = 0; i < brokers_count(self->brokers); i++)
        kbs_client_on_distrust(brokers_at(self->brokers, i, &name), on_distrusted, self);
    *ret_resolver = &self->resolver;
    return true;
}
