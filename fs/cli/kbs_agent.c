/* SPDX-License-Identifier: Apache-2.0 */
/* sealed kbs agent list|show|history|admit|revoke|delete|add: the attestation keys that the broker knows (kbs/server/agents/agent.h). */
#include "fs/cli/broker.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "crypt/base/b64.h"
#include "crypt/base/clock.h"

#define ROUTE      "/agent"
#define ID_LEN     64 /* hex SHA-256 of the key's SubjectPublicKeyInfo */
#define PREFIX_MIN 8
#define UUID_LEN   36
#define PUBLIC_MAX 8192
#define PEM_BEGIN  "-----BEGIN"

struct agent_args {
    struct broker_args broker;
    bool json;
    const char *uuid, *until;
    struct cli_list tags;
};

static const struct cli_option options_table[] = {
    {"json", 0, CLI_FLAG, offsetof(struct agent_args, json), NULL, "print JSON"},
    BROKER_OPTIONS,
};

static const struct cli_option admit_options[] = {
    {"json", 0, CLI_FLAG, offsetof(struct agent_args, json), NULL, "print JSON"},
    {"tag", 't', CLI_LIST, offsetof(struct agent_args, tags), "NAME=VALUE",
        "a tag of the agent; those that it had are replaced"},
    {"until", 0, CLI_TEXT, offsetof(struct agent_args, until), "WHEN",
        "the end of the admission: RFC 3339, or from now on such as 90d; default: none"},
    BROKER_OPTIONS,
};
static const struct cli_option add_options[] = {
    {"json", 0, CLI_FLAG, offsetof(struct agent_args, json), NULL, "print JSON"},
    {"uuid", 0, CLI_TEXT, offsetof(struct agent_args, uuid), "UUID", "of the machine"},
    {"tag", 't', CLI_LIST, offsetof(struct agent_args, tags), "NAME=VALUE", "a tag of the agent"},
    {"until", 0, CLI_TEXT, offsetof(struct agent_args, until), "WHEN",
        "the end of the admission: RFC 3339, or from now on such as 90d; default: none"},
    BROKER_OPTIONS,
};

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_member_text(object, name);
    return text ? text : "";
}

/* An id, the beginning of one, or a UUID: the broker knows which. Nothing else becomes part of a path. */
static bool check_id(const char *text, char id[ID_LEN + 1], struct err *err)
{
    size_t len = strlen(text), hex = strspn(text, "0123456789abcdefABCDEF");
    bool uuid = len == UUID_LEN && strspn(text, "0123456789abcdefABCDEF-") == len;
    if (!uuid && (len < PREFIX_MIN || len > ID_LEN || hex != len))
        return err_set(err, ERR_CONFIG,
            "\"%.80s\" is no agent's id: %d hex digits, the first %d or more of them, or its UUID "
            "(`sealed kbs agent list` shows them)",
            text, ID_LEN, PREFIX_MIN);
    for (size_t i = 0; i <= len; i++)
        id[i] = (char)tolower((unsigned char)text[i]);
    return true;
}

/* NAME=VALUE words; *ret_tags NULL when there are none. */
static bool make_tags(const struct cli_list *words, json_t **ret_tags, struct err *err)
{
    auto_json *tags = json_object();
    if (!tags)
        return err_nomem(err);
    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->items[i], *equals = strchr(word, '=');
        auto_free char *name = equals ? strndup(word, (size_t)(equals - word)) : NULL;
        if (!equals || equals == word || equals[1] == '\0')
            return err_set(err, ERR_CONFIG, "--tag \"%.80s\" is not NAME=VALUE", word);
        json_t *value = json_string(equals + 1);
        if (!name || !value || json_object_set_new(tags, name, value) != 0)
            return err_set(err, ERR_CONFIG, "--tag \"%.80s\" is not UTF-8", word);
    }
    *ret_tags = words->count > 0 ? take_ptr(tags) : NULL;
    return true;
}

