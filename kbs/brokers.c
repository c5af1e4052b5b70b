/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/brokers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct broker_slot {
    const char *name;
    const char *const *hosts;
    size_t host_count;
    struct kbs_client *client;
};

struct brokers {
    struct broker_slot *items;
    size_t count;
};

void brokers_free(struct brokers *brokers)
{
    if (!brokers)
        return;
    for (size_t i = 0; i < brokers->count; i++)
        kbs_client_free(brokers->items[i].client);
    free(brokers->items);
    free(brokers);
}
DEFINE_AUTO(struct brokers, brokers_free);

static const struct broker_slot *find_host(const struct brokers *brokers, const char *host)
{
    for (size_t i = 0; i < brokers->count; i++)
        for (size_t k = 0; k < brokers->items[i].host_count; k++)
            if (strcasecmp(brokers->items[i].hosts[k], host) == 0)
                return &brokers->items[i];
    return NULL;
}

/* Only what a URI can name, or nobody would ever find it. */
static bool check_host(const struct brokers *brokers, const char *host, struct err *err)
{
    char text[KBS_URI_MAX];
    struct kbs_uri uri;
    struct err ignored = ERR_INIT;
    int len = snprintf(text, sizeof text, "kbs://%s/a/b/c", host);
    if (len >= (int)sizeof text || !kbs_uri_parse(text, &uri, &ignored) || uri.host[0] == '\0' ||
        strcmp(uri.host, host) != 0)
        return err_set(err, ERR_CONFIG,
            "host \"%.100s\" is not what stands between kbs:// and the next slash of a URI", host);
    if (find_host(brokers, host))
        return err_set(err, ERR_CONFIG, "host %s is given twice; remove one", host);
    return true;
}

static bool add(
    struct brokers *brokers, struct loop *loop, const struct broker_conf *conf, struct err *err)
{
    struct broker_slot *slot = &brokers->items[brokers->count];
    if (!conf->name && conf->client.url_count == 0)
        return true;
    for (size_t i = 0; i < conf->host_count; i++)
        if (!check_host(brokers, conf->hosts[i], err))
            return false;
    if (conf->name && conf->host_count == 0)
        return err_set(err, ERR_CONFIG, "no host, so no resource can mean this broker; set host=");
    if (!kbs_client_new(loop, &conf->client, &slot->client, err))
        return false;
    slot->name = conf->name;
    slot->hosts = conf->hosts;
    slot->host_count = conf->host_count;
    brokers->count++;
    return true;
}

bool brokers_new(struct loop *loop, const struct broker_conf *confs, size_t count,
    struct brokers **ret_brokers, struct err *err)
{
    AUTO(brokers_free) struct brokers *brokers = calloc(1, sizeof *brokers);
    if (!brokers || !(brokers->items = calloc(count + 1, sizeof *brokers->items)))
        return err_nomem(err);
    for (size_t i = 0; i < count; i++)
        if (!add(brokers, loop, &confs[i], err))
            return err_wrap(
                err, "[kbs%s%s]", confs[i].name ? ":" : "", confs[i].name ? confs[i].name : "");
    *ret_brokers = take_ptr(brokers);
    return true;
}

struct kbs_client *brokers_default(const struct brokers *brokers)
{
    for (size_t i = 0; i < brokers->count; i++)
        if (!brokers->items[i].name)
            return brokers->items[i].client;
    return NULL;
}

bool brokers_find(const struct brokers *brokers, const struct kbs_uri *uri,
    struct kbs_client **ret_client, struct err *err)
{
    const struct broker_slot *slot = NULL;
    struct kbs_client *client = NULL;
    if (uri->host[0] == '\0') {
        client = brokers_default(brokers);
        if (!client)
            return err_set(
                err, ERR_CONFIG, "no key broker is configured: set url in section [kbs]");
    } else {
        slot = find_host(brokers, uri->host);
        if (!slot)
            return err_set(err, ERR_CONFIG,
                "resource kbs://%s/%.64s/%.64s/%.64s: no broker is configured for host %s; add a "
                "section [kbs:NAME] with host = %s and its url, if this guest may ask there",
                uri->host, uri->repository, uri->type, uri->tag, uri->host, uri->host);
        client = slot->client;
    }
    *ret_client = client;
    return true;
}

size_t brokers_count(const struct brokers *brokers)
{
    return brokers->count;
}

struct kbs_client *brokers_at(const struct brokers *brokers, size_t index, const char **ret_name)
{
    *ret_name = brokers->items[index].name;
    return brokers->items[index].client;
}
