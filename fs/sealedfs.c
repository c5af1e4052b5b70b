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
#include <sys/prctl.h>
#include <sys/wait.h>
#include <linux/capability.h>

#include "crypt/base/cli.h"
#include "crypt/base/log.h"
#include "crypt/base/sandbox.h"
#include "fs/binary.h"
#include "fs/credentials.h"
#include "fs/scrape.h"
#include "fs/sealedfs_check.h"
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
        .help = "say whether this machine could start with the configuration, and exit"},
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
    int ready_fd;  /* the starter waits at its other end; -1: nobody does */
    int conf_fd;   /* the text that conf was read from; -1: there is none */
    int resume_fd; /* the state that the program before this one left; -1: this is a first start */
    struct state resume;
    struct witness *witness; /* lives as long as the process: its threads use it */
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

struct worker_words {
    int monitor; /* 0: this is not a worker */
    unsigned fds;
    char *mountpoints[MOUNTS_MAX];
    size_t mount_count;
};

/* The paths are as the monitor resolved them: to look at a mount point here would be to wait for ourselves. */
static int run_worker(struct program *program, const struct worker_words *words)
{
    struct worker_process process = {.monitor = words->monitor,
        .fds = words->fds,
        .conf = &program->conf,
        .mountpoints = words->mountpoints,
        .mount_count = words->mount_count,
        .background = !program->args.foreground,
        .control_serve = sealedfs_control_serve};
    if (process.background)
        (void)!chdir("/");
    for (size_t i = 0; i < words->mount_count && i < program->conf.mounts.count; i++)
        if (words->mountpoints[i][0] &&
            !take_mountpoint(&program->conf.mounts.items[i], words->mountpoints[i]))
            return err_info(ERR_NOMEM)->exit_status;
    return worker_main(&process);
}

/* Takes what child.h says is put before the monitor's own words off the command line. */
static void take_worker_words(int *argc, char ***argv, struct worker_words *ret_words)
{
    if (*argc < 2 || sscanf((*argv)[1], "--worker=%d:%x:%zu", &ret_words->monitor, &ret_words->fds,
                         &ret_words->mount_count) != 3)
        return;
    size_t count = ret_words->mount_count;
    if (count > MOUNTS_MAX || (size_t)*argc < 2 + count)
        _exit(127); /* no monitor of ours wrote this */
    for (size_t i = 0; i < count; i++)
        ret_words->mountpoints[i] = (*argv)[2 + i];
    (*argv)[1 + count] = (*argv)[0];
    *argc -= (int)count + 1;
    *argv += count + 1;
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
static const char *rule_by_executable(const struct sealedfs_conf *conf)
{
    for (size_t i = 0; i < conf->rules.count; i++)
        if (conf->rules.items[i].exes.count > 0 || conf->rules.items[i].exe_sha256.count > 0)
            return conf->rules.items[i].name;
    return NULL;
}

/* Rules by executable would all be decided without it: better not to begin, or at a reload to go on with those before. */
static bool do_without_looks(const struct sealedfs_conf *conf, bool witness, struct err *err)
{
    const char *rule = rule_by_executable(conf);
    if (rule)
        return err_set(err, ERR_CONFIG,
            "[rule:%s] asks for the caller's executable, which takes CAP_SYS_PTRACE to see: give "
            "sealedfs that (systemd: CapabilityBoundingSet) and restart it, or remove exe and "
            "exe_sha256",
            rule);
    if (witness)
        log_warning("without CAP_SYS_PTRACE the executables of other users' processes are not "
                    "known: audit records do not name them");
    return true;
}

static bool keep_needed_caps(const struct sealedfs_conf *conf, bool witness, struct err *err)
{
    uint64_t chown = needs_chown(conf) ? CAP(CAP_CHOWN) : 0;
    uint64_t needed = chown | CAP(CAP_SYS_ADMIN) | CAP(CAP_DAC_READ_SEARCH) | CAP(CAP_KILL) |
                      CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_SETPCAP);
    static const uint64_t wanted[] = {
        CAP(CAP_IPC_LOCK) | CAP(CAP_SYS_RESOURCE) | CAP(CAP_DAC_OVERRIDE),
        CAP(CAP_IPC_LOCK) | CAP(CAP_DAC_OVERRIDE), 0};
    const uint64_t looks[] = {CAP(CAP_SYS_PTRACE) | CAP(CAP_NET_ADMIN), CAP(CAP_SYS_PTRACE), 0};
    /* Without a witness too: a reload may bring rules, and what was given up does not come back. */
    for (size_t k = 0; k < ARRAY_LEN(looks); k++)
        for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
            if (sandbox_keep_caps(needed | wanted[i] | looks[k], err))
                return looks[k] || do_without_looks(conf, witness, err);
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
    /* After an upgrade a token_command is started under this filter: what bounds its time, and what a shell begins with. */
    static const char *const starting[] = {"alarm", "setitimer", "pipe", "vfork", "wait4", "waitid",
        "setpgid", "getpgid", "getpgrp", "getsid", "getcwd", "chdir", "fchdir", "getrusage",
        "times", "sysinfo", "select", "pselect6", "ftruncate", NULL};
    static const char *const *const lists[] = {mounting, making, starting, worker_syscalls, NULL};
    return sandbox_seccomp_parent(lists, err);
}

