/* SPDX-License-Identifier: Apache-2.0 */
/* sealed kbs policy test: what a policy would say of a token or of claims (kbs/server/policy/policy_trial.c). Nothing is changed anywhere. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/base/b64.h"
#include "fs/cli/broker.h"
#include "kbs/proto.h"
#include "kbs/server/policy/policy.h"

#define CLAIMS_MAX (512u * 1024)
#define DENIED     1 /* exit status */

struct test_args {
    struct broker_args broker;
    const char *policy, *token, *claims, *class_name;
    bool attestation, json;
};

static const struct cli_option options_table[] = {
    {"policy", 0, CLI_TEXT, offsetof(struct test_args, policy), "FILE",
        "try this text; default: the policy in force"},
    {"token", 0, CLI_TEXT, offsetof(struct test_args, token), "FILE",
        "a token that a guest got; its signature and dates do not matter here"},
    {"claims", 0, CLI_TEXT, offsetof(struct test_args, claims), "FILE",
        "instead: claims as tokens have them, as JSON: {\"tpm\": {…}, …}"},
    {"class", 0, CLI_TEXT, offsetof(struct test_args, class_name), "CLASS",
        "of the evidence that made the claims; default: cpu"},
    {"attestation", 0, CLI_FLAG, offsetof(struct test_args, attestation), NULL,
        "try an attestation policy on the claims, not a resource policy"},
    {"json", 0, CLI_FLAG, offsetof(struct test_args, json), NULL, "print JSON"},
    BROKER_OPTIONS,
};

static bool add_text(json_t *body, const char *name, const char *text, struct err *err)
{
    return json_object_set_new(body, name, json_string(text)) == 0 ||
           err_set(err, ERR_FORMAT, "%s is no UTF-8 text", name);
}

static bool add_policy(json_t *body, const char *path, struct err *err)
{
    auto_buf text = BUF_INIT(POLICY_TEXT_MAX);
    if (!tool_read(path, POLICY_TEXT_MAX, &text, err))
        return false;
    auto_free char *encoded = b64_encode(B64_URL, buf_bytes(&text));
    return encoded ? add_text(body, "policy", encoded, err) : err_nomem(err);
}

static bool add_token(json_t *body, const char *path, struct err *err)
{
    auto_buf text = BUF_INIT(PROTO_TOKEN_MAX);
    if (!tool_read(path, PROTO_TOKEN_MAX, &text, err))
        return false;
    struct bytes token = bytes_trim(buf_bytes(&text));
    return json_object_set_new(body, "token", json_stringn((const char *)token.data, token.len)) ==
               0 ||
           err_set(err, ERR_FORMAT, "%s is no token", path);
}

static bool add_claims(json_t *body, const char *path, struct err *err)
{
    auto_buf text = BUF_INIT(CLAIMS_MAX);
    auto_json *claims = NULL;
    if (!tool_read(path, CLAIMS_MAX, &text, err) ||
        !json_load_strict(buf_bytes(&text), CLAIMS_MAX, path, &claims, err))
        return false;
    return json_object_set(body, "claims", claims) == 0 || err_nomem(err);
}

static bool make_body(
    const struct test_args *args, const char *resource, json_t **ret_body, struct err *err)
{
    auto_json *body = json_object();
    if (!body)
        return err_nomem(err);
    if (!args->token == !args->claims)
        return err_set(err, ERR_CONFIG, "either --token or --claims says whom to ask about");
    if (!args->attestation && !resource)
        return err_set(err, ERR_CONFIG, "for which resource? Name it as REPOSITORY/TYPE/TAG");
    if (!add_text(body, "kind", args->attestation ? "attestation" : "resource", err) ||
        (resource && !add_text(body, "resource", resource, err)) ||
        (args->policy && !add_policy(body, args->policy, err)) ||
        (args->token && !add_token(body, args->token, err)) ||
        (args->claims && !add_claims(body, args->claims, err)) ||
        (args->class_name && !add_text(body, "class", args->class_name, err)))
        return false;
    *ret_body = take_ptr(body);
    return true;
}

