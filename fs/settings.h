/* SPDX-License-Identifier: Apache-2.0 */
/* How fresh a secret is kept and how it is shown: what the configuration says for the file of a pin. */
#pragma once

#include "fs/sealedfs_conf.h"
#include "fs/source.h"

struct settings {
    const struct sealedfs_conf *conf;
    struct conf_settings defaults; /* for what has no section of its own */
};

/* `conf` must live as long. */
void settings_init(struct settings *settings, const struct sealedfs_conf *conf);
/* Lives as long as `settings`. Any thread. */
const struct conf_settings *settings_of(const struct settings *settings, const struct pin *pin);
/* The longest times that any file has; usable_ms is the longest that a plaintext may be kept at all. */
struct conf_settings settings_most(const struct settings *settings);
/* How long after it was fetched a plaintext may be kept at all. */
int64_t settings_limit(const struct conf_settings *settings);
