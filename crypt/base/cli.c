/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/cli.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/base/number.h"

/* The pair that every command has beside its own options. */
static const struct cli_option help_option = {
    "help", 'h', CLI_FLAG, SIZE_MAX, NULL, "show this help"};

/* One command line on its way through the table. */
struct parsing {
    const struct cli_command *command;
    int argc;
    char **argv;
    int at; /* the word being read */
    void *args;
    bool *seen; /* one an option */
    char **operands;
    int operand_count;
    bool help;
    struct err *err;
};

/* -- suggestions ------------------------------------------------------------------------------- */

#define NAME_MAX_LEN 40

/* Edit distance (insert, delete, replace); names longer than the table are never near. */
static unsigned distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    unsigned row[NAME_MAX_LEN + 1];
    if (a_len > NAME_MAX_LEN || b_len > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    for (unsigned k = 0; k <= b_len; k++)
        row[k] = k;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t k = 1; k <= b_len; k++) {
            unsigned best = diagonal + (a[i - 1] != b[k - 1]);
            diagonal = row[k];
            if (row[k] + 1 < best)
                best = row[k] + 1;
            if (row[k - 1] + 1 < best)
                best = row[k - 1] + 1;
            row[k] = best;
        }
    }
    return row[b_len];
}

struct nearest {
    const char *word;
    const char *name;
    unsigned distance;
};

static void nearest_offer(struct nearest *nearest, const char *name)
{
    unsigned d = distance(nearest->word, name);
    if (d < nearest->distance && d <= 2 && d < strlen(name)) {
        nearest->name = name;
        nearest->distance = d;
    }
}

/* -- one option -------------------------------------------------------------------------------- */

static bool refuse_value(
    const struct cli_option *option, const char *value, const char *accepted, struct err *err)
{
    return err_set(err, ERR_CONFIG, "--%s: \"%.80s\" is not valid; accepted: %s", option->name,
        value ? value : "", accepted);
}

static bool set_number(
    const struct cli_option *option, int64_t *slot, const char *value, struct err *err)
{
    bool is_int = option->type == CLI_INT;
    bool bounded = option->min != 0 || option->max != 0;
    char accepted[128];
    int64_t number;
    if ((is_int ? number_int(value, &number) : number_duration(value, &number)) &&
        (bounded ? number >= option->min && number <= option->max : number >= 0)) {
        *slot = number;
        return true;
    }
    int len = snprintf(accepted, sizeof accepted, "%s",
        is_int ? "a number" : "a duration such as 250ms, 5s, 10m, 1h");
    if (bounded)
        snprintf(accepted + len, sizeof accepted - (size_t)len,
            ", from %" PRId64 " to %" PRId64 "%s", option->min, option->max, is_int ? "" : " ms");
    return refuse_value(option, value, accepted, err);
}

static bool list_append(
    const struct cli_option *option, struct cli_list *list, const char *value, struct err *err)
{
    if (list->count == CLI_LIST_MAX)
        return err_set(
            err, ERR_CONFIG, "--%s: given more than %d times", option->name, CLI_LIST_MAX);
    list->items[list->count++] = value;
    return true;
}

static bool set_option(struct parsing *parsing, const struct cli_option *option, const char *value)
{
    if (option == &help_option) {
        parsing->help = true;
        return true;
    }
    bool *seen = &parsing->seen[option - parsing->command->options];
    if (*seen && option->type != CLI_LIST && option->type != CLI_FLAG)
        return err_set(parsing->err, ERR_CONFIG, "--%s: given twice", option->name);
    *seen = true;
    void *slot = (char *)parsing->args + option->offset;
    switch (option->type) {
    case CLI_FLAG:
        *(bool *)slot = true;
        return true;
    case CLI_TEXT:
        *(const char **)slot = value;
        return true;
    case CLI_LIST:
        return list_append(option, slot, value, parsing->err);
    default:
        return set_number(option, slot, value, parsing->err);
    }
}

