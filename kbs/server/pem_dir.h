/* SPDX-License-Identifier: Apache-2.0 */
/* A directory that an operator fills with certificates, as one PEM text. */
#pragma once

#include "crypt/base/buf.h"

enum pem_dir_names {
    PEM_DIR_ENDINGS, /* *.pem, *.crt and *.cer */
    PEM_DIR_ALL      /* any, since a vendor's download may be called cert_chain */
};

/* Appends every regular file of these names that has a PEM certificate in it, in the order of names; hidden files and what editors leave (*~)
 * are passed over. ERR_CONFIG: no such directory. Errors name the file, not the setting. */
bool pem_dir_read(const char *directory, enum pem_dir_names names, struct buf *out, struct err *err)
    MUST_CHECK;
