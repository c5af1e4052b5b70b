/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/http/route.h"

#include <stdio.h>

#include "kbs/server/admin.h"
#include "crypt/base/loop.h"
#include "kbs/server/http/rate_limit.h"
#include "kbs/server/server.h"

#define PREFIX       "/kbs/v0/"
#define TARGET_MAX   8192
#define PLUGIN_SHOWN 64

#define STATUS_UNAUTHORIZED 401
#define STATUS_FORBIDDEN    403
#define STATUS_TOO_MANY     429

static bool health(struct server *server, const struct request *request, struct response *response,
    struct err *err)
{
    (void)server;
    (void)request;
    response->content_type = "text/plain";
    return buf_append_str(&response->body, "ok\n", err);
}

static const struct route health_routes[] = {
    {REQUEST_GET, "/healthz", AUTH_NONE, false, 0, health, "HTTPFailed", "unhealthy"},
    {0},
};

static const struct route *const tables[] = {
    attest_routes,
    resource_routes,
    resource_read_routes,
    resource_version_routes,
    policy_routes,
    policy_trial_routes,
    refvalue_routes,
    agent_routes,
    agent_admin_routes,
    explain_routes,
    collateral_routes,
    token_routes,
    rest_routes,
    health_routes,
};

char *route_path(const char *uri)
{
    size_t len = strcspn(uri, "?");
    char *path = malloc(len + 2);
    char *out = path;
    if (!path)
        return NULL;
    for (size_t i = 0; i < len; i++)
        if (uri[i] != '/' || out == path || out[-1] != '/')
            *out++ = uri[i];
    if (out > path + 1 && out[-1] == '/')
        out--;
    *out = '\0';
    return path;
}

/* The offset of what follows a prefix pattern, the length of `path` for an exact one; 0: no match.
 */
static size_t pattern_match(const char *pattern, const char *path)
{
    size_t len = strlen(pattern);
    if (pattern[len - 1] != '*')
        return strcmp(pattern, path) == 0 ? len : 0;
    len--;
    return strncmp(pattern, path, len) == 0 && path[len] != '\0' ? len : 0;
}

const struct route *route_find(enum request_method method, const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        for (const struct route *route = tables[i]; route->handler; route++)
            if ((route->methods & method) && pattern_match(route->pattern, path) > 0)
                return route;
    return NULL;
}

/* As Trustee: what no built-in route takes is a plugin's, and there is none of that name. */
static void refuse_unknown(const char *path, struct response *response)
{
    if (strncmp(path, PREFIX, strlen(PREFIX)) != 0) {
        response_refuse(response, "InvalidRequestPath", NULL, "Invalid request path");
        return;
    }
    char plugin[PLUGIN_SHOWN + 1];
    const char *name = path + strlen(PREFIX);
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    snprintf(plugin, sizeof plugin, "%.*s", len < PLUGIN_SHOWN ? (int)len : PLUGIN_SHOWN, name);
    response_refuse(response, "PluginNotFound", NULL, "Plugin %s not found", plugin);
}

static bool admit_admin(struct server *server, struct request *request, struct response *response)
{
    struct err err = ERR_INIT;
    char target[TARGET_MAX];
    int len = snprintf(target, sizeof target, "%s%s%s", request->path, request->query ? "?" : "",
        request->query ? request->query : "");
    bool fits = len >= 0 && (size_t)len < sizeof target;
    if (!fits)
        err_set(&err, ERR_DENIED_LOCAL, "the request's path and query are too long");
    /* The path alone as well: no endpoint reads a query, so a rule that ends with "/public$" must not be met by "?/public". */
    if (fits &&
        admin_check(server->admin, request->authorization, target, server_now(server),
            request->admin, &err) &&
        (!request->query || admin_check(server->admin, request->authorization, request->path,
                                server_now(server), request->admin, &err)))
        return true;
    bool known = admin_authentic(server->admin, request->authorization, server_now(server));
    request->admin[0] = '\0';
    /* Who asks is told why: the administrator's own token and rules are no secret of ours. */
    response_refuse(response, "AdminAuthAccess", NULL, "Admin access denied: %s", err.message);
    response->strict_status = known ? STATUS_FORBIDDEN : STATUS_UNAUTHORIZED;
    response->cause = err;
    return false;
}

/* What anybody may ask costs a verifier's time, or a write: so often and no more. */
static bool admit_stranger(
    struct server *server, const struct request *request, struct response *response)
{
    int retry_s = 0;
    if (rate_limit_take(server->rate_limit, request->peer, loop_now_ms(), &retry_s))
        return true;
    response_refuse(response, "HTTPFailed", NULL,
        "too many requests; try again in %d s ([server] rate)", retry_s);
    response->status = STATUS_TOO_MANY;
    response->retry_after_s = retry_s;
    return false;
}

bool route_admit(struct server *server, struct request *request, const struct route **ret_route,
    struct response *response)
{
    const char *query = strchr(request->uri, '?');
    request->query = query ? query + 1 : NULL;
    request->rest = "";
    request->admin[0] = '\0';
    request->path = route_path(request->uri);
    if (!request->path) {
        response_refuse(response, "HTTPFailed", NULL, "out of memory");
        return false;
    }
    const struct route *route = route_find(request->method, request->path);
    if (!route) {
        refuse_unknown(request->path, response);
        return false;
    }
    if (route->auth == AUTH_ADMIN && !admit_admin(server, request, response))
        return false;
    if (route->auth == AUTH_NONE && route->methods != REQUEST_GET &&
        !admit_stranger(server, request, response))
        return false;
    request->rest = request->path + pattern_match(route->pattern, request->path);
    *ret_route = route;
    return true;
}

void route_run(struct server *server, const struct route *route, const struct request *request,
    struct response *response)
{
    struct err err = ERR_INIT;
    if (route->handler(server, request, response, &err))
        return;
    char ref[ERR_REF_SIZE];
    snprintf(ref, sizeof ref, "%s", response->ref[0] ? response->ref : err.ref);
    if (route->auth == AUTH_ADMIN)
        response_refuse(
            response, route->error_name, ref, "%s: %s", route->error_detail, err.message);
    else
        response_refuse(response, route->error_name, ref, "%s", route->error_detail);
    response->cause = err;
    if (route->auth != AUTH_ADMIN)
        response_blame(response, &err);
}

void request_done(struct request *request)
{
    free(request->path);
    request->path = NULL;
}
