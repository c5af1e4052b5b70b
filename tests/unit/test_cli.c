/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/cli.h"

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <unistd.h>

struct args {
    const char *key;
    bool json, quiet;
    int64_t count, wait;
    struct cli_list list;
};

static const struct cli_option options[] = {
    {"key", 'k', CLI_TEXT, offsetof(struct args, key), "FILE", "signing key", .required = true},
    {"json", 'j', CLI_FLAG, offsetof(struct args, json), NULL, "print JSON"},
    {"quiet", 'q', CLI_FLAG, offsetof(struct args, quiet), NULL, "print nothing"},
    {"count", 0, CLI_INT, offsetof(struct args, count), "N", "how many", 1, 10},
    {"wait", 'w', CLI_DURATION, offsetof(struct args, wait), "TIME", "how long", 0, 60000},
    {"list", 'l', CLI_LIST, offsetof(struct args, list), "NAME", "names"},
};

static struct args got;
static char *got_operands[8];
static int got_count, runs;

static bool note(const void *args, char **operands, int count, struct err *err)
{
    got = *(const struct args *)args;
    got_count = count;
    for (int i = 0; i < count && i < 8; i++)
        got_operands[i] = operands[i];
    runs++;
    return !got.quiet || err_set(err, ERR_NOTFOUND, "kbs:///a/b/c: no such resource");
}

static bool count_run(const void *args, char **operands, int count, struct err *err)
{
    (void)args, (void)operands, (void)err;
    got_count = count;
    runs++;
    return true;
}

static const struct cli_command seal = {"seal", "FILE [NAME]", 1, 2, "seal a file",
    "Example: seal -k key x", options, ARRAY_LEN(options), sizeof(struct args), note};
static const struct cli_command seal_vault = {"seal vault", "URI", 1, 1, "make a vault secret",
    NULL, options, ARRAY_LEN(options), sizeof(struct args), note};
static const struct cli_command status = {
    "status", "", 0, 0, "show the state", NULL, NULL, 0, 0, count_run};
static const struct cli_command *const commands[] = {&seal, &seal_vault, &status, NULL};
static const struct cli_program program = {"sealed", "Secrets for confidential guests.", commands};

/* What the program printed, with stdout or stderr sent to a file for the time of the call. */
static char printed[8192];

