# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# Sourced by the filesystem's tests after lib.sh: a mount served by sealedfs_fake (tests/it/fake_resolver.c says what its secrets look like).
#
#     mount_fake [OPTIONS]     $SRC shown at $MNT; log in $DIR/fs.log; pid of the monitor in $PID_fs
#     worker_pid               of the worker that serves now
require_root
[ -c /dev/fuse ] || skip "needs /dev/fuse"
require busybox python3
ensure_user sealedfs
SRC=$DIR/src
MNT=$DIR/mnt
mkdir -p "$SRC" "$MNT"
on_exit 'umount -l "$MNT"'

serves() { [ "$(grep -c ' serves ' "$DIR/fs.log")" -ge "$1" ]; }
mount_fake() {
    local before=0
    [ ! -f "$DIR/fs.log" ] || before=$(grep -c ' serves ' "$DIR/fs.log" || true)
    # signer_files: the fake's "key broker" is a file, and the worker may open files in directories that its configuration names only.
    spawn fs "$TESTBIN/sealedfs_fake" -f -o "log_level=debug,memory=4M,signer_files=$DIR${1:+,$1}" "$SRC" "$MNT"
    wait_for 10 "the mount" serves $((before + 1))
}
worker_pid() { pgrep -P "$PID_fs" -f -- --worker=; } # not the openers
is_mounted() { grep -q " $MNT fuse.sealedfs " /proc/self/mounts; }
not_mounted() { ! is_mounted; }
seal() { printf '%s' "$2" >"$SRC/$1"; } # FILE STRING
resolved() { grep -c "^resolve $1\$" "$DIR/fs.log" || true; }
# What the mount shows for a secret made by "=LENGTH".
lines() { python3 -c 'import sys; n=int(sys.argv[1]); sys.stdout.write("".join("%07d\n" % i for i in range(0, n, 8))[:n])' "$1"; }
