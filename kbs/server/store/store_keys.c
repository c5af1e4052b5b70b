/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/store/store_keys.h"

#include "crypt/aead.h"
#include "crypt/base/b64.h"
#include "crypt/base/conf.h"
#include "crypt/base/pack.h"
#include "crypt/hash.h"
#include "crypt/ossl.h"

#define ID_LABEL   "sealed-kbs kek id 1"
#define AAD_LABEL  "sealed-kbs record 1"
#define MAGIC_SIZE 8
#define WRAPPED    40
#define FIXED      24 /* version, created, not after */
#define FIXED_AT   (STORE_RECORD_HEAD - FIXED)
#define AAD_MAX    (STORE_KEY_MAX + 128)
#define FILE_MAX   256

struct key {
    char id[STORE_KEK_ID_TEXT];
    uint8_t raw_id[STORE_KEK_ID];
    struct secret *kek;
};

struct store_keys {
    struct key items[STORE_KEYS_MAX];
    size_t count;
};

/* -- the keys ------------------------------------------------------------------------------------ */

void store_keys_free(struct store_keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->count; i++)
        secret_unref(keys->items[i].kek);
    free(keys);
}

size_t store_keys_count(const struct store_keys *keys)
{
    return keys ? keys->count : 0;
}

const char *store_keys_id(const struct store_keys *keys, size_t i)
{
    return keys->items[i].id;
}

static const struct key *find(const struct store_keys *keys, const char *id)
{
    for (size_t i = 0; i < store_keys_count(keys); i++)
        if (strcmp(keys->items[i].id, id) == 0)
            return &keys->items[i];
    return NULL;
}

