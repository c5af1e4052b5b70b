#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# mount(8), fstab and umount(8) of util-linux with fuse3's mount.fuse3, in a mount namespace of this test's own.
[ -n "${SEALED_OWN_MOUNTS:-}" ] || SEALED_OWN_MOUNTS=1 exec unshare --mount --propagation private bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
require mount umount findmnt mount.fuse3
. "$HERE/fs_lib.sh"

# mount(8) takes PATH out of the environment, and the shell that mount.fuse3 starts looks for `sealedfs` where it is installed.
mkdir -p "$DIR/sbin" /usr/local/sbin
mount --bind "$DIR/sbin" /usr/local/sbin
ln -s "$TESTBIN/sealedfs_fake" "$DIR/sbin/sealedfs"
seal secret 'sealed.0.opened'
echo plain >"$SRC/plain"
chmod 0700 "$SRC"

pid_of() { pgrep -o -f "sealedfs $SRC $1( |\$)"; }
ends() { # WHAT MOUNTPOINT COMMAND…: the command unmounts, and no process stays
    local what=$1 pid at=$2; shift 2
    pid=$(pid_of "$at")
    "$@" || die "$what: $*"
    wait_for 10 "the daemon to end after $what" gone "$pid"
    if findmnt "$at" >/dev/null; then die "$what: still mounted"; fi
    pass "$what"
}

check "mount -t fuse.sealedfs" mount -t fuse.sealedfs "$SRC" "$MNT" -o ttl=1m,_netdev,x-test.word,rw
equal "a secret reads" opened "$(cat "$MNT/secret")"
equal "the table of mounts says what it is" "$SRC fuse.sealedfs" "$(findmnt -no SOURCE,FSTYPE "$MNT")"
for word in ro nosuid nodev noexec; do
    check "and $word, whatever was asked for" grep -qw "$word" <<<"$(findmnt -no VFS-OPTIONS "$MNT" | tr , ' ')"
done
refused "a second one on the same place" "mounted on $MNT already" mount -t fuse.sealedfs "$SRC" "$MNT"
refused "remount" "remount" mount -o remount "$MNT"
equal "which changed nothing" opened "$(cat "$MNT/secret")"
ends "umount" "$MNT" umount "$MNT"

refused "an option that nobody knows" "nonsense" mount -t fuse.sealedfs "$SRC" "$MNT" -o nonsense=1
refused "a source that is not there" "No such file" mount -t fuse.sealedfs "$SRC/none" "$MNT"
refused "a configuration that is not there" "$DIR/none.conf" mount -t fuse.sealedfs "$SRC" "$MNT" -o "config=$DIR/none.conf"

# From fstab: alone by its mount point, with the others by -a, and not at all with noauto.
mkdir "$DIR/other" "$DIR/never"
cat >"$DIR/fstab" <<FSTAB
$SRC $MNT         fuse.sealedfs nofail,_netdev,x-systemd.after=sealed-attestd.service,ttl=1m 0 0
$SRC $DIR/other   fuse.sealedfs defaults,open_timeout=5s,comment=second 0 0
$SRC $DIR/never   fuse.sealedfs noauto 0 0
FSTAB
check "mount by its mount point" mount -T "$DIR/fstab" "$MNT"
equal "a secret reads" opened "$(cat "$MNT/secret")"
check "mount -a" mount -a -T "$DIR/fstab"
equal "of the other line, too" opened "$(cat "$DIR/other/secret")"
if findmnt "$DIR/never" >/dev/null; then die "noauto is mounted"; fi
equal "what was mounted is not mounted again" 1 "$(findmnt -no TARGET "$MNT" | wc -l)"
check "the line that nobody mounts by itself" mount -T "$DIR/fstab" "$DIR/never"
ends "umount by its mount point" "$DIR/never" umount "$DIR/never"
exec 5<"$DIR/other/plain"
refused "umount of a busy one" "busy" umount "$DIR/other"
equal "which is there still" opened "$(cat "$DIR/other/secret")"
exec 5<&-
ends "umount when it is free" "$DIR/other" umount "$DIR/other"
exec 5<"$MNT/plain"
check "umount -l of a busy one" umount -l "$MNT"
equal "what is open goes on" plain "$(cat <&5)"
pid=$(pid_of "$MNT")
exec 5<&-
wait_for 10 "the daemon to end after the last close" gone "$pid"

# The program itself, not the one with secrets from nowhere.
ln -sf "$BIN/sealedfs" "$DIR/sbin/sealedfs"
check "the program is mounted by mount(8)" mount -t fuse.sealedfs "$SRC" "$MNT" -o "control.socket=$DIR/control.sock,attest.socket=$DIR/attestd.sock"
equal "and shows an ordinary file" plain "$(cat "$MNT/plain")"
refused "without a broker a sealed one is refused" "" cat "$MNT/secret"
ends "umount of the program" "$MNT" umount "$MNT"
