#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A reload that adds and takes mounts and files of the catalogue: what stays is not disturbed, what is new is there, what went is gone. And a mount
# over its own source, which nobody can open by its path any more.
[ -n "${SEALED_OWN_MOUNTS:-}" ] || SEALED_OWN_MOUNTS=1 exec unshare --mount --propagation private bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
SOCKET=$DIR/control.sock
seal one 'sealed.0.one'
mkdir "$DIR/src2" "$DIR/mnt2" "$DIR/mnt3"
printf 'sealed.0.two' >"$DIR/src2/two"
printf 'sealed.0.elsewhere' >"$DIR/elsewhere"
base() { printf '[control]\nsocket = %s\n[mount:first]\npath = %s\n[source:first]\nmount = first\ndirectory = %s\n' "$SOCKET" "$MNT" "$SRC"; }
second() { printf '[mount:second]\npath = %s\n[source:second]\nmount = second\ndirectory = %s\n' "$DIR/mnt2" "$DIR/src2"; }
file() { printf '[file:%s]\nmount = first\npath = cat/%s\nsealed_file = %s\nmode = 0440\n' "$1" "$1" "$DIR/elsewhere"; }
reload() { timeout 60 "$BIN/sealed" reload --socket "$SOCKET"; }
write() { cat >"$DIR/conf"; }
on_exit 'umount -l "$DIR/mnt2"'

base | write
spawn fs "$TESTBIN/sealedfs_fake" -f -c "$DIR/conf"
wait_for 10 "the mount" serves 1
equal "one mount" one "$(cat "$MNT/one")"
exec 5<"$MNT/one"
refused "and not another" "No such file" cat "$DIR/mnt2/two"

{ base; second; file a; file b; } | write
check "a mount and two files more" reload
equal "are there" "one two elsewhere elsewhere" "$(cat "$MNT/one") $(cat "$DIR/mnt2/two") $(cat "$MNT/cat/a") $(cat "$MNT/cat/b")"
equal "with their modes" 440 "$(stat -c %a "$MNT/cat/a")"
exec 6<"$MNT/cat/a" 7<"$DIR/mnt2/two"
inode=$(stat -c %i "$MNT/cat/a")

{ second; base | sed '/^\[control\]/,/^socket/d'; printf '[control]\nsocket = %s\n' "$SOCKET"; file a; } | write
check "one file less, and the mounts in another order" reload
equal "what stays is there" "one two elsewhere" "$(cat "$MNT/one") $(cat "$DIR/mnt2/two") $(cat "$MNT/cat/a")"
equal "as the same file" "$inode" "$(stat -c %i "$MNT/cat/a")"
refused "what went is gone" "No such file" cat "$MNT/cat/b"
equal "what was open is read" "one elsewhere two" "$(cat <&5) $(cat <&6) $(cat <&7)"
exec 5<&- 6<&-

exec 8<"$DIR/mnt2/two"
{ base; file a; } | write
check "a mount less" reload
check "it is not mounted" sh -c "! grep -q ' $DIR/mnt2 ' /proc/self/mounts"
refused "what is open on it is told" "" cat <&8
equal "the other one is" "one elsewhere" "$(cat "$MNT/one") $(cat "$MNT/cat/a")"
exec 7<&- 8<&-

{ base; second; printf '[mount:third]\npath = %s/cat\n[source:third]\nmount = third\ndirectory = %s\n' "$MNT" "$SRC"; } | write
refused "a mount point below a mount of its own" "lies" reload
{ base; second; printf '[mount:third]\npath = %s\n[source:third]\nmount = third\ndirectory = %s\n' "$DIR/mnt3" "$MNT"; } | write
refused "a source that is a mount of its own" "is a mount of this daemon" reload
equal "nothing of it was done" "one " "$(cat "$MNT/one") $(ls "$DIR/mnt2")"
stop fs
check "unmounted" not_mounted

# -- over its own source
MNT=$SRC
printf '[control]\nsocket = %s\n' "$SOCKET" | write
spawn fs "$TESTBIN/sealedfs_fake" -f -c "$DIR/conf" "$SRC" "$MNT"
wait_for 10 "the mount" is_mounted
equal "a mount over its source" one "$(cat "$MNT/one")"
check "is reloaded" reload
equal "and goes on" one "$(cat "$MNT/one")"
check "again" reload
equal "and on" one "$(cat "$MNT/one")"
stop fs
