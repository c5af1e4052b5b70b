/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/publisher.h"

#include <inttypes.h>
#include <stdio.h>

#include "crypt/base/file.h"
#include "crypt/jws.h"

#define KEYS_MAX 16
#define ALLOWED \
    (JWS_ALLOW(JWS_ES256) | JWS_ALLOW(JWS_ES384) | JWS_ALLOW(JWS_RS256) | JWS_ALLOW(JWS_EDDSA))
#define SPACES " \t\r\n"

struct publishers {
    struct jwk *keys[KEYS_MAX];
    char ids[KEYS_MAX][PUBLISHER_ID_SIZE];
    size_t count;
};

/* -- keys -------------------------------------------------------------------------------------- */

static bool load_key(
    const char *path, struct jwk **ret_key, char ret_id[PUBLISHER_ID_SIZE], struct err *err)
{
    auto_buf text = BUF_INIT(JWK_TEXT_MAX);
    auto_secret *copy = NULL;
    auto_jwk *key = NULL;
    if (!file_read(path, JWK_TEXT_MAX, &text, err) || !secret_copy(buf_bytes(&text), &copy, err) ||
        !jwk_from_secret(copy, &key, err))
        return err_wrap(err, "publisher's key %s", path);
    if (jwk_is_private(key))
        return err_set(err, ERR_CONFIG,
            "publisher's key %s is a private key; the server needs only its public half: keep the "
            "private one with the publisher",
            path);
    if (jwk_kind(key) == JWK_OCT || jwk_kind(key) == JWK_EC_P521)
        return err_set(err, ERR_CONFIG,
            "publisher's key %s: P-256, P-384, Ed25519 and RSA keys sign here", path);
    if (!jwk_thumbprint(key, ret_id, err))
        return false;
    *ret_key = take_ptr(key);
    return true;
}

bool publishers_new(
    const struct kbs_conf *conf, struct publishers **ret_publishers, struct err *err)
{
    const struct conf_list *files = &conf->reference_values.publishers;
    AUTO(publishers_free) struct publishers *publishers = calloc(1, sizeof *publishers);
    if (!publishers)
        return err_nomem(err);
    if (files->count > KEYS_MAX)
        return err_set(err, ERR_CONFIG, "[reference_values] publishers: at most %d", KEYS_MAX);
    for (size_t i = 0; i < files->count; i++) {
        if (!load_key(files->items[i], &publishers->keys[i], publishers->ids[i], err))
            return false;
        publishers->count++;
    }
    *ret_publishers = take_ptr(publishers);
    return true;
}

void publishers_free(struct publishers *publishers)
{
    if (!publishers)
        return;
    for (size_t i = 0; i < publishers->count; i++)
        jwk_unref(publishers->keys[i]);
    free(publishers);
}

/* -- signatures -------------------------------------------------------------------------------- */

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && strchr(SPACES, text.data[text.len - 1]))
        text.len--;
    while (text.len > 0 && strchr(SPACES, text.data[0])) {
        text.data++;
        text.len--;
    }
    return text;
}

bool publisher_is_signed(struct bytes body)
{
    struct bytes text = trim(body);
    return text.len > 0 && text.data[0] != '{' && text.data[0] != '[';
}

bool publishers_open(const struct publishers *publishers, struct bytes body,
    struct refvalue_change *ret_change, char ret_id[PUBLISHER_ID_SIZE], struct err *err)
{
    auto_jws *jws = NULL;
    struct bytes payload;
    if (!publishers || publishers->count == 0)
        return err_set(err, ERR_CRYPTO,
            "the message is signed, but no publisher is known ([reference_values] publishers)");
    if (!jws_parse(trim(body), &jws, err))
        return err_wrap(err, "signed reference value message");
    for (size_t i = 0; i < publishers->count; i++) {
        auto_refvalue_change change = {0};
        struct err ignored = ERR_INIT;
        if (!jws_verify(jws, publishers->keys[i], ALLOWED, &payload, &ignored))
            continue;
        if (!refvalue_decode(payload, &change, err))
            return false;
        if (change.iat == 0)
            return err_set(err, ERR_FORMAT,
                "the signed message has no \"iat\", when it was made: without it an older message "
                "could be sent again");
        memcpy(ret_id, publishers->ids[i], PUBLISHER_ID_SIZE);
        *ret_change = change;
        change.values = NULL;
        return true;
    }
    return err_set(err, ERR_CRYPTO,
        "the message is not signed by any of the configured publishers ([reference_values] "
        "publishers)");
}

/* -- only newer ones --------------------------------------------------------------------------- */

static bool serial_prefix(
    const char *publisher, const char *name, char out[STORE_KEY_MAX + 1], struct err *err)
{
    char hash[REFVALUE_HASH_SIZE];
    if (!refvalue_name_hash(name, hash, err))
        return false;
    snprintf(out, STORE_KEY_MAX + 1, "_serial/%s/%s/", publisher, hash);
    return true;
}

