/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD SEV-SNP attestation reports (SEV-SNP Firmware ABI, ATTESTATION_REPORT), little-endian, and the
 * JSON struct that CoCo's guests send instead of the bytes (the sev crate's AttestationReport). From either come the same 1184
 * bytes: over them the signature is checked, and from them alone every value is read. What the signature covers is bytes 0..29f, so what a
 * sender invents beside it changes nothing.
 */
#pragma once

#include "attest/verify/anchors.h"
#include "attest/verify/verify.h"

#define SNP_REPORT_SIZE   1184
#define SNP_SIGNED_SIZE   0x2a0
#define SNP_NUMBER_SIZE   72 /* r and s, little-endian; P-384 uses 48 */
#define SNP_CHIP_ID_SIZE  64
#define SNP_TURIN_ID_SIZE 8 /* what Turin uses of CHIP_ID */
#define SNP_TCB_NAME_SIZE 48

/* key_info bits 4:2 */
#define SNP_SIGNED_BY_VCEK 0
#define SNP_SIGNED_BY_VLEK 1

struct snp_tcb {
    uint8_t fmc; /* Turin only; 0 otherwise */
    uint8_t bootloader, tee, snp, microcode;
};

struct snp_report {
    uint8_t raw[SNP_REPORT_SIZE];
    uint32_t version, vmpl, sig_algo, key_info;
    uint64_t policy, platform_info;
    uint8_t cpu_family, cpu_model, cpu_stepping;
    bool known; /* the CPUID is that of a generation; otherwise the two below mean nothing */
    enum amd_generation generation;
    struct snp_tcb reported_tcb;
};

/* The fields that are bytes; borrowed from `report`. */
struct bytes snp_report_data(const struct snp_report *report);        /* 64 */
struct bytes snp_report_measurement(const struct snp_report *report); /* 48 */
struct bytes snp_report_host_data(const struct snp_report *report);   /* 32 */
struct bytes snp_report_chip_id(const struct snp_report *report);     /* 64 */
struct bytes snp_report_r(const struct snp_report *report);           /* 72 */
struct bytes snp_report_s(const struct snp_report *report);           /* 72 */
/* CHIP_ID is all zero: the host masks it. */
bool snp_report_is_masked(const struct snp_report *report);
unsigned snp_report_signing_key(const struct snp_report *report); /* key_info bits 4:2 */

/* The chip's and the TCB's names in AMD's key service and in stores (verifiers.md 1); only when the generation is known. */
void snp_report_hwid(const struct snp_report *report, char out[2 * SNP_CHIP_ID_SIZE + 1]);
void snp_report_tcb_name(const struct snp_report *report, char out[SNP_TCB_NAME_SIZE]);

/* False with a failed check "snp.report": not 1184 bytes. Values are the caller's to judge. */
bool snp_report_parse(struct bytes raw, struct snp_report *ret_report, struct verdict *verdict);
/* From member "attestation_report". Every member that is missing, of another type or out of range is a failed check "snp.report". */
bool snp_report_from_json(
    const json_t *json, struct snp_report *ret_report, struct verdict *verdict);
