/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/token_run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypt/base/ipc.h"
#include "crypt/base/log.h"
#include "crypt/base/sandbox.h"

#define BLANKS    " \t"
#define CAP(name) (UINT64_C(1) << (name))

/* The process that starts commands. */
struct runner {
    const struct sealedfs_conf *conf;
    int fd;
    pid_t *pids; /* one a broker, 0: none runs */
};

static const struct conf_kbs *kbs_of(const struct sealedfs_conf *conf, size_t broker)
{
    if (broker > conf->brokers.count)
        return NULL;
    return broker == 0 ? &conf->kbs : &conf->brokers.items[broker - 1];
}

/* -- in the child of the runner ------------------------------------------------------------------------------ */

static bool place_fds(int output)
{
    auto_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return null >= 0 && dup2(output, STDOUT_FILENO) >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
           close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0;
}

static void let_signals_be(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int signo = 1; signo < NSIG; signo++)
        (void)signal(signo, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool run(const struct conf_kbs *kbs, pid_t runner, int output, struct err *err)
{
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    char *environment[] = {path, NULL}, *argv[TOKEN_WORDS_MAX] = {NULL};
    auto_free char *words = strdup(kbs->token_command);
    size_t count = 0;
    if (!words)
        return err_nomem(err);
    for (char *rest = words, *word; count < TOKEN_WORDS_MAX - 1 && (word = strsep(&rest, BLANKS));)
        if (*word)
            argv[count++] = word;
    if (!place_fds(output))
        return err_set_errno(err, ERR_INTERNAL, "descriptors");
    let_signals_be();
    alarm(TOKEN_RUN_S); /* outlives exec */
    if (!sandbox_become_user(kbs->token_user, NULL, err) || !sandbox_keep_caps(0, err) ||
        !sandbox_die_with_parent(runner, err))
        return false;
    (void)!chdir("/");
    execve(argv[0], argv, environment);
    return err_set_errno(err, ERR_CONFIG, "%s", argv[0]);
}

/* -- the runner -------------------------------------------------------------------------------- */

static void reap(struct runner *runner)
{
    int status;
    for (size_t i = 0; i <= runner->conf->brokers.count; i++) {
        const char *name = kbs_of(runner->conf, i)->name;
        if (runner->pids[i] == 0 || waitpid(runner->pids[i], &status, WNOHANG) != runner->pids[i])
            continue;
        runner->pids[i] = 0;
        if (WIFSIGNALED(status))
            log_warning("token_command of [kbs%s%s] was ended by signal %d%s", name ? ":" : "",
                name ? name : "", WTERMSIG(status),
                WTERMSIG(status) == SIGALRM ? ": it took too long" : "");
        else if (WEXITSTATUS(status) != 0)
            log_warning("token_command of [kbs%s%s] ended with status %d", name ? ":" : "",
                name ? name : "", WEXITSTATUS(status));
    }
}

static void start(struct runner *runner, size_t broker, int output)
{
    const struct conf_kbs *kbs = kbs_of(runner->conf, broker);
    pid_t self = getpid();
    if (!kbs || !kbs->token_command || runner->pids[broker] != 0) {
        log_warning("token_command: %s",
            kbs ? "none is configured, or it runs already" : "there is no such broker");
        return;
    }
    pid_t pid = fork();
    if (pid < 0)
        log_error("token_command: fork: %s", strerror(errno));
    if (pid == 0) {
        struct err cause = ERR_INIT;
        (void)run(kbs, self, output, &cause);
        log_err(LOG_LEVEL_ERROR, &cause, "token_command");
        _exit(127);
    }
    runner->pids[broker] = pid > 0 ? pid : 0;
}

/* False when the monitor has gone. */
static bool serve_one(struct runner *runner)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    int fds[IPC_FDS_MAX] = {-1, -1, -1, -1};
    size_t fd_count = 0;
    bool closed = false;
    struct err err = ERR_INIT;
    if (!ipc_receive(runner->fd, &message, fds, &fd_count, &closed, &err) || closed)
        return false;
    auto_fd int output = fds[0];
    for (size_t i = 1; i < fd_count; i++)
        close(fds[i]);
    if (message.len == 1 && output >= 0)
        start(runner, message.data[0], output);
    return true;
}

