#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A source on a file system that hangs (one in user space whose process is stopped) keeps its own readers waiting, within bounds, and nobody else:
# not those of another source of the same mount, not those of another mount, and no reload.
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
FAR=$DIR/far
SOCKET=$DIR/control.sock
mkdir -p "$DIR/far.src" "$FAR" "$DIR/near" "$DIR/mnt2" "$DIR/elsewhere"
for i in $(seq 40); do printf 'far %s' "$i" >"$DIR/far.src/$i"; done
printf 'sealed.0.sealed.0.far' >"$DIR/far.src/sealed"
on_exit 'umount -l "$FAR"'
on_exit 'umount -l "$DIR/mnt2"'
spawn far "$TESTBIN/sealedfs_fake" -f -o memory=2M "$DIR/far.src" "$FAR"
wait_for 10 "the file system that will hang" grep -q ' serves ' "$DIR/far.log"
far_worker=$(pgrep -P "$PID_far" -f -- --worker=)
on_exit 'kill -CONT "$far_worker"'

conf() { # OPEN-TIMEOUT
    cat >"$DIR/conf" <<EOF
[control]
socket = $SOCKET
[secrets]
open_timeout = $1
[mount:one]
path = $MNT
[mount:two]
path = $DIR/mnt2
[source:far]
mount = one
at = far
directory = $FAR
[source:near]
mount = one
at = near
directory = $DIR/near
[source:other]
mount = two
directory = $SRC
[file:there]
mount = one
path = catalogue/there
sealed_file = $FAR/sealed
[file:named]
mount = one
path = catalogue/named
resource = kbs:///default/api/key
EOF
}
conf 5m
spawn fs "$TESTBIN/sealedfs_fake" -f -o "log_level=debug,memory=4M,signer_files=$DIR,config=$DIR/conf"
wait_for 10 "the mounts" serves 1
equal "all can be read" "far 1 far kbs:///default/api/key" \
    "$(cat "$MNT/far/1") $(cat "$MNT/catalogue/there") $(cat "$MNT/catalogue/named")"
openers() { pgrep -P "$PID_fs" | grep -vx "$(worker_pid)"; }
opener=$(openers | head -n 1)
equal "an opener may read what only root may, and no more" 0000000000000004 "$(awk '$1 == "CapEff:" { print $2 }' "/proc/$opener/status")"
[ -n "${SEALED_ASAN:-}" ] || equal "has a filter of system calls" 2 "$(awk '$1 == "Seccomp:" { print $2 }' "/proc/$opener/status")"
equal "and no mount's descriptor" "" "$(find "/proc/$opener/fd" -lname '/dev/fuse')"

hold "$far_worker"
readers=()
read_far() { cat "$MNT/far/$1" >"$DIR/far.$1" 2>&1; }
for i in $(seq 2 11); do read_far "$i" & readers+=($!); done
ls "$MNT/far" >"$DIR/far.ls" 2>&1 & readers+=($!)
cat "$MNT/catalogue/there" >"$DIR/far.there" 2>&1 & readers+=($!)
for pid in "${readers[@]}"; do wait_for 10 "reader $pid to be in the kernel" grep -qv '^0$' "/proc/$pid/wchan"; done
for i in $(seq 30); do
    printf 'sealed.0.near %s' "$i" >"$DIR/near/$i"
    printf 'sealed.0.other %s' "$i" >"$SRC/$i"
    equal "cold, in another source" "near $i" "$(timeout 60 cat "$MNT/near/$i")"
    equal "cold, in another mount" "other $i" "$(timeout 60 cat "$DIR/mnt2/$i")"
done
equal "a listing" 30 "$(timeout 60 ls "$MNT/near" | wc -l)"
equal "a file without a source" kbs:///default/api/key "$(timeout 60 cat "$MNT/catalogue/named")"
mkdir "$DIR/near/dir"
check "a new directory" timeout 60 test -d "$MNT/near/dir"
still_there() { local pid; for pid in "${readers[@]}"; do ! gone "$pid" || return 1; done; }
check "those who read what hangs still wait" still_there
kill -CONT "$far_worker"
for pid in "${readers[@]}"; do wait "$pid" || true; done
right=$(cat "$DIR/far.2" "$DIR/far.3" "$DIR/far.there")
equal "who waited has what he waited for" "far 2far 3far" "$right"
equal "a listing too" 41 "$(wc -l <"$DIR/far.ls")"

# -- within bounds
conf 2s
check "a shorter time" timeout 300 "$BIN/sealed" reload --socket "$SOCKET"
equal "is in use" "far 20" "$(cat "$MNT/far/20")"
hold "$far_worker"
refused "who waits for what hangs gets an error" "Connection timed out" timeout 300 cat "$MNT/far/21"
for i in $(seq 22 29); do refused "and so does the next" "Connection timed out" timeout 300 cat "$MNT/far/$i"; done
check "a reload while it hangs" timeout 300 "$BIN/sealed" reload --socket "$SOCKET"
equal "the others answer after it" "near 7" "$(timeout 60 cat "$MNT/near/7")"
refused "it still hangs" "Connection timed out" timeout 300 cat "$MNT/far/30"
kill -CONT "$far_worker"
back() { [ "$(cat "$MNT/far/31")" = "far 31" ]; }
wait_for 10 "it to be back" back
few() { [ "$(openers | wc -l)" -le 4 ]; }
wait_for 10 "the openers of the old worker to be gone" few
kill -KILL "$(worker_pid)"
wait_for 10 "the next worker" serves 4
equal "a worker's successor asks for its own" "far 32 near 8" "$(cat "$MNT/far/32") $(cat "$MNT/near/8")"
wait_for 10 "those of the dead one to be gone" few
kill -KILL "$(openers | head -n 1)"
equal "an opener that died is replaced" "far 33 near 9" "$(cat "$MNT/far/33") $(cat "$MNT/near/9")"
stop fs
check "and the mounts end as ever" not_mounted
