/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/targets.h"

void targets_done(struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        secret_unref(targets->bearers[i]);
    *targets = (struct targets){0};
}

bool targets_collect(const struct kbs_conf *conf, struct targets *ret_targets, struct err *err)
{
    auto_targets targets = {0};
    (void)conf;
    (void)err;
    *ret_targets = targets;
    targets = (struct targets){0};
    return true;
}

static struct courier_conf courier_conf(const struct kbs_conf *conf, const struct targets *targets)
{
    return (struct courier_conf){.targets = targets->items,
        .count = targets->count,
        .proxy = conf->outbound.proxy,
        .no_proxy = (const char *const *)conf->outbound.no_proxy.items,
        .no_proxy_count = conf->outbound.no_proxy.count};
}

bool targets_open(const struct kbs_conf *conf, const struct targets *targets,
    struct courier **ret_courier, struct err *err)
{
    const struct courier_conf courier = courier_conf(conf, targets);
    return courier_new(&courier, ret_courier, err);
}

bool targets_check(const struct kbs_conf *conf, const struct targets *targets, struct err *err)
{
    const struct courier_conf courier = courier_conf(conf, targets);
    return courier_check(&courier, err);
}
