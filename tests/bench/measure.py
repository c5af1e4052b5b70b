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
FORMS = {"sealed": MOUNT, "catalogue": E["DIR"] + "/catalogue"}
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


def mount(form="sealed"):
    """A new monitor and a new worker."""
    log = open(E["DIR"] + "/sealedfs.log", "a")
    where = [E["SOURCE"], MOUNT, "-o", f"config={E['DIR']}/sealedfs.conf"] if form == "sealed" else ["--config", f"{E['DIR']}/catalogue.conf"]
    process = subprocess.Popen([E["BIN"] + "/sealedfs", "-f", *where], stdout=log, stderr=log)
    PIDS["monitor"] = process.pid
    end = time.monotonic() + 20
    while not os.path.ismount(FORMS[form]):
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


def opens(path, count):
    """Median and 99th percentile of open+read+close, in microseconds."""
    return [float(word) for word in run(E["TESTBIN"] + "/bench_open", path, str(count)).split()[:2]]


def warm_reads():
    paths = {"direct": MOUNT + "/local", "bare direct": E["DIR"] + "/bare-direct/secret",
             "page": E["DIR"] + "/gate-page/secret", "bare page": E["DIR"] + "/bare-page/secret"}
    times = {kind: [] for kind in paths}
    read("local")
    for turn in range(ROUNDS):
        for kind in sorted(paths, reverse=turn % 2 == 1):
            times[kind].append(opens(paths[kind], 2000)[0])
    middle = {kind: statistics.median(rows) for kind, rows in times.items()}
    say("warm open+read+close, direct", middle["direct"], "us", middle["bare direct"], "a bare libfuse program", 1.5)
    say("warm open+read+close, cache = page", middle["page"], "us", middle["bare page"], "the same with keep_cache", 1.5)


def gate():
    kinds = ("off", "audited", "ruled")
    times = {kind: [] for kind in kinds}
    for _ in range(ROUNDS):
        for kind in kinds:
            times[kind].append(float(run(E["TESTBIN"] + "/bench_open", f"{E['DIR']}/gate-{kind}/secret", "2000").split()[0]))
    off, audited, ruled = (statistics.median(times[kind]) for kind in kinds)
    say("warm open+read+close, recorded", audited, "us", off, "not recorded", 1.15)
    say("rules by cgroup and executable", ruled - off, "us", aim=20)


def peers():
    """Who has or had (for a minute) a connection to the broker."""
    port = f":{int(E['URL'].rsplit(':', 1)[1]):04X}"
    rows = (line.split() for line in open("/proc/net/tcp"))
    return {row[1] for row in rows if row[2].endswith(port)} | {row[2] for row in rows if row[1].endswith(port)}


def crowd():
    """Files with a sealed string, and files of a catalogue."""
    ours, bare, handshakes, connections = {form: [] for form in FORMS}, [], [], []
    for _ in range(ROUNDS):
        for form, place in FORMS.items():
            process = mount(form)
            before = peers()
            ours[form].append(float(run(E["TESTBIN"] + "/bench_crowd", place + "/many", "1000", "64")))
            connections.append(len(peers() - before))
            handshakes.append(json.loads(run(E["BIN"] + "/sealed", "status", "--json"))["handshakes"])
            unmount(process)
        bare.append(float(run(E["TESTBIN"] + "/bench_gets", E["URL"], E["DIR"] + "/ca.pem", E["DIR"] + "/attestd.sock",
                              "team/many/", "1000", "8")))
    for form, name in (("sealed", "1,000 cold secrets, 64 processes"), ("catalogue", "1,000 cold files of a catalogue, as many")):
        say(name, statistics.median(ours[form]), "ms", statistics.median(bare),
            "1,000 GETs, 8 connections, kept alive; without handshake", 1.5)
        say("  the fastest round of each", min(ours[form]), "ms", min(bare), "the same", 1.5)
    say("  handshakes, at most", max(handshakes), "", aim=1)
    say("  connections, at most", max(connections), "", aim=8)


def family(pid):
    return [pid] + [below for child in children(pid) for below in family(child)]


def parked():
    return json.loads(run(E["BIN"] + "/sealed", "status", "--json"))["filesystem"]["parked"]


def wait_until(what, true):
    end = time.monotonic() + 60
    while not true():
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain for {what}")


def hang():
    """The same opens while the broker answers, and while it stands still and 64 others wait for it."""
    times = {"alive": [], "hangs": []}
    for turn in range(ROUNDS):
        for state in sorted(times, reverse=turn % 2 == 1):
            flush()
            read("local")
            if state == "alive":
                times[state].append(opens(MOUNT + "/local", 5000))
                continue
            broker = family(PIDS["kbs-front"])
            try:
                for pid in broker:
                    os.kill(pid, signal.SIGSTOP)
                crowd = subprocess.Popen([E["TESTBIN"] + "/bench_crowd", MOUNT + "/many", "64", "64"], stdout=subprocess.DEVNULL)
                wait_until("64 opens that wait", lambda: parked() == 64)
                times[state].append(opens(MOUNT + "/local", 5000))
            finally:
                for pid in broker:
                    os.kill(pid, signal.SIGCONT)
            if crowd.wait(60) != 0:
                raise SystemExit("those that waited got no answer")
    for number, name, aim in ((0, "median", None), (1, "p99", 1.2)):
        hangs, alive = (statistics.median(row[number] for row in times[state]) for state in ("hangs", "alive"))
        say(f"warm while the broker hangs, {name}", hangs, "us", alive, "the same while it answers", aim)
    hangs, alive = (min(row[1] for row in times[state]) for state in ("hangs", "alive"))
    say("  p99 of the calmest round of each", hangs, "us", alive, "the same", 1.2)


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
    chosen = E.get("FIGURES", "").split()
    try:
        machine()
        # Each with a new worker, but for those that mount for themselves.
        for figure, mounts in ((sizes, False), (first_reads, False), (second_reads, True), (warm_reads, True), (gate, False),
                               (crowd, False), (hang, True), (memory, True)):
            if chosen and figure.__name__ not in chosen:
                continue
            process = mount() if mounts else None
            figure()
            if process:
                unmount(process)
    finally:
        if "monitor" in PIDS:
            try:
                os.kill(PIDS["monitor"], signal.SIGTERM)
            except ProcessLookupError:
                pass


main()
