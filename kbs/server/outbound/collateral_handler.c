/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of collateral as its administrator sees it:
 *
 *     GET    /collateral         {"services":[{"name","url","rests_s","why"}],"objects":[{"name","origin","fetched","until","bytes","state","service"}]}
 *     POST   /collateral         {"name","body":base64,"chain":PEM}: an import; answers {"name","kept","until"}
 *     POST   /collateral/fetch   {"name"}: from its vendor, now; the same answer
 *     DELETE /collateral/NAME
 *
 * state: good, due (fetched anew when it is asked for next), expired, or unreadable.
 */
#include <stdio.h>

#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "kbs/server/outbound/collateral_source.h"
#include "kbs/server/outbound/collateral_url.h"
#include "kbs/server/server.h"

#define BODY_MAX    (2u * 1024 * 1024)
#define FETCH_MAX   4096
#define OBJECTS_MAX 10000 /* that are listed */
#define ERROR_NAME  "PluginInternalError"
#define ERROR_TEXT  "Collateral"

/* -- looking --------------------------------------------------------------------------------------------- */

static bool add_object(struct server *server, const char *name, json_t *objects, struct err *err)
{
    auto_collateral_record record = {0};
    auto_json *object = NULL;
    struct err cause = ERR_INIT;
    char fetched[CLOCK_TEXT_SIZE] = "", until[CLOCK_TEXT_SIZE] = "";
    const char *state = "unreadable";
    int64_t now = server_now(server);
    if (collateral_cache_get(server->store, name, &record, &cause)) {
        clock_rfc3339(record.fetched, fetched);
        clock_rfc3339(record.until, until);
        state = now > record.until ? "expired"
                : collateral_source_due(server->collateral, name, record.until, record.fetched, now)
                    ? "due"
                    : "good";
    } else if (cause.code == ERR_NOTFOUND) {
        return true; /* gone meanwhile */
    }
    return json_build(&object, err, "{s:s, s:s, s:s, s:s, s:I, s:s, s:b}", "name", name, "origin",
               record.origin, "fetched", fetched, "until", until, "bytes",
               (json_int_t)(record.body.len + record.chain.len), "state", state, "service",
               (int)collateral_source_fetches(server->collateral, name)) &&
           (json_array_append(objects, object) == 0 || err_nomem(err));
}

static bool add_services(struct server *server, json_t *services, struct err *err)
{
    const struct kbs_conf *conf = server->conf;
    const char *const known[][2] = {{COLLATERAL_AMD_TARGET, conf->collateral.amd_kds},
        {COLLATERAL_INTEL_TARGET, conf->collateral.intel_pcs},
        {COLLATERAL_CRL_TARGET, conf->collateral.intel_root_crl ? conf->collateral.intel_root_crl
                                                                : COLLATERAL_CRL_URL}};
    for (size_t i = 0; server->courier && i < ARRAY_LEN(known); i++) {
        auto_json *service = NULL;
        struct err why = ERR_INIT;
        if (!courier_has(server->courier, known[i][0]))
            continue;
        int64_t rests = collateral_source_rests(server->collateral, known[i][0], &why);
        if (!json_build(&service, err, "{s:s, s:s, s:I, s:s}", "name", known[i][0], "url",
                known[i][1], "rests_s", (json_int_t)((rests + 999) / 1000), "why", why.message))
            return false;
        if (json_array_append(services, service) != 0)
            return err_nomem(err);
    }
    return true;
}

static bool get_status(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *names = NULL, *status = NULL, *services = json_array(), *objects = json_array();
    size_t index;
    json_t *name;
    (void)request;
    if (!services || !objects)
        return err_nomem(err);
    if (!add_services(server, services, err) ||
        !store_list(server->store, STORE_COLLATERAL, &names, err))
        return false;
    json_array_foreach(names, index, name)
    {
        if (index < OBJECTS_MAX && !add_object(server, json_string_value(name), objects, err))
            return false;
    }
    if (!json_build(&status, err, "{s:O, s:O, s:b}", "services", services, "objects", objects,
            "more", (int)(json_array_size(names) > OBJECTS_MAX)))
        return false;
    auto_free char *text = json_text(status);
    return text ? response_json(response, text, err) : err_nomem(err);
}

/* -- changing ---------------------------------------------------------------------------------------------- */

