/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who decides: the embedded language (policy.h), or Rego in Open Policy Agent ([policy] engine). A policy is a text under an id:
 *
 *     resource-policy            which guest gets which resource
 *     POLICYID_CLASS             with engine = opa: how a piece of evidence of that class is appraised, in place of the built-in
 *                                rules; policy id "default" is the one that is asked, so "default_cpu", "default_gpu"…
 *
 * Stored in STORE_POLICY under the names that Trustee gives its files (resource-policy.rego); each engine has a resource policy of its own, so
 * going from one to the other and back loses nothing. Every text that was set is kept (policy_versions.h).
 *
 * A policy that fails, and an engine that is down or slow, deny; the log has it as an error at once, and again every minute while it
 * lasts, the guest's explanation has it, and the counters. Thread-safe.
 */
#pragma once

#include "attest/verify/ear.h"
#include "kbs/server/policy/policy.h"
#include "kbs/server/server.h"

#define POLICY_RESOURCE "resource-policy"
#define POLICY_ID_MAX   64

/* In force with engine = opa while no policy is stored: what POLICY_DEFAULT says. */
extern const char policy_default_rego[];

bool policy_engine_new(struct policy_engine **ret_engine, struct err *err) MUST_CHECK;
void policy_engine_free(struct policy_engine *engine);
struct policy_stats {
    uint64_t allowed, denied;
    uint64_t failed; /* of those denied: nothing could be decided */
};
struct policy_stats policy_engine_stats(struct policy_engine *engine); /* NULL is fine: zeroes */

struct policy_question {
    const struct kbs_uri *resource;
    const char *query;     /* of the request, as sent; NULL: none */
    const json_t *payload; /* of a verified token */
    const json_t *values;  /* as refvalue_all() */
    struct bytes text;     /* to be tried instead of the stored one; `data` NULL: the stored one */
    json_t **ret_trace;    /* engine = opa: what was evaluated, [{"line","text"},…]; or NULL */
};
/* False only when the policy cannot even be read, or memory is out. */
bool policy_engine_decide(struct server *server, const struct policy_question *question,
    struct policy_decision *ret_decision, struct err *err) MUST_CHECK;

/* Replaces the built-in appraisal when there is a policy for this class of evidence. False: it failed, or could not be asked. */
bool policy_engine_appraise(struct server *server, const struct ear_piece *piece,
    const json_t *values, struct appraisal *appraisal, struct err *err) MUST_CHECK;
/* The same with a given text and claims that are shaped already; ret_trace or NULL. */
bool policy_engine_try_appraise(struct server *server, struct bytes text, const json_t *shaped,
    const json_t *values, struct appraisal *appraisal, json_t **ret_trace, struct err *err)
    MUST_CHECK;

/* "resource-policy", or letters, digits, '_' and '-'. */
bool policy_id_ok(const char *id) MUST_CHECK;
/* Without a policy under `id`: the default resource policy, or ERR_NOTFOUND. `version` 0: the one in force. */
bool policy_engine_text(struct server *server, const char *id, uint32_t version, struct buf *text,
    struct err *err) MUST_CHECK;
/* Checks, keeps as a version, and puts in force. ERR_FORMAT with "line N: …" and the remedy; ERR_CONFIG: not with this engine. */
bool policy_engine_set(struct server *server, const char *id, struct bytes text, const char *who,
    uint32_t *ret_version, struct err *err) MUST_CHECK;
/* Back to the built-in appraisal, or to the default resource policy. ERR_NOTFOUND. */
bool policy_engine_unset(struct server *server, const char *id, struct err *err) MUST_CHECK;
bool policy_engine_versions(
    struct server *server, const char *id, json_t **ret_list, struct err *err) MUST_CHECK;
/* Ids of the attestation policies that are stored: an array of texts. */
bool policy_engine_ids(struct server *server, json_t **ret_ids, struct err *err) MUST_CHECK;
