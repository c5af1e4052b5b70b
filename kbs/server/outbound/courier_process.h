/* SPDX-License-Identifier: Apache-2.0 */
/* The courier's own side (courier.h): the process, and the system calls it needs beside the common base. */
#pragma once

#include <stdbool.h>

#include "crypt/base/cleanup.h"

#define COURIER_ARGUMENT "--courier"

/* NULL-terminated. */
extern const char *const courier_syscalls[];

/* When the command line is that of a courier or of its warden: is it, until its socket is closed, and gives true with the exit
 * status. */
bool courier_run(int argc, char **argv, int *ret_exit) MUST_CHECK;
