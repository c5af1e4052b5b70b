/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the product's resolver, shared by its three files: resolve_call.c (a call from its start to its one answer),
 * resolve_sealed.c (the steps that open a sealed string), resolve_agent.c (what the control socket asks besides). Loop thread only.
 */
#pragma once

#include "crypt/sealed.h"
#include "fs/resolve_keys.h"
#include "fs/resolve_sealed.h"
#include "fs/resolve_signers.h"

/* A call starts from a zero timer, so that its callback never runs inside the function that made it. */
struct resolver_call {
    struct resolve_sealed *owner;
    struct resolver_call *next;
    struct sealed *sealed; /* NULL for fetch() and attest() */
    char *path;
    char *blob;
    size_t blob_len;
    char *resource; /* URI of what is being fetched, then of the result */
    int64_t deadline_ms;
    int64_t max_age_ms;
    int64_t taken_ms;       /* of the material in use */
    bool is_probe, is_anew; /* resolver_probe() */
    size_t probed;          /* brokers that gave a token */
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
    struct crew *crew;
    struct brokers *brokers;
    struct resolve_sealed_conf conf;
    struct resolve_keys keys;
    struct resolve_signers signers;
    struct resolver_call *calls;
    struct attest_wait *waits;
    size_t leaving; /* brokers that are being told */
    void (*left)(void *arg);
    void *left_arg;
};

/* kbs_client_attest has no cancel: the wait of a call that ended before the answer came names no call any more. It
 * must not be left to compare addresses, since the next call, perhaps one for a secret, may get the same. */
struct attest_wait {
    struct attest_wait *next;
    struct resolve_sealed *owner;
    struct resolver_call *call;
};

struct resolve_sealed *resolve_self(struct resolver *resolver);
bool call_new(struct resolve_sealed *self, loop_fn *start, int64_t timeout_ms, resolve_fn *fn,
    void *arg, struct resolver_call **ret_call, struct err *err) MUST_CHECK;
/* Ends it without an answer; its fetch goes on for others. */
void call_free(struct resolver_call *call);
/* Answer and end it; the receiver may free the resolver. */
void call_fail(struct resolver_call *call, struct err *err);
void call_succeed(struct resolver_call *call, struct secret *plaintext);
/* Remembers the URI as the call's resource. */
bool call_resource(struct resolver_call *call, const char *uri, struct err *err) MUST_CHECK;
/* Asks the key broker, for as long as the call may still take. */
bool call_fetch(struct resolver_call *call, const char *uri, kbs_fetch_fn *fn, struct err *err)
    MUST_CHECK;
/* Returns false. */
bool resolve_blame_broker(struct err *err);

/* resolve_agent.c: members of the interface. */
bool resolver_fetch(struct resolver *resolver, const char *uri, int64_t timeout_ms, resolve_fn *fn,
    void *arg, struct resolver_call **ret_call, struct err *err) MUST_CHECK;
bool resolver_attest(struct resolver *resolver, int64_t timeout_ms, resolve_fn *fn, void *arg,
    struct resolver_call **ret_call, struct err *err) MUST_CHECK;
void resolver_forget(struct resolver *resolver, bool token);
bool resolver_probe(struct resolver *resolver, bool anew, int64_t timeout_ms, resolve_fn *fn,
    void *arg, struct resolver_call **ret_call, struct err *err) MUST_CHECK;
bool resolver_describe(struct resolver *resolver, json_t **ret_json, struct err *err) MUST_CHECK;
void resolve_waits_free(struct resolve_sealed *self);
