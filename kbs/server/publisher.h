/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who publishes reference values: a message of refvalue.h as a JWS (compact; ES256, ES384, RS256 or EdDSA) that one of the configured
 * public keys ([reference_values] publishers) verifies. Such a message must say "iat", and one that is not newer than the newest
 * that the same publisher sent of a name is refused: whoever recorded an older one cannot bring its values back. That is kept in the
 * store, so it holds on all replicas, across deletion of the name too:
 *
 *     _serial/<thumbprint of the key>/<SHA-256 of the name>/<iat, 16 hex digits>    the record that came with it, or {}
 */
#pragma once

#include "crypt/jwk.h"
#include "kbs/server/kbs_conf.h"
#include "kbs/server/refvalue.h"

#define PUBLISHER_ID_SIZE 44
#define PUBLISHER_SKEW_S  300 /* an iat this far ahead of our clock is still taken */

struct publishers;

/* Reads the key files. ERR_CONFIG. */
bool publishers_new(
    const struct kbs_conf *conf, struct publishers **ret_publishers, struct err *err) MUST_CHECK;
void publishers_free(struct publishers *publishers);
DEFINE_AUTO(struct publishers, publishers_free);

/* Is this body a signed message rather than JSON? */
bool publisher_is_signed(struct bytes body);
/* The message, once verified, and who signed it. ERR_CRYPTO: nobody that is configured; ERR_FORMAT. */
bool publishers_open(const struct publishers *publishers, struct bytes body,
    struct refvalue_change *ret_change, char ret_id[PUBLISHER_ID_SIZE], struct err *err) MUST_CHECK;
/* refvalue_apply() of a signed message. ERR_DENIED_LOCAL: it is not newer than what this publisher sent before. */
bool publisher_apply(struct store *store, const struct refvalue_change *change,
    const struct refvalue_setter *setter, struct err *err) MUST_CHECK;
