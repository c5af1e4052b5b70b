/* SPDX-License-Identifier: Apache-2.0 */
/* From configuration to the product's resolver: the other side of the seam in fs/resolver_make.h. */
#include "fs/resolver_make.h"

#include <stdlib.h>
#include <string.h>

#include "fs/resolve_private.h"
#include "fs/resolve_token.h"

static const char *const *list_items(const struct conf_list *list)
{
    return (const char *const *)list->items;
}

/* Of several URLs the first may hang: the time of one open must do for the next one, too. */
static int64_t request_timeout(const struct sealedfs_conf *conf, const struct conf_kbs *kbs)
{
    int64_t half = conf->secrets.open_timeout_ms / 2;
    return kbs->urls.count > 1 && half < kbs->request_timeout_ms ? half : kbs->request_timeout_ms;
}

static struct http_conf http_conf(const struct conf_kbs *kbs)
{
    return (struct http_conf){.ca_file = kbs->ca_file,
        .pinned_key = kbs->pinned_key,
        .proxy = kbs->proxy,
        .proxy_credential = kbs->proxy_credential,
        .no_proxy = list_items(&kbs->no_proxy),
        .no_proxy_count = kbs->no_proxy.count,
        .allow_plain = kbs->allow_plain};
}

static struct passport_conf passport_conf(
    const struct conf_kbs *kbs, size_t broker, int64_t timeout_ms)
{
    return (struct passport_conf){.file = kbs->token_file,
        .open = kbs->token_command ? resolve_token_open : NULL,
        .arg = resolve_token_arg(broker),
        .command = kbs->token_command,
        .timeout_ms = timeout_ms};
}

static struct broker_conf broker_conf(
    const struct sealedfs_conf *conf, const struct conf_kbs *kbs, size_t broker)
{
    return (struct broker_conf){.name = kbs->name,
        .hosts = list_items(&kbs->hosts),
        .host_count = kbs->hosts.count,
        .client = {.urls = list_items(&kbs->urls),
            .url_count = kbs->urls.count,
            .http = http_conf(kbs),
            .attest_socket = conf->attest.socket,
            .tee = conf->attest.tee,
            .passport = passport_conf(kbs, broker, conf->attest.timeout_ms),
            .continuous = kbs->continuous,
            .request_timeout_ms = request_timeout(conf, kbs),
            .attest_timeout_ms = conf->attest.timeout_ms}};
}

/* Could it be asked for? A broker that nobody named would be found out at the first open. */
static bool check_uri(const struct brokers *brokers, const char *text, struct err *err)
{
    struct kbs_uri uri;
    struct kbs_client *client;
    return kbs_uri_parse(text, &uri, err) && brokers_find(brokers, &uri, &client, err);
}

static bool check_resources(
    const struct brokers *brokers, const struct sealedfs_conf *conf, struct err *err)
{
    for (size_t i = 0; i < conf->files.count; i++) {
        const struct conf_file *file = &conf->files.items[i];
        if (file->resource && !check_uri(brokers, file->resource, err))
            return err_wrap(err, "[file:%s]", file->name);
    }
    for (size_t i = 0; i < conf->unit_credentials.count; i++) {
        const struct conf_unit_credential *item = &conf->unit_credentials.items[i];
        if (item->resource[0] != '/' && !check_uri(brokers, item->resource, err))
            return err_wrap(err, "[credential:%s]", item->name);
    }
    return true;
}

/* A signer is compared as a text with what a sealed string says: one that is written otherwise than a string can say it would never fit. */
static bool check_signer(const struct brokers *brokers, const char *signer, struct err *err)
{
    if (!strchr(signer, ':'))
        return err_set(err, ERR_CONFIG,
            "%s is no key URI, kbs:///repository/type/tag; a file of signer_files needs no entry "
            "here",
            signer);
    return check_uri(brokers, signer, err);
}

static bool is_segment_start(const char *text, size_t len)
{
    char segment[KBS_SEGMENT_MAX + 1];
    if (len >= sizeof segment)
        return false;
    memcpy(segment, text, len);
    segment[len] = '\0';
    return kbs_segment_ok(segment);
}

/* As much of kbs://HOST/repository/type/tag as there is must be the start of a URI: what is compared with it is one. */
static bool check_prefix(const char *prefix, struct err *err)
{
    static const char scheme[] = "kbs://";
    const char *path = strncmp(prefix, scheme, sizeof scheme - 1) == 0
                           ? strchr(prefix + sizeof scheme - 1, '/')
                           : NULL;
    size_t segments = 0;
    bool good = path != NULL;
    while (good && *path == '/' && path[1] != '\0') {
        size_t len = strcspn(path + 1, "/");
        good = ++segments <= 3 && is_segment_start(path + 1, len);
        path += 1 + len;
    }
    if (good && !(*path == '/' && segments >= 3))
        return true;
    return err_set(err, ERR_CONFIG,
        "%s is not how a name begins (kbs:///repository/type/tag): it would cover none", prefix);
}

static bool check_secrets(
    const struct brokers *brokers, const struct sealedfs_conf *conf, struct err *err)
{
    const struct conf_list *signers = &conf->secrets.signers;
    const struct conf_list *prefixes = &conf->secrets.vault_prefixes;
    for (size_t i = 0; i < signers->count; i++)
        if (!check_signer(brokers, signers->items[i], err))
            return err_wrap(err, "[secrets] signers");
    for (size_t i = 0; i < prefixes->count; i++)
        if (!check_prefix(prefixes->items[i], err))
            return err_wrap(err, "[secrets] vault_prefixes");
    return true;
}

bool resolver_make(struct loop *loop, const struct sealedfs_conf *conf,
    struct resolver **ret_resolver, struct err *err)
{
    auto_free struct broker_conf *brokers = calloc(conf->brokers.count + 1, sizeof *brokers);
    AUTO(crew_free) struct crew *crew = NULL;
    if (!brokers)
        return err_nomem(err);
    if (crew_size() > 0 && !crew_new(loop, crew_size(), &crew, err))
        return false;
    brokers[0] = broker_conf(conf, &conf->kbs, 0);
    for (size_t i = 0; i < conf->brokers.count; i++)
        brokers[i + 1] = broker_conf(conf, &conf->brokers.items[i], i + 1);
    for (size_t i = 0; i <= conf->brokers.count; i++)
        brokers[i].client.crew = crew;
    struct resolve_sealed_conf sealed = {
        .brokers = brokers,
        .broker_count = conf->brokers.count + 1,
        .crew = take_ptr(crew),
        .signature_optional = conf->secrets.signature == SIGNATURE_OPTIONAL,
        .context_required = conf->secrets.context == CONTEXT_REQUIRED,
        .context_prefix = conf->secrets.context_prefix,
        .signers = list_items(&conf->secrets.signers),
        .signer_count = conf->secrets.signers.count,
        .signer_dir = conf->secrets.signer_files,
        .vault_prefixes = list_items(&conf->secrets.vault_prefixes),
        .vault_prefix_count = conf->secrets.vault_prefixes.count,
        .keep_ms = conf->keep_ms,
    };
    struct resolver *resolver;
    if (!resolve_sealed_new(loop, &sealed, &resolver, err))
        return false;
    const struct brokers *made = resolve_self(resolver)->brokers;
    if (!check_resources(made, conf, err) || !check_secrets(made, conf, err)) {
        resolver->free(resolver);
        return false;
    }
    *ret_resolver = resolver;
    return true;
}
