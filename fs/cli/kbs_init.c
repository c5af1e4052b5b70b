/* SPDX-License-Identifier: Apache-2.0 */
/* sealed kbs init: everything that a sealed-kbs needs before its first start. Overwrites nothing; what it made is taken back when a
 * later step fails. */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "crypt/base/clock.h"
#include "crypt/base/file.h"
#include "crypt/base/sandbox.h"
#include "fs/cli/broker.h"
#include "fs/cli/certificate.h"
#include "fs/cli/kbs_init_conf.h"
#include "kbs/server/kbs_conf.h"

#define STATE_DEFAULT  "/var/lib/sealed-kbs"
#define ADMIN_DEFAULT  "/etc/sealedfs"
#define USER_DEFAULT   "sealed-kbs"
#define LISTEN_LOCAL   "127.0.0.1:8443"
#define LISTEN_NETWORK "0.0.0.0:8443"

struct init_args {
    const char *dir, *config, *admin_dir, *listen, *user, *ek_roots;
    struct cli_list hostnames, tees;
};

static const struct cli_option options_table[] = {
    {"dir", 'd', CLI_TEXT, offsetof(struct init_args, dir), "DIR",
        "state of the broker: resources, policies, agents; default: " STATE_DEFAULT},
    {"admin-dir", 0, CLI_TEXT, offsetof(struct init_args, admin_dir), "DIR",
        "where keys and certificates go; default: " ADMIN_DEFAULT},
    {"config", 0, CLI_TEXT, offsetof(struct init_args, config), "FILE",
        "the broker's configuration; default: kbs.conf in the directory of --admin-dir"},
    {"hostname", 'n', CLI_LIST, offsetof(struct init_args, hostnames), "NAME",
        "host name or numeric address by which guests reach the broker"},
    {"listen", 'l', CLI_TEXT, offsetof(struct init_args, listen), "ADDRESS:PORT",
        "numeric; default: " LISTEN_NETWORK " with --hostname, else " LISTEN_LOCAL},
    {"user", 'u', CLI_TEXT, offsetof(struct init_args, user), "NAME",
        "user that the broker becomes; default: " USER_DEFAULT},
    {"ek-roots", 0, CLI_TEXT, offsetof(struct init_args, ek_roots), "DIR",
        "root certificates (PEM) of TPM makers; without them no guest can enrol"},
    {"tee", 0, CLI_LIST, offsetof(struct init_args, tees), "KIND",
        "evidence to take: tpm, or sample for tests; default: tpm"},
};

/* In the order in which they are written; private ones are for root alone. */
enum init_file {
    INIT_CA_KEY,
    INIT_CA,
    INIT_TLS_KEY,
    INIT_TLS,
    INIT_TOKEN,
    INIT_ADMIN,
    INIT_ADMIN_PUBLIC,
    INIT_CONFIG,
    INIT_PROFILE,
    INIT_FILE_COUNT
};
static const struct {
    const char *name, *what;
} files[INIT_FILE_COUNT] = {
    [INIT_CA_KEY] = {"kbs-ca-key.pem", "key of the certificate authority; keep a copy elsewhere"},
    [INIT_CA] = {"kbs-ca.pem", "certificate authority, 10 years: give it to guests (ca_file)"},
    [INIT_TLS_KEY] = {"kbs-tls-key.pem", "TLS key of the broker"},
    [INIT_TLS] = {"kbs-tls.pem", "its certificate, 2 years: `sealed kbs renew` makes the next"},
    [INIT_TOKEN] = {"kbs-token.jwk", "key that signs guests' tokens"},
    [INIT_ADMIN] = {"admin.jwk", "the administrator's private key; `sealed kbs` uses it"},
    [INIT_ADMIN_PUBLIC] = {"admin-public.jwk", "its public half, which the broker knows"},
    [INIT_CONFIG] = {"kbs.conf", "configuration of the broker"},
    [INIT_PROFILE] = {"admin.conf", "where `sealed kbs` finds broker and key"},
};

struct plan {
    char *paths[INIT_FILE_COUNT];
    char *dir, *admin_dir, *ek_roots, *port_file, *url, *tees;
    const char *user, *listen;
    char own_address[INET6_ADDRSTRLEN]; /* when it listens on one that is not loopback */
    struct cli_list names;
    uid_t uid;
    gid_t gid;
    size_t made; /* files, in order: taken back unless `finished` */
    bool made_dir, finished;
};

