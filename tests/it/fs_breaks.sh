#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What breaks around the mount, each with the outcome that sealedfs(8) promises: the source unmounted, replaced, unreadable, huge, oddly named; the
# daemons stopped or frozen; ten thousand opens that wait, and their readers killed.
[ -n "${SEALED_OWN_MOUNTS:-}" ] || SEALED_OWN_MOUNTS=1 exec unshare --mount --propagation private bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
breaks() { python3 "$HERE/fs_breaks.py" "$@"; }
show() { cat "$MNT/$1" 2>&1; }
as_user() { setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; }

# -- the source is a file system that goes
mount -t tmpfs -o size=64m,mode=755 tmpfs "$SRC"
on_exit 'umount -l "$SRC"'
seal one 'sealed.0.one'
seal two 'sealed.0.two'
mount_fake
equal "served from a file system of its own" one "$(show one)"
refused "which cannot be unmounted while it is served" "busy" umount "$SRC"
umount -l "$SRC"
equal "detached by force, it still shows there" "one two" "$(show one) $(show two)"
stop fs
check "and goes with the mount" not_mounted

# -- the source directory is replaced
seal one 'sealed.0.here'
mkdir "$SRC/dir"
seal dir/inner 'sealed.0.inner'
mount_fake
equal "before" "here inner" "$(show one) $(show dir/inner)"
mv "$SRC" "$SRC.moved"
printf 'a file' >"$SRC"
equal "a source that was moved away is followed, not what took its name" "here inner" "$(show one) $(show dir/inner)"
rm "$SRC"
mv "$SRC.moved" "$SRC"
mv "$SRC/dir" "$SRC/dir.moved"
printf 'plain' >"$SRC/dir"
equal "a directory that became a file is one" plain "$(show dir)"
refused "with nothing below it" "Not a directory" cat "$MNT/dir/inner"
rm "$SRC/dir"
refused "nor is there anything when it went" "No such file" cat "$MNT/dir/inner"
mv "$SRC/dir.moved" "$SRC/dir"
equal "and all is well when it is back" inner "$(show dir/inner)"

# -- and made unreadable
chmod 000 "$SRC/dir"
refused "what nobody may enter is closed to others" "Permission denied" as_user cat "$MNT/dir/inner"
equal "while root reads, as in the source" inner "$(show dir/inner)"
chmod 755 "$SRC/dir"
equal "until it is opened again" inner "$(as_user cat "$MNT/dir/inner")"
stop fs

# -- names
find "$SRC" -mindepth 1 -delete
breaks name_make "$SRC"
mount_fake
check "names of 255 bytes and of all bytes are shown, read and told apart" breaks name_read "$SRC" "$MNT"
equal "the worker lives" 0 "$(grep -c 'was killed by' "$DIR/fs.log" || true)"
stop fs

# -- 100,000 files
breaks many_make "$SRC/many" 100000
mount_fake
check "a hundred thousand files are listed, looked at and read" breaks many_read "$SRC/many" "$MNT/many" 100000
equal "the worker lives" 0 "$(grep -c 'was killed by' "$DIR/fs.log" || true)"
stop fs
find "$SRC" -mindepth 1 -delete

# -- the processes stand still
seal warm 'sealed.0.warm'
seal cold 'sealed.0.cold'
seal cold2 'sealed.0.cold2'
seal cold3 'sealed.0.cold3'
mount_fake
equal "warm" warm "$(show warm)"
worker=$(worker_pid)
hold "$worker"
check "readers wait for a worker that is stopped, and read on" breaks waits "$MNT/cold" cold "kill -CONT $worker"
hold "$PID_fs"
equal "a monitor that is stopped delays no warm read" warm "$(show warm)"
equal "nor a cold one where its opener has been asked before" cold2 "$(show cold2)"
kill -CONT "$PID_fs"
equal "nobody was replaced" "$worker" "$(worker_pid)"

# frozen SWITCH FREEZE THAW STATE TEXT: by what is written to SWITCH; STATE has the line TEXT when all stand still.
frozen() {
    local switch=$CGROUP/$1 freeze=$2 thaw=$3 pid
    on_exit "echo $thaw >$switch"
    for pid in "$PID_fs" "$worker"; do echo "$pid" >"$CGROUP/cgroup.procs"; done
    echo "$freeze" >"$switch"
    wait_for 10 "the cgroup to be frozen" grep -qx "$5" "$CGROUP/$4"
    check "readers of frozen daemons wait, and read on ($CGROUP_KIND)" breaks waits "$MNT/cold3" cold3 "echo $thaw >$switch"
    equal "nobody was replaced by that either" "$worker" "$(worker_pid)"
    for pid in "$PID_fs" "$worker"; do echo "$pid" >"${CGROUP%/*}/cgroup.procs"; done
}
own_cgroup
case $CGROUP_KIND in
v2) frozen cgroup.freeze 1 0 cgroup.events 'frozen 1' ;;
freezer) frozen freezer.state FROZEN THAWED freezer.state FROZEN ;;
none) left_out "daemons that the cgroup freezer stops: $CGROUP_WHY" ;;
esac
stop fs

# -- ten thousand opens wait
for i in $(seq 0 9); do seal "gate$i" "sealed.50.?$DIR/answer"; done
mount_fake open_timeout=10m
equal "warm" warm "$(show warm)"
mkdir "$DIR/fusectl"
mount -t fusectl fusectl "$DIR/fusectl"
on_exit 'umount -l "$DIR/fusectl"'
check "ten thousand opens wait, a warm read takes no notice, half are killed, the rest get their answer" \
    breaks crowd "$MNT" "$DIR/fusectl" "$DIR/answer" 10000
equal "one resolution for each secret" 10 "$(grep -c '^resolve .*gate' "$DIR/fs.log")"
equal "the worker lives" 0 "$(grep -c 'was killed by' "$DIR/fs.log" || true)"
stop fs
check "unmounted" not_mounted
