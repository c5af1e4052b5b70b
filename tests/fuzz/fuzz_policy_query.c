/* SPDX-License-Identifier: Apache-2.0 */
/* The query of a request: what is taken is an object of texts. */
#include <stdint.h>
#include <stdlib.h>

#include "kbs/server/policy/policy_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = strndup((const char *)data, size);
    auto_json *query = NULL;
    struct err err = ERR_INIT;
    const char *name;
    json_t *value;
    if (!text || !policy_query_parse(text, &query, &err))
        return 0;
    json_object_foreach(query, name, value)
    {
        if (!json_is_string(value))
            abort();
    }
    return 0;
}
