/* SPDX-License-Identifier: Apache-2.0 */
/* sealed kbs token-key roll: the next token signing key of a broker, with the one before taken for a while (kbs/server/token/token_keys.h). */
#include <stdio.h>

#include "crypt/base/clock.h"
#include "crypt/base/file.h"
#include "fs/cli/certificate.h"
#include "fs/cli/tool.h"
#include "kbs/server/kbs_conf.h"
#include "kbs/server/token/token_file.h"

#define OVERLAP_DEFAULT_MS (3600 * 1000)
#define OVERLAP_MAX_MS     (7 * 86400 * INT64_C(1000))
#define CA_DEFAULT         "/etc/sealedfs/kbs-ca.pem"
#define CA_KEY_DEFAULT     "/etc/sealedfs/kbs-ca-key.pem"

struct roll_args {
    const char *config, *ca, *ca_key;
    int64_t overlap_ms;
};

static const struct cli_option options_table[] = {
    {"config", 0, CLI_TEXT, offsetof(struct roll_args, config), "FILE",
        "the broker's configuration; default: " KBS_CONF_DEFAULT},
    {"overlap", 0, CLI_DURATION, offsetof(struct roll_args, overlap_ms), "TIME",
        "how long the key of now may go on signing, until sealed-kbs is restarted; default: 1h",
        1000, OVERLAP_MAX_MS},
    {"ca", 0, CLI_TEXT, offsetof(struct roll_args, ca), "FILE",
        "certificate authority, where [token] certificate is set; default: " CA_DEFAULT},
    {"ca-key", 0, CLI_TEXT, offsetof(struct roll_args, ca_key), "FILE",
        "its private key; default: " CA_KEY_DEFAULT},
};

/* The next certificate, for the names of the present one. `pem` stays empty where none is configured. */
static bool next_certificate(const struct roll_args *args, const struct kbs_conf *conf,
    const struct jwk *key, struct buf *pem, struct err *err)
{
    auto_buf old = BUF_INIT(CERTIFICATE_PEM_MAX), ca = BUF_INIT(CERTIFICATE_PEM_MAX);
    AUTO_DONE(certificate_names_done) struct cli_list names = {0};
    auto_secret *text = NULL;
    auto_jwk *ca_key = NULL;
    int64_t not_after = 0;
    const char *key_path = args->ca_key ? args->ca_key : CA_KEY_DEFAULT;
    if (!conf->token.certificate)
        return true;
    if (!file_read(conf->token.certificate, CERTIFICATE_PEM_MAX, &old, err) ||
        !file_read(args->ca ? args->ca : CA_DEFAULT, CERTIFICATE_PEM_MAX, &ca, err) ||
        !certificate_read(buf_bytes(&old), &names, &not_after, err) ||
        !conf_credential(key_path, JWK_TEXT_MAX, false, &text, err) ||
        !jwk_from_secret(text, &ca_key, err))
        return err_wrap(
            err, "the new key needs a new certificate ([token] certificate); nothing was changed");
    return certificate_make_server(key, &names, buf_bytes(&ca), ca_key, clock_wall_s(), pem, err);
}

static bool write_previous(
    const char *path, const struct jwk *old, int64_t retired, struct err *err)
{
    auto_json *json = NULL;
    if (!jwk_public_json(old, "ES256", &json, err))
        return false;
    if (json_object_set_new(json, "retired", json_integer(retired)) != 0)
        return err_nomem(err);
    auto_free char *text = json_text(json);
    return text ? file_write(path, bytes_str(text), 0644, err) : err_nomem(err);
}

static bool run_roll(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct roll_args *args = options;
    auto_kbs_conf conf = {0};
    auto_jwk *old = NULL, *next = NULL;
    auto_secret *text = NULL;
    auto_buf certificate = BUF_INIT(CERTIFICATE_PEM_MAX);
    char until[CLOCK_TEXT_SIZE];
    (void)operands, (void)operand_count;
    int64_t overlap_ms = args->overlap_ms ? args->overlap_ms : OVERLAP_DEFAULT_MS;
    int64_t retired = clock_wall_s() + overlap_ms / 1000;
    if (!kbs_conf_load(args->config ? args->config : KBS_CONF_DEFAULT, &conf, err) ||
        !token_file_read(conf.token.key, &old, err) ||
        !jwk_generate(JWK_EC_P256, NULL, &next, err) || !jwk_private_text(next, &text, err) ||
        !next_certificate(args, &conf, next, &certificate, err))
        return false;
    /* The old key first, so that whatever is cut off here leaves a broker that takes its own tokens. */
    if (!write_previous(conf.token.previous, old, retired, err) ||
        !tool_write_secret(conf.token.key, text, err))
        return false;
    if (certificate.len > 0 &&
        !file_write(conf.token.certificate, buf_bytes(&certificate), 0644, err))
        return err_wrap(err, "the key is new, its certificate is not: sealed-kbs will not start");
    clock_rfc3339(retired, until);
    return tool_printf(err,
        "%s: new; %s: the one before, which may sign until %s\n"
        "restart sealed-kbs before that (replicas: copy both files to each, then restart one after "
        "another); no guest is refused\n",
        conf.token.key, conf.token.previous, until);
}

const struct cli_command tool_kbs_token_key_roll = {
    .name = "kbs token-key roll",
    .operands = "",
    .summary = "make the key broker's next token signing key",
    .detail =
        "Run as root on the broker's machine. Tokens of the key before are taken until they end, "
        "and both keys are in /.well-known/jwks.json. A handshake that is under way when "
        "sealed-kbs restarts begins anew; clients do that by themselves.",
    .options = options_table,
    .option_count = ARRAY_LEN(options_table),
    .args_size = sizeof(struct roll_args),
    .run = run_roll,
};
