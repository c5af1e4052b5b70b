/* SPDX-License-Identifier: Apache-2.0 */
/* Collateral objects in files: a file of Intel's PCS Client Tool, certificates, cert_chain files and CRLs in DER or PEM, and directories of
 * them to any layout (AMD's offline store among them): what a file is, its content tells, not its name. Shared by the server and `sealed`. */
#pragma once

#include "attest/verify/collateral_pcs.h"

#define COLLATERAL_FILES_DEPTH 5     /* of directories */
#define COLLATERAL_FILES_MAX   50000 /* files in them */

struct collateral_files {
    enum collateral_pcs_update update;
    /* Is given each object, borrowed. */
    bool (*take)(
        void *context, const char *name, struct bytes body, struct bytes chain, struct err *err);
    void *context;
    size_t objects, others; /* given so far; files in directories that are none */
};

/* A file that is no collateral is an error when it is named itself, and is counted when it lies in a directory; hidden files and links out of the tree's
 * depth are passed over. ERR_NOTFOUND, ERR_FORMAT; errors name the file. */
bool collateral_files_read(struct collateral_files *files, const char *path, struct err *err)
    MUST_CHECK;
