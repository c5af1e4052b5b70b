/* SPDX-License-Identifier: Apache-2.0 */
/* sealed kbs reference-value set|get|list|delete: what a known-good guest measures (protocol.md D.4). */
#include "fs/cli/broker.h"

#include <stdio.h>
#include <string.h>

#include "crypt/base/b64.h"
#include "crypt/base/number.h"
#include "kbs/uri.h"

#define ROUTE        "/reference-value"
#define NAME_MAX_LEN 767

struct refvalue_args {
    struct broker_args broker;
    bool json, single, integer;
};

static const struct cli_option set_options[] = {
    {"single", 0, CLI_FLAG, offsetof(struct refvalue_args, single), NULL,
        "store the one VALUE itself, not a list of one"},
    {"integer", 0, CLI_FLAG, offsetof(struct refvalue_args, integer), NULL,
        "the values are integers"},
    BROKER_OPTIONS,
};
static const struct cli_option show_options[] = {
    {"json", 0, CLI_FLAG, offsetof(struct refvalue_args, json), NULL, "print JSON"},
    BROKER_OPTIONS,
};
static const struct cli_option delete_options[] = {BROKER_OPTIONS};

/* Names become paths of URLs and of files: segments as those of a resource, joined by '/'. */
static bool check_name(const char *name, struct err *err)
{
    char segment[KBS_SEGMENT_MAX + 1];
    if (strlen(name) > NAME_MAX_LEN)
        return err_set(err, ERR_CONFIG, "the name of a reference value has at most %d characters",
            NAME_MAX_LEN);
    for (const char *at = name;; at++) {
        size_t len = strcspn(at, "/");
        snprintf(segment, sizeof segment, "%.*s", (int)(len < sizeof segment ? len : 0), at);
        if (!kbs_segment_ok(segment))
            return err_set(err, ERR_CONFIG,
                "\"%.80s\" is no name of a reference value: letters, digits and \"_.-\", segments "
                "joined by '/'",
                name);
        at += len;
        if (*at == '\0')
            return true;
    }
}

/* A PCR of the SHA-256 bank is 64 hex digits; a slip of the hand here would refuse every guest without a word. */
static bool check_pcr(const char *name, const char *text, struct err *err)
{
    size_t digits = strspn(text, "0123456789abcdef");
    if (strncmp(name, "tpm_pcr", 7) != 0 || (digits == 64 && text[64] == '\0'))
        return true;
    return err_set(err, ERR_CONFIG,
        "\"%.80s\" is no value of %s: a PCR has 64 lower-case hex digits (on a guest: `sealed "
        "attest "
        "--evidence`)",
        text, name);
}

static bool add_value(json_t *list, const char *text, bool integer, struct err *err)
{
    int64_t number = 0;
    if (integer && !number_int(text, &number))
        return err_set(err, ERR_CONFIG, "\"%.80s\" is no integer", text);
    json_t *value = integer ? json_integer(number) : json_string(text);
    if (!value)
        return err_set(err, ERR_FORMAT, "a value is not UTF-8 text");
    return json_array_append_new(list, value) == 0 || err_nomem(err);
}

/* {"version":"0.1.0","type":"sample","payload":"<standard base64 of {NAME:VALUE}>"} */
static bool sample_message(const char *name, json_t *value, json_t **ret_message, struct err *err)
{
    auto_json *payload = NULL;
    if (!json_build(&payload, err, "{s:O}", name, value))
        return false;
    auto_free char *text = json_text(payload);
    auto_free char *encoded = text ? b64_encode(B64_STD, bytes_str(text)) : NULL;
    if (!encoded)
        return err_nomem(err);
    return json_build(ret_message, err, "{s:s,s:s,s:s}", "version", "0.1.0", "type", "sample",
        "payload", encoded);
}

static bool run_set(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct refvalue_args *args = options;
    auto_broker *broker = NULL;
    auto_json *list = NULL, *message = NULL, *answer = NULL;
    if (args->single && operand_count != 2)
        return err_set(err, ERR_CONFIG, "--single takes one VALUE");
    if (!check_name(operands[0], err) || !json_build(&list, err, "[]"))
        return false;
    for (int i = 1; i < operand_count; i++)
        if (!check_pcr(operands[0], operands[i], err) ||
            !add_value(list, operands[i], args->integer, err))
            return false;
    json_t *value = args->single ? json_array_get(list, 0) : list;
    return sample_message(operands[0], value, &message, err) &&
           broker_open(&args->broker, &broker, err) &&
           broker_post_json(broker, ROUTE, message, &answer, err) &&
           tool_printf(err, "%s: %d value%s set\n", operands[0], operand_count - 1,
               operand_count == 2 ? "" : "s");
}

