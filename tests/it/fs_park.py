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
PATIENCE = 100  # s: a bound for broken runs
LOOKS = 100


def read(path):
    with open(path, "rb", buffering=0) as file:
        return file.readall()


def crowd(mount, log, gate):
    """32 processes open 1000 cold files, whose content comes when the file `gate` is there; it is made when everything that needs no
    network has answered many times."""
    def child(part):
        threads = [threading.Thread(target=check, args=(i,)) for i in range(1 + part, 1001, 32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os._exit(len(failed) and 1)

    def check(i):
        if read(f"{mount}/cold{i}") != b"cold":
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
    while waiting(log) < 1000:
        assert time.monotonic() - start < PATIENCE, f"{waiting(log)} opens wait"
        threading.Event().wait(0.02)
    signal.alarm(PATIENCE)  # a look that waits for the crowd would wait for ever
    for _ in range(LOOKS):
        for look in (lambda: read(f"{mount}/warm"), lambda: os.stat(f"{mount}/slow"), lambda: os.listdir(mount),
                     lambda: os.statvfs(mount), lambda: read(f"{mount}/plain")):
            before = time.monotonic()
            look()
            worst = max(worst, time.monotonic() - before)
    signal.alarm(0)
    print(f"worst of {5 * LOOKS} looks: {worst * 1000:.1f} ms")
    with open(f"{gate}.new", "w", encoding="ascii") as file:
        file.write("cold")
    os.rename(f"{gate}.new", gate)
    assert all(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 for pid in children)
    print(f"all read after {time.monotonic() - start:.2f} s")


def waiting(log):
    with open(log, encoding="utf-8", errors="replace") as file:
        return sum(line.startswith("resolve cold") for line in file)


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
    killed.send_signal(signal.SIGKILL)
    killed.wait(PATIENCE)
    signalled.send_signal(signal.SIGUSR1)
    assert signalled.communicate(timeout=PATIENCE)[0].strip() == "interrupted"
    assert not ended  # both ended long before their time: the third still waits


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
        globals()[sys.argv[1]](*sys.argv[2:])