/* The value behind "=" or glued to the letter, else the next word. */
static bool take_value(struct parsing *parsing, const struct cli_option *option, const char *glued)
{
    if (option->type == CLI_FLAG)
        return set_option(parsing, option, NULL);
    if (!glued && ++parsing->at >= parsing->argc)
        return err_set(parsing->err, ERR_CONFIG, "--%s: needs a value: --%s %s", option->name,
            option->name, option->value_name);
    return set_option(parsing, option, glued ? glued : parsing->argv[parsing->at]);
}

static const struct cli_option *option_by_name(
    const struct cli_command *command, const char *name, size_t len)
{
    if (strlen(help_option.name) == len && strncmp(help_option.name, name, len) == 0)
        return &help_option;
    for (size_t i = 0; i < command->option_count; i++)
        if (strlen(command->options[i].name) == len &&
            strncmp(command->options[i].name, name, len) == 0)
            return &command->options[i];
    return NULL;
}

static const struct cli_option *option_by_letter(const struct cli_command *command, char letter)
{
    for (size_t i = 0; i < command->option_count; i++)
        if (command->options[i].letter == letter)
            return &command->options[i];
    return letter == help_option.letter ? &help_option : NULL;
}

static bool refuse_option(struct parsing *parsing, const char *name, size_t len)
{
    char word[NAME_MAX_LEN + 1];
    snprintf(word, sizeof word, "%.*s", (int)len, name);
    struct nearest nearest = {word, NULL, UINT32_MAX};
    nearest_offer(&nearest, help_option.name);
    for (size_t i = 0; i < parsing->command->option_count; i++)
        nearest_offer(&nearest, parsing->command->options[i].name);
    if (nearest.name)
        return err_set(parsing->err, ERR_CONFIG, "unknown option --%s; did you mean --%s?", word,
            nearest.name);
    return err_set(parsing->err, ERR_CONFIG, "unknown option --%s", word);
}

static bool take_long(struct parsing *parsing, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t len = equals ? (size_t)(equals - text) : strlen(text);
    const struct cli_option *option = option_by_name(parsing->command, text, len);
    if (!option)
        return refuse_option(parsing, text, len);
    if (equals && option->type == CLI_FLAG)
        return err_set(parsing->err, ERR_CONFIG, "--%s: takes no value", option->name);
    return take_value(parsing, option, equals ? equals + 1 : NULL);
}

/* -k value, -kvalue, and letters of flags together: -jq. */
static bool take_letters(struct parsing *parsing, const char *letters)
{
    for (const char *at = letters; *at; at++) {
        const struct cli_option *option = option_by_letter(parsing->command, *at);
        if (!option)
            return err_set(parsing->err, ERR_CONFIG, "unknown option -%c", *at);
        if (!take_value(parsing, option, option->type != CLI_FLAG && at[1] ? at + 1 : NULL))
            return false;
        if (option->type != CLI_FLAG)
            break;
    }
    return true;
}

/* -- one command ------------------------------------------------------------------------------- */

static bool take_words(struct parsing *parsing)
{
    bool options_end = false;
    for (; parsing->at < parsing->argc; parsing->at++) {
        char *word = parsing->argv[parsing->at];
        if (options_end || word[0] != '-' || !word[1]) { /* "-" alone is standard input */
            parsing->operands[parsing->operand_count++] = word;
            continue;
        }
        options_end = strcmp(word, "--") == 0;
        if (!options_end &&
            !(word[1] == '-' ? take_long(parsing, word + 2) : take_letters(parsing, word + 1)))
            return false;
    }
    return true;
}

static bool check_whole(const struct parsing *parsing)
{
    const struct cli_command *command = parsing->command;
    for (size_t i = 0; i < command->option_count; i++)
        if (command->options[i].required && !parsing->seen[i])
            return err_set(parsing->err, ERR_CONFIG, "--%s %s is missing: %s",
                command->options[i].name, command->options[i].value_name, command->options[i].help);
    if (parsing->operand_count > command->operands_max)
        return err_set(parsing->err, ERR_CONFIG, "unexpected \"%.80s\"; expected: %s",
            parsing->operands[command->operands_max],
            command->operands[0] ? command->operands : "no operand");
    if (parsing->operand_count < command->operands_min)
        return err_set(
            parsing->err, ERR_CONFIG, "operand missing; expected: %s", command->operands);
    return true;
}

