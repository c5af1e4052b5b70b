/* SPDX-License-Identifier: Apache-2.0 */
/* plain_memory COMMAND…: runs it as on a kernel without memfd_secret(2), where secrets lie in locked memory that root can read. */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (argc < 2 || !filter ||
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(memfd_secret), 0) != 0 ||
        seccomp_load(filter) != 0) {
        fputs("usage: plain_memory COMMAND..., as root\n", stderr);
        return 2;
    }
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 1;
}