static void plan_done(struct plan *plan)
{
    if (!plan->finished) {
        while (plan->made > 0)
            (void)unlink(plan->paths[--plan->made]);
        if (plan->made_dir)
            (void)rmdir(plan->dir);
    }
    for (size_t i = 0; i < INIT_FILE_COUNT; i++)
        free(plan->paths[i]);
    free(plan->dir);
    free(plan->admin_dir);
    free(plan->ek_roots);
    free(plan->port_file);
    free(plan->url);
    free(plan->tees);
}

static bool formatted(char **ret_text, struct err *err, const char *format, ...) PRINTF_LIKE(3, 4);
static bool formatted(char **ret_text, struct err *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vasprintf(ret_text, format, args);
    va_end(args);
    if (len >= 0)
        return true;
    *ret_text = NULL;
    return err_nomem(err);
}

/* -- what is to be made ------------------------------------------------------------------------ */

static bool plan_paths(struct plan *plan, const struct init_args *args, struct err *err)
{
    if (!tool_absolute(args->dir ? args->dir : STATE_DEFAULT, &plan->dir, err) ||
        !tool_absolute(args->admin_dir ? args->admin_dir : ADMIN_DEFAULT, &plan->admin_dir, err) ||
        (args->ek_roots && !tool_absolute(args->ek_roots, &plan->ek_roots, err)) ||
        !formatted(&plan->port_file, err, "%s/port", plan->dir))
        return false;
    for (size_t i = 0; i < INIT_FILE_COUNT; i++) {
        bool own = i == INIT_CONFIG && args->config;
        if (own ? !tool_absolute(args->config, &plan->paths[i], err)
                : !formatted(&plan->paths[i], err, "%s/%s", plan->admin_dir, files[i].name))
            return false;
    }
    return true;
}

static void add_name(struct cli_list *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return;
    if (names->count < CLI_LIST_MAX)
        names->items[names->count++] = name;
}

/* A server on one outer address is reached by that address; all others by localhost. */
static bool plan_address(struct plan *plan, const struct init_args *args, struct err *err)
{
    struct kbs_address address;
    const struct sockaddr_in *four = (void *)&address.any;
    const struct sockaddr_in6 *six = (void *)&address.any;
    plan->listen = args->listen                ? args->listen
                   : args->hostnames.count > 0 ? LISTEN_NETWORK
                                               : LISTEN_LOCAL;
    if (!kbs_conf_address(plan->listen, &address, err))
        return err_wrap(err, "--listen");
    bool is_six = address.any.ss_family == AF_INET6;
    bool any = is_six ? IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr)
                      : four->sin_addr.s_addr == htonl(INADDR_ANY);
    unsigned port = ntohs(is_six ? six->sin6_port : four->sin_port);
    if (!any && !address.loopback)
        inet_ntop(address.any.ss_family,
            is_six ? (const void *)&six->sin6_addr : (const void *)&four->sin_addr,
            plan->own_address, sizeof plan->own_address);
    const char *host = plan->own_address[0] ? plan->own_address : is_six ? "::1" : "127.0.0.1";
    return port == 0 || formatted(&plan->url, err,
                            strchr(host, ':') ? "https://[%s]:%u" : "https://%s:%u", host, port);
}

static bool plan_names(struct plan *plan, const struct init_args *args, struct err *err)
{
    static const char *const local[] = {"localhost", "127.0.0.1", "::1"};
    if (args->hostnames.count > CLI_LIST_MAX - ARRAY_LEN(local) - 1)
        return err_set(err, ERR_CONFIG, "--hostname: too many names");
    for (size_t i = 0; i < args->hostnames.count; i++)
        add_name(&plan->names, args->hostnames.items[i]);
    if (plan->own_address[0])
        add_name(&plan->names, plan->own_address);
    for (size_t i = 0; i < ARRAY_LEN(local); i++)
        add_name(&plan->names, local[i]);
    auto_buf tees = BUF_INIT(256);
    for (size_t i = 0; i < args->tees.count; i++)
        if (!buf_printf(&tees, err, "%s%s", i > 0 ? ", " : "", args->tees.items[i]))
            return false;
    plan->tees = args->tees.count > 0 ? buf_take_text(&tees) : strdup("tpm");
    return plan->tees || err_nomem(err);
}

static bool plan_user(struct plan *plan, const struct init_args *args, struct err *err)
{
    plan->user = args->user ? args->user : USER_DEFAULT;
    if (!sandbox_user_ids(plan->user, &plan->uid, &plan->gid, err))
        return err_wrap(err, "--user");
    if (geteuid() != 0 && geteuid() != plan->uid)
        return err_set(err, ERR_CONFIG,
            "run this as root: the broker's state belongs to the user %s and its keys to root",
            plan->user);
    return true;
}

