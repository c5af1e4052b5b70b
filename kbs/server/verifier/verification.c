/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/verifier/verification.h"

#include <stdio.h>

#include "attest/verify/anchors.h"
#include "kbs/server/outbound/collateral_source.h"

#define ROUNDS 3 /* of asking: an object that was got may show that another is needed */

/* Devices need the same permission as primary evidence. A name that is cut off permits nothing. */
static void list_tees(const struct kbs_conf *conf, char ret_list[VERIFIER_TEES_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < conf->attestation.tees.count && len < VERIFIER_TEES_MAX; i++)
        len += (size_t)snprintf(ret_list + len, VERIFIER_TEES_MAX - len, "%s%s", i > 0 ? " " : "",
            conf->attestation.tees.items[i]);
}

/* Why a need could not be met; of the last round. */
struct lack {
    char name[COLLATERAL_NAME_MAX], why[256];
};
struct lacks {
    struct lack items[VERIFY_NEEDS_MAX];
    size_t count;
};

/* AMD's CRLs are named by no verifier as needed: whoever has them in the cache wants them looked at. */
static bool add_amd_crls(struct server *server, const struct verifier_request *request,
    int64_t deadline_ms, struct collateral *set, struct err *err)
{
    for (int i = 0; strstr(request->device_tees, "snp") && i < AMD_GENERATION_COUNT; i++) {
        auto_collateral_record record = {0};
        struct err cause = ERR_INIT;
        char name[COLLATERAL_NAME_MAX];
        snprintf(name, sizeof name, "amd/crl/%s", amd_generation_name((enum amd_generation)i));
        if (!collateral_cache_get(server->store, name, &record, &cause)) {
            if (cause.code == ERR_NOTFOUND)
                continue;
            *err = cause;
            return false;
        }
        if (!collateral_source_get(server->collateral, name, request->now, deadline_ms, set, err))
            return false;
    }
    return true;
}

/* False only for trouble of our own. *ret_more: there is something that was not there before. */
static bool get_needs(struct server *server, const struct verifier_request *request,
    const struct verifier_answer *answer, int64_t deadline_ms, struct collateral *set,
    struct lacks *lacks, bool *ret_more, struct err *err)
{
    *ret_more = false;
    lacks->count = 0;
    for (size_t i = 0; i < answer->need_count; i++) {
        struct lack *lack = &lacks->items[lacks->count];
        struct err why = ERR_INIT;
        const char *name = answer->needs[i];
        struct bytes body;
        if (collateral_get(set, name, &body, NULL))
            snprintf(why.message, sizeof why.message, "of no use");
        else if (collateral_source_get(
                     server->collateral, name, request->now, deadline_ms, set, &why))
            *ret_more = true;
        if (why.code == ERR_NOMEM || why.code == ERR_IO || why.code == ERR_INTERNAL) {
            *err = why;
            return false;
        }
        if (why.message[0] == '\0')
            continue;
        snprintf(lack->name, sizeof lack->name, "%s", name);
        snprintf(lack->why, sizeof lack->why, "%.250s", why.message);
        lacks->count++;
    }
    return true;
}

static void refuse_needs(struct verifier_answer *answer, const struct lacks *lacks)
{
    struct verdict verdict = {0};
    for (size_t i = 0; i < answer->need_count; i++) {
        const char *why = "not available";
        for (size_t j = 0; j < lacks->count; j++)
            why = strcmp(lacks->items[j].name, answer->needs[i]) == 0 ? lacks->items[j].why : why;
        verdict_fail(&verdict, "collateral", why, answer->needs[i]);
    }
    answer->status = VERIFIER_REFUSED;
    answer->need_count = 0;
    answer->reason_count = verdict.reason_count;
    memcpy(answer->reasons, verdict.reasons, sizeof answer->reasons);
}

static bool ask_once(struct server *server, struct verifier_request *request,
    const struct collateral *set, struct buf *message, struct verifier_answer *ret_answer,
    struct err *err)
{
    auto_buf collateral = BUF_INIT(COLLATERAL_TOTAL_MAX);
    if (collateral_count(set) > 0 && !collateral_encode(set, &collateral, err))
        return false;
    verifier_answer_done(ret_answer);
    *ret_answer = (struct verifier_answer){0};
    buf_truncate(message, 0);
    request->collateral = buf_bytes(&collateral);
    bool done = verifier_ask(server->verifiers, request, NULL, message, ret_answer, err);
    request->collateral = BYTES_EMPTY;
    return done;
}

/* What is optional counts all the same where it is to be had: so it is asked for first. */
static bool ask_all(struct server *server, struct verifier_request *request, struct collateral *set,
    struct buf *message, struct verifier_answer *ret_answer, struct err *err)
{
    struct lacks lacks = {0};
    bool optional = server->conf->attestation.tdx_collateral == KBS_COLLATERAL_OPTIONAL;
    bool more = server->collateral != NULL;
    int64_t deadline_ms = more ? collateral_source_deadline(server->collateral) : 0;
    if (more && !add_amd_crls(server, request, deadline_ms, set, err))
        return false;
    for (int round = 0; round < ROUNDS; round++) {
        if (!ask_once(server, request, set, message, ret_answer, err))
            return false;
        if (ret_answer->status != VERIFIER_NEEDS || !more)
            break;
        if (!get_needs(server, request, ret_answer, deadline_ms, set, &lacks, &more, err))
            return false;
        if (!more)
            break;
    }
    if (ret_answer->status == VERIFIER_NEEDS && optional) {
        request->collateral_optional = true;
        if (!ask_once(server, request, set, message, ret_answer, err))
            return false;
    }
    if (ret_answer->status == VERIFIER_NEEDS)
        refuse_needs(ret_answer, &lacks);
    return true;
}

bool verification_ask(struct server *server, struct verifier_request *request, struct buf *message,
    struct verifier_answer *ret_answer, struct err *err)
{
    auto_collateral *set = NULL;
    request->now = server_now(server);
    request->collateral_optional = false;
    request->collateral_expired_ok =
        server->conf->attestation.collateral_expired == KBS_EXPIRED_REPORT;
    list_tees(server->conf, request->device_tees);
    return collateral_new(&set, err) && ask_all(server, request, set, message, ret_answer, err);
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
