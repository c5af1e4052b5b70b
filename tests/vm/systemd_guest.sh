#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# verdict.service of the guest with systemd, started when boot is done. Lines that begin with "@ " are what the test shows.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin SYSTEMD_COLORS=0 TSS2_LOG=all+none
say() { echo "@ $*" >/dev/console; }
up_ms() { read -r up _ </proc/uptime; echo "$((${up%.*} * 1000 + (1${up#*.} - 100) * 10))"; }
end() { # STATUS
    if [ "$1" -ne 0 ]; then
        systemctl --no-pager --failed list-units >/dev/console 2>&1
        journalctl --no-pager -o cat -n 60 >/dev/console 2>&1
    fi
    say "end $1 after $(up_ms) ms"
    vm_probe exit "$((16 + $1))"
}
die() { say "FAIL: $*"; end 1; }
check() { what=$1; shift; "$@" >/dev/console 2>&1 || die "$what: $*"; say "ok: $what"; }
equal() { [ "$2" = "$3" ] || die "$1: wanted '$2', got '$3'"; say "ok: $1"; }
TURN=50000
wait_for() { # SECONDS WHAT COMMAND…
    bound=$(($(up_ms) + $1 * 1000)); awaited=$2; shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$(up_ms)" -lt "$bound" ] || die "waited in vain for $awaited"
        usleep "$TURN"
    done
}
show() { systemctl show --value -p "$1" "$2"; }
pid() { show MainPID "$1"; }
namespace() { readlink "/proc/$1/ns/$2"; }
mounted() { grep -q " $1 fuse.sealedfs " /proc/mounts; }

mkdir -m 1777 /run/out
say "Linux $(uname -r), systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p'), up for $(up_ms) ms"
for unit in sealed-attestd.service sealedfs.service mnt.mount; do
    equal "$unit is active" active "$(systemctl is-active "$unit")"
done
check "enrolment" sealed attest enroll --create-key
equal "the monitor has the host's mount namespace" "$(namespace 1 mnt)" "$(namespace "$(pid sealedfs)" mnt)"
check "attestd has one of its own" test "$(namespace 1 mnt)" != "$(namespace "$(pid sealed-attestd)" mnt)"
check "and no network" test "$(namespace 1 net)" != "$(namespace "$(pid sealed-attestd)" net)"
equal "attestd's user" sealed-attest "$(stat -c %U "/proc/$(pid sealed-attestd)")"
equal "the directory of sockets" "755 root" "$(stat -c '%a %U' /run/sealedfs)"
equal "the socket of credentials" "600 root" "$(stat -c '%a %U' /run/sealedfs/credentials.sock)"
equal "the mount of the configuration reads" "correct horse battery staple" "$(cat /srv/secrets/password)"
equal "its catalogue has owners" "reader 400" "$(stat -c '%U %a' /srv/secrets/catalogue/password)"
equal "and reads" "correct horse battery staple" "$(cat /srv/secrets/catalogue/password)"
equal "and that of fstab" "correct horse battery staple" "$(cat /mnt/password)"

# The audit is in the journal, by its fields, and a restart of journald loses none of what follows.
records() { journalctl -q --no-pager -o cat "$@" | wc -l; }
recorded() { [ "$(records "$@")" -ge 1 ]; }
wait_for 120 "the record of an open" recorded SEALED_AUDIT=allowed SEALED_PATH=/srv/secrets/password SEALED_UID=0 _SYSTEMD_UNIT=sealedfs.service
if cat /srv/secrets/catalogue/denied 2>/dev/null; then die "a rule let root in"; fi
wait_for 120 "the record of a refusal" recorded SEALED_AUDIT=refused SEALED_PATH=/srv/secrets/catalogue/denied SEALED_CAUSE=rule SEALED_ERRNO=EACCES
check "journald is restarted" systemctl restart systemd-journald
equal "a read goes on" "correct horse battery staple" "$(cat /srv/secrets/catalogue/password)"
again() { [ "$(records SEALED_AUDIT=allowed SEALED_PATH=/srv/secrets/catalogue/password)" -ge 2 ]; }
wait_for 120 "its record" again
say "ok: the audit is in the journal"

