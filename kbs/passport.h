/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passport mode: somebody else attested this guest and hands over the token together with the private key that it is bound to, in the form that
 * CoCo's attestation agent gives them out (protocol.md G.3, GET /aa/token?token_type=kbs):
 *
 *     {"token":"<JWT>","tee_keypair":"<private key, PEM (EC or RSA) or a JWK as text>"}
 *
 * Exactly these two members. The text holds a key, so it is walked in locked memory. It comes from a file, which is read anew whenever a
 * token is wanted, or from a descriptor that is read to its end (the output of a command). There is no nonce in it, so its times are compared
 * with this machine's clock. Loop thread only.
 */
#pragma once

#include "crypt/base/loop.h"
#include "crypt/jwk.h"
#include "kbs/session.h"

#define PASSPORT_MAX 65536

/* A descriptor that gives the text until its end; the caller's. */
typedef bool passport_open_fn(void *arg, int *ret_fd, struct err *err);

struct passport_conf {
    const char *file;       /* NULL: none. As conf_credential takes it, its group may read it */
    passport_open_fn *open; /* NULL: none. Not both; neither: no passport mode */
    void *arg;
    const char *command; /* with `open`: how it is called in errors */
    int64_t timeout_ms;
};

struct passport;
/* `session` NULL on failure, else borrowed. ERR_ATTEST: what is wrong with the token, or that none came. */
typedef void passport_fn(void *arg, struct kbs_session *session, const struct err *err);

/* The text alone, for tests and fuzzing. `token` is malloc'd and the caller's to wipe. */
bool passport_parse(struct bytes text, char **ret_token, struct jwk **ret_key, struct err *err)
    MUST_CHECK;
/* Calls back exactly once, never from inside, unless freed before; freeing inside is fine. Borrows `conf`. */
bool passport_new(struct loop *loop, const struct passport_conf *conf, passport_fn *fn, void *arg,
    struct passport **ret_passport, struct err *err) MUST_CHECK;
void passport_free(struct passport *passport);
DEFINE_AUTO(struct passport, passport_free);
