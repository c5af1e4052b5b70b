# SPDX-License-Identifier: Apache-2.0
"""Helper of fs_access.sh: reads the audit, and asks as threads do.

    last FILE PATH KEY…      values of the newest record whose path ends in PATH, "-" for a member that is not there
    count FILE [PATH]        records (of files put aside too), each a line of JSON with every member that must be there
    lines FILE VERDICT       how many have that verdict
    thread PATH              opens and reads in a thread that is not the first; prints "PID START", as /proc says
    burst PATH COUNT         opens so often, reads, says how many times it went well
"""
import glob
import json
import sys
import threading

ALWAYS = ("time", "id", "verdict", "pid", "uid", "gid", "path", "ms")


def records(path):
    names = sorted(glob.glob(path + ".*"), key=lambda name: -int(name.rsplit(".", 1)[1])) + [path]
    for name in names:
        with open(name) as lines:
            for line in lines:
                record = json.loads(line)
                missing = [member for member in ALWAYS if member not in record]
                if missing or not line.endswith("\n"):
                    sys.exit(f"bad record, without {missing}: {line}")
                yield record


def of_path(path, end):
    return [record for record in records(path) if record["path"].endswith(end)]


def last(path, end, *keys):
    found = of_path(path, end)
    if not found:
        sys.exit(f"no record of {end}")
    print(" ".join(str(found[-1].get(key, "-")) for key in keys))


def count(path, end=""):
    print(len(of_path(path, end)))


def lines(path, verdict):
    print(sum(record["verdict"] == verdict for record in records(path)))


def thread(path):
    def read():
        with open(path) as file:
            file.read()

    other = threading.Thread(target=read)
    other.start()
    other.join()
    with open("/proc/self/stat") as stat:
        text = stat.read()
    print(text.split(" ", 1)[0], text.rsplit(")", 1)[1].split()[19])


def burst(path, times):
    good = 0
    for _ in range(int(times)):
        try:
            with open(path) as file:
                good += len(file.read()) > 0
        except OSError:
            pass
    print(good)


{"last": last, "count": count, "lines": lines, "thread": thread, "burst": burst}[sys.argv[1]](*sys.argv[2:])
