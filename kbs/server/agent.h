/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents: attestation keys that went through enrolment (DESIGN.md, "Enrolment"), in STORE_AGENT as
 * {"id","ak_public" (standard base64 of the DER SPKI),"ek_sha256" (or null),"created" (RFC 3339),"state"}.
 * Only an admitted key's evidence is appraised, and a token stops working the moment its key is no
 * longer admitted.
 */
#pragma once

#include "kbs/server/server.h"

/* hex SHA-256 of the SPKI */
#define AGENT_ID_SIZE    65
#define AGENT_PREFIX_MIN 8
#define AGENT_SPKI_MAX   1024

/* Is this attestation key (DER SubjectPublicKeyInfo) enrolled and admitted now? *ret_id (may be
 * NULL) is the agent's id, given in either case. False only when the store
 * failed. */
bool agent_admitted(struct server *server, struct bytes ak_spki, bool *ret_admitted,
    char ret_id[AGENT_ID_SIZE], struct err *err) MUST_CHECK;
/* Is there an agent of this id, whatever its state? */
bool agent_enrolled(struct server *server, const char *id, bool *ret_enrolled, struct err *err)
    MUST_CHECK;

enum agent_state { AGENT_PENDING, AGENT_ADMITTED, AGENT_REVOKED };
const char *agent_state_name(enum agent_state state);

/* A new agent, or the one that is there: enrolling again changes nothing (a revoked key stays revoked).
 * `ek_sha256`: hex, NULL for a key without EK certificate. *ret_agent is the record. */
bool agent_create(struct server *server, struct bytes ak_spki, const char *ek_sha256,
    enum agent_state state, json_t **ret_agent, struct err *err) MUST_CHECK;
/* `name` is an id or its first AGENT_PREFIX_MIN or more digits. ERR_NOTFOUND, ERR_FORMAT (not unique, no id). */
bool agent_find(struct server *server, const char *name, json_t **ret_agent, struct err *err)
    MUST_CHECK;
bool agent_set_state(struct server *server, json_t *agent, enum agent_state state, struct err *err)
    MUST_CHECK;
bool agent_delete(struct server *server, const json_t *agent, struct err *err) MUST_CHECK;
/* An array of records. */
bool agent_list(struct server *server, json_t **ret_agents, struct err *err) MUST_CHECK;
