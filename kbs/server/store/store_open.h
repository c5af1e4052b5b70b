/* SPDX-License-Identifier: Apache-2.0 */
/* The store that the configuration names, and what an administrator does to it as a whole. */
#pragma once

#include "kbs/server/kbs_conf.h"
#include "kbs/server/store/store_keys.h"

/* What opening it takes and is read as root. */
struct store_secrets {
    struct store_keys *keys; /* NULL: [store] kek is not set */
    struct secret *password; /* of the database; NULL: none */
};
bool store_secrets_read(const struct kbs_conf *conf, struct store_secrets *secrets, struct err *err)
    MUST_CHECK;
void store_secrets_done(struct store_secrets *secrets);

/* `conf` and `secrets` are borrowed: they must outlive the store. ERR_CONFIG when the keys are not those of the store. */
bool store_open(const struct kbs_conf *conf, const struct store_secrets *secrets,
    struct store **ret_store, struct err *err) MUST_CHECK;

/* Writes down which token key (its thumbprint) the servers of this store sign with. *ret_other: another one was written down before, so
 * that sessions and tokens of servers that still have that one are refused here, and ours there. */
bool store_note_signer(
    struct store *store, const char *thumbprint, bool *ret_other, struct err *err) MUST_CHECK;

/* What `sealed kbs store` asks for; says what was done on standard output. `argument`: of STORE_WORK_COPY the directory to copy from. */
enum store_work { STORE_WORK_REWRAP, STORE_WORK_MIGRATE, STORE_WORK_COPY };
bool store_work(enum store_work work, const char *argument, const struct kbs_conf *conf,
    const struct store_secrets *secrets, struct err *err) MUST_CHECK;
