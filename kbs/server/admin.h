/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Administrators (protocol.md A.5): nobody unless configured; otherwise a bearer JWT signed by one
 * of the configured public keys (JWK or PEM files; ES256, ES384, RS256, EdDSA with Ed25519), with `exp` (60 s leeway,
 * nbf alike) and a text claim `role`; `iss` and `aud` are compared when configured. Then the role's
 * list of endpoint patterns: POSIX extended regular expressions that begin with
 * "^/kbs" and end with "$", matched against the raw URI in normal form, without and with its query. Role "admin"
 * without a list: everything under /kbs.
 */
#pragma once

#include "kbs/server/kbs_conf.h"
#include "kbs/server/http/route.h"

struct admin;

/* Reads the key files. ERR_CONFIG. */
bool admin_new(const struct kbs_conf *conf, struct admin **ret_admin, struct err *err) MUST_CHECK;
void admin_free(struct admin *admin);
DEFINE_AUTO(struct admin, admin_free);

/* `authorization` is the header's value or NULL; `target` the normal form of the URI with its
 * query. ERR_DENIED_LOCAL. */
bool admin_check(const struct admin *admin, const char *authorization, const char *target,
    int64_t now, char ret_name[REQUEST_ADMIN_MAX], struct err *err) MUST_CHECK;
/* Whether the token itself is good, whatever its role may do: who is known and may not (403), and who is not known (401). */
bool admin_authentic(const struct admin *admin, const char *authorization, int64_t now);
