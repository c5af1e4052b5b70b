/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealedfs [SOURCE MOUNTPOINT] [-o OPTIONS] [-f]: the monitor, and, executed anew as --worker=…, the worker. It serves the mounts of the
 * configuration and the one of the operands; without any it is an agent that serves the control socket only.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <linux/capability.h>

#include "crypt/base/cli.h"
#include "crypt/base/log.h"
#include "crypt/base/sandbox.h"
#include "fs/audit_journal.h"
#include "fs/sealedfs_conf.h"
#include "fs/sealedfs_control.h"
#include "fs/supervisor.h"
#include "fs/worker_main.h"

#define OPTIONS_SIZE 8192
#define CAP(name)    (UINT64_C(1) << (name))

struct args {
    bool foreground;
    struct cli_list options;
    const char *config;
    bool check, print_sample;
};

static const struct cli_option options[] = {
    {"foreground", 'f', CLI_FLAG, offsetof(struct args, foreground),
        .help = "stay in the foreground, log to standard error"},
    {"option", 'o', CLI_LIST, offsetof(struct args, options), "OPTIONS",
        "key=value,... of the configuration, and mount(8)'s"},
    {"config", 'c', CLI_TEXT, offsetof(struct args, config), "FILE",
        "configuration; default: " SEALEDFS_CONF_DEFAULT},
    {"check", 0, CLI_FLAG, offsetof(struct args, check),
        .help = "check the configuration and exit"},
    {"print-sample", 0, CLI_FLAG, offsetof(struct args, print_sample),
        .help = "print a configuration with every key, its default and its help"},
};

static const struct cli_command command = {
    .name = "",
    .operands = "[SOURCE MOUNTPOINT]",
    .operands_min = 0,
    .operands_max = 2,
    .summary = "show a directory with its sealed files opened",
    .detail =
        "Also serves the mounts of the configuration; without any: an agent that only serves\n"
        "the control socket.\n"
        "Exit status: 0 mounted (or, with -f, unmounted); 2 configuration; else as the "
        "message says (sealedfs(8)).",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .args_size = sizeof(struct args),
};

struct program {
    struct args args;
    char *operands[2];
    int operand_count;
    char options[OPTIONS_SIZE];
    struct sealedfs_conf conf;
    int ready_fd; /* the starter waits at its other end; -1: nobody does */
};

static bool parse(int argc, char **argv, struct program *program, bool *ret_done, struct err *err)
{
    char *words[64];
    int count = 0;
    if (argc >= (int)ARRAY_LEN(words))
        return err_set(
            err, ERR_CONFIG, "more than %zu words on the command line", ARRAY_LEN(words) - 1);
    if (!cli_parse(&command, argc, argv, &program->args, words, &count, ret_done, err) || *ret_done)
        return *ret_done;
    if (count == 1)
        return err_set(err, ERR_CONFIG,
            "MOUNTPOINT is missing; usage: sealedfs SOURCE MOUNTPOINT [-o OPTIONS]");
    for (int i = 0; i < count && i < 2; i++)
        program->operands[i] = words[i];
    program->operand_count = count;
    size_t len = 0;
    for (size_t i = 0; i < program->args.options.count; i++) {
        int added = snprintf(program->options + len, sizeof program->options - len, "%s%s",
            i ? "," : "", program->args.options.items[i]);
        len += (size_t)added;
        if (len >= sizeof program->options)
            return err_set(err, ERR_CONFIG, "options -o of more than %d bytes", OPTIONS_SIZE - 1);
    }
    return true;
}

/* Of an operand. In the worker it need not be right: the monitor has resolved the mount point, and opens the source. */
static bool make_absolute(const char *path, char **ret_path, struct err *err)
{
    char dir[PATH_MAX] = "";
    if (*path != '/' && !getcwd(dir, sizeof dir))
        return err_set_errno(
            err, ERR_CONFIG, "the working directory, which %s is relative to", path);
    return asprintf(ret_path, "%s%s%s", dir, *dir ? "/" : "", path) >= 0 || err_nomem(err);
}

static bool load(struct program *program, struct err *err)
{
    auto_free char *source = NULL, *mountpoint = NULL;
    if (program->operand_count == 2 && (!make_absolute(program->operands[0], &source, err) ||
                                           !make_absolute(program->operands[1], &mountpoint, err)))
        return false;
    struct sealedfs_mirror mirror = {source, mountpoint};
    return sealedfs_conf_load(
        program->args.config, program->options, source ? &mirror : NULL, &program->conf, err);
}

static int fail(const struct err *err)
{
    fprintf(stderr, "sealedfs: %s\n", err->message);
    return err_info(err->code)->exit_status;
}

/* -- the worker -------------------------------------------------------------------------------- */

static bool take_mountpoint(struct conf_mount *mount, const char *path)
{
    free(mount->path);
    mount->path = strdup(path);
    return mount->path != NULL;
}

