#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# /init of the test guest (dash, busybox, no udev). Lines that begin with "@ " are what the test shows; the end is the status of qemu.
export PATH=/usr/bin:/usr/sbin HOME=/root TPM2TOOLS_TCTI=device:/dev/tpmrm0 TSS2_LOG=all+none
/usr/bin/busybox --install -s /usr/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t securityfs security /sys/kernel/security
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run

say() { echo "@ $*"; }
up_ms() { read -r up _ </proc/uptime; echo "$((${up%.*} * 1000 + (1${up#*.} - 100) * 10))"; }
end() { # STATUS
    if [ "$1" -ne 0 ]; then
        for log in /tmp/*.log; do echo "--- $log"; tail -n 25 "$log"; done
        dmesg | tail -n 15
    fi
    say "end $1 after $(up_ms) ms"
    vm_probe exit "$((16 + $1))"
    poweroff -f
}
die() { say "FAIL: $*"; end 1; }
check() { what=$1; shift; "$@" || die "$what: $*"; say "ok: $what"; }
equal() { [ "$2" = "$3" ] || die "$1: wanted '$2', got '$3'"; say "ok: $1"; }
TURN=20000
wait_for() { # SECONDS WHAT COMMAND…: a bound for broken runs, ten times what a machine at rest takes
    bound=$(($(up_ms) + $1 * 10000)); awaited=$2; shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$(up_ms)" -lt "$bound" ] || die "waited in vain for $awaited"
        usleep "$TURN"
    done
}
# read_is FILE TEXT: what vm_probe reads; sets took (microseconds from open to close).
read_is() {
    took=$(vm_probe read "/sealed/$1" 2>&1 >/tmp/content) || die "read $1: $took"
    [ "$(cat /tmp/content)" = "$2" ] || die "$1: wanted '$2', got '$(cat /tmp/content)'"
}
fails() { ! took=$(vm_probe read "/sealed/$1" 2>&1 >/tmp/content) && [ ! -s /tmp/content ] && [ "$took" = "$2" ]; }

say "Linux $(uname -r), /init after $(up_ms) ms"
while read -r module; do insmod "$module" || die "insmod $module"; done </modules/order
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
# What udev's rule of tpm2-tss does.
chgrp tss /dev/tpmrm0
chmod 0660 /dev/tpmrm0
read -r line </proc/cmdline
stage=first
for word in $line; do case $word in stage=*) stage=${word#stage=} ;; esac; done

# The locked pages alone, without the rest of the world.
for test in test_secret test_secret_process; do
    "$test" >"/tmp/$test.log" 2>&1 || die "$test"
    say "ok: $test: $(grep -ac ' OK ' "/tmp/$test.log") cases"
done

sealed-attestd --config /etc/attestd.conf >/tmp/attestd.log 2>&1 &
attestd=$!
wait_for 20 "attestd's socket" grep -q ' 00010000 .* /run/sealedfs/attestd.sock$' /proc/net/unix # listen() was called
if [ "$stage" = first ]; then
    begin=$(up_ms)
    sealed attest enroll --create-key --kbs https://10.0.2.100:8443 --ca-file /etc/kbs-ca.pem >/tmp/enroll.log 2>&1 || die "enrolment"
    say "ok: a new key is enrolled in $(($(up_ms) - begin)) ms"
fi
for nth in first second third; do
    begin=$(up_ms)
    sealed attest --evidence >/tmp/evidence 2>/tmp/evidence.log || die "evidence"
    say "$nth evidence with /dev/tpmrm0: $(($(up_ms) - begin)) ms"
done

check "the firmware's event log goes with it" grep -q '"event_log"' /tmp/evidence

sealedfs /source /sealed -f -o config=/etc/sealedfs.conf >/tmp/sealedfs.log 2>&1 &
monitor=$!
wait_for 20 "the mount" grep -q ' /sealed fuse.sealedfs ' /proc/mounts
worker() { # not the openers
    for pid in $(cat "/proc/$monitor/task/$monitor/children") none; do
        ! grep -q -- --worker= "/proc/$pid/cmdline" 2>/dev/null || break
    done
    echo "$pid"
}

for round in first second third; do
    read_is vault "correct horse battery staple"
    say "$round read of a vault secret: $took us"
    read_is envelope "encrypted into the file"
    say "$round read of an envelope secret: $took us"
    read_is plain "an ordinary file"
    say "$round read of an ordinary file: $took us"
done

# Where the plaintext lies, as root sees it.
vm_probe hunt "$(worker)" "correct horse battery" >/tmp/hunt.log 2>&1 || die "plaintext in memory that is not locked or may be dumped"
while read -r found; do say "  $found"; done </tmp/hunt.log
say "worker: $(grep VmLck "/proc/$(worker)/status" | tr -s '\t ' ' ')"
if [ "$stage" = first ]; then
    check "without memfd_secret the plaintext is in locked memory, out of dumps and children" grep -q '^locked [1-9]' /tmp/hunt.log
    check "and there is no secret memory on this kernel" grep -q '^secretmem 0$' /tmp/hunt.log
else
    check "with memfd_secret not even root can read the plaintext" grep -q '^locked 0$' /tmp/hunt.log
    check "there is secret memory" grep -q '^secretmem [1-9]' /tmp/hunt.log
fi
for pid in "$attestd" "$(worker)"; do equal "process $pid has its system call filter" 2 "$(sed -n 's/^Seccomp:[^0-9]*//p' "/proc/$pid/status")"; done

# The worker dies: with nothing in flight, then with an open that waits for evidence.
dead=$(worker)
kill -KILL "$dead"
read_is vault "correct horse battery staple"
say "ok: a new worker serves the same mount (first read: $took us)"
check "it is another one" test "$(worker)" != "$dead"
kill -STOP "$attestd"
sealed flush --token >/dev/null
vm_probe read /sealed/cold >/tmp/cold.out 2>/tmp/cold.err &
reader=$!
wait_for 10 "the open to wait" sh -c 'sealed status --json | tr -d " \n" | grep -q "\"parked\":[1-9]"'
kill -KILL "$(worker)"
kill -CONT "$attestd"
wait_for 10 "the open that was in flight to end" sh -c "! kill -0 $reader"
wait "$reader"
case $(uname -r) in
[1-5].* | 6.[0-8].*) equal "a call in flight fails once, since this kernel cannot send it again" EIO "$(cat /tmp/cold.err)" ;;
*) equal "a call in flight is answered by the new worker" "never read before" "$(cat /tmp/cold.out)" ;;
esac
read_is cold "never read before"
say "ok: the next one succeeds ($took us)"
equal "no worker died but the two" 2 "$(grep -c 'replacing it' /tmp/sealedfs.log)"