/* Texts as they are, everything else as JSON. */
static bool print_scalar(const json_t *value, struct err *err)
{
    if (json_is_string(value))
        return tool_printf(err, "%s\n", json_string_value(value));
    auto_free char *text = json_text(value);
    return text ? tool_printf(err, "%s\n", text) : err_nomem(err);
}

static bool print_value(const char *indent, const json_t *value, struct err *err)
{
    size_t i;
    const json_t *item;
    if (!json_is_array(value))
        return tool_printf(err, "%s", indent) && print_scalar(value, err);
    json_array_foreach(value, i, item)
    {
        if (!tool_printf(err, "%s", indent) || !print_scalar(item, err))
            return false;
    }
    return true;
}

static bool one_path(const char *name, char path[NAME_MAX_LEN + 32], struct err *err)
{
    snprintf(path, NAME_MAX_LEN + 32, ROUTE "/%s", name);
    return check_name(name, err);
}

static bool run_get(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct refvalue_args *args = options;
    auto_broker *broker = NULL;
    auto_json *value = NULL;
    char path[NAME_MAX_LEN + 32];
    (void)operand_count;
    if (!one_path(operands[0], path, err) || !broker_open(&args->broker, &broker, err) ||
        !broker_get_json(broker, path, &value, err))
        return false;
    return args->json ? tool_print_json(value, err) : print_value("", value, err);
}

static bool print_entry(const json_t *entry, struct err *err)
{
    const char *name = json_member_text(entry, "name");
    const char *expiration = json_member_text(entry, "expiration");
    bool expired = json_is_true(json_object_get(entry, "expired"));
    return tool_printf(err, "%s  (%s %s)\n", name ? name : "?", expired ? "EXPIRED" : "until",
               expiration ? expiration : "?") &&
           print_value("    ", json_object_get(entry, "value"), err);
}

static bool run_list(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct refvalue_args *args = options;
    auto_broker *broker = NULL;
    auto_json *list = NULL;
    size_t i;
    const json_t *entry;
    (void)operands, (void)operand_count;
    if (!broker_open(&args->broker, &broker, err) || !broker_get_json(broker, ROUTE, &list, err))
        return false;
    if (!json_is_array(list))
        return err_set(err, ERR_FORMAT, "the key broker's answer is no list of reference values");
    if (args->json)
        return tool_print_json(list, err);
    json_array_foreach(list, i, entry)
    {
        if (!print_entry(entry, err))
            return false;
    }
    return true;
}

static bool run_delete(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct refvalue_args *args = options;
    auto_broker *broker = NULL;
    auto_buf answer = BUF_INIT(BROKER_ANSWER_MAX);
    char path[NAME_MAX_LEN + 32];
    (void)operand_count;
    return one_path(operands[0], path, err) && broker_open(&args->broker, &broker, err) &&
           broker_call(broker, "DELETE", path, BYTES_EMPTY, &answer, err);
}

const struct cli_command tool_kbs_refvalue_set = {
    .name = "kbs reference-value set",
    .operands = "NAME VALUE...",
    .operands_min = 2,
    .operands_max = 64,
    .summary = "say what a known-good guest measures, e.g. tpm_pcr07",
    .detail = "Any of the values is good. All that NAME held before is replaced; it holds for "
              "twelve months. For TPM evidence: tpm_pcr00 to tpm_pcr23,\n"
              "in lower-case hex.",
    .options = set_options,
    .option_count = ARRAY_LEN(set_options),
    .args_size = sizeof(struct refvalue_args),
    .run = run_set,
};

const struct cli_command tool_kbs_refvalue_get = {
    .name = "kbs reference-value get",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "print the values of one name, one a line",
    .detail = "Exit status: 11 there is none, or it has expired.",
    .options = show_options,
    .option_count = ARRAY_LEN(show_options),
    .args_size = sizeof(struct refvalue_args),
    .run = run_get,
};

const struct cli_command tool_kbs_refvalue_list = {
    .name = "kbs reference-value list",
    .operands = "",
    .summary = "print all reference values and until when they hold",
    .options = show_options,
    .option_count = ARRAY_LEN(show_options),
    .args_size = sizeof(struct refvalue_args),
    .run = run_list,
};

const struct cli_command tool_kbs_refvalue_delete = {
    .name = "kbs reference-value delete",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "forget the values of one name",
    .detail = "Guests are then no longer compared in it. Exit status: 11 there is none.",
    .options = delete_options,
    .option_count = ARRAY_LEN(delete_options),
    .args_size = sizeof(struct refvalue_args),
    .run = run_delete,
};
