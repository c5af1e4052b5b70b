/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reference values, as CoCo's RVPS keeps them (protocol.md D.4): a message
 * {"version":"0.1.0","type":"sample","payload":"<std base64 of {"NAME":VALUE,…}>"} sets each NAME whole. Ours beside it:
 * "operation" ("set", or "add" and "remove" of one scalar or a list of them), "expires" (RFC 3339; default: 12 months on) and "iat"
 * (unix seconds; publisher.h). Types swid and corim are refused by name. Unlike upstream an expiration is enforced.
 *
 * A NAME is 1..REFVALUE_NAME_MAX of [A-Za-z0-9_.:/@+=,~-]; runs of '/' count as one when names are compared, because they do so in
 * the path of a URL: rvps:///a/b:tag and rvps:/a/b:tag are one name.
 *
 * What is stored, in STORE_REFERENCE:
 *     KEY                      {"version","name","expiration","value","by","set","id"[,"publisher"]}: what was set. KEY is NAME where
 *                              that is a store key, else _name/<SHA-256 of the name>
 *     _value/<NAME>/<VALUE>    (SHA-256 of each) one added value, in the same form; or "removed": true, which hides the value in the
 *                              record whose hash it has as "of". One record a value: no two administrators, on whatever replicas,
 *                              overwrite each other's. The last word on one value holds.
 *     _serial/…                publisher.c
 */
#pragma once

#include "kbs/server/store/store.h"

#define REFVALUE_LIFETIME_S (365 * 24 * 3600)
#define REFVALUE_NAMES_MAX  256 /* in one message */
#define REFVALUE_NAME_MAX   STORE_KEY_MAX
#define REFVALUE_HASH_SIZE  65 /* hex SHA-256 */
#define REFVALUE_TEXT_MAX   (2 * STORE_VALUE_MAX)

enum refvalue_operation { REFVALUE_SET, REFVALUE_ADD, REFVALUE_REMOVE };

/* One decoded message. */
struct refvalue_change {
    json_t *values; /* {"NAME":VALUE,…} */
    enum refvalue_operation operation;
    int64_t expires; /* unix seconds; 0: not said */
    int64_t iat;     /* 0: not said */
};
void refvalue_change_done(struct refvalue_change *change);
#define auto_refvalue_change AUTO_DONE(refvalue_change_done) struct refvalue_change

/* Who changes, and when. */
struct refvalue_setter {
    const char *by;        /* the administrator; NULL: not known */
    const char *publisher; /* thumbprint of the key that signed; NULL: unsigned */
    int64_t now;
};

/* Pure (fuzzed). */
bool refvalue_decode(struct bytes message, struct refvalue_change *ret_change, struct err *err)
    MUST_CHECK;
bool refvalue_name_ok(const char *name);
/* Of a name that is ok: its hash, and the key of what was set. */
bool refvalue_name_hash(const char *name, char ret_hash[REFVALUE_HASH_SIZE], struct err *err)
    MUST_CHECK;
bool refvalue_key(const char *name, char ret_key[STORE_KEY_MAX + 1], struct err *err) MUST_CHECK;

/* ERR_FORMAT: an expiry that has passed. ERR_NOTFOUND: a value to remove that the name does not have. */
bool refvalue_apply(struct store *store, const struct refvalue_change *change,
    const struct refvalue_setter *setter, struct err *err) MUST_CHECK;
/* The name is no longer compared. ERR_NOTFOUND. */
bool refvalue_delete(struct store *store, const char *name, struct err *err) MUST_CHECK;
/* Text of the record of a "set", as it is stored. malloc'd. */
bool refvalue_record(const char *name, json_t *value, int64_t expires,
    const struct refvalue_setter *setter, char **ret_text, struct err *err) MUST_CHECK;

/* The bare value. ERR_NOTFOUND when unknown or expired. */
bool refvalue_get(struct store *store, const char *name, int64_t now, json_t **ret_value,
    struct err *err) MUST_CHECK;
/* {"NAME":VALUE,…}: what appraise() and policy_decide() take. One that has expired is null, which nothing
 * matches: what was once compared is compared until an administrator deletes it. */
bool refvalue_all(struct store *store, int64_t now, json_t **ret_values, struct err *err)
    MUST_CHECK;
/* For people: [{"name","expiration","value","expired":bool,"values":[{"value","expiration","expired","by","set","publisher"},…]},…]. */
bool refvalue_describe(struct store *store, int64_t now, json_t **ret_list, struct err *err)
    MUST_CHECK;

/* -- between the files ------------------------------------------------------------------------- */

#define REFVALUE_PARTS "_value/"

struct refvalue_stored {
    const char *name, *expiration, *by, *set, *publisher, *of;
    json_t *value;
    int64_t expires_at;
    bool removed;
};
/* *ret_json owns what *ret_stored borrows; `ret_hash` (may be NULL): of the text. */
bool refvalue_load(struct store *store, const char *key, json_t **ret_json,
    struct refvalue_stored *ret_stored, char *ret_hash, struct err *err) MUST_CHECK;
/* Hex SHA-256 of a JSON value's compact text. */
bool refvalue_value_hash(const json_t *value, char ret_hash[REFVALUE_HASH_SIZE], struct err *err)
    MUST_CHECK;
bool refvalue_is_scalar(const json_t *value); /* text, integer or boolean */
