/* SPDX-License-Identifier: Apache-2.0 */
/* sealed kbs renew: the next TLS certificate of a broker that `sealed kbs init` made, for the same key (a guest may have pinned it). */
#include <stdio.h>

#include "crypt/base/clock.h"
#include "crypt/base/file.h"
#include "fs/cli/certificate.h"
#include "fs/cli/tool.h"
#include "kbs/server/kbs_conf.h"

struct renew_args {
    const char *config, *ca, *ca_key;
    struct cli_list hostnames;
};

static const struct cli_option options_table[] = {
    {"config", 0, CLI_TEXT, offsetof(struct renew_args, config), "FILE",
        "the broker's configuration; default: " KBS_CONF_DEFAULT},
    {"ca", 0, CLI_TEXT, offsetof(struct renew_args, ca), "FILE",
        "certificate authority; default: /etc/sealedfs/kbs-ca.pem"},
    {"ca-key", 0, CLI_TEXT, offsetof(struct renew_args, ca_key), "FILE",
        "its private key; default: /etc/sealedfs/kbs-ca-key.pem"},
    {"hostname", 'n', CLI_LIST, offsetof(struct renew_args, hostnames), "NAME",
        "one more name or address for the certificate"},
};

static bool load_private(const char *path, struct jwk **ret_key, struct err *err)
{
    auto_secret *text = NULL;
    auto_jwk *key = NULL;
    if (!conf_credential(path, JWK_TEXT_MAX, false, &text, err) ||
        !jwk_from_secret(text, &key, err))
        return err_wrap(err, "private key %s", path);
    if (!jwk_is_private(key))
        return err_set(err, ERR_CONFIG, "%s is not a private key", path);
    *ret_key = take_ptr(key);
    return true;
}

/* The names of the present certificate and those that are added. */
static bool all_names(const struct cli_list *present, const struct cli_list *added,
    struct cli_list *ret_names, struct err *err)
{
    struct cli_list names = *present;
    if (added->count > CLI_LIST_MAX - names.count)
        return err_set(err, ERR_CONFIG, "a certificate takes at most %d names", CLI_LIST_MAX);
    for (size_t i = 0; i < added->count; i++)
        names.items[names.count++] = added->items[i];
    *ret_names = names;
    return true;
}

static bool run_renew(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct renew_args *args = options;
    const char *ca_path = args->ca ? args->ca : "/etc/sealedfs/kbs-ca.pem";
    auto_kbs_conf conf = {0};
    auto_buf old = BUF_INIT(CERTIFICATE_PEM_MAX), ca = BUF_INIT(CERTIFICATE_PEM_MAX),
             renewed = BUF_INIT(CERTIFICATE_PEM_MAX);
    AUTO_DONE(certificate_names_done) struct cli_list present = {0};
    struct cli_list names;
    auto_jwk *key = NULL, *ca_key = NULL;
    char until[CLOCK_TEXT_SIZE];
    int64_t not_after = 0;
    (void)operands, (void)operand_count;
    if (!kbs_conf_load(args->config ? args->config : KBS_CONF_DEFAULT, &conf, err))
        return false;
    if (!conf.server.tls_cert)
        return err_set(err, ERR_CONFIG, "the broker has no TLS certificate ([server] tls_cert)");
    if (!file_read(conf.server.tls_cert, CERTIFICATE_PEM_MAX, &old, err) ||
        !file_read(ca_path, CERTIFICATE_PEM_MAX, &ca, err) ||
        !certificate_read(buf_bytes(&old), &present, &not_after, err) ||
        !all_names(&present, &args->hostnames, &names, err) ||
        !load_private(conf.server.tls_key, &key, err) ||
        !load_private(args->ca_key ? args->ca_key : "/etc/sealedfs/kbs-ca-key.pem", &ca_key, err) ||
        !certificate_make_server(
            key, &names, buf_bytes(&ca), ca_key, clock_wall_s(), &renewed, err) ||
        !file_write(conf.server.tls_cert, buf_bytes(&renewed), 0644, err))
        return false;
    clock_rfc3339(clock_wall_s() + (int64_t)CERTIFICATE_SERVER_DAYS * 86400, until);
    return tool_printf(
        err, "%s: good until %s; restart sealed-kbs to use it\n", conf.server.tls_cert, until);
}

const struct cli_command tool_kbs_renew = {
    .name = "kbs renew",
    .operands = "",
    .summary = "make the key broker's next TLS certificate",
    .detail =
        "For the same key and the same names, two years from now. Run as root on the broker's "
        "machine, where `sealed kbs init` left the authority's key.",
    .options = options_table,
    .option_count = ARRAY_LEN(options_table),
    .args_size = sizeof(struct renew_args),
    .run = run_renew,
};
