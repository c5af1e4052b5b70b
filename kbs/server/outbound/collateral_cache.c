/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/outbound/collateral_cache.h"

#include "crypt/base/pack.h"

#define RECORD_VERSION 1

void collateral_record_done(struct collateral_record *record)
{
    buf_done(&record->data);
    *record = (struct collateral_record){0};
}

bool collateral_cache_get(
    struct store *store, const char *name, struct collateral_record *ret_record, struct err *err)
{
    auto_collateral_record record = {.data = BUF_INIT(STORE_VALUE_MAX)};
    if (!collateral_name_ok(name))
        return err_set(err, ERR_FORMAT, "\"%.80s\" is no name of a collateral object", name);
    if (!store_get(store, STORE_COLLATERAL, name, &record.data, err))
        return false;
    struct pack_reader in = pack_reader(buf_bytes(&record.data));
    bool known = pack_get_u8(&in) == RECORD_VERSION;
    record.fetched = (int64_t)pack_get_u64(&in);
    pack_get_text(&in, record.origin, sizeof record.origin);
    record.body = pack_get_block(&in, STORE_VALUE_MAX);
    record.chain = pack_get_block(&in, STORE_VALUE_MAX);
    if (!pack_finish(&in, "cached collateral", err))
        return err_wrap(err, "%s", name);
    if (!known)
        return err_set(err, ERR_FORMAT, "%s was cached by a newer version of this program", name);
    if (!collateral_examine(name, record.body, record.chain, &record.until, err))
        return err_wrap(err, "cached collateral");
    *ret_record = record;
    record = (struct collateral_record){0};
    return true;
}

/* The new one is at least as good for as long; or what is there cannot be read, and helps nobody. */
static bool is_better(struct store *store, const char *name, int64_t until)
{
    auto_collateral_record old = {0};
    struct err none = ERR_INIT;
    return !collateral_cache_get(store, name, &old, &none) || old.until <= until;
}

bool collateral_cache_put(struct store *store, const char *name, struct bytes body,
    struct bytes chain, const char *origin, int64_t now, bool *ret_kept, struct err *err)
{
    auto_buf value = BUF_INIT(STORE_VALUE_MAX);
    int64_t until;
    if (!collateral_name_ok(name))
        return err_set(err, ERR_FORMAT, "\"%.80s\" is no name of a collateral object", name);
    if (body.len > COLLATERAL_CACHED_MAX || chain.len > COLLATERAL_CACHED_MAX - body.len)
        return err_set(err, ERR_FORMAT, "%s: over %u bytes", name, COLLATERAL_CACHED_MAX);
    if (!collateral_examine(name, body, chain, &until, err))
        return false;
    *ret_kept = is_better(store, name, until);
    if (!*ret_kept)
        return true;
    struct pack_writer out = pack_writer(&value);
    pack_put_u8(&out, RECORD_VERSION);
    pack_put_u64(&out, (uint64_t)now);
    pack_put_text(&out, origin);
    pack_put_block(&out, body);
    pack_put_block(&out, chain);
    return pack_written(&out, "cached collateral", err) &&
           store_put(store, STORE_COLLATERAL, name, buf_bytes(&value), err);
}
