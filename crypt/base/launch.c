/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/launch.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "crypt/base/sandbox.h"

bool launch_prepare(struct launch *ret_launch, struct err *err)
{
    struct launch launch;
    if (getrlimit(RLIMIT_CORE, &launch.core) < 0 || getrlimit(RLIMIT_MEMLOCK, &launch.memlock) < 0)
        return err_set_errno(err, ERR_INTERNAL, "limits of this process");
    /* Only the soft limit of core dumps: without privilege a hard one could not be given back. */
    struct rlimit no_core = {.rlim_cur = 0, .rlim_max = launch.core.rlim_max};
    if (setrlimit(RLIMIT_CORE, &no_core) < 0)
        return err_set_errno(err, ERR_INTERNAL, "forbid core dumps");
    if (!sandbox_relaxed() && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_set_errno(err, ERR_INTERNAL, "make the process undumpable");
    launch.pipe_handler = signal(SIGPIPE, SIG_IGN);
    if (launch.pipe_handler == SIG_ERR)
        return err_set_errno(err, ERR_INTERNAL, "ignore SIGPIPE");
    *ret_launch = launch;
    return true;
}

bool launch_exec(const struct launch *launch, char *const *argv, char *const *envp, struct err *err)
{
    if (setrlimit(RLIMIT_CORE, &launch->core) < 0 ||
        setrlimit(RLIMIT_MEMLOCK, &launch->memlock) < 0 ||
        signal(SIGPIPE, launch->pipe_handler) == SIG_ERR)
        return err_set_errno(err, ERR_INTERNAL, "give limits and signals back");
    execvpe(argv[0], argv, envp);
    return err_set_errno(
        err, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "%.200s cannot be started", argv[0]);
}
