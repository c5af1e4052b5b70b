/* SPDX-License-Identifier: Apache-2.0 */
/* sealed-kbs: the front of the key broker. It holds resources and the token key, and never parses evidence. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "crypt/base/cli.h"
#include "crypt/base/file.h"
#include "crypt/base/landlock.h"
#include "crypt/base/log.h"
#include "crypt/base/loop.h"
#include "crypt/base/sandbox.h"
#include "kbs/server/outbound/collateral_import.h"
#include "kbs/server/outbound/collateral_source.h"
#include "kbs/server/admin.h"
#include "kbs/server/agents/admission.h"
#include "kbs/server/agents/agent_gate.h"
#include "kbs/server/outbound/courier_process.h"
#include "kbs/server/http/httpd.h"
#include "kbs/server/http/rate_limit.h"
#include "kbs/server/outbound/jwks_source.h"
#include "kbs/server/explain.h"
#include "kbs/server/policy/policy_engine.h"
#include "kbs/server/publisher.h"
#include "kbs/server/token/session.h"
#include "kbs/server/store/store_open.h"
#include "kbs/server/outbound/targets.h"
#include "kbs/server/http/tls_pair.h"
#include "kbs/server/token/token_file.h"
#include "kbs/server/token/token_keys.h"
#include "kbs/server/verifier/verifier.h"
#include "kbs/server/agents/webhook.h"

#define PROGRAM     "sealed-kbs"
#define CERT_MAX    65536
#define LOCKED_WANT (4u * 1024 * 1024)
#define SWEEP_MS    60000

struct kbsd_args {
    const char *config;
    bool check;
    bool sample;
    bool rewrap, migrate;
    const char *copy;
};

static const struct cli_option options[] = {
    {"config", 'c', CLI_TEXT, offsetof(struct kbsd_args, config), "FILE",
        "configuration (default " KBS_CONF_DEFAULT ")"},
    {"check", 0, CLI_FLAG, offsetof(struct kbsd_args, check), NULL,
        "check the configuration and the files it names, and exit"},
    {"print-sample", 0, CLI_FLAG, offsetof(struct kbsd_args, sample), NULL,
        "print a configuration with every key and its default"},
    {"store-rewrap", 0, CLI_FLAG, offsetof(struct kbsd_args, rewrap), NULL,
        "encrypt what is stored under [store] kek, and exit; see sealed kbs store"},
    {"store-migrate", 0, CLI_FLAG, offsetof(struct kbsd_args, migrate), NULL,
        "make the database's schema what this program needs, and exit"},
    {"store-copy", 0, CLI_TEXT, offsetof(struct kbsd_args, copy), "DIRECTORY",
        "copy a directory store into the database, and exit"},
};

/*
 * Beside the common base: connections, and files: those of the store are opened beneath it by openat2; openat, which can do no
 * more, is for libraries that read something late (GnuTLS: /etc/localtime). No thread or program is started any more
 * (the warden does that, which is waited for at the end).
 */
#define ALLOWED_CALLS                                                                           \
    "accept4", "recvfrom", "recvmsg", "sendto", "sendfile", "shutdown", "setsockopt",           \
        "getsockopt", "getsockname", "getpeername", "openat", "openat2", "fsync", "flock",      \
        "lseek", "pread64", "renameat", "linkat", "unlinkat", "mkdirat", "getdents64", "uname", \
        "wait4"
static const char *const allowed_calls[] = {ALLOWED_CALLS, NULL};
/* A thread of libmicrohttpd may still be about to name itself. */
static const struct sandbox_rule allowed_rules[] = {{"prctl", PR_SET_NAME}};
/* With a database: connections to it, and the look-up of its name (netlink, to which bind belongs: which addresses has this machine). */
static const char *const shared_calls[] = {ALLOWED_CALLS, "connect", "bind", "sendmmsg", "ioctl",
    "rt_sigpending", "rt_sigtimedwait", "access", "stat", "readlink", NULL};
static const struct sandbox_rule shared_rules[] = {{"prctl", PR_SET_NAME}, {"socket", AF_UNIX},
    {"socket", AF_INET}, {"socket", AF_INET6}, {"socket", AF_NETLINK}};

