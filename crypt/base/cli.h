/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines from tables: one table is the parser, the help text and (checked by a lint test) the man page.
 *
 *     struct seal_args { const char *key; bool json; };
 *     static const struct cli_option options[] = {
 *         {"key", 'k', CLI_TEXT, offsetof(struct seal_args, key), "FILE", "signing key (private JWK)"},
 *         {"json", 0, CLI_FLAG, offsetof(struct seal_args, json), NULL, "print JSON"},
 *     };
 *
 * Every command has --help (exit 0, standard output); --version on the program. A wrong command line is
 * ERR_CONFIG, exit 2, one line on standard error that names the word and points to --help. "--" ends options.
 */
#pragma once

#include "crypt/base/err.h"

enum cli_type {
    CLI_FLAG,     /* bool */
    CLI_TEXT,     /* const char *, borrowed from argv */
    CLI_INT,      /* int64_t in min..max */
    CLI_DURATION, /* int64_t milliseconds, as CONF_DURATION */
    CLI_LIST      /* struct cli_list: the option may be repeated */
};

#define CLI_LIST_MAX 32
struct cli_list {
    const char *items[CLI_LIST_MAX];
    size_t count;
};

struct cli_option {
    const char *name;
    char letter; /* 0: none */
    enum cli_type type;
    size_t offset;
    const char *value_name; /* NULL for CLI_FLAG */
    const char *help;
    int64_t min, max;
    bool required;
};

struct cli_command {
    const char *name;     /* words, e.g. "seal vault" */
    const char *operands; /* e.g. "FILE [NAME]"; "" for none */
    int operands_min, operands_max;
    const char *summary; /* one line */
    const char *detail;  /* more lines: exit codes, examples; may be NULL */
    const struct cli_option *options;
    size_t option_count;
    size_t args_size; /* of the options struct; zeroed before parsing */
    /* Runs with the parsed struct; what it returns false with becomes message and exit status. */
    bool (*run)(const void *args, char **operands, int operand_count, struct err *err);
};

struct cli_program {
    const char *name;
    const char *summary;
    const struct cli_command *const *commands; /* NULL-terminated */
};

/* Finds the longest matching command, parses, runs; returns the exit status. Prints the error itself. */
int cli_main(const struct cli_program *program, int argc, char **argv);
/* For programs with a single command and for tests: parses into args; operands are left in argv order.
 * *ret_done is set when --help or --version was answered. */
bool cli_parse(const struct cli_command *command, int argc, char **argv, void *ret_args,
    char **ret_operands, int *ret_operand_count, bool *ret_done, struct err *err) MUST_CHECK;
void cli_print_help(const char *program, const struct cli_command *command);
