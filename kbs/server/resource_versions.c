/* SPDX-License-Identifier: Apache-2.0 */
/* GET /kbs/v0/resource-versions/r/t/t (not part of CoCo): which versions of a resource there are, for administrators. Nothing is
 * decrypted. {"resource":"r/t/t","versions":[{"version":2,"created":…,"not_after":…|null,"current":true,"expired":false},…]} */
#include <stdio.h>

#include "crypt/base/clock.h"
#include "kbs/server/server.h"
#include "kbs/uri.h"

static bool describe(
    const struct store_version *at, bool current, int64_t now, json_t *list, struct err *err)
{
    char created[CLOCK_TEXT_SIZE], not_after[CLOCK_TEXT_SIZE];
    json_t *item = NULL;
    clock_rfc3339(at->created, created);
    clock_rfc3339(at->not_after, not_after);
    if (!json_build(&item, err, "{s:I, s:s, s:s?, s:b, s:b}", "version", (json_int_t)at->version,
            "created", created, "not_after", at->not_after > 0 ? not_after : NULL, "current",
            current, "expired", at->not_after > 0 && now >= at->not_after))
        return false;
    return json_array_append_new(list, item) == 0 || err_nomem(err);
}

static bool list_versions(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    struct kbs_uri uri;
    char key[STORE_KEY_MAX + 1];
    auto_store_versions versions = {0};
    auto_json *list = json_array(), *json = NULL;
    if (!list)
        return err_nomem(err);
    if (!kbs_uri_from_path(request->rest, &uri, err))
        return false;
    snprintf(key, sizeof key, "%s/%s/%s", uri.repository, uri.type, uri.tag);
    if (!store_list_versions(server->store, key, &versions, err))
        return false;
    for (size_t i = 0; i < versions.count; i++)
        if (!describe(&versions.items[i], i == 0, server_now(server), list, err))
            return false;
    if (!json_build(&json, err, "{s:s, s:O}", "resource", key, "versions", list))
        return false;
    auto_free char *text = json_text(json);
    return text ? response_json(response, text, err) : err_nomem(err);
}

const struct route resource_version_routes[] = {
    {REQUEST_GET, "/kbs/v0/resource-versions/*", AUTH_ADMIN, false, 0, list_versions,
        "PluginInternalError", "Resource"},
    {0},
};