/* The newest message's key below a prefix, borrowed from `keys`, which are sorted; NULL: none. */
static const char *newest(const json_t *keys, const char *prefix)
{
    size_t index;
    const json_t *key;
    const char *found = NULL;
    json_array_foreach(keys, index, key)
    {
        if (strncmp(json_string_value(key), prefix, strlen(prefix)) == 0)
            found = json_string_value(key);
    }
    return found;
}

static void serial_key(const char *prefix, int64_t iat, char out[STORE_KEY_MAX + 1])
{
    snprintf(out, STORE_KEY_MAX + 1, "%.600s%016" PRIx64, prefix, (uint64_t)iat);
}

static bool refuse_old(const char *name, struct err *err)
{
    return err_set(err, ERR_DENIED_LOCAL,
        "reference value %s: this publisher has sent a message as new or newer before; sign it "
        "again with an \"iat\" of now",
        name);
}

/* Said to everybody before anything is written. */
static bool claim(struct store *store, const json_t *keys, const char *name, const char *record,
    const struct refvalue_change *change, const char *publisher, struct err *err)
{
    char prefix[STORE_KEY_MAX + 1], key[STORE_KEY_MAX + 1];
    bool created = false;
    if (!serial_prefix(publisher, name, prefix, err))
        return false;
    serial_key(prefix, change->iat, key);
    const char *last = newest(keys, prefix);
    if (last && strcmp(last, key) >= 0)
        return refuse_old(name, err);
    return !record ||
           (store_create(store, STORE_REFERENCE, key, bytes_str(record), &created, err) &&
               (created || refuse_old(name, err)));
}

/*
 * A newer message may have been at work on another replica meanwhile, and ours may have overwritten it: its serial was there before its value,
 * so we see it now, and put its value back. Then the older serials go.
 */
static bool settle(struct store *store, const char *name, const char *publisher, struct err *err)
{
    char prefix[STORE_KEY_MAX + 1], key[STORE_KEY_MAX + 1];
    auto_json *keys = NULL;
    auto_buf text = BUF_INIT(REFVALUE_TEXT_MAX);
    size_t index;
    const json_t *item;
    if (!serial_prefix(publisher, name, prefix, err) ||
        !store_list(store, STORE_REFERENCE, &keys, err))
        return false;
    const char *last = newest(keys, prefix);
    if (!last)
        return err_set(err, ERR_BUSY, "reference value %s: its serial is gone", name);
    if (!store_get(store, STORE_REFERENCE, last, &text, err) || !refvalue_key(name, key, err) ||
        (text.len > strlen("{}") && !store_put(store, STORE_REFERENCE, key, buf_bytes(&text), err)))
        return false;
    json_array_foreach(keys, index, item)
    {
        struct err ignored = ERR_INIT;
        const char *old = json_string_value(item);
        if (strncmp(old, prefix, strlen(prefix)) == 0 && old != last &&
            !store_delete(store, STORE_REFERENCE, old, &ignored) && ignored.code != ERR_NOTFOUND) {
            *err = ignored;
            return false;
        }
    }
    return true;
}

static bool claim_all(struct store *store, const struct refvalue_change *change,
    const struct refvalue_setter *setter, struct err *err)
{
    auto_json *keys = NULL;
    const char *name;
    json_t *value;
    if (!store_list(store, STORE_REFERENCE, &keys, err))
        return false;
    json_object_foreach(change->values, name, value)
    {
        if (!claim(store, keys, name, NULL, change, setter->publisher, err))
            return false;
    }
    json_object_foreach(change->values, name, value)
    {
        auto_free char *record = change->operation == REFVALUE_SET ? NULL : strdup("{}");
        if (change->operation == REFVALUE_SET &&
            !refvalue_record(name, value, change->expires, setter, &record, err))
            return err_wrap(err, "reference value %s", name);
        if (!record)
            return err_nomem(err);
        if (!claim(store, keys, name, record, change, setter->publisher, err))
            return false;
    }
    return true;
}

bool publisher_apply(struct store *store, const struct refvalue_change *change,
    const struct refvalue_setter *setter, struct err *err)
{
    const char *name;
    json_t *value;
    if (change->iat > setter->now + PUBLISHER_SKEW_S)
        return err_set(err, ERR_DENIED_LOCAL,
            "the signed message's \"iat\" is in the future; compare the clocks");
    if (!claim_all(store, change, setter, err) || !refvalue_apply(store, change, setter, err))
        return false;
    json_object_foreach(change->values, name, value)
    {
        if (!settle(store, name, setter->publisher, err))
            return false;
    }
    return true;
}
