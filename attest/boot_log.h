/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firmware's event log, as the kernel shows it (binary_bios_measurements): what was measured into the PCRs before the kernel ran, and how it is
 * called. It goes with TPM evidence, so that a key broker can name the event behind a PCR that differs. The file is root's and does not change
 * after boot, so it is read once, before privilege is dropped.
 */
#pragma once

#include "crypt/base/buf.h"

#define BOOT_LOG_DEFAULT "/sys/kernel/security/tpm0/binary_bios_measurements"
#define BOOT_LOG_NONE    "none"
#define BOOT_LOG_MAX \
    (128u * 1024) /* bytes; longer ones do not fit into the answer with the evidence */

/* Appends it. BOOT_LOG_NONE leaves `out` empty. ERR_NOTFOUND: there is no such file; ERR_FORMAT: too long; ERR_IO. */
bool boot_log_read(const char *path, struct buf *out, struct err *err) MUST_CHECK;
