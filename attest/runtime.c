/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/runtime.h"

#include <string.h>

#include "crypt/jwe.h"

/* The wire members of each key type (protocol.md A.2), in the order of the canonical form. */
static const char *const ec_members[] = {"alg", "crv", "kty", "x", "y", NULL};
static const char *const rsa_members[] = {"alg", "e", "kty", "n", NULL};

static bool members_for(const struct jwk *key, const char *const **ret_members, struct err *err)
{
    switch (jwk_kind(key)) {
    case JWK_EC_P256:
    case JWK_EC_P521:
        *ret_members = ec_members;
        return true;
    case JWK_RSA:
        *ret_members = rsa_members;
        return true;
    case JWK_EC_P384:
    case JWK_OKP_ED25519: /* signs only */
    case JWK_OCT:
        break;
    }
    return err_set(err, ERR_FORMAT, "tee-pubkey: only EC P-256, EC P-521 and RSA keys are taken");
}

/* Copies the texts of exactly these members: both ends must hash the same characters. */
static bool copy_members(
    const json_t *from, const char *const *members, json_t **ret_json, struct err *err)
{
    auto_json *json = json_object();
    if (!json)
        return err_nomem(err);
    for (; *members; members++) {
        const char *text = json_member_text(from, *members);
        if (!text)
            return err_set(err, ERR_FORMAT, "tee-pubkey: no text member \"%s\"", *members);
        if (json_object_set_new(json, *members, json_string(text)) != 0)
            return err_nomem(err);
    }
    *ret_json = take_ptr(json);
    return true;
}

bool runtime_tee_pubkey(const struct jwk *key, json_t **ret_json, struct err *err)
{
    const char *const *members = NULL;
    if (!members_for(key, &members, err))
        return false;
    auto_json *all = NULL;
    if (!jwk_public_json(key, jwe_alg_for(key), &all, err))
        return err_wrap(err, "tee-pubkey");
    return copy_members(all, members, ret_json, err);
}

bool runtime_tee_pubkey_check(
    const json_t *received, json_t **ret_json, struct jwk **ret_key, struct err *err)
{
    auto_jwk *key = NULL;
    const char *const *members = NULL;
    if (!jwk_from_json(received, false, &key, err))
        return err_wrap(err, "tee-pubkey");
    if (!members_for(key, &members, err))
        return false;
    const char *alg = json_member_text(received, "alg");
    if (!alg || strcmp(alg, jwe_alg_for(key)) != 0)
        return err_set(err, ERR_FORMAT, "tee-pubkey: \"alg\" must be \"%s\"", jwe_alg_for(key));
    auto_json *json = NULL;
    if (!copy_members(received, members, &json, err))
        return false;
    *ret_json = take_ptr(json);
    *ret_key = take_ptr(key);
    return true;
}

bool runtime_data(const char *nonce, const json_t *tee_pubkey, const char *additional,
    enum hash_alg alg, char **ret_canonical, struct hash *ret_digest, struct err *err)
{
    size_t nonce_len = strlen(nonce);
    if (nonce_len == 0 || nonce_len > RUNTIME_NONCE_MAX)
        return err_set(err, ERR_FORMAT, "nonce of %zu characters; 1 to %d are taken", nonce_len,
            RUNTIME_NONCE_MAX);

    auto_json *json = NULL;
    if (!json_build(&json, err, "{s:s*, s:s, s:O}", "additional-evidence", additional, "nonce",
            nonce, "tee-pubkey", tee_pubkey))
        return err_wrap(err, "runtime data");
    auto_free char *text = NULL;
    struct hash digest;
    if (!json_canonical(json, &text, err) || !hash_bytes(alg, bytes_str(text), &digest, err))
        return err_wrap(err, "runtime data");
    *ret_canonical = take_ptr(text);
    *ret_digest = digest;
    return true;
}
