# SPDX-License-Identifier: Apache-2.0
"""What the test of freshness does to open files.

fresh.py hold FILE COMMANDS ANSWERS   opens FILE and maps it (cache=page only), then answers each line on the FIFO COMMANDS on the FIFO ANSWERS:
    read     the whole content by pread(2), or the errno's name
    pages    how many of the file's pages are in the page cache (mincore(2))
    map      the first byte through the mapping, in a child (SIGBUS is an answer)
    end
fresh.py errno FILE                   errno's name of open(2), "OK" when it opens
fresh.py xattr FILE NAME              the value, or the errno's name
fresh.py watch STAMP OUT              inotify(7): appends the stamp's content to OUT at each modification; first the line "watching"
"""
import ctypes
import errno
import mmap
import os
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)


def name_of(error):
    return errno.errorcode.get(error.errno, str(error.errno))


def read_all(fd):
    try:
        return os.pread(fd, 1 << 20, 0).decode()
    except OSError as error:
        return name_of(error)


def pages(mapping, length):
    if mapping is None:
        return "no mapping"
    base = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
    count = (length + mmap.PAGESIZE - 1) // mmap.PAGESIZE
    vector = (ctypes.c_ubyte * count)()
    if libc.mincore(ctypes.c_void_p(base), ctypes.c_size_t(length), vector) != 0:
        return name_of(OSError(ctypes.get_errno(), "mincore"))
    return str(sum(entry & 1 for entry in vector))


def through_map(mapping):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, mapping[0:1])
        os._exit(0)
    os.close(writer)
    data = os.read(reader, 1)
    os.close(reader)
    _, status = os.waitpid(child, 0)
    return data.decode() if os.WIFEXITED(status) else f"signal {os.WTERMSIG(status)}"


def hold(path, commands, answers):
    fd = os.open(path, os.O_RDONLY)
    length = os.fstat(fd).st_size
    # Private and writable only so that ctypes takes its address; nothing is written.
    mapping = mmap.mmap(fd, length, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    with open(commands) as asked, open(answers, "w") as told:
        for line in asked:
            word = line.strip()
            if word == "end":
                break
            answer = {"read": lambda: read_all(fd), "pages": lambda: pages(mapping, length),
                      "map": lambda: through_map(mapping)}[word]()
            print(answer, file=told, flush=True)


def watch(path, out):
    fd = libc.inotify_init1(os.O_CLOEXEC)
    if libc.inotify_add_watch(fd, path.encode(), 0x2) < 0:  # IN_MODIFY
        raise OSError(ctypes.get_errno(), "inotify_add_watch")
    with open(out, "a") as told:
        print("watching", file=told, flush=True)
        while True:
            data = os.read(fd, 4096)
            for _ in range(len(data) // struct.calcsize("iIII")):
                print(open(path).read().strip(), file=told, flush=True)


def main():
    task, path, *rest = sys.argv[1:]
    if task == "hold":
        hold(path, *rest)
    elif task == "watch":
        watch(path, *rest)
    elif task == "xattr":
        try:
            print(os.getxattr(path, rest[0]).decode())
        except OSError as error:
            print(name_of(error))
    elif task == "errno":
        try:
            os.close(os.open(path, os.O_RDONLY))
            print("OK")
        except OSError as error:
            print(name_of(error))


main()
