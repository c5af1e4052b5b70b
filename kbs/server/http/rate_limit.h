/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often those may ask whom nobody knows yet: POST /auth, /attest, enrolment, the attestation service. A token bucket for each peer (an
 * IPv4 address, or an IPv6 /64, since who has one address there has them all) and one for all together, in a table of fixed size:
 * a peer that finds no place takes that of the one that was quiet longest, so that a flood from many addresses costs no memory; what it
 * is not stopped by then is the limit for all. Thread-safe.
 */
#pragma once

#include "kbs/server/kbs_conf.h"

#define RATE_LIMIT_SETS 1024 /* of RATE_LIMIT_WAYS peers each */
#define RATE_LIMIT_WAYS 4

struct rate_limit;

/* [server] rate, rate_burst, rate_total; 0 is no limit. */
bool rate_limit_new(const struct kbs_conf *conf, struct rate_limit **ret_limit, struct err *err)
    MUST_CHECK;
void rate_limit_free(struct rate_limit *limit);
DEFINE_AUTO(struct rate_limit, rate_limit_free);
/* Counts one request of `peer` ("ADDRESS:PORT"). False: too many, and nothing is counted; *ret_retry_s (1 or more) says when it is worth
 * another try. `now_ms`: loop_now_ms(). NULL allows everything. */
bool rate_limit_take(struct rate_limit *limit, const char *peer, int64_t now_ms, int *ret_retry_s)
    MUST_CHECK;
