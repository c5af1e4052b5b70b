/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/token/session.h"

#include <stdio.h>
#include <time.h>

#include "crypt/base/b64.h"
#include "crypt/base/pack.h"

#define VALUE_VERSION 1
#define RANDOM_SIZE   16
#define MAC_SIZE      16
#define KEY_SIZE      32
#define VALUE_MAX     128
#define RECORD_MAX    (PROTO_TOKEN_MAX + 1024)

struct sessions {
    struct secret *key;
};

/* -- keys -------------------------------------------------------------------------------------- */

static bool derive(struct bytes root, const char *label, struct secret **ret_key, struct err *err)
{
    auto_secret *key = NULL;
    if (!secret_new(KEY_SIZE, &key, err) ||
        !hash_hmac_sha256(root, bytes_str(label), secret_data(key), err))
        return false;
    *ret_key = take_ptr(key);
    return true;
}

bool sessions_new(const struct jwk *signer, struct sessions **ret_sessions, struct err *err)
{
    auto_secret *text = NULL, *key = NULL;
    if (!jwk_private_text(signer, &text, err) ||
        !derive(secret_bytes(text), "sealed-kbs session key 1", &key, err))
        return err_wrap(err, "session key");
    struct sessions *sessions = calloc(1, sizeof *sessions);
    if (!sessions)
        return err_nomem(err);
    sessions->key = take_ptr(key);
    *ret_sessions = sessions;
    return true;
}

void sessions_free(struct sessions *sessions)
{
    if (!sessions)
        return;
    secret_unref(sessions->key);
    free(sessions);
}

bool sessions_subkey(
    const struct sessions *sessions, const char *label, struct secret **ret_key, struct err *err)
{
    return derive(secret_bytes(sessions->key), label, ret_key, err);
}

/* -- cookies and nonces -------------------------------------------------------------------------- */

/* HMAC(key, label || 00 || payload). */
static bool mac(const struct sessions *sessions, const char *label, struct bytes payload,
    uint8_t ret_mac[32], struct err *err)
{
    auto_buf data = BUF_INIT(2 * VALUE_MAX);
    return buf_append(&data, bytes_of(label, strlen(label) + 1), err) &&
           buf_append(&data, payload, err) &&
           hash_hmac_sha256(secret_bytes(sessions->key), buf_bytes(&data), ret_mac, err);
}

static bool set_nonce(
    const struct sessions *sessions, struct bytes payload, struct session *session, struct err *err)
{
    uint8_t nonce[SESSION_NONCE];
    return mac(sessions, "nonce", payload, nonce, err) &&
           b64_encode_to(
               B64_STD, bytes_of(nonce, sizeof nonce), session->nonce, sizeof session->nonce, err);
}

bool session_start(const struct sessions *sessions, const char *tee, int64_t expires_at,
    struct session *ret_session, struct err *err)
{
    struct session session = {.expires_at = expires_at};
    uint8_t random[RANDOM_SIZE], tag[32];
    auto_buf value = BUF_INIT(VALUE_MAX);
    if (strlen(tee) >= sizeof session.tee)
        return err_set(err, ERR_FORMAT, "tee of %zu characters", strlen(tee));
    if (!hash_random(random, sizeof random, err))
        return false;
    struct pack_writer out = pack_writer(&value);
    pack_put_u8(&out, VALUE_VERSION);
    pack_put_u64(&out, (uint64_t)expires_at);
    pack_put_fixed(&out, bytes_of(random, sizeof random));
    pack_put_fixed(&out, bytes_str(tee));
    if (!pack_written(&out, "session", err) ||
        !set_nonce(sessions, buf_bytes(&value), &session, err) ||
        !mac(sessions, "cookie", buf_bytes(&value), tag, err) ||
        !buf_append(&value, bytes_of(tag, MAC_SIZE), err) ||
        !b64_encode_to(B64_URL, buf_bytes(&value), session.value, sizeof session.value, err))
        return false;
    hex_encode(bytes_of(random, sizeof random), session.id);
    memcpy(session.tee, tee, strlen(tee));
    *ret_session = session;
    return true;
}

