/* SPDX-License-Identifier: Apache-2.0 */
/* sealed inspect: all that a sealed string says, without any key and without any check of its signature. */
#include "fs/cli/tool.h"

#include "crypt/sealed.h"

/* Its output is JSON with and without --json: the option is there so that a script may ask every command in the same way. */
struct inspect_args {
    bool json;
};

static const struct cli_option inspect_options[] = {
    {"json", 0, CLI_FLAG, offsetof(struct inspect_args, json), NULL,
        "print JSON, which is what it does anyway"},
};

static bool run_inspect(const void *options, char **operands, int operand_count, struct err *err)
{
    auto_buf text = BUF_INIT(SEALED_TEXT_MAX);
    auto_json *description = NULL;
    const char *path = operand_count > 0 ? operands[0] : "-";
    (void)options;
    if (!tool_read(path, SEALED_TEXT_MAX, &text, err))
        return false;
    if (!sealed_describe(buf_bytes(&text), &description, err))
        return err_wrap(err, "%s", path);
    return tool_print_json(description, err);
}

const struct cli_command tool_inspect = {
    .name = "inspect",
    .operands = "[FILE]",
    .operands_max = 1,
    .summary = "show what a sealed string says, without any key",
    .detail = "Prints JSON. Nothing is verified: a signature is only shown to be there. FILE "
              "defaults to standard input. Exit status: 4 it is no sealed string.",
    .options = inspect_options,
    .option_count = ARRAY_LEN(inspect_options),
    .args_size = sizeof(struct inspect_args),
    .run = run_inspect,
};
