/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose attestation tokens this broker takes, and what it publishes about its own.
 *  - Its own: signed by [token] key. After a roll-over (`sealed kbs token-key roll`) the key before is still taken for what it signed
 *    until then: [token] previous is its public JWK with a member "retired" (unix seconds); a token by it must have been issued before,
 *    and the key is forgotten when the last of its tokens has ended.
 *  - Those of attestation services elsewhere (passport mode): [token] trusted_certs, trusted_jwks (attest/verify/token_trust.h).
 * Replicas share these files as they share the key. Thread-safe.
 */
#pragma once

#include "attest/verify/ear.h"
#include "attest/verify/token_trust.h"
#include "kbs/server/kbs_conf.h"

#define TOKEN_LEEWAY_S 60
#define TOKEN_CERT_MAX 65536

struct token_keys;
enum token_origin { TOKEN_OWN, TOKEN_FOREIGN };

/* Reads the files that the configuration names. `current`: the private signing key, referenced. ERR_CONFIG. */
bool token_keys_new(const struct kbs_conf *conf, struct jwk *current, struct token_keys **ret_keys,
    struct err *err) MUST_CHECK;
void token_keys_free(struct token_keys *keys);
DEFINE_AUTO(struct token_keys, token_keys_free);

/* The certificates of the signing key for the header of tokens (x5c), leaf first; NULL when there are none. Borrowed. */
const json_t *token_keys_x5c(const struct token_keys *keys);
/* Where sets that come by URL are put. Borrowed. */
struct token_trust *token_keys_trust(struct token_keys *keys);

/* As ear_verify(). *ret_origin says whose it is: a foreign one is as good as its issuer, no key in it is looked up here. */
bool token_keys_verify(struct token_keys *keys, struct bytes token, int64_t now,
    struct ear *ret_ear, enum token_origin *ret_origin, struct err *err) MUST_CHECK;
/* {"keys":[…]}: the signing key and the one before, each with its thumbprint (RFC 7638) as kid, alg and use. */
bool token_keys_jwks(const struct token_keys *keys, int64_t now, json_t **ret_jwks, struct err *err)
    MUST_CHECK;
