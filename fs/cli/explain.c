/* SPDX-License-Identifier: Apache-2.0 */
/* sealed explain, status, flush: what the agent knows of itself. */
#include "fs/cli/tool.h"

#include <string.h>

#include "crypt/base/clock.h"
#include "fs/cli/events.h"
#include "fs/control.h"

struct agent_args {
    const char *socket;
    bool json, token;
};

#define SOCKET_OPTION                                                       \
    {                                                                       \
        "socket", 0, CLI_TEXT, offsetof(struct agent_args, socket), "PATH", \
            "the agent's control socket"                                    \
    }
#define JSON_OPTION                                                                \
    {                                                                              \
        "json", 0, CLI_FLAG, offsetof(struct agent_args, json), NULL, "print JSON" \
    }

static const struct cli_option show_options[] = {JSON_OPTION, SOCKET_OPTION};
static const struct cli_option flush_options[] = {
    {"token", 't', CLI_FLAG, offsetof(struct agent_args, token), NULL,
        "also forget the token, so that the next read attests anew"},
    JSON_OPTION,
    SOCKET_OPTION,
};

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_member_text(object, name);
    return text ? text : "";
}

static json_int_t number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static bool print_changes(const json_t *guest, struct err *err)
{
    const json_t *changed = json_object_get(guest, "changed");
    char since[CLOCK_TEXT_SIZE];
    const json_t *change;
    size_t i;
    if (number(guest, "since") == 0)
        return tool_printf(
            err, "this guest: no evidence of it has been accepted since the agent started\n");
    clock_rfc3339(number(guest, "since"), since);
    if (json_array_size(changed) == 0)
        return tool_printf(
            err, "this guest: no PCR differs from its last accepted attestation (%s)\n", since);
    if (!tool_printf(err, "this guest: changed since its last accepted attestation (%s):\n", since))
        return false;
    json_array_foreach(changed, i, change)
    {
        if (!tool_printf(err, "    PCR %-2lld  was %s\n            now %s\n",
                (long long)number(change, "pcr"), member(change, "was"), member(change, "now")) ||
            !events_print(change, "            ", err))
            return false;
    }
    return true;
}

static bool print_explanation(const json_t *explanation, struct err *err)
{
    char when[CLOCK_TEXT_SIZE];
    const char *ref = member(explanation, "kbs_ref");
    clock_rfc3339(number(explanation, "time"), when);
    if (!tool_printf(err, "%s  refused %s\nid:         %s\nclass:      %s (%s)\ncause:      %s\n",
            member(explanation, "path"), when, member(explanation, "id"),
            member(explanation, "code"), member(explanation, "class"),
            member(explanation, "message")))
        return false;
    if (ref[0] &&
        !tool_printf(err,
            "key broker: id %s; its administrator sees more with `sealed kbs explain %s`\n", ref,
            ref))
        return false;
    return print_changes(json_object_get(explanation, "guest"), err);
}

/* Without "." and "..", as text: what is below a mount may not be looked at by whoever asks. */
static void drop_dots(char *path)
{
    char *end = path;
    for (const char *at = path; *at;) {
        size_t len = strcspn(++at, "/");
        bool here = len == 0 || (len == 1 && at[0] == '.');
        bool above = len == 2 && at[0] == '.' && at[1] == '.';
        if (above)
            while (end > path && *--end != '/')
                ;
        if (!here && !above) {
            *end++ = '/';
            memmove(end, at, len);
            end += len;
        }
        at += len;
    }
    if (end == path)
        end++;
    *end = '\0';
}

static bool run_explain(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct agent_args *args = options;
    auto_json *request = NULL, *answer = NULL;
    auto_free char *path = NULL;
    /* An id of ours has no slash and names no file; everything else is a path. */
    bool is_id = !strchr(operands[0], '/') && access(operands[0], F_OK) != 0;
    (void)operand_count;
    if (!tool_absolute(operands[0], &path, err))
        return false;
    drop_dots(path);
    if (!json_build(&request, err, "{s:s,s:s}", "op", "explain", is_id ? "id" : "path",
            is_id ? operands[0] : path) ||
        !control_ask(tool_socket(args->socket), request, -1, &answer, NULL, err))
        return false;
    const json_t *explanation = json_object_get(answer, "explanation");
    return args->json ? tool_print_json(explanation, err) : print_explanation(explanation, err);
}

static long long count(const json_t *object, const char *name)
{
    return (long long)number(object, name);
}

