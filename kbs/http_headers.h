/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header lines of an HTTP answer: counted, capped, and those that are kept: three always, and others that the asker names.
 * Lines come one at a time as libcurl delivers
 * them (with their CRLF). A new status line (after a 1xx answer) forgets what was kept, not what was counted.
 */
#pragma once

#include <stdint.h>

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

#define HTTP_HEADER_BYTES_MAX (32u * 1024)
#define HTTP_HEADER_COUNT_MAX 100u
#define HTTP_KEEP_MAX         8

struct http_headers {
    size_t bytes, count;
    char content_type[128]; /* as sent, printable ASCII; cut when longer; "" for none */
    /* "name=value; name=value" of all Set-Cookie lines (RFC 6265 section 5.2), as one Cookie header;
     * a pair that could not be sent back is left out. */
    char set_cookie[512];
    int64_t
        date; /* unix seconds by the server's clock (RFC 9110 section 5.6.7, IMF-fixdate); 0: none, or another form */
    const char *const
        *keep; /* names to keep beside, at most HTTP_KEEP_MAX, NULL-terminated; or NULL */
    char *kept
        [HTTP_KEEP_MAX]; /* their values, printable ASCII; the first of several; NULL: not sent, or with other characters */
};

/* Frees what was kept; a zeroed struct is fine. */
void http_headers_done(struct http_headers *headers);

/* ERR_FORMAT when over a limit. */
bool http_headers_line(struct http_headers *headers, struct bytes line, struct err *err) MUST_CHECK;
/* May this text stand in a request's header? Printable ASCII only. */
bool http_header_ok(const char *text);