static bool run_list(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct agent_args *args = options;
    auto_broker *broker = NULL;
    auto_json *agents = NULL;
    size_t i;
    const json_t *agent;
    (void)operands, (void)operand_count;
    if (!broker_open(&args->broker, &broker, err) || !broker_get_json(broker, ROUTE, &agents, err))
        return false;
    if (!json_is_array(agents))
        return err_set(err, ERR_FORMAT, "the key broker's answer is no list of agents");
    if (args->json)
        return tool_print_json(agents, err);
    json_array_foreach(agents, i, agent)
    {
        if (!tool_printf(err, "%s  %-10s  %s  %s  %s\n", member(agent, "id"),
                member(agent, "state"), member(agent, "created"),
                *member(agent, "attested") ? member(agent, "attested") : "-",
                member(agent, "uuid")))
            return false;
    }
    return true;
}

static bool run_show(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct agent_args *args = options;
    auto_broker *broker = NULL;
    auto_json *agent = NULL;
    char id[ID_LEN + 1], path[ID_LEN + 32];
    (void)operand_count;
    if (!check_id(operands[0], id, err))
        return false;
    snprintf(path, sizeof path, ROUTE "/%s", id);
    if (!broker_open(&args->broker, &broker, err) || !broker_get_json(broker, path, &agent, err))
        return false;
    return args->json ? tool_print_json(agent, err) : tool_print_members(agent, err);
}

static bool run_history(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct agent_args *args = options;
    auto_broker *broker = NULL;
    auto_json *history = NULL;
    char id[ID_LEN + 1], path[ID_LEN + 32];
    size_t i;
    const json_t *event;
    (void)operand_count;
    if (!check_id(operands[0], id, err))
        return false;
    snprintf(path, sizeof path, ROUTE "/%s/history", id);
    if (!broker_open(&args->broker, &broker, err) || !broker_get_json(broker, path, &history, err))
        return false;
    if (!json_is_array(history))
        return err_set(err, ERR_FORMAT, "the key broker's answer is no history");
    if (args->json)
        return tool_print_json(history, err);
    json_array_foreach(history, i, event)
    {
        const char *by = member(event, "by"), *ref = member(event, "ref");
        if (!tool_printf(err, "%s  %s%s%s%s%s\n", member(event, "time"), member(event, "what"),
                *by ? " by " : "", by, *ref ? ", see " : "", ref))
            return false;
    }
    return true;
}

/* POST …/ID/VERB, or DELETE …/ID when there is no verb. The broker answers with the whole id and the state. */
static bool change(const struct agent_args *args, const char *text, const char *verb,
    const char *done, struct err *err)
{
    auto_broker *broker = NULL;
    auto_buf answer = BUF_INIT(BROKER_ANSWER_MAX);
    auto_json *agent = NULL, *tags = NULL, *orders = NULL;
    auto_free char *body = NULL;
    char id[ID_LEN + 1], path[ID_LEN + 32], until[CLOCK_TEXT_SIZE] = "";
    if (!check_id(text, id, err) || !make_tags(&args->tags, &tags, err) ||
        (args->until && !tool_end(args->until, "--until", until, err)) ||
        ((tags || args->until) && !json_build(&orders, err, "{s:O*, s:s*}", "tags", tags, "until",
                                      args->until ? until : NULL)))
        return false;
    body = orders ? json_text(orders) : strdup("");
    if (!body)
        return err_nomem(err);
    snprintf(path, sizeof path, ROUTE "/%s%s%s", id, verb ? "/" : "", verb ? verb : "");
    if (!broker_open(&args->broker, &broker, err) ||
        !broker_call(broker, verb ? "POST" : "DELETE", path, bytes_str(body), &answer, err) ||
        !json_load_strict(
            buf_bytes(&answer), BROKER_ANSWER_MAX, "answer of the key broker", &agent, err))
        return false;
    return args->json ? tool_print_json(agent, err)
                      : tool_printf(err, "agent %s is %s\n", member(agent, "id"), done);
}

static bool run_admit(const void *options, char **operands, int operand_count, struct err *err)
{
    (void)operand_count;
    return change(options, operands[0], "admit", "admitted", err);
}

static bool run_revoke(const void *options, char **operands, int operand_count, struct err *err)
{
    (void)operand_count;
    return change(options, operands[0], "revoke", "revoked", err);
}

static bool run_delete(const void *options, char **operands, int operand_count, struct err *err)
{
    (void)operand_count;
    return change(options, operands[0], NULL, "deleted", err);
}

