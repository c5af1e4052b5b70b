/* SPDX-License-Identifier: Apache-2.0 */
/* without CALL COMMAND…: runs it as on a kernel that does not have this system call. */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int call = argc > 2 ? seccomp_syscall_resolve_name(argv[1]) : __NR_SCMP_ERROR;
    if (!filter || call == __NR_SCMP_ERROR ||
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), call, 0) != 0 ||
        seccomp_load(filter) != 0) {
        fputs("usage: without CALL COMMAND..., as root\n", stderr);
        return 2;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 1;
}
