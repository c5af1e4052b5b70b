/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Can secrets be served? Good from an answer of the key brokers (a secret, or tokens of all of them that find the guest affirming) until a
 * broker, the way to it, or the making of evidence fails, or the guest is not in a good state any more; a refusal of one secret is no illness.
 * Before the first answer, and after a failure, asking makes a try of its own in the background (resolver.h: probe), at most one every
 * HEALTH_TRY_MS, so that somebody who only watches learns both that it broke and that it is well again.
 *
 * A guest that is not affirming may still be given secrets by a policy of the broker: the first that it gets makes it good.
 * After a reload it is what it was, and the first question makes a try. Loop thread only.
 */
#pragma once

#include "fs/resolver.h"

#define HEALTH_TRY_MS  5000
#define HEALTH_WAIT_MS 30000

struct health;

bool health_new(struct loop *loop, struct resolver *resolver, struct health **ret_health,
    struct err *err) MUST_CHECK;
void health_free(struct health *health);
DEFINE_AUTO(struct health, health_free);

/* As the worker before this one was. */
void health_inherit(struct health *health);
/* Nothing is served any more that was given before, for the reason in `err`; `resolved` as below. */
void health_distrust(struct health *health, const struct err *err, uint64_t resolved);
/* A resolution failed, after `resolved` ones had been done in all. */
void health_note(struct health *health, const struct err *err, uint64_t resolved);
/* `resolved` as above, until now. False: *ret_why says what is wrong; may start a try. */
bool health_good(struct health *health, uint64_t resolved, struct err *ret_why);
/* The same without a try. */
bool health_known(struct health *health, uint64_t resolved, struct err *ret_why);