if [ "$stage" = first ]; then
    tpm2 pcrextend 11:sha256=00000000000000000000000000000000000000000000000000000000000000aa || die "pcrextend"
    read_is vault "correct horse battery staple"
    read_is envelope "encrypted into the file" # what this worker has served before is withdrawn, not merely refused
    sealed flush --token >/dev/null || die "flush"
    check "after a change of PCR 11 the vault is refused" fails vault EKEYREVOKED
    check "and the envelope" fails envelope EKEYREVOKED
    read_is plain "an ordinary file"
    sealed explain /sealed/vault >/tmp/explain.log 2>&1 || die "explain"
    check "sealed explain names the PCR" grep -q 'PCR 11' /tmp/explain.log
    sealed explain --json /sealed/vault >/tmp/explain.json
    say "refusal $(sed -n 's/.*"kbs_ref": *"\([^"]*\)".*/\1/p' /tmp/explain.json)"
fi

kill -TERM "$monitor"
wait "$monitor" || die "sealedfs ended with status $?"
check "a clean end unmounts" sh -c '! grep -q fuse.sealedfs /proc/mounts'
kill -TERM "$attestd"
wait "$attestd" || die "attestd ended with status $?"
check "the kernel saw no forbidden system call and no crash" sh -c '! dmesg | grep -v test_secret | grep -E "type=1326|segfault|general protection|Oops"'
end 0
