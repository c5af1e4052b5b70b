#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures a running stack for tests/bench/run.sh, which sets the environment; prints a table, writes one JSON object a line."""
import json
import os
import platform
import signal
import statistics
import subprocess
import time

from figures import note, say

E = os.environ
MOUNT, ROUNDS = E["MNT"], int(E["ROUNDS"])
PIDS = {name: int(pid) for name, pid in (item.split("=") for item in E["PIDS"].split())}


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def flush(*options):
    run(E["BIN"] + "/sealed", "flush", *options)


def read(name):
    """Milliseconds of open, read and close."""
    path = f"{MOUNT}/{name}"
    begin = time.perf_counter_ns()
    fd = os.open(path, os.O_RDONLY)
    data = os.read(fd, 4096)
    os.close(fd)
    took = time.perf_counter_ns() - begin
    if data != b"correct horse":
        raise SystemExit(f"{name} reads {data!r}")
    return took / 1e6


def wire(rounds=1):
    """Milliseconds of each part."""
    parts = json.loads(run(E["TESTBIN"] + "/bench_wire", E["URL"], E["DIR"] + "/ca.pem", E["DIR"] + "/attestd.sock",
                           "team/secret/password", str(rounds)))
    return {name: value / 1e3 for name, value in parts.items()}


def children(pid):
    return [int(child) for child in open(f"/proc/{pid}/task/{pid}/children").read().split()]


def mount():
    """A new monitor and a new worker."""
    log = open(E["DIR"] + "/sealedfs.log", "a")
    process = subprocess.Popen([E["BIN"] + "/sealedfs", E["SOURCE"], MOUNT, "-f", "-o", f"config={E['DIR']}/sealedfs.conf"],
                               stdout=log, stderr=log)
    PIDS["monitor"] = process.pid
    end = time.monotonic() + 20
    while not os.path.ismount(MOUNT):
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit("sealedfs does not mount")
    run(E["BIN"] + "/sealed", "status")  # answers when the worker has settled
    return process


def unmount(process):
    process.send_signal(signal.SIGTERM)
    process.wait(20)


def median_of(rows, *names):
    return sum(statistics.median(row[name] for row in rows) for name in names)


# -- the figures ---------------------------------------------------------------------------------------------------------


def machine():
    cpu = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    print(f"{len(cpu)} x {cpu[0]}, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}")
    versions = run("dpkg-query", "-W", "-f", "${Package} ${Version}, ", "libssl3", "libcurl4", "libfuse3-3", "libmicrohttpd12",
                   "libtss2-esys-3.0.2-0", "swtpm").rstrip(", ")
    version = run(E["BIN"] + "/sealedfs", "--version").split()[-1]
    print(f"sealedfs {version}; {versions}\n", flush=True)
    note({"cpus": len(cpu), "cpu": cpu[0], "kernel": platform.release(), "load": os.getloadavg()[0], "versions": versions})


def first_reads():
    kept, fresh, parts = {"local": [], "held": []}, {"local": [], "held": []}, []
    for _ in range(ROUNDS):
        parts.append(wire())
        for name in fresh:
            process = mount()
            fresh[name].append(read(name))
            unmount(process)
    process = mount()
    read("local")
    for _ in range(ROUNDS):
        parts.append(wire())
        for name in kept:
            flush("--token")
            kept[name].append(read(name))
    unmount(process)
    for part in ("first_auth", "first_quote", "first_attest", "first_get", "kept_auth", "kept_quote", "kept_attest", "kept_get"):
        say("  alone: " + part, median_of(parts, part), "ms")
    for kind, rows, label in (("kept", kept, "first read, no token"), ("first", fresh, "first read, new worker")):
        names = [f"{kind}_{part}" for part in ("auth", "quote", "attest", "get")]
        say(label, statistics.median(rows["local"]), "ms", median_of(parts, *names), "auth+quote+attest+get", 1.2)
        say(label + ", signer in the KBS", statistics.median(rows["held"]), "ms",
            median_of(parts, *names) + median_of(parts, "kept_get"), "the same + one GET", 1.2)


def second_reads():
    times, parts = [], []
    flush("--token")
    read("local")
    for turn in range(ROUNDS):
        parts.append(wire())
        times += [read(f"second{turn * 20 + i}") for i in range(20)]
    say("second, different secret", statistics.median(times), "ms", median_of(parts, "keepalive_get"), "one keep-alive GET", 1.3)


def warm_reads():
    ours, bare = [], []
    read("local")
    for _ in range(ROUNDS):
        for times, path in ((ours, MOUNT + "/local"), (bare, E["DIR"] + "/bare/secret")):
            times.append(float(run(E["TESTBIN"] + "/bench_open", path, "2000").split()[0]))
    say("warm open+read+close", statistics.median(ours), "us", statistics.median(bare), "a bare libfuse program", 1.5)


def gate():
    kinds = ("off", "audited", "ruled")
    times = {kind: [] for kind in kinds}
    for _ in range(ROUNDS):
        for kind in kinds:
            times[kind].append(float(run(E["TESTBIN"] + "/bench_open", f"{E['DIR']}/gate-{kind}/secret", "2000").split()[0]))
    off, audited, ruled = (statistics.median(times[kind]) for kind in kinds)
    say("warm open+read+close, recorded", audited, "us", off, "not recorded", 1.15)
    say("rules by cgroup and executable", ruled - off, "us", aim=20)


def private_mib(pid):
    fields = dict(line.split(":", 1) for line in open(f"/proc/{pid}/smaps_rollup") if ":" in line[:20])
    return sum(int(fields[name].split()[0]) for name in ("Private_Clean", "Private_Dirty")) / 1024


def memory():
    for name, parent in (("worker", "monitor"), ("kbs-verifier", "kbs-front")):
        for number, child in enumerate(children(PIDS[parent])):
            PIDS[f"{name}{number or ''}"] = child
    read("local")
    before = {name: private_mib(pid) for name, pid in PIDS.items()}
    for turn in range(100):
        if turn == 10:
            early = {name: private_mib(pid) for name, pid in PIDS.items()}
        flush(*(["--token"] if turn % 10 == 0 else []))
        for i in range(100):
            read(f"second{i % 10}")
    for name, pid in PIDS.items():
        say(f"private memory, {name}: one read", before[name], "MiB", aim=6)
        say(f"private memory, {name}: 1,000 reads", early[name], "MiB", aim=6)
        say(f"private memory, {name}: 10,000 reads", private_mib(pid), "MiB", aim=6)


def sizes():
    for program in ("sealedfs", "sealed-attestd", "sealed-kbs", "sealed"):
        say(f"size of {program}, stripped", os.path.getsize(f"{E['DIR']}/{program}.stripped") / 1024, "KiB", aim=600)


def main():
    try:
        machine()
        sizes()
        first_reads()
        process = mount()
        second_reads()
        warm_reads()
        gate()
        unmount(process)
        process = mount()
        memory()
    finally:
        if "monitor" in PIDS:
            try:
                os.kill(PIDS["monitor"], signal.SIGTERM)
            except ProcessLookupError:
                pass


main()
