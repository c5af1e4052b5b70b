/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/token_trust.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdio.h>

#include "crypt/base/b64.h"

#define SECURITY_LEVEL 2 /* OpenSSL's: RSA 2048, SHA-256 or better, all the way up */

DEFINE_AUTO(X509, X509_free);
DEFINE_AUTO(X509_STORE_CTX, X509_STORE_CTX_free);
DEFINE_AUTO(BIO, BIO_free_all);

struct key_set {
    char *where;
    struct jwk *keys[TOKEN_TRUST_KEYS];
    size_t count;
};

struct token_trust {
    X509_STORE *authorities;
    size_t authority_count;
    pthread_rwlock_t lock; /* guards the sets */
    struct key_set sets[TOKEN_TRUST_SETS];
    size_t set_count;
};

static void key_set_done(struct key_set *set)
{
    free(set->where);
    for (size_t i = 0; i < set->count; i++)
        jwk_unref(set->keys[i]);
    *set = (struct key_set){0};
}

bool token_trust_new(struct token_trust **ret_trust, struct err *err)
{
    AUTO(token_trust_free) struct token_trust *trust = calloc(1, sizeof *trust);
    if (!trust)
        return err_nomem(err);
    pthread_rwlock_init(&trust->lock, NULL);
    trust->authorities = X509_STORE_new();
    if (!trust->authorities)
        return err_nomem(err);
    *ret_trust = take_ptr(trust);
    return true;
}

void token_trust_free(struct token_trust *trust)
{
    if (!trust)
        return;
    X509_STORE_free(trust->authorities);
    for (size_t i = 0; i < trust->set_count; i++)
        key_set_done(&trust->sets[i]);
    pthread_rwlock_destroy(&trust->lock);
    free(trust);
}

bool token_trust_any(const struct token_trust *trust)
{
    return trust->authority_count > 0 || trust->set_count > 0;
}

/* -- authorities ------------------------------------------------------------------------------- */

bool token_trust_add_authorities(
    struct token_trust *trust, struct bytes pem, const char *where, struct err *err)
{
    size_t found = 0;
    if (pem.len == 0 || pem.len > TOKEN_TRUST_PEM_MAX)
        return err_set(err, ERR_CONFIG, "%s: %zu bytes; PEM certificates of 1 to %u are taken",
            where, pem.len, TOKEN_TRUST_PEM_MAX);
    AUTO(BIO_free_all) BIO *in = BIO_new_mem_buf(pem.data, (int)pem.len);
    if (!in)
        return err_nomem(err);
    for (;; found++) {
        AUTO(X509_free) X509 *certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
        if (!certificate)
            break;
        if (X509_STORE_add_cert(trust->authorities, certificate) != 1)
            return err_nomem(err);
    }
    unsigned long last = ERR_peek_last_error();
    bool at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (found == 0 || !at_end)
        return err_set(err, ERR_CONFIG, "%s: certificate %zu is not PEM of an X.509 certificate",
            where, found + 1);
    trust->authority_count += found;
    return true;
}

/* -- key sets ---------------------------------------------------------------------------------- */

static bool is_usable(const struct jwk *key)
{
    const char *use = jwk_use(key);
    enum jwk_kind kind = jwk_kind(key);
    return (!use || strcmp(use, "sig") == 0) &&
           (kind == JWK_EC_P256 || kind == JWK_EC_P384 || kind == JWK_RSA);
}

/* A set may hold keys for other purposes and of kinds that we do not know: those are nobody's fault. */
static void take_keys(const json_t *keys, struct key_set *set)
{
    size_t index;
    const json_t *json;
    json_array_foreach(keys, index, json)
    {
        auto_jwk *key = NULL;
        struct err ignored = ERR_INIT;
        if (set->count < TOKEN_TRUST_KEYS && json_is_object(json) &&
            jwk_from_json(json, false, &key, &ignored) && is_usable(key))
            set->keys[set->count++] = take_ptr(key);
    }
}

bool token_trust_set_keys(
    struct token_trust *trust, struct bytes jwks, const char *where, struct err *err)
{
    auto_json *json = NULL;
    AUTO_DONE(key_set_done) struct key_set set = {0};
    if (!json_load_strict(jwks, TOKEN_TRUST_SET_MAX, where, &json, err))
        return false;
    take_keys(json_object_get(json, "keys"), &set);
    if (set.count == 0)
        return err_set(err, ERR_FORMAT,
            "%s: no JWK set with a public key of kind EC P-256, P-384 or RSA for signatures",
            where);
    set.where = strdup(where);
    if (!set.where)
        return err_nomem(err);
    pthread_rwlock_wrlock(&trust->lock);
    size_t at = 0;
    while (at < trust->set_count && strcmp(trust->sets[at].where, where) != 0)
        at++;
    bool fits = at < TOKEN_TRUST_SETS;
    if (fits) {
        struct key_set old = trust->sets[at];
        trust->sets[at] = set;
        set = old; /* ends with the scope */
        trust->set_count += at == trust->set_count;
    }
    pthread_rwlock_unlock(&trust->lock);
    return fits || err_set(err, ERR_CONFIG, "%s: more than %d JWK sets", where, TOKEN_TRUST_SETS);
}

/* The same key material, or (`wanted` NULL) the same kid. */
static bool matches(const struct jwk *key, const struct jwk *wanted, const char *kid)
{
    if (wanted)
        return jwk_kind(key) == jwk_kind(wanted) &&
               EVP_PKEY_eq(jwk_pkey(key), jwk_pkey(wanted)) == 1;
    return jwk_kid(key) && strcmp(jwk_kid(key), kid) == 0;
}

