/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/policy/opa.h"

#include <stdio.h>

#include "crypt/base/b64.h"
#include "crypt/hash.h"
#include "kbs/server/outbound/courier.h"
#include "kbs/server/policy/policy.h"
#include "kbs/server/policy/rego.h"

#define MODULE_MAX (POLICY_TEXT_MAX + REGO_ADDED_MAX)
#define QUERY_MAX  4096
#define PATH_SIZE  128
#define REPLY_MAX  (1024u * 1024)
#define TRACE_LINE 400
#define MODULES    "/v1/policies/" REGO_PACKAGE "/"

/* -- HTTP ------------------------------------------------------------------------------------------ */

/* OPA's own explanation of a status that is not 200. */
static bool refuse_status(const struct courier_response *response, bool putting, struct err *err)
{
    auto_json *json = NULL;
    struct err none = ERR_INIT;
    if (response->status == 401 || response->status == 403)
        return err_set(err, ERR_CONFIG,
            "Open Policy Agent does not let us in (status %u); set [policy] opa_token to a file "
            "with a "
            "token that it takes",
            response->status);
    if (!json_load_strict(response->body, REPLY_MAX, "answer", &json, &none))
        return err_set(err, ERR_UNREACH,
            "Open Policy Agent answered with status %u; is [policy] opa_url the address of one?",
            response->status);
    const json_t *first = json_array_get(json_object_get(json, "errors"), 0);
    const char *message = json_member_text(first ? first : json, "message");
    const char *code = json_member_text(first, "code");
    const json_t *row = json_object_get(json_object_get(first, "location"), "row");
    bool of_policy = code && (strncmp(code, "rego_", 5) == 0 || strncmp(code, "eval_", 5) == 0);
    if (!of_policy)
        return err_set(err, ERR_UNREACH, "Open Policy Agent answered with status %u: %.200s",
            response->status, message ? message : "no message");
    return err_set(err, putting ? ERR_FORMAT : ERR_DENIED_POLICY, "line %lld: %.300s",
        (long long)json_integer_value(row), message ? message : code);
}

static bool ask(struct server *server, enum courier_method method, const char *path,
    const char *type, struct bytes body, struct buf *message, struct courier_response *ret_response,
    struct err *err)
{
    const struct courier_request request = {.target = OPA_TARGET,
        .method = method,
        .path = path,
        .content_type = type,
        .body = body,
        .timeout_ms = server->conf->policy.opa_ms,
        .response_max = COURIER_RESPONSE_MAX};
    return courier_ask(server->courier, &request, message, ret_response, err) &&
           (ret_response->status == 200 || refuse_status(ret_response, method == COURIER_PUT, err));
}

static bool put_module(struct server *server, const char *id, struct bytes module, struct err *err)
{
    auto_buf message = BUF_INIT(0);
    struct courier_response response;
    char path[PATH_SIZE];
    snprintf(path, sizeof path, MODULES "%s", id);
    return ask(server, COURIER_PUT, path, "text/plain", module, &message, &response, err);
}

static bool delete_module(struct server *server, const char *id, struct err *err)
{
    auto_buf message = BUF_INIT(0);
    struct courier_response response = {0};
    char path[PATH_SIZE];
    snprintf(path, sizeof path, MODULES "%s", id);
    if (ask(server, COURIER_DELETE, path, NULL, BYTES_EMPTY, &message, &response, err))
        return true;
    if (response.status != 404)
        return false;
    err_clear(err);
    return true;
}

/* The first binding of a query, or NULL in *ret_binding when there is none. */
static bool query(struct server *server, const char *text, const json_t *input, const char *path,
    json_t **ret_answer, struct err *err)
{
    auto_json *body = NULL;
    auto_buf message = BUF_INIT(0);
    struct courier_response response;
    if (!json_build(&body, err, "{s:s, s:O}", "query", text, "input", input))
        return false;
    auto_free char *sent = json_text(body);
    if (!sent)
        return err_nomem(err);
    return ask(server, COURIER_POST, path, "application/json", bytes_str(sent), &message, &response,
               err) &&
           (json_load_strict(response.body, COURIER_RESPONSE_MAX, "Open Policy Agent's answer",
                ret_answer, err) ||
               err_set(
                   err, ERR_DENIED_POLICY, "what the policy gives is no value that can be read"));
}

static const json_t *binding(const json_t *answer)
{
    return json_array_get(json_object_get(answer, "result"), 0);
}

