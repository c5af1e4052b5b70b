/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for metrics: a verdict for any bytes, and only for whole requests one that asks. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/scrape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum scrape_page page = SCRAPE_METRICS;
    if (size > SCRAPE_REQUEST_MAX)
        size = SCRAPE_REQUEST_MAX;
    enum scrape_verdict verdict = scrape_parse(bytes_of(data, size), &page);
    if (verdict == SCRAPE_ASKS && (memcmp(data, "GET /", 5) != 0 || page > SCRAPE_READY))
        abort();
    if (verdict == SCRAPE_MORE && size == SCRAPE_REQUEST_MAX)
        abort();
    return 0;
}
