/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy was before: each text that was set is kept in STORE_POLICY as "versions/ID/NNNNNNNN" (eight digits, from 1) with who set
 * it and when, {"version","set_at","set_by","policy"}. The newest `keep` stay. A number is given once, also by replicas that
 * share the store.
 */
#pragma once

#include "kbs/server/store/store.h"

#define POLICY_VERSIONS_MAX 1000

struct policy_version {
    const char *
        id; /* "resource-policy", "resource-policy.rego", "attestation/default_cpu.rego": a store key */
    const char *who; /* NULL: not known */
    int64_t now;
    int64_t keep;
};
/* *ret_number is the one that it got. */
bool policy_versions_add(struct store *store, const struct policy_version *version,
    struct bytes text, uint32_t *ret_number, struct err *err) MUST_CHECK;
/* [{"version","set_at","set_by","bytes"},…], the newest first. */
bool policy_versions_list(struct store *store, const char *id, json_t **ret_list, struct err *err)
    MUST_CHECK;
/* ERR_NOTFOUND naming those that there are. */
bool policy_versions_get(struct store *store, const char *id, uint32_t number, struct buf *text,
    struct err *err) MUST_CHECK;
