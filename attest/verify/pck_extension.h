/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SGX extension of a PCK certificate (OID 1.2.840.113741.1.13.1; Intel SGX PCK Certificate and
 * CRL Profile Specification, section 1.3.5), from the untrusted bytes inside its OCTET STRING: a
 * SEQUENCE of {OID, value}. Strict DER; a member that comes twice or is missing is refused, an
 * unknown one is skipped.
 *
 *     .1 PPID 16    .2 TCB {.1-.16 component SVN, .17 PCESVN, .18 CPUSVN 16}    .3 PCE-ID 2
 *     .4 FMSPC 6    .5 SGX type    .6 platform instance id 16    .7 {dynamic, cached keys, SMT}
 */
#pragma once

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

#define PCK_EXTENSION_OID     "1.2.840.113741.1.13.1"
#define PCK_COMPONENT_COUNT   16
#define PCK_SGX_TYPE_STANDARD 0

struct pck_extension {
    uint8_t ppid[16];
    uint8_t components[PCK_COMPONENT_COUNT];
    uint16_t pcesvn;
    uint8_t cpusvn[16];
    uint8_t pceid[2];
    uint8_t fmspc[6];
    uint8_t sgx_type; /* 0 standard, 1 scalable, 2 scalable with integrity; others may come */
    bool has_instance_id, has_configuration; /* certificates of the Platform CA have both */
    uint8_t instance_id[16];
    bool dynamic_platform, cached_keys, smt_enabled;
};

/* ERR_FORMAT. */
bool pck_extension_parse(struct bytes der, struct pck_extension *ret_extension, struct err *err)
    MUST_CHECK;
