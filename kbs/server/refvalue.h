/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reference values, as CoCo's RVPS keeps them (protocol.md D.4): a message
 * {"version":"0.1.0","type":"sample","payload":"<std base64 of
 * {"NAME":VALUE,…}>"} sets each NAME whole; stored as
 * {"version","name","expiration":"YYYY-MM-DDTHH:MM:SSZ","value"}. Unlike upstream the expiration
 * (12 months after registration) is enforced. Types swid and corim are refused by name. A NAME is a
 * store key (letters, digits, `_.-`, segments joined by '/').
 */
#pragma once

#include "kbs/server/store.h"

#define REFVALUE_LIFETIME_S (365 * 24 * 3600)
#define REFVALUE_NAMES_MAX  256 /* in one message */

/* One decoded message: *ret_values is the object {"NAME":VALUE,…}. Pure (fuzzed). */
bool refvalue_decode(struct bytes message, json_t **ret_values, struct err *err) MUST_CHECK;
bool refvalue_register(struct store *store, struct bytes message, int64_t now, struct err *err)
    MUST_CHECK;
/* The bare value. ERR_NOTFOUND when unknown or expired. */
bool refvalue_get(struct store *store, const char *name, int64_t now, json_t **ret_value,
    struct err *err) MUST_CHECK;
/* {"NAME":VALUE,…}: what appraise() and policy_decide() take. One that has expired is null, which nothing
 * matches: what was once compared is compared until an administrator deletes it. */
bool refvalue_all(struct store *store, int64_t now, json_t **ret_values, struct err *err)
    MUST_CHECK;
/* For people: [{"name","expiration","value","expired":bool},…]. */
bool refvalue_describe(struct store *store, int64_t now, json_t **ret_list, struct err *err)
    MUST_CHECK;
