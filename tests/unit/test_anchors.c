/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "attest/verify/anchors.h"
#include "tests/unit/x509_fake.h"

static struct err err;
static EVP_PKEY *ark_key, *ask_key, *intel_key;
static X509 *ark, *ask, *asvk, *intel, *lonely;

static X509 *make(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
    const struct x509_fake want = {.name = name,
        .key = key,
        .issuer = issuer,
        .issuer_key = issuer_key,
        .from = 1,
        .until = 1000};
    return x509_fake_make(&want);
}

static int setup(void **state)
{
    (void)state;
    ark_key = EVP_EC_gen("P-256");
    ask_key = EVP_EC_gen("P-256");
    intel_key = EVP_EC_gen("P-256");
    ark = make("ARK-Genoa", ark_key, NULL, NULL);
    ask = make("SEV-Genoa", ask_key, ark, ark_key);
    asvk = make("SEV-VLEK-Genoa", ask_key, ark, ark_key);
    intel = make("Intel SGX Root CA", intel_key, NULL, NULL);
    lonely = make("somebody", intel_key, ark, ark_key);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    X509 *const certs[] = {ark, ask, asvk, intel, lonely};
    EVP_PKEY *const keys[] = {ark_key, ask_key, intel_key};
    for (size_t i = 0; i < ARRAY_LEN(certs); i++)
        X509_free(certs[i]);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        EVP_PKEY_free(keys[i]);
    return 0;
}

static void load(bool keep_pins, struct anchors **ret_anchors)
{
    auto_buf pem = BUF_INIT(ANCHORS_PEM_MAX);
    X509 *const certs[] = {lonely, ark, ask, asvk, intel};
    for (size_t i = 0; i < ARRAY_LEN(certs); i++)
        x509_fake_pem(certs[i], &pem);
    assert_done(anchors_new(buf_bytes(&pem), keep_pins, ret_anchors, &err), &err);
}

static void roles_follow_from_names(void **state)
{
    (void)state;
    auto_anchors *anchors = NULL;
    load(false, &anchors);
    assert_true(anchors_trusted(anchors, ANCHOR_AMD_ARK_GENOA, ark));
    assert_true(anchors_trusted(anchors, ANCHOR_AMD_ASK + AMD_GENOA, ask));
    assert_true(anchors_trusted(anchors, ANCHOR_AMD_ASVK + AMD_GENOA, asvk));
    assert_true(anchors_trusted(anchors, ANCHOR_INTEL_ROOT, intel));
    assert_false(anchors_trusted(anchors, ANCHOR_AMD_ARK_MILAN, ark));
    assert_false(anchors_trusted(anchors, ANCHOR_AMD_ARK_GENOA, ask));
    assert_false(anchors_trusted(anchors, ANCHOR_INTEL_ROOT, ark));
    assert_int_equal(X509_cmp(anchors_get(anchors, ANCHOR_AMD_ASVK_GENOA), asvk), 0);
    assert_null(anchors_get(anchors, ANCHOR_AMD_ASVK_TURIN));
    assert_true(anchors_any(anchors, ANCHOR_AMD_ASK_GENOA));
    assert_false(anchors_any(anchors, ANCHOR_AMD_ASK_MILAN));
    assert_string_equal(anchor_name(ANCHOR_AMD_ASVK + AMD_TURIN), "SEV-VLEK-Turin");
    assert_null(anchor_name(ANCHOR_INTEL_ROOT));
    assert_string_equal(amd_generation_name(AMD_MILAN), "Milan");
}

static void pins_stay_or_go(void **state)
{
    (void)state;
    auto_anchors *more = NULL, *only = NULL;
    load(true, &more);
    load(false, &only);
    assert_true(anchors_any(more, ANCHOR_AMD_ARK_TURIN));
    assert_false(anchors_any(only, ANCHOR_AMD_ARK_TURIN));
    assert_true(anchors_any(NULL, ANCHOR_AMD_ARK_TURIN));
    assert_true(anchors_trusted(more, ANCHOR_AMD_ARK_GENOA, ark));
    assert_false(anchors_trusted(NULL, ANCHOR_AMD_ARK_GENOA, ark));
    assert_false(anchors_trusted(NULL, ANCHOR_INTEL_ROOT, intel));
    assert_null(anchors_get(NULL, ANCHOR_AMD_ARK_GENOA));
}

/* A name makes no root: an ARK must have issued itself, and an ASK must not. */
static void names_alone_are_not_enough(void **state)
{
    (void)state;
    auto_buf pem = BUF_INIT(8192);
    auto_anchors *none = NULL;
    X509 *issued = make("ARK-Milan", ask_key, ark, ark_key);
    X509 *self = make("SEV-Milan", ask_key, NULL, NULL);
    x509_fake_pem(issued, &pem);
    x509_fake_pem(self, &pem);
    assert_refused(anchors_new(buf_bytes(&pem), true, &none, &err), &err, ERR_CONFIG,
        "none of 2 certificates is one");
    X509_free(issued);
    X509_free(self);
}

static void useless_and_giant_input(void **state)
{
    (void)state;
    auto_anchors *none = NULL;
    auto_free char *giant = calloc(1, ANCHORS_PEM_MAX + 1);
    auto_buf pem = BUF_INIT(ANCHORS_PEM_MAX);
    assert_refused(anchors_new(BYTES_EMPTY, true, &none, &err), &err, ERR_CONFIG, "none of 0");
    assert_refused(anchors_new(bytes_of(giant, ANCHORS_PEM_MAX + 1), true, &none, &err), &err,
        ERR_CONFIG, "at most 262144");
    assert_refused(anchors_new(bytes_str("-----BEGIN CERTIFICATE-----\nAAAA\n"), true, &none, &err),
        &err, ERR_CONFIG, "malformed PEM");
    for (int i = 0; i <= ANCHORS_MAX; i++)
        x509_fake_pem(intel, &pem);
    assert_refused(
        anchors_new(buf_bytes(&pem), true, &none, &err), &err, ERR_CONFIG, "more than 128");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_follow_from_names),
        cmocka_unit_test(pins_stay_or_go),
        cmocka_unit_test(names_alone_are_not_enough),
        cmocka_unit_test(useless_and_giant_input),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
