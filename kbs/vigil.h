/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Continuous attestation, the guest's side: when to attest in the background, so that a token never ends while it may be needed and the
 * KBS sees this guest as often as it wishes (proto.h, "attest-in"), and the word with which a guest leaves. On for a KBS that wishes it, or
 * always when the configuration says so. Used by client.c alone, which makes the handshakes. Loop thread only.
 */
#pragma once

#include "kbs/http.h"
#include "kbs/session.h"

#define VIGIL_LEAD_MS 5000 /* before the wish, or a tenth of the time until then if that is less */
#define VIGIL_RETRY_MS \
    2000 /* after one that could not be made, besides the client's own back-off */
#define VIGIL_REFUSED_MS \
    60000 /* after one that was refused: an administrator may have admitted the guest again */

struct vigil {
    struct loop_timer *timer;
    bool always; /* as configured */
    bool active; /* there was a session that asks for it */
};

/* `fn` runs when a handshake is to be made now. */
bool vigil_init(struct vigil *vigil, struct loop *loop, bool always, loop_fn *fn, void *arg,
    struct err *err) MUST_CHECK;
void vigil_done(struct vigil *vigil);
/* A session came. */
void vigil_took(struct vigil *vigil, const struct kbs_session *session, int64_t now_ms);
/* A handshake failed with `err`. */
void vigil_failed(struct vigil *vigil, const struct err *err);

/* POST /kbs/v0/agent/leave under this session: `fn` hears the answer, or that there was none. */
bool vigil_leave(struct http *http, const char *url, const struct kbs_session *session,
    int64_t timeout_ms, http_fn *fn, void *arg, struct http_call **ret_call, struct err *err)
    MUST_CHECK;
