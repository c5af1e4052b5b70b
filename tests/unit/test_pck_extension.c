/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/pck_extension.h"
#include "attest/verify/tdx_quote.h"
#include "attest/verify/x509.h"
#include "tests/unit/tdx_file.h"

/* The extension of a good evidence's PCK certificate. */
static void load(const char *name, struct buf *der)
{
    struct err err = ERR_INIT;
    auto_evidence_file file = {0};
    auto_buf quote = BUF_INIT(1u << 20);
    auto_x509_chain chain = {0};
    struct tdx_quote parsed;
    struct bytes value;
    tdx_file_good(name, &file);
    tdx_file_quote(file.input.evidence, &quote);
    assert_done(tdx_quote_parse(buf_bytes(&quote), &parsed, &err), &err);
    assert_done(x509_chain_load(parsed.pck_chain, "chain", &chain, &err), &err);
    assert_true(x509_extension(chain.certs[0], PCK_EXTENSION_OID, &value));
    assert_done(buf_append(der, value, &err), &err);
}

static void test_platform(void **state)
{
    (void)state;
    static const uint8_t components[] = {7, 9, 2, 2, 4, 1, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t fmspc[] = {0x90, 0xc0, 0x6f, 0, 0, 0};
    struct err err = ERR_INIT;
    struct pck_extension extension;
    auto_buf der = BUF_INIT(4096);
    load("v4", &der);
    assert_done(pck_extension_parse(buf_bytes(&der), &extension, &err), &err);
    assert_memory_equal(extension.components, components, sizeof components);
    assert_memory_equal(extension.cpusvn, components, sizeof components);
    assert_memory_equal(extension.fmspc, fmspc, sizeof fmspc);
    assert_int_equal(extension.pcesvn, 300);
    assert_int_equal(extension.sgx_type, 1);
    assert_int_equal(extension.ppid[15], 15);
    assert_true(extension.has_instance_id && extension.has_configuration);
    assert_int_equal(extension.instance_id[0], 0x20);
    assert_true(extension.dynamic_platform && extension.cached_keys && !extension.smt_enabled);
}

static void test_processor(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct pck_extension extension;
    auto_buf der = BUF_INIT(4096);
    load("v4-processor", &der);
    assert_done(pck_extension_parse(buf_bytes(&der), &extension, &err), &err);
    assert_int_equal(extension.sgx_type, PCK_SGX_TYPE_STANDARD);
    assert_false(extension.has_instance_id || extension.has_configuration);
}

/* Cut anywhere it is refused; with any byte changed it is refused or tells something, and never leaves its bytes. */
static void test_damaged(void **state)
{
    (void)state;
    struct pck_extension extension;
    auto_buf der = BUF_INIT(4096);
    load("v4", &der);
    for (size_t len = 0; len < der.len; len++) {
        struct err err = ERR_INIT;
        auto_free uint8_t *exact = malloc(len + 1);
        assert_non_null(exact);
        memcpy(exact, der.data, len);
        assert_refused(pck_extension_parse(bytes_of(exact, len), &extension, &err), &err,
            ERR_FORMAT, "SGX extension");
    }
    for (size_t at = 0; at < der.len; at++) {
        static const uint8_t values[] = {0x00, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff};
        uint8_t good = der.data[at];
        for (size_t i = 0; i < ARRAY_LEN(values); i++) {
            struct err err = ERR_INIT;
            der.data[at] = values[i];
            if (!pck_extension_parse(buf_bytes(&der), &extension, &err))
                assert_int_equal(err.code, ERR_FORMAT);
        }
        der.data[at] = good;
    }
}

/* DER has one way to write a length, a number and a truth value. */
static void test_not_canonical(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to; /* hex, of the same length */
    } rows[] = {
        {"0101ff", "010101"},         /* TRUE is ff */
        {"020200ff", "0202000f"},     /* a leading zero too many */
        {"020107", "020187"},         /* negative */
        {"0410000102", "0411000102"}, /* longer than its container */
        {"0a0101", "020101"},         /* INTEGER where ENUMERATED belongs */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        struct pck_extension extension;
        uint8_t from[8], to[8];
        size_t len = strlen(rows[i].from) / 2;
        auto_buf der = BUF_INIT(4096);
        load("v4", &der);
        assert_true(hex_decode(bytes_str(rows[i].from), "from", from, len, &err) &&
                    hex_decode(bytes_str(rows[i].to), "to", to, len, &err));
        uint8_t *at = memmem(der.data, der.len, from, len);
        assert_non_null(at);
        memcpy(at, to, len);
        assert_refused(pck_extension_parse(buf_bytes(&der), &extension, &err), &err, ERR_FORMAT,
            "SGX extension");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_platform),
        cmocka_unit_test(test_processor),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_not_canonical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