check "the premise: a server that answers with nothing" systemctl start premise.socket
check "starts the unit" systemctl start premise-reader
equal "with an empty credential" 0 "$(cat /run/out/premise)"

check "a unit whose credentials are given starts" systemctl start reads
equal "and has them" "correct horse battery staplefor this section only" "$(cat /run/out/reads)"
for unit in denied broken; do
    if systemctl start $unit 2>/dev/null; then die "$unit started"; fi
    equal "$unit.service fails at its credentials" "exit-code 243" "$(show Result $unit) $(show ExecMainStatus $unit)"
    check "and nothing of it has run" test ! -e /run/out/$unit
done

refusal() { journalctl -q --no-pager -o cat SEALED_UNIT="$1" | grep -q "$2"; }
wait_for 120 "the journal to say why" refusal denied.service "no section .credential:NAME. gives 'other' to unit denied.service"
wait_for 120 "the journal to say why" refusal broken.service "team/secret/none"
say "ok: the journal says why"

# The broker's unit, on a machine that has just got its keys.
if systemctl start sealed-kbs && [ "$(systemctl is-active sealed-kbs)" = active ]; then die "a broker without a configuration is active"; fi
check "keys for a broker of its own" sealed kbs init --listen 127.0.0.1:8443 --hostname localhost
check "sealed-kbs.service starts" systemctl start sealed-kbs
equal "as its user" sealed-kbs "$(stat -c %U "/proc/$(pid sealed-kbs)")"
echo kept >/tmp/kept
check "takes a secret" sealed kbs put kbs:///a/secret/b /tmp/kept
check "from a namespace of its own" test "$(namespace 1 mnt)" != "$(namespace "$(pid sealed-kbs)" mnt)"
check "stops" systemctl stop sealed-kbs
equal "well" success "$(show Result sealed-kbs)"

# The monitor is killed: systemd starts it anew, over the dead mount.
old=$(pid sealedfs)
kill -KILL "$old"
again() { [ "$(pid sealedfs)" != "$old" ] && [ "$(systemctl is-active sealedfs)" = active ]; }
wait_for 300 "the unit to be started again" again
equal "the mount is back" "correct horse battery staple" "$(cat /srv/secrets/password)"
equal "there is one" 1 "$(grep -c ' /srv/secrets fuse.sealedfs ' /proc/mounts)"
rm /run/out/reads
check "credentials are given again" systemctl start reads
check "attestd is restarted under it" systemctl restart sealed-attestd
check "whose socket is there" sealed attest --evidence

check "umount ends the mount of fstab" umount /mnt
unmounted() { [ "$(systemctl is-active mnt.mount)" = inactive ]; }
wait_for 120 "its unit to know" unmounted
check "it is mounted again by its unit" systemctl start mnt.mount
check "and stopped by it" systemctl stop mnt.mount
check "which unmounts" sh -c '! grep -q " /mnt fuse.sealedfs " /proc/mounts'
check "sealedfs stops" systemctl stop sealedfs
equal "well" success "$(show Result sealedfs)"
check "no plaintext is in the journal" sh -c '! journalctl -q --no-pager -o verbose | grep "correct horse battery"'
check "and unmounts" sh -c '! grep -q fuse.sealedfs /proc/mounts'
if systemctl start denied 2>/dev/null; then die "a unit without anybody to ask started"; fi
equal "a unit fails when nobody can be asked" "243 no" "$(show ExecMainStatus denied) $([ -e /run/out/denied ] && echo yes || echo no)"
check "no forbidden system call, no crash" sh -c '! dmesg | grep -E "type=1326|segfault|general protection|Oops"'
end 0
