/* SPDX-License-Identifier: Apache-2.0 */
/* sealed keygen signing|wrapping. */
#include "fs/cli/tool.h"

#include <stdio.h>
#include <string.h>

#include "crypt/base/file.h"
#include "crypt/jws.h"

struct keygen_args {
    const char *kid, *type;
};

static const struct cli_option signing_options[] = {
    {"kid", 0, CLI_TEXT, offsetof(struct keygen_args, kid), "URI",
        "key id to put into both files, e.g. kbs:///default/signing-key/team"},
    {"type", 't', CLI_TEXT, offsetof(struct keygen_args, type), "CURVE",
        "P-256 (default), P-521 or Ed25519"},
};

/* What seals: sealed.h. */
static const struct {
    const char *name;
    enum jwk_kind kind;
} types[] = {{"P-256", JWK_EC_P256}, {"P-521", JWK_EC_P521}, {"Ed25519", JWK_OKP_ED25519}};

static bool find_type(const char *type, enum jwk_kind *ret_kind, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (!type || strcmp(type, types[i].name) == 0) {
            *ret_kind = types[i].kind;
            return true;
        }
    return err_set(
        err, ERR_CONFIG, "--type %.40s: not known; P-256, P-521 and Ed25519 keys seal", type);
}

static bool run_signing(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct keygen_args *args = options;
    auto_jwk *key = NULL;
    auto_secret *private_text = NULL;
    auto_json *public_json = NULL;
    auto_free char *public_text = NULL, *private_path = NULL, *public_path = NULL;
    enum jwk_kind kind = JWK_EC_P256;
    enum jws_alg alg = JWS_ES256;
    (void)operand_count;
    if (!find_type(args->type, &kind, err))
        return false;
    if (asprintf(&private_path, "%s-private.json", operands[0]) < 0 ||
        asprintf(&public_path, "%s-public.json", operands[0]) < 0)
        return err_nomem(err);
    if (!jwk_generate(kind, args->kid, &key, err) || !jwk_private_text(key, &private_text, err) ||
        !jws_alg_of(key, &alg, err) || !jwk_public_json(key, jws_alg_name(alg), &public_json, err))
        return false;
    public_text = json_text(public_json);
    if (!public_text)
        return err_nomem(err);
    if (access(public_path, F_OK) == 0)
        return err_set(err, ERR_CONFIG, "%s exists; a key is never overwritten, move it away first",
            public_path);
    return tool_create_secret(private_path, private_text, err) &&
           file_write(public_path, bytes_str(public_text), 0644, err) &&
           tool_printf(err, "%s\n%s\n", private_path, public_path);
}

static bool run_wrapping(const void *options, char **operands, int operand_count, struct err *err)
{
    auto_secret *key = NULL;
    (void)options, (void)operand_count;
    return secret_random(32, &key, err) && tool_create_secret(operands[0], key, err) &&
           tool_printf(err, "%s\n", operands[0]);
}

const struct cli_command tool_keygen_signing = {
    .name = "keygen signing",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "make a key that signs sealed secrets",
    .detail = "Writes NAME-private.json (mode 0600; keep it) and NAME-public.json (upload it: "
              "`sealed kbs put`). Other programs that\n"
              "read sealed secrets know P-256 (ES256) alone.\n"
              "Exit status: 2 one of them is there already.",
    .options = signing_options,
    .option_count = ARRAY_LEN(signing_options),
    .args_size = sizeof(struct keygen_args),
    .run = run_signing,
};

const struct cli_command tool_keygen_wrapping = {
    .name = "keygen wrapping",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "make a key that wraps the data keys of envelopes",
    .detail = "32 random bytes, mode 0600: upload them with `sealed kbs put` and seal with `sealed "
              "seal envelope`.\n"
              "Exit status: 2 FILE is there already.",
    .run = run_wrapping,
};