bool cli_parse(const struct cli_command *command, int argc, char **argv, void *ret_args,
    char **ret_operands, int *ret_operand_count, bool *ret_done, struct err *err)
{
    auto_free bool *seen = calloc(command->option_count + 1, sizeof *seen);
    struct parsing parsing = {.command = command,
        .argc = argc,
        .argv = argv,
        .at = 1,
        .args = ret_args,
        .seen = seen,
        .operands = ret_operands,
        .err = err};
    if (!seen)
        return err_nomem(err);
    if (command->args_size > 0)
        memset(ret_args, 0, command->args_size);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("%s %s\n", argv[0], SEALED_VERSION);
        *ret_done = true;
        return true;
    }
    if (!take_words(&parsing))
        return false;
    if (parsing.help)
        cli_print_help(argv[0], command);
    else if (!check_whole(&parsing))
        return false;
    *ret_operand_count = parsing.operand_count;
    *ret_done = parsing.help;
    return true;
}

/* -- help -------------------------------------------------------------------------------------- */

static int option_label(const struct cli_option *option, char *out, size_t size)
{
    char letter[] = {'-', option->letter, ',', ' ', '\0'};
    return snprintf(out, size, "%s--%s%s%s", option->letter ? letter : "    ", option->name,
        option->value_name ? " " : "", option->value_name ? option->value_name : "");
}

static void print_option(const struct cli_option *option, int width)
{
    char label[96];
    option_label(option, label, sizeof label);
    printf("  %-*s  %s%s%s\n", width, label, option->help, option->required ? " (required)" : "",
        option->type == CLI_LIST ? " (may be repeated)" : "");
}

void cli_print_help(const char *program, const struct cli_command *command)
{
    char label[96];
    int width = option_label(&help_option, label, sizeof label);
    for (size_t i = 0; i < command->option_count; i++) {
        int len = option_label(&command->options[i], label, sizeof label);
        width = len > width ? len : width;
    }
    printf("usage: %s%s%s [OPTION...]%s%s\n\n%s\n\nOptions:\n", program,
        command->name[0] ? " " : "", command->name, command->operands[0] ? " " : "",
        command->operands, command->summary);
    for (size_t i = 0; i < command->option_count; i++)
        print_option(&command->options[i], width);
    print_option(&help_option, width);
    if (command->detail)
        printf("\n%s\n", command->detail);
    if (!command->detail || !strstr(command->detail, "Exit status"))
        printf("\nExit status: 0 done; others by the kind of error, see sealed(1).\n");
}

/* Several codes share a status: one line a status, its meanings joined. */
static void print_exit_statuses(void)
{
    printf("\nExit status:\n");
    for (int status = 0; status < 64; status++) {
        bool first = true;
        for (int code = 0; code < ERR_CODE_COUNT; code++) {
            const struct err_info *info = err_info((enum err_code)code);
            if (info->exit_status != status)
                continue;
            if (first)
                printf("  %3d  %s", status, code == ERR_OK ? "done" : info->meaning);
            else
                printf("; %s", info->meaning);
            first = false;
        }
        if (!first)
            printf("\n");
    }
}

static void print_program_help(const struct cli_program *program)
{
    int width = 0;
    for (size_t i = 0; program->commands[i]; i++) {
        int len = (int)strlen(program->commands[i]->name);
        width = len > width ? len : width;
    }
    printf("usage: %s COMMAND [OPTION...]\n\n%s\n\nCommands:\n", program->name, program->summary);
    for (size_t i = 0; program->commands[i]; i++)
        printf("  %-*s  %s\n", width, program->commands[i]->name, program->commands[i]->summary);
    printf("\n\"%s help COMMAND\" tells more about one; --version shows the version.\n",
        program->name);
    print_exit_statuses();
}

/* -- the program ------------------------------------------------------------------------------- */

