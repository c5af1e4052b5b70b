/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom the server may ask over the network (courier.h), as the configuration names them. Who needs one more thing to ask adds it to
 * targets_collect(), and asks for it by the name that stands there.
 */
#pragma once

#include "kbs/server/outbound/courier.h"
#include "kbs/server/kbs_conf.h"

struct targets {
    struct courier_target items[COURIER_TARGETS_MAX];
    struct secret *bearers[COURIER_TARGETS_MAX]; /* of the items */
    size_t count;
};

/* Reads token files, so before privilege is dropped. Texts are borrowed from `conf`. ERR_CONFIG naming the key. */
bool targets_collect(const struct kbs_conf *conf, struct targets *ret_targets, struct err *err)
    MUST_CHECK;
void targets_done(struct targets *targets);
#define auto_targets AUTO_DONE(targets_done) struct targets

/* courier_new() and courier_check() of them, with the proxy of the configuration. */
bool targets_open(const struct kbs_conf *conf, const struct targets *targets,
    struct courier **ret_courier, struct err *err) MUST_CHECK;
bool targets_check(const struct kbs_conf *conf, const struct targets *targets, struct err *err)
    MUST_CHECK;
