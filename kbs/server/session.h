/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions (protocol.md A.1, A.2): nonce and cookie are stateless until used: both carry a MAC and
 * an expiry. A used nonce is recorded (STORE_NONCE) at /attest and spent at the first verification;
 * a byte-identical retry gets the token already made.
 */
#pragma once

#include "kbs/server/server.h"

/* The token of the attested, unexpired session that this Cookie header names (malloc'd); NULL when
 * it names none. */
bool session_token(
    struct server *server, const char *cookie_header, char **ret_token, struct err *err) MUST_CHECK;
