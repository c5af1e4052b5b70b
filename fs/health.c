/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/health.h"

#include <stdlib.h>

struct health {
    struct loop *loop;
    struct resolver *resolver;
    struct resolver_call *call; /* of a try */
    int64_t tried_ms;
    bool tried, good;
    uint64_t resolved; /* when it failed last: one more, and it is well again */
    struct err why;
};

/* What other secrets would meet as well. Not ERR_CONFIG: one sealed string that names a broker nobody configured is its own fault, and
 * where no broker is configured at all nobody was ever well. */
static bool is_illness(enum err_code code)
{
    switch (code) {
    case ERR_UNREACH:
    case ERR_TIMEOUT:
    case ERR_ATTEST:
    case ERR_STALE:
    case ERR_NOMEM:
    case ERR_INTERNAL:
        return true;
    default:
        return false;
    }
}

void health_note(struct health *health, const struct err *err, uint64_t resolved)
{
    if (!is_illness(err->code))
        return;
    health->good = false;
    health->why = *err;
    health->resolved = resolved;
}

/* Here a refusal counts: without a token nothing is served. */
static void on_tried(void *arg, const struct resolve_result *result, const struct err *err)
{
    struct health *health = arg;
    health->call = NULL;
    health->good = result != NULL;
    if (!result)
        health->why = *err;
}

static void try_once(struct health *health)
{
    struct err err = ERR_INIT;
    int64_t now = loop_now_ms();
    if (health->call || (health->tried && now - health->tried_ms < HEALTH_TRY_MS))
        return;
    /* A token that is still good would be an answer without anybody having been asked. It is worth nothing while the broker is away. Keys and
     * the tokens of other brokers are: to watch must not take away what still works. */
    if (health->tried)
        health->resolver->doubt(health->resolver);
    health->tried = true;
    health->tried_ms = now;
    if (!health->resolver->attest(
            health->resolver, HEALTH_WAIT_MS, on_tried, health, &health->call, &err))
        health->why = err;
}

bool health_known(struct health *health, uint64_t resolved, struct err *ret_why)
{
    if (health->good || resolved > health->resolved)
        return health->good = true;
    *ret_why = health->why;
    return false;
}

bool health_good(struct health *health, uint64_t resolved, struct err *ret_why)
{
    if (health_known(health, resolved, ret_why))
        return true;
    try_once(health);
    return false;
}

bool health_new(
    struct loop *loop, struct resolver *resolver, struct health **ret_health, struct err *err)
{
    struct health *health = calloc(1, sizeof *health);
    if (!health)
        return err_nomem(err);
    *health = (struct health){.loop = loop, .resolver = resolver};
    err_set(&health->why, ERR_ATTEST, "this guest has not attested since the worker started");
    *ret_health = health;
    return true;
}

void health_free(struct health *health)
{
    if (health && health->call)
        health->resolver->cancel(health->resolver, health->call);
    free(health);
}
