/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory with certificates of AMD's chips, laid out as Trustee's offline store:
 *     DIR/vcek/HWID/TCB_vcek.der, DIR/vcek/HWID/vcek.der     (DER or PEM; names as in attest/verify/collateral.h)
 * and AMD's cert_chain files, PEM of any name, in DIR, DIR/vcek, DIR/vlek or DIR/GENERATION.
 */
#pragma once

#include "attest/verify/collateral.h"

#define VCEK_STORE_PEM_MAX (256u * 1024)

/* Appends the PEM certificates in those directories: before a sandbox. ERR_CONFIG: no such directory. */
bool vcek_store_chains(const char *dir, struct buf *out, struct err *err) MUST_CHECK;
/* Puts the object of this name into the set if the directory or `chains` has it. Opens files below `dir` only. */
bool vcek_store_get(const char *dir, struct bytes chains, const char *name,
    struct collateral *collateral, struct err *err) MUST_CHECK;
