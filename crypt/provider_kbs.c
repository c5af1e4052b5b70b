/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provider "kbs": a vault secret is a resource of the key broker. CoCo has no envelope for it; ours (DESIGN.md) has in key_id the
 * URI of a 32-byte wrapping key and in encrypted_key the RFC 3394 wrap of a 32-byte data key. Like CoCo, it takes no settings
 * from provider_settings.
 */
#include <strings.h>

#include "crypt/aead.h"
#include "crypt/provider.h"
#include "crypt/sealed.h"

#define KEY_SIZE     32
#define WRAPPED_SIZE 40
#define URI_MAX      2048

/* Only what tells a resource URI from a mistake; kbs/uri.h parses it when it is fetched. */
static bool check_uri(const char *field, const char *uri, struct err *err)
{
    size_t len = strlen(uri);
    bool plain = len <= URI_MAX;
    for (size_t i = 0; plain && i < len; i++)
        plain = uri[i] > ' ' && uri[i] <= '~';
    bool is_kbs = strncasecmp(uri, "kbs://", 6) == 0 ||
                  (strncasecmp(uri, "kbs+", 4) == 0 && strstr(uri, "://"));
    if (plain && is_kbs)
        return true;
    return err_set(err, ERR_FORMAT,
        "payload: \"%s\" is no resource URI of the form kbs:///repository/type/tag", field);
}

static bool vault_uri(const struct sealed_payload *payload, const char **ret_uri, struct err *err)
{
    if (!check_uri("name", payload->name, err))
        return false;
    *ret_uri = payload->name;
    return true;
}

static bool envelope_uri(
    const struct sealed_payload *payload, const char **ret_uri, struct err *err)
{
    if (!check_uri("key_id", payload->key_id, err))
        return false;
    if (payload->encrypted_key.len != WRAPPED_SIZE)
        return err_set(err, ERR_FORMAT,
            "payload: \"encrypted_key\" has %zu bytes; provider kbs takes the RFC 3394 wrap of a "
            "256-bit key, %d bytes",
            payload->encrypted_key.len, WRAPPED_SIZE);
    *ret_uri = payload->key_id;
    return true;
}

static bool envelope_unwrap(const struct sealed_payload *payload, const struct secret *fetched,
    struct secret **ret_data_key, struct err *err)
{
    if (secret_len(fetched) != KEY_SIZE)
        return err_set(err, ERR_CRYPTO,
            "the wrapping key %.200s has %zu bytes; store exactly %d random bytes there",
            payload->key_id, secret_len(fetched), KEY_SIZE);
    return keywrap_unwrap(secret_bytes(fetched), payload->encrypted_key, ret_data_key, err) ||
           err_wrap(err, "encrypted_key, with the wrapping key %.200s", payload->key_id);
}

const struct provider provider_kbs = {
    .name = "kbs",
    .vault_uri = vault_uri,
    .envelope_uri = envelope_uri,
    .envelope_unwrap = envelope_unwrap,
};
