/* SPDX-License-Identifier: Apache-2.0 */
/* sealed kbs reference-value set|add|remove|get|list|delete: what a known-good guest measures (protocol.md D.4). */
#include "fs/cli/broker.h"

#include <stdio.h>
#include <string.h>

#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "crypt/base/number.h"
#include "crypt/jws.h"

#define ROUTE        "/reference-value"
#define NAME_MAX_LEN 767
#define NAME_CHARS   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/@+=,~-"

struct refvalue_args {
    struct broker_args broker;
    bool json, single, integer, boolean;
    const char *expires, *sign;
};

static const struct cli_option set_options[] = {
    {"single", 0, CLI_FLAG, offsetof(struct refvalue_args, single), NULL,
        "store the one VALUE itself, not a list of one"},
    {"integer", 0, CLI_FLAG, offsetof(struct refvalue_args, integer), NULL,
        "the values are integers"},
    {"bool", 0, CLI_FLAG, offsetof(struct refvalue_args, boolean), NULL,
        "the values are booleans, true or false"},
    {"expires", 0, CLI_TEXT, offsetof(struct refvalue_args, expires), "WHEN",
        "until when they hold: RFC 3339, or from now on such as 90d; default: 12 months"},
    {"sign", 0, CLI_TEXT, offsetof(struct refvalue_args, sign), "FILE",
        "the publisher's private key (JWK or PEM), which signs the message"},
    BROKER_OPTIONS,
};
static const struct cli_option add_options[] = {
    {"integer", 0, CLI_FLAG, offsetof(struct refvalue_args, integer), NULL,
        "the values are integers"},
    {"bool", 0, CLI_FLAG, offsetof(struct refvalue_args, boolean), NULL,
        "the values are booleans, true or false"},
    {"expires", 0, CLI_TEXT, offsetof(struct refvalue_args, expires), "WHEN",
        "until when they hold: RFC 3339, or from now on such as 90d; default: 12 months"},
    {"sign", 0, CLI_TEXT, offsetof(struct refvalue_args, sign), "FILE",
        "the publisher's private key (JWK or PEM), which signs the message"},
    BROKER_OPTIONS,
};
static const struct cli_option remove_options[] = {
    {"integer", 0, CLI_FLAG, offsetof(struct refvalue_args, integer), NULL,
        "the values are integers"},
    {"bool", 0, CLI_FLAG, offsetof(struct refvalue_args, boolean), NULL,
        "the values are booleans, true or false"},
    {"sign", 0, CLI_TEXT, offsetof(struct refvalue_args, sign), "FILE",
        "the publisher's private key (JWK or PEM), which signs the message"},
    BROKER_OPTIONS,
};
static const struct cli_option show_options[] = {
    {"json", 0, CLI_FLAG, offsetof(struct refvalue_args, json), NULL, "print JSON"},
    BROKER_OPTIONS,
};
static const struct cli_option delete_options[] = {BROKER_OPTIONS};

