#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Reload and upgrade: the mount stays, what is open goes on, what waits is answered, nobody is asked anything anew; and whatever is wrong with
# the next configuration or program is said, and changes nothing.
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
SOCKET=$DIR/control.sock
# What is upgraded is a copy, started through a link as packages may have it.
mkdir "$DIR/v1" "$DIR/v2" "$DIR/bin"
install -m 0755 "$TESTBIN/sealedfs_fake" "$DIR/v1/sealedfs_fake"
ln -s ../v1/sealedfs_fake "$DIR/bin/sealedfs_fake"
printf 'password one' >"$DIR/broker"
printf '[control]\nsocket = %s\n[secrets]\nopen_timeout = 2m\nsigner_files = %s\n' "$SOCKET" "$DIR" >"$DIR/conf"
cp "$DIR/conf" "$DIR/conf.good"
seal warm 'sealed.5.=200000'
seal password "sealed.0.@$DIR/broker"
for i in 1 2 3 4; do seal "gate$i" "sealed.20.?$DIR/answer"; done
head -c 300000 /dev/urandom >"$SRC/plain"
mkdir "$SRC/dir"
for i in $(seq 200); do : >"$SRC/dir/file$i"; done

sealed_ask() { timeout 60 "$BIN/sealed" "$1" --socket "$SOCKET" "${@:2}"; }
start_copy() {
    spawn fs "$DIR/bin/sealedfs_fake" -f -c "$DIR/conf" "$SRC" "$MNT"
    wait_for 10 "the mount" serves 1
}
start_copy
first=$(worker_pid)
: >"$MNT.bound"
mount --bind "$MNT/warm" "$MNT.bound"
on_exit 'umount -l "$MNT.bound"'
equal "a secret" "password one" "$(cat "$MNT/password")"
equal "another" 200000 "$(cat "$MNT/warm" | wc -c)"

# -- a reload: what is open, cached, bound and waiting
exec 5<"$MNT/warm" 6<"$MNT/plain" 7<"$MNT/password"
head -c 1000 <&5 >/dev/null
head -c 1000 <&6 >/dev/null
printf 'password two' >"$DIR/broker"
cp "$SRC/plain" "$DIR/plain"
rm "$SRC/plain"
for i in 1 2 3 4; do cat "$MNT/gate$i" >"$DIR/out$i" 2>&1 & eval "reader$i=$!"; done
for i in 1 2 3 4; do wait_for 10 "the opens to wait" grep -q "^resolve .*gate$i" "$DIR/fs.log"; done
sed -i 's/open_timeout = 2m/open_timeout = 3m/' "$DIR/conf"
equal "sealed reload waits for its end" "the new configuration is in use" "$(sealed_ask reload)"
equal "the monitor is the same process" 0 "$(kill -0 "$PID_fs"; echo $?)"
relieved() { [ "$(worker_pid)" != "$first" ] && ! kill -0 "$first"; }
wait_for 10 "the old worker to be gone" relieved
second=$(worker_pid)
equal "an open secret is read on" "$(lines 200000 | tail -c +1001 | sha256sum)" "$(cat <&5 | sha256sum)"
equal "an open file that has no name any more as well" "$(tail -c +1001 "$DIR/plain" | sha256sum)" "$(cat <&6 | sha256sum)"
equal "an open secret stays what it was, though it was rotated" "password one" "$(cat <&7)"
exec 5<&- 6<&- 7<&-
equal "what was in memory is not asked for again" "200000 1" "$(cat "$MNT/warm" | wc -c) $(grep -c '^resolve .*warm' "$DIR/fs.log")"
equal "a bind mount of one file goes on" "$(lines 200000 | sha256sum)" "$(sha256sum <"$MNT.bound")"
printf 'the answer' >"$DIR/answer.new"
mv "$DIR/answer.new" "$DIR/answer"
for i in 1 2 3 4; do
    pid=reader$i
    wait "${!pid}" || die "reader $i failed: $(cat "$DIR/out$i")"
    equal "an open that waited gets its answer" "the answer" "$(cat "$DIR/out$i")"
done

# -- SIGHUP is the same
cp "$DIR/plain" "$SRC/plain"
kill -HUP "$PID_fs"
relieved_again() { [ "$(grep -c 'has taken over' "$DIR/fs.log")" -ge 2 ] && [ "$(worker_pid)" != "$second" ] && ! kill -0 "$second"; }
wait_for 10 "the reload by SIGHUP" relieved_again
third=$(worker_pid)

