/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

struct doctor_args {
    const char *config, *socket;
    bool json, attest;
};

static const struct cli_option options_table[] = {
    {"config", 'c', CLI_TEXT, offsetof(struct doctor_args, config), "FILE",
        "configuration of sealedfs; default: " SEALEDFS_CONF_DEFAULT},
    {"socket", 0, CLI_TEXT, offsetof(struct doctor_args, socket), "PATH",
        "the agent's control socket"},
    {"attest", 0, CLI_FLAG, offsetof(struct doctor_args, attest),
        .help = "attest now if there is no good token"},
    {"json", 0, CLI_FLAG, offsetof(struct doctor_args, json), .help = "print JSON"},
};

static const char *const state_names[] = {"ok", "warn", "FAIL", "skip"};

void doctor_say(struct doctor *doctor, enum doctor_state state, const char *check,
    const char *subject, const char *format, ...)
{
    char text[ERR_MESSAGE_SIZE];
    struct err err;
    json_t *row;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    doctor->warned += state == DOCTOR_WARN;
    if (json_build(&row, &err, "{s:s,s:s,s:s?,s:s}", "check", check, "state", state_names[state],
            "subject", subject, "text", text))
        (void)!json_array_append_new(doctor->rows, row);
}

void doctor_fail(struct doctor *doctor, const char *check, const char *subject,
    const struct err *err, const char *remedy)
{
    if (doctor->failed++ == 0)
        doctor->first = *err;
    doctor_say(doctor, DOCTOR_FAIL, check, subject, "%s%s%s", err->message, remedy ? "; " : "",
        remedy ? remedy : "");
}

/* In the order in which reading a secret needs them. */
static void (*const checks[])(struct doctor *doctor) = {doctor_users, doctor_memory, doctor_fuse,
    doctor_attestd, doctor_brokers, doctor_agent, doctor_sources, doctor_mounts};

static bool print_rows(const struct doctor *doctor, struct err *err)
{
    size_t index;
    json_t *row;
    json_array_foreach(doctor->rows, index, row)
    {
        const char *subject = json_member_text(row, "subject");
        if (!tool_printf(err, "%-4s  %-12s %s%s%s\n", json_member_text(row, "state"),
                json_member_text(row, "check"), subject ? subject : "", subject ? ": " : "",
                json_member_text(row, "text")))
            return false;
    }
    if (doctor->failed + doctor->warned == 0)
        return tool_printf(err, "nothing is wrong here\n");
    return tool_printf(err, "%u failed, %u to look at\n", doctor->failed, doctor->warned);
}

static bool report(const struct doctor *doctor, bool as_json, struct err *err)
{
    auto_json *whole = NULL;
    if (!as_json)
        return print_rows(doctor, err);
    return json_build(
               &whole, err, "{s:b,s:O}", "ok", doctor->failed == 0, "checks", doctor->rows) &&
           tool_print_json(whole, err);
}

static bool run_doctor(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct doctor_args *args = options;
    auto_json *rows = json_array();
    struct doctor doctor = {
        .socket = tool_socket(args->socket), .attest = args->attest, .rows = rows};
    struct err cause = ERR_INIT;
    (void)operands, (void)operand_count;
    if (!rows)
        return err_nomem(err);
    if (!sealedfs_conf_load(args->config, NULL, NULL, &doctor.conf, &cause)) {
        doctor_fail(&doctor, "configuration", NULL, &cause, NULL);
    } else {
        doctor_say(&doctor, DOCTOR_OK, "configuration", NULL, "%s",
            args->config ? args->config
            : access(SEALEDFS_CONF_DEFAULT, F_OK) == 0
                ? SEALEDFS_CONF_DEFAULT
                : "the defaults: there is no " SEALEDFS_CONF_DEFAULT);
        if (!args->socket && !secure_getenv("SEALED_SOCKET"))
            doctor.socket = doctor.conf.control.socket;
        for (size_t i = 0; i < ARRAY_LEN(checks); i++)
            checks[i](&doctor);
    }
    bool told = report(&doctor, args->json, err);
    sealedfs_conf_done(&doctor.conf);
    if (told && doctor.failed > 0)
        return err_set(err, doctor.first.code, "%u of the things that reading a secret needs %s",
            doctor.failed, doctor.failed == 1 ? "is not there" : "are not there");
    return told;
}

const struct cli_command tool_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "look at everything that reading a secret needs, and say what to do",
    .detail = "One line for each thing: ok, warn, FAIL with the remedy, or skip. Changes nothing.\n"
              "Exit status: 0 nothing failed; else that of the first failure: 2 configuration, "
              "users, limits, mounts;\n"
              "7 the key broker refuses this guest; 8 attestd, TPM or attestation key; 9 a broker "
              "cannot be reached.",
    .options = options_table,
    .option_count = ARRAY_LEN(options_table),
    .args_size = sizeof(struct doctor_args),
    .run = run_doctor,
};