/* Names become paths of URLs, sent as they are; the broker says what else is wrong with one. */
static bool check_name(const char *name, struct err *err)
{
    size_t len = strlen(name);
    bool good = len > 0 && len <= NAME_MAX_LEN && name[0] != '/' && name[len - 1] != '/' &&
                strspn(name, NAME_CHARS) == len && !strstr(name, "/../") && !strstr(name, "/./") &&
                strncmp(name, "../", 3) != 0 && strncmp(name, "./", 2) != 0;
    return good || err_set(err, ERR_CONFIG,
                       "\"%.80s\" is no name of a reference value: up to %d letters, digits and "
                       "\"_.:/@+=,~-\", such as tpm_pcr07 or rvps:///images/guest:1.2",
                       name, NAME_MAX_LEN);
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

static bool make_value(
    const struct refvalue_args *args, const char *text, json_t **ret_value, struct err *err)
{
    int64_t number = 0;
    bool yes = strcmp(text, "true") == 0;
    if (args->integer && args->boolean)
        return err_set(err, ERR_CONFIG, "--integer and --bool exclude each other");
    if (args->integer && !number_int(text, &number))
        return err_set(err, ERR_CONFIG, "\"%.80s\" is no integer", text);
    if (args->boolean && !yes && strcmp(text, "false") != 0)
        return err_set(err, ERR_CONFIG, "\"%.80s\" is neither true nor false", text);
    *ret_value = args->integer   ? json_integer(number)
                 : args->boolean ? json_boolean(yes)
                                 : json_string(text);
    return *ret_value || err_set(err, ERR_FORMAT, "a value is not UTF-8 text");
}

/* {"version":"0.1.0","type":"sample","payload":"<standard base64 of {NAME:VALUE}>",…} */
static bool make_message(const struct refvalue_args *args, const char *operation, const char *name,
    json_t *value, json_t **ret_message, struct err *err)
{
    auto_json *payload = NULL, *message = NULL;
    char expires[CLOCK_TEXT_SIZE];
    if (!json_build(&payload, err, "{s:O}", name, value))
        return false;
    auto_free char *text = json_text(payload);
    auto_free char *encoded = text ? b64_encode(B64_STD, bytes_str(text)) : NULL;
    if (!encoded)
        return err_nomem(err);
    if ((args->expires && !tool_end(args->expires, "--expires", expires, err)) ||
        !json_build(&message, err, "{s:s,s:s,s:s,s:s*,s:s*}", "version", "0.1.0", "type", "sample",
            "payload", encoded, "operation", operation, "expires", args->expires ? expires : NULL))
        return false;
    if (args->sign && json_object_set_new(message, "iat", json_integer(clock_wall_s())) != 0)
        return err_nomem(err);
    *ret_message = take_ptr(message);
    return true;
}

static bool sign_message(const char *path, const json_t *message, char **ret_text, struct err *err)
{
    auto_secret *file = NULL;
    auto_jwk *key = NULL;
    auto_free char *text = json_text(message);
    if (!text)
        return err_nomem(err);
    if (!tool_read_secret(path, JWK_TEXT_MAX, &file, err) || !jwk_from_secret(file, &key, err))
        return err_wrap(err, "--sign %s", path);
    if (!jwk_is_private(key))
        return err_set(err, ERR_CONFIG, "--sign %s: a public key cannot sign", path);
    return jws_sign(key, NULL, bytes_str(text), ret_text, err);
}

static bool send_message(const struct refvalue_args *args, const json_t *message, struct err *err)
{
    auto_broker *broker = NULL;
    auto_buf answer = BUF_INIT(BROKER_ANSWER_MAX);
    auto_free char *text = NULL;
    if (args->sign && !sign_message(args->sign, message, &text, err))
        return false;
    if (!text && !(text = json_text(message)))
        return err_nomem(err);
    return broker_open(&args->broker, &broker, err) &&
           broker_call(broker, "POST", ROUTE, bytes_str(text), &answer, err);
}

/* NAME VALUE…; `operation` NULL: set. */
static bool change(const struct refvalue_args *args, char **operands, int operand_count,
    const char *operation, const char *done, struct err *err)
{
    auto_json *list = NULL, *message = NULL;
    if (args->single && operand_count != 2)
        return err_set(err, ERR_CONFIG, "--single takes one VALUE");
    if (!check_name(operands[0], err) || !json_build(&list, err, "[]"))
        return false;
    for (int i = 1; i < operand_count; i++) {
        json_t *value = NULL;
        if (!check_pcr(operands[0], operands[i], err) ||
            !make_value(args, operands[i], &value, err))
            return false;
        if (json_array_append_new(list, value) != 0)
            return err_nomem(err);
    }
    json_t *value = args->single ? json_array_get(list, 0) : list;
    return make_message(args, operation, operands[0], value, &message, err) &&
           send_message(args, message, err) &&
           tool_printf(err, "%s: %d value%s %s\n", operands[0], operand_count - 1,
               operand_count == 2 ? "" : "s", done);
}

static bool run_set(const void *options, char **operands, int operand_count, struct err *err)
{
    return change(options, operands, operand_count, NULL, "set", err);
}

static bool run_add(const void *options, char **operands, int operand_count, struct err *err)
{
    return change(options, operands, operand_count, "add", "added", err);
}

static bool run_remove(const void *options, char **operands, int operand_count, struct err *err)
{
    return change(options, operands, operand_count, "remove", "removed", err);
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

/* Who set a value and when, after it. */
static bool print_one(const json_t *item, struct err *err)
{
    const json_t *value = json_object_get(item, "value");
    const char *by = json_member_text(item, "by"), *set = json_member_text(item, "set");
    const char *publisher = json_member_text(item, "publisher");
    const char *until = json_member_text(item, "expiration");
    bool expired = json_is_true(json_object_get(item, "expired"));
    auto_free char *text =
        json_is_string(value) ? strdup(json_string_value(value)) : json_text(value);
    return tool_printf(err, "    %s  (%s %s%s%s%s%s%s%s)\n", text ? text : "?",
        expired ? "EXPIRED" : "until", until ? until : "?", set ? ", set " : "", set ? set : "",
        by ? " by " : "", by ? by : "", publisher ? ", signed by " : "",
        publisher ? publisher : "");
}

static bool print_entry(const json_t *entry, struct err *err)
{
    const char *name = json_member_text(entry, "name");
    const char *expiration = json_member_text(entry, "expiration");
    const json_t *values = json_object_get(entry, "values");
    bool expired = json_is_true(json_object_get(entry, "expired"));
    size_t i;
    const json_t *item;
    if (!tool_printf(err, "%s  (%s %s)\n", name ? name : "?", expired ? "EXPIRED" : "until",
            expiration ? expiration : "?"))
        return false;
    if (!values)
        return print_value("    ", json_object_get(entry, "value"), err);
    json_array_foreach(values, i, item)
    {
        if (!print_one(item, err))
            return false;
    }
    return true;
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
              "twelve months, or as --expires says. For TPM evidence: tpm_pcr00 to tpm_pcr23,\n"
              "in lower-case hex.",
    .options = set_options,
    .option_count = ARRAY_LEN(set_options),
    .args_size = sizeof(struct refvalue_args),
    .run = run_set,
};

const struct cli_command tool_kbs_refvalue_add = {
    .name = "kbs reference-value add",
    .operands = "NAME VALUE...",
    .operands_min = 2,
    .operands_max = 64,
    .summary = "add values that are good as well",
    .detail = "What NAME held before stays. Others may add and remove other values at the same "
              "time: nobody's change is lost.",
    .options = add_options,
    .option_count = ARRAY_LEN(add_options),
    .args_size = sizeof(struct refvalue_args),
    .run = run_add,
};

const struct cli_command tool_kbs_refvalue_remove = {
    .name = "kbs reference-value remove",
    .operands = "NAME VALUE...",
    .operands_min = 2,
    .operands_max = 64,
    .summary = "take values away that are good no longer",
    .detail =
        "The other values of NAME stay; when none is left, no guest is good. One that is not there "
        "is an error.",
    .options = remove_options,
    .option_count = ARRAY_LEN(remove_options),
    .args_size = sizeof(struct refvalue_args),
    .run = run_remove,
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
