/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/pages.h"

#include <stdlib.h>

#include "fs/metrics.h"
#include "fs/scrape.h"

struct pages {
    struct worker *worker;
    struct resolver *resolver;
};

static uint64_t number(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static bool gather(const struct pages *pages, struct metrics_now *ret_now, struct err *err)
{
    struct worker_status status;
    struct err why = ERR_INIT;
    auto_json *state = NULL;
    if (!pages->resolver->describe(pages->resolver, &state, err))
        return false;
    worker_status(pages->worker, &status);
    *ret_now = (struct metrics_now){.generation = status.generation,
        .up_ms = status.up_ms,
        .mounts = status.mount_count,
        .waiting = status.parked,
        .flights = status.flights,
        .secrets = status.secrets,
        .secret_bytes = status.secret_bytes,
        .open_files = status.handles,
        .handshakes = number(state, "handshakes"),
        .handshakes_failed = number(state, "handshakes_failed"),
        .fetches = number(state, "fetches"),
        .audit_lost = status.audit_lost,
        .has_token = json_is_true(json_object_get(state, "token")),
        .token_expires_at = (int64_t)number(state, "token_expires_at"),
        .ready = worker_healthy(pages->worker, true, &why)};
    return true;
}

static bool page_of(
    void *arg, enum scrape_page page, struct buf *out, bool *ret_good, struct err *err)
{
    const struct pages *pages = arg;
    struct metrics_now now;
    struct err why = ERR_INIT;
    *ret_good = true;
    switch (page) {
    case SCRAPE_METRICS:
        return gather(pages, &now, err) && metrics_text(&now, out, err);
    case SCRAPE_HEALTH: /* the loop turns: it has just answered */
        return buf_append_str(out, "ok\n", err);
    case SCRAPE_READY:
        *ret_good = worker_healthy(pages->worker, true, &why);
        return *ret_good ? buf_append_str(out, "ready\n", err)
                         : buf_printf(out, err, "not ready: %s\n", why.message);
    }
    return err_set(err, ERR_INTERNAL, "no such page");
}

bool pages_start(int listen_fd, struct loop *loop, struct worker *worker, struct resolver *resolver,
    struct err *err)
{
    struct pages *pages = calloc(1, sizeof *pages);
    struct scrape *scrape;
    if (!pages)
        return err_nomem(err);
    *pages = (struct pages){worker, resolver};
    struct scrape_conf conf = {.loop = loop, .listen_fd = listen_fd, .page = page_of, .arg = pages};
    return scrape_start(&conf, &scrape, err);
}
