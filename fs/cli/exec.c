/* SPDX-License-Identifier: Apache-2.0 */
/* sealed exec: a command whose sealed environment variables are opened for it alone (protocol.md E: CoCo's second form). */
#include "fs/cli/tool.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypt/base/launch.h"
#include "crypt/sealed.h"
#include "fs/cli/agent.h"

/* One string of the environment that the kernel takes (MAX_ARG_STRLEN of execve(2)), its NUL included. */
#define VARIABLE_MAX   (128u * 1024)
#define NOT_FOUND      127
#define NOT_STARTED    126
#define CONTEXT_PREFIX "env/"
#define VARIABLES_MAX  1024u

extern char **environ;

struct exec_args {
    const char *socket;
};

static const struct cli_option options_table[] = {
    {"socket", 0, CLI_TEXT, offsetof(struct exec_args, socket), "PATH",
        "the agent's control socket"},
};

static struct launch launch;

bool tool_exec_prepare(struct err *err)
{
    return launch_prepare(&launch, err);
}

/* What stands behind the name, if it is sealed; NULL else. */
static const char *sealed_value(const char *variable)
{
    const char *value = strchr(variable, '=');
    return value && sealed_is_claimed(bytes_str(value + 1)) ? value + 1 : NULL;
}

/* "NAME=plaintext" and a NUL, in locked memory that execve(2) reads. */
static bool join(const char *variable, size_t name_len, const struct secret *plaintext,
    struct secret **ret_joined, struct err *err)
{
    struct bytes text = secret_bytes(plaintext);
    if (text.len > 0 && memchr(text.data, '\0', text.len))
        return err_set(err, ERR_FORMAT,
            "the secret has a NUL byte, which no environment variable can hold; read it as a file");
    if (name_len + text.len + 1 > VARIABLE_MAX)
        return err_set(err, ERR_FORMAT,
            "the secret has %zu bytes, too many for an environment variable; read it as a file",
            text.len);
    auto_secret *joined = NULL;
    if (!secret_new(name_len + text.len + 1, &joined, err))
        return false;
    memcpy(secret_data(joined), variable, name_len);
    if (text.len > 0)
        memcpy(secret_data(joined) + name_len, text.data, text.len);
    *ret_joined = take_ptr(joined);
    return true;
}

static bool open_variable(const struct exec_args *args, char **variable, struct err *err)
{
    auto_secret *plaintext = NULL;
    struct secret *joined = NULL;
    char context[PATH_MAX];
    const char *value = sealed_value(*variable);
    size_t name_len = (size_t)(value - *variable);
    int len =
        snprintf(context, sizeof context, CONTEXT_PREFIX "%.*s", (int)name_len - 1, *variable);
    if ((size_t)len >= sizeof context)
        return err_set(err, ERR_FORMAT, "a name of %zu bytes", name_len - 1);
    if (!agent_unseal(args->socket, context, bytes_str(value), &plaintext, err) ||
        !join(*variable, name_len, plaintext, &joined, err))
        return false;
    *variable = (char *)secret_data(joined); /* lives as long as this process: until execve */
    return true;
}

/* All of them before anything is started. */
static bool open_all(const struct exec_args *args, char **variables, struct err *err)
{
    for (char **at = variables; *at; at++) {
        const char *name = *at;
        if (!sealed_value(name))
            continue;
        if (!open_variable(args, at, err))
            return err_wrap(err, "environment variable %.*s", (int)strcspn(name, "="), name);
    }
    return true;
}

static bool run_exec(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct exec_args *args = options;
    size_t count = 0;
    while (environ[count])
        count++;
    auto_free char **variables = calloc(count + 1, sizeof *variables);
    auto_free char **argv = calloc((size_t)operand_count + 1, sizeof *argv);
    if (!variables || !argv)
        return err_nomem(err);
    memcpy(variables, environ, count * sizeof *variables);
    memcpy(argv, operands, (size_t)operand_count * sizeof *argv);
    if (!open_all(args, variables, err))
        return false;
    if (launch_exec(&launch, argv, variables, err))
        return true;
    fprintf(stderr, "sealed: %s\n", err->message);
    _exit(err->code == ERR_NOTFOUND ? NOT_FOUND : NOT_STARTED); /* as env(1) does */
}

const struct cli_command tool_exec = {
    .name = "exec",
    .operands = "-- COMMAND [ARGUMENT...]",
    .operands_min = 1,
    .operands_max = INT_MAX,
    .summary = "run a command whose sealed environment variables are opened for it alone",
    .detail = "A variable whose value is a sealed string gets its plaintext; all others stay. When "
              "one cannot be opened, nothing is\n"
              "started. The context of a variable is env/NAME. A file under the mount is the "
              "better place: every process of the same\n"
              "user, and every child of COMMAND, can read its environment.\n"
              "Exit status: that of COMMAND; 127 it is not found, 126 it cannot be started; else "
              "as for sealed unseal.",
    .options = options_table,
    .option_count = ARRAY_LEN(options_table),
    .args_size = sizeof(struct exec_args),
    .run = run_exec,
};
