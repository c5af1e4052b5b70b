/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealed secrets: the format (Confidential Containers, "Sealed Secret" 0.1.0; protocol.md section E) and our decisions on it.
 *
 *     "sealed." base64url(header) "." base64url(payload) "." base64url(signature)          a compact JWS
 *     header    {"alg":"ES256","kid":"kbs:///repo/type/tag" or a file name}      alg may also be ES512 (P-521) or EdDSA (Ed25519)
 *     payload   {"version":"0.1.0","type":"vault","name":URI,"provider":"kbs","provider_settings":{},"annotations":{}}
 *               {"version":"0.1.0","type":"envelope","key_id":URI,"encrypted_key":std64,"encrypted_data":std64,
 *                "wrap_type":"A256GCM","iv":std64,"provider":"kbs","provider_settings":{},"annotations":{}}
 *
 * Provider kbs, envelope: key_id names a 32-byte wrapping key, encrypted_key is its RFC 3394 wrap (40 bytes) of a random 32-byte
 * data key, encrypted_data is AES-256-GCM ciphertext and 16-byte tag, iv is 12 bytes, no AAD.
 * Context: annotations.context is a text compared with the reader's own context; a secret lifted from one file to another is refused.
 * CoCo's own guests read ES256 alone.
 * A256CTR, which CoCo also knows, is refused: nobody would notice that the ciphertext was altered.
 * Blanks around the string and a trailing newline are tolerated. Text is at most SEALED_TEXT_MAX bytes.
 *
 * Opening is a sequence of pure steps without I/O; the caller fetches what each step names:
 *     sealed_parse -> (fetch sealed_kid) -> sealed_verify -> sealed_check_context -> (fetch sealed_uri) -> sealed_open
 * Nothing of the payload is parsed before the signature holds. Not thread-safe; one object, one thread at a time.
 */
#pragma once

#include "crypt/jwk.h"
#include "crypt/provider.h"

#define SEALED_TEXT_MAX    (1024u * 1024)
#define SEALED_PREFIX      "sealed."
#define SEALED_CONTEXT_MAX 4096

enum sealed_type { SEALED_VAULT, SEALED_ENVELOPE };

/* Decoded payload; texts are borrowed from the sealed object, byte strings are its own. */
struct sealed_payload {
    enum sealed_type type;
    const char *provider;
    const char *name;   /* vault */
    const char *key_id; /* envelope, as are all below */
    struct bytes encrypted_key;
    struct bytes encrypted_data;
    const char *wrap_type;
    struct bytes iv;
    const char *context; /* annotations.context, or NULL */
    const json_t *provider_settings;
    const json_t *annotations;
};

enum sealed_signature { SEALED_SIGNATURE_REQUIRED, SEALED_SIGNATURE_OPTIONAL };
enum sealed_context { SEALED_CONTEXT_REQUIRED, SEALED_CONTEXT_WHEN_PRESENT };

struct sealed;

/* Cheap test on the first bytes of a file (leading blanks allowed): does it claim to be a sealed secret? */
bool sealed_is_claimed(struct bytes text);
bool sealed_parse(struct bytes text, struct sealed **ret_sealed, struct err *err) MUST_CHECK;
void sealed_free(struct sealed *sealed);
DEFINE_AUTO(struct sealed, sealed_free);
#define auto_sealed AUTO(sealed_free) struct sealed

/* False for forms whose header is no JSON object at all ("fakejwsheader"); those open only through sealed_accept_unsigned.
 * A header that is one makes it a signed secret, which sealed_parse then takes only if it is whole: such an alg, a kid, a signature. */
bool sealed_is_signed(const struct sealed *sealed);
const char *sealed_kid(const struct sealed *sealed); /* NULL when it has none */
bool sealed_verify(struct sealed *sealed, const struct jwk *signer, struct err *err) MUST_CHECK;
/* Only under `signature = optional`, and never for a signed text, whether its signature holds or not (ERR_CRYPTO). */
bool sealed_accept_unsigned(struct sealed *sealed, struct err *err) MUST_CHECK;
/* `expected` NULL: this reader has no context (then a secret that names one is refused). An unsigned secret never
 * satisfies SEALED_CONTEXT_REQUIRED: who wrote it wrote its context, too. */
bool sealed_check_context(const struct sealed *sealed, enum sealed_context rule,
    const char *expected, struct err *err) MUST_CHECK;
/* NULL before sealed_verify or sealed_accept_unsigned. */
const struct sealed_payload *sealed_payload(const struct sealed *sealed);
/* The resource to fetch. Borrowed. */
bool sealed_uri(const struct sealed *sealed, const char **ret_uri, struct err *err) MUST_CHECK;
bool sealed_open(const struct sealed *sealed, struct secret *fetched, struct secret **ret_plaintext,
    struct err *err) MUST_CHECK;

/* The exact plaintext length that an envelope's ciphertext implies, without any key or check; 0 when not known
 * (vault, malformed). A hint for st_size: the truth comes with sealed_open. */
size_t sealed_length_hint(struct bytes text);
/* Everything that the string says, unverified, as JSON for `sealed inspect`. */
bool sealed_describe(struct bytes text, json_t **ret_json, struct err *err) MUST_CHECK;

/* Making them. `kid` becomes the header's kid; signer is a private P-256 key. `context` may be NULL. malloc'd text without newline. */
bool sealed_make_vault(const struct jwk *signer, const char *kid, const char *uri,
    const char *context, char **ret_text, struct err *err) MUST_CHECK;
bool sealed_make_envelope(const struct jwk *signer, const char *kid, const char *key_uri,
    const struct secret *wrapping_key, const struct secret *plaintext, const char *context,
    char **ret_text, struct err *err) MUST_CHECK;
