/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed kbs store rewrap|migrate|copy: what is done to the broker's store as a whole, on the broker's machine. The broker's own program does
 * it, as the broker's user and by the broker's configuration: files that it makes belong to the right user, and a guest, which has
 * `sealed` but no broker, needs no database library.
 */
#include <stdio.h>
#include <string.h>

#include "fs/cli/tool.h"

#define PROGRAM      "sealed-kbs"
#define PROGRAM_PATH 4096
#define ARGS_MAX     6

struct store_args {
    const char *config;
};

static const struct cli_option store_options[] = {
    {"config", 'c', CLI_TEXT, offsetof(struct store_args, config), "FILE",
        "the broker's configuration (default /etc/sealedfs/kbs.conf)"},
};

/* Beside this program, as in a build, or in ../sbin, as installed. */
static bool find_program(char out[PROGRAM_PATH], struct err *err)
{
    static const char *const places[] = {"", "../sbin/"};
    char self[PROGRAM_PATH / 2];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0)
        return err_set_errno(err, ERR_IO, "/proc/self/exe");
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    if (slash)
        slash[1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        snprintf(out, PROGRAM_PATH, "%s%s" PROGRAM, self, places[i]);
        if (access(out, X_OK) == 0)
            return true;
    }
    return err_set(err, ERR_NOTFOUND,
        "there is no " PROGRAM " in %s or beside it in ../sbin; this is done on the broker's "
        "machine",
        self);
}

static bool run_program(
    const struct store_args *args, const char *option, const char *value, struct err *err)
{
    char path[PROGRAM_PATH];
    const char *words[ARGS_MAX] = {PROGRAM, option};
    size_t count = 2;
    if (value)
        words[count++] = value;
    if (args->config) {
        words[count++] = "--config";
        words[count++] = args->config;
    }
    if (!find_program(path, err))
        return false;
    execv(path, (char *const *)(uintptr_t)words);
    return err_set_errno(err, ERR_IO, "%s", path);
}

static bool run_rewrap(const void *options, char **operands, int operand_count, struct err *err)
{
    (void)operands, (void)operand_count;
    return run_program(options, "--store-rewrap", NULL, err);
}

const struct cli_command tool_kbs_store_rewrap = {
    .name = "kbs store rewrap",
    .operands = "",
    .summary = "encrypt what the broker stores under its present key-encryption key",
    .detail =
        "On the broker's machine, as root. To change the key: 1. give every server the new one "
        "in kek_old, 2. then make it kek and the\n"
        "former one kek_old on every server, 3. run this, 4. take the former one away. Servers "
        "go on serving. It may be stopped at any\n"
        "moment and run again. To encrypt a store that is in plaintext: set kek and encryption "
        "= optional, run this, take encryption away.",
    .options = store_options,
    .option_count = ARRAY_LEN(store_options),
    .args_size = sizeof(struct store_args),
    .run = run_rewrap,
};

static bool run_migrate(const void *options, char **operands, int operand_count, struct err *err)
{
    (void)operands, (void)operand_count;
    return run_program(options, "--store-migrate", NULL, err);
}

const struct cli_command tool_kbs_store_migrate = {
    .name = "kbs store migrate",
    .operands = "",
    .summary = "make the schema of the broker's database, or bring it up to date",
    .detail =
        "Before the first start with store = postgresql, and after an update that says so. May "
        "be run any number of times, from several\n"
        "machines at once.",
    .options = store_options,
    .option_count = ARRAY_LEN(store_options),
    .args_size = sizeof(struct store_args),
    .run = run_migrate,
};

static bool run_copy(const void *options, char **operands, int operand_count, struct err *err)
{
    (void)operand_count;
    return run_program(options, "--store-copy", operands[0], err);
}

const struct cli_command tool_kbs_store_copy = {
    .name = "kbs store copy",
    .operands = "DIRECTORY",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "copy what a broker kept in a directory into its database",
    .detail = "DIRECTORY is a state_dir; no server should be writing to it. What the database has "
              "already stays, so it may be run again.",
    .options = store_options,
    .option_count = ARRAY_LEN(store_options),
    .args_size = sizeof(struct store_args),
    .run = run_copy,
};
