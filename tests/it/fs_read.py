# SPDX-License-Identifier: Apache-2.0
"""fs_read.py WAY FILE: the content of FILE on standard output, read in one of the ways that programs use."""
import ctypes
import errno
import mmap
import os
import sys
import tempfile


def read_bytes(fd):
    return b"".join(iter(lambda: os.read(fd, 65536), b""))


def by_copy(copy):
    def way(fd):
        with tempfile.TemporaryFile() as out:
            while copy(out.fileno(), fd) > 0:
                pass
            out.seek(0)
            return out.read()
    return way


def copy_range(out, fd):
    try:
        return os.copy_file_range(fd, out, 1 << 20)
    except OSError as failure:  # programs then read and write, as cp does
        if failure.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP):
            raise
        return os.write(out, os.read(fd, 65536))


def splice(fd):
    ends = os.pipe()
    parts = []
    libc = ctypes.CDLL(None, use_errno=True)
    while True:
        count = libc.splice(fd, None, ends[1], None, 65536, 0)
        if count < 0:
            raise OSError(ctypes.get_errno(), "splice")
        if count == 0:
            return b"".join(parts)
        while count > 0:
            part = os.read(ends[0], count)
            parts.append(part)
            count -= len(part)


def map_as(flags):
    def way(fd):
        size = os.fstat(fd).st_size
        if size == 0:
            return b""
        try:
            with mmap.mmap(fd, size, flags=flags, prot=mmap.PROT_READ) as mapping:
                return mapping[:]
        except OSError as failure:
            if failure.errno != errno.ENODEV:
                raise
            return b"ENODEV"
    return way


WAYS = {
    "bytes": read_bytes,
    "sendfile": by_copy(lambda out, fd: os.sendfile(out, fd, None, 1 << 20)),
    "copy_file_range": by_copy(copy_range),
    "splice": splice,
    "mmap_private": map_as(mmap.MAP_PRIVATE),
    "mmap_shared": map_as(mmap.MAP_SHARED),
}

if __name__ == "__main__":
    sys.stdout.buffer.write(WAYS[sys.argv[1]](os.open(sys.argv[2], os.O_RDONLY)))
