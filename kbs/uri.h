/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource URIs: kbs:///repository/type/tag (protocol.md F). Scheme case-insensitive; an authority is parsed and kept (it is not
 * followed); exactly three segments, each [A-Za-z0-9_-][A-Za-z0-9_.-]*, at most 255 bytes. Other plugins (kbs+name://) are refused with
 * a message that says so. A percent sign, `.`/`..` segments, a fragment or a query are refused, not normalised; but for one query,
 * `?version=N` (N from 1, decimal), which names an older version of the resource as our own broker keeps them.
 */
#pragma once

#include <stdint.h>

#include "crypt/base/err.h"

#define KBS_SEGMENT_MAX 255
#define KBS_URI_MAX     1024

struct kbs_uri {
    char host[256]; /* "" when there is none */
    char repository[KBS_SEGMENT_MAX + 1];
    char type[KBS_SEGMENT_MAX + 1];
    char tag[KBS_SEGMENT_MAX + 1];
    int64_t version; /* 0: the current one */
};

bool kbs_uri_parse(const char *text, struct kbs_uri *ret_uri, struct err *err) MUST_CHECK;
/* "kbs:///r/t/t" or "kbs:///r/t/t?version=N", without host; `out` of KBS_URI_MAX bytes always fits. */
void kbs_uri_format(const struct kbs_uri *uri, char out[KBS_URI_MAX]);
/* "r/t/t" from an HTTP path remainder; empty segments are dropped (protocol.md F, trap). */
bool kbs_uri_from_path(const char *path, struct kbs_uri *ret_uri, struct err *err) MUST_CHECK;
/* "version=N" as it stands behind the question mark; ERR_FORMAT for anything else. */
bool kbs_uri_query(const char *query, int64_t *ret_version, struct err *err) MUST_CHECK;
bool kbs_segment_ok(const char *segment);