bool store_keys_add(struct store_keys **keys, const struct secret *kek, struct err *err)
{
    struct key key = {0};
    uint8_t mac[32];
    if (secret_len(kek) != STORE_KEK_SIZE)
        return err_set(err, ERR_FORMAT, "a key-encryption key has %d bytes, not %zu",
            STORE_KEK_SIZE, secret_len(kek));
    if (!hash_hmac_sha256(secret_bytes(kek), bytes_str(ID_LABEL), mac, err))
        return false;
    memcpy(key.raw_id, mac, sizeof key.raw_id);
    hex_encode(bytes_of(key.raw_id, sizeof key.raw_id), key.id);
    if (find(*keys, key.id))
        return err_set(err, ERR_CONFIG, "the key-encryption key %s is given twice", key.id);
    if (store_keys_count(*keys) == STORE_KEYS_MAX)
        return err_set(
            err, ERR_CONFIG, "more than %d key-encryption keys at a time", STORE_KEYS_MAX);
    if (!*keys && !(*keys = calloc(1, sizeof **keys)))
        return err_nomem(err);
    key.kek = secret_ref((struct secret *)(uintptr_t)kek);
    (*keys)->items[(*keys)->count++] = key;
    return true;
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* 64 hex digits and perhaps a newline -> 32 bytes; NULL in *ret_key when it is something else. */
static bool from_hex(struct bytes text, struct secret **ret_key, struct err *err)
{
    auto_secret *key = NULL;
    while (text.len > 2 * STORE_KEK_SIZE && bytes_is_blank(text.data[text.len - 1]))
        text.len--;
    if (text.len != 2 * STORE_KEK_SIZE)
        return true;
    if (!secret_new(STORE_KEK_SIZE, &key, err))
        return false;
    for (size_t i = 0; i < STORE_KEK_SIZE; i++) {
        int high = hex_digit(text.data[2 * i]), low = hex_digit(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return true;
        secret_data(key)[i] = (uint8_t)(high << 4 | low);
    }
    *ret_key = take_ptr(key);
    return true;
}

bool store_keys_add_file(struct store_keys **keys, const char *path, struct err *err)
{
    auto_secret *text = NULL, *key = NULL;
    if (!conf_credential(path, FILE_MAX, false, &text, err))
        return false;
    if (secret_len(text) == STORE_KEK_SIZE)
        key = secret_ref(text);
    else if (!from_hex(secret_bytes(text), &key, err))
        return false;
    if (!key)
        return err_set(err, ERR_CONFIG,
            "%s holds no key-encryption key: %d bytes (sealed keygen wrapping) or %d hex digits",
            path, STORE_KEK_SIZE, 2 * STORE_KEK_SIZE);
    return store_keys_add(keys, key, err) || err_wrap(err, "%s", path);
}

/* -- records --------------------------------------------------------------------------------------- */

bool store_record_is(struct bytes start)
{
    return start.len >= MAGIC_SIZE && memcmp(start.data, STORE_RECORD_MAGIC, MAGIC_SIZE) == 0;
}

struct record {
    struct bytes id, wrapped, nonce, fixed, ciphertext, tag;
};

static bool parse(struct bytes record, struct record *ret, struct err *err)
{
    if (!store_record_is(record) || record.len < STORE_RECORD_EXTRA ||
        record.len > STORE_RECORD_MAX)
        return err_set(err, ERR_IO, "no whole encrypted record (%zu bytes)", record.len);
    ret->id = bytes_slice(record, MAGIC_SIZE, STORE_KEK_ID);
    ret->wrapped = bytes_slice(record, MAGIC_SIZE + STORE_KEK_ID, WRAPPED);
    ret->nonce = bytes_slice(record, FIXED_AT - AEAD_NONCE_SIZE, AEAD_NONCE_SIZE);
    ret->fixed = bytes_slice(record, FIXED_AT, FIXED);
    ret->ciphertext = bytes_slice(record, STORE_RECORD_HEAD, record.len - STORE_RECORD_EXTRA);
    ret->tag = bytes_slice(record, record.len - AEAD_TAG_SIZE, AEAD_TAG_SIZE);
    return true;
}

bool store_record_head(struct bytes record, struct store_head *ret_head, struct err *err)
{
    struct record parts;
    struct store_head head;
    if (!parse(record, &parts, err))
        return false;
    struct pack_reader in = pack_reader(parts.fixed);
    head.at.version = (int64_t)pack_get_u64(&in);
    head.at.created = (int64_t)pack_get_u64(&in);
    head.at.not_after = (int64_t)pack_get_u64(&in);
    hex_encode(parts.id, head.kek);
    if (head.at.version < 1 || head.at.created < 0 || head.at.not_after < 0)
        return err_set(err, ERR_IO, "encrypted record with impossible numbers");
    *ret_head = head;
    return true;
}

static bool additional(
    enum store_space space, const char *key, struct bytes fixed, struct buf *out, struct err *err)
{
    const char *name = store_space_name(space);
    return buf_append(out, bytes_of(AAD_LABEL, sizeof AAD_LABEL), err) &&
           buf_append(out, bytes_of(name, strlen(name) + 1), err) &&
           buf_append(out, bytes_of(key, strlen(key) + 1), err) && buf_append(out, fixed, err);
}

static bool put_start(
    const struct key *kek, struct bytes data_key, struct buf *out, struct err *err)
{
    return buf_append(out, bytes_of(STORE_RECORD_MAGIC, MAGIC_SIZE), err) &&
           buf_append(out, bytes_of(kek->raw_id, sizeof kek->raw_id), err) &&
           keywrap_wrap(secret_bytes(kek->kek), data_key, out, err);
}

bool store_record_seal(const struct store_keys *keys, enum store_space space, const char *key,
    const struct store_version *at, struct bytes value, struct buf *out, struct err *err)
{
    uint8_t nonce[AEAD_NONCE_SIZE], tag[AEAD_TAG_SIZE];
    auto_secret *data_key = NULL;
    auto_buf fixed = BUF_INIT(FIXED), aad = BUF_INIT(AAD_MAX);
    struct pack_writer numbers = pack_writer(&fixed);
    pack_put_u64(&numbers, (uint64_t)at->version);
    pack_put_u64(&numbers, (uint64_t)at->created);
    pack_put_u64(&numbers, (uint64_t)at->not_after);
    return pack_written(&numbers, "record", err) && hash_random(nonce, sizeof nonce, err) &&
           secret_random(STORE_KEK_SIZE, &data_key, err) &&
           put_start(&keys->items[0], secret_bytes(data_key), out, err) &&
           buf_append(out, bytes_of(nonce, sizeof nonce), err) &&
           buf_append(out, buf_bytes(&fixed), err) &&
           additional(space, key, buf_bytes(&fixed), &aad, err) &&
           aead_seal(secret_bytes(data_key), bytes_of(nonce, sizeof nonce), buf_bytes(&aad), value,
               out, tag, err) &&
           buf_append(out, bytes_of(tag, sizeof tag), err);
}

static bool unwrap(const struct store_keys *keys, const struct record *parts,
    struct key32 *data_key, struct err *err)
{
    char id[STORE_KEK_ID_TEXT];
    hex_encode(parts->id, id);
    const struct key *kek = find(keys, id);
    if (!kek)
        return err_set(err, ERR_CONFIG,
            "it is encrypted under the key-encryption key %s, which is not here; name its file in "
            "[store] kek or kek_old",
            id);
    if (keywrap_unwrap_key32(secret_bytes(kek->kek), parts->wrapped, data_key->data, err))
        return true;
    if (err->code == ERR_CRYPTO)
        err_set(err, ERR_IO, "its data key was altered; put it again");
    return false;
}

bool store_record_open(const struct store_keys *keys, enum store_space space, const char *key,
    struct bytes record, struct secret **ret_value, struct err *err)
{
    struct record parts;
    struct store_head head;
    auto_key32 data_key;
    auto_buf aad = BUF_INIT(AAD_MAX);
    if (!parse(record, &parts, err) || !store_record_head(record, &head, err) ||
        !unwrap(keys, &parts, &data_key, err) || !additional(space, key, parts.fixed, &aad, err))
        return false;
    if (aead_open(key32_bytes(&data_key), parts.nonce, buf_bytes(&aad), parts.ciphertext, parts.tag,
            ret_value, err))
        return true;
    if (err->code == ERR_CRYPTO)
        err_set(err, ERR_IO,
            "its record was altered, or is one of another name or version; put it again");
    return false;
}

bool store_record_rewrap(
    const struct store_keys *keys, struct bytes record, struct buf *out, struct err *err)
{
    struct record parts;
    auto_key32 data_key;
    if (!parse(record, &parts, err) || !unwrap(keys, &parts, &data_key, err))
        return false;
    return put_start(&keys->items[0], key32_bytes(&data_key), out, err) &&
           buf_append(
               out, bytes_slice(record, MAGIC_SIZE + STORE_KEK_ID + WRAPPED, record.len), err);
}
