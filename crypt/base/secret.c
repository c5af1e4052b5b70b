/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/secret.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdatomic.h>

#include "crypt/base/pages.h"

/*
 * The head lies in ordinary memory, the content at the very end of its pages: one byte too far is
 * the guard page. What is left in front of it holds a canary where it fits; a write before the
 * content is found when the secret goes.
 *
 *     guard page | … canary, content | guard page
 */
struct secret {
    atomic_uint refs;
    size_t len;
    size_t size; /* as made; len only shrinks */
    struct pages pages;
};

#define CANARY_SIZE sizeof(uint64_t)

static atomic_size_t alive_count;
static atomic_size_t alive_bytes;

void secret_wipe(void *data, size_t len)
{
    if (len > 0)
        explicit_bzero(data, len);
}

static uint8_t *content(const struct secret *secret)
{
    return secret->pages.data + secret->pages.len - secret->size;
}

static bool has_canary(const struct secret *secret)
{
    return secret->pages.len - secret->size >= CANARY_SIZE;
}

/* Differs from secret to secret; it guards against mistakes, not against somebody who reads our
 * memory. */
static uint64_t canary_of(const struct secret *secret)
{
    return ((uint64_t)(uintptr_t)secret ^ secret->size) * 0x9e3779b97f4a7c15u;
}

static void check_canary(const struct secret *secret)
{
    if (!has_canary(secret))
        return;
    uint64_t found;
    memcpy(&found, content(secret) - CANARY_SIZE, CANARY_SIZE);
    if (found == canary_of(secret))
        return;
    static const char text[] = "secret: memory in front of a secret was overwritten\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    abort();
}

bool secret_new(size_t size, struct secret **ret_secret, struct err *err)
{
    auto_free struct secret *secret = calloc(1, sizeof *secret);
    if (!secret)
        return err_nomem(err);
    if (!pages_map(PAGES_HIDDEN, size, &secret->pages, err))
        return false;
    atomic_init(&secret->refs, 1);
    secret->len = secret->size = size;
    uint64_t canary = canary_of(secret);
    if (has_canary(secret))
        memcpy(content(secret) - CANARY_SIZE, &canary, CANARY_SIZE);
    atomic_fetch_add_explicit(&alive_count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&alive_bytes, size, memory_order_relaxed);
    *ret_secret = take_ptr(secret);
    return true;
}

bool secret_copy(struct bytes source, struct secret **ret_secret, struct err *err)
{
    struct secret *secret;
    if (!secret_new(source.len, &secret, err))
        return false;
    if (source.len > 0)
        memcpy(content(secret), source.data, source.len);
    *ret_secret = secret;
    return true;
}

bool secret_random(size_t size, struct secret **ret_secret, struct err *err)
{
    auto_secret *secret = NULL;
    if (!secret_new(size, &secret, err))
        return false;
    if (size > 0 && RAND_priv_bytes(content(secret), (int)size) != 1)
        return err_set(err, ERR_INTERNAL, "OpenSSL's random generator gives nothing");
    *ret_secret = take_ptr(secret);
    return true;
}

struct secret *secret_ref(struct secret *secret)
{
    atomic_fetch_add_explicit(&secret->refs, 1, memory_order_relaxed);
    return secret;
}

void secret_unref(struct secret *secret)
{
    if (!secret || atomic_fetch_sub_explicit(&secret->refs, 1, memory_order_acq_rel) != 1)
        return;
    check_canary(secret);
    pages_unmap(&secret->pages);
    atomic_fetch_sub_explicit(&alive_count, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&alive_bytes, secret->size, memory_order_relaxed);
    free(secret);
}

size_t secret_len(const struct secret *secret)
{
    return secret->len;
}

size_t secret_cost(const struct secret *secret)
{
    return secret->pages.len;
}

struct bytes secret_bytes(const struct secret *secret)
{
    return bytes_of(content(secret), secret->len);
}

uint8_t *secret_data(struct secret *secret)
{
    return content(secret);
}

void secret_truncate(struct secret *secret, size_t len)
{
    if (len >= secret->len)
        return;
    secret_wipe(content(secret) + len, secret->len - len);
    secret->len = len;
}

bool secret_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.data, b.data, a.len) == 0);
}

void secret_stats(size_t *ret_count, size_t *ret_bytes)
{
    *ret_count = atomic_load_explicit(&alive_count, memory_order_relaxed);
    *ret_bytes = atomic_load_explicit(&alive_bytes, memory_order_relaxed);
}
