#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What breaks around the mount: the broker away, silent, somebody else, with a bad certificate; attestd killed; tokens that end. Warm
# files stay readable, ls answers, and everything recovers by itself.
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
# shellcheck disable=SC2034  # read by stack.sh
KBS_LINES="token lifetime 10s"
stack_up
for name in warm cold1 cold2 cold3 cold4 cold5; do seal_vault "$name" "content of $name"; done
sealedfs_conf_base
sealedfs_conf secrets error_ttl 100ms
install -d -m 0750 "$DIR/audit"
sealedfs_conf audit policy required # so that a record is there when its open is answered
sealedfs_conf audit journal no
sealedfs_conf audit file "$DIR/audit/log"
sealed_mount
recorded() { "$BIN/sealed" log --json --file "$DIR/audit/log" | tail -n 1 | jq -r "\"\(.path) \(.cause) \(.errno) \(.id)\""; }
explained() { "$BIN/sealed" explain --json "$MNT/$1" | jq -r .id; }
read_is warm "content of warm"

# Broker down.
stop kbs
open_fails cold1 EHOSTUNREACH
equal "its record has the reason, and the id that explain knows" "$MNT/cold1 unreachable EHOSTUNREACH $(explained cold1)" "$(recorded)"
read_is warm "content of warm"
check "ls answers while the broker is down" ls -l "$MNT"
stack_kbs
check "it recovers by itself" python3 - "$MNT/cold1" <<'PY'
import os, select, sys, time
end = time.monotonic() + 200 # the client backs off; a bound, not a pause
while time.monotonic() < end:
    try:
        sys.exit(0 if open(sys.argv[1]).read() == "content of cold1" else 1)
    except OSError:
        select.select([], [], [], 0.1)
sys.exit(1)
PY

# Broker that accepts and never answers: a warm read takes no notice of it, others end at their deadline.
hold "$PID_kbs"
warm_meanwhile() { # twenty warm reads, all of them while an open waits for the broker
    cat "$MNT/cold2" >/dev/null 2>&1 &
    local parked=$! status=0
    wait_for 30 "an open that waits" waits
    for _ in {1..20}; do [ "$(cat "$MNT/warm")" = "content of warm" ] || die "a warm read"; done
    waits || status=1
    kill "$parked" 2>/dev/null || true
    wait "$parked" && die "the parked open succeeded against a stopped broker"
    return "$status"
}
waits() { [ "$(sealed_stat .filesystem.parked)" -gt 0 ]; }
# If the open ended before the reads did, for its connection's limit, that shows nothing: once more.
for _ in {1..20}; do warm_meanwhile && break; done || die "a hanging broker delays warm reads"
pass "warm reads go on while the broker hangs"
kill -CONT "$PID_kbs"
check "and it recovers" wait_for 40 "cold2" grep -q "content of cold2" "$MNT/cold2"
sealed_unmount
sealedfs_conf secrets open_timeout 3s
sealedfs_conf kbs request_timeout 2s
sealed_mount
hold "$PID_kbs"
open_fails cold3 ETIMEDOUT
kill -CONT "$PID_kbs"
sealed_unmount
sealedfs_conf secrets open_timeout 300s
sealedfs_conf kbs request_timeout 120s
sealed_mount
read_is warm "content of warm"

# Tokens end: renewed without anybody noticing.
handshakes=$(sealed_stat .handshakes)
wait_for 30 "the token's end" sh -c "'$BIN/sealed' flush >/dev/null; grep -q 'content of cold3' '$MNT/cold3' && [ \$('$BIN/sealed' status --json | jq .handshakes) -gt $handshakes ]"
pass "an ended token is renewed"

# attestd killed: tokens in hand still work; without one, the error says what is missing.
kill -KILL "$PID_attestd"
wait_for 10 "attestd's end" gone "$PID_attestd"
flush --token
open_fails cold4 EIO
check "explain says who does not answer" sh -c "'$BIN/sealed' explain '$MNT/cold4' | grep -q attestd"
stack_attestd </dev/null
check "attestd is back" wait_for 40 "cold4" grep -q "content of cold4" "$MNT/cold4"

# Wrong certificate authority: nothing is sent to it.
sealed_unmount
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$DIR/x.key" -out "$DIR/other-ca.pem" -days 2 -subj /CN=other 2>/dev/null
chmod 0644 "$DIR/other-ca.pem"
sealedfs_conf kbs ca_file "$DIR/other-ca.pem"
sealed_mount
open_fails cold5 EHOSTUNREACH
check "explain blames the certificate and names ca_file" sh -c "'$BIN/sealed' explain '$MNT/cold5' | grep -q ca_file"
sealed_unmount
