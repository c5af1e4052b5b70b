/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed attest enroll: makes this machine's attestation key known to a key broker (not part of CoCo; kbs/server/agents/agent.h).
 *     attestd gives the EK and its certificate and the AK; the broker answers with a credential that only the TPM with that EK and
 *     that AK can recover; attestd recovers it; the broker records the key, admitted at once or waiting for an administrator.
 */
#include "fs/cli/tool.h"

#include <string.h>

#include "attest/client.h"
#include "crypt/base/ipc.h"
#include "crypt/base/b64.h"
#include "fs/sealedfs_conf.h"
#include "kbs/http.h"
#include "kbs/proto.h"

#define ENROLL_TIMEOUT_MS 60000
#define ENROLL_ANSWER_MAX 65536

struct enroll_args {
    const char *kbs, *ca_file, *pinned_key, *attestd, *config, *uuid;
    bool create_key, plain, json;
};

static const struct cli_option options_table[] = {
    {"create-key", 0, CLI_FLAG, offsetof(struct enroll_args, create_key), NULL,
        "make the attestation key if its handle in the TPM is empty"},
    {"uuid", 0, CLI_TEXT, offsetof(struct enroll_args, uuid), "UUID",
        "by which the broker's administrator knows this machine, in lower case"},
    {"kbs", 0, CLI_TEXT, offsetof(struct enroll_args, kbs), "URL",
        "key broker; default: [kbs] url of the configuration"},
    {"ca-file", 0, CLI_TEXT, offsetof(struct enroll_args, ca_file), "FILE",
        "certificate authority of the key broker, PEM"},
    {"pinned-key", 0, CLI_TEXT, offsetof(struct enroll_args, pinned_key), "PIN",
        "sha256//… of the key broker's public key"},
    {"allow-plain", 0, CLI_FLAG, offsetof(struct enroll_args, plain), NULL,
        "allow http:// to another machine"},
    {"attestd", 0, CLI_TEXT, offsetof(struct enroll_args, attestd), "PATH",
        "the attestation daemon's socket"},
    {"config", 0, CLI_TEXT, offsetof(struct enroll_args, config), "FILE",
        "configuration to take defaults from"},
    {"json", 0, CLI_FLAG, offsetof(struct enroll_args, json), NULL, "print JSON"},
};

struct broker {
    const char *url;
    struct http_conf http;
};

static bool broker_post(const struct broker *broker, const char *path, const json_t *body,
    json_t **ret_answer, struct err *err)
{
    auto_free char *text = json_text(body), *url = NULL;
    auto_buf answer = BUF_INIT(ENROLL_ANSWER_MAX);
    struct http_response response;
    if (!text || asprintf(&url, "%s%s", broker->url, path) < 0)
        return err_nomem(err);
    struct http_request request = {.method = "POST",
        .url = url,
        .body = bytes_str(text),
        .timeout_ms = ENROLL_TIMEOUT_MS,
        .response_max = ENROLL_ANSWER_MAX};
    if (!http_ask(&broker->http, &request, &answer, &response, err))
        return false;
    if (response.status == 200)
        return json_load_strict(
            buf_bytes(&answer), ENROLL_ANSWER_MAX, "answer of the key broker", ret_answer, err);
    struct proto_error refusal;
    proto_error_decode(buf_bytes(&answer), &refusal);
    err_set(err, ERR_DENIED_POLICY, "%s answered %ld %s: %s", url, response.status, refusal.name,
        refusal.detail);
    proto_error_ref(&refusal, err->ref);
    return false;
}

static bool member_bytes(const json_t *object, const char *name, struct buf *out, struct err *err)
{
    const char *text = json_member_text(object, name);
    if (!text)
        return err_set(err, ERR_FORMAT, "the key broker's answer has no '%s'", name);
    return b64_decode(B64_STD, bytes_str(text), name, out, err);
}

