#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two containers of an OCI runtime (crun), each a user and a cgroup of its own without any capability, with the mount bound read-only and rslave:
# one may read, one may not; through the death of the worker, of both processes, and a rotation; and a single file bound as subPath does.
# In a mount namespace of this test's own, so that no other test sees these mounts.
[ -n "${SEALED_OWN_MOUNTS:-}" ] || SEALED_OWN_MOUNTS=1 exec unshare --mount --propagation private bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
require crun busybox unshare
. "$HERE/fs_lib.sh"

# What a node makes for Bidirectional: a directory whose mounts are shared. The mount lies one below it, so that containers that bind
# the directory follow when the file system is mounted anew.
SHARED=$DIR/shared
MNT=$SHARED/sealed
mkdir -p "$SHARED"
mount -t tmpfs -o size=1m,mode=755 tmpfs "$SHARED"
mount --make-shared "$SHARED"
on_exit "umount -l $SHARED"
mkdir "$MNT"

ROOTFS=$DIR/rootfs
mkdir -p "$ROOTFS"/{bin,proc,dev,tmp,sealed,host,etc}
cp "$(command -v busybox)" "$ROOTFS/bin/busybox"
for tool in sh cat id ls tail touch umount mount readlink; do ln -s busybox "$ROOTFS/bin/$tool"; done
: >"$ROOTFS/etc/password"

own_cgroup
# crun does not take v1 and v2 beside each other: without a cgroup2 of our own it shall see neither.
[ "$CGROUP_KIND" = v2 ] || mount -t tmpfs tmpfs /sys/fs/cgroup
# enter_cgroup NAME: this very process.
enter_cgroup() {
    [ "$CGROUP_KIND" = v2 ] || return 0
    mkdir -p "$CGROUP/pod-$1/container-$1"
    echo "$BASHPID" >"$CGROUP/pod-$1/container-$1/cgroup.procs"
}

ALLOWED=10001 REFUSED=10002
declare -A UID_OF=([allowed]=$ALLOWED [refused]=$REFUSED [root]=0)
# container NAME SOURCE:TARGET… -- COMMAND…: started in the background, output in $DIR/NAME.log
container() {
    local name=$1 uid=${UID_OF[$1]}; shift
    mkdir -p "$DIR/bundle-$name"
    python3 "$HERE/containers.py" "$ROOTFS" "$name" "$uid" "$@" >"$DIR/bundle-$name/config.json"
    on_exit "crun --root $DIR/crun delete --force $name-$$"
    (
        enter_cgroup "$name"
        exec crun --root "$DIR/crun" --cgroup-manager=disabled run --detach --bundle "$DIR/bundle-$name" "$name-$$" >>"$DIR/$name.log" 2>&1
    ) || die "crun run $name"
}
# inside NAME COMMAND…: one more process of that container.
inside() {
    local name=$1; shift
    (
        enter_cgroup "$name"
        exec crun --root "$DIR/crun" --cgroup-manager=disabled exec --user "${UID_OF[$name]}:${UID_OF[$name]}" "$name-$$" "$@"
    )
}

# In the "key broker", whose content changes without any change of the source.
printf 'first' >"$DIR/broker"
seal password "sealed.0.@$DIR/broker"
seal letter 'sealed.0.a letter'
echo plain >"$SRC/plain"
chown -R "$ALLOWED:$ALLOWED" "$SRC"
chmod 0550 "$SRC"
chmod 0440 "$SRC"/*
mount_fake ttl=200ms

container allowed "$MNT:/sealed" "$SHARED:/host" "$MNT/password:/etc/password" -- tail -f /dev/null
container refused "$MNT:/sealed" "$SHARED:/host" "$MNT/password:/etc/password" -- tail -f /dev/null
inner=$(sed -n 's/.*"pid" *: *\([0-9]*\).*/\1/p' <<<"$(crun --root "$DIR/crun" state "allowed-$$")")
equal "a container's user" "$ALLOWED" "$(awk '/^Uid:/ {print $2}' "/proc/$inner/status")"
equal "its capabilities" "0000000000000000 0000000000000000" "$(awk '/^Cap(Eff|Bnd)/ {printf "%s%s", sep, $2; sep=" "}' "/proc/$inner/status")"
[ "$CGROUP_KIND" != v2 ] || check "its cgroup" grep -q "^0::.*/pod-allowed/container-allowed$" "/proc/$inner/cgroup"

