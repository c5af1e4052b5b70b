/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/outbound/collateral_url.h"
#include "tests/unit/unit.h"

#define CHIP "0123456789abcdef"

static void objects_have_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *name, *target, *path;
        enum courier_header chain;
    } known[] = {
        {"amd/vcek/Milan/" CHIP "/bl09_tee02_snp23_ucode219", "amd-kds",
            "/vcek/v1/Milan/" CHIP "?blSPL=09&teeSPL=02&snpSPL=23&ucodeSPL=219",
            COURIER_HEADER_COUNT},
        {"amd/vcek/Turin/" CHIP "/bl01_tee00_snp03_ucode72_fmc01", "amd-kds",
            "/vcek/v1/Turin/" CHIP "?blSPL=01&teeSPL=00&snpSPL=03&ucodeSPL=72&fmcSPL=01",
            COURIER_HEADER_COUNT},
        {"amd/chain/Genoa", "amd-kds", "/vcek/v1/Genoa/cert_chain", COURIER_HEADER_COUNT},
        {"amd/vlek-chain/Genoa", "amd-kds", "/vlek/v1/Genoa/cert_chain", COURIER_HEADER_COUNT},
        {"amd/crl/Milan", "amd-kds", "/vcek/v1/Milan/crl", COURIER_HEADER_COUNT},
        {"intel/tcb/90C06F000000", "intel-pcs",
            "/tdx/certification/v4/tcb?fmspc=90C06F000000&update=early", COURIER_TCB_INFO_CHAIN},
        {"intel/qe-identity", "intel-pcs", "/tdx/certification/v4/qe/identity?update=early",
            COURIER_QE_IDENTITY_CHAIN},
        {"intel/pck-crl/platform", "intel-pcs",
            "/sgx/certification/v4/pckcrl?ca=platform&encoding=der", COURIER_PCK_CRL_CHAIN},
        {"intel/root-crl", "intel-pcs", "/sgx/certification/v4/rootcacrl", COURIER_HEADER_COUNT},
    };
    struct collateral_url url;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        assert_true(collateral_url(known[i].name, true, false, &url));
        assert_string_equal(url.target, known[i].target);
        assert_string_equal(url.path, known[i].path);
        assert_int_equal(url.chain, known[i].chain);
    }
    assert_true(collateral_url("intel/qe-identity", false, true, &url));
    assert_string_equal(url.path, "/tdx/certification/v4/qe/identity?update=standard");
    assert_true(collateral_url("intel/root-crl", true, true, &url));
    assert_string_equal(url.target, "intel-root-crl");
    assert_string_equal(url.path, "");
}

static void other_names_have_none(void **state)
{
    (void)state;
    static const char *const unknown[] = {"", "amd", "amd/", "amd/chain/", "amd/chain/Rome",
        "amd/chain/Milan/x", "amd/crl/milan", "amd/vcek/Milan", "amd/vcek/Milan/" CHIP,
        "amd/vcek/Milan/" CHIP "/", "amd/vcek/Rome/" CHIP "/bl09_tee02_snp23_ucode219",
        "amd/vcek/Milan/ABCD/bl09_tee02_snp23_ucode219",
        "amd/vcek/Milan//bl09_tee02_snp23_ucode219", "amd/vcek/Milan/" CHIP "/bl09_tee02_snp23",
        "amd/vcek/Milan/" CHIP "/vcek", "amd/vcek/Milan/" CHIP "/bl09_tee02_snp23_ucode219x",
        "amd/vcek/Turin/" CHIP "/bl09_tee02_snp23_ucode219_fmc",
        "amd/vcek/Turin/" CHIP "/bl09_tee02_snp23_ucode219_fmc01x", "intel/tcb/90c06f000000",
        "intel/tcb/90C06F00000", "intel/tcb/90C06F0000000", "intel/tcb/90C06F00000/",
        "intel/pck-crl/other", "intel/pck-crl/", "intel/root-crl/x", "intel/qe"};
    struct collateral_url url;
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
        if (collateral_url(unknown[i], true, false, &url))
            fail_msg("%s: %s", unknown[i], url.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_have_addresses),
        cmocka_unit_test(other_names_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