/* -- nothing may be there yet ------------------------------------------------------------------ */

static bool directory_empty(const char *path, bool *ret_empty, struct err *err)
{
    DIR *dir = opendir(path);
    if (!dir)
        return err_set_errno(err, ERR_IO, "%s", path);
    *ret_empty = true;
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            *ret_empty = false;
    closedir(dir);
    return true;
}

static bool refuse_existing(const struct plan *plan, struct err *err)
{
    struct stat info;
    bool empty = true;
    for (size_t i = 0; i < INIT_FILE_COUNT; i++)
        if (lstat(plan->paths[i], &info) == 0)
            return err_set(err, ERR_CONFIG,
                "%s exists; nothing is overwritten: move it away, or choose other places with "
                "--dir, "
                "--admin-dir and --config",
                plan->paths[i]);
    if (lstat(plan->dir, &info) != 0)
        return true;
    if (!S_ISDIR(info.st_mode))
        return err_set(err, ERR_CONFIG, "%s exists and is no directory", plan->dir);
    if (!directory_empty(plan->dir, &empty, err))
        return false;
    if (!empty)
        return err_set(err, ERR_CONFIG,
            "%s exists and is not empty; nothing is overwritten: choose another --dir", plan->dir);
    return true;
}

/* -- making ------------------------------------------------------------------------------------ */

static bool create_public(
    struct plan *plan, enum init_file file, struct bytes data, struct err *err)
{
    const char *path = plan->paths[file];
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, "%s", path);
    plan->made = file + 1u;
    for (size_t done = 0; done < data.len;) {
        ssize_t written = write(fd, data.data + done, data.len - done);
        if (written < 0)
            return err_set_errno(err, ERR_IO, "%s", path);
        done += (size_t)written;
    }
    if (fchmod(fd, 0644) != 0 || fsync(fd) != 0)
        return err_set_errno(err, ERR_IO, "%s", path);
    return true;
}

static bool create_private(
    struct plan *plan, enum init_file file, const struct secret *secret, struct err *err)
{
    if (access(plan->paths[file], F_OK) != 0)
        plan->made = file + 1u; /* also when only a part can be written */
    return tool_create_secret(plan->paths[file], secret, err);
}

static bool make_dirs(struct plan *plan, struct err *err)
{
    auto_free char *config = strdup(plan->paths[INIT_CONFIG]);
    struct stat info;
    if (!config)
        return err_nomem(err);
    plan->made_dir = lstat(plan->dir, &info) != 0;
    if (!file_make_dirs(plan->admin_dir, 0755, err) ||
        !file_make_dirs(dirname(config), 0755, err) || !file_make_dirs(plan->dir, 0700, err))
        return false;
    if (chmod(plan->dir, 0700) != 0 || lchown(plan->dir, plan->uid, plan->gid) != 0)
        return err_set_errno(err, ERR_IO, "%s", plan->dir);
    return true;
}

static bool make_tls(struct plan *plan, struct err *err)
{
    auto_jwk *ca_key = NULL, *tls_key = NULL;
    auto_secret *ca_text = NULL, *tls_text = NULL;
    auto_buf ca = BUF_INIT(CERTIFICATE_PEM_MAX), certificate = BUF_INIT(CERTIFICATE_PEM_MAX);
    int64_t now = clock_wall_s();
    return jwk_generate(JWK_EC_P256, NULL, &ca_key, err) &&
           jwk_generate(JWK_EC_P256, NULL, &tls_key, err) &&
           certificate_make_ca(ca_key, now, &ca, err) &&
           certificate_make_server(
               tls_key, &plan->names, buf_bytes(&ca), ca_key, now, &certificate, err) &&
           certificate_private_pem(ca_key, &ca_text, err) &&
           certificate_private_pem(tls_key, &tls_text, err) &&
           create_private(plan, INIT_CA_KEY, ca_text, err) &&
           create_public(plan, INIT_CA, buf_bytes(&ca), err) &&
           create_private(plan, INIT_TLS_KEY, tls_text, err) &&
           create_public(plan, INIT_TLS, buf_bytes(&certificate), err);
}

