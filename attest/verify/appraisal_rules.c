/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/appraisal_rules.h"

#include <string.h>

#define ROWS(table) table, sizeof(table) / sizeof((table)[0])

#define TDX_TEE_TYPE "81000000"
#define INTEL_QE     "939a7233f79c4ca9940a0db3957f0607"

static const struct appraisal_grade sample[] = {
    {EXECUTABLES, APPROVED_BOOT, .tests = {{"launch_digest", TEST_IN, "launch_digest"}}},
    {HARDWARE, APPROVED,
        .tests = {{"svn", TEST_IN, "svn"}, {"platform_version.major", TEST_EQUALS, "major_version"},
            {"platform_version.minor", TEST_AT_LEAST, "minimum_minor_version"}}},
    {CONFIGURATION, APPROVED, .tests = {{"debug", TEST_OFF}}},
};

/* Class gpu: executables and configuration stay unknown, as in Trustee's policy. */
static const struct appraisal_grade sampledevice[] = {
    {HARDWARE, APPROVED, .tests = {{"svn", TEST_IN, "device_svn"}}},
};

static const struct appraisal_grade snp[] = {
    {EXECUTABLES, APPROVED_BOOT, .tests = {{"measurement", TEST_IN_HEX, "snp_launch_measurement"}}},
    {HARDWARE, APPROVED,
        .tests = {{"reported_tcb_bootloader", TEST_IN, "snp_bootloader"},
            {"reported_tcb_microcode", TEST_IN, "snp_microcode"},
            {"reported_tcb_snp", TEST_IN, "snp_snp_svn"},
            {"reported_tcb_tee", TEST_IN, "snp_tee_svn"}}},
    {CONFIGURATION, APPROVED,
        .tests = {{"policy_debug_allowed", TEST_OFF}, {"policy_migrate_ma", TEST_OFF},
            {"platform_smt_enabled", TEST_EQUALS, "snp_smt_enabled"},
            {"platform_tsme_enabled", TEST_EQUALS, "snp_tsme_enabled"},
            {"policy_abi_major", TEST_EQUALS, "snp_guest_abi_major"},
            {"policy_abi_minor", TEST_EQUALS, "snp_guest_abi_minor"},
            {"policy_single_socket", TEST_EQUALS, "snp_single_socket"},
            {"policy_smt_allowed", TEST_EQUALS, "snp_smt_allowed"}}},
    {CONFIGURATION, SAFE_CONFIG,
        .tests = {{"policy_debug_allowed", TEST_OFF}, {"policy_migrate_ma", TEST_OFF}}},
};

/* tcb_status "Unverified": no collateral was at hand and the configuration let that pass. */
static const struct appraisal_grade tdx[] = {
    {EXECUTABLES, APPROVED_BOOT,
        .tests = {{"quote.body.rtmr_1", TEST_IN_HEX, "rtmr_1"},
            {"quote.body.rtmr_2", TEST_IN_HEX, "rtmr_2"},
            {"uefi_event_logs", TEST_EVENT, "tdvfkernel"},
            {"uefi_event_logs", TEST_EVENT, "tdvfkernelparams"}}},
    {EXECUTABLES, APPROVED_FILES,
        .tests = {{"quote.body.rtmr_1", TEST_IN_HEX, "rtmr_1"},
            {"quote.body.rtmr_2", TEST_IN_HEX, "rtmr_2"}}},
    {HARDWARE, APPROVED,
        .tests = {{"quote.header.tee_type", TEST_IS, TDX_TEE_TYPE},
            {"quote.header.vendor_id", TEST_IS, INTEL_QE},
            {"quote.body.mr_td", TEST_IN_HEX, "mr_td"}, {"tcb_status", TEST_IS, "UpToDate"},
            {"collateral_expiration_status", TEST_IS, "0"}}},
    {HARDWARE, UNSAFE_HARDWARE, .silent = true,
        .tests = {{"quote.header.tee_type", TEST_IS, TDX_TEE_TYPE},
            {"quote.header.vendor_id", TEST_IS, INTEL_QE},
            {"quote.body.mr_td", TEST_IN_HEX, "mr_td"}, {"tcb_status", TEST_IS, "Unverified"}}},
    {CONFIGURATION, APPROVED,
        .tests = {{"td_attributes.debug", TEST_OFF}, {"quote.body.xfam", TEST_IN_HEX, "xfam"}}},
};

