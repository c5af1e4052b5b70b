/* SPDX-License-Identifier: Apache-2.0 */
/* sealed kbs put|get|list|delete: the broker's resources, as its administrator. */
#include "fs/cli/broker.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "crypt/jwe.h"
#include "kbs/uri.h"

#define SCHEME "kbs:///"

struct resource_args {
    struct broker_args broker;
    const char *output;
    bool json;
};

static const struct cli_option put_options[] = {BROKER_OPTIONS};
static const struct cli_option get_options[] = {
    {"output", 'o', CLI_TEXT, offsetof(struct resource_args, output), "FILE",
        "write there (mode 0600) instead of standard output"},
    BROKER_OPTIONS,
};
static const struct cli_option list_options[] = {
    {"json", 0, CLI_FLAG, offsetof(struct resource_args, json), NULL, "print JSON"},
    BROKER_OPTIONS,
};

/* "/ROUTE/r/t/t" of a URI. */
static bool resource_path(
    const char *route, const char *text, char path[KBS_URI_MAX + 16], struct err *err)
{
    struct kbs_uri uri;
    if (!kbs_uri_parse(text, &uri, err))
        return false;
    if (uri.host[0])
        return err_set(err, ERR_CONFIG,
            "%s names a host; which broker is asked is said by --kbs URL, so write kbs:///%s/%s/%s",
            text, uri.repository, uri.type, uri.tag);
    snprintf(path, KBS_URI_MAX + 16, "/%s/%s/%s/%s", route, uri.repository, uri.type, uri.tag);
    return true;
}

/* The broker encrypts to a key made for this one answer, as it does for guests: no plaintext passes through HTTP. */
static bool run_get(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct resource_args *args = options;
    auto_broker *broker = NULL;
    auto_jwk *key = NULL;
    auto_json *public_json = NULL, *body = NULL;
    auto_buf answer = BUF_INIT(BROKER_ANSWER_MAX);
    auto_secret *content = NULL;
    char path[KBS_URI_MAX + 16];
    (void)operand_count;
    if (!resource_path("resource-data", operands[0], path, err) ||
        !broker_open(&args->broker, &broker, err) || !jwk_generate(JWK_EC_P256, NULL, &key, err) ||
        !jwk_public_json(key, jwe_alg_for(key), &public_json, err) ||
        !json_build(&body, err, "{s:O}", "tee-pubkey", public_json))
        return false;
    auto_free char *text = json_text(body);
    if (!text)
        return err_nomem(err);
    return broker_call(broker, "POST", path, bytes_str(text), &answer, err) &&
           jwe_decrypt(buf_bytes(&answer), key, &content, err) &&
           tool_write_secret(args->output, content, err);
}

static bool run_put(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct resource_args *args = options;
    auto_broker *broker = NULL;
    auto_secret *content = NULL;
    char path[KBS_URI_MAX + 16];
    return resource_path("resource", operands[0], path, err) &&
           broker_open(&args->broker, &broker, err) &&
           tool_read_secret(
               operand_count > 1 ? operands[1] : "-", SECRET_SIZE_MAX, &content, err) &&
           broker_upload(broker, path, content, err);
}

static bool run_delete(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct resource_args *args = options;
    auto_broker *broker = NULL;
    auto_buf answer = BUF_INIT(BROKER_ANSWER_MAX);
    char path[KBS_URI_MAX + 16];
    (void)operand_count;
    return resource_path("resource", operands[0], path, err) &&
           broker_open(&args->broker, &broker, err) &&
           broker_call(broker, "DELETE", path, BYTES_EMPTY, &answer, err);
}

/* Those of `keys` ("r/t/t") that begin with `prefix`, as URIs. */
static bool select_uris(const json_t *keys, const char *prefix, json_t **ret_uris, struct err *err)
{
    auto_json *uris = NULL;
    size_t i;
    const json_t *key;
    if (!json_is_array(keys))
        return err_set(err, ERR_FORMAT, "the key broker's answer is no list of resources");
    if (!json_build(&uris, err, "[]"))
        return false;
    json_array_foreach(keys, i, key)
    {
        const char *name = json_string_value(key);
        auto_free char *uri = NULL;
        if (!name)
            return err_set(err, ERR_FORMAT, "the key broker's list has an item that is no text");
        if (strncmp(name, prefix, strlen(prefix)) != 0)
            continue;
        if (asprintf(&uri, SCHEME "%s", name) < 0) {
            uri = NULL;
            return err_nomem(err);
        }
        if (json_array_append_new(uris, json_string(uri)) != 0)
            return err_nomem(err);
    }
    *ret_uris = take_ptr(uris);
    return true;
}

static bool run_list(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct resource_args *args = options;
    auto_broker *broker = NULL;
    auto_json *keys = NULL, *uris = NULL;
    size_t i;
    const json_t *uri;
    const char *prefix = operand_count > 0 ? operands[0] : "";
    if (strncasecmp(prefix, SCHEME, strlen(SCHEME)) == 0)
        prefix += strlen(SCHEME);
    if (!broker_open(&args->broker, &broker, err) ||
        !broker_get_json(broker, "/resource", &keys, err) || !select_uris(keys, prefix, &uris, err))
        return false;
    if (args->json)
        return tool_print_json(uris, err);
    json_array_foreach(uris, i, uri)
    {
        if (!tool_printf(err, "%s\n", json_string_value(uri)))
            return false;
    }
    return true;
}

const struct cli_command tool_kbs_put = {
    .name = "kbs put",
    .operands = "URI [FILE]",
    .operands_min = 1,
    .operands_max = 2,
    .summary = "store a resource, kbs:///repository/type/tag, in the key broker",
    .detail = "FILE defaults to standard input, which \"-\" stands for as well; its bytes are kept "
              "as they are, a newline at the end too. At most 1 MiB.\n"
              "What was there before is replaced. Exit status: 0 stored; 7 the broker does not "
              "take this administrator; 9 it cannot be reached.",
    .options = put_options,
    .option_count = ARRAY_LEN(put_options),
    .args_size = sizeof(struct resource_args),
    .run = run_put,
};

const struct cli_command tool_kbs_get = {
    .name = "kbs get",
    .operands = "URI",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "read a resource back, if the key broker lets its administrators",
    .detail =
        "A sealed-kbs does so only with read_resources = yes in section [admin], and logs each "
        "read; a Trustee KBS never does. What guests\n"
        "are given is read on a guest: sealed get. Exit status: 7 refused; 11 there is none, or "
        "the "
        "broker does not offer it.",
    .options = get_options,
    .option_count = ARRAY_LEN(get_options),
    .args_size = sizeof(struct resource_args),
    .run = run_get,
};

const struct cli_command tool_kbs_list = {
    .name = "kbs list",
    .operands = "[PREFIX]",
    .operands_max = 1,
    .summary = "list the resources of the key broker, not their content",
    .detail = "PREFIX is the beginning of a URI: kbs:///default/, or default/key. An empty list is "
              "no failure (exit status 0).",
    .options = list_options,
    .option_count = ARRAY_LEN(list_options),
    .args_size = sizeof(struct resource_args),
    .run = run_list,
};

const struct cli_command tool_kbs_delete = {
    .name = "kbs delete",
    .operands = "URI",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "delete a resource from the key broker",
    .detail = "Guests that hold it keep it until their cache or staleness limit ends. Exit status: "
              "0 deleted; 11 there is none.",
    .options = put_options,
    .option_count = ARRAY_LEN(put_options),
    .args_size = sizeof(struct resource_args),
    .run = run_delete,
};