static bool key_in_sets(
    struct token_trust *trust, const struct jwk *wanted, const char *kid, struct jwk **ret_key)
{
    struct jwk *found = NULL;
    pthread_rwlock_rdlock(&trust->lock);
    for (size_t i = 0; i < trust->set_count && !found; i++)
        for (size_t j = 0; j < trust->sets[i].count && !found; j++)
            if (matches(trust->sets[i].keys[j], wanted, kid))
                found = jwk_ref(trust->sets[i].keys[j]);
    pthread_rwlock_unlock(&trust->lock);
    *ret_key = found;
    return found != NULL;
}

/* -- certificates in the header ---------------------------------------------------------------- */

static bool read_certificate(const json_t *text, X509 **ret_certificate, struct err *err)
{
    auto_buf der = BUF_INIT(TOKEN_TRUST_CERT_MAX);
    struct err ignored = ERR_INIT;
    if (!json_is_string(text))
        return err_set(err, ERR_FORMAT, "token: x5c holds what is no text");
    struct bytes value = bytes_of(json_string_value(text), json_string_length(text));
    if (!b64_decode(B64_STD, value, "x5c", &der, &ignored)) {
        buf_truncate(&der, 0);
        if (!b64_decode(B64_URL, value, "x5c", &der, err))
            return err_wrap(err, "token");
    }
    const unsigned char *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.len);
    if (!certificate || (size_t)(at - der.data) != der.len) {
        X509_free(certificate);
        ERR_clear_error();
        return err_set(err, ERR_FORMAT, "token: x5c holds what is no DER certificate");
    }
    *ret_certificate = certificate;
    return true;
}

static void certificates_done(STACK_OF(X509) * *stack)
{
    sk_X509_pop_free(*stack, X509_free);
}

static bool read_chain(const json_t *x5c, STACK_OF(X509) * chain, struct err *err)
{
    size_t count = json_array_size(x5c);
    if (count == 0 || count > TOKEN_TRUST_X5C)
        return err_set(err, ERR_CRYPTO,
            "token: its header has a jwk without certificates (x5c of 1 to %d), so nobody vouches "
            "for the key",
            TOKEN_TRUST_X5C);
    for (size_t i = 0; i < count; i++) {
        AUTO(X509_free) X509 *certificate = NULL;
        if (!read_certificate(json_array_get(x5c, i), &certificate, err))
            return false;
        if (sk_X509_push(chain, certificate) <= 0)
            return err_nomem(err);
        (void)take_ptr(certificate);
    }
    return true;
}

static bool check_chain(
    struct token_trust *trust, STACK_OF(X509) * chain, int64_t now, struct err *err)
{
    AUTO(X509_STORE_CTX_free) X509_STORE_CTX *context = X509_STORE_CTX_new();
    if (!context ||
        X509_STORE_CTX_init(context, trust->authorities, sk_X509_value(chain, 0), chain) != 1)
        return err_nomem(err);
    X509_VERIFY_PARAM *rules = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(rules, (time_t)now);
    X509_VERIFY_PARAM_set_auth_level(rules, SECURITY_LEVEL);
    X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN);
    bool good = X509_verify_cert(context) == 1;
    int why = X509_STORE_CTX_get_error(context);
    ERR_clear_error();
    return good || err_set(err, ERR_CRYPTO,
                       "token: the certificate of its key is not vouched for by [token] "
                       "trusted_certs: %s",
                       X509_verify_cert_error_string(why));
}

static bool key_by_chain(struct token_trust *trust, const json_t *x5c, const struct jwk *key,
    int64_t now, struct err *err)
{
    AUTO_DONE(certificates_done) STACK_OF(X509) *chain = sk_X509_new_null();
    if (!chain)
        return err_nomem(err);
    if (!read_chain(x5c, chain, err))
        return false;
    EVP_PKEY *certified = X509_get0_pubkey(sk_X509_value(chain, 0));
    if (!certified || EVP_PKEY_eq(certified, jwk_pkey(key)) != 1) {
        ERR_clear_error();
        return err_set(
            err, ERR_CRYPTO, "token: its first certificate certifies another key than its jwk");
    }
    return check_chain(trust, chain, now, err);
}

static bool key_by_header(struct token_trust *trust, const json_t *header_key, int64_t now,
    struct jwk **ret_key, struct err *err)
{
    auto_jwk *key = NULL;
    if (!json_is_object(header_key) || !jwk_from_json(header_key, false, &key, err))
        return err_set(err, ERR_FORMAT, "token: the jwk of its header is no public key");
    if (key_in_sets(trust, key, NULL, ret_key))
        return true;
    if (trust->authority_count == 0)
        return err_set(err, ERR_CRYPTO,
            "token: the key of its own header is in none of the [token] trusted_jwks, and no "
            "trusted_certs say whom to believe");
    if (!key_by_chain(trust, json_object_get(header_key, "x5c"), key, now, err))
        return false;
    *ret_key = take_ptr(key);
    return true;
}

bool token_trust_key(struct token_trust *trust, const struct jws *token, int64_t now,
    struct jwk **ret_key, struct err *err)
{
    const json_t *header_key = json_object_get(jws_header(token), "jwk");
    const char *kid = jws_kid(token);
    if (header_key)
        return key_by_header(trust, header_key, now, ret_key, err);
    if (!kid)
        return err_set(err, ERR_CRYPTO, "token: its header has neither jwk nor kid");
    return key_in_sets(trust, NULL, kid, ret_key) ||
           err_set(err, ERR_CRYPTO,
               "token: the key \"%.64s\" is in none of the [token] trusted_jwks", kid);
}
