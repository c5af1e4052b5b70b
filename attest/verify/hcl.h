/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attestation report of Azure's paravisor (HCL), as the guest reads it from its vTPM (verifiers.md 4). Little-endian:
 *
 *     000  "HCLA", 28 bytes of header            4CC  u32 hash type: 1, SHA-256
 *     020  hardware report: SNP 1184 bytes,      4D0  u32 length of the runtime data
 *          or TDREPORT, in 1184                  4D4  runtime data, JSON; what follows is not looked at
 *     4C0  u32 size, u32 version
 *     4C8  u32 report type: 2 SNP, 4 TDX
 *
 * Nothing here is signed by itself: the hardware report carries the hash of the runtime data, which names the vTPM's attestation key and
 * what the guest wrote.
 */
#pragma once

#include <openssl/types.h>

#include "attest/verify/verify.h"

#define HCL_REPORT_MAX     16384u
#define HCL_HARDWARE_SIZE  1184u
#define HCL_USER_DATA_SIZE 64u

enum hcl_report_type { HCL_SNP = 2, HCL_TDX = 4 };

struct hcl_report {
    uint32_t report_type, hash_type;
    struct bytes hardware; /* HCL_HARDWARE_SIZE bytes; borrowed, as is: */
    struct bytes runtime_data;
};
/* Bounds only. ERR_FORMAT. */
bool hcl_report_parse(struct bytes raw, struct hcl_report *ret_report, struct err *err) MUST_CHECK;

/* What the runtime data says. End with hcl_runtime_done(). */
struct hcl_runtime {
    EVP_PKEY *ak;       /* the first key of kid HCLAkPub */
    bool has_user_data; /* the member "user-data" is there, as hex of 64 bytes */
    uint8_t user_data[HCL_USER_DATA_SIZE];
};
/* ERR_FORMAT: no JSON of that shape, no such key, or one that no vTPM has. */
bool hcl_runtime_parse(struct bytes runtime_data, struct hcl_runtime *ret_runtime, struct err *err)
    MUST_CHECK;
void hcl_runtime_done(struct hcl_runtime *runtime);