static bool make_keys(struct plan *plan, struct err *err)
{
    auto_jwk *token = NULL, *admin = NULL;
    auto_secret *token_text = NULL, *admin_text = NULL;
    auto_json *public_json = NULL;
    if (!jwk_generate(JWK_EC_P256, NULL, &token, err) ||
        !jwk_private_text(token, &token_text, err) ||
        !jwk_generate(JWK_EC_P256, NULL, &admin, err) ||
        !jwk_private_text(admin, &admin_text, err) ||
        !jwk_public_json(admin, "ES256", &public_json, err))
        return false;
    auto_free char *public_text = json_text(public_json);
    if (!public_text)
        return err_nomem(err);
    return create_private(plan, INIT_TOKEN, token_text, err) &&
           create_private(plan, INIT_ADMIN, admin_text, err) &&
           create_public(plan, INIT_ADMIN_PUBLIC, bytes_str(public_text), err);
}

static bool make_config(struct plan *plan, struct err *err)
{
    const struct init_setting settings[] = {
        {"server", "listen", plan->listen},
        {"server", "tls_cert", plan->paths[INIT_TLS]},
        {"server", "tls_key", plan->paths[INIT_TLS_KEY]},
        {"server", "user", plan->user},
        {"server", "state_dir", plan->dir},
        {"server", "port_file", plan->port_file},
        {"token", "key", plan->paths[INIT_TOKEN]},
        {"admin", "mode", "jwt"},
        {"admin", "keys", plan->paths[INIT_ADMIN_PUBLIC]},
        {"attestation", "tees", plan->tees},
        {"attestation", "ek_roots", plan->ek_roots},
    };
    auto_buf text = BUF_INIT(CONF_FILE_MAX);
    auto_kbs_conf conf = {0};
    /* Read back as the broker will read it: what a command line can get wrong is told now. */
    return init_conf_text(settings, ARRAY_LEN(settings), &text, err) &&
           create_public(plan, INIT_CONFIG, buf_bytes(&text), err) &&
           kbs_conf_load(plan->paths[INIT_CONFIG], &conf, err);
}

static bool make_profile(struct plan *plan, struct err *err)
{
    auto_buf text = BUF_INIT(CONF_FILE_MAX);
    return buf_printf(&text, err,
               "# Where `sealed kbs` finds the key broker and the administrator's key.\n"
               "[client]\n%s%s%sca_file = %s\nadmin_key = %s\n",
               plan->url ? "url = " : "# the broker takes a free port: give --kbs URL\n#url =",
               plan->url ? plan->url : "", "\n", plan->paths[INIT_CA], plan->paths[INIT_ADMIN]) &&
           create_public(plan, INIT_PROFILE, buf_bytes(&text), err);
}

static bool print_plan(const struct plan *plan, struct err *err)
{
    if (!tool_printf(err, "made:\n  %s/  (the broker's state, user %s)\n", plan->dir, plan->user))
        return false;
    for (size_t i = 0; i < INIT_FILE_COUNT; i++)
        if (!tool_printf(err, "  %s  (%s)\n", plan->paths[i], files[i].what))
            return false;
    if (!plan->ek_roots && strstr(plan->tees, "tpm") &&
        !tool_printf(err, "no --ek-roots: no guest can enrol itself; set ek_roots in section "
                          "[attestation], or add "
                          "keys with `sealed kbs agent add`\n"))
        return false;
    return tool_printf(err, "next: sealed-kbs --config %s\n", plan->paths[INIT_CONFIG]);
}

static bool run_init(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct init_args *args = options;
    AUTO_DONE(plan_done) struct plan plan = {0};
    (void)operands, (void)operand_count;
    if (!plan_paths(&plan, args, err) || !plan_address(&plan, args, err) ||
        !plan_names(&plan, args, err) || !plan_user(&plan, args, err) ||
        !refuse_existing(&plan, err) || !make_dirs(&plan, err) || !make_tls(&plan, err) ||
        !make_keys(&plan, err) || !make_config(&plan, err) || !make_profile(&plan, err))
        return false;
    plan.finished = true;
    return print_plan(&plan, err);
}

const struct cli_command tool_kbs_init = {
    .name = "kbs init",
    .operands = "",
    .summary = "make keys, certificates, configuration and state directory of a key broker",
    .detail =
        "Run as root. Overwrites nothing. The certificate is good for every --hostname and for "
        "localhost, 127.0.0.1 and ::1.\n"
        "Exit status: 2 something is there already (it is named), or an option is wrong; then "
        "nothing was made.",
    .options = options_table,
    .option_count = ARRAY_LEN(options_table),
    .args_size = sizeof(struct init_args),
    .run = run_init,
};
