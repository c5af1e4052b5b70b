/* SPDX-License-Identifier: Apache-2.0 */
/* Resource URIs: what parses is in its one written form again after formatting. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kbs/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    struct kbs_uri uri, again;
    char text[KBS_URI_MAX];
    char *input = calloc(1, size + 1);
    if (!input)
        return 0;
    memcpy(input, data, size);
    if (kbs_uri_from_path(input, &uri, &err) || kbs_uri_parse(input, &uri, &err)) {
        kbs_uri_format(&uri, text);
        if (!kbs_uri_parse(text, &again, &err) || strcmp(uri.repository, again.repository) != 0 ||
            strcmp(uri.type, again.type) != 0 || strcmp(uri.tag, again.tag) != 0 ||
            uri.version != again.version)
            abort();
    }
    free(input);
    return 0;
}
