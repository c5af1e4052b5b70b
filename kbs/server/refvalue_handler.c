/* SPDX-License-Identifier: Apache-2.0 */
/* The administrator's calls on reference values (protocol.md A.5; the list and DELETE are ours). */
#include <stdio.h>

#include "kbs/server/publisher.h"
#include "kbs/server/server.h"

static bool answer(struct response *response, json_t *json, struct err *err)
{
    auto_free char *text = json_text(json);
    return text ? response_json(response, text, err) : err_nomem(err);
}

/* As many names as the line has room for. */
static void audit_change(struct response *response, const char *admin,
    const struct refvalue_change *change, const char *publisher)
{
    static const char *const verbs[] = {[REFVALUE_SET] = "registered",
        [REFVALUE_ADD] = "added to",
        [REFVALUE_REMOVE] = "removed from"};
    size_t size = sizeof response->audit, left = json_object_size(change->values);
    const char *name;
    json_t *value;
    int used = snprintf(response->audit, size, "%s %s reference values%s%s:", admin,
        verbs[change->operation], publisher ? " of publisher " : "", publisher ? publisher : "");
    json_object_foreach(change->values, name, value)
    {
        if ((size_t)used + strlen(name) + sizeof " and 256 more" >= size) {
            snprintf(response->audit + used, size - (size_t)used, " and %zu more", left);
            return;
        }
        used += snprintf(response->audit + used, size - (size_t)used, " %s", name);
        left--;
    }
}

static bool register_values(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_refvalue_change change = {0};
    char id[PUBLISHER_ID_SIZE] = "";
    struct refvalue_setter setter = {.by = request->admin, .now = server_now(server)};
    if (publisher_is_signed(request->body)) {
        setter.publisher = id;
        if (!publishers_open(server->publishers, request->body, &change, id, err) ||
            !publisher_apply(server->store, &change, &setter, err))
            return false;
    } else {
        if (server->conf->reference_values.require_signed)
            return err_set(err, ERR_DENIED_LOCAL,
                "this server takes signed reference values only ([reference_values] "
                "require_signed): have a publisher sign the message (sealed kbs reference-value "
                "--sign)");
        if (!refvalue_decode(request->body, &change, err) ||
            !refvalue_apply(server->store, &change, &setter, err))
            return false;
    }
    audit_change(response, request->admin, &change, setter.publisher);
    return true;
}

static bool list_values(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *list = NULL;
    (void)request;
    return refvalue_describe(server->store, server_now(server), &list, err) &&
           answer(response, list, err);
}

static bool get_value(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *value = NULL;
    return refvalue_get(server->store, request->rest, server_now(server), &value, err) &&
           answer(response, value, err);
}

static bool delete_value(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    if (!refvalue_delete(server->store, request->rest, err))
        return false;
    snprintf(response->audit, sizeof response->audit, "%s deleted reference value %s",
        request->admin, request->rest);
    return true;
}

#define PATTERN_ALL "/kbs/v0/reference-value"
#define PATTERN_ONE "/kbs/v0/reference-value/*"
#define ERROR       "RvpsError", "Reference value error"

const struct route refvalue_routes[] = {
    {REQUEST_POST, PATTERN_ALL, AUTH_ADMIN, false, 0, register_values, ERROR},
    {REQUEST_GET, PATTERN_ALL, AUTH_ADMIN, false, 0, list_values, ERROR},
    {REQUEST_GET, PATTERN_ONE, AUTH_ADMIN, false, 0, get_value, ERROR},
    {REQUEST_DELETE, PATTERN_ONE, AUTH_ADMIN, false, 0, delete_value, ERROR},
    {0},
};
