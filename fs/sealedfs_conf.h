/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration of one sealedfs process: /etc/sealedfs/sealedfs.conf (or -o config=FILE), then each
 * `-o key=value` on top (key or section.key). The field table is the documentation: sealedfs.conf
 * and sealedfs(8) are checked against it. Options that every mount(8) passes (rw, ro, dev, _netdev,
 * x-*, ...) are accepted and change nothing: a sealedfs mount is always read-only, nosuid, nodev,
 * noexec.
 */
#pragma once

#include "crypt/base/conf.h"

#define SEALEDFS_CONF_DEFAULT "/etc/sealedfs/sealedfs.conf"

enum conf_context { CONTEXT_REQUIRED, CONTEXT_WHEN_PRESENT };
enum conf_signature { SIGNATURE_REQUIRED, SIGNATURE_OPTIONAL };

struct sealedfs_conf {
    struct {
        char *url;        /* NULL: there is no KBS, every sealed file is refused with ERR_CONFIG */
        char *ca_file;    /* PEM; NULL: the system's store */
        char *pinned_key; /* "sha256//base64[;...]", or NULL */
        char *proxy;      /* NULL: none */
        bool allow_plain;
        int64_t request_timeout_ms;
        int64_t keep_ms; /* signing and wrapping keys are kept this long between resolutions */
    } kbs;
    struct {
        char *socket;
        char *tee; /* NULL: ask attestd */
        int64_t timeout_ms;
    } attest;
    struct {
        int64_t ttl_ms; /* how long a plaintext is kept after it was resolved; 0: not at all */
        int64_t error_ttl_ms;    /* how long a refusal is repeated without asking again */
        int64_t maximum;         /* bytes: st_size of a sealed file whose length is not known yet */
        int64_t memory;          /* bytes of plaintext kept at most */
        int64_t open_timeout_ms; /* how long open(2) waits */
        char *context_prefix;    /* NULL: none */
        int context;             /* enum conf_context */
        int signature;           /* enum conf_signature */
        struct conf_list signers;
        char *signer_files; /* directory, or NULL */
        struct conf_list vault_prefixes;
    } secrets;
    struct {
        char *socket;
        struct conf_list allow_users;
    } control;
    struct {
        char *user;      /* the worker runs as this user */
        int64_t threads; /* that serve the kernel's requests */
        int64_t stop_ms; /* how long a busy mount is waited for at the end, before it is detached */
        int log_level;   /* enum log_level */
    } mount;
};

/* `path` NULL: the default file, or only the defaults when it does not exist. `options` is the text
 * after -o ("a,b=c"), NULL for none; "config=FILE" in it names the file. */
bool sealedfs_conf_load(const char *path, const char *options, struct sealedfs_conf *ret_conf,
    struct err *err) MUST_CHECK;
void sealedfs_conf_done(struct sealedfs_conf *conf);
/* The commented sample that packaging/conf/sealedfs.conf is. */
bool sealedfs_conf_sample(int fd, struct err *err) MUST_CHECK;
