/* SPDX-License-Identifier: Apache-2.0 */
/* Public bytes in a memfd that carries all seals: given on through exec and to other processes, the same for ever. */
#pragma once

#include "crypt/base/buf.h"

bool memfd_sealed(const char *name, struct bytes content, int *ret_fd, struct err *err) MUST_CHECK;
/* Appends all of it; ERR_FORMAT when the descriptor is no such memfd, or holds more than `out` may. */
bool memfd_read(int fd, struct buf *out, struct err *err) MUST_CHECK;
