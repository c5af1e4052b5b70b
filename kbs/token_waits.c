/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/token_waits.h"

#include "kbs/session.h"

struct token_wait {
    TAILQ_ENTRY(token_wait) link;
    struct token_waits *waits;
    struct loop_timer *deadline;
    int64_t timeout_ms;
    kbs_token_fn *fn;
    void *arg;
};

void token_waits_init(struct token_waits *waits, struct loop *loop,
    void (*late)(void *arg, int64_t timeout_ms, struct err *ret_err), void *arg)
{
    *waits = (struct token_waits){.loop = loop, .late = late, .arg = arg};
    TAILQ_INIT(&waits->list);
}

static void wait_free(struct token_wait *wait)
{
    TAILQ_REMOVE(&wait->waits->list, wait, link);
    loop_timer_free(wait->deadline);
    free(wait);
}

void token_waits_done(struct token_waits *waits)
{
    if (waits->freed)
        *waits->freed = true;
    while (!TAILQ_EMPTY(&waits->list))
        wait_free(TAILQ_FIRST(&waits->list));
}

bool token_waits_any(const struct token_waits *waits)
{
    return !TAILQ_EMPTY(&waits->list);
}

static void on_deadline(void *arg)
{
    struct token_wait *wait = arg;
    kbs_token_fn *fn = wait->fn;
    void *fn_arg = wait->arg;
    struct err err = ERR_INIT;
    wait->waits->late(wait->waits->arg, wait->timeout_ms, &err);
    wait_free(wait);
    fn(fn_arg, NULL, &err);
}

bool token_waits_add(
    struct token_waits *waits, int64_t timeout_ms, kbs_token_fn *fn, void *arg, struct err *err)
{
    struct token_wait *wait = calloc(1, sizeof *wait);
    if (!wait)
        return err_nomem(err);
    *wait = (struct token_wait){.waits = waits, .timeout_ms = timeout_ms, .fn = fn, .arg = arg};
    if (!loop_timer_new(waits->loop, on_deadline, wait, &wait->deadline, err)) {
        free(wait);
        return false;
    }
    loop_timer_set(wait->deadline, timeout_ms);
    TAILQ_INSERT_TAIL(&waits->list, wait, link);
    return true;
}

bool token_waits_tell(struct token_waits *waits, struct kbs_session *session, const struct err *err)
{
    AUTO(kbs_session_unref) struct kbs_session *held = session ? kbs_session_ref(session) : NULL;
    struct token_wait *wait;
    bool freed = false;
    waits->freed = &freed;
    while ((wait = TAILQ_FIRST(&waits->list))) {
        kbs_token_fn *fn = wait->fn;
        void *arg = wait->arg;
        wait_free(wait);
        fn(arg, held ? kbs_session_token(held) : NULL, err);
        if (freed)
            return false;
    }
    waits->freed = NULL;
    return true;
}
