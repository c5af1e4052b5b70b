/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/vigil.h"

#include <stdio.h>

#define LEAVE_PATH "/kbs/v0/agent/leave"
#define URL_SIZE   2200
#define ANSWER_MAX 65536

bool vigil_init(
    struct vigil *vigil, struct loop *loop, bool always, loop_fn *fn, void *arg, struct err *err)
{
    vigil->always = always;
    vigil->active = false;
    return loop_timer_new(loop, fn, arg, &vigil->timer, err);
}

void vigil_done(struct vigil *vigil)
{
    loop_timer_free(take_ptr(vigil->timer));
}

void vigil_took(struct vigil *vigil, const struct kbs_session *session, int64_t now_ms)
{
    vigil->active = vigil->always || kbs_session_watched(session);
    if (!vigil->active)
        return;
    int64_t wait = kbs_session_renew_ms(session) - now_ms;
    int64_t lead = wait / 10 < VIGIL_LEAD_MS ? wait / 10 : VIGIL_LEAD_MS;
    loop_timer_set(vigil->timer, wait > lead ? wait - lead : 0);
}

void vigil_failed(struct vigil *vigil, const struct err *err)
{
    if (vigil->active)
        loop_timer_set(
            vigil->timer, err->code == ERR_DENIED_POLICY ? VIGIL_REFUSED_MS : VIGIL_RETRY_MS);
}

bool vigil_leave(struct http *http, const char *url, const struct kbs_session *session,
    int64_t timeout_ms, http_fn *fn, void *arg, struct http_call **ret_call, struct err *err)
{
    char text[URL_SIZE];
    snprintf(text, sizeof text, "%s" LEAVE_PATH, url);
    const struct http_request request = {.method = "POST",
        .url = text,
        .body = bytes_str("{}"),
        .bearer = kbs_session_token(session),
        .timeout_ms = timeout_ms,
        .response_max = ANSWER_MAX};
    return http_send(http, &request, fn, arg, ret_call, err);
}
