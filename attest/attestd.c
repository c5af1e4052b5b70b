/* SPDX-License-Identifier: Apache-2.0 */
/* sealed-attestd: the only process that touches the TPM or TEE. It has no network and no secrets. */
#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "attest/boot_log.h"
#include "attest/service.h"
#include "crypt/base/cli.h"
#include "crypt/base/file.h"
#include "crypt/base/ipc.h"
#include "crypt/base/landlock.h"
#include "crypt/base/sandbox.h"

#define PROGRAM      "sealed-attestd"
#define CONF_DEFAULT "/etc/sealedfs/attestd.conf"

struct attestd_args {
    const char *config;
    bool check;
    bool sample;
};

static const struct cli_option options[] = {
    {"config", 'c', CLI_TEXT, offsetof(struct attestd_args, config), "FILE",
        "configuration (default " CONF_DEFAULT ", or built-in defaults if that is missing)"},
    {"check", 0, CLI_FLAG, offsetof(struct attestd_args, check), NULL,
        "check the configuration and exit"},
    {"print-sample", 0, CLI_FLAG, offsetof(struct attestd_args, sample), NULL,
        "print a configuration with every key and its default"},
};

/*
 * Beside the common base. A TCTI is opened for every request: tctildr loads its library and the device is opened (openat), or
 * swtpm's socket connected. So with a device no socket can be made, and with swtpm only local ones: there is no network, whatever runs in here.
 */
#define CALLS                                                                                     \
    "openat", "accept4", "recvmsg", "recvfrom", "sendto", "shutdown", "getsockopt", "setsockopt", \
        "getsockname", "ioctl", "uname"
static const char *const device_calls[] = {CALLS, NULL};
static const char *const swtpm_calls[] = {CALLS, "connect", NULL};
static const struct sandbox_rule swtpm_rules[] = {{"socket", AF_UNIX}};

static const char *device_of(const struct attestd_conf *conf)
{
    static const char scheme[] = "device:";
    const char *tcti = conf->attester.tcti;
    return strncmp(tcti, scheme, sizeof scheme - 1) == 0 ? tcti + sizeof scheme - 1 : NULL;
}

static bool leave_system_calls(const struct attestd_conf *conf, struct err *err)
{
    if (device_of(conf))
        return sandbox_seccomp(device_calls, err);
    return sandbox_seccomp_rules(swtpm_calls, swtpm_rules, ARRAY_LEN(swtpm_rules), err);
}

/* Root-owned and open to all for searching: who may ask is decided by uid, and only root may replace the socket. */
static bool make_directory(const char *socket_path, struct err *err)
{
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    struct stat info;
    if ((size_t)snprintf(path, sizeof path, "%s", socket_path) >= sizeof path)
        return err_set(err, ERR_CONFIG, "[attestd] socket %s: longer than %zu bytes", socket_path,
            sizeof path - 1);
    const char *directory = dirname(path);
    if (stat(directory, &info) == 0)
        return true;
    mode_t old = umask(0022);
    bool made = file_make_dirs(directory, 0755, err);
    umask(old);
    return made;
}

/* Every user may connect, and SO_PEERCRED tells whom to answer: a mode could name one group only, and a refusal that says why
 * helps more than EACCES. */
static bool open_socket(const struct attestd_conf *conf, int *ret_fd, struct err *err)
{
    return make_directory(conf->socket, err) && ipc_listen(conf->socket, 0666, ret_fd, err);
}

static bool drop_privilege(const struct attestd_conf *conf, struct err *err)
{
    const char *group = strcmp(conf->group, "none") == 0 ? NULL : conf->group;
    return sandbox_become_user(conf->user, group, err) && /* the TPM is open to this group */
           sandbox_keep_caps(0, err);                     /* and nothing else is needed */
}