static int run(int stream, const char *const *words)
{
    char *argv[16];
    int argc = 0, pipe_fds[2];
    for (; words[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    argv[argc] = NULL;
    fflush(NULL);
    int saved = dup(stream);
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
    dup2(pipe_fds[1], stream);
    close(pipe_fds[1]);
    runs = 0;
    int exit_status = cli_main(&program, argc, argv);
    fflush(NULL);
    dup2(saved, stream);
    close(saved);
    ssize_t len = read(pipe_fds[0], printed, sizeof printed - 1);
    printed[len > 0 ? len : 0] = '\0';
    close(pipe_fds[0]);
    return exit_status;
}

#define RUN(stream, ...) run(stream, (const char *const[]){"sealed", __VA_ARGS__, NULL})

static bool parse(const char *const *words, int *ret_count, struct err *err)
{
    static char *operands[16];
    int argc = 0;
    bool done = false;
    char *argv[16];
    for (; words[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    memset(operands, 0, sizeof operands);
    if (!cli_parse(&seal, argc, argv, &got, operands, ret_count, &done, err))
        return false;
    memcpy(got_operands, operands, sizeof got_operands);
    return true;
}

#define PARSE(...) parse((const char *const[]){"sealed", __VA_ARGS__, NULL}, &got_count, &err)

static void every_form_of_an_option(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_done(PARSE("--key=a", "x"), &err);
    assert_string_equal(got.key, "a");
    assert_done(PARSE("--key", "b", "x"), &err);
    assert_string_equal(got.key, "b");
    assert_done(PARSE("-k", "c", "x"), &err);
    assert_string_equal(got.key, "c");
    assert_done(PARSE("-kd", "x"), &err);
    assert_string_equal(got.key, "d");
    assert_done(PARSE("-jqke", "x"), &err);
    assert_string_equal(got.key, "e");
    assert_true(got.json && got.quiet);
    assert_done(PARSE("--key=", "x"), &err);
    assert_string_equal(got.key, "");
    assert_done(PARSE("x", "-k", "-", "--count=3", "-w", "5s", "-l", "a", "--list=b", "-"), &err);
    assert_int_equal(got.count, 3);
    assert_int_equal(got.wait, 5000);
    assert_int_equal(got.list.count, 2);
    assert_string_equal(got.list.items[1], "b");
    assert_int_equal(got_count, 2);
    assert_string_equal(got_operands[0], "x");
    assert_string_equal(got_operands[1], "-");
    assert_done(PARSE("-k", "a", "--", "--json", "-x"), &err);
    assert_false(got.json);
    assert_string_equal(got_operands[0], "--json");
}

static void wrong_lines_name_the_word(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_refused(
        PARSE("--kay=a", "x"), &err, ERR_CONFIG, "unknown option --kay; did you mean --key?");
    assert_refused(PARSE("--frobnicate", "x"), &err, ERR_CONFIG, "unknown option --frobnicate");
    assert_null(strstr(err.message, "did you mean"));
    assert_refused(PARSE("-z", "x"), &err, ERR_CONFIG, "unknown option -z");
    assert_refused(PARSE("-k", "a", "--json=yes", "x"), &err, ERR_CONFIG, "--json: takes no value");
    assert_refused(PARSE("x", "--key"), &err, ERR_CONFIG, "--key: needs a value: --key FILE");
    assert_refused(PARSE("x", "-k"), &err, ERR_CONFIG, "needs a value");
    assert_refused(PARSE("x", "-k", "a", "-k", "b"), &err, ERR_CONFIG, "--key: given twice");
    assert_refused(PARSE("x", "-k", "a", "--count=11"), &err, ERR_CONFIG, "from 1 to 10");
    assert_refused(PARSE("x", "-k", "a", "--count=0"), &err, ERR_CONFIG, "from 1 to 10");
    assert_refused(PARSE("x", "-k", "a", "--count=3x"), &err, ERR_CONFIG, "\"3x\"");
    assert_refused(PARSE("x", "-k", "a", "-w5"), &err, ERR_CONFIG, "250ms");
    assert_refused(PARSE("x", "-k", "a", "-w", "2m"), &err, ERR_CONFIG, "to 60000 ms");
    assert_refused(PARSE("x"), &err, ERR_CONFIG, "--key FILE is missing: signing key");
    assert_refused(PARSE("-k", "a"), &err, ERR_CONFIG, "operand missing; expected: FILE [NAME]");
    assert_refused(
        PARSE("-k", "a", "x", "y", "surplus"), &err, ERR_CONFIG, "unexpected \"surplus\"");
}

static void lists_have_an_end(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char *argv[CLI_LIST_MAX + 5], *operands[CLI_LIST_MAX + 5];
    static char word[] = "-la", name[] = "sealed", key[] = "-ka", operand[] = "x";
    int argc = 0, count;
    bool done;
    argv[argc++] = name;
    argv[argc++] = key;
    argv[argc++] = operand;
    for (int i = 0; i < CLI_LIST_MAX; i++)
        argv[argc++] = word;
    assert_done(cli_parse(&seal, argc, argv, &got, operands, &count, &done, &err), &err);
    argv[argc++] = word;
    assert_refused(cli_parse(&seal, argc, argv, &got, operands, &count, &done, &err), &err,
        ERR_CONFIG, "more than 32");
}

static void the_longest_command_is_found(void **state)
{
    (void)state;
    assert_int_equal(RUN(1, "seal", "vault", "-ka", "u"), 0);
    assert_int_equal(got_count, 1);
    assert_string_equal(got_operands[0], "u");
    assert_int_equal(RUN(1, "seal", "-ka", "vault"), 0);
    assert_string_equal(got_operands[0], "vault");
    assert_int_equal(RUN(1, "status"), 0);
    assert_int_equal(runs, 1);
}

static void exit_status_is_that_of_the_error(void **state)
{
    (void)state;
    assert_int_equal(RUN(2, "seal", "-qka", "x"), 11);
    assert_string_equal(printed, "sealed: kbs:///a/b/c: no such resource\n");
    assert_int_equal(RUN(2, "seal", "--kay", "x"), 2);
    assert_string_equal(
        printed, "sealed: unknown option --kay; did you mean --key? (see sealed seal --help)\n");
    assert_int_equal(runs, 0);
}

static void unknown_commands_are_refused(void **state)
{
    (void)state;
    assert_int_equal(RUN(2, "staus"), 2);
    assert_non_null(strstr(printed, "unknown command \"staus\"; did you mean \"status\"?"));
    assert_int_equal(RUN(2, "zzz"), 2);
    assert_null(strstr(printed, "did you mean"));
    assert_int_equal(run(2, (const char *const[]){"sealed", NULL}), 2);
    assert_non_null(strstr(printed, "which command?"));
    assert_int_equal(RUN(2, "help", "zzz"), 2);
    assert_int_equal(runs, 0);
}

static void help_comes_from_the_table(void **state)
{
    (void)state;
    assert_int_equal(RUN(1, "seal", "--help"), 0);
    assert_non_null(strstr(printed, "usage: sealed seal [OPTION...] FILE [NAME]"));
    assert_non_null(strstr(printed, "  -k, --key FILE   signing key (required)\n"));
    assert_non_null(strstr(printed, "      --count N    how many\n"));
    assert_non_null(strstr(printed, "  -h, --help       show this help\n"));
    assert_non_null(strstr(printed, "Example: seal -k key x"));
    assert_int_equal(RUN(1, "help", "seal", "vault"), 0);
    assert_non_null(strstr(printed, "usage: sealed seal vault [OPTION...] URI"));
    assert_int_equal(RUN(1, "--help"), 0);
    assert_non_null(strstr(printed, "  seal vault  make a vault secret\n"));
    assert_non_null(strstr(printed, "\n   11  no such resource, file or key\n"));
    assert_non_null(strstr(printed, "\n    0  done\n"));
    assert_int_equal(RUN(1, "--version"), 0);
    assert_string_equal(printed, "sealed " SEALED_VERSION "\n");
    assert_int_equal(runs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_an_option),
        cmocka_unit_test(wrong_lines_name_the_word),
        cmocka_unit_test(lists_have_an_end),
        cmocka_unit_test(the_longest_command_is_found),
        cmocka_unit_test(exit_status_is_that_of_the_error),
        cmocka_unit_test(unknown_commands_are_refused),
        cmocka_unit_test(help_comes_from_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
