/* SPDX-License-Identifier: Apache-2.0 */
/* sealed seal vault|envelope: makes sealed strings. Needs no server: the signing key and, for an envelope, the wrapping key are files. */
#include "fs/cli/tool.h"

#include "crypt/base/conf.h"
#include "crypt/sealed.h"
#include "kbs/uri.h"

struct seal_args {
    const char *key, *kid, *uri, *wrapping_key, *context, *output;
};

#define SEAL_OPTIONS                                                                             \
    {"key", 'k', CLI_TEXT, offsetof(struct seal_args, key), "FILE",                              \
        "private signing key: JWK or PEM, P-256, P-521 or Ed25519", .required = true},           \
        {"kid", 0, CLI_TEXT, offsetof(struct seal_args, kid), "URI",                             \
            "where readers find the public key, e.g. kbs:///default/signing-key/team; default: " \
            "the kid in the key"},                                                               \
        {"context", 'c', CLI_TEXT, offsetof(struct seal_args, context), "TEXT",                  \
            "bind the secret to this context: the path below the mount it is meant for"},        \
    {                                                                                            \
        "output", 'o', CLI_TEXT, offsetof(struct seal_args, output), "FILE",                     \
            "write there instead of standard output"                                             \
    }

static const struct cli_option vault_options[] = {
    SEAL_OPTIONS,
};

static const struct cli_option envelope_options[] = {
    SEAL_OPTIONS,
    {"wrapping-uri", 'u', CLI_TEXT, offsetof(struct seal_args, uri), "URI",
        "resource that holds the wrapping key", .required = true},
    {"wrapping-key", 'w', CLI_TEXT, offsetof(struct seal_args, wrapping_key), "FILE",
        "the wrapping key itself, 32 bytes", .required = true},
};

static bool load_signer(
    const struct seal_args *args, struct jwk **ret_signer, const char **ret_kid, struct err *err)
{
    auto_secret *text = NULL;
    auto_jwk *signer = NULL;
    if (!conf_credential(args->key, JWK_TEXT_MAX, false, &text, err) ||
        !jwk_from_secret(text, &signer, err))
        return err_wrap(err, "signing key %s", args->key);
    const char *kid = args->kid ? args->kid : jwk_kid(signer);
    if (!kid)
        return err_set(err, ERR_CONFIG,
            "the signing key has no kid; give one with --kid kbs:///repository/signing-key/tag");
    *ret_kid = kid;
    *ret_signer = take_ptr(signer);
    return true;
}

/* A name that no reader can ever fetch is refused where it is written. */
static bool check_uri(const char *text, struct err *err)
{
    struct kbs_uri uri;
    return kbs_uri_parse(text, &uri, err);
}

static bool run_vault(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct seal_args *args = options;
    auto_jwk *signer = NULL;
    auto_free char *text = NULL;
    const char *kid = NULL;
    (void)operand_count;
    return check_uri(operands[0], err) && load_signer(args, &signer, &kid, err) &&
           sealed_make_vault(signer, kid, operands[0], args->context, &text, err) &&
           tool_write_text(args->output, text, err);
}

static bool run_envelope(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct seal_args *args = options;
    auto_jwk *signer = NULL;
    auto_secret *wrapping_key = NULL, *plaintext = NULL;
    auto_free char *text = NULL;
    const char *kid = NULL;
    if (!check_uri(args->uri, err) || !load_signer(args, &signer, &kid, err))
        return false;
    if (!conf_credential(args->wrapping_key, 64, false, &wrapping_key, err))
        return err_wrap(err, "wrapping key");
    if (secret_len(wrapping_key) != 32)
        return err_set(err, ERR_FORMAT,
            "wrapping key %s has %zu bytes; it must be 32 random bytes (`sealed keygen wrapping "
            "FILE`)",
            args->wrapping_key, secret_len(wrapping_key));
    return tool_read_secret(
               operand_count > 0 ? operands[0] : "-", SECRET_SIZE_MAX, &plaintext, err) &&
           sealed_make_envelope(
               signer, kid, args->uri, wrapping_key, plaintext, args->context, &text, err) &&
           tool_write_text(args->output, text, err);
}

const struct cli_command tool_seal_vault = {
    .name = "seal vault",
    .operands = "URI",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "make a sealed string that names a secret in the key broker",
    .detail = "URI is the resource, kbs:///repository/type/tag. The secret itself is uploaded with "
              "`sealed kbs put`.\n"
              "Exit status: 2 no usable signing key; 4 URI is no resource.",
    .options = vault_options,
    .option_count = ARRAY_LEN(vault_options),
    .args_size = sizeof(struct seal_args),
    .run = run_vault,
};

const struct cli_command tool_seal_envelope = {
    .name = "seal envelope",
    .operands = "[FILE]",
    .operands_max = 1,
    .summary = "make a sealed string that carries a secret, encrypted",
    .detail = "FILE holds the plaintext (default: standard input). The data key is wrapped under "
              "the wrapping key, which the key\n"
              "broker releases to guests that its policy allows. A sealed string has at most 1 "
              "MiB, so the "
              "plaintext about half of that;\n"
              "what is larger goes into the broker and is named by `seal vault`. Exit status: 2 no "
              "usable key; 4 too large, or URI is no resource.",
    .options = envelope_options,
    .option_count = ARRAY_LEN(envelope_options),
    .args_size = sizeof(struct seal_args),
    .run = run_envelope,
};