/* PEM or DER of a public key, as DER SubjectPublicKeyInfo; whatever is not one is refused here. */
static bool load_public(const char *path, struct buf *spki, struct err *err)
{
    auto_buf file = BUF_INIT(PUBLIC_MAX);
    auto_secret *text = NULL;
    auto_jwk *key = NULL;
    if (!tool_read(path, PUBLIC_MAX, &file, err))
        return false;
    bool pem = strncmp(buf_text(&file), PEM_BEGIN, strlen(PEM_BEGIN)) == 0;
    bool loaded =
        pem ? secret_copy(buf_bytes(&file), &text, err) && jwk_from_secret(text, &key, err)
            : jwk_from_spki(buf_bytes(&file), &key, err);
    if (!loaded)
        return err_wrap(err, "%s", path);
    if (jwk_is_private(key))
        return err_set(err, ERR_CONFIG,
            "%s is a private key; an attestation key never leaves its TPM, give its public half",
            path);
    return jwk_spki(key, spki, err);
}

static bool run_add(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct agent_args *args = options;
    auto_broker *broker = NULL;
    auto_buf spki = BUF_INIT(PUBLIC_MAX);
    auto_json *body = NULL, *answer = NULL, *tags = NULL;
    char until[CLOCK_TEXT_SIZE] = "";
    (void)operand_count;
    if (!load_public(operands[0], &spki, err) || !make_tags(&args->tags, &tags, err) ||
        (args->until && !tool_end(args->until, "--until", until, err)))
        return false;
    auto_free char *encoded = b64_encode(B64_STD, buf_bytes(&spki));
    if (!encoded)
        return err_nomem(err);
    if (!json_build(&body, err, "{s:s, s:s*, s:O*, s:s*}", "ak_public", encoded, "uuid", args->uuid,
            "tags", tags, "until", args->until ? until : NULL) ||
        !broker_open(&args->broker, &broker, err) ||
        !broker_post_json(broker, ROUTE, body, &answer, err))
        return false;
    return args->json ? tool_print_json(answer, err) : tool_print_members(answer, err);
}

#define AGENT_COMMAND(variable, verb, operand, count, text, more, table, function) \
    const struct cli_command variable = {                                          \
        .name = "kbs agent " verb,                                                 \
        .operands = operand,                                                       \
        .operands_min = count,                                                     \
        .operands_max = count,                                                     \
        .summary = text,                                                           \
        .detail = more,                                                            \
        .options = table,                                                          \
        .option_count = ARRAY_LEN(table),                                          \
        .args_size = sizeof(struct agent_args),                                    \
        .run = function,                                                           \
    }

#define ID_IS                                                                                      \
    "ID is an agent's id, the beginning of it (8 hex digits at least), or its UUID. Exit status: " \
    "11 there is none."

AGENT_COMMAND(tool_kbs_agent_list, "list", "", 0, "list the agents that the broker knows",
    "One a line: id, state, since when, when it attested last, UUID.", options_table, run_list);
AGENT_COMMAND(
    tool_kbs_agent_show, "show", "ID", 1, "show one agent", ID_IS, options_table, run_show);
AGENT_COMMAND(tool_kbs_agent_history, "history", "ID", 1,
    "show what became of an agent: enrolled, admitted, attested, failed, late, revoked", ID_IS,
    options_table, run_history);
AGENT_COMMAND(tool_kbs_agent_admit, "admit", "ID", 1, "let a guest with this attestation key in",
    "Compare the id with the one that `sealed attest enroll` printed on the guest. " ID_IS,
    admit_options, run_admit);
AGENT_COMMAND(tool_kbs_agent_revoke, "revoke", "ID", 1,
    "shut a guest out: its evidence and its tokens are refused from now on", ID_IS, options_table,
    run_revoke);
AGENT_COMMAND(tool_kbs_agent_delete, "delete", "ID", 1,
    "forget an attestation key; the guest may enrol it again", ID_IS, options_table, run_delete);
AGENT_COMMAND(tool_kbs_agent_add, "add", "FILE", 1,
    "make an attestation key known that was checked elsewhere",
    "FILE is its public key, SubjectPublicKeyInfo in PEM or DER (`tpm2_readpublic -f pem`). Nobody "
    "then proves that it lives in a TPM:\n`sealed attest enroll` does.",
    add_options, run_add);
