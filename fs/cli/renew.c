/* SPDX-License-Identifier: Apache-2.0 */
/* sealed reload, upgrade: waits until the running sealedfs has done it, or says why it goes on as it was. */
#include "fs/cli/tool.h"

#include "fs/control.h"

struct renew_args {
    const char *socket;
    bool discard;
};

#define SOCKET_OPTION                                                       \
    {                                                                       \
        "socket", 0, CLI_TEXT, offsetof(struct renew_args, socket), "PATH", \
            "the agent's control socket"                                    \
    }

static const struct cli_option reload_options[] = {SOCKET_OPTION};
static const struct cli_option upgrade_options[] = {
    {"discard", 'd', CLI_FLAG, offsetof(struct renew_args, discard), NULL,
        "take no plaintext and no open file over from the old worker, which may be in the wrong "
        "hands"},
    SOCKET_OPTION,
};

static bool renew(const struct renew_args *args, const char *op, struct err *err)
{
    auto_json *request = NULL, *answer = NULL;
    return json_build(&request, err, "{s:s,s:b}", "op", op, "discard", args->discard) &&
           control_ask(tool_socket(args->socket), request, -1, &answer, NULL, err);
}

static bool run_reload(const void *options, char **operands, int operand_count, struct err *err)
{
    (void)operands, (void)operand_count;
    return renew(options, "reload", err) && tool_printf(err, "the new configuration is in use\n");
}

static bool run_upgrade(const void *options, char **operands, int operand_count, struct err *err)
{
    (void)operands, (void)operand_count;
    return renew(options, "upgrade", err) && tool_printf(err, "the new program is in use\n");
}

const struct cli_command tool_reload = {
    .name = "reload",
    .operands = "",
    .summary = "have the running sealedfs read its configuration anew",
    .detail = "No mount goes and nothing that is open is disturbed. A configuration that is not "
              "good is refused as a whole, with the reason, "
              "and the old one stays.",
    .options = reload_options,
    .option_count = ARRAY_LEN(reload_options),
    .args_size = sizeof(struct renew_args),
    .run = run_reload,
};

const struct cli_command tool_upgrade = {
    .name = "upgrade",
    .operands = "",
    .summary = "have the running sealedfs execute the program that is on disk now",
    .detail = "For after an upgrade of the package; it reads the configuration anew as well. When "
              "the new program refuses or fails, the old "
              "one goes on, and the reason is said.",
    .options = upgrade_options,
    .option_count = ARRAY_LEN(upgrade_options),
    .args_size = sizeof(struct renew_args),
    .run = run_upgrade,
};
