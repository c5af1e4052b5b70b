#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Deaths: of the worker (replaced on the same mount), of both (a new start clears the dead mount), by SIGTERM with opens in flight, by umount;
# and the ways to start.
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
seal big 'sealed.10.=300000'
seal slow 'sealed.1500.slow answer'
head -c 600000 /dev/urandom >"$SRC/plain"
mkdir "$SRC/dir"
for i in $(seq 300); do : >"$SRC/dir/file$i"; done

# The worker dies with files open, an open in flight and a directory half read.
mount_fake
first=$(worker_pid)
equal "the worker is not root" sealedfs "$(stat -c %U "/proc/$first")"
equal "and has no capability" "0000000000000000 0000000000000000 0000000000000000" \
    "$(awk '/^Cap(Inh|Prm|Eff)/ {printf "%s%s", sep, $2; sep=" "}' "/proc/$first/status")"
[ -n "${SEALED_ASAN:-}" ] || equal "and a system call filter" 2 "$(awk '/^Seccomp:/ {print $2}' "/proc/$first/status")"
check "a worker is replaced under its readers" python3 "$HERE/fs_crash.py" replace "$MNT" "$SRC" "$first"
check "another one serves" test "$(worker_pid)" != "$first"
equal "generations" 1 "$(grep -c 'was killed by signal 9' "$DIR/fs.log")"
for round in 1 2 3; do
    kill -KILL "$(worker_pid)"
    [ "$(cat "$MNT/big" | sha256sum)" = "$(lines 300000 | sha256sum)" ] || die "round $round"
done
pass "and again"

# What changed meanwhile is not mixed into what is open.
exec 5<"$MNT/plain"
head -c 1000 <&5 >/dev/null
seal big2 'sealed.0.=300000'
exec 6<"$MNT/big2"
head -c 1000 <&6 >/dev/null
hold "$PID_fs"
old=$(worker_pid)
kill -KILL "$old"
printf 'another file' >"$SRC/plain.new"; mv "$SRC/plain.new" "$SRC/plain"
seal big2 'sealed.0.=400000'
kill -CONT "$PID_fs"
wait_for 10 "a new worker" serves 6
equal "a new open sees the new file" "another file" "$(cat "$MNT/plain")"
refused "an open secret that changed cannot go on" "" cat <&6
exec 5<&- 6<&-

# SIGTERM with an open in flight and a file open.
seal forever 'sealed.600000.never'
python3 "$HERE/fs_crash.py" errno "$MNT/forever" >"$DIR/errno" &
reader=$!
wait_for 5 "the open to wait" grep -q '^resolve forever' "$DIR/fs.log"
exec 5<"$MNT/big"
kill -TERM "$PID_fs"
wait "$reader"
equal "what waits is told" ENOTCONN "$(cat "$DIR/errno")"
wait_for 10 "the mount to go" not_mounted
exec 5<&-
wait_for 10 "the monitor to end" gone "$PID_fs"
equal "its status" 0 "$(wait "$PID_fs"; echo $?)"
nobody_left() { ! pgrep -f "sealedfs_fake.*$DIR"; }
wait_for 10 "every process to end" nobody_left

# Both die: the mount is dead, and a new start takes its place.
mount_fake
kill -KILL "$PID_fs"
workerless() { ! pgrep -f "sealedfs_fake --worker=$PID_fs "; }
wait_for 10 "the worker to follow its monitor" workerless
refused "a dead mount" "not connected" ls "$MNT"
mount_fake
equal "over the dead mount" 300000 "$(cat "$MNT/big" | wc -c)"
equal "there is one mount" 1 "$(grep -c " $MNT " /proc/self/mounts)"
refused "a second mount on the same place" "mounted on $MNT already" "$TESTBIN/sealedfs_fake" -f "$SRC" "$MNT"

# umount(8) ends both.
umount "$MNT"
wait_for 10 "the monitor to end" gone "$PID_fs"
equal "its status" 0 "$(wait "$PID_fs"; echo $?)"

# Without -f: back in the shell when the mount answers.
cd "$DIR" || exit
relative=../${DIR##*/} # a path that no other test has in its command line
check "in the background, with mount's options and relative paths" "$TESTBIN/sealedfs_fake" "$relative/src" "$relative/mnt" -o rw,_netdev,x-systemd.automount,noauto,ttl=1m,log_level=error
equal "it answers" 300000 "$(cat "$MNT/big" | wc -c)"
equal "named in the table of mounts by its whole path" "$SRC" "$(findmnt -no SOURCE "$MNT")"
background=$(pgrep -o -f "sealedfs_fake $relative/src")
equal "it holds no directory of ours" "/ /" "$(readlink "/proc/$background/cwd") $(readlink "/proc/$(pgrep -P "$background" -f -- --worker=)/cwd")"
umount "$MNT"
wait_for 10 "it to end" gone "$background"
refused "an unknown option" "nonsense" "$TESTBIN/sealedfs_fake" "$SRC" "$MNT" -o nonsense=1
refused "no such source" "No such file" "$TESTBIN/sealedfs_fake" "$SRC/none" "$MNT"
refused "no such mount point" "No such file" "$TESTBIN/sealedfs_fake" "$SRC" "$MNT/none"
refused "no such user" "does not exist" "$TESTBIN/sealedfs_fake" "$SRC" "$MNT" -o user=nobody-at-all
check "nothing is mounted" not_mounted

# A worker that cannot live is given up, and the mount with it.
mount_fake
killed_off() {
    local pid
    for pid in $(worker_pid || true); do kill -KILL "$pid" 2>/dev/null || true; done
    not_mounted
}
wait_for 30 "the mount to be given up" killed_off
wait_for 10 "the monitor to end" gone "$PID_fs"
check "with a line that says so" grep -q 'giving .* up' "$DIR/fs.log"
check "and a status" test "$(wait "$PID_fs"; echo $?)" != 0
