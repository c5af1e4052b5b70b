/* SPDX-License-Identifier: Apache-2.0 */
/* Median time of the steps between the KBS's answer and the plaintext. Prints one line a step; asserts nothing but success. */
#include <stdio.h>
#include <time.h>

#include "crypt/jwe.h"
#include "crypt/jws.h"
#include "crypt/sealed.h"

#define ROUNDS 501

struct setting {
    struct jwk *p256, *rsa;
    struct secret *wrapping_key, *p256_text, *rsa_text;
    struct buf for_p256, for_rsa;
    char *es256, *rs256, *envelope;
};

static bool open_p256(struct setting *in, struct err *err)
{
    auto_secret *plaintext = NULL;
    return jwe_decrypt(buf_bytes(&in->for_p256), in->p256, &plaintext, err);
}

static bool open_rsa(struct setting *in, struct err *err)
{
    auto_secret *plaintext = NULL;
    return jwe_decrypt(buf_bytes(&in->for_rsa), in->rsa, &plaintext, err);
}

static bool make_p256(struct setting *in, struct err *err)
{
    auto_buf text = BUF_INIT(JWE_TEXT_MAX);
    return jwe_encrypt(in->p256, secret_bytes(in->wrapping_key), &text, err);
}

static bool verify(const char *text, const struct jwk *key, struct err *err)
{
    auto_jws *jws = NULL;
    struct bytes payload;
    return jws_parse(bytes_str(text), &jws, err) && jws_verify(jws, key, ~0u, &payload, err);
}

static bool verify_es256(struct setting *in, struct err *err)
{
    return verify(in->es256, in->p256, err);
}

static bool verify_rs256(struct setting *in, struct err *err)
{
    return verify(in->rs256, in->rsa, err);
}

static bool open_envelope(struct setting *in, struct err *err)
{
    auto_sealed *sealed = NULL;
    auto_secret *plaintext = NULL;
    const char *uri;
    return sealed_parse(bytes_str(in->envelope), &sealed, err) &&
           sealed_verify(sealed, in->p256, err) &&
           sealed_check_context(sealed, SEALED_CONTEXT_REQUIRED, "bench", err) &&
           sealed_uri(sealed, &uri, err) && sealed_open(sealed, in->wrapping_key, &plaintext, err);
}

static bool load_p256(struct setting *in, struct err *err)
{
    auto_jwk *key = NULL;
    return jwk_from_secret(in->p256_text, &key, err);
}

static bool load_rsa(struct setting *in, struct err *err)
{
    auto_jwk *key = NULL;
    return jwk_from_secret(in->rsa_text, &key, err);
}

static bool make_secret(struct setting *in, struct err *err)
{
    (void)in;
    auto_secret *secret = NULL;
    return secret_new(32, &secret, err);
}

static const struct {
    const char *name;
    bool (*run)(struct setting *in, struct err *err);
    int rounds;
} steps[] = {
    {"jwe_decrypt P-256, 32 bytes", open_p256, ROUNDS},
    {"jwe_encrypt P-256, 32 bytes", make_p256, ROUNDS},
    {"jwe_decrypt RSA-2048, 32 bytes", open_rsa, ROUNDS},
    {"jws_parse + jws_verify ES256", verify_es256, ROUNDS},
    {"jws_parse + jws_verify RS256", verify_rs256, ROUNDS},
    {"sealed envelope, all steps", open_envelope, ROUNDS},
    {"jwk_from_secret P-256 private", load_p256, ROUNDS},
    {"jwk_from_secret RSA-2048 private", load_rsa, 21},
    {"secret_new + secret_unref", make_secret, ROUNDS},
};

static bool prepare(struct setting *in, struct err *err)
{
    in->for_p256 = (struct buf)BUF_INIT(JWE_TEXT_MAX);
    in->for_rsa = (struct buf)BUF_INIT(JWE_TEXT_MAX);
    return secret_init_process(1 << 20, err) && jwk_generate(JWK_EC_P256, NULL, &in->p256, err) &&
           jwk_generate(JWK_RSA, NULL, &in->rsa, err) &&
           secret_random(32, &in->wrapping_key, err) &&
           jwk_private_text(in->p256, &in->p256_text, err) &&
           jwk_private_text(in->rsa, &in->rsa_text, err) &&
           jwe_encrypt(in->p256, secret_bytes(in->wrapping_key), &in->for_p256, err) &&
           jwe_encrypt(in->rsa, secret_bytes(in->wrapping_key), &in->for_rsa, err) &&
           jws_sign(in->p256, NULL, bytes_str("{}"), &in->es256, err) &&
           jws_sign(in->rsa, NULL, bytes_str("{}"), &in->rs256, err) &&
           sealed_make_envelope(in->p256, "kbs:///default/signing-key/1", "kbs:///default/wrap/1",
               in->wrapping_key, in->wrapping_key, "bench", &in->envelope, err);
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static bool measure(struct setting *in, size_t step, struct err *err)
{
    double times[ROUNDS];
    for (int i = 0; i < steps[step].rounds; i++) {
        double from = now_us();
        if (!steps[step].run(in, err))
            return err_wrap(err, "%s", steps[step].name);
        times[i] = now_us() - from;
    }
    size_t count = (size_t)steps[step].rounds;
    qsort(times, count, sizeof times[0], ascending);
    printf("%-34s %9.1f us  (90%%: %.1f)\n", steps[step].name, times[count / 2],
        times[count * 9 / 10]);
    return true;
}

int main(void)
{
    struct err err = ERR_INIT;
    struct setting in = {0};
    bool done = prepare(&in, &err);
    for (size_t i = 0; done && i < ARRAY_LEN(steps); i++)
        done = measure(&in, i, &err);
    if (!done)
        fprintf(stderr, "bench_crypt: %s\n", err.message);
    buf_done(&in.for_p256);
    buf_done(&in.for_rsa);
    free(in.es256);
    free(in.rs256);
    free(in.envelope);
    jwk_unref(in.p256);
    jwk_unref(in.rsa);
    secret_unref(in.wrapping_key);
    secret_unref(in.p256_text);
    secret_unref(in.rsa_text);
    return done ? 0 : 1;
}
