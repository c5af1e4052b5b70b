/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error type. A fallible function returns bool (true = done), is MUST_CHECK, takes a
 * `struct err *err` as its last parameter (never NULL) and leaves its ret_ outputs untouched when
 * it fails. The cause is set once, where it happens, with err_set(); callers add context from the
 * outside in with err_wrap(); one edge (a main, fs/ops.c, the HTTP server) logs it and maps it to an
 * errno, an HTTP status or an exit status through err_info().
 *
 *     if (len > JWK_MAX)
 *         return err_set(err, ERR_FORMAT, "JWK of %zu bytes; at most %d are taken", len, JWK_MAX);
 *     if (!jwk_load(text, &key, err))
 *         return err_wrap(err, "signing key %s", path);
 *
 * A message names the thing and, where a person can act, the remedy. It never holds plaintext or keys.
 * It is always UTF-8: other bytes, in a file name say, are '?' in it.
 * Threads: a struct err belongs to one thread at a time; it may be copied by assignment.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>

#include "crypt/base/cleanup.h"

enum err_code {
    ERR_OK = 0,
    ERR_NOMEM,         /* out of memory, lockable memory or descriptors */
    ERR_IO,            /* a file, socket or device failed */
    ERR_FORMAT,        /* malformed input */
    ERR_CRYPTO,        /* a signature, tag, context or key check failed */
    ERR_DENIED_LOCAL,  /* a rule on this machine says no */
    ERR_DENIED_POLICY, /* the KBS says no: the guest, its evidence or the resource */
    ERR_ATTEST,        /* evidence could not be made here (attestd, TPM, attestation key) */
    ERR_UNREACH,       /* the peer could not be reached or its TLS identity is wrong */
    ERR_TIMEOUT,       /* a deadline passed */
    ERR_NOTFOUND,      /* no such resource, file or key */
    ERR_REVOKED,       /* was served before, is withdrawn now */
    ERR_STALE,         /* the staleness limit passed and nothing fresh can be had */
    ERR_BUSY,          /* a limit on work in progress; try again */
    ERR_CONFIG,        /* a configuration file, option or the set-up of the machine */
    ERR_INTERNAL,      /* a bug */
    ERR_CODE_COUNT
};

#define ERR_MESSAGE_SIZE 512
#define ERR_REF_SIZE     40

struct err {
    enum err_code code;
    int sys_errno;    /* errno at the cause, or 0 */
    const char *file; /* where it was set; static text */
    int line;
    char ref[ERR_REF_SIZE]; /* the KBS's explanation id of a refusal, or "" */
    char message[ERR_MESSAGE_SIZE];
};

/* What a code means at the edges. `http_status` is the strict form; `retryable` says that the same
 * call may succeed later without anybody changing anything. */
struct err_info {
    const char *name;    /* e.g. "denied-policy" */
    const char *meaning; /* one line for a person */
    int sys_errno;       /* what open(2) answers */
    int http_status;
    int exit_status;
    bool retryable;
};

/* All three return false, so that `return err_set(...)` reads well. err_set_at is for the macros. */
bool err_set_at(struct err *err, enum err_code code, int sys_errno, const char *file, int line,
    const char *format, ...) PRINTF_LIKE(6, 7);
#define err_set(err, code, ...) err_set_at(err, code, 0, __FILE__, __LINE__, __VA_ARGS__)
/* As err_set, with ": <strerror(errno)>" appended and errno kept. */
#define err_set_errno(err, code, ...) err_set_at(err, code, errno, __FILE__, __LINE__, __VA_ARGS__)
/* Puts "context: " in front of the message; code and place stay those of the cause. */
bool err_wrap(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);
/* ERR_NOMEM with the place of the caller. */
#define err_nomem(err) err_set_at(err, ERR_NOMEM, 0, __FILE__, __LINE__, "out of memory")

void err_clear(struct err *err);
/* Never NULL: an unknown code is described as ERR_INTERNAL. */
const struct err_info *err_info(enum err_code code);
/* The code whose name is `name`, or ERR_INTERNAL (codes cross process borders by name). */
enum err_code err_code_from_name(const char *name);

#define ERR_INIT       \
    {                  \
        .code = ERR_OK \
    }
