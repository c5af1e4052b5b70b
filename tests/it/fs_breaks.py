# SPDX-License-Identifier: Apache-2.0
"""fs_breaks.py WHAT …: what breaks around the mount (tests/it/fs_breaks.sh). Times are bounds for broken runs, far above a busy machine's."""
import os
import select
import signal
import subprocess
import sys
import threading
import time

PATIENCE = 600


def read(path):
    with open(path, "rb", buffering=0) as file:
        return file.readall()


def until(done):
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, "waited in vain"
        select.select([], [], [], 0.02)


def odd_names():
    names = [bytes([byte]) * 3 for byte in range(1, 256) if byte not in b"/."]
    names += [b"x" * 255, b"\xff" * 255, "\u00e4".encode() * 127, b"-rf", b" ", b"...", b"a\nb", b"*", b"'\"\\$(x)", b"sealed.0.x"]
    return sorted(set(names))


def name_make(source):
    for number, name in enumerate(odd_names()):
        with open(os.path.join(os.fsencode(source), name), "wb") as file:
            file.write(b"sealed.0.secret %d" % number if number % 2 else b"plain %d" % number)


def name_read(source, mount):
    source, mount = os.fsencode(source), os.fsencode(mount)
    assert sorted(os.listdir(mount)) == sorted(os.listdir(source)) == odd_names()
    for number, name in enumerate(odd_names()):
        wanted = b"secret %d" % number if number % 2 else b"plain %d" % number
        assert read(os.path.join(mount, name)) == wanted, name
        assert not os.path.exists(os.path.join(mount, name[:-1] + b"\x01\x02")), name
    try:
        os.stat(os.path.join(mount, b"x" * 256))
        raise AssertionError("a name of 256 bytes")
    except OSError as failure:
        assert failure.errno == 36, failure


def many_make(directory, count):
    os.mkdir(directory)
    for number in range(int(count)):
        fd = os.open(f"{directory}/f{number}", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(fd, b"sealed.0.secret %d" % number)
        os.close(fd)


def many_read(source, mount, count):
    count = int(count)
    started = time.monotonic()
    names = os.listdir(mount)
    assert len(names) == len(set(names)) == count and set(names) == set(os.listdir(source))
    listed = time.monotonic()
    assert all(entry.is_file() and entry.stat().st_size > 0 for entry in os.scandir(mount))
    looked = time.monotonic()
    for number in range(0, count, 50):
        assert read(f"{mount}/f{number}") == b"secret %d" % number, number
    os.unlink(f"{source}/f7")
    assert not os.path.exists(f"{mount}/f7") and len(os.listdir(mount)) == count - 1
    print(f"listed in {listed - started:.1f} s, looked at in {looked - listed:.1f} s, {count // 50} read in {time.monotonic() - looked:.1f} s")


def in_open(pid):
    """Sleeps in openat(2)."""
    try:
        call = open(f"/proc/{pid}/syscall").read().split()[0]
        return call == ("257" if os.uname().machine == "x86_64" else "56")
    except (FileNotFoundError, ProcessLookupError):
        return False


def waits(path, wanted, release):
    reader = subprocess.Popen(["cat", path], stdout=subprocess.PIPE)
    until(lambda: in_open(reader.pid))
    assert reader.poll() is None
    subprocess.run(release, shell=True, check=True)
    assert reader.communicate(timeout=PATIENCE)[0] == wanted.encode() and reader.returncode == 0


def crowd_member(mount, threads, number):
    """So many opens at once, in threads of one process; exit status 0 when each read what it should."""
    right = []
    threading.stack_size(128 * 1024)
    members = [threading.Thread(target=lambda i=i: right.append(read(f"{mount}/gate{(number + i) % 10}") == b"the answer")) for i in range(threads)]
    for member in members:
        member.start()
    for member in members:
        member.join()
    os._exit(0 if len(right) == threads and all(right) else 1)


def crowd(mount, fusectl, answer, count):
    count, processes = int(count), 20
    waiting = lambda: int(read(f"{fusectl}/{os.minor(os.stat(mount).st_dev)}/waiting"))
    children = []
    for number in range(processes):
        pid = os.fork()
        if pid == 0:
            crowd_member(mount, count // processes, number)
        children.append(pid)
    until(lambda: waiting() >= count)
    worst = 0.0
    for _ in range(100):
        before = time.monotonic()
        assert read(f"{mount}/warm") == b"warm"
        worst = max(worst, time.monotonic() - before)
    print(f"worst of 100 warm reads beside {count} waiting opens: {worst * 1000:.1f} ms")
    assert worst < 10
    for pid in children[::2]:
        os.kill(pid, signal.SIGKILL)
    for pid in children[::2]:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    until(lambda: waiting() == count // 2)
    with open(answer + ".new", "w") as file:
        file.write("the answer")
    os.rename(answer + ".new", answer)
    assert all(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 for pid in children[1::2])


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
