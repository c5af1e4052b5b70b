#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Somebody who may write in the source, or mount there, tries to hide a change or to bring the mount down.
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
hostile() { python3 "$HERE/fs_hostile.py" "$@"; }
show() { cat "$MNT/$1"; }

mkdir "$SRC/deep"
hostile deep_make "$SRC/deep"
seal m 'sealed.0.aaaa'
printf 'not sealed' >"$SRC/p"
mkdir "$SRC/d" "$DIR/other"
echo below >"$SRC/d/x"
echo above >"$DIR/other/x"
seal one 'sealed.0.one'
seal two 'sealed.0.two'
mount_fake
check "a directory deeper than a stack, looked at by a new worker" hostile deep_read "$MNT/deep" "kill -KILL $(worker_pid)"
equal "the worker lives" 1 "$(grep -c 'was killed by' "$DIR/fs.log")"

equal "what is stored through a mapping shows at the next open" mapped "$(hostile mapped "$SRC" "$MNT")"

rested() { [ $(($(date +%s%N) - $(python3 -c 'import os,sys; print(os.lstat(sys.argv[1]).st_ctime_ns)' "$1"))) -gt 100000000 ]; }
wait_for 5 "the source to rest" rested "$SRC/m"
for _ in 1 2 3; do equal "before" "below one" "$(show d/x) $(show one)"; done
on_exit 'umount -l "$SRC/d"; umount -l "$SRC/one"'
mount --bind "$DIR/other" "$SRC/d"
mount --bind "$SRC/two" "$SRC/one"
equal "what is mounted over a path shows at the next open" "above two" "$(show d/x) $(show one)"
equal "and again" "above two" "$(show d/x) $(show one)"
umount -l "$SRC/d"
umount -l "$SRC/one"
equal "and so does what comes to light" "below one" "$(show d/x) $(show one)"
stop fs

# A mount below its own source: to look into it would be to wait for oneself.
MNT=$SRC/mnt
mkdir "$MNT"
mount_fake
equal "a mount below its own source" two "$(show two)"
refused "is not looked into" "deadlock" timeout -s KILL 120 cat "$MNT/mnt/two"
refused "also not deeper" "deadlock" timeout -s KILL 120 cat "$MNT/mnt/mnt/two"
equal "and goes on" two "$(show two)"
stop fs
check "and ends" not_mounted
