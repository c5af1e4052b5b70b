/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit file: lines appended by the monitor alone, so that a worker that was taken over can add lines but neither change nor
 * remove one. Whole lines only: what a full file system cut off is taken back. When it has grown to its size it becomes FILE.1,
 * FILE.1 becomes FILE.2 …, and a new one is begun. One that somebody else put aside (logrotate) is begun anew as well.
 *
 * A line is with the kernel when it was written, not on the disk. One thread.
 */
#pragma once

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

struct audit_file;

struct audit_file_conf {
    const char *path;    /* absolute; copied */
    int64_t rotate_size; /* bytes */
    int64_t rotate_keep; /* 0: the old one is removed */
};

/* ERR_CONFIG naming what to change: no regular file, or one or a directory that others than root could write to. Mode 0640; a group
 * that shall read them is the directory's (chgrp it, set its setgid bit). */
bool audit_file_open(
    const struct audit_file_conf *conf, struct audit_file **ret_file, struct err *err) MUST_CHECK;
void audit_file_close(struct audit_file *file);
DEFINE_AUTO(struct audit_file, audit_file_close);
/* Could it be opened? Nothing is made. */
bool audit_file_check(const char *path, struct err *err) MUST_CHECK;
/* ERR_IO with the errno (ENOSPC…): the line is not there, not even a part of it. */
bool audit_file_append(struct audit_file *file, struct bytes line, struct err *err) MUST_CHECK;
