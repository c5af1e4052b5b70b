#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures for tests/bench/many.sh: memory of a file that is not open, and ls(1) beside libfuse's own example."""
import os
import statistics
import subprocess
import time

from figures import say

E = os.environ
FILES, ROUNDS = int(E["FILES"]), int(E["ROUNDS"])
DIRECTORIES = {"sealedfs": E["MNT"], "example": E.get("EXAMPLE")}


def pss(pid):
    """Bytes; what several processes share is counted once, in parts."""
    lines = open(f"/proc/{pid}/smaps_rollup").read().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def daemon():
    return sum(pss(pid) for pid in E["PIDS"].split())


def ls(directory):
    """Seconds."""
    begin = time.perf_counter()
    subprocess.run(["ls", "-l", directory], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def main():
    shown = {name: path for name, path in DIRECTORIES.items() if path}
    before = daemon()
    for name, path in shown.items():
        say(f"ls -l of {FILES} files, the first, {name}", ls(path), "s")
    say("memory of a file that was looked up", (daemon() - before) / FILES, "B", aim=300)
    say("  the whole daemon, by file", daemon() / FILES, "B")
    times = {name: [] for name in shown}
    for _ in range(ROUNDS):
        for name, path in shown.items():
            times[name].append(ls(path))
    ours = statistics.median(times["sealedfs"])
    if "example" in shown:
        say(f"ls -l of {FILES} files", ours, "s", statistics.median(times["example"]), "libfuse's passthrough example", 2)
    else:
        say(f"ls -l of {FILES} files", ours, "s")


main()