static bool make_witness(
    const struct sealedfs_conf *conf, struct witness **ret_witness, struct err *err)
{
    const struct witness_conf witness = witness_conf_of(conf);
    struct err why = ERR_INIT;
    *ret_witness = NULL;
    if (witness_new(&witness, ret_witness, &why))
        return true;
    if (witness_needed(conf)) {
        *err = why;
        return false;
    }
    log_err(LOG_LEVEL_WARNING, &why,
        "files whose mode changes are for those alone whom the ids of their request let in");
    return true;
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

static bool take_mounts(
    struct program *program, struct mounted *mounts, size_t *ret_count, struct err *err)
{
    for (size_t i = 0; i < program->conf.mounts.count; i++, (*ret_count)++)
        if (program->resume_fd >= 0
                ? !mounted_resume(&mounts[i], &program->conf, i, &program->resume, err)
                : !mounted_prepare(&mounts[i], &program->conf, i, err))
            return false;
    return mounted_check(mounts, *ret_count, err);
}

static bool leave_mounts(
    struct state *state, struct mounted *leaving, size_t *ret_count, struct err *err)
{
    for (size_t i = 0; i < state->mount_count; i++)
        if (state->mounts[i].fuse_fd >= 0 &&
            !mounted_leave(&leaving[(*ret_count)++], &state->mounts[i], err))
            return false;
    return true;
}

/* Whoever connects to one that nobody serves would wait for ever. */
static bool leave_listeners(const struct program *program, struct supervisor_conf *conf)
{
    const struct state *state = &program->resume;
    for (size_t i = 0; i < state->listener_count; i++)
        if (state->listeners[i].fd >= 0)
            conf->leaving_listeners[conf->leaving_listener_count++] = state->listeners[i];
    return true;
}

typedef bool bind_fn(const struct program *program, int *ret_fd, struct err *err);

static bool bind_control(const struct program *program, int *ret_fd, struct err *err)
{
    return sealedfs_control_bind(&program->conf, ret_fd, err);
}

static bool bind_metrics(const struct program *program, int *ret_fd, struct err *err)
{
    return scrape_listen(program->conf.metrics.listen, ret_fd, err);
}

static bool bind_credentials(const struct program *program, int *ret_fd, struct err *err)
{
    return credentials_bind(&program->conf, ret_fd, err);
}

/* One that the program before this one had stays bound; another name is bound anew. */
static bool take_listener(struct program *program, char *name, bind_fn *bind,
    struct state_listener *ret_listener, struct err *err)
{
    struct state *state = &program->resume;
    *ret_listener = (struct state_listener){name, -1};
    for (size_t i = 0; name && i < state->listener_count; i++)
        if (strcmp(state->listeners[i].name, name) == 0) {
            ret_listener->fd = take_fd(state->listeners[i].fd);
            return true;
        }
    bool is_trial = program->resume_fd >= 0 && state->purpose == STATE_TRIAL;
    return !name || is_trial || bind(program, &ret_listener->fd, err);
}

static bool take_snapshot(void *arg, int *ret_fd, struct err *err)
{
    const struct program *program = arg;
    return sealedfs_conf_snapshot(program->args.config, program->options, ret_fd, err);
}

static bool take_listeners(
    struct program *program, struct state_listener *listeners, struct err *err)
{
    struct sealedfs_conf *conf = &program->conf;
    char *credentials = conf->unit_credentials.count > 0 ? conf->credentials.socket : NULL;
    return take_listener(
               program, conf->control.socket, bind_control, &listeners[LISTENER_CONTROL], err) &&
           take_listener(
               program, conf->metrics.listen, bind_metrics, &listeners[LISTENER_METRICS], err) &&
           take_listener(
               program, credentials, bind_credentials, &listeners[LISTENER_CREDENTIALS], err);
}

static bool prepare_monitor(struct program *program, struct supervisor_conf *conf, struct err *err)
{
    uid_t uid;
    gid_t gid;
    bool resumed = program->resume_fd >= 0;
    if (!resumed && !binary_started_by(&program->resume.program, err))
        return false;
    conf->program = program->resume.program;
    bool done = take_mounts(program, conf->mounts, &conf->mount_count, err) &&
                leave_mounts(&program->resume, conf->leaving, &conf->leaving_count, err) &&
                make_witness(&program->conf, &program->witness, err) &&
                token_runs_init(conf->tokens, &program->conf, err) &&
                sandbox_user_ids(program->conf.mount.user, &uid, &gid, err) &&
                keep_needed_caps(&program->conf, program->witness != NULL, err) &&
                take_listeners(program, conf->listeners, err) && leave_listeners(program, conf) &&
                /* It is inherited, and each more would be walked at every call. */
                (resumed || leave_system_calls(err));
    conf->witness = program->witness;
    return done;
}

/* A first start, or what the program before this one left. */
static bool run_monitor(struct program *program, char **argv, struct err *err)
{
    static struct mounted mounts[MOUNTS_MAX], leaving[MOUNTS_MAX];
    static struct state_listener unserved[STATE_LISTENERS_MAX];
    struct token_runs tokens = {.fd = -1};
    bool resumed = program->resume_fd >= 0;
    struct supervisor_conf conf = {.mounts = mounts,
        .tokens = &tokens,
        .stop_ms = program->conf.mount.stop_ms,
        .open_timeout_ms = program->conf.secrets.open_timeout_ms,
        .argv = argv,
        .conf_fd = program->conf_fd,
        .snapshot = take_snapshot,
        .resume = resumed ? &program->resume : NULL,
        .leaving = leaving,
        .leaving_listeners = unserved,
        .ready = on_ready,
        .arg = program};
    if (geteuid() != 0)
        return err_set(err, ERR_CONFIG,
            "sealedfs is started as root (it mounts, then its worker becomes user %s)",
            program->conf.mount.user);
    bool done = prepare_monitor(program, &conf, err);
    if (resumed && program->resume.purpose == STATE_TRIAL) /* what it made ends with it */
        _exit(done && worker_main_trial(&program->conf, err) ? 0 : fail(err));
    if (done)
        done = supervisor_run(&conf, err);
    else if (resumed)
        renewal_give_back(program->resume_fd, argv, err);
    if (!resumed)
        free(conf.program);
    token_runs_done(&tokens);
    for (size_t i = 0; i < conf.mount_count; i++)
        mounted_done(&mounts[i]);
    for (size_t i = 0; i < conf.leaving_count; i++)
        mounted_done(&leaving[i]);
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

/* The state that the program before this one left (fs/renewal.c); its word goes off the command line. */
static bool take_resume_word(int *argc, char ***argv, struct program *program, struct err *err)
{
    state_init(&program->resume);
    if (*argc < 2 || sscanf((*argv)[1], "--resume=%d", &program->resume_fd) != 1)
        return true;
    (*argv)[1] = (*argv)[0];
    *argc -= 1;
    *argv += 1;
    (void)prctl(
        PR_SET_NAME, "sealedfs", 0, 0, 0); /* executed by descriptor, it would be a number */
    return state_load(program->resume_fd, &program->resume, err);
}

/* The next program may start in another directory. */
static bool set_absolute(char **argv, char **operand, struct err *err)
{
    char *old = *operand, *path = NULL;
    if (!make_absolute(old, &path, err))
        return false;
    for (; *argv; argv++)
        if (*argv == old)
            *argv = path;
    *operand = path;
    return true;
}

/* A worker and a program that was executed anew read what was fixed for them, a first start what is there. */
static bool load_conf(
    struct program *program, char **argv, const struct worker_words *worker, struct err *err)
{
    char **operands = program->operands;
    if (program->operand_count == 2 &&
        (!set_absolute(argv, &operands[0], err) || !set_absolute(argv, &operands[1], err)))
        return false;
    program->conf_fd = -1;
    if (worker->monitor > 0)
        program->conf_fd = worker_fd_of(worker->fds, WORKER_CONF);
    else if (program->resume_fd >= 0)
        program->conf_fd = program->resume.conf_fd;
    else if (!take_snapshot(program, &program->conf_fd, err))
        return false;
    struct sealedfs_mirror mirror = {operands[0], operands[1]};
    return sealedfs_conf_load_snapshot(program->conf_fd, program->args.config, program->options,
        program->operand_count == 2 ? &mirror : NULL, &program->conf, err);
}

static int run(struct program *program, char **argv, const struct worker_words *worker)
{
    struct err err = ERR_INIT;
    if (!load_conf(program, argv, worker, &err) ||
        (worker->monitor == 0 && !sealedfs_check_names(&program->conf, &err))) {
        if (program->resume_fd >= 0)
            renewal_give_back(program->resume_fd, argv, &err);
        return fail(&err);
    }
    if (program->args.check) {
        if (!sealedfs_check(&program->conf, &err))
            return fail(&err);
        puts(CONF_GOOD);
        return 0;
    }
    bool journal = !program->args.foreground && access("/run/systemd/journal/socket", F_OK) == 0;
    log_init("sealedfs", journal ? LOG_TARGET_JOURNAL : LOG_TARGET_AUTO,
        (enum log_level)program->conf.mount.log_level);
    if (worker->monitor > 0)
        return run_worker(program, worker);
    if (!program->args.foreground && program->resume_fd < 0)
        return start_in_background(program, argv);
    return run_monitor(program, argv, &err) ? 0 : fail(&err);
}

int main(int argc, char **argv)
{
    static struct program program = {.ready_fd = -1, .resume_fd = -1};
    struct worker_words worker = {0};
    struct err err = ERR_INIT;
    bool done = false;
    take_worker_words(&argc, &argv, &worker);
    if (!sandbox_harden(&err) || !take_resume_word(&argc, &argv, &program, &err) ||
        !parse(argc, argv, &program, &done, &err))
        return fail(&err);
    if (done)
        return 0;
    if (program.args.print_sample)
        return sealedfs_conf_sample(STDOUT_FILENO, &err) ? 0 : fail(&err);
    return run(&program, argv, &worker);
}