static bool answer(
    struct server *server, const char *name, bool kept, struct response *response, struct err *err)
{
    auto_collateral_record record = {0};
    auto_json *json = NULL;
    char until[CLOCK_TEXT_SIZE];
    if (!collateral_cache_get(server->store, name, &record, err))
        return false;
    clock_rfc3339(record.until, until);
    if (!json_build(&json, err, "{s:s, s:b, s:s}", "name", name, "kept", (int)kept, "until", until))
        return false;
    auto_free char *text = json_text(json);
    return text ? response_json(response, text, err) : err_nomem(err);
}

static bool post_import(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    static const char what[] = "/collateral request";
    struct {
        const char *name, *body, *chain;
    } message = {.chain = ""};
    static const struct json_field fields[] = {
        {"name", JSON_FIELD_TEXT, 0, .min = 1, .max = COLLATERAL_NAME_MAX - 1, .required = true},
        {"body", JSON_FIELD_TEXT, sizeof(char *), .min = 1, .required = true},
        {"chain", JSON_FIELD_TEXT, 2 * sizeof(char *)},
    };
    auto_json *json = NULL;
    auto_buf body = BUF_INIT(COLLATERAL_OBJECT_MAX);
    char origin[COLLATERAL_ORIGIN_SIZE];
    bool kept = false;
    if (!json_load_strict(request->body, BODY_MAX, what, &json, err) ||
        !json_decode(json, fields, ARRAY_LEN(fields), false, what, &message, err) ||
        !b64_decode(B64_STD, bytes_str(message.body), "body", &body, err))
        return false;
    snprintf(origin, sizeof origin, "import by %.100s", request->admin);
    if (!collateral_cache_put(server->store, message.name, buf_bytes(&body),
            bytes_str(message.chain), origin, server_now(server), &kept, err))
        return false;
    snprintf(response->audit, sizeof response->audit, "%s imported collateral %s%s", request->admin,
        message.name, kept ? "" : ", which is older than what is cached");
    return answer(server, message.name, kept, response, err);
}

static bool post_fetch(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    static const char what[] = "/collateral/fetch request";
    struct {
        const char *name;
    } message = {0};
    static const struct json_field fields[] = {
        {"name", JSON_FIELD_TEXT, 0, .min = 1, .max = COLLATERAL_NAME_MAX - 1, .required = true},
    };
    auto_json *json = NULL;
    if (!json_load_strict(request->body, FETCH_MAX, what, &json, err) ||
        !json_decode(json, fields, ARRAY_LEN(fields), false, what, &message, err))
        return false;
    if (!collateral_name_ok(message.name))
        return err_set(
            err, ERR_FORMAT, "\"%.80s\" is no name of a collateral object", message.name);
    snprintf(response->audit, sizeof response->audit, "%s had collateral %s fetched",
        request->admin, message.name);
    return collateral_source_fetch(server->collateral, message.name, server_now(server),
               collateral_source_deadline(server->collateral), err) &&
           answer(server, message.name, true, response, err);
}

static bool delete_object(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    if (!collateral_name_ok(request->rest))
        return err_set(
            err, ERR_FORMAT, "\"%.80s\" is no name of a collateral object", request->rest);
    if (!store_delete(server->store, STORE_COLLATERAL, request->rest, err))
        return false;
    snprintf(response->audit, sizeof response->audit, "%s deleted collateral %s", request->admin,
        request->rest);
    return response_json(response, "{}", err);
}

const struct route collateral_routes[] = {
    {REQUEST_GET, "/kbs/v0/collateral", AUTH_ADMIN, false, FETCH_MAX, get_status, ERROR_NAME,
        ERROR_TEXT},
    {REQUEST_POST, "/kbs/v0/collateral", AUTH_ADMIN, false, BODY_MAX, post_import, ERROR_NAME,
        ERROR_TEXT},
    {REQUEST_POST, "/kbs/v0/collateral/fetch", AUTH_ADMIN, false, FETCH_MAX, post_fetch, ERROR_NAME,
        ERROR_TEXT},
    {REQUEST_DELETE, "/kbs/v0/collateral/*", AUTH_ADMIN, false, FETCH_MAX, delete_object,
        ERROR_NAME, ERROR_TEXT},
    {0},
};
