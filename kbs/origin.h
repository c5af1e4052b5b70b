/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The origin of a URL (RFC 6454): scheme, host and port, and whether it may be spoken to at all. Only https://, or http:// to the
 * machine itself (127.0.0.0/8, [::1], localhost) or when plain HTTP is allowed. Written strictly, so that no two readers can differ about
 * the host: letters, digits, `.`, `-`, `_` or a bracketed IPv6 address; no user, no escapes, no other spelling of an IPv4 address.
 */
#pragma once

#include "crypt/base/err.h"

#define ORIGIN_SIZE 300

/* Writes "https://host:port", port always there. ERR_CONFIG otherwise. */
bool origin_of(const char *url, bool allow_plain, char ret_origin[ORIGIN_SIZE], struct err *err)
    MUST_CHECK;
/* Is this origin one that plain HTTP may be spoken to because nothing of it leaves this machine? */
bool origin_stays_here(const char *origin);

/* The URL as an error may show it: who writes a user and password into one must not read them in a log. */
struct origin_shown {
    char text[256];
};
struct origin_shown origin_show(const char *url);