/* -- checks ---------------------------------------------------------------------------------------- */

/* Both texts by OPA's own parser: the package of the first, whether the second differs in nothing else (comments have columns, which move), and
 * what the text says of data.policy, which is not its own any more. No answer: the text does not parse. */
static const char parse_query[] =
    "a := rego.parse_module(\"policy.rego\", input.text); "
    "b := rego.parse_module(\"policy.rego\", input.renamed); "
    "package_path := [part.value | some part in a[\"package\"].path]; "
    "same := object.remove(a, [\"package\", \"comments\"]) == object.remove(b, [\"package\", "
    "\"comments\"]); "
    "own := [concat(\".\", [sprintf(\"%v\", [part.value]) | some part in node.value]) | "
    "walk(a, [where, node]); where[0] != \"package\"; node.type == \"ref\"; node.value[0] == "
    "{\"type\": \"var\", "
    "\"value\": \"data\"}; node.value[1].value == \"policy\"]; "
    "answer := {\"package\": package_path, \"same\": same, \"own\": own}";

static bool check_parsed(const json_t *found, struct err *err)
{
    const json_t *path = json_object_get(found, "package"), *own = json_object_get(found, "own");
    const char *name = json_string_value(json_array_get(path, 1));
    if (json_array_size(path) != 2 || !name || strcmp(name, "policy") != 0 ||
        !json_is_true(json_object_get(found, "same")))
        return err_set(err, ERR_FORMAT,
            "line 1: a Rego policy must begin with \"package policy\" on a line of its own");
    const char *reference = json_string_value(json_array_get(own, 0));
    if (reference)
        return err_set(err, ERR_FORMAT,
            "line 1: the policy names its own rule as \"%.80s\"; name it without data.policy.",
            reference);
    return true;
}

/* It does not parse; a module of that text would not be taken either, and then the line is told. */
static bool explain_parse(
    struct server *server, const char *id, struct bytes module, struct err *err)
{
    if (!put_module(server, id, module, err))
        return false;
    return delete_module(server, id, err) &&
           err_set(err, ERR_FORMAT, "Open Policy Agent's parser does not take the policy");
}

static bool check_parse(struct server *server, const char *id, struct bytes text,
    struct bytes module, size_t added, struct err *err)
{
    auto_json *input = NULL, *answer = NULL;
    struct bytes renamed = bytes_slice(module, 0, added);
    if (!json_build(&input, err, "{s:s%, s:s%}", "text", text.data, text.len, "renamed",
            renamed.data, renamed.len))
        return err_wrap(err, "the policy");
    if (!query(server, parse_query, input, "/v1/query", &answer, err))
        return false;
    const json_t *found = json_object_get(binding(answer), "answer");
    return found ? check_parsed(found, err) : explain_parse(server, id, module, err);
}

/* A name of its own, so that the module of a policy in force is neither replaced nor taken away. */
static bool trial_id(char ret_id[REGO_ID_SIZE], struct err *err)
{
    uint8_t random[16];
    if (!hash_random(random, sizeof random, err))
        return false;
    memcpy(ret_id, "t_", 2);
    hex_encode(bytes_of(random, sizeof random), ret_id + 2);
    return true;
}

bool opa_check(struct server *server, struct bytes text, struct err *err)
{
    auto_buf module = BUF_INIT(MODULE_MAX);
    char id[REGO_ID_SIZE];
    size_t added;
    return trial_id(id, err) && rego_module(text, id, &module, &added, err) &&
           check_parse(server, id, text, buf_bytes(&module), added, err) &&
           put_module(server, id, buf_bytes(&module), err) && delete_module(server, id, err);
}

bool opa_forget(struct server *server, struct bytes text, struct err *err)
{
    char id[REGO_ID_SIZE];
    return rego_id(text, id, err) && delete_module(server, id, err);
}

/* -- evaluation ------------------------------------------------------------------------------------ */

/* Values are bound before `with input` changes what input is. */
static bool write_query(
    const struct opa_query *query, const char *id, struct buf *out, struct err *err)
{
    bool done = buf_printf(out, err, "present := data." REGO_PACKAGE ".%s." REGO_MARK, id);
    for (const char *const *rule = query->rules; done && *rule; rule++)
        done = buf_printf(out, err,
            "; %s := [x | c := input.claims; v := input.values; p := input.plugin; r := "
            "input.path; "
            "q := input.query; x := data." REGO_PACKAGE ".%s.%s with input as c with "
            "data." REGO_VALUES " as v%s]",
            *rule, id, *rule,
            query->plugin ? " with data.plugin as p with data[\"resource-path\"] as r with "
                            "data.query as q"
                          : "");
    return done;
}