static void on_child(int signo)
{
    (void)signo; /* only to end ppoll */
}

static void runner_main(struct runner *runner, pid_t monitor)
{
    struct err err = ERR_INIT;
    struct pollfd wait = {.fd = runner->fd, .events = POLLIN};
    sigset_t child, none;
    sigemptyset(&none);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_SETMASK, &child, NULL);
    (void)signal(SIGCHLD, on_child);
    (void)signal(SIGINT, SIG_IGN); /* of the whole group; the monitor decides */
    if (!sandbox_keep_caps(CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_SETPCAP), &err) ||
        !sandbox_die_with_parent(monitor, &err)) {
        log_err(LOG_LEVEL_ERROR, &err, "the starter of token_command");
        return;
    }
    for (;;) {
        int ready = ppoll(&wait, 1, NULL, &none);
        reap(runner);
        if (ready > 0 && !serve_one(runner))
            return;
    }
}

/* -- the monitor's side ------------------------------------------------------------------------ */

static bool any_command(const struct sealedfs_conf *conf)
{
    for (size_t i = 0; i <= conf->brokers.count; i++)
        if (kbs_of(conf, i)->token_command)
            return true;
    return false;
}

static bool check_command(const struct conf_kbs *kbs, struct err *err)
{
    uid_t uid;
    gid_t gid;
    size_t len = strcspn(kbs->token_command, BLANKS);
    auto_free char *program = strndup(kbs->token_command, len);
    if (!program)
        return err_nomem(err);
    if (!sandbox_user_ids(kbs->token_user, &uid, &gid, err))
        return err_wrap(err, "token_user");
    return access(program, X_OK) == 0 ||
           err_set_errno(err, ERR_CONFIG, "token_command: program %s", program);
}

bool token_runs_check(const struct sealedfs_conf *conf, struct err *err)
{
    for (size_t i = 0; i <= conf->brokers.count; i++) {
        const struct conf_kbs *kbs = kbs_of(conf, i);
        if (kbs->token_command && !check_command(kbs, err))
            return err_wrap(err, "[kbs%s%s]", kbs->name ? ":" : "", kbs->name ? kbs->name : "");
    }
    return true;
}

bool token_runs_init(struct token_runs *runs, const struct sealedfs_conf *conf, struct err *err)
{
    int ends[2];
    runs->fd = -1;
    if (!any_command(conf))
        return true;
    if (!token_runs_check(conf, err))
        return false;
    struct runner runner = {.conf = conf, .pids = calloc(conf->brokers.count + 1, sizeof(pid_t))};
    if (!runner.pids)
        return err_nomem(err);
    pid_t monitor = getpid();
    bool paired = ipc_pair(ends, err);
    pid_t pid = paired ? fork() : -1;
    if (pid == 0) {
        close(ends[0]);
        runner.fd = ends[1];
        runner_main(&runner, monitor);
        _exit(0);
    }
    free(runner.pids);
    if (!paired)
        return false;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return err_set_errno(err, ERR_NOMEM, "fork");
    }
    runs->fd = ends[0];
    return true;
}

void token_runs_done(struct token_runs *runs)
{
    if (runs->fd >= 0)
        close(runs->fd);
    runs->fd = -1;
}

bool token_runs_start(struct token_runs *runs, size_t broker, int fd, struct err *err)
{
    uint8_t message = (uint8_t)broker;
    if (runs->fd < 0 || broker > UINT8_MAX)
        return err_set(err, ERR_CONFIG, "broker %zu has no token_command", broker);
    return ipc_send(runs->fd, bytes_of(&message, 1), &fd, 1, err);
}
