/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents: attestation keys that went through enrolment (DESIGN.md, "Enrolment"), in STORE_AGENT.
 * Only an admitted key's evidence is appraised, and a token stops working the moment its key is no
 * longer admitted.
 */
#pragma once

#include "kbs/server/server.h"

/* Is this attestation key (DER SubjectPublicKeyInfo) enrolled and admitted now? *ret_id (may be
 * NULL) is the agent's id: hex SHA-256 of the SPKI, given in either case. False only when the store
 * failed. */
#define AGENT_ID_SIZE 65
bool agent_admitted(struct server *server, struct bytes ak_spki, bool *ret_admitted,
    char ret_id[AGENT_ID_SIZE], struct err *err) MUST_CHECK;
