/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An administrator reads a resource back (not part of CoCo). Off unless [admin] read_resources = yes, because whoever gives secrets to
 * attested guests only does not want them to leave otherwise. The request brings a public key, {"tee-pubkey":JWK}, and the answer is a
 * JWE to it, as a guest gets it: no plaintext passes through HTTP. Every read and every refused one is in the log.
 */
#include <stdio.h>

#include "crypt/jwe.h"
#include "kbs/server/resource_query.h"
#include "kbs/server/server.h"
#include "kbs/uri.h"

#define REQUEST_MAX 8192

static bool read_key(struct bytes body, struct jwk **ret_key, struct err *err)
{
    auto_json *json = NULL;
    struct {
        json_t *key;
    } message = {0};
    static const struct json_field fields[] = {
        {"tee-pubkey", JSON_FIELD_OBJECT, 0, .required = true},
    };
    return json_load_strict(body, REQUEST_MAX, "/resource-data request", &json, err) &&
           json_decode(
               json, fields, ARRAY_LEN(fields), false, "/resource-data request", &message, err) &&
           jwk_from_json(message.key, false, ret_key, err);
}

static bool read_resource(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    struct kbs_uri uri;
    char name[STORE_KEY_MAX + 1];
    auto_jwk *recipient = NULL;
    auto_secret *value = NULL;
    struct store_version at;
    if (!kbs_uri_from_path(request->rest, &uri, err) ||
        !resource_query_version(request->query, &uri.version, err))
        return false;
    snprintf(name, sizeof name, "%s/%s/%s", uri.repository, uri.type, uri.tag);
    if (!server->conf->admin.read_resources) {
        response_refuse(response, "PolicyDeny", NULL,
            "administrators may not read resources here ([admin] read_resources = no); resources "
            "go "
            "to attested guests");
        snprintf(response->audit, sizeof response->audit, "%s was not let read %s", request->admin,
            name);
        return true;
    }
    if (!read_key(request->body, &recipient, err) ||
        !store_read(server->store, name, uri.version, &at, &value, err) ||
        !jwe_encrypt(recipient, secret_bytes(value), &response->body, err))
        return false;
    response->content_type = "application/json";
    snprintf(response->audit, sizeof response->audit, "%s read %s (%zu bytes, version %lld)",
        request->admin, name, secret_len(value), (long long)at.version);
    return true;
}

const struct route resource_read_routes[] = {
    {REQUEST_POST, "/kbs/v0/resource-data/*", AUTH_ADMIN, false, REQUEST_MAX, read_resource,
        "PluginInternalError", "Resource"},
    {0},
};
