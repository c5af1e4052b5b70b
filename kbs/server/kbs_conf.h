/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration of sealed-kbs (/etc/sealedfs/kbs.conf): one struct, one field table (kbs_conf.c).
 * See sealed-kbs(8). */
#pragma once

#include "crypt/base/conf.h"

#include <sys/socket.h>

#define KBS_CONF_DEFAULT "/etc/sealedfs/kbs.conf"

enum kbs_admin_mode { KBS_ADMIN_DENY, KBS_ADMIN_JWT };
enum kbs_errors { KBS_ERRORS_COMPATIBLE, KBS_ERRORS_STRICT };
enum kbs_store { KBS_STORE_DIRECTORY, KBS_STORE_POSTGRESQL };
/* AUTO: required when there is a key-encryption key, none otherwise. */
enum kbs_encryption { KBS_ENCRYPTION_AUTO, KBS_ENCRYPTION_OPTIONAL, KBS_ENCRYPTION_REQUIRED };
enum kbs_admit { KBS_ADMIT_MANUAL, KBS_ADMIT_AUTO, KBS_ADMIT_LISTED };
enum kbs_require { KBS_REQUIRE_AFFIRMING, KBS_REQUIRE_ANY };
enum kbs_policy_engine { KBS_POLICY_EMBEDDED, KBS_POLICY_OPA };
enum kbs_collateral { KBS_COLLATERAL_REQUIRED, KBS_COLLATERAL_OPTIONAL };
enum kbs_tcb_update { KBS_TCB_EARLY, KBS_TCB_STANDARD };
enum kbs_expired { KBS_EXPIRED_REFUSE, KBS_EXPIRED_REPORT };

/* Paths and texts are NULL when absent and have no default. */
struct kbs_conf {
    struct {
        char *listen;             /* "127.0.0.1:8080", "[::]:8443"; port 0: a free one */
        char *tls_cert, *tls_key; /* PEM files */
        bool plain_http;          /* allow HTTP beyond loopback */
        char *user;               /* run as this user when started as root */
        int store;                /* enum kbs_store */
        char *state_dir;          /* the directory store */
        char *port_file;          /* written when ready: the port in decimal and a newline */
        int log_level;            /* enum log_level */
        int error_style;          /* enum kbs_errors */
        int64_t request_ms;       /* one request, first byte to last byte of the answer */
        int64_t idle_ms;          /* a kept connection until its next request line */
        int64_t stop_ms;          /* requests in flight at SIGTERM */
        int64_t connections, connections_per_ip, threads;
        int64_t body_max;                     /* bytes */
        int64_t rate, rate_burst, rate_total; /* http/rate_limit.h */
    } server;
    struct {
        char *kek;                /* file of the key-encryption key; NULL: plaintext */
        struct conf_list kek_old; /* files of keys that values may still be encrypted under */
        int encryption;           /* enum kbs_encryption */
        int64_t versions;         /* kept of each resource */
    } store;
    struct {
        char *host; /* name, address or directory of the socket */
        int64_t port;
        char *database, *user;
        char *password_file, *ca_file;
        int tls;             /* enum pg_tls */
        int64_t connections; /* of this server */
        int64_t connect_ms, statement_ms, retry_ms, start_ms;
    } postgresql;
    struct {
        char *key;         /* private P-256, JWK or PEM */
        char *certificate; /* PEM chain of the key, for the header of tokens */
        char *previous;    /* public JWK of the key before, with "retired" */
        char *issuer;
        int64_t lifetime_ms;
        char *trusted_jwks_ca_file;                   /* of trusted_jwks by URL */
        struct conf_list trusted_certs, trusted_jwks; /* of attestation services elsewhere */
    } token;
    struct {
        int mode;                /* enum kbs_admin_mode */
        struct conf_list keys;   /* public JWK or PEM files */
        char *issuer, *audience; /* NULL: not compared */
        bool read_resources;     /* administrators may read resources back */
        struct conf_list acl;    /* "ROLE=REGEX" words; a role may come several times */
    } admin;
    struct {
        struct conf_list tees; /* "tpm"; "sample" only when listed */
        int64_t session_ms;
        int admit;        /* enum kbs_admit */
        char *admit_list; /* file of machines, see admission.h */
        char *ek_roots;   /* directory of PEM roots of EK certificates */
        char *roots; /* directory of PEM anchors beside the pinned ones (attest/verify/anchors.h) */
        int tdx_collateral;     /* enum kbs_collateral */
        int collateral_expired; /* enum kbs_expired */
        int64_t verifiers;      /* child processes */
        bool rest;              /* the REST interface of an attestation service */
    } attestation;
    struct {
        int engine;                 /* enum kbs_policy_engine */
        int64_t versions;           /* that are kept of each policy */
        char *opa_url, *opa_socket; /* one of them */
        char *opa_ca_file;          /* NULL: the system's certificates */
        char *opa_token;            /* file with a bearer token, or NULL */
        int64_t opa_ms;             /* for one question */
    } policy;
    struct {
        bool fetch;                 /* from vendors, what is not cached */
        char *directory, *pcs_file; /* read into the cache at start */
        char *amd_kds, *intel_pcs;  /* URLs */
        char *intel_root_crl;       /* URL; NULL: where Intel has it, or the PCCS */
        char *ca_file;              /* NULL: the system's certificates */
        int tcb_update;             /* enum kbs_tcb_update */
        int64_t refresh_ms;
    } collateral;
    struct {
        struct conf_list publishers; /* public JWK or PEM files */
        bool require_signed;
    } reference_values;
    struct {
        char *proxy;               /* "http://host:port" for all that is asked over TCP */
        struct conf_list no_proxy; /* hosts, and domains with all below, that are asked directly */
    } outbound;
    struct {
        int64_t interval_ms, grace_ms; /* interval 0: no continuous attestation */
        int require;                   /* enum kbs_require */
        char *webhook, *webhook_ca_file, *webhook_token_file;
    } agents;
};

extern const struct conf_field kbs_conf_fields[];
extern const size_t kbs_conf_field_count;

/* Loads and checks what a table cannot say: the TLS pair, plain HTTP only on loopback, absolute paths, known TEEs.
 * ERR_CONFIG with what to change. Files that it names are read by those who use them. */
bool kbs_conf_load(const char *path, struct kbs_conf *ret_conf, struct err *err) MUST_CHECK;
/* The checks alone. */
bool kbs_conf_check(const struct kbs_conf *conf, struct err *err) MUST_CHECK;
void kbs_conf_done(struct kbs_conf *conf);
#define auto_kbs_conf AUTO_DONE(kbs_conf_done) struct kbs_conf
bool kbs_conf_tee_ok(const struct kbs_conf *conf, const char *tee);
/* "ADDRESS:PORT" or "[ADDRESS]:PORT", numeric. */
struct kbs_address {
    struct sockaddr_storage any;
    socklen_t len;
    bool loopback;
};
bool kbs_conf_address(const char *text, struct kbs_address *ret_address, struct err *err)
    MUST_CHECK;