static bool check_mac(
    const struct sessions *sessions, struct bytes payload, struct bytes tag, struct err *err)
{
    uint8_t wanted[32];
    if (!mac(sessions, "cookie", payload, wanted, err))
        return false;
    return secret_equal(bytes_of(wanted, MAC_SIZE), tag) ||
           err_set(err, ERR_CRYPTO, "the session cookie is not one of this server");
}

/* `payload` is authentic. */
static bool read_payload(struct bytes payload, struct session *session, struct err *err)
{
    struct pack_reader in = pack_reader(payload);
    unsigned version = pack_get_u8(&in);
    session->expires_at = (int64_t)pack_get_u64(&in);
    struct bytes random = pack_get_fixed(&in, RANDOM_SIZE);
    struct bytes tee = pack_get_fixed(&in, in.rest.len);
    if (!pack_finish(&in, "session cookie", err))
        return false;
    if (version != VALUE_VERSION || tee.len == 0 || tee.len >= sizeof session->tee)
        return err_set(err, ERR_FORMAT, "session cookie of version %u", version);
    hex_encode(random, session->id);
    memcpy(session->tee, tee.data, tee.len);
    return true;
}

bool session_open(const struct sessions *sessions, struct bytes value, int64_t now,
    struct session *ret_session, struct err *err)
{
    struct session session = {0};
    auto_buf raw = BUF_INIT(VALUE_MAX);
    if (value.len >= sizeof session.value ||
        !b64_decode(B64_URL, value, "session cookie", &raw, err) || raw.len <= MAC_SIZE)
        return err_set(err, ERR_FORMAT, "the session cookie is not one of this server");
    struct bytes payload = bytes_slice(buf_bytes(&raw), 0, raw.len - MAC_SIZE);
    if (!check_mac(sessions, payload, bytes_slice(buf_bytes(&raw), payload.len, MAC_SIZE), err) ||
        !read_payload(payload, &session, err) || !set_nonce(sessions, payload, &session, err))
        return false;
    if (now >= session.expires_at)
        return err_set(err, ERR_STALE, "the session has expired; start again with /auth");
    memcpy(session.value, value.data, value.len);
    *ret_session = session;
    return true;
}

/* The value of cookie `name` in a Cookie header (RFC 6265, 4.2.1); empty when it is not there. */
static struct bytes cookie_value(const char *header, const char *name)
{
    size_t name_len = strlen(name);
    while (header && *header) {
        header += strspn(header, "; \t");
        size_t len = strcspn(header, ";");
        if (len > name_len && strncmp(header, name, name_len) == 0 && header[name_len] == '=') {
            struct bytes value = bytes_of(header + name_len + 1, len - name_len - 1);
            while (value.len > 0 && strchr(" \t", value.data[value.len - 1]))
                value.len--;
            return value;
        }
        header += len;
    }
    return BYTES_EMPTY;
}

bool session_find(const struct sessions *sessions, const char *cookie_header, int64_t now,
    struct session *ret_session, struct err *err)
{
    struct bytes value = cookie_value(cookie_header, SESSION_COOKIE);
    if (value.len == 0)
        return err_set(err, ERR_NOTFOUND, "no cookie " SESSION_COOKIE "; start with /auth");
    return session_open(sessions, value, now, ret_session, err);
}

void session_cookie(const struct session *session, char ret_text[RESPONSE_COOKIE_MAX])
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm at = {0};
    time_t seconds = (time_t)session->expires_at;
    gmtime_r(&seconds, &at);
    snprintf(ret_text, RESPONSE_COOKIE_MAX,
        SESSION_COOKIE "=%s; Expires=%s, %02d %s %04d %02d:%02d:%02d GMT", session->value,
        days[at.tm_wday], at.tm_mday, months[at.tm_mon], at.tm_year + 1900, at.tm_hour, at.tm_min,
        at.tm_sec);
}

