/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

bool memfd_sealed(const char *name, struct bytes content, int *ret_fd, struct err *err)
{
    auto_fd int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_set_errno(err, ERR_NOMEM, "make a memfd");
    for (size_t done = 0; done < content.len;) {
        ssize_t len = write(fd, content.data + done, content.len - done);
        if (len < 0)
            return err_set_errno(err, ERR_NOMEM, "write a memfd");
        done += (size_t)len;
    }
    if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        return err_set_errno(err, ERR_INTERNAL, "seal a memfd");
    *ret_fd = take_fd(fd);
    return true;
}

bool memfd_read(int fd, struct buf *out, struct err *err)
{
    struct stat st;
    uint8_t *room;
    if (fcntl(fd, F_GET_SEALS) != SEALS || fstat(fd, &st) < 0 || st.st_size > (off_t)out->max)
        return err_set(err, ERR_FORMAT, "descriptor %d is no sealed memfd", fd);
    size_t size = (size_t)st.st_size;
    if (!buf_reserve(out, size, &room, err))
        return false;
    if (pread(fd, room, size, 0) != (ssize_t)size)
        return err_set_errno(err, ERR_IO, "read a memfd");
    buf_commit(out, size);
    return true;
}
