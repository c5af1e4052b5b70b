/* SPDX-License-Identifier: Apache-2.0 */
/* What the query of a resource's path says to us. Other parameters are for the policy and ignored here; one of ours that stands there
 * twice, or is malformed, is ERR_FORMAT. `query` NULL: none. */
#pragma once

#include <stdint.h>

#include "crypt/base/err.h"

/* version=N; 0 when it is not there: the current one. */
bool resource_query_version(const char *query, int64_t *ret_version, struct err *err) MUST_CHECK;
/* not-after=2026-12-31T00:00:00Z (RFC 3339), which must lie after `now`; 0 when it is not there. */
bool resource_query_not_after(
    const char *query, int64_t now, int64_t *ret_not_after, struct err *err) MUST_CHECK;
