/* SPDX-License-Identifier: Apache-2.0 */
/* What every piece of evidence in one request is judged by: the operator's anchors beside the pins, collateral, and one verdict for all. */
#pragma once

#include "kbs/server/verifier/verifier_judge.h"

struct judge_ground {
    const struct verifier_request *request;
    struct verdict verdict; /* reasons and needs of all pieces; no claims */
    struct anchors *anchors;
    struct collateral *collateral;
};

/* `ground` has its request and is zeroed otherwise. */
bool judge_ground_read(struct judge_ground *ground, struct err *err) MUST_CHECK;
void judge_ground_done(struct judge_ground *ground);

struct judge_piece {
    const struct verifier *verifier;
    const json_t *evidence;
    struct bytes report_data, init_data;
    bool unbound; /* as in struct verify_input */
};
/* *ret_claims NULL: refused or undecided, as ground->verdict says then. */
bool judge_piece(struct judge_ground *ground, const struct judge_piece *piece,
    char ret_class[VERIFIER_CLASS_MAX], json_t **ret_claims, struct err *err) MUST_CHECK;
/* The answer becomes a refusal or a list of needs when the verdict is one; false: neither. */
bool judge_settle(const struct judge_ground *ground, struct verifier_answer *answer);