/* What is read as root and used until the end. */
struct credentials {
    struct jwk *token_key;
    struct store_secrets store;
    struct secret *tls_key;
    struct buf tls_cert;
    struct targets targets; /* with their tokens */
};

static void credentials_done(struct credentials *credentials)
{
    jwk_unref(credentials->token_key);
    store_secrets_done(&credentials->store);
    secret_unref(credentials->tls_key);
    buf_done(&credentials->tls_cert);
    targets_done(&credentials->targets);
}

/* `making`: this is a start, not a check. */
static bool read_token_key(
    const struct kbs_conf *conf, bool making, struct jwk **ret_key, struct err *err)
{
    const char *path = conf->token.key;
    if (!token_file_is_first(path, conf->server.state_dir))
        return token_file_read(path, ret_key, err);
    return making
               ? token_file_make(path, ret_key, err)
               : jwk_generate(JWK_EC_P256, NULL, ret_key, err); /* stands for the one to be made */
}

static bool read_credentials(
    const struct kbs_conf *conf, bool making, struct credentials *credentials, struct err *err)
{
    credentials->tls_cert = (struct buf)BUF_INIT(CERT_MAX);
    if (!read_token_key(conf, making, &credentials->token_key, err) ||
        !store_secrets_read(conf, &credentials->store, err) ||
        !targets_collect(conf, &credentials->targets, err))
        return false;
    if (!conf->server.tls_key)
        return true;
    return (conf_credential(conf->server.tls_key, CERT_MAX, true, &credentials->tls_key, err) ||
               err_wrap(err, "[server] tls_key")) &&
           (file_read(conf->server.tls_cert, CERT_MAX, &credentials->tls_cert, err) ||
               err_wrap(err, "[server] tls_cert")) &&
           tls_pair_check(conf->server.tls_cert, buf_bytes(&credentials->tls_cert),
               conf->server.tls_key, credentials->tls_key, err);
}

/* A service manager makes it (StateDirectory=); by hand, root makes it for the server's user. */
static bool make_state_dir(const struct kbs_conf *conf, struct err *err)
{
    uid_t uid;
    gid_t gid;
    const char *path = conf->server.state_dir;
    if (geteuid() != 0 || access(path, F_OK) == 0)
        return true;
    if (!sandbox_user_ids(conf->server.user, &uid, &gid, err) || !file_make_dirs(path, 0700, err))
        return err_wrap(err, "[server] state_dir");
    return chown(path, uid, gid) == 0 ||
           err_set_errno(err, ERR_CONFIG, "[server] state_dir: chown %s", path);
}

/* Opened while we may write anywhere, filled when requests are served. */
static bool open_port_file(const char *path, int *ret_fd, struct err *err)
{
    if (!path)
        return true;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0 || fchmod(fd, 0644) < 0)
        return err_set_errno(err, ERR_CONFIG, "[server] port_file %s", path);
    *ret_fd = fd;
    return true;
}

static void write_port_file(int fd, uint16_t port)
{
    if (fd >= 0 && dprintf(fd, "%u\n", (unsigned)port) < 0)
        log_warning("the port file cannot be written");
}

static bool shares_store(const struct kbs_conf *conf)
{
    return conf->server.store == KBS_STORE_POSTGRESQL;
}

/* The key itself is shared through the configuration; that it is not is said, not mended. */
static bool compare_signer(struct server *server, struct err *err)
{
    char thumbprint[44];
    bool other = false;
    if (!shares_store(server->conf))
        return true;
    if (!jwk_thumbprint(server->signer.key, thumbprint, err) ||
        !store_note_signer(server->store, thumbprint, &other, err))
        return false;
    if (other)
        log_warning("another token key than this server's was in use with this store before: give "
                    "all its servers the same [token] key, or guests that reach one and then "
                    "another are refused");
    return true;
}

static bool open_store(struct server *server, const struct store_secrets *secrets, struct err *err)
{
    auto_policy *policy = NULL;
    return store_open(server->conf, secrets, &server->store, err) && compare_signer(server, err) &&
           policy_load(server->store, NULL, &policy, err);
}

