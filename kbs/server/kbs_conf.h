/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration of sealed-kbs (/etc/sealedfs/kbs.conf): one struct, one field table (kbs_conf.c).
 * See sealed-kbs(8). */
#pragma once

#include "crypt/base/conf.h"

enum kbs_admin_mode { KBS_ADMIN_DENY, KBS_ADMIN_JWT };
enum kbs_admit { KBS_ADMIT_MANUAL, KBS_ADMIT_AUTO };

struct kbs_conf {
    /* [server] */
    char *listen;             /* "127.0.0.1:8080", "[::]:8443"; port 0: a free one */
    char *tls_cert, *tls_key; /* PEM files */
    bool plain_http;          /* allow HTTP beyond loopback */
    char *user;               /* run as; "" or own user: stay */
    char *state_dir;          /* the store */
    char *port_file; /* written when ready: the port in decimal and a newline; NULL: none */
    char *log_level;
    int64_t request_ms;  /* one request, first byte to last byte of the answer */
    int64_t idle_ms;     /* a kept connection until its next request line */
    int64_t shutdown_ms; /* requests in flight at SIGTERM */
    int64_t connections, connections_per_ip, threads;
    int64_t body_max; /* bytes */
    /* [token] */
    char *token_key; /* private P-256 JWK or PEM */
    char *token_issuer;
    int64_t token_lifetime_ms;
    /* [admin] */
    int admin_mode;                      /* enum kbs_admin_mode */
    struct conf_list admin_keys;         /* public JWK or PEM files */
    char *admin_issuer, *admin_audience; /* NULL: not compared */
    struct conf_list admin_acl;          /* "ROLE=REGEX" words; a role may come several times */
    /* [attestation] */
    struct conf_list tees; /* "tpm"; "sample" only when listed */
    int64_t session_ms;
    int admit;         /* enum kbs_admit */
    char *ek_roots;    /* directory of PEM roots of EK certificates */
    int64_t verifiers; /* child processes */
};

extern const struct conf_field kbs_conf_fields[];
extern const size_t kbs_conf_field_count;

/* Loads and checks what a table cannot say (TLS pair, loopback rule, known TEEs, token lifetime).
 * ERR_CONFIG with file and remedy. */
bool kbs_conf_load(const char *path, struct kbs_conf *ret_conf, struct err *err) MUST_CHECK;
void kbs_conf_done(struct kbs_conf *conf);
#define auto_kbs_conf AUTO_DONE(kbs_conf_done) struct kbs_conf
bool kbs_conf_tee_ok(const struct kbs_conf *conf, const char *tee);
