/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration of one sealedfs process: /etc/sealedfs/sealedfs.conf (or -o config=FILE), then each
 * `-o key=value` on top (key or section.key). The field table is the documentation: sealedfs.conf
 * and sealedfs(8) are checked against it. Options that every mount(8) passes (rw, ro, dev, _netdev,
 * x-*, ...) are accepted and change nothing: a sealedfs mount is always read-only, nosuid, nodev,
 * noexec.
 *
 * What there can be several of stands in repeated sections, [kind:NAME]. Numbers that tie them together (`mount` in a source or a file) are
 * indices into conf.mounts, made when the whole file was read.
 */
#pragma once

#include "crypt/base/conf.h"
#include "fs/origin.h"

#define SEALEDFS_CONF_DEFAULT "/etc/sealedfs/sealedfs.conf"

enum conf_context { CONTEXT_REQUIRED, CONTEXT_WHEN_PRESENT };
enum conf_signature { SIGNATURE_REQUIRED, SIGNATURE_OPTIONAL };

enum conf_cache { CACHE_DIRECT, CACHE_PAGE };
enum conf_verdict { VERDICT_ALLOW, VERDICT_DENY };
enum conf_audit { AUDIT_OFF, AUDIT_BEST_EFFORT, AUDIT_REQUIRED };

/* How fresh a secret is kept, and how it is shown. */
struct conf_settings {
    int64_t fresh_ms; /* served from memory for so long */
    int64_t
        usable_ms; /* and while no key broker can be reached, for so long after it was fetched; 0: not at all */
    int cache;       /* enum conf_cache */
    char *on_change; /* name of the stamp that is written when the secret changes; NULL: none */
};

/* That one process serves. */
#define MOUNTS_MAX 64

/* [mount:NAME] */
struct conf_mount {
    char *name;
    char *path;   /* mount point; as the monitor resolved it once it is mounted */
    bool by_name; /* shows .kbs/REPOSITORY/TYPE/TAG */
    int64_t by_name_mode;
    char *by_name_owner, *by_name_group; /* user and group names or numbers */
};

/* [source:NAME]: a directory that is mirrored. */
struct conf_source {
    char *name;
    char *mount_name;
    size_t mount;
    char *directory;
    char *at; /* below the mount; NULL: its root */
    struct conf_settings settings;
};

/* [file:NAME]: one file of the catalogue. Exactly one of resource and sealed_file. */
struct conf_file {
    char *name;
    char *mount_name;
    size_t mount;
    char *path;     /* below the mount, in normal form */
    char *resource; /* kbs:///… */
    char *sealed_file;
    int64_t mode;
    char *owner, *group;
    struct conf_list
        rules; /* names of rules that hold for this file, beside those with a path that fits */
    struct conf_settings settings;
};

/* [rule:NAME]: all kinds that are given must fit, each with one of its words. */
struct conf_rule {
    char *name;
    int verdict; /* enum conf_verdict */
    struct conf_list paths, users, groups, cgroups, pods, containers, exes, exe_sha256;
};

/* [kbs], the default broker, and [kbs:NAME], further ones. */
struct conf_kbs {
    char *name;             /* NULL: the default one */
    struct conf_list hosts; /* what stands for it in kbs://HOST/… */
    struct conf_list urls;  /* replicas; none in [kbs]: there is no default broker */
    char *ca_file;          /* PEM; NULL: the system's store */
    char *pinned_key;       /* "sha256//base64[;...]", or NULL */
    char *proxy;            /* NULL: none */
    char *proxy_credential; /* file that holds user:password, or NULL */
    struct conf_list no_proxy;
    bool allow_plain;
    int64_t request_timeout_ms;
    bool continuous;  /* attest in the background, whatever the broker wishes */
    char *token_file; /* passport mode: {"token","tee_keypair"}, see kbs/passport.h; NULL: attest */
    char *token_command; /* the same from a program; words between blanks */
    char *token_user;    /* that runs it */
};

/* [credential:NAME]: what a unit gets that asks with LoadCredential=. */
struct conf_unit_credential {
    char *name;
    struct conf_list units; /* patterns of unit names */
    char *id;               /* the name of the section if it was not given */
    char *resource;         /* kbs:///…, or the path of a file with a sealed string */
};

struct sealedfs_conf {
    struct conf_kbs kbs;
    int64_t keep_ms; /* signing and wrapping keys are kept this long between resolutions */
    struct {
        char *socket;
        char *tee; /* NULL: ask attestd */
        int64_t timeout_ms;
    } attest;
    struct {
        int64_t ttl_ms;    /* how long a plaintext is kept after it was resolved; 0: not at all */
        int64_t usable_ms; /* how long after it was resolved while no key broker can be reached */
        char *stamps;      /* directory */
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
    struct {
        int policy; /* enum conf_audit */
        bool journal;
        char *file;          /* NULL: none */
        int64_t rotate_size; /* bytes */
        int64_t rotate_keep; /* files */
    } audit;
    struct {
        char *listen; /* absolute path of a socket, or address:port on loopback; NULL: no metrics */
    } metrics;
    CONF_ITEMS(struct conf_kbs) brokers;
    CONF_ITEMS(struct conf_mount) mounts;
    CONF_ITEMS(struct conf_source) sources;
    CONF_ITEMS(struct conf_file) files;
    CONF_ITEMS(struct conf_rule) rules;
    struct {
        char *socket;
    } credentials;
    CONF_ITEMS(struct conf_unit_credential) unit_credentials;
};

/* What the command line names: a mount more, with one source at its root. */
struct sealedfs_mirror {
    const char *source, *mountpoint; /* absolute */
};
#define SEALEDFS_MIRROR_NAME "command-line"

/* `path` NULL: the default file, or only the defaults when it does not exist. `options` is the text
 * after -o ("a,b=c"), NULL for none; "config=FILE" in it names the file. `mirror` NULL: none. All that one part of the configuration says
 * of another is checked: names of mounts and rules, paths, what is given twice. */
bool sealedfs_conf_load(const char *path, const char *options, const struct sealedfs_mirror *mirror,
    struct sealedfs_conf *ret_conf, struct err *err) MUST_CHECK;
/*
 * The text of the file that this would load, in a memfd that nobody can change: a running monitor and each of its workers read that, so
 * that an edited file takes effect with a reload and never by a worker's death. *ret_fd -1: there is no file.
 */
bool sealedfs_conf_snapshot(const char *path, const char *options, int *ret_fd, struct err *err)
    MUST_CHECK;
/* As sealedfs_conf_load, from such a descriptor; -1: only the defaults. The path stands in errors. */
bool sealedfs_conf_load_snapshot(int fd, const char *path, const char *options,
    const struct sealedfs_mirror *mirror, struct sealedfs_conf *ret_conf, struct err *err)
    MUST_CHECK;
void sealedfs_conf_done(struct sealedfs_conf *conf);
/* The commented sample that packaging/conf/sealedfs.conf is. */
bool sealedfs_conf_sample(int fd, struct err *err) MUST_CHECK;
