# SPDX-License-Identifier: Apache-2.0
"""mode_race.py ROUNDS SOURCE PATH...

Takes the others' bits from SOURCE and gives them back; after a chmod(2) that took them has returned, no PATH opens for another user; after one that
gave them, each does, if not at the first try (the kernel may refuse by what it was told before) then at one of the next. Meanwhile others open and
close the same paths all the time.
"""
import os
import signal
import stat
import sys

OTHER = 65534


def become_other():
    os.setgroups([])
    os.setegid(OTHER)
    os.seteuid(OTHER)


def may(path):
    """Also: what opens shows its true size."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except PermissionError:
        return False
    assert os.fstat(fd).st_size == len(os.read(fd, 100)) == len("over")
    os.close(fd)
    return True


def disturb(paths):
    """Ends of opens, and questions for attributes."""
    while True:
        for path in paths:
            os.close(os.open(path, os.O_RDONLY))
            os.stat(path)


def start(function, *arguments):
    child = os.fork()
    if child == 0:
        try:
            function(*arguments)
        finally:
            os._exit(1)
    return child


def main():
    rounds, source, paths = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    full = stat.S_IMODE(os.stat(source).st_mode)
    children = [start(disturb, paths) for _ in range(2)]
    failed = 0
    os.setgroups([])
    for i in range(rounds):
        wanted = i % 2 == 1
        os.chmod(source, full if wanted else full & 0o770)
        become_other()
        turn = i // 2 % len(paths)
        for path in paths[turn:] + paths[:turn]:
            if (any(may(path) for _ in range(100)) if wanted else may(path)) != wanted:
                print(f"round {i}: {path} is {'refused' if wanted else 'allowed'}", file=sys.stderr)
                failed += 1
        os.seteuid(0)
        os.setegid(0)
    os.chmod(source, full)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    sys.exit(failed > 0)


main()
