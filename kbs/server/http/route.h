/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests, answers and the route table, free of any HTTP library: httpd.c fills a struct request,
 * calls route_dispatch() and sends the struct response; unit tests do the same without a socket. A
 * new route is one line in a table.
 *
 * Matching is done on the RAW path (as it came over the wire, nothing unescaped): a percent sign or
 * a dot segment never equals anything in a table, so no encoding trick reaches another handler than
 * the ACL saw. Empty segments ("//") are dropped for routing (protocol.md F, trap); the
 * administrators' ACL sees the same normal form, with the query.
 */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/base/secret.h"

struct server;

#define REQUEST_ADMIN_MAX   128
#define RESPONSE_COOKIE_MAX 512
#define RESPONSE_AUDIT_MAX  1200
#define RESPONSE_BODY_MAX   (4u * 1024 * 1024)

enum request_method {
    REQUEST_GET = 1,
    REQUEST_POST = 2,
    REQUEST_PUT = 4,
    REQUEST_DELETE = 8,
    REQUEST_OTHER = 16
};

enum route_auth {
    AUTH_NONE, /* the handler decides (a guest's token, or nothing) */
    AUTH_ADMIN /* answered by admin_check() before the handler runs */
};

/* Texts are borrowed for the duration of the handler; header values are NULL when absent. */
struct request {
    enum request_method method;
    const char *uri; /* raw, with the query */
    const char *authorization;
    const char *cookie;
    const char *peer;                 /* "127.0.0.1:1234", for the log */
    struct bytes body;                /* of routes that are not `secret_body` */
    const struct secret *body_secret; /* of those that are; NULL when the body was empty */
    /* Made by route_admit(): */
    char *path;        /* raw, empty segments dropped, no query: "/kbs/v0/resource/a/b/c" */
    const char *query; /* after '?', or NULL */
    const char *rest;  /* of `path`, after the pattern's last slash; "" for an exact pattern */
    char admin[REQUEST_ADMIN_MAX]; /* "ROLE" or "ROLE/SUBJECT" of an administrator, or "" */
};

struct response {
    int status; /* 200 unless changed */
    int strict_status; /* under error_style = strict, where the name and the cause do not tell it; else 0 */
    const char *content_type; /* static text; NULL: no such header */
    int retry_after_s;        /* of Retry-After; 0: none */
    struct buf body;
    char cookie[RESPONSE_COOKIE_MAX]; /* value of Set-Cookie, or "" */
    const char *error_name;           /* set by response_refuse, for the log */
    char ref[ERR_REF_SIZE];           /* id of the explanation, for the log */
    char audit
        [RESPONSE_AUDIT_MAX]; /* one line that the log must keep ("released a/b/c to agent …"), or "" */
    struct err cause;         /* why a handler failed, for the log */
};

/*
 * true: the response is complete (a refusal made with response_refuse() is one). false: `err` says
 * what broke; the log gets it, an administrator too; a guest gets the route's error_detail only.
 */
typedef bool route_fn(struct server *server, const struct request *request,
    struct response *response, struct err *err);

struct route {
    unsigned methods;    /* set of enum request_method */
    const char *pattern; /* an exact path, or a prefix that ends in a slash and a star */
    enum route_auth auth;
    bool secret_body; /* the body holds plaintext: it is gathered in locked memory */
    size_t body_max;  /* bytes; 0: conf->body_max */
    route_fn *handler;
    const char *error_name;   /* protocol.md A.4, e.g. "PluginInternalError" */
    const char *error_detail; /* "Plugin internal error" */
};

/* Tables end with a zero entry. Each file of handlers exports one; route.c lists the tables. */
extern const struct route resource_routes[];
extern const struct route
    resource_read_routes[]; /* resource_read.c: for administrators, off by default */
extern const struct route resource_version_routes[]; /* resource_versions.c */
extern const struct route policy_routes[];
extern const struct route policy_trial_routes[]; /* policy_trial.c */
extern const struct route refvalue_routes[];
extern const struct route attest_routes[]; /* attest_handler.c: /auth, /attest */
extern const struct route agent_routes[];  /* agent_handler.c: enrolment, and goodbye */
extern const struct route
    agent_admin_routes[]; /* agent_admin.c; after agent_routes, whose paths it would take */
extern const struct route explain_routes[];    /* explain.c */
extern const struct route collateral_routes[]; /* collateral_handler.c */
extern const struct route token_routes[];      /* token_handler.c: JWKS */
extern const struct route rest_routes[];       /* rest_handler.c: attestation service alone */

/* NULL when nothing matches; looks at method and path only. */
const struct route *route_find(enum request_method method, const char *path);
/*
 * With the head of a request, before its body is read: finds the route, checks the administrator.
 * False when the answer is made already: then the body is nobody's business and is dropped.
 */
bool route_admit(struct server *server, struct request *request, const struct route **ret_route,
    struct response *response);
/* Runs the handler and turns a failure into an answer. */
void route_run(struct server *server, const struct route *route, const struct request *request,
    struct response *response);
void request_done(struct request *request); /* what route_admit allocated */
/* `path` of a raw URI: the query cut off, empty segments dropped; malloc'd, NULL when memory is
 * out. */
char *route_path(const char *uri);

void response_init(struct response *response);
void response_done(struct response *response);
/* {"type":…/errors/NAME,"detail":DETAIL} with A.4's status (404 for PluginNotFound and
 * InvalidRequestPath, else 401). `ref`: id of an explanation, appended as " [id REF]", or NULL.
 * `name` is static text. Cannot fail: out of memory leaves an empty body. */
void response_refuse(struct response *response, const char *name, const char *ref,
    const char *format, ...) PRINTF_LIKE(4, 5);
/* Whether `err` says that we could not decide, rather than that the guest is refused. */
bool response_own_fault(const struct err *err);
/* After response_refuse() of a guest: `err` is the cause for the log; for a fault of ours the status becomes 503, so that a
 * guest does not take a full disk for a denial (Trustee answers 401 to both). */
void response_blame(struct response *response, const struct err *err);
/* error_style = strict: what Trustee answers with 401 gets the status of RFC 9110 for what went wrong. Once, when the answer is made. */
void response_make_strict(struct response *response);
bool response_json(struct response *response, const char *text, struct err *err) MUST_CHECK;