static bool print_value(const char *name, const json_t *value, struct err *err)
{
    auto_free char *text = value ? json_text(value) : NULL;
    const char *shown = json_is_string(value) ? json_string_value(value) : text;
    return !value || tool_printf(err, "    %-9s %s\n", name, shown ? shown : "");
}

static bool print_findings(const json_t *findings, struct err *err)
{
    size_t index;
    json_t *finding;
    json_array_foreach((json_t *)(uintptr_t)findings, index, finding)
    {
        json_int_t line = json_integer_value(json_object_get(finding, "line"));
        const char *claim = json_member_text(finding, "claim");
        const char *rule = json_member_text(finding, "rule");
        if (!tool_printf(err, "  %s %s\n",
                json_is_true(json_object_get(finding, "match")) ? "holds:  " : "differs:",
                claim ? claim : "") ||
            !print_value("got", json_object_get(finding, "got"), err) ||
            !print_value("expected", json_object_get(finding, "expected"), err))
            return false;
        if (line > 0 ? !tool_printf(err, "    rule      line %lld: %s\n", (long long)line, rule)
                     : rule && !tool_printf(err, "    rule      %s\n", rule))
            return false;
    }
    return true;
}

static bool print_trace(const json_t *trace, struct err *err)
{
    size_t index;
    json_t *entry;
    if (json_array_size(trace) > 0 && !tool_printf(err, "  evaluated:\n"))
        return false;
    json_array_foreach((json_t *)(uintptr_t)trace, index, entry)
    {
        const char *text = json_member_text(entry, "text");
        if (!tool_printf(err, "    line %-5lld%s\n",
                (long long)json_integer_value(json_object_get(entry, "line")), text ? text : ""))
            return false;
    }
    return true;
}

static bool print_answer(const json_t *answer, bool attestation, struct err *err)
{
    const char *status = json_member_text(answer, "status");
    const char *summary = json_member_text(answer, "summary");
    json_int_t line = json_integer_value(json_object_get(answer, "line"));
    if (attestation) {
        if (!tool_printf(err, "%s\n", status ? status : "?") ||
            !print_value("vector", json_object_get(answer, "trust_vector"), err) ||
            !print_value("further", json_object_get(answer, "extensions"), err))
            return false;
    } else if (!tool_printf(err, "%s: %s\n",
                   json_is_true(json_object_get(answer, "allowed")) ? "allow" : "deny",
                   summary ? summary : "") ||
               (line > 0 && !tool_printf(err, "  line %lld\n", (long long)line))) {
        return false;
    }
    return print_findings(json_object_get(answer, "findings"), err) &&
           print_trace(json_object_get(answer, "trace"), err);
}

static bool run(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct test_args *args = options;
    auto_broker *broker = NULL;
    auto_json *body = NULL, *answer = NULL;
    if (!make_body(args, operand_count > 0 ? operands[0] : NULL, &body, err) ||
        !broker_open(&args->broker, &broker, err) ||
        !broker_post_json(broker, "/policy-trial", body, &answer, err))
        return false;
    if (args->json ? !tool_print_json(answer, err) : !print_answer(answer, args->attestation, err))
        return false;
    const char *status = json_member_text(answer, "status");
    bool good = args->attestation ? status && strcmp(status, "affirming") == 0
                                  : json_is_true(json_object_get(answer, "allowed"));
    if (!good) {
        fflush(stdout);
        exit(DENIED); /* no error of ours, so no message of ours */
    }
    return true;
}

const struct cli_command tool_kbs_policy_test = {
    .name = "kbs policy test",
    .operands = "[RESOURCE]",
    .operands_max = 1,
    .summary = "ask the key broker what a policy would say, and why; nothing is changed",
    .detail =
        "RESOURCE is REPOSITORY/TYPE/TAG. Claims are compared with the reference values of now. "
        "Exit status: 0 allowed (with --attestation: affirming); 1 denied.",
    .options = options_table,
    .option_count = ARRAY_LEN(options_table),
    .args_size = sizeof(struct test_args),
    .run = run,
};
