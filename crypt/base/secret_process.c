/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "crypt/base/json.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define CAN_LOCK_ALL \
    false /* the sanitizer turns mlockall into nothing, and its shadow could not be locked */
#else
#define CAN_LOCK_ALL true
#endif

/* OpenSSL keeps private big numbers and key blobs there: a few KiB a key. */
#define ARENA_SIZE     (256u * 1024u)
#define ARENA_MIN_SIZE 16u
/* For a bounce buffer of secret_io.c and the guards that a mapping counts until they are in place. */
#define SPARE_SIZE (128u * 1024u)

static bool process_locked;

bool secret_process_locked(void)
{
    return process_locked;
}

/*
 * Without end where we may (CAP_SYS_RESOURCE): the limit outlives the change of user, the
 * capability CAP_IPC_LOCK does not. Otherwise up to the hard limit.
 */
static rlim_t raise_limit(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0)
        return RLIM_INFINITY;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return 0;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        getrlimit(RLIMIT_MEMLOCK, &limit);
    return limit.rlim_cur;
}

static void size_text(unsigned long long bytes, char *out, size_t out_size)
{
    if (bytes >= 1024 * 1024 && bytes % (1024 * 1024) == 0)
        snprintf(out, out_size, "%llu MiB", bytes / (1024 * 1024));
    else
        snprintf(out, out_size, "%llu KiB", (bytes + 1023) / 1024);
}

static bool refuse(size_t need, rlim_t limit, const char *cause, struct err *err)
{
    char need_text[32], limit_text[32] = "unlimited";
    size_text(need, need_text, sizeof need_text);
    if (limit == RLIM_INFINITY)
        return err_set(err, ERR_CONFIG,
            "cannot lock %s of memory although RLIMIT_MEMLOCK is unlimited: %s", need_text, cause);
    size_text(limit, limit_text, sizeof limit_text);
    return err_set(err, ERR_CONFIG,
        "cannot lock %s of memory: RLIMIT_MEMLOCK is %s; raise it with LimitMEMLOCK=%zuK in the "
        "unit, or "
        "`ulimit -l %zu` as root before the start",
        need_text, limit_text, (need + 1023) / 1024, (need + 1023) / 1024);
}

/* A number in a limit is not memory: takes it all once, and gives it back. */
static bool prove(size_t want, struct err *err)
{
    size_t count = (want + SECRET_SIZE_MAX - 1) / SECRET_SIZE_MAX, made = 0;
    auto_free struct secret **secrets = calloc(count + 1, sizeof(struct secret *));
    if (!secrets)
        return err_nomem(err);
    bool done = true;
    for (size_t left = want; done && left > 0;) {
        size_t size = left < SECRET_SIZE_MAX ? left : SECRET_SIZE_MAX;
        done = secret_new(size, &secrets[made], err);
        if (done)
            secret_wipe(
                secret_data(secrets[made++]), size); /* a page is there once it has been written */
        left -= size;
    }
    while (made > 0)
        secret_unref(secrets[--made]);
    return done;
}

/*
 * mlockall counts every mapping against RLIMIT_MEMLOCK by its whole size, touched or not, and with
 * MCL_FUTURE a mapping that would pass the limit fails with EAGAIN: the 8 MiB stack of a new
 * thread, a malloc arena of 64 MiB. Under a finite limit that turns a precaution against swapping
 * into a crash at three in the morning, and CAP_IPC_LOCK does not help, since it goes with root. So
 * only where the limit is without end; elsewhere the secrets, the bounce pages and OpenSSL's arena
 * are locked one by one, as they are in any case. MCL_ONFAULT: what is never touched takes no
 * memory. A kernel or container that refuses is no reason to stop either.
 */
static void lock_rest(rlim_t limit)
{
    if (CAN_LOCK_ALL && limit == RLIM_INFINITY)
        process_locked = mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

bool secret_init_process(size_t want, struct err *err)
{
    size_t need = want + ARENA_SIZE + SPARE_SIZE;
    rlim_t limit = raise_limit();
    /* Compared even when CAP_IPC_LOCK would let us pass now: the worker that comes after has no
     * capability. */
    if (limit != RLIM_INFINITY && limit < need)
        return refuse(need, limit, "", err);
    if (!CRYPTO_secure_malloc_initialized() &&
        CRYPTO_secure_malloc_init(ARENA_SIZE, ARENA_MIN_SIZE) != 1)
        return refuse(need, limit, "OpenSSL's secure heap cannot be locked", err);
    struct err cause;
    if (!prove(want, &cause))
        return refuse(need, limit, cause.message, err);
    json_init();
    lock_rest(limit);
    return true;
}