/* How many words of argv the command's name takes; 0 when it is another command. */
static int words_matched(const char *name, int argc, char **argv)
{
    int count = 0;
    while (*name) {
        size_t len = strcspn(name, " ");
        if (count >= argc || strlen(argv[count]) != len || strncmp(argv[count], name, len) != 0)
            return 0;
        count++;
        name += len + (name[len] == ' ');
    }
    return count;
}

static const struct cli_command *find_command(
    const struct cli_program *program, int argc, char **argv, int *ret_words)
{
    const struct cli_command *found = NULL;
    *ret_words = 0;
    for (size_t i = 0; program->commands[i]; i++) {
        int words = words_matched(program->commands[i]->name, argc, argv);
        if (words > *ret_words) {
            *ret_words = words;
            found = program->commands[i];
        }
    }
    return found;
}

static bool refuse_command(
    const struct cli_program *program, int argc, char **argv, struct err *err)
{
    if (argc == 0)
        return err_set(err, ERR_CONFIG, "which command?");
    char words[NAME_MAX_LEN + 1];
    snprintf(words, sizeof words, "%s%s%s", argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
    struct nearest nearest = {words, NULL, UINT32_MAX}, shorter = {argv[0], NULL, UINT32_MAX};
    for (size_t i = 0; program->commands[i]; i++) {
        nearest_offer(&nearest, program->commands[i]->name);
        nearest_offer(&shorter, program->commands[i]->name);
    }
    const char *name = nearest.name ? nearest.name : shorter.name;
    if (name)
        return err_set(
            err, ERR_CONFIG, "unknown command \"%s\"; did you mean \"%s\"?", words, name);
    return err_set(err, ERR_CONFIG, "unknown command \"%s\"", words);
}

/* One line on standard error; a wrong command line also says where help is. */
static int report(const char *program, const char *command, const struct err *err, bool usage)
{
    if (usage)
        fprintf(stderr, "%s: %s (see %s%s%s --help)\n", program, err->message, program,
            command[0] ? " " : "", command);
    else if (err->ref[0])
        fprintf(stderr, "%s: %s (id %s)\n", program, err->message, err->ref);
    else
        fprintf(stderr, "%s: %s\n", program, err->message);
    return err_info(err->code)->exit_status;
}

static int run_command(
    const struct cli_program *program, const struct cli_command *command, int argc, char **argv)
{
    struct err err = ERR_INIT;
    auto_free void *args = calloc(1, command->args_size ? command->args_size : 1);
    auto_free char **operands = calloc((size_t)argc + 1, sizeof(char *));
    int operand_count = 0;
    bool done = false;
    if (!args || !operands) {
        err_nomem(&err);
        return report(program->name, command->name, &err, false);
    }
    if (!cli_parse(command, argc, argv, args, operands, &operand_count, &done, &err))
        return report(program->name, command->name, &err, err.code == ERR_CONFIG);
    if (!done && !command->run(args, operands, operand_count, &err))
        return report(program->name, command->name, &err, false);
    /* A full disk or a closed pipe must not look like success: what was printed may be what was
     * asked for. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        err_set(&err, ERR_IO, "standard output cannot be written");
        return report(program->name, command->name, &err, false);
    }
    return 0;
}

int cli_main(const struct cli_program *program, int argc, char **argv)
{
    struct err err = ERR_INIT;
    int words, skip = 1;
    bool help = argc > 1 && (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
                                strcmp(argv[1], "-h") == 0);
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("%s %s\n", program->name, SEALED_VERSION);
        return 0;
    }
    if (help && argc == 2) {
        print_program_help(program);
        return 0;
    }
    skip += help;
    const struct cli_command *command = find_command(program, argc - skip, argv + skip, &words);
    if (!command) {
        refuse_command(program, argc - skip, argv + skip, &err);
        return report(program->name, "", &err, true);
    }
    if (help) {
        cli_print_help(program->name, command);
        return 0;
    }
    /* The last word of the command stands in for argv[0], as the program's name does for a program
     * of one command. */
    char **rest = argv + skip + words - 1;
    rest[0] = (char *)(uintptr_t)program->name;
    return run_command(program, command, argc - skip - words + 1, rest);
}
