/* SPDX-License-Identifier: Apache-2.0 */
/* sealed keygen signing|wrapping. */
#include "fs/cli/tool.h"

#include <stdio.h>

#include "crypt/base/file.h"
#include "crypt/jwk.h"

struct keygen_args {
    const char *kid;
};

static const struct cli_option signing_options[] = {
    {"kid", 0, CLI_TEXT, offsetof(struct keygen_args, kid), "URI",
        "key id to put into both files, e.g. kbs:///default/signing-key/team"},
};

static bool run_signing(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct keygen_args *args = options;
    auto_jwk *key = NULL;
    auto_secret *private_text = NULL;
    auto_json *public_json = NULL;
    auto_free char *public_text = NULL, *private_path = NULL, *public_path = NULL;
    (void)operand_count;
    if (asprintf(&private_path, "%s-private.json", operands[0]) < 0 ||
        asprintf(&public_path, "%s-public.json", operands[0]) < 0)
        return err_nomem(err);
    if (!jwk_generate(JWK_EC_P256, args->kid, &key, err) ||
        !jwk_private_text(key, &private_text, err) ||
        !jwk_public_json(key, "ES256", &public_json, err))
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
              "`sealed kbs put`). EC P-256, ES256.\n"
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
