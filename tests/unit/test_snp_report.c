/* SPDX-License-Identifier: Apache-2.0 */
/* Layout of reports: generations and their TCB, names in AMD's key service. The JSON form is in test_snp.c. */
#include "tests/unit/unit.h"

#include "attest/verify/snp_report.h"

static struct verdict verdict;

static struct snp_report parse(const uint8_t raw[SNP_REPORT_SIZE])
{
    struct snp_report report;
    assert_true(snp_report_parse(bytes_of(raw, SNP_REPORT_SIZE), &report, &verdict));
    return report;
}

static void generations_follow_from_the_cpu(void **state)
{
    static const struct {
        uint8_t family, model;
        int generation; /* -1: unknown */
    } cpus[] = {
        {0x19, 0x00, AMD_MILAN},
        {0x19, 0x0f, AMD_MILAN},
        {0x19, 0x10, AMD_GENOA},
        {0x19, 0x1f, AMD_GENOA},
        {0x19, 0xa0, AMD_GENOA},
        {0x19, 0xaf, AMD_GENOA},
        {0x1a, 0x00, AMD_TURIN},
        {0x1a, 0x11, AMD_TURIN},
        {0x19, 0x20, -1},
        {0x19, 0x9f, -1},
        {0x19, 0xb0, -1},
        {0x1a, 0x12, -1},
        {0x17, 0x01, -1},
        {0x00, 0x00, -1},
        {0xff, 0xff, -1},
    };
    uint8_t raw[SNP_REPORT_SIZE] = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cpus); i++) {
        raw[0x188] = cpus[i].family;
        raw[0x189] = cpus[i].model;
        struct snp_report report = parse(raw);
        assert_int_equal(report.known, cpus[i].generation >= 0);
        if (report.known)
            assert_int_equal(report.generation, cpus[i].generation);
    }
}

static void the_tcb_stands_elsewhere_on_turin(void **state)
{
    uint8_t raw[SNP_REPORT_SIZE] = {0};
    char name[SNP_TCB_NAME_SIZE], hwid[2 * SNP_CHIP_ID_SIZE + 1];
    (void)state;
    for (uint8_t i = 0; i < 8; i++)
        raw[0x180 + i] = (uint8_t)(i + 1);
    memset(raw + 0x1a0, 0xab, 64);
    raw[0x188] = 0x19;
    struct snp_report milan = parse(raw);
    snp_report_tcb_name(&milan, name);
    assert_string_equal(name, "bl01_tee02_snp07_ucode08");
    snp_report_hwid(&milan, hwid);
    assert_int_equal(strlen(hwid), 128);
    raw[0x188] = 0x1a;
    struct snp_report turin = parse(raw);
    snp_report_tcb_name(&turin, name);
    assert_string_equal(name, "bl02_tee03_snp04_ucode08_fmc01");
    snp_report_hwid(&turin, hwid);
    assert_string_equal(hwid, "abababababababab");
    memset(raw + 0x180, 0xff, 8);
    struct snp_report largest = parse(raw);
    snp_report_tcb_name(&largest, name);
    assert_string_equal(name, "bl255_tee255_snp255_ucode255_fmc255");
}

static void fields_stand_where_amd_says(void **state)
{
    uint8_t raw[SNP_REPORT_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (uint8_t)(i * 7 >> 3);
    struct snp_report report = parse(raw);
    assert_true(bytes_equal(snp_report_data(&report), bytes_of(raw + 0x50, 64)));
    assert_true(bytes_equal(snp_report_measurement(&report), bytes_of(raw + 0x90, 48)));
    assert_true(bytes_equal(snp_report_host_data(&report), bytes_of(raw + 0xc0, 32)));
    assert_true(bytes_equal(snp_report_chip_id(&report), bytes_of(raw + 0x1a0, 64)));
    assert_true(bytes_equal(snp_report_r(&report), bytes_of(raw + 0x2a0, 72)));
    assert_true(bytes_equal(snp_report_s(&report), bytes_of(raw + 0x2e8, 72)));
    assert_int_equal(report.vmpl, (uint32_t)raw[0x30] | (uint32_t)raw[0x31] << 8 |
                                      (uint32_t)raw[0x32] << 16 | (uint32_t)raw[0x33] << 24);
    assert_int_equal(snp_report_signing_key(&report), raw[0x48] >> 2 & 7);
    assert_false(snp_report_is_masked(&report));
    memset(raw + 0x1a0, 0, 64);
    struct snp_report masked = parse(raw);
    assert_true(snp_report_is_masked(&masked));
}

static void other_sizes_are_refused(void **state)
{
    static const uint8_t raw[SNP_REPORT_SIZE + 1];
    struct snp_report report;
    (void)state;
    assert_false(snp_report_parse(BYTES_EMPTY, &report, &verdict));
    assert_false(snp_report_parse(bytes_of(raw, SNP_REPORT_SIZE - 1), &report, &verdict));
    assert_false(snp_report_parse(bytes_of(raw, SNP_REPORT_SIZE + 1), &report, &verdict));
    assert_string_equal(verdict.reasons[2].check, "snp.report");
    assert_string_equal(verdict.reasons[2].got, "1185 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generations_follow_from_the_cpu),
        cmocka_unit_test(the_tcb_stands_elsewhere_on_turin),
        cmocka_unit_test(fields_stand_where_amd_says),
        cmocka_unit_test(other_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