/* Asks attestd for the keys and the broker for a credential bound to both. */
static bool enroll_begin(const struct enroll_args *args, const char *attestd,
    const struct broker *broker, json_t **ret_challenge, struct err *err)
{
    struct attest_request request = {.kind = ATTEST_ENROL, .create = args->create_key};
    struct attest_answer keys;
    auto_buf message = BUF_INIT(ATTEST_ANSWER_MAX);
    auto_json *body = NULL;
    if (!attest_ask(attestd, &request, ENROLL_TIMEOUT_MS, &message, &keys, err))
        return false;
    auto_free char *ek = b64_encode(B64_STD, keys.ek_public),
                   *certificate = b64_encode(B64_STD, keys.ek_certificate);
    auto_free char *ak = b64_encode(B64_STD, keys.ak_public);
    if (!ek || !certificate || !ak)
        return err_nomem(err);
    return json_build(&body, err, "{s:s,s:s,s:s}", "ek_public", ek, "ek_certificate", certificate,
               "ak_public", ak) &&
           broker_post(broker, "/kbs/v0/agent/enroll", body, ret_challenge, err);
}

/* The credential proves to the broker that this TPM holds both keys; it is worth nothing afterwards. */
static bool enroll_finish(const char *attestd, const char *uuid, const struct broker *broker,
    const json_t *challenge, json_t **ret_result, struct err *err)
{
    struct attest_request request = {.kind = ATTEST_ACTIVATE};
    auto_secret *activated = NULL;
    auto_buf credential = BUF_INIT(ATTEST_BLOB_MAX), secret = BUF_INIT(ATTEST_BLOB_MAX);
    auto_json *body = NULL;
    const char *opaque = json_member_text(challenge, "challenge");
    if (!opaque)
        return err_set(err, ERR_FORMAT, "the key broker's answer has no 'challenge'");
    if (!member_bytes(challenge, "credential", &credential, err) ||
        !member_bytes(challenge, "secret", &secret, err))
        return false;
    request.credential = buf_bytes(&credential);
    request.secret = buf_bytes(&secret);
    if (!attest_ask_credential(attestd, &request, ENROLL_TIMEOUT_MS, &activated, err))
        return false;
    auto_free char *recovered = b64_encode(B64_STD, secret_bytes(activated));
    if (!recovered)
        return err_nomem(err);
    return json_build(&body, err, "{s:s,s:s,s:s*}", "challenge", opaque, "credential", recovered,
               "uuid", uuid) &&
           broker_post(broker, "/kbs/v0/agent/activate", body, ret_result, err);
}

static bool run_enroll(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct enroll_args *args = options;
    AUTO_DONE(sealedfs_conf_done) struct sealedfs_conf conf = {0};
    auto_json *challenge = NULL, *result = NULL;
    (void)operands, (void)operand_count;
    if (!sealedfs_conf_load(args->config, NULL, NULL, &conf, err))
        return false;
    struct broker broker = {.url = args->kbs                 ? args->kbs
                                   : conf.kbs.urls.count > 0 ? conf.kbs.urls.items[0]
                                                             : NULL,
        .http = {.ca_file = args->ca_file ? args->ca_file : conf.kbs.ca_file,
            .pinned_key = args->pinned_key ? args->pinned_key : conf.kbs.pinned_key,
            .proxy = conf.kbs.proxy,
            .proxy_credential = conf.kbs.proxy_credential,
            .no_proxy = (const char *const *)conf.kbs.no_proxy.items,
            .no_proxy_count = conf.kbs.no_proxy.count,
            .allow_plain = args->plain || conf.kbs.allow_plain}};
    const char *attestd = args->attestd ? args->attestd : conf.attest.socket;
    if (!broker.url)
        return err_set(
            err, ERR_CONFIG, "no key broker: give --kbs URL or set url in section [kbs]");
    if (!enroll_begin(args, attestd, &broker, &challenge, err) ||
        !enroll_finish(attestd, args->uuid, &broker, challenge, &result, err))
        return false;
    if (args->json)
        return tool_print_json(result, err);
    const char *id = json_member_text(result, "id"), *state = json_member_text(result, "state");
    if (state && strcmp(state, "admitted") == 0)
        return tool_printf(err, "agent %s is enrolled and admitted\n", id ? id : "?");
    return tool_printf(err,
        "agent %s is enrolled and %s; an administrator lets it in with `sealed kbs agent admit "
        "%.16s`\n",
        id ? id : "?", state ? state : "?", id ? id : "?");
}

const struct cli_command tool_enroll = {
    .name = "attest enroll",
    .operands = "",
    .summary = "make this machine's attestation key known to the key broker",
    .detail = "Proves to the broker that the key lives in the TPM whose endorsement certificate it "
              "sees. Run as root, once per machine.",
    .options = options_table,
    .option_count = ARRAY_LEN(options_table),
    .args_size = sizeof(struct enroll_args),
    .run = run_enroll,
};
