/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the filesystem asks of the rest of the world: turn the content of a sealed file into plaintext. fs/ owns this interface and
 * knows nothing of attestation or keys; fs/resolve_sealed.c is the implementation (crypt/sealed + kbs/client). All calls are made on
 * the resolver loop's thread, except length_hint (any thread). Implementations never block.
 */
#pragma once

#include "crypt/base/loop.h"
#include "crypt/base/secret.h"

struct resolver_call;

struct resolve_request {
    const char *path;     /* path in normal form below the mount, e.g. "db/password": for the context and for messages */
    struct bytes blob;    /* the sealed string as read from the source; copied */
    int64_t timeout_ms;
};

struct resolve_result {
    struct secret *plaintext; /* borrowed: take a reference */
    const char *resource;     /* URI it came from, for audit and explain; borrowed */
};

/* `result` NULL on failure. */
typedef void resolve_fn(void *arg, const struct resolve_result *result, const struct err *err);

struct resolver {
    /* Calls back exactly once, never from inside, unless cancelled. */
    bool (*resolve)(struct resolver *self, const struct resolve_request *request, resolve_fn *fn, void *arg,
        struct resolver_call **ret_call, struct err *err);
    void (*cancel)(struct resolver *self, struct resolver_call *call);
    /* Exact plaintext length where the text itself tells it (an envelope), else 0. */
    size_t (*length_hint)(struct bytes blob);
    bool (*is_sealed)(struct bytes head); /* do these first bytes claim to be a sealed secret? */
};
