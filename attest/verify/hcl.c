/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/hcl.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "attest/verify/tpm_quote.h"
#include "crypt/base/b64.h"

#define HARDWARE_AT     0x20u
#define REPORT_TYPE_AT  0x4c8u
#define HASH_TYPE_AT    0x4ccu
#define LENGTH_AT       0x4d0u
#define RUNTIME_AT      0x4d4u
#define KEYS_MAX        16
#define NUMBER_TEXT_MAX 1024 /* base64url of a modulus */
#define NUMBER_MAX      512
#define AK_KID          "HCLAkPub"

static uint32_t u32_at(struct bytes raw, size_t offset)
{
    const uint8_t *at = raw.data + offset;
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

bool hcl_report_parse(struct bytes raw, struct hcl_report *ret_report, struct err *err)
{
    if (raw.len < RUNTIME_AT || raw.len > HCL_REPORT_MAX)
        return err_set(err, ERR_FORMAT, "HCL report of %zu bytes; it has %u to %u", raw.len,
            RUNTIME_AT, HCL_REPORT_MAX);
    if (memcmp(raw.data, "HCLA", 4) != 0)
        return err_set(err, ERR_FORMAT, "HCL report does not begin with HCLA");
    size_t length = u32_at(raw, LENGTH_AT);
    if (length > raw.len - RUNTIME_AT)
        return err_set(err, ERR_FORMAT,
            "HCL report says %zu bytes of runtime data and has %zu after their beginning", length,
            raw.len - RUNTIME_AT);
    *ret_report = (struct hcl_report){
        .report_type = u32_at(raw, REPORT_TYPE_AT),
        .hash_type = u32_at(raw, HASH_TYPE_AT),
        .hardware = bytes_slice(raw, HARDWARE_AT, HCL_HARDWARE_SIZE),
        .runtime_data = bytes_slice(raw, RUNTIME_AT, length),
    };
    return true;
}

/* -- runtime data --------------------------------------------------------------------------------- */

static bool read_number(const char *text, const char *what, BIGNUM **ret_number, struct err *err)
{
    auto_buf raw = BUF_INIT(NUMBER_MAX);
    if (!b64_decode(B64_URL, bytes_str(text), what, &raw, err))
        return false;
    *ret_number = BN_bin2bn(raw.data, (int)raw.len, NULL);
    return *ret_number || err_nomem(err);
}

static EVP_PKEY *rsa_key(const BIGNUM *modulus, const BIGNUM *exponent)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    if (ctx && build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) &&
        (params = OSSL_PARAM_BLD_to_param(build)) && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return key;
}

static bool make_key(const char *n, const char *e, EVP_PKEY **ret_key, struct err *err)
{
    BIGNUM *modulus = NULL, *exponent = NULL;
    EVP_PKEY *key = NULL;
    bool read =
        read_number(n, AK_KID " n", &modulus, err) && read_number(e, AK_KID " e", &exponent, err);
    if (read)
        key = rsa_key(modulus, exponent);
    BN_free(modulus);
    BN_free(exponent);
    if (!read)
        return false;
    const char *problem = key ? tpm_ak_problem(key) : "no RSA key";
    if (problem) {
        EVP_PKEY_free(key);
        return err_set(err, ERR_FORMAT, AK_KID ": %s", problem);
    }
    *ret_key = key;
    return true;
}

static bool find_ak(const json_t *keys, EVP_PKEY **ret_key, struct err *err)
{
    struct jwk {
        const char *kty, *n, *e;
    } jwk;
    static const struct json_field fields[] = {
        {"kty", JSON_FIELD_TEXT, offsetof(struct jwk, kty), .required = true},
        {"n", JSON_FIELD_TEXT, offsetof(struct jwk, n), .max = NUMBER_TEXT_MAX, .required = true},
        {"e", JSON_FIELD_TEXT, offsetof(struct jwk, e), .max = NUMBER_TEXT_MAX, .required = true},
    };
    size_t index;
    const json_t *key;
    if (json_array_size(keys) > KEYS_MAX)
        return err_set(err, ERR_FORMAT, "runtime data of more than %d keys", KEYS_MAX);
    json_array_foreach(keys, index, key)
    {
        const char *kid = json_is_object(key) ? json_member_text(key, "kid") : NULL;
        if (!kid || strcmp(kid, AK_KID) != 0)
            continue;
        if (!json_decode(key, fields, ARRAY_LEN(fields), true, AK_KID, &jwk, err))
            return false;
        if (strcmp(jwk.kty, "RSA") != 0)
            return err_set(err, ERR_FORMAT, AK_KID " is no RSA key");
        return make_key(jwk.n, jwk.e, ret_key, err);
    }
    return err_set(err, ERR_FORMAT, "runtime data names no key " AK_KID);
}

void hcl_runtime_done(struct hcl_runtime *runtime)
{
    EVP_PKEY_free(runtime->ak);
    runtime->ak = NULL;
}

bool hcl_runtime_parse(struct bytes runtime_data, struct hcl_runtime *ret_runtime, struct err *err)
{
    struct message {
        json_t *keys;
        json_t *user_data;
    } in = {0};
    static const struct json_field fields[] = {
        {"keys", JSON_FIELD_ARRAY, offsetof(struct message, keys), .required = true},
        {"user-data", JSON_FIELD_ANY, offsetof(struct message, user_data)},
    };
    struct hcl_runtime runtime = {0};
    auto_json *json = NULL;
    if (!json_load_strict(runtime_data, HCL_REPORT_MAX, "HCL runtime data", &json, err) ||
        !json_decode(json, fields, ARRAY_LEN(fields), true, "HCL runtime data", &in, err))
        return false;
    const char *text = json_string_value(in.user_data);
    struct err no_hex = ERR_INIT; /* only evidence of version 2 looks at it, and misses it then */
    runtime.has_user_data = text && hex_decode(bytes_str(text), "user-data", runtime.user_data,
                                        sizeof runtime.user_data, &no_hex);
    if (!find_ak(in.keys, &runtime.ak, err))
        return false;
    *ret_runtime = runtime;
    return true;
}
