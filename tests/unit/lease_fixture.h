/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs and leases for tests of what keeps them. */
#pragma once

#include "crypt/base/loop.h"
#include "fs/lease.h"
#include "fs/source.h"
#include "tests/unit/unit.h"

static inline struct blob *blob_make(const char *text)
{
    struct err err = ERR_INIT;
    struct blob *made = calloc(1, sizeof *made);
    atomic_init(&made->count, 1);
    made->text = (struct buf)BUF_INIT(1024);
    assert_done(buf_append_str(&made->text, text, &err), &err);
    return made;
}

static inline struct leases *leases_make(void)
{
    struct leases *made;
    struct err err = ERR_INIT;
    assert_done(leases_new(&made, &err), &err);
    return made;
}

/* Given by the broker `age_ms` ago. */
static inline struct lease *lease_make(
    struct leases *leases, const char *path, const char *text, int64_t age_ms)
{
    auto_secret *secret = NULL;
    struct lease *lease;
    struct err err = ERR_INIT;
    assert_done(secret_copy(bytes_str(text), &secret, &err), &err);
    assert_done(
        lease_new(leases, path, secret, "kbs:///a/b/c", loop_now_ms() - age_ms, &lease, &err),
        &err);
    return lease;
}

static inline bool lease_holds(struct lease *lease, const char *text)
{
    auto_secret *secret = lease_secret(lease);
    return secret && bytes_equal(secret_bytes(secret), bytes_str(text));
}