static bool make_input(const struct opa_query *query, json_t **ret_input, struct err *err)
{
    auto_json *none = json_null();
    return json_build(ret_input, err, "{s:O, s:O, s:s, s:O, s:O}", "claims", query->input, "values",
        query->values, "plugin", query->plugin ? query->plugin : "", "path",
        query->path ? query->path : none, "query", query->query ? query->query : none);
}

/* "sealed_kbs/p_…:12     | | Enter …" -> line 12. */
static bool take_line(const char *text, const char *id, json_t *trace, struct err *err)
{
    auto_json *line = NULL;
    char prefix[PATH_SIZE], shown[TRACE_LINE];
    int row, used = 0;
    snprintf(prefix, sizeof prefix, REGO_PACKAGE "/%s:", id);
    if (strncmp(text, prefix, strlen(prefix)) != 0 ||
        sscanf(text + strlen(prefix), "%9d %n", &row, &used) != 1)
        return true;
    text += strlen(prefix) + (size_t)used;
    if (strncmp(text + strspn(text, "| "), "Redo", 4) == 0 || strstr(text, REGO_MARK) ||
        json_array_size(trace) >= OPA_TRACE_MAX)
        return true;
    snprintf(shown, sizeof shown, "%s", text);
    return json_build(&line, err, "{s:i, s:s}", "line", row, "text", shown) &&
           (json_array_append(trace, line) == 0 || err_nomem(err));
}

static bool take_trace(const json_t *answer, const char *id, json_t **ret_trace, struct err *err)
{
    auto_json *trace = json_array();
    const json_t *lines = json_object_get(answer, "explanation");
    if (!trace)
        return err_nomem(err);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const char *text = json_string_value(json_array_get(lines, i));
        struct err cut = ERR_INIT;
        /* One that was cut in a character, or holds something odd, is left out. */
        if (text && !take_line(text, id, trace, &cut) && cut.code == ERR_NOMEM)
            return err_nomem(err);
    }
    *ret_trace = take_ptr(trace);
    return true;
}

static bool eval_once(struct server *server, const struct opa_query *query_of, const char *id,
    const json_t *input, json_t **ret_answer, struct err *err)
{
    auto_buf text = BUF_INIT(QUERY_MAX);
    return write_query(query_of, id, &text, err) &&
           query(server, buf_text(&text), input,
               query_of->trace ? "/v1/query?explain=full&pretty=true" : "/v1/query", ret_answer,
               err);
}

/* The module is put only when it is seen to be missing. */
static bool eval(struct server *server, const struct opa_query *query_of, const char *id,
    json_t **ret_answer, struct err *err)
{
    auto_json *input = NULL, *answer = NULL;
    auto_buf module = BUF_INIT(MODULE_MAX);
    size_t added;
    if (!make_input(query_of, &input, err) || !eval_once(server, query_of, id, input, &answer, err))
        return false;
    if (!binding(answer)) {
        json_unref(take_ptr(answer));
        if (!rego_module(query_of->text, id, &module, &added, err) ||
            !put_module(server, id, buf_bytes(&module), err) ||
            !eval_once(server, query_of, id, input, &answer, err))
            return false;
    }
    if (!binding(answer))
        return err_set(err, ERR_UNREACH, "Open Policy Agent does not keep the policy it was given");
    *ret_answer = take_ptr(answer);
    return true;
}

bool opa_eval(struct server *server, const struct opa_query *query_of, json_t **ret_results,
    json_t **ret_trace, struct err *err)
{
    auto_json *answer = NULL, *trace = NULL, *results = NULL;
    char id[REGO_ID_SIZE];
    struct err later = ERR_INIT;
    if (!(query_of->trace ? trial_id(id, err) : rego_id(query_of->text, id, err)))
        return false;
    bool done = eval(server, query_of, id, &answer, err) &&
                (!query_of->trace || take_trace(answer, id, &trace, err));
    if (query_of->trace && !delete_module(server, id, done ? err : &later))
        return false;
    if (!done)
        return false;
    if (!(results = json_deep_copy(binding(answer))))
        return err_nomem(err);
    *ret_results = take_ptr(results);
    if (ret_trace)
        *ret_trace = take_ptr(trace);
    return true;
}
