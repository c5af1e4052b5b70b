/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attester a TEE, found through one table. Attesters run inside sealed-attestd only: they touch devices.
 * They are handed a digest that attestd computed itself, never bytes chosen by a caller. They are called from one thread,
 * which may wait for the device.
 */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/base/secret.h"
#include "crypt/hash.h"

struct attester_conf {
    char *tcti;            /* [tpm] tcti */
    int64_t ak_handle;     /* [tpm] ak_handle, a persistent handle of the owner */
    char *event_log;       /* [tpm] event_log, read by attestd's main into: */
    struct bytes boot_log; /* empty: none goes with the evidence */
    bool sample_enabled;   /* [sample] enabled */
};

/* What an administrator's KBS needs to admit the attestation key. */
struct attester_enrolment {
    struct buf ek_public;      /* TPM2B_PUBLIC */
    struct buf ek_certificate; /* DER; empty when the TPM holds none */
    struct buf ak_public;      /* TPM2B_PUBLIC */
    struct buf ak_spki;        /* DER */
};

struct attester {
    const char *tee; /* wire name: "tpm", "sample" */
    /* Appends the primary_evidence JSON text. `report_data` is the runtime-data digest (48 bytes for SHA-384). */
    bool (*evidence)(const struct attester_conf *conf, const struct hash *report_data,
        struct buf *out, struct err *err);
    /* Both NULL where a TEE has nothing to enrol. `create`: make the attestation key when its handle is empty. */
    bool (*enrol)(const struct attester_conf *conf, bool create, struct attester_enrolment *out,
        struct err *err);
    bool (*activate)(const struct attester_conf *conf, struct bytes credential, struct bytes secret,
        struct secret **ret_credential, struct err *err);
};

extern const struct attester attester_tpm;
extern const struct attester attester_sample;

/* "tpm", "sample" or "auto"; ERR_CONFIG for sample evidence that is not enabled. Auto takes the TPM, unless its device node
 * does not exist and sample evidence is enabled. */
bool attester_choose(const char *tee, const struct attester_conf *conf,
    const struct attester **ret_attester, struct err *err) MUST_CHECK;
