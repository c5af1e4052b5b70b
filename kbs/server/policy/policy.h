/* SPDX-License-Identifier: Apache-2.0 */
// clang-format off
// The embedded resource policy: text that a person can read. One rule a line, the first that matches
// decides, no match denies. `#` starts a comment; blanks separate words.
//
//     line      = [ rule ] [ "#" comment ]
//     rule      = ( "allow" | "deny" ) pattern [ "if" condition { "and" condition } ]
//     pattern   = segment "/" segment "/" segment | "**" | segment "/**" | segment "/" segment "/**"
//     segment   = characters of a resource segment, "*" (any run of them) and "?" (any one)
//     condition = "status" STATUS             affirming | warning | none | contraindicated: that or better
//               | "tee" NAME                  the evidence of cpu0 came from this TEE
//               | "tier" MEMBER "<=" N        of the trust vector; 0 (no claim made) never satisfies it
//               | CLAIM "=" VALUE             "quoted text", integer, true or false
//               | CLAIM "in" "reference-value" NAME
//               | CLAIM "present"             exists and is not null
//
// CLAIM is a dotted path into the shaped claims of cpu0 (ear.veraison.annotated-evidence): tpm.pcr07,
// init_data, init_data_claims.key1, init_data_claims.aa.toml.token_configs.kbs.url. `init-data` stands for
// init_data_claims. Claims of other evidence begin with its submodule: gpu0.sampledevice.svn, cpu1.tpm.pcr07.
// A condition on a missing claim does not hold; a rule applies when all its conditions hold.
//
//     # databases only on machines whose boot is known
//     allow db/**           if status affirming and tpm.pcr07 in reference-value tpm_pcr07
//     allow default/key/*   if status affirming
//     deny  **
// clang-format on
#pragma once

#include "attest/verify/ear.h"
#include "kbs/server/store/store.h"
#include "kbs/uri.h"

#define POLICY_TEXT_MAX  65536
#define POLICY_RULES_MAX 1024
#define POLICY_DEFAULT                                                                            \
    "# Written when no policy is stored: guests in a known good state may have every resource.\n" \
    "allow ** if status affirming\n"

struct policy; /* immutable, so it may be shared between threads */

/* ERR_FORMAT with "line N: …" naming the word and what is accepted. */
bool policy_parse(struct bytes text, struct policy **ret_policy, struct err *err) MUST_CHECK;
void policy_free(struct policy *policy);
DEFINE_AUTO(struct policy, policy_free);
#define auto_policy AUTO(policy_free) struct policy

struct policy_decision {
    bool allowed;
    int line;          /* of the rule that decided; 0: none matched */
    json_t *findings;  /* [{"line","rule","claim","got","expected","match":bool},…] of every rule
                         that was considered */
    char summary[160]; /* policy_engine_decide(): one line for a person */
    struct err cause;  /* why nothing could be decided, which is a denial too; else ERR_OK */
};
void policy_decision_done(struct policy_decision *decision);
#define auto_policy_decision AUTO_DONE(policy_decision_done) struct policy_decision

/* `payload`: of a verified token. `reference_values`: as refvalue_all(). False only for our own
 * failure. */
bool policy_decide(const struct policy *policy, const struct kbs_uri *resource,
    const json_t *payload, const json_t *reference_values, struct policy_decision *ret_decision,
    struct err *err) MUST_CHECK;

/* The stored policy of the embedded language, or POLICY_DEFAULT; a stored text that cannot be read or parsed is an error,
 * never the default. *ret_text (appended to; may be NULL) is the text. */
bool policy_load(struct store *store, struct buf *ret_text, struct policy **ret_policy,
    struct err *err) MUST_CHECK;
