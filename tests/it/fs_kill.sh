#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The worker is killed again and again at random moments under seventeen readers, one of them through a bind mount as a container has: nobody reads a wrong byte, nobody hangs, the mount stays.
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
seal warm 'sealed.5.=200000'
head -c 300000 /dev/urandom >"$SRC/plain"
mkdir "$SRC/dir"
for i in $(seq 200); do : >"$SRC/dir/file$i"; done
mount_fake log_level=info
: >"$MNT.bound"
mount --bind "$MNT/warm" "$MNT.bound"
on_exit 'umount -l "$MNT.bound"'
check "readers outlive many workers" python3 "$HERE/fs_kill.py" "$MNT" "$SRC" "$DIR/fs.log" "${SEALED_KILLS:-30}"
check "the mount is still there" is_mounted
equal "and answers" 200000 "$(cat "$MNT/warm" | wc -c)"
equal "and through the bind mount" 200000 "$(cat "$MNT.bound" | wc -c)"
umount -l "$MNT.bound"
stop fs