/*
 * The store, and nothing else: everything that the configuration names has been read, and the listening socket is open. To a database
 * connections are made again and again: its authority's file, and what names are looked up with, which is replaced by renames (so the
 * directory; secret keys in it are root's, and not readable for the server's user).
 */
static bool leave_files(const struct kbs_conf *conf, struct err *err)
{
    const struct landlock_rule rules[] = {
        {conf->server.state_dir, LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_MAKE},
        {"/etc/localtime", LANDLOCK_READ},
        {"/dev/urandom", LANDLOCK_READ},
        LANDLOCK_LIBRARIES, /* what libc loads for the end of a thread */
        {shares_store(conf) ? conf->postgresql.ca_file : NULL, LANDLOCK_READ},
        {shares_store(conf) ? "/etc" : NULL, LANDLOCK_READ},
        {shares_store(conf) ? "/run/systemd/resolve" : NULL, LANDLOCK_READ},
    };
    return landlock_enter_or_warn(rules, ARRAY_LEN(rules),
        shares_store(conf) ? LANDLOCK_NET_NO_BIND : LANDLOCK_NET_NONE, err);
}

static bool leave_calls(const struct kbs_conf *conf, struct err *err)
{
    return shares_store(conf)
               ? sandbox_seccomp_rules(shared_calls, shared_rules, ARRAY_LEN(shared_rules), err)
               : sandbox_seccomp_rules(allowed_calls, allowed_rules, ARRAY_LEN(allowed_rules), err);
}

static void server_done(struct server *server)
{
    webhook_stop(server->webhook);
    jwks_source_stop(server->jwks_source);
    collateral_source_free(server->collateral);
    courier_stop(server->courier);
    policy_engine_free(server->policy_engine);
    verifiers_stop(server->verifiers);
    sessions_free(server->sessions);
    token_keys_free(server->token_keys);
    admission_free(server->admission);
    rate_limit_free(server->rate_limit);
    store_free(server->store);
    admin_free(server->admin);
    publishers_free(server->publishers);
}

/* -- while it serves --------------------------------------------------------------------------- */

struct service {
    struct server *server;
    struct loop *loop;
    struct loop_timer *sweep;
    struct loop_timer *roll_call;
};

static void on_stop(void *arg, int signo)
{
    (void)signo;
    log_notify("STOPPING=1");
    loop_stop(arg);
}

/* What nobody needs any more: nonces of sessions that ended, and old explanations. */
static void on_sweep(void *arg)
{
    struct service *service = arg;
    struct server *server = service->server;
    int64_t now = server_now(server);
    int64_t session_s = server->conf->attestation.session_ms / 1000;
    struct err err = ERR_INIT;
    if (!store_prune(server->store, STORE_NONCE, now - 2 * session_s, NULL, &err) ||
        !store_prune(server->store, STORE_EXPLANATION, now - EXPLAIN_AGE_S, NULL, &err))
        log_err(LOG_LEVEL_WARNING, &err, "sweeping the store");
    loop_timer_set(service->sweep, SWEEP_MS);
}

/* Agents that are late though they ask for nothing: whoever waits for the webhook hears of them within half an interval. */
static void on_roll_call(void *arg)
{
    struct service *service = arg;
    struct err err = ERR_INIT;
    int64_t half = service->server->conf->agents.interval_ms / 2;
    if (half == 0)
        return;
    if (!agent_sweep_late(service->server, &err))
        log_err(LOG_LEVEL_WARNING, &err, "looking for agents that are late");
    loop_timer_set(service->roll_call, half < SWEEP_MS ? half : SWEEP_MS);
}

