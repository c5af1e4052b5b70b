/* SPDX-License-Identifier: Apache-2.0 */
/* What is read has JSON's own form: it survives being written and read again, and is no deeper than promised. */
#include <stdint.h>
#include <stdlib.h>

#include "crypt/base/toml.h"

#define TEXT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json *toml = NULL, *again = NULL;
    struct err err = ERR_INIT;
    if (!toml_load(bytes_of(data, size), TEXT_MAX, "fuzz", &toml, &err)) {
        if (err.code != ERR_FORMAT && err.code != ERR_NOMEM)
            abort();
        return 0;
    }
    auto_free char *text = json_text(toml);
    if (!text || json_is_deeper(toml, TOML_DEPTH_MAX))
        abort();
    if (!json_load_strict(bytes_str(text), SIZE_MAX, "again", &again, &err) ||
        !json_equal(toml, again))
        abort();
    return 0;
}
