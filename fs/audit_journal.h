/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Audit records in the journal, by its native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL): MESSAGE is the line, and SEALED_AUDIT (the
 * verdict), SEALED_ID, SEALED_PATH are fields, e.g. `journalctl SEALED_PATH=/sealed/db/password`. One thread.
 */
#pragma once

#include "crypt/base/bytes.h"
#include "fs/audit_record.h"

#define AUDIT_JOURNAL_SOCKET "/run/systemd/journal/socket"

/* A socket to the journal at `path`. ERR_UNREACH when there is none. */
bool audit_journal_open(const char *path, int *ret_fd, struct err *err) MUST_CHECK;
/* `line` as from audit_record_line. Waits up to wait_ms while the journal's queue is full (ERR_BUSY). A journal that was started
 * anew is connected to again. */
bool audit_journal_send(int fd, const char *path, const struct audit_record *record,
    struct bytes line, int wait_ms, struct err *err) MUST_CHECK;
