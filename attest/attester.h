/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attester a TEE, found through one table. Attesters run inside sealed-attestd only: they touch devices.
 * They are handed a digest that attestd computed itself, never bytes chosen by a caller.
 */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/hash.h"

struct attester_conf; /* attest/attestd.c: the [tpm] and [sample] sections */

struct attester {
    const char *tee; /* wire name: "tpm", "sample" */
    /* Appends the primary_evidence JSON text. `report_data` is the runtime-data digest (48 bytes for SHA-384). */
    bool (*evidence)(const struct attester_conf *conf, const struct hash *report_data, struct buf *out, struct err *err);
};

extern const struct attester attester_tpm;
extern const struct attester attester_sample;