static bool serve(struct server *server, const struct credentials *credentials, int listen_fd,
    int port_fd, uint16_t port, struct err *err)
{
    AUTO(loop_free) struct loop *loop = NULL;
    struct httpd *httpd = NULL;
    struct service service = {.server = server};
    auto_fd int fd = listen_fd;
    if (!loop_new(&loop, err) ||
        !loop_signal(
            loop, SIGTERM, on_stop, loop, err) || /* before the threads, which inherit it */
        !loop_signal(loop, SIGINT, on_stop, loop, err) ||
        !loop_timer_new(loop, on_sweep, &service, &service.sweep, err) ||
        !loop_timer_new(loop, on_roll_call, &service, &service.roll_call, err))
        return false;
    if (!httpd_start(server, take_fd(fd), credentials->tls_key, buf_bytes(&credentials->tls_cert),
            &httpd, err))
        return false;
    bool ok = leave_calls(server->conf, err);
    if (ok) {
        loop_timer_set(service.sweep, SWEEP_MS);
        loop_timer_set(service.roll_call, 0);
        write_port_file(port_fd, port);
        log_notice("serving %s on %s (port %u)", credentials->tls_key ? "HTTPS" : "plain HTTP",
            server->conf->server.listen, (unsigned)port);
        log_notify("READY=1");
        ok = loop_run(loop, err);
    }
    httpd_stop(httpd);
    loop_timer_free(service.sweep);
    loop_timer_free(service.roll_call);
    log_notice("stopped");
    return ok;
}

static bool read_admission(
    const struct kbs_conf *conf, struct admission **ret_admission, struct err *err)
{
    const char *path = conf->attestation.admit_list;
    auto_buf text = BUF_INIT(ADMISSION_FILE_MAX);
    if (conf->attestation.admit != KBS_ADMIT_LISTED)
        return true;
    return (file_read(path, ADMISSION_FILE_MAX, &text, err) &&
               admission_parse(buf_bytes(&text), path, ret_admission, err)) ||
           err_wrap(err, "[attestation] admit_list");
}

static bool start(const struct kbs_conf *conf, struct credentials *credentials, struct err *err)
{
    AUTO_DONE(server_done) struct server server = {.conf = conf};
    auto_fd int listen_fd = -1;
    auto_fd int port_fd = -1;
    uint16_t port = 0;
    server.signer = (struct ear_signer){
        .key = credentials->token_key,
        .issuer = conf->token.issuer,
        .lifetime_s = conf->token.lifetime_ms / 1000,
    };
    if (!token_keys_new(conf, credentials->token_key, &server.token_keys, err) ||
        !read_admission(conf, &server.admission, err) ||
        !rate_limit_new(conf, &server.rate_limit, err))
        return false;
    server.signer.x5c = token_keys_x5c(server.token_keys);
    if (!admin_new(conf, &server.admin, err) || !publishers_new(conf, &server.publishers, err) ||
        !httpd_bind(conf, &listen_fd, &port, err) ||
        !open_port_file(conf->server.port_file, &port_fd, err) || !make_state_dir(conf, err) ||
        !sandbox_become_user(conf->server.user, NULL, err) || /* what root was needed for is open */
        !sandbox_keep_caps(0, err) || !open_store(&server, &credentials->store, err) ||
        !sessions_new(credentials->token_key, &server.sessions, err) ||
        !verifiers_new(conf, &server.verifiers, err) ||
        !targets_open(conf, &credentials->targets, &server.courier, err) ||
        !policy_engine_new(&server.policy_engine, err) ||
        !collateral_import(conf, server.store, err) ||
        !collateral_source_new(conf, server.store, server.courier, &server.collateral, err) ||
        !leave_files(conf, err) || !verifiers_start(server.verifiers, err) || /* the first thread */
        !courier_start(server.courier, err) ||
        !webhook_start(server.courier, &server.webhook, err) ||
        !jwks_source_start(
            conf, server.courier, token_keys_trust(server.token_keys), &server.jwks_source, err))
        return false;
    targets_done(&credentials->targets); /* the tokens are the couriers' alone now */
    return serve(&server, credentials, take_fd(listen_fd), port_fd, port, err);
}

/* Without a store object, which would make what is missing. */
static bool check_policy(const struct kbs_conf *conf, struct err *err)
{
    char path[PATH_MAX];
    if (conf->policy.engine != KBS_POLICY_EMBEDDED)
        return true; /* checked when it was set, by Open Policy Agent */
    auto_buf text = BUF_INIT(POLICY_TEXT_MAX);
    auto_policy *policy = NULL;
    if (shares_store(conf))
        return true;
    snprintf(path, sizeof path, "%s/kbs/resource-policy", conf->server.state_dir);
    if (!file_read(path, POLICY_TEXT_MAX, &text, err)) {
        bool absent = err->code == ERR_NOTFOUND;
        err_clear(err);
        return absent || err_set(err, ERR_CONFIG, "%s cannot be read", path);
    }
    return policy_parse(buf_bytes(&text), &policy, err) || err_wrap(err, "%s", path);
}

