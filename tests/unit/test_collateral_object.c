/* SPDX-License-Identifier: Apache-2.0 */
/* What objects are, by their content, and until when; on the objects of tests/vectors/evidence/tdx. SEV-SNP's are in it/kbs_collateral. */
#include "attest/verify/collateral_object.h"

#include "attest/verify/collateral_pcs.h"
#include "crypt/base/clock.h"
#include "crypt/base/file.h"
#include "tests/unit/unit.h"

static struct err err;

struct seen {
    size_t count, documents;
};

static bool look(
    void *context, const char *name, struct bytes body, struct bytes chain, struct err *cause)
{
    struct seen *seen = context;
    char found[COLLATERAL_NAME_MAX], end[CLOCK_TEXT_SIZE];
    int64_t until = 0;
    assert_done(collateral_identify(body, found, cause), cause);
    assert_string_equal(found, name);
    assert_done(collateral_examine(name, body, chain, &until, cause), cause);
    clock_rfc3339(until, end);
    assert_true(collateral_changes(name));
    assert_refused(collateral_examine("intel/tcb/000000000000", body, chain, &until, &err), &err,
        ERR_FORMAT, "this is");
    if (strncmp(name, "intel/tcb/", strlen("intel/tcb/")) == 0) {
        seen->documents++;
        assert_string_equal(end, "2026-07-01T10:00:00Z");
        assert_refused(collateral_examine(name, body, BYTES_EMPTY, &until, &err), &err, ERR_FORMAT,
            "issuer chain");
        assert_refused(collateral_examine(name, body, bytes_str("-----BEGIN"), &until, &err), &err,
            ERR_FORMAT, name);
    }
    if (strcmp(name, "intel/root-crl") == 0)
        assert_string_equal(end, "2027-04-01T00:00:00Z");
    if (strcmp(name, "intel/pck-crl/platform") == 0)
        assert_string_equal(end, "2026-07-01T00:00:00Z");
    seen->count++;
    return true;
}

static void content_tells_name_and_end(void **state)
{
    (void)state;
    struct seen seen = {0};
    auto_buf file = BUF_INIT(COLLATERAL_PCS_MAX);
    assert_done(file_read(TEST_SOURCE_DIR "/vectors/evidence/tdx/pcs.json", COLLATERAL_PCS_MAX,
                    &file, &err),
        &err);
    assert_done(
        collateral_pcs_read(buf_bytes(&file), COLLATERAL_PCS_EARLY, look, &seen, &err), &err);
    assert_true(seen.count >= 5);
    assert_true(seen.documents >= 1);
}

static void other_content_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {"", "x", "{", "{}", "{\"tcbInfo\":1}",
        "{\"tcbInfo\":{\"id\":\"SGX\",\"fmspc\":\"90C06F000000\"}}",
        "{\"tcbInfo\":{\"id\":\"TDX\",\"fmspc\":\"90C06F0000\"}}",
        "{\"enclaveIdentity\":{\"nextUpdate\":\"2026-07-01T00:00:00Z\"}}",
        "{\"enclaveIdentity\":{},\"signature\":\"\"}",
        "{\"enclaveIdentity\":{\"nextUpdate\":\"soon\"},\"signature\":\"\"}",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n", "\x30\x00"};
    char name[COLLATERAL_NAME_MAX];
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        err_clear(&err);
        if (collateral_identify(bytes_str(refused[i]), name, &err) || err.code != ERR_FORMAT)
            fail_msg("%s: %s", refused[i], err.message);
    }
    assert_false(collateral_changes("amd/vcek/Milan/00/bl00_tee00_snp00_ucode00"));
    assert_false(collateral_changes("amd/chain/Milan"));
    assert_true(collateral_changes("amd/crl/Milan"));
}

static void headers_are_unescaped(void **state)
{
    (void)state;
    static const struct {
        const char *text, *plain; /* NULL: refused */
    } cases[] = {{"", ""}, {"a+b%2Bc", "a+b+c"}, {"%0a%0A", "\n\n"}, {"%", NULL}, {"a%2", NULL},
        {"%zz", NULL}, {"%2", NULL}, {"%25", "%"}, {"%%25", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_buf out = BUF_INIT(100);
        bool done = collateral_unescape(bytes_str(cases[i].text), "header", &out, &err);
        assert_int_equal(done, cases[i].plain != NULL);
        if (done)
            assert_string_equal(buf_text(&out), cases[i].plain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_tells_name_and_end),
        cmocka_unit_test(other_content_is_refused),
        cmocka_unit_test(headers_are_unescaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
