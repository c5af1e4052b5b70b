#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The units that this tree installs under a real systemd (Debian 12's, as process 1 of a guest with Debian's kernel): notification, order, mount
# namespaces, fstab, restart, stop; and LoadCredential= with its answers and its refusals. systemd_guest.sh says what is expected inside.
export SEALED_NET=host # the kernel comes from Debian's mirror
. "$(dirname "$0")/../it/lib.sh"
. "$HERE/stack.sh"
VM_HERE=$(cd "$HERE/../vm" && pwd)
. "$VM_HERE/lib.sh"
require_root
require qemu-system-x86_64 swtpm tpm2 busybox dash strip jq python3 cmake journalctl systemctl mount.fuse3 systemd-sysusers
stack_users
vm_kernel

stack_tpm
# shellcheck disable=SC2034
KBS_INIT=(--hostname 10.0.2.100)
# shellcheck disable=SC2034
KBS_LINES="attestation admit auto"
stack_kbs
kbs reference-value set tpm_pcr11 "$(printf '0%.0s' {1..64})" >/dev/null
stack_keys
seal_vault password "correct horse battery staple"
seal_vault bound "for this section only" --context credentials/bound

ROOT=$DIR/root
vm_root
# What cmake installs, at its places; the programs that vm_root put elsewhere are not to be found instead.
rm "$ROOT"/usr/bin/{sealed,sealedfs,sealed-attestd}
DESTDIR=$DIR/installed cmake --install "$BIN/.." --strip >"$DIR/install.log"
cp -R "$DIR/installed"/. "$ROOT/"
rm -r "$ROOT"/usr/local/share
vm_add "$ROOT" "$BIN/sealed-kbs"

# systemd and what it and our units start.
mkdir -p "$ROOT"/usr/lib/systemd/system "$ROOT"/etc/systemd/system/multi-user.target.wants "$ROOT"/{var,run,srv/secrets,mnt}
cp -L /lib/systemd/systemd{,-journald} "$ROOT/usr/lib/systemd/"
for program in systemd-tmpfiles systemctl journalctl mount umount mountpoint kill; do cp -L "$(type -P "$program")" "$ROOT/usr/bin/"; done
mkdir -p "$ROOT/usr/lib/systemd/system-generators"
cp -L /lib/systemd/system-generators/systemd-fstab-generator "$ROOT/usr/lib/systemd/system-generators/"
cp -L /sbin/mount.fuse3 "$ROOT/usr/sbin/mount.fuse"
mkdir -p "$ROOT/usr/lib/x86_64-linux-gnu/systemd"
vm_add "$ROOT" "$ROOT"/usr/lib/systemd/systemd{,-journald} "$ROOT"/usr/bin/{systemd-tmpfiles,systemctl,journalctl,mount,umount,mountpoint,kill} "$ROOT"/usr/sbin/mount.fuse \
    "$ROOT"/usr/lib/systemd/system-generators/systemd-fstab-generator /usr/lib/x86_64-linux-gnu/libseccomp.so.2
for unit in sysinit basic local-fs local-fs-pre remote-fs remote-fs-pre sockets timers paths slices swap multi-user shutdown umount final \
    network network-online time-set emergency rescue; do
    cp "/lib/systemd/system/$unit.target" "$ROOT/usr/lib/systemd/system/"
done
cp /lib/systemd/system/{systemd-tmpfiles-setup.service,systemd-journald.service,systemd-journald.socket,systemd-journald-dev-log.socket} "$ROOT/usr/lib/systemd/system/"
mkdir "$ROOT"/usr/lib/systemd/system/{sysinit,sockets}.target.wants
ln -s ../systemd-tmpfiles-setup.service ../systemd-journald.service "$ROOT/usr/lib/systemd/system/sysinit.target.wants/"
ln -s ../systemd-journald.socket ../systemd-journald-dev-log.socket "$ROOT/usr/lib/systemd/system/sockets.target.wants/"
ln -s multi-user.target "$ROOT/usr/lib/systemd/system/default.target"
for unit in sealedfs sealed-attestd; do
    ln -s "/usr/local/lib/systemd/system/$unit.service" "$ROOT/etc/systemd/system/multi-user.target.wants/"
done
cp -R "$VM_HERE"/units/. "$ROOT/etc/systemd/system/"
ln -s ../verdict.service "$ROOT/etc/systemd/system/multi-user.target.wants/"

mkdir -p "$ROOT/etc/sealedfs" "$ROOT/etc/strings"
rm "$ROOT"/etc/{passwd,group}
printf '%s\n' root:x:0:0::/root:/bin/sh nobody:x:65534:65534::/:/bin/false reader:x:2000:2000::/:/bin/false >"$ROOT/etc/passwd"
printf '%s\n' root:x:0: nogroup:x:65534: reader:x:2000: >"$ROOT/etc/group"
systemd-sysusers --root="$ROOT" "$ROOT/usr/local/lib/sysusers.d/sealedfs.conf" >"$DIR/sysusers.log" 2>&1
echo 0123456789abcdef0123456789abcdef >"$ROOT/etc/machine-id"
printf '[Manager]\nDefaultTimeoutStartSec=10min\n' >"$ROOT/etc/systemd/system.conf"
printf '[Journal]\nStorage=volatile\n' >"$ROOT/etc/systemd/journald.conf"
printf 'NAME=guest\nID=guest\n' >"$ROOT/usr/lib/os-release"
cp "$SOURCE"/* "$ROOT/etc/strings/"
cp "$DIR/ca.pem" "$ROOT/etc/sealedfs/broker-ca.pem"
cp "$VM_HERE/units/sealedfs.conf" "$ROOT/etc/sealedfs/"
rm "$ROOT/etc/systemd/system/sealedfs.conf"
printf '[attestd]\ndeadline = 120s\n' >"$ROOT/etc/sealedfs/attestd.conf"
# The example's words, with limits for a slow machine.
echo "/etc/strings /mnt fuse.sealedfs nofail,x-systemd.wants=sealed-attestd.service,x-systemd.after=sealed-attestd.service,control.socket=/run/sealedfs/fstab.sock,config=/etc/sealedfs/fstab.conf 0 0" >"$ROOT/etc/fstab"
printf '[kbs]\nurl = https://10.0.2.100:8443\nca_file = /etc/sealedfs/broker-ca.pem\nrequest_timeout = 120s\n[attest]\ntimeout = 120s\n[secrets]\nopen_timeout = 300s\n' |
    tee "$ROOT/etc/sealedfs/fstab.conf" >>"$ROOT/etc/sealedfs/sealedfs.conf"
chmod 0644 "$ROOT"/etc/sealedfs/* "$ROOT"/etc/strings/*
install -m 0755 "$VM_HERE/systemd_init.sh" "$ROOT/init"
install -m 0755 "$VM_HERE/systemd_guest.sh" "$ROOT/usr/bin/verdict"
vm_pack "$DIR/initrd"
pass "an initramfs of $(($(stat -c %s "$DIR/initrd") >> 20)) MiB"

vm_boot systemd "$DIR/initrd" "$PORT" "secretmem.enable=1 systemd.log_color=0 systemd.show_status=0"
if grep -aq "correct horse" "$DIR/systemd.log"; then die "the plaintext is on the console"; fi
equal "one machine is enrolled" 1 "$(kbs agent list --json | jq length)"
