/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/verifier/judge_ground.h"

#include <stdio.h>

bool judge_ground_read(struct judge_ground *ground, struct err *err)
{
    const struct verifier_request *request = ground->request;
    if ((request->anchors.len > 0 && !anchors_new(request->anchors, true, &ground->anchors, err)) ||
        (request->collateral.len > 0 &&
            !collateral_decode(request->collateral, &ground->collateral, err)))
        return err_wrap(err, "what the front gave");
    return true;
}

void judge_ground_done(struct judge_ground *ground)
{
    verdict_done(&ground->verdict);
    anchors_free(ground->anchors);
    collateral_free(ground->collateral);
}

static void merge(struct verdict *all, const struct verdict *one)
{
    for (size_t i = 0; i < one->reason_count; i++)
        verdict_fail(all, one->reasons[i].check, one->reasons[i].got, one->reasons[i].expected);
    for (size_t i = 0; i < one->need_count; i++)
        verdict_need(all, "%s", one->needs[i]);
}

bool judge_piece(struct judge_ground *ground, const struct judge_piece *piece,
    char ret_class[VERIFIER_CLASS_MAX], json_t **ret_claims, struct err *err)
{
    auto_verdict verdict = {0};
    const struct verify_input input = {.evidence = piece->evidence,
        .report_data = piece->report_data,
        .init_data = piece->init_data,
        .unbound = piece->unbound,
        .now = ground->request->now,
        .anchors = ground->anchors,
        .collateral = ground->collateral,
        .collateral_optional = ground->request->collateral_optional,
        .collateral_expired_ok = ground->request->collateral_expired_ok};
    if (!verify_evidence(piece->verifier, &input, &verdict, err))
        return false;
    merge(&ground->verdict, &verdict);
    if (verdict.class_name)
        snprintf(ret_class, VERIFIER_CLASS_MAX, "%s", verdict.class_name);
    *ret_claims = take_ptr(verdict.claims);
    return true;
}

bool judge_settle(const struct judge_ground *ground, struct verifier_answer *answer)
{
    const struct verdict *verdict = &ground->verdict;
    if (verdict->reason_count > 0) {
        judge_refuse(answer, verdict);
        return true;
    }
    if (verdict->need_count == 0)
        return false;
    answer->status = VERIFIER_NEEDS;
    answer->need_count = verdict->need_count;
    memcpy(answer->needs, verdict->needs, sizeof answer->needs);
    return true;
}
