# SPDX-License-Identifier: Apache-2.0
"""fs_park.py WHAT PATH: opens that wait (tests/it/fs_park.sh)."""
import errno
import os
import signal
import subprocess
import sys
import threading
import time

OPENAT = "257" if os.uname().machine == "x86_64" else "56"
QUICK = 0.5  # s: far above what an answer from memory takes on a busy machine, far below what the waiting ones wait


def read(path):
    with open(path, "rb", buffering=0) as file:
        return file.readall()


def crowd(mount):
    """32 processes open 1000 cold files; meanwhile everything that needs no network answers."""
    def child(part):
        threads = [threading.Thread(target=check, args=(i,)) for i in range(1 + part, 1001, 32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os._exit(len(failed) and 1)

    def check(i):
        if read(f"{mount}/cold{i}") != b"cold%d" % i:
            failed.append(i)

    failed = []
    start = time.monotonic()
    children = []
    for part in range(32):
        pid = os.fork()
        if pid == 0:
            child(part)
        children.append(pid)
    worst = 0.0
    looks = 0
    while time.monotonic() - start < 2.5:
        for look in (lambda: read(f"{mount}/warm"), lambda: os.stat(f"{mount}/slow"), lambda: os.listdir(mount),
                     lambda: os.statvfs(mount), lambda: read(f"{mount}/plain")):
            before = time.monotonic()
            look()
            worst = max(worst, time.monotonic() - before)
            looks += 1
    print(f"worst of {looks} looks: {worst * 1000:.1f} ms")
    assert worst < QUICK, worst
    assert all(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 for pid in children)
    print(f"all read after {time.monotonic() - start:.2f} s")


def same(path):
    results = []
    threads = [threading.Thread(target=lambda: results.append(read(path))) for _ in range(300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 300 and set(results) == {b"slow answer"}, set(results)


def wait_until_in_open(pid):
    turn = threading.Event()
    while open(f"/proc/{pid}/syscall").read().split()[0] != OPENAT or "S" not in open(f"/proc/{pid}/stat").read().split()[2]:
        turn.wait(0.01)


def interrupt(path):
    """One waiter is killed, one gets a signal with a handler; a third waits on."""
    ended = []
    threading.Thread(target=lambda: ended.append(error_of(path)), daemon=True).start()
    killed = subprocess.Popen(["cat", path], stderr=subprocess.DEVNULL)
    signalled = subprocess.Popen([sys.executable, "-c", """
import os, signal, sys
class Stop(Exception): pass
def stop(*_): raise Stop
signal.signal(signal.SIGUSR1, stop)
print("ready", flush=True)
try: os.open(sys.argv[1], os.O_RDONLY)
except Stop: print("interrupted", flush=True)
""", path], stdout=subprocess.PIPE, text=True)
    signalled.stdout.readline()
    for waiter in killed, signalled:
        wait_until_in_open(waiter.pid)
    before = time.monotonic()
    killed.send_signal(signal.SIGKILL)
    killed.wait(5)
    signalled.send_signal(signal.SIGUSR1)
    assert signalled.communicate(timeout=5)[0].strip() == "interrupted"
    assert time.monotonic() - before < 2
    assert not ended


def error_of(path):
    try:
        read(path)
        return "none"
    except OSError as failure:
        return errno.errorcode[failure.errno]


if __name__ == "__main__":
    if sys.argv[1] == "errno":
        print(error_of(sys.argv[2]))
    else:
        globals()[sys.argv[1]](sys.argv[2])
