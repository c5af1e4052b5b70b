/* SPDX-License-Identifier: Apache-2.0 */
/* From configuration to the product's resolver: the other side of the seam in fs/resolver_make.h. */
#include "fs/resolver_make.h"

#include "fs/resolve_sealed.h"

static const char *const *list_items(const struct conf_list *list)
{
    return (const char *const *)list->items;
}

/* Of several URLs the first may hang: the time of one open must do for the next one, too. */
static int64_t request_timeout(const struct sealedfs_conf *conf)
{
    int64_t half = conf->secrets.open_timeout_ms / 2;
    bool several = conf->kbs.urls.count > 1;
    return several && half < conf->kbs.request_timeout_ms ? half : conf->kbs.request_timeout_ms;
}

bool resolver_make(struct loop *loop, const struct sealedfs_conf *conf,
    struct resolver **ret_resolver, struct err *err)
{
    struct resolve_sealed_conf sealed = {
        .kbs = {.urls = list_items(&conf->kbs.urls),
            .url_count = conf->kbs.urls.count,
            .http = {.ca_file = conf->kbs.ca_file,
                .pinned_key = conf->kbs.pinned_key,
                .proxy = conf->kbs.proxy,
                .allow_plain = conf->kbs.allow_plain},
            .attest_socket = conf->attest.socket,
            .tee = conf->attest.tee,
            .request_timeout_ms = request_timeout(conf),
            .attest_timeout_ms = conf->attest.timeout_ms},
        .signature_optional = conf->secrets.signature == SIGNATURE_OPTIONAL,
        .context_required = conf->secrets.context == CONTEXT_REQUIRED,
        .context_prefix = conf->secrets.context_prefix,
        .signers = list_items(&conf->secrets.signers),
        .signer_count = conf->secrets.signers.count,
        .signer_dir = conf->secrets.signer_files,
        .vault_prefixes = list_items(&conf->secrets.vault_prefixes),
        .vault_prefix_count = conf->secrets.vault_prefixes.count,
        .keep_ms = conf->kbs.keep_ms,
    };
    return resolve_sealed_new(loop, &sealed, ret_resolver, err);
}