/* The paths are as the monitor resolved them: to look at a mount point here would be to wait for ourselves. */
static int run_worker(
    struct program *program, pid_t monitor, char *const *mountpoints, size_t mount_count)
{
    struct worker_process process = {.monitor = monitor,
        .conf = &program->conf,
        .mountpoints = mountpoints,
        .mount_count = mount_count,
        .background = !program->args.foreground,
        .control_bind = sealedfs_control_bind,
        .control_serve = sealedfs_control_serve};
    if (process.background)
        (void)!chdir("/");
    for (size_t i = 0; i < mount_count && i < program->conf.mounts.count; i++)
        if (mountpoints[i][0] && !take_mountpoint(&program->conf.mounts.items[i], mountpoints[i]))
            return err_info(ERR_NOMEM)->exit_status;
    return worker_main(&process);
}

/* Takes what child.h says is put before the monitor's own words off the command line. */
static size_t take_worker_words(
    int *argc, char ***argv, int *ret_monitor, char *mountpoints[MOUNTS_MAX])
{
    size_t count = 0;
    if (*argc < 2 || sscanf((*argv)[1], "--worker=%d:%zu", ret_monitor, &count) != 2)
        return 0;
    if (count > MOUNTS_MAX || (size_t)*argc < 2 + count)
        _exit(127); /* no monitor of ours wrote this */
    for (size_t i = 0; i < count; i++)
        mountpoints[i] = (*argv)[2 + i];
    (*argv)[1 + count] = (*argv)[0];
    *argc -= (int)count + 1;
    *argv += count + 1;
    return count;
}

/* -- the monitor ------------------------------------------------------------------------------- */

/* Files below .kbs are made while it runs, with the owner that the configuration says. */
static bool needs_chown(const struct sealedfs_conf *conf)
{
    for (size_t i = 0; i < conf->mounts.count; i++) {
        const struct conf_mount *mount = &conf->mounts.items[i];
        if (mount->by_name && (strcmp(mount->by_name_owner, "root") != 0 ||
                                  strcmp(mount->by_name_group, "root") != 0))
            return true;
    }
    return false;
}

/*
 * SYS_ADMIN mounts, DAC_READ_SEARCH opens a root-only source, KILL ends a worker of another uid. The rest the worker needs before it
 * becomes that user: SETUID, SETGID, SETPCAP, and DAC_OVERRIDE for a socket in the user's directory, IPC_LOCK and SYS_RESOURCE for memory that is never swapped.
 * The witness needs SYS_PTRACE to see other users' executables, and, before Linux 6.6, NET_ADMIN to be told of every execve.
 */
static bool keep_needed_caps(const struct sealedfs_conf *conf, bool witness, struct err *err)
{
    uint64_t chown = needs_chown(conf) ? CAP(CAP_CHOWN) : 0;
    uint64_t needed = chown | CAP(CAP_SYS_ADMIN) | CAP(CAP_DAC_READ_SEARCH) | CAP(CAP_KILL) |
                      CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_SETPCAP);
    static const uint64_t wanted[] = {
        CAP(CAP_IPC_LOCK) | CAP(CAP_SYS_RESOURCE) | CAP(CAP_DAC_OVERRIDE),
        CAP(CAP_IPC_LOCK) | CAP(CAP_DAC_OVERRIDE), 0};
    const uint64_t looks[] = {CAP(CAP_SYS_PTRACE) | CAP(CAP_NET_ADMIN), CAP(CAP_SYS_PTRACE), 0};
    for (size_t k = witness ? 0 : ARRAY_LEN(looks) - 1; k < ARRAY_LEN(looks); k++)
        for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
            if (sandbox_keep_caps(needed | wanted[i] | looks[k], err)) {
                if (witness && !looks[k])
                    log_warning("without CAP_SYS_PTRACE the executables of other users' processes "
                                "are not known: rules by executable do not let them in");
                return true;
            }
    return false;
}

/*
 * A root process of few needs, so a small part of the kernel: no tracing, no other namespace, no module, key ring, BPF or io_uring. Landlock is
 * no help here: whom it holds may not mount.
 */
static bool leave_system_calls(struct err *err)
{
    static const char *const mounting[] = {"mount", "umount2", "openat2", "fsopen", "fsconfig",
        "fsmount", "move_mount", "open_tree", "mount_setattr", "name_to_handle_at", NULL};
    /* The worker makes the control socket while it is root. */
    static const char *const making[] = {"mkdir", "mkdirat", "mknodat", "chmod", "fchmod",
        "fchmodat", "chown", "lchown", "fchown", "fchownat", "unlink", "unlinkat", "rmdir",
        "rename", "renameat", "renameat2", "link", "linkat", "symlinkat", "utimensat", "fallocate",
        "fsync", "fdatasync", "flock", "setxattr", "fsetxattr", "inotify_init1",
        "inotify_add_watch", "inotify_rm_watch", NULL};
    static const char *const *const lists[] = {mounting, making, worker_syscalls, NULL};
    return sandbox_seccomp_parent(lists, err);
}

