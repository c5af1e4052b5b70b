/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/tdx_quote.h"
#include "tests/unit/tdx_file.h"

static void load(const char *name, struct buf *quote)
{
    auto_evidence_file file = {0};
    tdx_file_good(name, &file);
    tdx_file_quote(file.input.evidence, quote);
}

static void test_parts(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint16_t version;
        size_t body, signed_part, fields;
    } rows[] = {
        {"v4", 4, 584, 632, 15}, {"v5-td10", 5, 584, 638, 15}, {"v5-td15", 5, 648, 702, 17}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        struct tdx_quote quote;
        auto_buf raw = BUF_INIT(1u << 20);
        size_t offset = 0, count = 0;
        load(rows[i].name, &raw);
        assert_done(tdx_quote_parse(buf_bytes(&raw), &quote, &err), &err);
        assert_int_equal(quote.version, rows[i].version);
        assert_int_equal(quote.body.len, rows[i].body);
        assert_int_equal(quote.signed_part.len, rows[i].signed_part);
        assert_ptr_equal(quote.signed_part.data, raw.data);
        assert_int_equal(quote.qe_report.len, 384);
        assert_int_equal(quote.qe_auth.len, 32);
        assert_int_equal(bytes_u16le(quote.qe_report, QE_SVN_OFFSET), 4);
        assert_memory_equal(quote.pck_chain.data, "-----BEGIN CERTIFICATE-----", 27);
        assert_int_equal(quote.pck_chain.data[quote.pck_chain.len - 1], '\n');
        /* The fields fill the body, one after the other. */
        for (int field = 0; field < TDX_FIELD_COUNT; field++) {
            struct bytes value = tdx_quote_field(&quote, (enum tdx_field)field);
            if (value.len == 0)
                continue;
            assert_ptr_equal(value.data, quote.body.data + offset);
            offset += value.len;
            count++;
        }
        assert_int_equal(offset, rows[i].body);
        assert_int_equal(count, rows[i].fields);
    }
}

static void test_refusals_tell(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
        const char *text;
    } rows[] = {
        {0, 3, "SGX enclave"},
        {0, 6, "version 6"},
        {2, 3, "key type 3"},
        {4, 0, "TEE type 00000000"},
        {12, 0, "vendor"},
        {635, 0xff, "signature data claims"},
        {636 + 128, 5, "type 5, where 6"},
        {636 + 133, 0x7f, "QE report certification data claims"},
    };
    auto_buf raw = BUF_INIT(1u << 20);
    load("v4", &raw);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        struct tdx_quote quote;
        uint8_t good = raw.data[rows[i].at];
        raw.data[rows[i].at] = rows[i].value;
        assert_refused(
            tdx_quote_parse(buf_bytes(&raw), &quote, &err), &err, ERR_FORMAT, rows[i].text);
        raw.data[rows[i].at] = good;
    }
}

/* Every boundary, in memory that ends there. */
static void test_truncated(void **state)
{
    (void)state;
    auto_buf raw = BUF_INIT(1u << 20);
    load("v5-td10", &raw); /* without padding */
    for (size_t len = 0; len < raw.len; len++) {
        struct err err = ERR_INIT;
        struct tdx_quote quote;
        auto_free uint8_t *exact = malloc(len + 1);
        assert_non_null(exact);
        memcpy(exact, raw.data, len);
        assert_refused(tdx_quote_parse(bytes_of(exact, len), &quote, &err), &err, ERR_FORMAT, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refusals_tell),
        cmocka_unit_test(test_truncated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
