# SPDX-License-Identifier: Apache-2.0
"""fs_crash.py WHAT …: readers of a mount whose worker dies (tests/it/fs_crash.sh)."""
import errno
import os
import signal
import sys
import threading


def wanted_lines(length):
    return b"".join(b"%07d\n" % i for i in range(0, length, 8))[:length]


def replace(mount, source, worker):
    secret = open(f"{mount}/big", "rb", buffering=0)
    plain = open(f"{mount}/plain", "rb", buffering=0)
    secret_part, plain_part = secret.read(100000), plain.read(1000)
    slow = []
    waiting = threading.Thread(target=lambda: slow.append(open(f"{mount}/slow", "rb").read()))
    waiting.start()
    names = os.scandir(f"{mount}/dir")
    seen = [next(names).name for _ in range(10)]
    os.kill(int(worker), signal.SIGKILL)
    assert secret_part + secret.read() + secret.read() + secret.read() == wanted_lines(300000)
    assert plain_part + plain.read() == open(f"{source}/plain", "rb").read()
    assert sorted(seen + [entry.name for entry in names]) == sorted(os.listdir(f"{source}/dir"))
    assert os.fstat(secret.fileno()).st_size == 300000
    waiting.join()
    assert slow == [b"slow answer"], slow


def error_of(path):
    try:
        open(path, "rb").read()
        print("none")
    except OSError as failure:
        print(errno.errorcode[failure.errno])


if __name__ == "__main__":
    {"replace": replace, "errno": error_of}[sys.argv[1]](*sys.argv[2:])
