/* SPDX-License-Identifier: Apache-2.0 */
/* sealed kbs policy get|set|check|default|versions|restore|delete: which guests get which resources, and how evidence is appraised. */
#include "kbs/server/policy/policy.h"

#include <stdio.h>

#include "crypt/base/b64.h"
#include "fs/cli/broker.h"

#define PATH_SIZE 256

struct policy_args {
    struct broker_args broker;
    bool unchecked;
    const char *attestation, *version;
};

#define ATTESTATION_OPTION                                                                      \
    {                                                                                           \
        "attestation", 0, CLI_TEXT, offsetof(struct policy_args, attestation), "ID",            \
            "the attestation policy ID (default_cpu, …; Rego) instead of the resource policy" \
    }

static const struct cli_option which_options[] = {ATTESTATION_OPTION, BROKER_OPTIONS};
static const struct cli_option get_options[] = {
    {"version", 0, CLI_TEXT, offsetof(struct policy_args, version), "N",
        "an earlier text; kbs policy versions lists them"},
    ATTESTATION_OPTION,
    BROKER_OPTIONS,
};
static const struct cli_option set_options[] = {
    ATTESTATION_OPTION,
    {"no-check", 0, CLI_FLAG, offsetof(struct policy_args, unchecked), NULL,
        "send it as it is: a Trustee KBS takes Rego"},
    BROKER_OPTIONS,
};

static bool read_policy(const char *path, bool check, struct buf *text, struct err *err)
{
    auto_policy *policy = NULL;
    if (!tool_read(path, POLICY_TEXT_MAX, text, err))
        return false;
    /* Rego is checked by the broker, which asks Open Policy Agent. */
    if (memmem(text->data, text->len, "package ", strlen("package ")))
        return true;
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
    if (!read_policy(operand_count > 0 ? operands[0] : "-", !args->unchecked && !args->attestation,
            &text, err))
        return false;
    auto_free char *encoded = b64_encode(B64_URL, buf_bytes(&text));
    if (!encoded)
        return err_nomem(err);
    if (args->attestation ? !json_build(&body, err, "{s:s, s:s, s:s}", "type", "rego", "policy_id",
                                args->attestation, "policy", encoded)
                          : !json_build(&body, err, "{s:s}", "policy", encoded))
        return false;
    return broker_open(&args->broker, &broker, err) &&
           broker_post_json(broker, args->attestation ? "/attestation-policy" : "/resource-policy",
               body, &answer, err);
}

/* "/resource-policy/resource-policy" or "/attestation-policy/ID", and what comes behind; an id or number goes into a path as it is,
 * so it is looked at first. */
static bool policy_path(const struct policy_args *args, const char *behind, const char *number,
    char ret_path[PATH_SIZE], struct err *err)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const char *id = args->attestation;
    if (id && (strspn(id, allowed) != strlen(id) || strlen(id) > 64 || !id[0]))
        return err_set(
            err, ERR_CONFIG, "policy id \"%.80s\": letters, digits, '_' and '-' only", id);
    if (number && (strspn(number, "0123456789") != strlen(number) || strlen(number) > 9))
        return err_set(err, ERR_CONFIG, "\"%.40s\" is no number of a version", number);
    snprintf(ret_path, PATH_SIZE, "%s%s%s%s%s",
        id ? "/attestation-policy/" : "/resource-policy/resource-policy", id ? id : "", behind,
        number ? "?version=" : "", number ? number : "");
    return true;
}

static bool run_get(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct policy_args *args = options;
    auto_broker *broker = NULL;
    auto_buf text = BUF_INIT(BROKER_ANSWER_MAX);
    char path[PATH_SIZE];
    (void)operands, (void)operand_count;
    return policy_path(args, "", args->version, path, err) &&
           broker_open(&args->broker, &broker, err) &&
           broker_call(broker, "GET", path, BYTES_EMPTY, &text, err) &&
           tool_printf(err, "%s", buf_text(&text));
}

static bool run_versions(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct policy_args *args = options;
    auto_broker *broker = NULL;
    auto_json *list = NULL;
    char path[PATH_SIZE];
    size_t index;
    json_t *version;
    (void)operands, (void)operand_count;
    if (!policy_path(args, "/versions", NULL, path, err) ||
        !broker_open(&args->broker, &broker, err) || !broker_get_json(broker, path, &list, err))
        return false;
    json_array_foreach(list, index, version)
    {
        const char *who = json_member_text(version, "set_by");
        const char *when = json_member_text(version, "set_at");
        if (!tool_printf(err, "%-8lld %s  %s\n",
                (long long)json_integer_value(json_object_get(version, "version")),
                when ? when : "", who ? who : "(set before versions were kept)"))
            return false;
    }
    return true;
}

static bool run_restore(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct policy_args *args = options;
    auto_broker *broker = NULL;
    auto_buf answer = BUF_INIT(BROKER_ANSWER_MAX);
    char path[PATH_SIZE];
    (void)operand_count;
    return policy_path(args, "/restore", operands[0], path, err) &&
           broker_open(&args->broker, &broker, err) &&
           broker_call(broker, "POST", path, BYTES_EMPTY, &answer, err);
}

static bool run_delete(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct policy_args *args = options;
    auto_broker *broker = NULL;
    auto_buf answer = BUF_INIT(BROKER_ANSWER_MAX);
    char path[PATH_SIZE];
    (void)operands, (void)operand_count;
    return policy_path(args, "", NULL, path, err) && broker_open(&args->broker, &broker, err) &&
           broker_call(broker, "DELETE", path, BYTES_EMPTY, &answer, err);
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
    .options = get_options,
    .option_count = ARRAY_LEN(get_options),
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

const struct cli_command tool_kbs_policy_versions = {
    .name = "kbs policy versions",
    .operands = "",
    .summary = "list the texts that the policy had, with who set them and when",
    .options = which_options,
    .option_count = ARRAY_LEN(which_options),
    .args_size = sizeof(struct policy_args),
    .run = run_versions,
};

const struct cli_command tool_kbs_policy_restore = {
    .name = "kbs policy restore",
    .operands = "N",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "put an earlier text of the policy in force again",
    .detail = "It is checked as any other, and becomes the newest version.",
    .options = which_options,
    .option_count = ARRAY_LEN(which_options),
    .args_size = sizeof(struct policy_args),
    .run = run_restore,
};

const struct cli_command tool_kbs_policy_delete = {
    .name = "kbs policy delete",
    .operands = "",
    .summary = "take the policy away: the default, or the built-in appraisal, is in force again",
    .options = which_options,
    .option_count = ARRAY_LEN(which_options),
    .args_size = sizeof(struct policy_args),
    .run = run_delete,
};
