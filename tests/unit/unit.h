/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test starts with: cmocka and two assertions on struct err that print its message. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crypt/base/err.h"

#define assert_done(call, err)                                                           \
    do {                                                                                 \
        if (!(call))                                                                     \
            fail_msg("%s: %s (%s:%d)", #call, (err)->message, (err)->file, (err)->line); \
    } while (0)

/* Fails with exactly this code, and the message tells what a person needs (a part of it is given). */
#define assert_refused(call, err, wanted_code, wanted_text)                                        \
    do {                                                                                           \
        if (call)                                                                                  \
            fail_msg("%s succeeded", #call);                                                       \
        if ((err)->code != (wanted_code) || !strstr((err)->message, wanted_text))                  \
            fail_msg(                                                                              \
                "%s: wrong refusal: [%s] %s", #call, err_info((err)->code)->name, (err)->message); \
    } while (0)
