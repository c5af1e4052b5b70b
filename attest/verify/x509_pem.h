/* SPDX-License-Identifier: Apache-2.0 */
/* PEM of untrusted origin: OpenSSL's own readers would ask the terminal for the passphrase of an encrypted block. */
#pragma once

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

/* Begins with "-----BEGIN", blanks before it aside. */
bool pem_looks_so(struct bytes data);
/* Nothing but blanks and zero bytes. */
bool pem_is_filler(struct bytes data);
/* Calls `take` with the DER of each block of this label ("CERTIFICATE"), borrowed. Other text and other labels are passed over; an encrypted or
 * malformed block is ERR_FORMAT. */
bool pem_each(struct bytes pem, const char *label, const char *what,
    bool (*take)(struct bytes der, void *context, struct err *err), void *context, struct err *err)
    MUST_CHECK;
