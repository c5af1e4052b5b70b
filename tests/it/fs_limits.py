# SPDX-License-Identifier: Apache-2.0
"""fs_limits.py WHAT MOUNT COUNT …: more open files than memory or descriptors allow (tests/it/fs_limits.sh). The files are s0, s1, ….

Prints how many opens went well and the errors of the others."""
import collections
import errno
import os
import sys


def look(results, mount, number, keep):
    try:
        fd = os.open(f"{mount}/s{number}", os.O_RDONLY)
    except OSError as failure:
        results[errno.errorcode[failure.errno]] += 1
        return
    try:
        keep.append(fd)
        data = os.pread(fd, 100, 0)
        assert data == b"secret %d" % number, data
        results["right"] += 1
    except OSError as failure:
        results["read " + errno.errorcode[failure.errno]] += 1


def opened(mount, first, count, held):
    results, keep = collections.Counter(), []
    for number in range(int(first), int(first) + int(count)):
        look(results, mount, number, keep)
        if not held:
            os.close(keep.pop()) if keep else None
    for fd in keep:
        os.close(fd)
    print(" ".join(sorted(results)))


if __name__ == "__main__":
    opened(*sys.argv[2:], held=sys.argv[1] == "held")
