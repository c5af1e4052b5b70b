#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A directory of 100,000 ordinary files: memory of each, and ls -l of all beside libfuse's own passthrough example.
#
#     SEALED_BIN=BUILD/bin tests/bench/many.sh [OUT.jsonl]     root; a release build; default OUT: BUILD/bench-many.jsonl
#     FILES=100000 ROUNDS=5
#
# The example comes as source with libfuse3-dev; without it there is nothing to compare with. The source is a tmpfs.
. "$(dirname "$0")/../it/lib.sh"
. "$HERE/fs_lib.sh"
export OUT FILES=${FILES:-100000} ROUNDS=${ROUNDS:-5}
OUT=$(realpath -m "${1:-$BIN/../bench-many.jsonl}")
example=/usr/share/doc/libfuse3-dev/examples/passthrough.c
release_only "figures"
mount -t tmpfs -o mode=755 sealed-bench "$SRC"
on_exit "umount -l $SRC"
python3 - "$SRC" "$FILES" <<'END'
import sys
for i in range(int(sys.argv[2])):
    with open(f"{sys.argv[1]}/ordinary-{i:06d}.txt", "w") as file:
        file.write(f"number {i}\n")
END
# Not mount_fake: nothing is to be logged.
spawn fs "$TESTBIN/sealedfs_fake" -f -o log_level=warning "$SRC" "$MNT"
wait_for 20 "the mount" is_mounted
wait_for 20 "the worker" ls -d "$MNT/ordinary-000000.txt"
if [ -r "$example" ]; then
    # shellcheck disable=SC2046
    cc -O2 -o "$DIR/passthrough" "$example" $(pkg-config --cflags --libs fuse3)
    mkdir "$DIR/example"
    spawn example "$DIR/passthrough" -f -o allow_other "$DIR/example"
    on_exit "umount -l $DIR/example"
    wait_for 10 "the example" mountpoint -q "$DIR/example"
    export EXAMPLE=$DIR/example$SRC
fi
PIDS="$PID_fs $(worker_pid)"
export MNT PIDS
/usr/bin/python3 -B "$HERE/../bench/many.py"
