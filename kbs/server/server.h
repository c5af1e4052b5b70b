/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every handler is given. Made once in kbsd.c, constant while requests run, so handlers on
 * many threads may use it at once; what changes lives behind `store` (nothing is cached in the
 * process: any number of replicas may share a store) or in an object that locks itself. Handlers
 * reach time through server_now(), so that tests can set it.
 */
#pragma once

#include <stdint.h>

#include "attest/verify/ear.h"
#include "kbs/server/kbs_conf.h"
#include "kbs/server/http/route.h"
#include "kbs/server/store/store.h"

struct admin;             /* admin.h */
struct admission;         /* admission.h */
struct collateral_source; /* collateral_source.h */
struct courier;           /* courier.h */
struct policy_engine;     /* policy_engine.h */
struct verifiers;         /* verifier.h */
struct webhook;           /* webhook.h */
struct rate_limit;        /* http/rate_limit.h */
struct publishers;        /* publisher.h */
struct jwks_source;       /* jwks_source.h */
struct sessions;          /* session.h */
struct token_keys;        /* token_keys.h */

struct server {
    const struct kbs_conf *conf;
    struct store *store;
    struct admin *admin;
    struct publishers *publishers;   /* of signed reference values */
    struct admission *admission;     /* NULL: no list */
    struct webhook *webhook;         /* NULL: nobody is told of agents that are shut out */
    struct rate_limit *rate_limit;   /* NULL: no limit */
    struct jwks_source *jwks_source; /* NULL: no key set comes by URL */
    struct ear_signer signer;
    struct token_keys *token_keys; /* whose tokens are taken */
    struct sessions *sessions;
    struct verifiers *verifiers;          /* the sandboxed child processes */
    struct courier *courier;              /* what asks others over the network */
    struct collateral_source *collateral; /* what evidence needs; NULL: nothing is to be had */
    struct policy_engine *policy_engine;  /* its alarm and counters; NULL: none are kept */
    int64_t (*clock)(void);               /* unix seconds; NULL: time(2) */
};

int64_t server_now(const struct server *server);