equal "the allowed one reads" first "$(inside allowed cat /sealed/password)"
equal "an ordinary file too" plain "$(inside allowed cat /sealed/plain)"
equal "and a single file bound" first "$(inside allowed cat /etc/password)"
for file in /sealed/password /sealed/plain /etc/password /host/sealed/letter; do
    refused "the refused one does not: $file" "Permission denied" inside refused cat "$file"
done
refused "and does not list" "Permission denied" inside refused ls /sealed
container root "$MNT:/sealed" "$SHARED:/host" -- tail -f /dev/null
refused "nor does root in a container, which has no capability either" "Permission denied" inside root cat /host/sealed/password
refused "nobody writes" "Read-only" inside allowed touch /sealed/new
refused "nobody unmounts" "not permitted" inside allowed umount /sealed

# The worker dies with a descriptor open in the container.
mkfifo "$DIR/go"
inside allowed sh -c 'exec 5</sealed/letter; echo open; read -r _; cat <&5; cat /sealed/password' <"$DIR/go" >"$DIR/held.log" 2>&1 &
held=$!
exec 7>"$DIR/go"
wait_for 10 "a descriptor in the container" grep -q open "$DIR/held.log"
old=$(worker_pid)
kill -KILL "$old"
wait_for 10 "another worker" serves 2
echo go >&7
exec 7>&-
wait "$held" || die "the reader in the container failed"
equal "what was open in the container goes on over a dead worker" "open
a letterfirst" "$(cat "$DIR/held.log")"
check "another worker answered" test "$(worker_pid)" != "$old"
equal "the mount is as it was" first "$(inside allowed cat /sealed/password)"
refused "and refuses as it did" "Permission denied" inside refused cat /sealed/password
for _ in 1 2 3; do
    kill -KILL "$(worker_pid)"
    equal "again" "first a letter" "$(inside allowed cat /sealed/password) $(inside allowed cat /sealed/letter)"
done

# The secret is rotated at the broker, then in the source.
printf 'second' >"$DIR/broker"
shows() { [ "$(inside allowed cat "$1")" = "$2" ]; }
wait_for 10 "the rotated secret in the container" shows /sealed/password second
wait_for 10 "and as a single file" shows /etc/password second
seal password 'sealed.0.third'
equal "what changes in the source shows at the next open" third "$(inside allowed cat /sealed/password)"
equal "also as a single file" third "$(inside allowed cat /etc/password)"
refused "the other one still may not" "Permission denied" inside refused cat /etc/password

# Monitor and worker die, and a new start: seen through the directory that is bound with what is mounted below it.
kill -KILL "$PID_fs"
dead() { ! inside allowed cat /host/sealed/letter; }
wait_for 10 "the mount to be dead" dead
mount_fake ttl=200ms
equal "a new mount reaches the container" "a letter" "$(inside allowed cat /host/sealed/letter)"
refused "with the same rights" "Permission denied" inside refused cat /host/sealed/letter
refused "one that was bound itself stays dead" "not connected" inside allowed cat /sealed/letter

# Now modes let everybody in, and rules say which container may: known by its cgroup, whatever user it runs as; where there is none, by that.
if [ "$CGROUP_KIND" = v2 ]; then
    CALLER="cgroup = /sealed-it-$$/pod-allowed/*"
else
    CALLER="user = $ALLOWED"
    left_out "a container that is known by its cgroup, here it is by its user: $CGROUP_WHY"
fi
stop fs
chmod 0555 "$SRC"
chmod 0444 "$SRC"/*
cat >"$DIR/rules.conf" <<CONF
[rule:allowed-container]
verdict = allow
path = $MNT/password
$CALLER
[rule:whatever-was-forgotten]
verdict = deny
CONF
chmod 0644 "$DIR/rules.conf"
mount_fake "config=$DIR/rules.conf"
equal "a rule lets the allowed container in" third "$(inside allowed cat /host/sealed/password)"
refused "to that file alone" "Permission denied" inside allowed cat /host/sealed/letter
refused "and not the other container" "Permission denied" inside refused cat /host/sealed/password
refused "nor root there" "Permission denied" inside root cat /host/sealed/password
refused "nor root outside" "Permission denied" cat "$MNT/password"
kill -KILL "$(worker_pid)"
equal "the next worker lets it in" third "$(inside allowed cat /host/sealed/password)"
refused "and nobody else" "Permission denied" inside refused cat /host/sealed/password
