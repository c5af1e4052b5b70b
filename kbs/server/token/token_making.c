/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/token/token_making.h"

#include "kbs/server/policy/policy_engine.h"
#include "kbs/server/refvalue.h"

_Static_assert(TOKEN_PIECES_MAX <= EAR_PIECES_MAX, "a token holds them all");

void token_making_done(struct token_making *making)
{
    json_unref(making->values);
    json_unref(making->runtime);
    json_unref(making->device_runtime);
    for (size_t i = 0; i < making->count; i++)
        appraisal_done(&making->appraisals[i]);
    *making = (struct token_making){0};
}

/* By the built-in rules, or by the administrator's policy for this class. */
static bool add_piece(struct server *server, struct token_making *making,
    const struct ear_piece *piece, struct err *err)
{
    struct appraisal *appraisal = &making->appraisals[making->count];
    if (!appraise(piece->tee, piece->claims, making->values, appraisal, err))
        return false;
    making->pieces[making->count] = *piece;
    making->pieces[making->count++].appraisal = appraisal;
    return policy_engine_appraise(server, piece, making->values, appraisal, err);
}

/* The runtime data of evidence with devices has their evidence in it, as text: the token leaves it out, since it holds their claims. */
static bool make_runtime(struct token_making *making, const char *nonce,
    const struct verifier_answer *answer, struct err *err)
{
    const char *additional = answer->device_count == 0 ? "" : NULL;
    return json_build(&making->runtime, err, "{s:s*, s:s, s:O}", "additional-evidence", additional,
               "nonce", nonce, "tee-pubkey", answer->tee_pubkey) &&
           json_build(&making->device_runtime, err, "{s:s, s:O}", "nonce", nonce, "tee-pubkey",
               answer->tee_pubkey);
}

static bool add_pieces(struct server *server, const char *tee, const struct verifier_answer *answer,
    struct token_making *making, struct err *err)
{
    const struct ear_piece primary = {.tee = tee,
        .class_name = answer->class_name,
        .claims = answer->claims,
        .runtime_data = making->runtime,
        .init_data_claims = answer->init_data_claims};
    if (!add_piece(server, making, &primary, err))
        return false;
    for (size_t i = 0; i < answer->device_count; i++) {
        const struct verifier_device *device = &answer->devices[i];
        const struct ear_piece piece = {.tee = device->tee,
            .class_name = device->class_name,
            .claims = device->claims,
            .runtime_data = making->device_runtime};
        if (!add_piece(server, making, &piece, err))
            return false;
    }
    return true;
}

bool token_making_appraise(struct server *server, const char *tee, const char *nonce,
    const struct verifier_answer *answer, struct token_making *ret_making, struct err *err)
{
    return refvalue_all(server->store, server_now(server), &ret_making->values, err) &&
           make_runtime(ret_making, nonce, answer, err) &&
           add_pieces(server, tee, answer, ret_making, err);
}

bool token_making_rest(struct server *server, const struct verifier_answer *answer,
    struct token_making *ret_making, struct err *err)
{
    ret_making->unasked = true;
    if (!refvalue_all(server->store, server_now(server), &ret_making->values, err))
        return false;
    for (size_t i = 0; i < answer->device_count; i++) {
        const struct verifier_device *device = &answer->devices[i];
        const struct ear_piece piece = {.tee = device->tee,
            .class_name = device->class_name,
            .claims = device->claims,
            .runtime_data = device->runtime_data,
            .init_data_claims = device->init_data_claims};
        if (!add_piece(server, ret_making, &piece, err))
            return false;
    }
    return true;
}

bool token_making_issue(
    struct server *server, const struct token_making *making, char **ret_token, struct err *err)
{
    const struct ear_input input = {.pieces = making->pieces,
        .count = making->count,
        .unasked = making->unasked,
        .issued_at = server_now(server)};
    return ear_issue(&server->signer, &input, ret_token, err);
}
