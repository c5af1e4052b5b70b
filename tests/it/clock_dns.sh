#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The guest's clock a year off, either way, and names that stop resolving under a running mount: only the guest is told another time
# (clock_off.c before its libc), only the guest has this /etc/hosts.
[ -n "${SEALED_OWN_MOUNTS:-}" ] || SEALED_OWN_MOUNTS=1 exec unshare --mount --propagation private bash "$0" "$@"
# The doctor looks at every mount that there is: here, at none of the other tests'.
awk '{ for (i = 7; $i != "-"; i++); if ($(i + 1) == "fuse.sealedfs") print $5 }' /proc/self/mountinfo | tac | xargs -r -n1 umount -l
. "$(dirname "$0")/lib.sh"
require_root
release_only "the sanitizers want to be loaded before anything else"
. "$HERE/stack.sh"
require openssl jq

# Names come from files that are this test's own. Nothing answers on the one name server that is left.
printf '127.0.0.1 localhost\n127.0.0.1 broker.test\n' >"$DIR/hosts"
printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$DIR/resolv.conf"
printf 'hosts: files dns\n' >"$DIR/nsswitch.conf"
chmod 0644 "$DIR/hosts" "$DIR/resolv.conf" "$DIR/nsswitch.conf"
for name in hosts resolv.conf nsswitch.conf; do mount --bind "$DIR/$name" "/etc/$name"; done
# shellcheck disable=SC2034  # read by stack.sh
KBS_INIT=(--hostname broker.test)
stack_up
for name in warm cold1 cold2 cold3 cold4 cold5; do seal_vault "$name" "content of $name"; done
sealedfs_conf_base
sealedfs_conf secrets error_ttl 50ms
explained() { [[ $("$BIN/sealed" explain "$MNT/$1" 2>&1) == *"$2"* ]]; }


# -- the clock: freshness of evidence comes from the broker's nonces, a token is timed from its arrival
off_by() { # DAYS: what the guest's wall clock is off while the mount runs
    LD_PRELOAD=$TESTBIN/clock_off.so CLOCK_OFF=$(($1 * 86400)) sealed_mount
}
clock_said() { # NAME DAYS: the refusal tells this clock's time
    local said
    said=$("$BIN/sealed" explain "$MNT/$1" 2>&1 | sed -n "s/.*this machine's clock says \([0-9TZ:-]*[0-9Z]\).*/\1/p")
    [ -n "$said" ] && local off=$((($(date -d "$said" +%s) - $(date +%s)) / 3600 - $2 * 24)) && [ "$off" -ge -24 ] && [ "$off" -le 24 ]
}
wrong_clock() { # DAYS TEXT
    sealedfs_conf kbs ca_file "$DIR/ca.pem"
    off_by "$1"
    open_fails cold1 EHOSTUNREACH
    check "by its CA the certificate $2" explained cold1 "$2"
    check "with its dates" explained cold1 "valid from 20"
    check "and what the clock says" clock_said cold1 "$1"
    sealed_unmount
    sed -i '/^ca_file/d' "$DIR/sealedfs.conf"
    sealedfs_conf kbs pinned_key "$PIN"
    off_by "$1"
    for name in cold1 cold2; do read_is "$name" "content of $name"; done
    equal "by a pinned key the guest attests, and its token lasts" 1 "$(sealed_stat .handshakes)"
    sealed_unmount
    sed -i '/^pinned_key/d' "$DIR/sealedfs.conf"
}
PIN=sha256//$(openssl x509 -in "$DIR/admin/kbs-tls.pem" -noout -pubkey | openssl pkey -pubin -outform DER |
    openssl dgst -sha256 -binary | base64)
wrong_clock -365 "is not yet valid"
wrong_clock +1000 "has expired" # the broker's certificate is good for two years

# -- names
sealedfs_conf kbs ca_file "$DIR/ca.pem"
sealedfs_conf kbs url "https://broker.test:$PORT"
sealed_mount
read_is warm "content of warm"
printf '127.0.0.1 localhost\n' >"$DIR/hosts"
name_gone() { # NAME WHAT
    # What is connected needs no name, and a failure is remembered. A new worker has the plaintexts only.
    check "$2: a new worker" timeout 120 "$BIN/sealed" reload
    open_fails "$1" EHOSTUNREACH
    check "$2: explain says which name" explained "$1" "broker.test:$PORT: the host name cannot be resolved"
    read_is warm "content of warm"
    "$BIN/sealed" doctor --config "$DIR/sealedfs.conf" --json >"$DIR/report" || true
    equal "doctor says it too" FAIL "$(jq -r '.checks[] | select(.check == "kbs dns") | .state' "$DIR/report")"
    check "and names it" grep -q broker.test "$DIR/report"
}
name_gone cold3 "no name server"
spawn silent python3 -c 'import signal, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 53)); print("ready", flush=True); signal.pause()'
wait_for 30 "the name server" grep -q ready "$DIR/silent.log"
name_gone cold4 "one that never answers"
printf '127.0.0.1 localhost\n127.0.0.1 broker.test\n' >"$DIR/hosts"
check "it recovers by itself when the name is back" wait_for 60 "cold3" grep -q "content of cold3" "$MNT/cold3"
read_is cold4 "content of cold4"
sealed_unmount
