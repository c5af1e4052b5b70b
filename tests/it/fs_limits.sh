#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Locked memory and descriptors run out: kept secrets give way to those that are asked for, what cannot be is refused, and all is well
# when the files are closed. And a mode stands for no more than its file's ACL.
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
require setfacl setpriv prlimit
python3 -c 'import sys
for i in range(3000): open(f"{sys.argv[1]}/s{i}", "w").write(f"sealed.0.secret {i}")' "$SRC"
ulimit -n "$(ulimit -Hn)"
# The worker may lock 8 MiB, as an ordinary process may: some two thousand pages.
mount_limited() { # LIMIT OPTIONS
    local before
    before=$(grep -c ' serves ' "$DIR/fs.log" 2>/dev/null || true)
    spawn fs prlimit "$1" setpriv --bounding-set -sys_resource --inh-caps -sys_resource \
        "$TESTBIN/sealedfs_fake" -f -o "log_level=info,memory=4M,error_ttl=50ms" "$SRC" "$MNT"
    wait_for 10 "the mount" serves $((before + 1))
}
limits() { python3 "$HERE/fs_limits.py" "$@"; }

mount_limited --memlock=8388608:8388608
equal "three thousand secrets one after the other" right "$(limits each "$MNT" 0 3000)"
equal "held at once they do not fit, and who is too many is told so" "EIO right" "$(limits held "$MNT" 0 3000)"
check "with a line that says what to raise" grep -q 'RLIMIT_MEMLOCK is 8192 KiB' "$DIR/fs.log"
# close(2) does not wait for the worker to hear of it.
closed() { [ "$(limits each "$MNT" 0 50)" = right ]; }
wait_for 5 "the memory to be free again" closed
stop fs

mount_limited --nofile=64:64
case $(limits held "$MNT" 0 200) in
"ENFILE right") pass "too few descriptors are told as such" ;;
*) die "too few descriptors: $(limits held "$MNT" 0 200)" ;;
esac
wait_for 10 "the descriptors to be free again" closed
equal "and are enough again later" right "$(limits each "$MNT" 300 200)"
stop fs

# Access control lists: the mode's group bits are their mask.
mount_fake
printf 'plain\n' >"$SRC/listed"
chmod 0600 "$SRC/listed"
chown root:daemon "$SRC/listed"
setfacl -m u:nobody:r "$SRC/listed"
equal "the mask at the source" 640 "$(stat -c %a "$SRC/listed")"
equal "is not the group's mode in the mount" 600 "$(stat -c %a "$MNT/listed")"
refused "the owning group does not get in" "Permission denied" setpriv --reuid=1 --regid=daemon --clear-groups cat "$MNT/listed"
setfacl -m g::r "$SRC/listed"
equal "until it may" 640 "$(stat -c %a "$MNT/listed")"
equal "and reads" plain "$(setpriv --reuid=1 --regid=daemon --clear-groups cat "$MNT/listed")"
setfacl -m u:nobody:-,o:r "$SRC/listed"
refused "nor does one whom an entry keeps out" "Permission denied" setpriv --reuid=nobody --regid=nogroup --clear-groups cat "$MNT/listed"
mkdir "$SRC/closed"
chmod 0700 "$SRC/closed"
setfacl -m u:nobody:rx "$SRC/closed"
equal "a directory's mask neither" 700 "$(stat -c %a "$MNT/closed")"
setfacl -b "$SRC/listed"
chmod 644 "$SRC/listed"
equal "without an ACL the mode is the mode" 644 "$(stat -c %a "$MNT/listed")"
stop fs
