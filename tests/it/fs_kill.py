# SPDX-License-Identifier: Apache-2.0
"""fs_kill.py MOUNT SOURCE LOG KILLS: readers of every kind while the worker is killed at random moments (tests/it/fs_kill.sh).

What a reader may get is the right bytes, or ESTALE, EIO or EINTR no more often than a worker died; a call never takes for ever."""
import errno
import multiprocessing
import os
import random
import select
import re
import signal
import subprocess
import sys
import time

PATIENCE = 100  # s, for a busy machine
ALLOWED = (errno.ESTALE, errno.EIO, errno.EINTR)
QUICK = 3  # deaths of workers that hardly lived, before one that lived long enough to count


def lines(length):
    return b"".join(b"%07d\n" % i for i in range(0, length, 8))[:length]


def content(path):
    with open(path, "rb", buffering=0) as file:
        parts = []
        while part := file.read(65536):
            parts.append(part)
        return b"".join(parts)


class Reader:
    def __init__(self, mount, source, number):
        self.mount, self.source, self.number, self.turn = mount, source, number, 0
        self.plain = content(f"{source}/plain")
        self.names = sorted(os.listdir(f"{source}/dir"))
        self.kept = None

    def warm(self):
        return content(f"{self.mount}/warm") == lines(200000)

    def cold(self):
        self.turn += 1
        name = f"cold-{self.number}-{self.turn}"
        with open(f"{self.source}/{name}", "w") as file:
            file.write(f"sealed.{self.turn % 40}.secret of {name}")
        right = content(f"{self.mount}/{name}") == f"secret of {name}".encode()
        os.unlink(f"{self.source}/{name}")
        return right

    def ordinary(self):
        return content(f"{self.mount}/plain") == self.plain

    def listing(self):
        return sorted(os.listdir(f"{self.mount}/dir")) == self.names

    def bound(self):
        return content(f"{self.mount}.bound") == lines(200000)

    def state(self):
        return os.stat(f"{self.mount}/plain").st_size == len(self.plain) and os.stat(f"{self.mount}/warm").st_size >= 200000

    def held(self):
        if self.kept is None:
            self.kept = os.open(f"{self.mount}/warm", os.O_RDONLY)
        at = random.randrange(200000)
        return os.pread(self.kept, 5000, at) == lines(200000)[at : at + 5000]


KINDS = ["warm"] * 3 + ["cold"] * 4 + ["ordinary"] * 3 + ["listing"] * 2 + ["state"] * 2 + ["held"] * 2 + ["bound"]


def read_on(kind, reader, stop, results):
    right, failures, longest, wrong = 0, {}, 0, 0
    call = getattr(reader, kind)
    end = time.monotonic() + PATIENCE
    while not stop.is_set() or (right == 0 and time.monotonic() < end):  # at least once, when all is well again
        started = time.monotonic()
        try:
            if call():
                right += 1
            else:
                wrong += 1
        except OSError as failure:
            name = errno.errorcode[failure.errno]
            failures[name] = failures.get(name, 0) + 1
        longest = max(longest, time.monotonic() - started)
        stop.wait(0.002)
    results.put((kind, right, wrong, failures, longest))


def workers(log):
    return [int(pid) for pid in re.findall(r"worker (\d+) serves", open(log).read())]


def moment(seconds):
    """Not a wait for readiness: the time of a kill is what this test varies, and a turn of a bounded poll."""
    select.select([], [], [], seconds)


def kill_often(log, kills):
    before = len(workers(log))
    for done in range(kills):
        end = time.monotonic() + PATIENCE
        while len(workers(log)) < before + done:
            assert time.monotonic() < end, f"no worker after {done} deaths"
            moment(0.005)
        lived_long = done % (QUICK + 1) == QUICK
        moment(1.05 + random.random() / 10 if lived_long else random.random() / 4)
        os.kill(workers(log)[-1], signal.SIGKILL)
    end = time.monotonic() + PATIENCE
    while len(workers(log)) < before + kills:
        assert time.monotonic() < end, "no worker after the last death"
        moment(0.005)


def renew_often(times, command):
    for _ in range(times):
        moment(random.random() / 4)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)


def main(mount, source, log, times, *command):
    times = int(times)
    kills = 0 if command else times
    stop, results = multiprocessing.Event(), multiprocessing.Queue()
    pool = [
        multiprocessing.Process(target=read_on, args=(kind, Reader(mount, source, number), stop, results), daemon=True)
        for number, kind in enumerate(KINDS)
    ]
    for process in pool:
        process.start()
    if command:
        renew_often(times, command)
    else:
        kill_often(log, kills)
    stop.set()
    bad = []
    for _ in pool:
        kind, right, wrong, failures, longest = results.get(timeout=2 * PATIENCE)
        print(f"{kind}: {right} right, {wrong} wrong, failures {failures}, longest {longest:.2f} s", flush=True)
        allowed = sum(failures.get(errno.errorcode[number], 0) for number in ALLOWED)
        if wrong or right == 0 or allowed > kills or allowed != sum(failures.values()) or longest > PATIENCE:
            bad.append(kind)
    assert not bad, bad


if __name__ == "__main__":
    main(*sys.argv[1:])
