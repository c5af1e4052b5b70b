/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three pages that a machine watches: GET /metrics, /healthz (this process does its work) and /readyz (secrets can be served), on a
 * Unix socket or a loopback port. HTTP/1.1 (RFC 9112) as far as three fixed answers need it: a request line and header lines of at most
 * SCRAPE_REQUEST_MAX bytes, no body, one request a connection. No library: the key broker's (libmicrohttpd) would bring TLS and
 * threads into the process that holds the plaintexts. Loop thread only; never blocks; a peer that dawdles is cut off.
 */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/base/loop.h"

#define SCRAPE_REQUEST_MAX 4096u
#define SCRAPE_ANSWER_MAX  65536u
#define SCRAPE_PEERS_MAX   16 /* at once; one more takes the place of the oldest */
#define SCRAPE_REST_MS     100
#define SCRAPE_LIMIT_MS    5000

struct scrape;

enum scrape_page { SCRAPE_METRICS, SCRAPE_HEALTH, SCRAPE_READY };

struct scrape_conf {
    struct loop *loop;
    int listen_fd; /* owned from scrape_start() on */
    /* Fills the page's text; *ret_good says which status (200 or 503). */
    bool (*page)(
        void *arg, enum scrape_page page, struct buf *out, bool *ret_good, struct err *err);
    void *arg;
};

/* "/run/…" or "127.0.0.1:PORT" or "[::1]:PORT"; ERR_CONFIG for anything else: what a secret's reader does is nobody's business on a network. */
bool scrape_listen(const char *where, int *ret_fd, struct err *err) MUST_CHECK;
/* Could that be listened on? Nothing is made. */
bool scrape_check(const char *where, struct err *err) MUST_CHECK;
bool scrape_start(const struct scrape_conf *conf, struct scrape **ret_scrape, struct err *err)
    MUST_CHECK;
void scrape_free(struct scrape *scrape);

/* What a request asks for, as far as it was read. */
enum scrape_verdict { SCRAPE_MORE, SCRAPE_ASKS, SCRAPE_BAD, SCRAPE_METHOD, SCRAPE_UNKNOWN };
enum scrape_verdict scrape_parse(struct bytes request, enum scrape_page *ret_page);
