/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Providers of sealed secrets: who turns a vault name or a wrapped key into plaintext. A provider says which resource
 * must be fetched and what to do with it; fetching is the caller's business (kbs/client), so this room needs no network.
 * One table, looked up by name without regard to case (protocol.md E).
 */
#pragma once

#include "crypt/base/json.h"
#include "crypt/base/secret.h"

struct sealed_payload;

struct provider {
    const char *name;
    /* The resource URI to fetch for this payload: the secret itself (vault) or the wrapping key (envelope).
     * Borrowed from the payload. Checks shape and settings. NULL member: the provider lacks that type. */
    bool (*vault_uri)(const struct sealed_payload *payload, const char **ret_uri, struct err *err);
    bool (*envelope_uri)(
        const struct sealed_payload *payload, const char **ret_uri, struct err *err);
    /* Envelope: the 32-byte data key from what was fetched. */
    bool (*envelope_unwrap)(const struct sealed_payload *payload, const struct secret *fetched,
        struct secret **ret_data_key, struct err *err);
};

extern const struct provider provider_kbs;
/* ERR_FORMAT naming the provider and those that exist. */
bool provider_find(const char *name, const struct provider **ret_provider, struct err *err)
    MUST_CHECK;