/* -- spent nonces -------------------------------------------------------------------------------- */

struct record {
    const char *body; /* hex SHA-256 */
    const char *token;
    int64_t expires_at;
};

static const struct json_field record_fields[] = {
    {"body", JSON_FIELD_TEXT, offsetof(struct record, body), .min = 64, .max = 64,
        .required = true},
    {"token", JSON_FIELD_TEXT, offsetof(struct record, token), .min = 1, .required = true},
    {"expires", JSON_FIELD_INT, offsetof(struct record, expires_at), .max = INT64_MAX,
        .required = true},
};

/* *ret_json NULL: unspent. *ret_record borrows from it. */
static bool load_record(struct store *store, const struct session *session, json_t **ret_json,
    struct record *ret_record, struct err *err)
{
    auto_buf text = BUF_INIT(RECORD_MAX);
    struct err cause = ERR_INIT;
    if (!store_get(store, STORE_NONCE, session->id, &text, &cause)) {
        if (cause.code == ERR_NOTFOUND)
            return true;
        *err = cause;
        return err_wrap(err, "spent nonces");
    }
    auto_json *json = NULL;
    if (!json_load_strict(buf_bytes(&text), RECORD_MAX, "spent nonce", &json, err) ||
        !json_decode(
            json, record_fields, ARRAY_LEN(record_fields), false, "spent nonce", ret_record, err))
        return false;
    *ret_json = take_ptr(json);
    return true;
}

bool session_answer(struct server *server, const struct session *session, const struct hash *body,
    char **ret_token, struct err *err)
{
    auto_json *json = NULL;
    struct record record = {0};
    char digest[2 * HASH_SIZE_MAX + 1];
    if (!load_record(server->store, session, &json, &record, err))
        return false;
    if (!json) {
        *ret_token = NULL;
        return true;
    }
    hex_encode(hash_view(body), digest);
    if (strcmp(record.body, digest) != 0)
        return err_set(err, ERR_DENIED_POLICY,
            "the nonce was used for other evidence; start again with /auth");
    char *token = strdup(record.token);
    if (!token)
        return err_nomem(err);
    *ret_token = token;
    return true;
}

bool session_spend(struct server *server, const struct session *session, const struct hash *body,
    const char *token, char **ret_token, struct err *err)
{
    auto_json *json = NULL;
    char digest[2 * HASH_SIZE_MAX + 1];
    bool created = false;
    hex_encode(hash_view(body), digest);
    if (!json_build(&json, err, "{s:s, s:s, s:I}", "body", digest, "token", token, "expires",
            (json_int_t)session->expires_at))
        return false;
    auto_free char *text = json_text(json);
    if (!text)
        return err_nomem(err);
    if (!store_create(server->store, STORE_NONCE, session->id, bytes_str(text), &created, err))
        return err_wrap(err, "spend the nonce");
    auto_free char *won = created ? strdup(token) : NULL;
    if (!created && !session_answer(server, session, body, &won, err))
        return false;
    if (!won)
        return err_set(err, ERR_BUSY, "the nonce was spent and swept at the same time");
    *ret_token = take_ptr(won);
    return true;
}

bool session_token(
    struct server *server, const char *cookie_header, char **ret_token, struct err *err)
{
    auto_json *json = NULL;
    struct session session;
    struct record record = {0};
    struct err cause = ERR_INIT;
    char *token = NULL;
    if (session_find(server->sessions, cookie_header, server_now(server), &session, &cause)) {
        if (!load_record(server->store, &session, &json, &record, err))
            return false;
        if (json && !(token = strdup(record.token)))
            return err_nomem(err);
    } else if (cause.code == ERR_NOMEM || cause.code == ERR_INTERNAL) {
        *err = cause;
        return false;
    }
    *ret_token = token;
    return true;
}