/* All that can be known without serving. */
static bool check(
    const struct kbs_conf *conf, const struct credentials *credentials, struct err *err)
{
    AUTO(admin_free) struct admin *admin = NULL;
    AUTO(publishers_free) struct publishers *publishers = NULL;
    AUTO(token_keys_free) struct token_keys *keys = NULL;
    AUTO(admission_free) struct admission *admission = NULL;
    if (!token_keys_new(conf, credentials->token_key, &keys, err) ||
        !read_admission(conf, &admission, err) || !admin_new(conf, &admin, err) ||
        !publishers_new(conf, &publishers, err) || !verifiers_check(conf, err) ||
        !collateral_import_check(conf, err) || !targets_check(conf, &credentials->targets, err) ||
        !check_policy(conf, err))
        return false;
    puts(CONF_GOOD);
    return true;
}

/* Not a server: as its user and with its keys, on its store, which others may be serving. */
static bool work_on_store(const struct kbsd_args *args, const struct kbs_conf *conf,
    const struct credentials *credentials, struct err *err)
{
    if (args->rewrap + args->migrate + (args->copy != NULL) + args->check > 1)
        return err_set(err, ERR_CONFIG, "one of --check and the three --store-… at a time");
    enum store_work work = args->rewrap    ? STORE_WORK_REWRAP
                           : args->migrate ? STORE_WORK_MIGRATE
                                           : STORE_WORK_COPY;
    return make_state_dir(conf, err) && sandbox_become_user(conf->server.user, NULL, err) &&
           sandbox_keep_caps(0, err) &&
           store_work(work, args->copy, conf, &credentials->store, err);
}

static bool run(const struct kbsd_args *args, struct err *err)
{
    auto_kbs_conf conf = {0};
    AUTO_DONE(credentials_done) struct credentials credentials = {0};
    bool works = args->rewrap || args->migrate || args->copy;
    if (args->sample)
        return conf_print_sample(kbs_conf_fields, kbs_conf_field_count, STDOUT_FILENO, err);
    if (!kbs_conf_load(args->config ? args->config : KBS_CONF_DEFAULT, &conf, err))
        return false;
    log_init(PROGRAM, LOG_TARGET_AUTO, (enum log_level)conf.server.log_level);
    if (!secret_init_process(LOCKED_WANT, err) ||
        !read_credentials(&conf, !args->check && !works, &credentials, err))
        return false;
    if (works)
        return work_on_store(args, &conf, &credentials, err);
    return args->check ? check(&conf, &credentials, err) : start(&conf, &credentials, err);
}

int main(int argc, char **argv)
{
    static const struct cli_command command = {
        .name = "",
        .operands = "",
        .summary = "Serves keys and secrets to guests that prove their state.",
        .options = options,
        .option_count = ARRAY_LEN(options),
        .args_size = sizeof(struct kbsd_args),
    };
    struct kbsd_args args;
    struct err err = ERR_INIT;
    int status;
    if (verifier_run(argc, argv, &status) || courier_run(argc, argv, &status))
        return status; /* another process of ours, which inherits nothing */
    auto_free char **operands = calloc((size_t)argc + 1, sizeof *operands);
    int operand_count = 0;
    bool done = false;
    log_init(PROGRAM, LOG_TARGET_AUTO, LOG_LEVEL_INFO);
    bool ok = sandbox_harden(&err) && (operands || err_nomem(&err)) &&
              cli_parse(&command, argc, argv, &args, operands, &operand_count, &done, &err) &&
              (done || run(&args, &err));
    if (!ok)
        log_err(LOG_LEVEL_ERROR, &err, "stopped");
    return ok ? 0 : err_info(err.code)->exit_status;
}
