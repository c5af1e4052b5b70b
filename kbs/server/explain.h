/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stored explanations of refusals: the guest gets only the id, an administrator reads claim, got,
 * expected and rule. Kept in STORE_EXPLANATION as {"id","time","kind","resource","findings":[…]…}
 * for a bounded time and number. The id is random: not to be guessed, no oracle in its order; the key in the store begins with the
 * time, so that the oldest go first. No id have what only the guest's own program can get wrong: a request that is no message of the
 * protocol, a path that is none, no cookie or token at all, or one that nobody we know made. What anybody on the network can cause (evidence, enrolments) has a pool of its own, so that a
 * flood of it does not push out why a guest with a token was refused.
 */
#pragma once

#include "kbs/server/server.h"

#define EXPLAIN_ID_SIZE 33   /* 32 random hex digits and a NUL */
#define EXPLAIN_COUNT   4096 /* of each pool; the oldest beyond go */
#define EXPLAIN_AGE_S   (30 * 24 * 3600)
#define EXPLAIN_LISTED  100 /* the newest, GET /kbs/v0/explanation */

struct explain_entry {
    /* "evidence", "policy", "resource", "token" (a good one of a guest that gets nothing all the same), "bad token" (it has
     * expired), "session", "enrolment" */
    const char *kind;
    const char *resource; /* "r/t/t", or NULL */
    const char *tee;      /* or NULL */
    const char *agent;    /* id of the enrolled key, or NULL */
    const char *summary;  /* one line for a person */
    const json_t
        *findings; /* [{"claim","got","expected","rule","match"},…]; borrowed; NULL for none */
};

/* Records and gives the id. A finding about a reference value that has expired, or that nobody registered, is given a "note" that says so,
 * with the date or the nearest name there is. A full or broken store must not turn a refusal into anything else: on
 * failure the caller refuses without an id and the error is logged. */
bool explain_record(struct server *server, const struct explain_entry *entry,
    char ret_id[EXPLAIN_ID_SIZE], struct err *err) MUST_CHECK;

/* Appends to the array `findings` how the claims of a token (shaped: {TEE:{…},…}) compare with the
 * reference values of now: why its status may not be affirming. */
bool explain_appraisal(const char *tee, const json_t *shaped, const json_t *reference_values,
    json_t *findings, struct err *err) MUST_CHECK;