static bool print_broker(const json_t *broker, struct err *err)
{
    char expires[CLOCK_TEXT_SIZE];
    const char *name = member(broker, "name"), *url = member(broker, "url");
    bool token = json_is_true(json_object_get(broker, "token"));
    clock_rfc3339(number(broker, "token_expires_at"), expires);
    return tool_printf(err,
        "key broker: %s%s%s\ntoken:      %s%s\nhandshakes: %lld done, %lld failed\nfetches:    "
        "%lld\n",
        name, *name ? " " : "", *url ? url : "none configured", token ? "good until " : "none",
        token ? expires : "", count(broker, "handshakes"), count(broker, "handshakes_failed"),
        count(broker, "fetches"));
}

static bool print_opens(const json_t *of, struct err *err)
{
    return tool_printf(err, "opens:      %lld (%lld from memory, %lld refused, %lld waiting)\n",
        count(of, "opens"), count(of, "hits"), count(of, "refused"), count(of, "parked"));
}

static bool print_mount(const json_t *mount, struct err *err)
{
    return tool_printf(err, "mount:      %s (worker %lld, %lld files known, %lld open)\n",
               member(mount, "mountpoint"), count(mount, "generation"), count(mount, "nodes"),
               count(mount, "handles")) &&
           print_opens(mount, err);
}

static bool print_filesystem(const json_t *filesystem, struct err *err)
{
    const json_t *mounts = json_object_get(filesystem, "mounts");
    bool healthy = json_is_true(json_object_get(filesystem, "healthy"));
    for (size_t i = 0; i < json_array_size(mounts); i++)
        if (!print_mount(json_array_get(mounts, i), err))
            return false;
    return tool_printf(err,
        "secrets:    %lld in memory, %lld bytes\n"
        "audit:      %s, %lld records lost\n"
        "health:     %s%s\n",
        count(filesystem, "secrets"), count(filesystem, "secret_bytes"),
        member(filesystem, "audit"), count(filesystem, "audit_lost"),
        healthy ? "secrets can be served" : "secrets cannot be served: ",
        healthy ? "" : member(filesystem, "unhealthy_because"));
}

static bool print_status(const json_t *status, struct err *err)
{
    const json_t *filesystem = json_object_get(status, "filesystem");
    const json_t *brokers = json_object_get(status, "brokers");
    if (!print_broker(status, err))
        return false;
    for (size_t i = 0; i < json_array_size(brokers); i++)
        if (!print_broker(json_array_get(brokers, i), err))
            return false;
    if (number(status, "landlock") == 0 &&
        !tool_printf(err, "sandbox:    without Landlock, which this kernel does not have\n"))
        return false;
    return !filesystem || print_filesystem(filesystem, err);
}

static bool run_status(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct agent_args *args = options;
    auto_json *request = NULL, *answer = NULL;
    (void)operands, (void)operand_count;
    if (!json_build(&request, err, "{s:s}", "op", "status") ||
        !control_ask(tool_socket(args->socket), request, -1, &answer, NULL, err))
        return false;
    const json_t *status = json_object_get(answer, "status");
    return args->json ? tool_print_json(status, err) : print_status(status, err);
}

static bool run_flush(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct agent_args *args = options;
    auto_json *request = NULL, *answer = NULL;
    (void)operands, (void)operand_count;
    if (!json_build(&request, err, "{s:s,s:b}", "op", "flush", "token", args->token) ||
        !control_ask(tool_socket(args->socket), request, -1, &answer, NULL, err))
        return false;
    if (args->json)
        return tool_print_json(answer, err);
    return tool_printf(err, "%lld secrets dropped%s\n", (long long)number(answer, "flushed"),
        args->token ? ", token forgotten" : "");
}

const struct cli_command tool_explain = {
    .name = "explain",
    .operands = "PATH|ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "say why an open was refused, and what changed on this guest",
    .detail = "PATH is the file below the mount, ID the id of a refusal from the log. What the key "
              "broker compared is told to its\n"
              "administrator only: `sealed kbs explain`. Exit status: 11 no refusal of that path "
              "or id is "
              "remembered.",
    .options = show_options,
    .option_count = ARRAY_LEN(show_options),
    .args_size = sizeof(struct agent_args),
    .run = run_explain,
};

const struct cli_command tool_status = {
    .name = "status",
    .operands = "",
    .summary = "show the agent's brokers, tokens and mounts, the audit, and its health",
    .options = show_options,
    .option_count = ARRAY_LEN(show_options),
    .args_size = sizeof(struct agent_args),
    .run = run_status,
};

const struct cli_command tool_flush = {
    .name = "flush",
    .operands = "",
    .summary = "drop and wipe every cached secret",
    .options = flush_options,
    .option_count = ARRAY_LEN(flush_options),
    .args_size = sizeof(struct agent_args),
    .run = run_flush,
};
