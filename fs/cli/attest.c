/* SPDX-License-Identifier: Apache-2.0 */
/* sealed attest: proves this guest's state to the key broker now, and shows what that gave. */
#include "fs/cli/tool.h"

#include "attest/client.h"
#include "crypt/base/ipc.h"
#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "crypt/hash.h"
#include "fs/control.h"

struct attest_args {
    const char *socket, *attestd, *nonce;
    bool token, evidence, json;
};

static const struct cli_option options_table[] = {
    {"token", 't', CLI_FLAG, offsetof(struct attest_args, token), NULL,
        "print the token (root only: it is a bearer credential)"},
    {"evidence", 'e', CLI_FLAG, offsetof(struct attest_args, evidence), NULL,
        "print fresh evidence from attestd, bound to a nonce and a key made for it, without asking "
        "the key broker"},
    {"nonce", 'n', CLI_TEXT, offsetof(struct attest_args, nonce), "TEXT",
        "with --evidence: this nonce instead of a random one"},
    {"json", 0, CLI_FLAG, offsetof(struct attest_args, json), NULL, "print JSON"},
    {"socket", 0, CLI_TEXT, offsetof(struct attest_args, socket), "PATH",
        "the agent's control socket"},
    {"attestd", 0, CLI_TEXT, offsetof(struct attest_args, attestd), "PATH",
        "the attestation daemon's socket"},
};

static bool random_nonce(char out[45], struct err *err)
{
    uint8_t nonce[32];
    return hash_random(nonce, sizeof nonce, err) &&
           b64_encode_to(B64_STD, bytes_of(nonce, sizeof nonce), out, 45, err);
}

/* {"tee","nonce","tee-pubkey","evidence"}: enough for anybody to verify the binding. */
static bool print_evidence(const struct attest_args *args, struct err *err)
{
    struct attest_request request;
    struct attest_answer answer;
    auto_jwk *key = NULL;
    auto_buf message = BUF_INIT(ATTEST_ANSWER_MAX);
    auto_json *evidence = NULL, *pubkey = NULL, *output = NULL;
    char nonce[45];
    if (!random_nonce(nonce, err) || !jwk_generate(JWK_EC_P256, NULL, &key, err) ||
        !attest_request_evidence(
            &request, args->nonce ? args->nonce : nonce, HASH_SHA384, key, err) ||
        !attest_ask(args->attestd ? args->attestd : ATTEST_SOCKET_DEFAULT, &request,
            CONTROL_TIMEOUT_MS, &message, &answer, err) ||
        !json_load_strict(answer.body, ATTEST_EVIDENCE_MAX, "evidence", &evidence, err) ||
        !json_load_strict(
            bytes_str(request.tee_pubkey), ATTEST_PUBKEY_MAX, "tee-pubkey", &pubkey, err))
        return false;
    return json_build(&output, err, "{s:s,s:s,s:O,s:O}", "tee", answer.tee, "nonce", request.nonce,
               "tee-pubkey", pubkey, "evidence", evidence) &&
           tool_print_json(output, err);
}

static bool print_token(const struct attest_args *args, struct err *err)
{
    auto_json *request = NULL, *answer = NULL;
    auto_secret *token = NULL;
    return json_build(&request, err, "{s:s}", "op", "token") &&
           control_ask(tool_socket(args->socket), request, -1, &answer, &token, err) &&
           tool_write_secret(NULL, token, err) && tool_printf(err, "\n");
}

static bool run_attest(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct attest_args *args = options;
    auto_json *request = NULL, *answer = NULL;
    char expires[CLOCK_TEXT_SIZE];
    (void)operands, (void)operand_count;
    if (args->token && args->evidence)
        return err_set(
            err, ERR_CONFIG, "--token and --evidence are two different questions; ask one");
    if (args->evidence)
        return print_evidence(args, err);
    if (args->token)
        return print_token(args, err);
    if (!json_build(&request, err, "{s:s}", "op", "attest") ||
        !control_ask(tool_socket(args->socket), request, -1, &answer, NULL, err))
        return false;
    const json_t *status = json_object_get(answer, "status");
    if (args->json)
        return tool_print_json(status, err);
    const char *url = json_member_text(status, "url");
    clock_rfc3339(json_integer_value(json_object_get(status, "token_expires_at")), expires);
    if (!tool_printf(
            err, "attested to %s; token good until %s\n", url ? url : "the key broker", expires))
        return false;
    if (json_is_true(json_object_get(status, "token_affirming")))
        return true;
    return tool_printf(err, "but the broker does not find this guest affirming: a policy that asks "
                            "for that refuses it; "
                            "see what `sealed explain` says after the next read\n");
}

const struct cli_command tool_attest = {
    .name = "attest",
    .operands = "",
    .summary = "prove this guest's state to the key broker now",
    .detail =
        "Without an option: attests through the agent if it has no good token, and says how "
        "long the token lasts.\n"
        "Exit status: 7 the key broker refuses this guest; 8 no evidence could be made here; 9 the "
        "key broker cannot be reached.",
    .options = options_table,
    .option_count = ARRAY_LEN(options_table),
    .args_size = sizeof(struct attest_args),
    .run = run_attest,
};
