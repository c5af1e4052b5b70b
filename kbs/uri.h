/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource URIs: kbs:///repository/type/tag (protocol.md F). Scheme case-insensitive; an authority is parsed and kept (it is not
 * followed); exactly three segments, each [A-Za-z0-9_-][A-Za-z0-9_.-]*, at most 255 bytes. Other plugins (kbs+name://) are refused with
 * a message that says so. A percent sign, `.`/`..` segments, a fragment or a query are refused, not normalised.
 */
#pragma once

#include "crypt/base/err.h"

#define KBS_SEGMENT_MAX 255
#define KBS_URI_MAX     1024

struct kbs_uri {
    char host[256]; /* "" when there is none */
    char repository[KBS_SEGMENT_MAX + 1];
    char type[KBS_SEGMENT_MAX + 1];
    char tag[KBS_SEGMENT_MAX + 1];
};

bool kbs_uri_parse(const char *text, struct kbs_uri *ret_uri, struct err *err) MUST_CHECK;
/* "kbs:///r/t/t" without host; `out` of KBS_URI_MAX bytes always fits. */
void kbs_uri_format(const struct kbs_uri *uri, char out[KBS_URI_MAX]);
/* "r/t/t" from an HTTP path remainder; empty segments are dropped (protocol.md F, trap). */
bool kbs_uri_from_path(const char *path, struct kbs_uri *ret_uri, struct err *err) MUST_CHECK;
bool kbs_segment_ok(const char *segment);
