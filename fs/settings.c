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

static void raise_to(struct conf_settings *most, const struct conf_settings *settings)
{
    int64_t limit = settings_limit(settings);
    if (settings->fresh_ms > most->fresh_ms)
        most->fresh_ms = settings->fresh_ms;
    if (limit > most->usable_ms)
        most->usable_ms = limit;
}

struct conf_settings settings_most(const struct settings *settings)
{
    struct conf_settings most = {0};
    raise_to(&most, &settings->defaults);
    for (size_t i = 0; i < settings->conf->sources.count; i++)
        raise_to(&most, &settings->conf->sources.items[i].settings);
    for (size_t i = 0; i < settings->conf->files.count; i++)
        raise_to(&most, &settings->conf->files.items[i].settings);
    return most;
}