/* The TPM's node and the library that talks to it. A node that is not there yet appears in its directory, which has to be open then. */
static bool leave_files(const struct attestd_conf *conf, struct err *err)
{
    const char *device = device_of(conf);
    auto_free char *copy = device ? strdup(device) : NULL;
    if (device && !copy)
        return err_nomem(err);
    if (device && access(device, F_OK) != 0)
        device = dirname(copy);
    const struct landlock_rule rules[] = {
        {device, LANDLOCK_DEVICE},
        {"/dev/urandom", LANDLOCK_READ},
        LANDLOCK_LIBRARIES,
    };
    return landlock_enter_or_warn(rules, ARRAY_LEN(rules), LANDLOCK_NET_NONE, err);
}

static void on_stop(void *arg, int signo)
{
    (void)signo;
    log_notify("STOPPING=1");
    loop_stop(arg);
}

/* Evidence is good without it. */
static void read_boot_log(struct attester_conf *conf, struct buf *log)
{
    struct err err = ERR_INIT;
    if (!boot_log_read(conf->event_log, log, &err) && err.code == ERR_NOTFOUND)
        log_info("no event log at %s: key brokers can name PCRs, but not what changed them",
            conf->event_log);
    else if (err.code != ERR_OK)
        log_err(LOG_LEVEL_WARNING, &err, "evidence goes without it");
    conf->boot_log = buf_bytes(log);
}

static bool serve(struct attestd_conf *conf, struct err *err)
{
    struct attestd_uids uids;
    const struct attester *attester = NULL;
    AUTO(loop_free) struct loop *loop = NULL;
    AUTO(service_free) struct service *service = NULL;
    static struct buf boot_log = BUF_INIT(BOOT_LOG_MAX); /* read by the TPM's thread, as conf is */
    auto_fd int fd = -1;
    read_boot_log(&conf->attester, &boot_log);  /* while we are root */
    if (!attestd_conf_uids(conf, &uids, err) || /* while /etc/passwd may still be read */
        !attestd_conf_attester(conf, &attester, err) || !loop_new(&loop, err) ||
        !loop_signal(
            loop, SIGTERM, on_stop, loop, err) || /* before the thread, which inherits it */
        !loop_signal(loop, SIGINT, on_stop, loop, err) ||
        !open_socket(conf, &fd, err) || !drop_privilege(conf, err) || !leave_files(conf, err) ||
        !service_new(
            loop, fd, conf, &uids, attester, &service, err) || /* starts the TPM's thread */
        !leave_system_calls(conf, err))
        return false;
    log_notice("answering on %s with %s evidence", conf->socket, attester->tee);
    log_notify("READY=1");
    return loop_run(loop, err);
}

/* Without --config a missing default file is no mistake: the defaults are meant to be right. */
static const char *config_path(const struct attestd_args *args)
{
    if (args->config)
        return args->config;
    return access(CONF_DEFAULT, F_OK) == 0 ? CONF_DEFAULT : NULL;
}

static bool check(const struct attestd_conf *conf, struct err *err)
{
    struct attestd_uids uids;
    if (!attestd_conf_uids(conf, &uids, err))
        return false;
    puts(CONF_GOOD);
    return true;
}

static bool run(const struct attestd_args *args, struct err *err)
{
    /* Never freed: a TPM command that does not end in time goes on reading it while the process ends. */
    static struct attestd_conf conf;
    if (args->sample)
        return conf_print_sample(attestd_fields, attestd_field_count, STDOUT_FILENO, err);
    if (!attestd_conf_load(config_path(args), &conf, err))
        return false;
    if (args->check)
        return check(&conf, err);
    log_init(PROGRAM, LOG_TARGET_AUTO, (enum log_level)conf.log_level);
    /* Or tpm2-tss writes several lines to standard error for a key that is simply not there. */
    if (conf.log_level != LOG_LEVEL_DEBUG && setenv("TSS2_LOG", "all+NONE", 1) != 0)
        return err_nomem(err);
    return serve(&conf, err);
}

int main(int argc, char **argv)
{
    static const struct cli_command command = {
        .name = "",
        .operands = "",
        .summary = "Makes evidence of this guest's state for sealedfs.",
        .options = options,
        .option_count = ARRAY_LEN(options),
        .args_size = sizeof(struct attestd_args),
    };
    struct attestd_args args;
    struct err err = ERR_INIT;
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