# -- refused as a whole
unchanged() { equal "$1: nothing changed" "$third 200000" "$(worker_pid) $(cat "$MNT/warm" | wc -c)"; }
printf '[secrets]\nttll = 1m\n' >>"$DIR/conf"
refused "a key that there is not, with its line" "$DIR/conf:7: secrets.ttll: unknown key" sealed_ask reload
unchanged "a bad configuration"
{ cat "$DIR/conf.good"; printf '[source:more]\ndirectory = %s/none\nat = more\n' "$DIR"; } >"$DIR/conf"
refused "a source that is not there" "$DIR/none" sealed_ask reload
unchanged "a missing source"
{ cat "$DIR/conf.good"; printf '[mount]\nuser = no-such-user\n'; } >"$DIR/conf"
refused "a user who does not exist" "no-such-user" sealed_ask reload
unchanged "a missing user"
{ cat "$DIR/conf.good"; printf '[mount]\nuser = root\n'; } >"$DIR/conf"
refused "what only the new worker finds leads back" "user root is root" sealed_ask reload
unchanged "a worker that cannot start"
sed "s|^socket = .*|socket = /proc/none/control.sock|" "$DIR/conf.good" >"$DIR/conf"
refused "and what only the new monitor finds" "/proc/none" sealed_ask reload
unchanged "a socket that cannot be made"
refused "nobody but root may ask" "only root may" setpriv --reuid=sealedfs --regid=sealedfs --clear-groups \
    timeout 60 "$BIN/sealed" reload --socket "$SOCKET"
printf 'nonsense\n' >"$DIR/conf"
kill -KILL "$third"
wait_for 10 "a new worker" grep -q 'was killed by signal 9' "$DIR/fs.log"
equal "a worker that dies while the file is bad is replaced all the same" 200000 "$(cat "$MNT/warm" | wc -c)"
cp "$DIR/conf.good" "$DIR/conf"
replaced() { sealed_ask reload; }
wait_for 20 "a reload when all is well" replaced

# -- a new program
install -m 0755 "$TESTBIN/sealedfs_fake" "$DIR/v2/sealedfs_fake"
flip() { ln -s "../$1" "$DIR/bin/next" && mv -T "$DIR/bin/next" "$DIR/bin/sealedfs_fake"; }
runs() { stat -Lc %i "/proc/$PID_fs/exe"; }
flip v2/sealedfs_fake
equal "sealed upgrade" "the new program is in use" "$(sealed_ask upgrade)"
equal "the program behind the link runs now" "$(stat -c %i "$DIR/v2/sealedfs_fake")" "$(runs)"
equal "under its name" sealedfs "$(cat "/proc/$PID_fs/comm")"
equal "the file system answers" 200000 "$(cat "$MNT/warm" | wc -c)"
install -m 0755 "$TESTBIN/sealedfs_fake" "$DIR/v1/new"
mv "$DIR/v1/new" "$DIR/v2/sealedfs_fake"
check "a package that replaces the file" sealed_ask upgrade
equal "is followed" "$(stat -c %i "$DIR/v2/sealedfs_fake")" "$(runs)"
chmod 0775 "$DIR/v2/sealedfs_fake"
refused "a program that others may write" "may be written by others than root" sealed_ask upgrade
chmod 0755 "$DIR/v2/sealedfs_fake"
install -m 0755 /bin/false "$DIR/v1/false"
flip v1/false
refused "one that fails its trial" "ended with wait status" sealed_ask upgrade
flip v1/none
refused "one that is not there" "No such file" sealed_ask upgrade
flip v2/sealedfs_fake
equal "the file system answers all the while" 200000 "$(cat "$MNT/warm" | wc -c)"
before=$(grep -c '^resolve .*warm' "$DIR/fs.log")
check "an upgrade that takes nothing over" sealed_ask upgrade --discard
equal "asks for the secret anew" "200000 $((before + 1))" "$(cat "$MNT/warm" | wc -c) $(grep -c '^resolve .*warm' "$DIR/fs.log")"

# -- under load: what is in flight when a program is replaced is neither lost nor wrong
check "readers do not notice ${SEALED_UPGRADES:-20} upgrades" python3 "$HERE/fs_kill.py" "$MNT" "$SRC" "$DIR/fs.log" "${SEALED_UPGRADES:-20}" \
    "$BIN/sealed" upgrade --socket "$SOCKET"
equal "descriptors do not pile up" "" "$([ "$(find "/proc/$PID_fs/fd" | wc -l)" -lt 60 ] || ls -l "/proc/$PID_fs/fd")"
alone() { [ "$(worker_pid | wc -l)" = 1 ]; }
wait_for 10 "the old workers to be gone" alone
umount "$MNT.bound"
stop fs
check "and the mount ends as ever" not_mounted
