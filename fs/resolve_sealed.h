/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resolver of the product: joins fs to crypt/sealed (what a sealed string means) and kbs/client
 * (where keys and secrets come from). Decides which signers and which names are acceptable (DESIGN:
 * "kid", "Context").
 */
#pragma once

#include "fs/resolver.h"
#include "kbs/brokers.h"

struct resolve_sealed_conf {
    const struct broker_conf *brokers; /* used only while it is made, but for name and hosts */
    size_t broker_count;
    struct crew *
        crew; /* what the clients in `brokers` compute on, the resolver's from the call on; NULL: none */
    bool signature_optional;    /* unsigned sealed strings open too */
    bool context_required;      /* false: only compared when the secret names one */
    const char *context_prefix; /* put before the path; "" or NULL for none */
    const char *const
        *signers;           /* kid URIs that may sign; none: any resource of type "signing-key" */
    size_t signer_count;    /* of the default broker then */
    const char *signer_dir; /* public JWK files that a kid without scheme names; NULL: none */
    const char *const
        *vault_prefixes; /* URI prefixes that a vault name must have one of; none: any */
    size_t vault_prefix_count;
    int64_t keep_ms; /* how long signing and wrapping keys are kept; 0: not at all */
};

/* The texts in `conf` must live as long as the resolver. The resolver ends with its own free(). */
bool resolve_sealed_new(struct loop *loop, const struct resolve_sealed_conf *conf,
    struct resolver **ret_resolver, struct err *err) MUST_CHECK;
