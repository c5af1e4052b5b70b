/* SPDX-License-Identifier: Apache-2.0 */
/* A store of either kind for the tests that hold for both: `fixture_kind` says which, each test gets an empty one. */
#pragma once

#include <ftw.h>
#include <unistd.h>

#include "kbs/server/store_keys.h"
#include "tests/unit/unit.h"

static struct err err;
static char root[64];
static struct store *store;

static inline int fixture_remove(
    const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)stat;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline void fixture_open(struct store **ret_store)
{
    assert_done(store_dir_open(root, ret_store, &err), &err);
}

static inline int fixture_setup(void **state)
{
    (void)state;
    strcpy(root, "/tmp/sealed-store.XXXXXX");
    assert_non_null(mkdtemp(root));
    fixture_open(&store);
    return 0;
}

static inline int fixture_teardown(void **state)
{
    (void)state;
    store_free(store);
    store = NULL;
    return nftw(root, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* A ring of these keys, each 32 times a letter: "ab" encrypts under a, reads under a and b. */
static inline struct store_keys *fixture_keys(const char *letters)
{
    struct store_keys *keys = NULL;
    for (; *letters; letters++) {
        auto_secret *kek = NULL;
        assert_done(secret_new(STORE_KEK_SIZE, &kek, &err), &err);
        memset(secret_data(kek), *letters, STORE_KEK_SIZE);
        assert_done(store_keys_add(&keys, kek, &err), &err);
    }
    return keys;
}