/* Debug is not looked at by Trustee's rules for Azure; a guest whose memory the host may read is nothing to warn of, but to refuse. */
static const struct appraisal_grade az_snp[] = {
    {EXECUTABLES, APPROVED_BOOT,
        .tests = {{"measurement", TEST_IN, "measurement"}, /* base64: its case counts */
            {"tpm.pcr11", TEST_IN_HEX, "snp_pcr11"}}},
    {HARDWARE, APPROVED,
        .tests = {{"reported_tcb_bootloader", TEST_IN, "tcb_bootloader"},
            {"reported_tcb_microcode", TEST_IN, "tcb_microcode"},
            {"reported_tcb_snp", TEST_IN, "tcb_snp"}, {"reported_tcb_tee", TEST_IN, "tcb_tee"}}},
    {CONFIGURATION, CONTRAINDICATED_CONFIG, .tests = {{"policy_debug_allowed", TEST_NOT_OFF}}},
    {CONFIGURATION, APPROVED,
        .tests = {{"platform_smt_enabled", TEST_IN, "smt_enabled"},
            {"platform_tsme_enabled", TEST_IN, "tsme_enabled"},
            {"policy_abi_major", TEST_IN, "abi_major"}, {"policy_abi_minor", TEST_IN, "abi_minor"},
            {"policy_single_socket", TEST_IN, "single_socket"},
            {"policy_smt_allowed", TEST_IN, "smt_allowed"}}},
};

static const struct appraisal_grade az_tdx[] = {
    {EXECUTABLES, APPROVED_BOOT, .tests = {{"tpm.pcr11", TEST_IN_HEX, "tdx_pcr11"}}},
    {HARDWARE, APPROVED,
        .tests = {{"quote.header.tee_type", TEST_IS, TDX_TEE_TYPE},
            {"quote.header.vendor_id", TEST_IS, INTEL_QE},
            {"quote.body.mr_td", TEST_IN_HEX, "mr_td"}, {"tcb_status", TEST_IS, "UpToDate"}}},
    {HARDWARE, UNSAFE_HARDWARE, .silent = true,
        .tests = {{"quote.header.tee_type", TEST_IS, TDX_TEE_TYPE},
            {"quote.header.vendor_id", TEST_IS, INTEL_QE},
            {"quote.body.mr_td", TEST_IN_HEX, "mr_td"}, {"tcb_status", TEST_IS, "Unverified"}}},
    {CONFIGURATION, CONTRAINDICATED_CONFIG, .tests = {{"td_attributes.debug", TEST_NOT_OFF}}},
    {CONFIGURATION, APPROVED, .tests = {{"quote.body.xfam", TEST_IN_HEX, "xfam"}}},
};

static const struct appraisal_rules all_rules[] = {
    {"sample", ROWS(sample)},
    {"sampledevice", ROWS(sampledevice)},
    {"snp", ROWS(snp)},
    {"tdx", ROWS(tdx)},
    {"az-snp-vtpm", ROWS(az_snp)},
    {"az-tdx-vtpm", ROWS(az_tdx)},
};

const struct appraisal_rules *appraisal_rules_find(const char *tee)
{
    for (size_t i = 0; i < sizeof all_rules / sizeof all_rules[0]; i++)
        if (strcmp(all_rules[i].tee, tee) == 0)
            return &all_rules[i];
    return NULL;
}
