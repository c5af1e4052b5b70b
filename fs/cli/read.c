/* SPDX-License-Identifier: Apache-2.0 */
/* sealed get and sealed unseal: plaintext by way of the agent, under its access rules. */
#include "fs/cli/tool.h"

#include "crypt/base/conf.h"
#include "crypt/sealed.h"
#include "fs/cli/agent.h"
#include "fs/control.h"

struct read_args {
    const char *socket, *output, *path, *signer, *wrapping_key;
};

static const struct cli_option get_options[] = {
    {"output", 'o', CLI_TEXT, offsetof(struct read_args, output), "FILE",
        "write there (mode 0600) instead of standard output"},
    {"socket", 0, CLI_TEXT, offsetof(struct read_args, socket), "PATH",
        "the agent's control socket"},
};

static const struct cli_option unseal_options[] = {
    {"output", 'o', CLI_TEXT, offsetof(struct read_args, output), "FILE",
        "write there (mode 0600) instead of standard output"},
    {"path", 'p', CLI_TEXT, offsetof(struct read_args, path), "PATH",
        "context: the path below the mount it was sealed for"},
    {"socket", 0, CLI_TEXT, offsetof(struct read_args, socket), "PATH",
        "the agent's control socket"},
    {"signer", 's', CLI_TEXT, offsetof(struct read_args, signer), "FILE",
        "without an agent: the signer's public key; needs --wrapping-key"},
    {"wrapping-key", 'w', CLI_TEXT, offsetof(struct read_args, wrapping_key), "FILE",
        "without an agent: the envelope's wrapping key"},
};

static bool run_get(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct read_args *args = options;
    auto_json *request = NULL, *answer = NULL;
    auto_secret *plaintext = NULL;
    (void)operand_count;
    return json_build(&request, err, "{s:s,s:s}", "op", "get", "uri", operands[0]) &&
           control_ask(tool_socket(args->socket), request, -1, &answer, &plaintext, err) &&
           tool_write_secret(args->output, plaintext, err);
}

static bool unseal_by_keys(
    const struct read_args *args, struct bytes text, struct secret **ret_plaintext, struct err *err)
{
    auto_sealed *sealed = NULL;
    auto_secret *signer_text = NULL, *wrapping_key = NULL;
    auto_jwk *signer = NULL;
    if (!args->signer || !args->wrapping_key)
        return err_set(err, ERR_CONFIG,
            "--signer and --wrapping-key go together; without them the agent is asked");
    if (!sealed_parse(text, &sealed, err) ||
        !tool_read_secret(args->signer, JWK_TEXT_MAX, &signer_text, err))
        return false;
    if (!jwk_from_secret(signer_text, &signer, err))
        return err_wrap(err, "signer %s", args->signer);
    if (!sealed_verify(sealed, signer, err) ||
        !sealed_check_context(sealed, SEALED_CONTEXT_WHEN_PRESENT, args->path, err))
        return false;
    if (sealed_payload(sealed)->type != SEALED_ENVELOPE)
        return err_set(err, ERR_CONFIG,
            "a vault secret is only a name: its content is in the key broker, ask the agent for "
            "it");
    return conf_credential(args->wrapping_key, 64, false, &wrapping_key, err) &&
           sealed_open(sealed, wrapping_key, ret_plaintext, err);
}

static bool run_unseal(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct read_args *args = options;
    auto_buf text = BUF_INIT(SEALED_TEXT_MAX);
    auto_secret *plaintext = NULL;
    const char *path = operand_count > 0 ? operands[0] : "-";
    if (!tool_read(path, SEALED_TEXT_MAX, &text, err))
        return false;
    bool done = args->signer || args->wrapping_key
                    ? unseal_by_keys(args, buf_bytes(&text), &plaintext, err)
                    : agent_unseal(args->socket, args->path ? args->path : "", buf_bytes(&text),
                          &plaintext, err);
    return done ? tool_write_secret(args->output, plaintext, err) : err_wrap(err, "%s", path);
}

const struct cli_command tool_get = {
    .name = "get",
    .operands = "URI",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "fetch a resource, kbs:///repository/type/tag, through the agent",
    .detail =
        "Under the agent's access rules; the bytes are printed as they are. Exit status: 6 this "
        "machine's rules say no;\n7 the key broker refuses; 9 it cannot be reached; 11 it has no "
        "such resource.",
    .options = get_options,
    .option_count = ARRAY_LEN(get_options),
    .args_size = sizeof(struct read_args),
    .run = run_get,
};

const struct cli_command tool_unseal = {
    .name = "unseal",
    .operands = "[FILE]",
    .operands_max = 1,
    .summary = "open a sealed string, through the agent or with keys at hand",
    .detail = "FILE defaults to standard input. With --signer and --wrapping-key an envelope opens "
              "without any agent.\n"
              "Exit status: 4 malformed; 5 signature, context or key do not fit; 7 the key broker "
              "refuses.",
    .options = unseal_options,
    .option_count = ARRAY_LEN(unseal_options),
    .args_size = sizeof(struct read_args),
    .run = run_unseal,
};
