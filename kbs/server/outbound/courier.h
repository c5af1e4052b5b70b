/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The courier: the process that speaks HTTP to others for the front (certificates and CRLs of makers, a policy engine, webhooks,
 * key sets by URL). The front's sandbox has no sockets, and what a server elsewhere answers, its TLS included, is not parsed by the
 * process that holds resources and the signing key. A courier has the network and nothing else: no file but certificates and what
 * names are looked up with, no secret but the bearer tokens of its own targets.
 *
 * Whom it may ask is a table that is fixed before requests are served. It is kept by the couriers' warden (warden.h), which tells it to
 * each courier that it starts: a front that was taken over can ask those targets, with those methods and below those URLs,
 * and is no relay to anywhere else. It never sees their bearer tokens either, once it has handed them over.
 *
 * A courier that dies or answers nonsense is replaced; requests that it had are given to the next once more, and then fail. So a request may
 * reach its target twice. A courier also ends by itself, when it has nothing to do, after resolv.conf, hosts or a CA file was replaced.
 *
 * Thread-safe after courier_start(). A program that uses this calls courier_run() (courier_process.h) at the start of main().
 */
#pragma once

#include <sys/types.h>

#include "crypt/base/buf.h"
#include "crypt/base/secret.h"

#define COURIER_TARGETS_MAX  32
#define COURIER_PENDING_MAX  64
#define COURIER_TIMEOUT_MAX  120000
#define COURIER_PATH_MAX     2048
#define COURIER_BODY_MAX     (4u * 1024 * 1024)
#define COURIER_RESPONSE_MAX (4u * 1024 * 1024)

enum courier_method { COURIER_GET = 1, COURIER_POST = 2, COURIER_PUT = 4, COURIER_DELETE = 8 };

struct courier_target {
    const char *name; /* by which it is asked, and which errors show: "opa", "amd-kds" */
    const char *peer; /* what it is, in words, for errors: "policy engine" */
    const char *
        url; /* https://HOST[:PORT][/PATH], or http:// to this machine or with `plain`; with `unix_socket` "http://localhost" */
    const char *unix_socket;     /* path; NULL: by TCP */
    const char *ca_file;         /* PEM; NULL: the system's certificates */
    const struct secret *bearer; /* token, printable ASCII without blanks; NULL: none */
    unsigned methods;            /* set of enum courier_method */
    bool exact;                  /* this very URL: a request's path must be "" */
    bool plain;                  /* http:// to other machines is wanted */
};

struct courier_conf {
    const struct courier_target *targets;
    size_t count;      /* 0: no process is started, and every request is refused */
    const char *proxy; /* "http://host:port" for all that is asked by TCP; NULL: none */
    const char *const *no_proxy;
    size_t no_proxy_count;
};

struct courier;

/* Checks the table and starts the warden, which keeps a copy of it. After privilege is dropped, before the front shuts its sandbox, in
 * the only thread. ERR_CONFIG naming the target. */
bool courier_new(const struct courier_conf *conf, struct courier **ret_courier, struct err *err)
    MUST_CHECK;
/* Starts a courier and the thread that keeps it, and waits until it is up. ERR_UNREACH: it did not come up. */
bool courier_start(struct courier *courier, struct err *err) MUST_CHECK;
/* The checks of courier_new() alone, and the CA files. */
bool courier_check(const struct courier_conf *conf, struct err *err) MUST_CHECK;
void courier_stop(struct courier *courier); /* no request may be running; NULL is fine */
DEFINE_AUTO(struct courier, courier_stop);
/* Is there such a target? */
bool courier_has(const struct courier *courier, const char *target);

/* Headers of an answer that are handed on. */
enum courier_header {
    COURIER_TCB_INFO_CHAIN,    /* TCB-Info-Issuer-Chain */
    COURIER_QE_IDENTITY_CHAIN, /* SGX-Enclave-Identity-Issuer-Chain */
    COURIER_PCK_CRL_CHAIN,     /* SGX-PCK-CRL-Issuer-Chain */
    COURIER_CACHE_CONTROL,
    COURIER_EXPIRES,
    COURIER_ETAG,
    COURIER_RETRY_AFTER,
    COURIER_HEADER_COUNT
};

struct courier_request {
    const char *target;
    enum courier_method method;
    const char *
        path; /* appended to the target's URL, query included; "" or "/…", printable ASCII without '#' and blanks, and
                         without "." and ".." segments or escaped dots and slashes before the query */
    const char *content_type; /* NULL: application/json when there is a body */
    struct bytes body;        /* public data; at most COURIER_BODY_MAX */
    int64_t timeout_ms;       /* total, 1..COURIER_TIMEOUT_MAX */
    size_t response_max;      /* 1..COURIER_RESPONSE_MAX */
};

/* All of it borrowed from the `message` of courier_ask(). */
struct courier_response {
    unsigned status;
    int64_t date; /* unix seconds by the server's clock; 0: it did not say */
    char content_type[128];
    struct bytes
        headers[COURIER_HEADER_COUNT]; /* as sent, printable ASCII; `data` NULL: did not come */
    struct bytes body;
};

/*
 * Asks and waits. `message` (cleared first, its limit is set here) keeps the bytes that *ret_response borrows. Any HTTP status is an answer. False: ERR_CONFIG
 * (no such target; the table does not allow it), ERR_BUSY (COURIER_PENDING_MAX requests are under way), ERR_UNREACH, ERR_TIMEOUT,
 * ERR_FORMAT (no HTTP, or over response_max); the message names target, host, cause and remedy.
 */
bool courier_ask(struct courier *courier, const struct courier_request *request,
    struct buf *message, struct courier_response *ret_response, struct err *err) MUST_CHECK;

struct courier_stats {
    uint64_t asked, failed; /* failed: no answer came, for whatever cause */
    uint64_t starts;        /* of the process, the first included */
    size_t pending;
    bool up;
};
struct courier_stats courier_stats(struct courier *courier); /* NULL is fine: zeroes */
/* The process's id, 0 while there is none; for tests. */
pid_t courier_pid(struct courier *courier);
