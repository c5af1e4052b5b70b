/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/verification.h"

#include <stdio.h>

/* Devices need the same permission as primary evidence. A name that is cut off permits nothing. */
static void list_tees(const struct kbs_conf *conf, char ret_list[VERIFIER_TEES_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < conf->attestation.tees.count && len < VERIFIER_TEES_MAX; i++)
        len += (size_t)snprintf(ret_list + len, VERIFIER_TEES_MAX - len, "%s%s", i > 0 ? " " : "",
            conf->attestation.tees.items[i]);
}

/* There is no source of collateral: evidence must bring what it needs, or its vendor's certificates are among [attestation] roots. */
bool verification_ask(struct server *server, struct verifier_request *request, struct buf *message,
    struct verifier_answer *ret_answer, struct err *err)
{
    const struct kbs_conf *conf = server->conf;
    request->now = server_now(server);
    request->collateral_optional = conf->attestation.tdx_collateral == KBS_COLLATERAL_OPTIONAL;
    request->collateral_expired_ok = conf->attestation.collateral_expired == KBS_EXPIRED_REPORT;
    list_tees(conf, request->device_tees);
    if (!verifier_ask(server->verifiers, request, NULL, message, ret_answer, err))
        return false;
    verifier_answer_refuse_needs(ret_answer, NULL);
    return true;
}

bool verification_findings(
    const struct verifier_answer *answer, json_t **ret_findings, struct err *err)
{
    auto_json *findings = json_array();
    if (!findings)
        return err_nomem(err);
    for (size_t i = 0; i < answer->reason_count; i++) {
        const struct verify_reason *reason = &answer->reasons[i];
        auto_json *finding = NULL;
        if (!json_build(&finding, err, "{s:s, s:s, s:s, s:s, s:b}", "claim", reason->check, "got",
                reason->got, "expected", reason->expected, "rule", "check of the evidence", "match",
                0))
            return false;
        if (json_array_append(findings, finding) != 0)
            return err_nomem(err);
    }
    *ret_findings = take_ptr(findings);
    return true;
}
