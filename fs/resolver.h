/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the filesystem asks of the rest of the world: turn the content of a sealed file into
 * plaintext. fs/ owns this interface and knows nothing of attestation or keys; fs/resolve_sealed.c
 * is the implementation (crypt/sealed + kbs/client). All calls are made on the resolver loop's
 * thread, except length_hint (any thread). Implementations never block.
 */
#pragma once

#include "crypt/base/json.h"
#include "crypt/base/loop.h"
#include "crypt/base/secret.h"

struct resolver_call;

struct resolve_request {
    const char *path;   /* path in normal form below the mount, e.g. "db/password": for the context
                          and for messages */
    struct bytes blob;  /* the sealed string as read from the source; copied */
    int64_t max_age_ms; /* what the key broker said longer ago does not count: it is asked anew */
    int64_t timeout_ms;
};

struct resolve_result {
    struct secret *plaintext; /* borrowed: take a reference */
    const char *resource;     /* URI it came from, for audit and explain; borrowed */
    int64_t taken_ms;         /* loop_now_ms() when the key broker gave it, or the key to it */
};

/* `result` NULL on failure. */
typedef void resolve_fn(void *arg, const struct resolve_result *result, const struct err *err);

struct resolver {
    /* Calls back exactly once, never from inside, unless cancelled. */
    bool (*resolve)(struct resolver *self, const struct resolve_request *request, resolve_fn *fn,
        void *arg, struct resolver_call **ret_call, struct err *err);
    void (*cancel)(struct resolver *self, struct resolver_call *call);
    /* Exact plaintext length where the text itself tells it (an envelope), else 0. */
    size_t (*length_hint)(struct bytes blob);
    bool (*is_sealed)(struct bytes head); /* do these first bytes claim to be a sealed secret? */

    /* For the control socket. The same rules as resolve(); cancel() ends these calls too. */
    /* A resource by its URI. */
    bool (*fetch)(struct resolver *self, const char *uri, int64_t timeout_ms, resolve_fn *fn,
        void *arg, struct resolver_call **ret_call, struct err *err);
    /* Attests if there is no good token; the result's plaintext is the token. */
    bool (*attest)(struct resolver *self, int64_t timeout_ms, resolve_fn *fn, void *arg,
        struct resolver_call **ret_call, struct err *err);
    /* Drops the keys kept between resolutions; `token` also the token and its key, so that the next
     * call attests anew. */
    void (*forget)(struct resolver *self, bool token);
    /*
     * Could secrets be had? Each broker is asked for a token, one after the other; a token that does not find the guest affirming is a failure
     * (ERR_DENIED_POLICY), as is no broker at all (ERR_CONFIG). `anew`: tokens that are there do not count; keys, and who waits, are left alone.
     */
    bool (*probe)(struct resolver *self, bool anew, int64_t timeout_ms, resolve_fn *fn, void *arg,
        struct resolver_call **ret_call, struct err *err);
    /* {"url","token":{…}|null,"handshakes",…,"changed":[{"pcr":11,"was":hex,"now":hex,"events":[…]}],"since":unix
     * seconds of the accepted evidence, "brokers":[{"name","url","token",…}] those of [kbs:NAME]} */
    bool (*describe)(struct resolver *self, json_t **ret_json, struct err *err);
    /* Optional. Tells the key brokers that wait for this guest's next attestation that it leaves. False: nobody waits, and no call back; else
     * `left` once, never from inside, at the latest after timeout_ms. */
    bool (*leave)(struct resolver *self, int64_t timeout_ms, void (*left)(void *arg), void *arg);
    void (*free)(struct resolver *self); /* cancels without calling back */

    /* Set by whoever serves the plaintexts, or NULL. The guest is not, or no longer, in a good state for the key broker, as `err` says: nothing
     * that was given to it before may be served any more. Loop thread, before those who wait hear of it. */
    void (*distrusted)(void *arg, const struct err *err);
    void *distrusted_arg;
};
