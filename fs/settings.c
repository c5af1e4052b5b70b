/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/settings.h"

void settings_init(struct settings *settings, const struct sealedfs_conf *conf)
{
    *settings = (struct settings){
        conf, {.fresh_ms = conf->secrets.ttl_ms, .usable_ms = conf->secrets.usable_ms}};
}

const struct conf_settings *settings_of(const struct settings *settings, const struct pin *pin)
{
    const struct sealedfs_conf *conf = settings->conf;
    size_t index = pin->origin.index;
    if (pin->origin.kind == ORIGIN_SOURCE && index < conf->sources.count)
        return &conf->sources.items[index].settings;
    if (pin->origin.kind == ORIGIN_FILE && index < conf->files.count)
        return &conf->files.items[index].settings;
    return &settings->defaults;
}

int64_t settings_limit(const struct conf_settings *settings)
{
    return settings->usable_ms > settings->fresh_ms ? settings->usable_ms : settings->fresh_ms;
}
