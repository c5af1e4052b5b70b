/* SPDX-License-Identifier: Apache-2.0 */
/* How the worker has a token_command run: passport_open_fn of kbs/passport.h, with the broker's number (as in
 * fs/token_run.h) for an argument. */
#pragma once

#include <stdint.h>

#include "crypt/base/err.h"

static inline void *resolve_token_arg(size_t broker)
{
    return (void *)(uintptr_t)broker;
}

bool resolve_token_open(void *arg, int *ret_fd, struct err *err) MUST_CHECK;
