/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JWK sets of attestation services elsewhere that come by URL ([token] trusted_jwks = https://…): fetched through the courier by a thread of
 * its own, at the start and then every JWKS_EVERY_S, sooner after a failure. Until a set has come its keys are not known, and their tokens are refused; a set
 * that cannot be fetched any more stays as it was, so that an outage elsewhere refuses nobody, and the log says so.
 */
#pragma once

#include "attest/verify/token_trust.h"
#include "kbs/server/outbound/courier.h"
#include "kbs/server/kbs_conf.h"

#define JWKS_EVERY_S 600
#define JWKS_RETRY_S 15

struct jwks_source;

/* Is this word of trusted_jwks a URL? (Else it is a file.) Its target's name is the URL. */
bool jwks_source_is_url(const char *word);
/* Starts the thread, if there is anything to fetch (*ret_source is NULL otherwise). After courier_start(). */
bool jwks_source_start(const struct kbs_conf *conf, struct courier *courier,
    struct token_trust *trust, struct jwks_source **ret_source, struct err *err) MUST_CHECK;
void jwks_source_stop(struct jwks_source *source); /* NULL is fine */
