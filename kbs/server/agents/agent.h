/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents: attestation keys that went through enrolment (DESIGN.md, "Enrolment"), in STORE_AGENT under their id as
 * {"id","ak_public" (standard base64 of the DER SPKI),"ek_sha256" (or null),"created" (RFC 3339),"state"} and, where known,
 * "uuid" (of the machine), "tags" (an object of texts), "since", "reason" and "by" of the last change of state.
 * Only an admitted key's evidence is appraised, and a token stops working the moment its key is no longer admitted.
 *
 * An admission may end: "until" (RFC 3339) is written with it, and from that second on the state is expired, which nobody has to write.
 *
 *     registered -> admitted -> expired | failed | late | duplicate | revoked -> (an administrator admits) -> admitted
 *
 * The server itself gates: it writes failed (the appraisal is not affirming, where that is asked for), late (attendance.h) and duplicate (two
 * machines enrolled under one UUID: both are gated, since nobody can tell which is right). Whatever is written at the same time as an
 * administrator's word, nobody but an administrator, or a rule that one made, ever writes admitted, so no race admits.
 * "uuid/UUID" in the same space says which agent has a UUID.
 */
#pragma once

#include "kbs/server/server.h"

/* hex SHA-256 of the SPKI */
#define AGENT_ID_SIZE    65
#define AGENT_PREFIX_MIN 8
#define AGENT_SPKI_MAX   1024
#define AGENT_UUID_SIZE  37
#define AGENT_TAGS_MAX   16
#define AGENT_TAG_MAX    64 /* characters of a name or a value */

/* Is this attestation key (DER SubjectPublicKeyInfo) enrolled and admitted now? *ret_id (may be
 * NULL) is the agent's id, given in either case. False only when the store
 * failed. */
bool agent_admitted(struct server *server, struct bytes ak_spki, bool *ret_admitted,
    char ret_id[AGENT_ID_SIZE], struct err *err) MUST_CHECK;
/* The record of this attestation key, whatever its state; NULL: it is not enrolled. *ret_id in either case. */
bool agent_by_key(struct server *server, struct bytes ak_spki, char ret_id[AGENT_ID_SIZE],
    json_t **ret_agent, struct err *err) MUST_CHECK;
/* Is there an agent of this id, whatever its state? */
bool agent_enrolled(struct server *server, const char *id, bool *ret_enrolled, struct err *err)
    MUST_CHECK;

enum agent_state {
    AGENT_REGISTERED,
    AGENT_ADMITTED,
    AGENT_FAILED,
    AGENT_LATE,
    AGENT_DUPLICATE,
    AGENT_REVOKED,
    AGENT_EXPIRED, /* of agent_state_at() only */
    AGENT_STATE_COUNT
};
const char *agent_state_name(enum agent_state state);
enum agent_state agent_state_of(const json_t *agent); /* what is no known state counts as revoked */
/* The same, with the end of an admission looked at. An "until" that cannot be read has passed. */
enum agent_state agent_state_at(const json_t *agent, int64_t now);

/* A new agent, or the one that is there: enrolling again changes nothing (a revoked key stays revoked).
 * `ek_sha256`: hex, NULL for a key without EK certificate. *ret_agent is the record. */
bool agent_create(struct server *server, struct bytes ak_spki, const char *ek_sha256,
    enum agent_state state, json_t **ret_agent, struct err *err) MUST_CHECK;
/* `name` is an id, its first AGENT_PREFIX_MIN or more digits, or a UUID. ERR_NOTFOUND, ERR_FORMAT (not unique, no id). */
bool agent_find(struct server *server, const char *name, json_t **ret_agent, struct err *err)
    MUST_CHECK;
/* `by`: the administrator; NULL: the server itself. `reason`: for people, or NULL. The record is changed with it. */
bool agent_set_state(struct server *server, json_t *agent, enum agent_state state, const char *by,
    const char *reason, struct err *err) MUST_CHECK;
/* From admitted (duplicate: from registered, too) to `state`; *ret_gated false: it was not in such a state, and nothing changed. */
bool agent_gate(struct server *server, const char *id, enum agent_state state, const char *reason,
    bool *ret_gated, struct err *err) MUST_CHECK;
bool agent_put(struct server *server, const json_t *agent, struct err *err) MUST_CHECK;
/* Notes members of the record as it is now, not as the caller read it: an administrator may have revoked it meanwhile. What it says
 * already is not written again. */
bool agent_note(struct server *server, const char *id, const char *name, json_t *value,
    struct err *err) MUST_CHECK;
/* Lower-case hexadecimal, 8-4-4-4-12. */
bool agent_uuid_ok(const char *uuid);
/* Notes that this agent has the UUID. The same machine (EK) may come with another key; another one makes *ret_other the id of the agent
 * that has the UUID now ("" else), and nothing is changed. */
bool agent_claim_uuid(struct server *server, const json_t *agent, const char *uuid,
    char ret_other[AGENT_ID_SIZE], struct err *err) MUST_CHECK;
/* The same for an administrator who says which of two is right: no question. */
bool agent_assign_uuid(
    struct server *server, const json_t *agent, const char *uuid, struct err *err) MUST_CHECK;
bool agent_delete(struct server *server, const json_t *agent, struct err *err) MUST_CHECK;
/* An array of records. */
bool agent_list(struct server *server, json_t **ret_agents, struct err *err) MUST_CHECK;
