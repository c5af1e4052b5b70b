/* SPDX-License-Identifier: Apache-2.0 */
/* What was loaded has a canonical form, unless for its numbers; loading that gives an equal value
 * of the same form. */
#include <stdlib.h>

#include "crypt/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    struct err err;
    auto_json *json = NULL;
    auto_json *again = NULL;
    auto_free char *text = NULL;
    auto_free char *text_again = NULL;
    if (!ready)
        json_init();
    ready = true;
    if (!json_load_strict(bytes_of(data, size), 1 << 20, "input", &json, &err))
        return 0;
    auto_free char *compact = json_text(json);
    if (!compact)
        abort();
    if (!json_canonical(json, &text, &err))
        return 0;
    if (!json_load_strict(bytes_str(text), 8 << 20, "canonical form", &again, &err) ||
        !json_equal(json, again))
        abort();
    if (!json_canonical(again, &text_again, &err) ||
        !bytes_equal(bytes_str(text), bytes_str(text_again)))
        abort();
    return 0;
}
