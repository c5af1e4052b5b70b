/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/resource_query.h"

#include <stdio.h>
#include <string.h>

#include "crypt/base/clock.h"
#include "kbs/uri.h"

#define PARAMETER_MAX 96

/* "NAME=VALUE" into `out`; "" when it is not there. */
static bool parameter(const char *query, const char *name, char out[PARAMETER_MAX], struct err *err)
{
    size_t name_len = strlen(name);
    out[0] = '\0';
    while (query && *query) {
        size_t len = strcspn(query, "&");
        if (len > name_len && strncmp(query, name, name_len) == 0 && query[name_len] == '=') {
            if (out[0])
                return err_set(err, ERR_FORMAT, "the query says %s twice", name);
            if (len >= PARAMETER_MAX)
                return err_set(err, ERR_FORMAT, "%s of %zu characters in the query", name, len);
            snprintf(out, PARAMETER_MAX, "%.*s", (int)len, query);
        }
        query += len + (query[len] == '&');
    }
    return true;
}

bool resource_query_version(const char *query, int64_t *ret_version, struct err *err)
{
    char text[PARAMETER_MAX];
    int64_t version = 0;
    if (!parameter(query, "version", text, err) || (text[0] && !kbs_uri_query(text, &version, err)))
        return false;
    *ret_version = version;
    return true;
}

bool resource_query_not_after(
    const char *query, int64_t now, int64_t *ret_not_after, struct err *err)
{
    char text[PARAMETER_MAX];
    int64_t not_after = 0;
    if (!parameter(query, "not-after", text, err))
        return false;
    if (text[0]) {
        if (!clock_parse_rfc3339(
                bytes_str(text + strlen("not-after=")), "not-after", &not_after, err))
            return false;
        if (not_after <= now)
            return err_set(err, ERR_FORMAT, "%s is not in the future", text);
    }
    *ret_not_after = not_after;
    return true;
}
