/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer of the key broker while it is decrypted, on a thread of the crew or, without one, on the loop's. What is computed there is
 * the opening's own: text, a reference to the key, and the error. All calls are made on the loop's thread.
 */
#pragma once

#include "crypt/base/crew.h"
#include "crypt/jwk.h"

struct opening;

/* `plaintext` is borrowed; NULL on failure. The opening is gone afterwards. */
typedef void opening_fn(void *arg, struct secret *plaintext, const struct err *err);

/* Copies the JWE `text`; refers to the key. */
bool opening_new(struct bytes text, const struct jwk *key, opening_fn *fn, void *arg,
    struct opening **ret_opening, struct err *err) MUST_CHECK;
/* To be called once. Calls back from inside only when `crew` is NULL. */
void opening_start(struct opening *opening, struct crew *crew);
/* Between the start and the call back: there will be none. */
void opening_drop(struct opening *opening);
