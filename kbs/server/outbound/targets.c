/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/outbound/targets.h"

#include "kbs/server/outbound/collateral_url.h"
#include "kbs/server/outbound/jwks_source.h"
#include "kbs/server/policy/opa.h"
#include "kbs/server/agents/webhook.h"

#define TOKEN_MAX 16384

void targets_done(struct targets *targets)
{
    for (size_t i = 0; i < ARRAY_LEN(targets->bearers); i++)
        secret_unref(targets->bearers[i]);
    *targets = (struct targets){0};
}

/* The token of the target that comes next; one trailing newline is not part of it. */
static bool read_bearer(
    const char *path, struct targets *targets, struct courier_target *target, struct err *err)
{
    struct secret **slot = &targets->bearers[targets->count];
    if (!path)
        return true;
    if (!conf_credential(path, TOKEN_MAX, false, slot, err))
        return false;
    struct bytes text = secret_bytes(*slot);
    if (text.len > 0 && text.data[text.len - 1] == '\n')
        secret_truncate(*slot, text.len - 1);
    target->bearer = *slot;
    return true;
}

static bool add_webhook(const struct kbs_conf *conf, struct targets *targets, struct err *err)
{
    struct courier_target target = {.name = WEBHOOK_TARGET,
        .peer = "webhook",
        .url = conf->agents.webhook,
        .ca_file = conf->agents.webhook_ca_file,
        .methods = COURIER_POST,
        .exact = true};
    if (!target.url)
        return true;
    if (!read_bearer(conf->agents.webhook_token_file, targets, &target, err))
        return err_wrap(err, "[agents] webhook_token_file");
    targets->items[targets->count++] = target;
    return true;
}

static bool add_opa(const struct kbs_conf *conf, struct targets *targets, struct err *err)
{
    struct courier_target target = {.name = OPA_TARGET,
        .peer = "policy engine",
        .url = conf->policy.opa_socket ? "http://localhost" : conf->policy.opa_url,
        .unix_socket = conf->policy.opa_socket,
        .ca_file = conf->policy.opa_ca_file,
        .methods = COURIER_POST | COURIER_PUT | COURIER_DELETE};
    if (conf->policy.engine != KBS_POLICY_OPA)
        return true;
    if (!read_bearer(conf->policy.opa_token, targets, &target, err))
        return err_wrap(err, "[policy] opa_token");
    targets->items[targets->count++] = target;
    return true;
}

/* Only for a server that takes such evidence: another needs no courier for it. */
static void add_collateral(const struct kbs_conf *conf, struct targets *targets)
{
    bool amd = false, intel = false, own_crl = conf->collateral.intel_root_crl != NULL;
    for (size_t i = 0; i < conf->attestation.tees.count; i++) {
        amd = amd || strstr(conf->attestation.tees.items[i], "snp");
        intel = intel || strstr(conf->attestation.tees.items[i], "tdx");
    }
    own_crl = own_crl || strcmp(conf->collateral.intel_pcs, COLLATERAL_INTEL_URL) == 0;
    const struct courier_target items[] = {{.name = COLLATERAL_AMD_TARGET,
                                               .peer = "AMD KDS",
                                               .url = amd ? conf->collateral.amd_kds : NULL},
        {.name = COLLATERAL_INTEL_TARGET,
            .peer = "Intel PCS or PCCS",
            .url = intel ? conf->collateral.intel_pcs : NULL},
        {.name = COLLATERAL_CRL_TARGET,
            .peer = "Intel's root CRL",
            .exact = true,
            .url = !intel || !own_crl                ? NULL
                   : conf->collateral.intel_root_crl ? conf->collateral.intel_root_crl
                                                     : COLLATERAL_CRL_URL}};
    for (size_t i = 0; conf->collateral.fetch && i < ARRAY_LEN(items); i++) {
        if (!items[i].url)
            continue;
        struct courier_target *target = &targets->items[targets->count++];
        *target = items[i];
        target->methods = COURIER_GET;
        target->ca_file = conf->collateral.ca_file;
    }
}

/* JWK sets by URL: each is a target of its own, asked for by its URL. */
static bool add_key_sets(const struct kbs_conf *conf, struct targets *targets, struct err *err)
{
    const struct conf_list *words = &conf->token.trusted_jwks;
    for (size_t i = 0; i < words->count; i++) {
        if (!jwks_source_is_url(words->items[i]))
            continue;
        if (targets->count == COURIER_TARGETS_MAX)
            return err_set(err, ERR_CONFIG, "[token] trusted_jwks: too many URLs");
        targets->items[targets->count++] = (struct courier_target){.name = words->items[i],
            .peer = "attestation service",
            .url = words->items[i],
            .ca_file = conf->token.trusted_jwks_ca_file,
            .methods = COURIER_GET,
            .exact = true};
    }
    return true;
}

bool targets_collect(const struct kbs_conf *conf, struct targets *ret_targets, struct err *err)
{
    auto_targets targets = {0};
    if (!add_webhook(conf, &targets, err) || !add_opa(conf, &targets, err))
        return false;
    add_collateral(conf, &targets);
    if (!add_key_sets(conf, &targets, err))
        return false;
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
