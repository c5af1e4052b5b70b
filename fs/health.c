/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/health.h"

#include <stdlib.h>

struct health {
    struct loop *loop;
    struct resolver *resolver;
    struct resolver_call *call; /* of a try */
    int64_t tried_ms;
    bool tried, good;
    bool inherited;    /* good, but for this configuration nobody has asked yet */
    uint64_t before;   /* resolved when the try began */
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
    health_distrust(health, err, resolved);
}

void health_distrust(struct health *health, const struct err *err, uint64_t resolved)
{
    health->good = health->inherited = false;
    health->why = *err;
    health->resolved = resolved;
}

void health_inherit(struct health *health)
{
    health->good = health->inherited = true;
}

/* Here a refusal counts: without a token nothing is served. */
static void on_tried(void *arg, const struct resolve_result *result, const struct err *err)
{
    struct health *health = arg;
    health->call = NULL;
    if (result)
        health->good = true;
    else
        health_distrust(health, err, health->before);
}

static void try_once(struct health *health, uint64_t resolved)
{
    struct err err = ERR_INIT;
    int64_t now = loop_now_ms();
    if (health->call || (health->tried && now - health->tried_ms < HEALTH_TRY_MS))
        return;
    /* A token that is still good would be an answer without anybody having been asked. It is worth nothing while the broker is away. Keys
     * are: to watch must not take away what still works. */
    bool anew = health->tried;
    health->tried = true;
    health->tried_ms = now;
    health->before = resolved;
    if (!health->resolver->probe(
            health->resolver, anew, HEALTH_WAIT_MS, on_tried, health, &health->call, &err))
        health_distrust(health, &err, resolved);
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
    if (!health_known(health, resolved, ret_why)) {
        try_once(health, resolved);
        return false;
    }
    if (health->inherited) {
        health->inherited = false;
        try_once(health, resolved);
    }
    return true;
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
