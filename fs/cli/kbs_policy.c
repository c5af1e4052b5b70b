/* SPDX-License-Identifier: Apache-2.0 */
/* sealed kbs policy get|set|check|default: which guests get which resources. */
#include "kbs/server/policy.h"

#include "crypt/base/b64.h"
#include "fs/cli/broker.h"

struct policy_args {
    struct broker_args broker;
    bool unchecked;
};

static const struct cli_option broker_options[] = {BROKER_OPTIONS};
static const struct cli_option set_options[] = {
    {"no-check", 0, CLI_FLAG, offsetof(struct policy_args, unchecked), NULL,
        "send it as it is: a Trustee KBS takes Rego"},
    BROKER_OPTIONS,
};

static bool read_policy(const char *path, bool check, struct buf *text, struct err *err)
{
    auto_policy *policy = NULL;
    if (!tool_read(path, POLICY_TEXT_MAX, text, err))
        return false;
    return !check || policy_parse(buf_bytes(text), &policy, err) || err_wrap(err, "%s", path);
}

static bool run_check(const void *options, char **operands, int operand_count, struct err *err)
{
    auto_buf text = BUF_INIT(POLICY_TEXT_MAX);
    const char *path = operand_count > 0 ? operands[0] : "-";
    (void)options;
    return read_policy(path, true, &text, err) && tool_printf(err, "%s: in order\n", path);
}

static bool run_set(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct policy_args *args = options;
    auto_broker *broker = NULL;
    auto_buf text = BUF_INIT(POLICY_TEXT_MAX);
    auto_json *body = NULL, *answer = NULL;
    if (!read_policy(operand_count > 0 ? operands[0] : "-", !args->unchecked, &text, err))
        return false;
    auto_free char *encoded = b64_encode(B64_URL, buf_bytes(&text));
    if (!encoded)
        return err_nomem(err);
    return json_build(&body, err, "{s:s}", "policy", encoded) &&
           broker_open(&args->broker, &broker, err) &&
           broker_post_json(broker, "/resource-policy", body, &answer, err);
}

static bool run_get(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct policy_args *args = options;
    auto_broker *broker = NULL;
    auto_buf text = BUF_INIT(BROKER_ANSWER_MAX);
    (void)operands, (void)operand_count;
    return broker_open(&args->broker, &broker, err) &&
           broker_call(
               broker, "GET", "/resource-policy/resource-policy", BYTES_EMPTY, &text, err) &&
           tool_printf(err, "%s", buf_text(&text));
}

static bool run_default(const void *options, char **operands, int operand_count, struct err *err)
{
    (void)options, (void)operands, (void)operand_count;
    return tool_printf(err, "%s", POLICY_DEFAULT);
}

#define LANGUAGE                                                                             \
    "One rule a line, the first that matches decides, no match denies:\n"                    \
    "  allow db/**         if status affirming and tpm.pcr07 in reference-value tpm_pcr07\n" \
    "  allow default/key/* if status affirming\n"                                            \
    "  deny  **\n"

const struct cli_command tool_kbs_policy_get = {
    .name = "kbs policy get",
    .operands = "",
    .summary = "print the key broker's resource policy",
    .detail = "Prints the default when none was ever set.",
    .options = broker_options,
    .option_count = ARRAY_LEN(broker_options),
    .args_size = sizeof(struct policy_args),
    .run = run_get,
};

const struct cli_command tool_kbs_policy_set = {
    .name = "kbs policy set",
    .operands = "[FILE]",
    .operands_max = 1,
    .summary = "check a resource policy and make it the key broker's",
    .detail = LANGUAGE "FILE defaults to standard input. It holds from the next request on. Exit "
                       "status: 4 the policy is malformed (the line is named) and the\n"
                       "old one still holds.",
    .options = set_options,
    .option_count = ARRAY_LEN(set_options),
    .args_size = sizeof(struct policy_args),
    .run = run_set,
};

const struct cli_command tool_kbs_policy_check = {
    .name = "kbs policy check",
    .operands = "[FILE]",
    .operands_max = 1,
    .summary = "check a resource policy here, without any key broker",
    .detail = LANGUAGE "FILE defaults to standard input. Exit status: 0 in order; 4 malformed, and "
                       "the line is named.",
    .args_size = sizeof(struct policy_args),
    .run = run_check,
};

const struct cli_command tool_kbs_policy_default = {
    .name = "kbs policy default",
    .operands = "",
    .summary = "print the policy that holds when none is set",
    .detail = "To go back to it: sealed kbs policy default | sealed kbs policy set -",
    .args_size = sizeof(struct policy_args),
    .run = run_default,
};
