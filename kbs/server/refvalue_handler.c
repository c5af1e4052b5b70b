/* SPDX-License-Identifier: Apache-2.0 */
/* The administrator's calls on reference values (protocol.md A.5; the list and DELETE are ours). */
#include <stdio.h>

#include "kbs/server/refvalue.h"
#include "kbs/server/server.h"

static bool answer(struct response *response, json_t *json, struct err *err)
{
    auto_free char *text = json_text(json);
    return text ? response_json(response, text, err) : err_nomem(err);
}

static bool register_values(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    if (!refvalue_register(server->store, request->body, server_now(server), err))
        return false;
    snprintf(
        response->audit, sizeof response->audit, "%s registered reference values", request->admin);
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
    if (!store_delete(server->store, STORE_REFERENCE, request->rest, err))
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
