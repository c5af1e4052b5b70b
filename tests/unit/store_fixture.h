/* SPDX-License-Identifier: Apache-2.0 */
/* A store of either kind for the tests that hold for both, an empty one for each test: a directory, or, when fixture_postgres is set, a
 * database, which takes no plaintext, so that it begins with a key. */
#pragma once

#include <ftw.h>
#include <unistd.h>

#include "kbs/server/store/store_keys.h"
#include "tests/unit/postgres_fixture.h"
#include "tests/unit/unit.h"

static struct err err;
static char root[64];
static struct store *store;
static struct postgres *fixture_postgres;
static struct store_keys *fixture_ring;

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
    if (fixture_postgres) {
        const struct store_pg_conf conf = postgres_conf(fixture_postgres);
        assert_done(store_pg_open(&conf, ret_store, &err), &err);
        return;
    }
    assert_done(store_dir_open(root, ret_store, &err), &err);
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

static inline int fixture_setup(void **state)
{
    (void)state;
    strcpy(root, "/tmp/sealed-store.XXXXXX");
    assert_non_null(mkdtemp(root));
    if (fixture_postgres)
        postgres_fresh(fixture_postgres);
    fixture_open(&store);
    if (fixture_postgres) {
        fixture_ring = fixture_keys("a");
        assert_done(store_use_keys(store, fixture_ring, false, &err), &err);
    }
    return 0;
}

static inline int fixture_teardown(void **state)
{
    (void)state;
    store_free(store);
    store = NULL;
    store_keys_free(fixture_ring);
    fixture_ring = NULL;
    return nftw(root, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
}