static bool make_witness(
    const struct sealedfs_conf *conf, struct witness **ret_witness, struct err *err)
{
    const struct witness_conf witness = {.file = conf->audit.file,
        .rotate_size = conf->audit.rotate_size,
        .rotate_keep = conf->audit.rotate_keep,
        .journal = conf->audit.journal ? AUDIT_JOURNAL_SOCKET : NULL,
        .required = conf->audit.policy == AUDIT_REQUIRED};
    const struct witness_conf silent = {.required = false};
    *ret_witness = NULL;
    if (!witness_needed(conf))
        return true;
    return witness_new(witness_policy(conf) == AUDIT_OFF ? &silent : &witness, ret_witness, err);
}

static void on_ready(void *arg)
{
    struct program *program = arg;
    log_notify("READY=1");
    if (program->ready_fd < 0)
        return;
    (void)!write(program->ready_fd, "", 1);
    close(program->ready_fd);
    program->ready_fd = -1;
    worker_main_let_go();
    (void)!chdir("/"); /* whatever directory we were started in may be unmounted now */
}

static bool run_monitor(struct program *program, char **argv, struct err *err)
{
    static struct mounted mounts[MOUNTS_MAX];
    size_t count = 0;
    bool done = true;
    if (geteuid() != 0)
        return err_set(err, ERR_CONFIG,
            "sealedfs is started as root (it mounts, then its worker becomes user %s)",
            program->conf.mount.user);
    while (done && count < program->conf.mounts.count)
        if ((done = mounted_prepare(&mounts[count], &program->conf, count, err)))
            count++;
    uid_t uid;
    gid_t gid;
    struct token_runs tokens = {.fd = -1};
    struct witness *witness = NULL;
    done = done && make_witness(&program->conf, &witness, err);
    struct supervisor_conf conf = {.mounts = mounts,
        .mount_count = count,
        .witness = witness,
        .stop_ms = program->conf.mount.stop_ms,
        .tokens = &tokens,
        .argv = argv,
        .ready = on_ready,
        .arg = program};
    done = done && mounted_check(mounts, count, err) &&
           token_runs_init(&tokens, &program->conf, err) &&
           sandbox_user_ids(program->conf.mount.user, &uid, &gid, err) &&
           keep_needed_caps(&program->conf, witness != NULL, err) && leave_system_calls(err) &&
           supervisor_run(&conf, err);
    token_runs_done(&tokens);
    for (size_t i = 0; i < count; i++)
        mounted_done(&mounts[i]);
    return done;
}

/* mount(8) expects us to return when the mount answers. The child tells by one byte, or ends with the status to give on. */
static int start_in_background(struct program *program, char **argv)
{
    int ends[2];
    struct err err = ERR_INIT;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set_errno(&err, ERR_NOMEM, "pipe"), fail(&err);
    pid_t child = fork();
    if (child < 0)
        return err_set_errno(&err, ERR_NOMEM, "fork"), fail(&err);
    if (child > 0) {
        char byte;
        int status;
        close(ends[1]);
        if (read(ends[0], &byte, 1) == 1)
            return 0;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
    }
    close(ends[0]);
    setsid();
    program->ready_fd = ends[1];
    bool done = run_monitor(program, argv, &err);
    return done ? 0 : fail(&err);
}

int main(int argc, char **argv)
{
    static struct program program = {.ready_fd = -1};
    struct err err = ERR_INIT;
    bool done = false;
    int monitor = 0;
    char *mountpoints[MOUNTS_MAX];
    size_t mount_count = take_worker_words(&argc, &argv, &monitor, mountpoints);
    if (!sandbox_harden(&err) || !parse(argc, argv, &program, &done, &err))
        return fail(&err);
    if (done)
        return 0;
    if (program.args.print_sample)
        return sealedfs_conf_sample(STDOUT_FILENO, &err) ? 0 : fail(&err);
    if (!load(&program, &err))
        return fail(&err);
    if (program.args.check) {
        puts(CONF_GOOD);
        return 0;
    }
    bool journal = !program.args.foreground && access("/run/systemd/journal/socket", F_OK) == 0;
    log_init("sealedfs", journal ? LOG_TARGET_JOURNAL : LOG_TARGET_AUTO,
        (enum log_level)program.conf.mount.log_level);
    if (monitor > 0)
        return run_worker(&program, monitor, mountpoints, mount_count);
    if (!program.args.foreground)
        return start_in_background(&program, argv);
    return run_monitor(&program, argv, &err) ? 0 : fail(&err);
}
