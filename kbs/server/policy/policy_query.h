/* SPDX-License-Identifier: Apache-2.0 */
/* The query of a request as a policy sees it (data.query): an object of texts. */
#pragma once

#include "crypt/base/json.h"

#define POLICY_QUERY_MAX 64 /* pairs */

/* "a=b&c=d%20e", form encoding (percent escapes, '+' for a blank); NULL or "" is {}. Of a name that comes twice, the last counts. ERR_FORMAT. */
bool policy_query_parse(const char *query, json_t **ret_query, struct err *err) MUST_CHECK;
