/* SPDX-License-Identifier: Apache-2.0 */
/* Microseconds for one verification of TPM evidence, of TDX evidence with its collateral, of SNP evidence, and of a token: bench_verify [ROUNDS]. */
#include <stdio.h>
#include <time.h>

#include "attest/verify/ear.h"
#include "tests/unit/evidence_file.h"
#include "tests/unit/tpm_fake.h"

#define NOW 1800000000

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool make_token(const json_t *claims, struct jwk *signer, char **ret_token, struct err *err)
{
    auto_appraisal appraisal = {0};
    auto_jwk *tee = NULL;
    auto_json *runtime = NULL, *jwk = NULL, *references = json_object();
    struct ear_signer by = {.key = signer, .issuer = "bench", .lifetime_s = 300};
    if (!appraise("tpm", claims, references, &appraisal, err) ||
        !jwk_generate(JWK_EC_P256, NULL, &tee, err) ||
        !jwk_public_json(tee, "ECDH-ES+A256KW", &jwk, err) ||
        !json_build(&runtime, err, "{s:s, s:s, s:O}", "additional-evidence", "", "nonce", "AAAA",
            "tee-pubkey", jwk))
        return false;
    const struct ear_piece piece = {.tee = "tpm",
        .class_name = "cpu",
        .claims = claims,
        .runtime_data = runtime,
        .appraisal = &appraisal};
    const struct ear_input input = {.pieces = &piece, .count = 1, .issued_at = NOW};
    return ear_issue(&by, &input, ret_token, err);
}

static bool bench(int rounds, struct err *err)
{
    static const uint8_t report_data[48] = {1, 2, 3};
    EVP_PKEY *ak = EVP_RSA_gen(2048);
    struct tpm_fake fake = tpm_fake_new(ak, bytes_of(report_data, sizeof report_data));
    auto_json *evidence = NULL;
    auto_jwk *signer = NULL;
    auto_free char *token = NULL;
    auto_verdict first = {0};
    bool done =
        tpm_fake_evidence(&fake, &evidence, err) && jwk_generate(JWK_EC_P256, NULL, &signer, err);
    EVP_PKEY_free(ak);
    struct verify_input input = {
        .evidence = evidence, .report_data = bytes_of(report_data, sizeof report_data)};
    if (!done || !verifier_tpm.verify(&input, &first, err) ||
        !make_token(first.claims, signer, &token, err))
        return false;
    double start = seconds();
    for (int i = 0; i < rounds; i++) {
        auto_verdict verdict = {0};
        if (!verifier_tpm.verify(&input, &verdict, err) || verdict.reason_count > 0)
            return false;
    }
    double middle = seconds();
    for (int i = 0; i < rounds; i++) {
        auto_ear ear = {0};
        if (!ear_verify(bytes_str(token), signer, NOW + 1, &ear, err))
            return false;
    }
    printf("TPM evidence verified: %.1f us\ntoken verified (%zu bytes): %.1f us\n",
        (middle - start) * 1e6 / rounds, strlen(token), (seconds() - middle) * 1e6 / rounds);
    return true;
}

/* Of a file with collateral and trust anchors of its own. */
static bool bench_file(const char *name, int rounds, struct err *err)
{
    auto_evidence_file file = {0};
    char path[4096];
    snprintf(path, sizeof path, TEST_SOURCE_DIR "/vectors/evidence/%s", name);
    if (!evidence_file_load(path, &file, err))
        return false;
    double start = seconds();
    for (int i = 0; i < rounds; i++) {
        auto_verdict verdict = {0};
        if (!verify_evidence(file.verifier, &file.input, &verdict, err))
            return false;
        if (!verdict.claims)
            return err_set(err, ERR_INTERNAL, "%s is refused", name);
    }
    printf("%s verified: %.1f us\n", name, (seconds() - start) * 1e6 / rounds);
    return true;
}

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    int rounds = argc > 1 ? atoi(argv[1]) : 2000;
    rounds = rounds > 0 ? rounds : 1;
    if (bench(rounds, &err) && bench_file("tdx/v4.json", rounds, &err) &&
        bench_file("tdx/v5-td15.json", rounds, &err) &&
        bench_file("../../fuzz/corpus/evidence/snp-milan-vcek-only.json", rounds, &err))
        return 0;
    fprintf(stderr, "bench_verify: %s\n", err.message);
    return 1;
}
