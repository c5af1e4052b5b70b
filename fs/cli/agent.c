/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/agent.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/control.h"

/* The agent reads the text from a memfd that nobody can change any more. */
static bool sealed_memfd(struct bytes text, int *ret_fd, struct err *err)
{
    auto_fd int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, "memfd");
    for (size_t done = 0; done < text.len;) {
        ssize_t written = write(fd, text.data + done, text.len - done);
        if (written < 0)
            return err_set_errno(err, ERR_IO, "memfd");
        done += (size_t)written;
    }
    if (lseek(fd, 0, SEEK_SET) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        return err_set_errno(err, ERR_IO, "memfd");
    *ret_fd = take_fd(fd);
    return true;
}

bool agent_unseal(const char *socket, const char *context, struct bytes text,
    struct secret **ret_plaintext, struct err *err)
{
    auto_json *request = NULL, *answer = NULL;
    auto_fd int fd = -1;
    return json_build(&request, err, "{s:s,s:s}", "op", "unseal", "path", context) &&
           sealed_memfd(text, &fd, err) &&
           control_ask(tool_socket(socket), request, fd, &answer, ret_plaintext, err);
}
