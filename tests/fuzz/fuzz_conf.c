/* SPDX-License-Identifier: Apache-2.0 */
/* conf_table_parse() on any bytes: it loads or refuses with file:line; either way the struct can be released. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/conf_sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sample_conf conf;
    struct err err = ERR_INIT;
    if (conf_table_parse((const char *)data, size, "fuzz", &sample_table, &conf, &err)) {
        if (!conf.name || !conf.name[0] || conf.workers < 1 || conf.workers > 64 ||
            conf.mode > 07777)
            abort();
        for (size_t i = 0; i < conf.rules.count; i++)
            if (!conf.rules.items[i].path || strlen(conf.rules.items[i].name) > CONF_NAME_MAX)
                abort();
    } else if (strncmp(err.message, "fuzz:", 5) != 0) {
        abort();
    }
    conf_table_done(&conf, &sample_table);
    return 0;
}
