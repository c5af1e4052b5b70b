# SPDX-License-Identifier: Apache-2.0
"""What tests/it/fs_hostile.sh needs system calls for."""
import mmap
import os
import sys
import time

DEPTH = 900


def read(path):
    with open(path, "rb") as file:
        return file.read()


def deep_make(top):
    os.chdir(top)
    for _ in range(DEPTH):
        os.mkdir("a")
        os.chdir("a")
    with open("f", "w", encoding="ascii") as file:
        file.write("bottom")


def deep_read(top, command):
    """A directory deep down stays open over the death of the worker; its successor knows nothing on the way to it."""
    fd = os.open(os.path.join(top, "a/" * DEPTH), os.O_RDONLY | os.O_DIRECTORY)
    os.system(command)
    assert os.listdir(fd) == ["f"]
    assert os.stat("f", dir_fd=fd).st_size == 6


def mapped(source, mount):
    """Stores through a mapping after the first change no time stamp."""
    maps = []
    for name in ("m", "p"):
        with open(os.path.join(source, name), "r+b") as file:
            maps.append(mmap.mmap(file.fileno(), 0))
    sealed, plain = maps
    for i in range(20):
        want = b"%04d" % i
        sealed[-4:] = want
        plain[:] = b"sealed.0.S" if i % 2 else b"not sealed"
        assert read(os.path.join(mount, "m")) == want, i
        assert read(os.path.join(mount, "p")) == (b"S" if i % 2 else b"not sealed"), i
        if i % 5 == 0:  # long enough for the worker to trust what it keeps
            end = time.monotonic() + 0.05
            while time.monotonic() < end:
                read(os.path.join(mount, "m"))
    print("mapped")


if __name__ == "__main__":
    {"deep_make": deep_make, "deep_read": deep_read, "mapped": mapped}[sys.argv[1]](*sys.argv[2:])
