#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Several URLs of one broker: dead ones, silent ones, broken ones and one that dies in the middle of a handshake, first against brokers
# written from the protocol alone, then against real ones. Evidence comes from a stand-in for sealed-attestd.
. "$(dirname "$0")/lib.sh"
. "$HERE/probe_lib.sh"
require_root
ensure_user sealed-kbs

# Half of it is what the first of two may take: it passes where that one hangs, and is no bound elsewhere.
limit() { case $1 in *hang) echo 12000 ;; *) echo 120000 ;; esac; } # FAULT
at() { URL=$1; stat_of "$2"; } # URL WHAT: its count
faults_at() { URL=$1; shift; faults "$*"; }

# Accepts connections (the kernel does) and never says a word.
silent() {
    spawn silent "$PYTHON" -c '
import signal, socket, sys
listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)
signal.pause()' 7<&- 8>&-
    wait_for 10 "the silent port" grep -q '^[0-9]' "$DIR/silent.log"
    SILENT=https://127.0.0.1:$(head -n 1 "$DIR/silent.log")
}

start_attestd attestd
start_kbs one good --signer "$DIR/signer"
ONE=$URL
start_kbs two good --signer "$DIR/signer"
TWO=$URL
start_kbs other good
OTHER=$URL
start_kbs dead good
DEAD=$URL
stop dead
silent

# -- at the handshake --

start_probe --url "$DEAD" --url "$ONE" --ca "$CA"
ask many 120000 50 kbs:///default/key/a
told "the first is dead" '{"ok":50}' '"wrong":0'
equal "one handshake for all" "1 50" "$(at "$ONE" attest) $(at "$ONE" resource)"
ask state
told "it counts as one" '"handshakes":1' '"failed":0' "\"url\":\"$ONE\""
start_probe --url "$SILENT" --url "$ONE" --ca "$CA" --request-ms 12000
ask many 120000 50 kbs:///default/key/b
told "the first accepts and never answers" '{"ok":50}'
[ "$(number ms)" -ge 5999 ] || die "half of a request is not waited for"
below "it cost its share of a request, in ms" "$(number ms)" 60000
ask forget
faults_at "$ONE" auth=hang
start_probe --url "$ONE" --url "$TWO" --ca "$CA" --request-ms 12000
ask many 120000 5 kbs:///default/key/c
told "the first speaks TLS and never answers" '{"ok":5}'
for fault in auth=status:503 attest=status:500 auth=drop attest=drop attest=hang auth=empty; do
    faults_at "$ONE" "$fault"
    start_probe --url "$ONE" --url "$TWO" --ca "$CA" --request-ms "$(limit "$fault")"
    ask many 120000 5 kbs:///default/key/d
    told "the first with $fault" '{"ok":5}' '"wrong":0'
    ask state
    told "the second gave the token" "\"url\":\"$TWO\"" '"handshakes":1'
done
equal "neither saw half a handshake" "[] []" "$(at "$ONE" problems) $(at "$TWO" problems)"
faults_at "$ONE" attest=id:01HZ7R
before=$(at "$TWO" auth)
start_probe --url "$ONE" --url "$TWO" --ca "$CA"
ask many 120000 5 kbs:///default/key/e
told "a refusal of the first is an answer" '{"denied-policy":5}' "does not accept this guest's evidence" '"ref":"01HZ7R"'
equal "the second is not asked" "$before" "$(at "$TWO" auth)"
faults_at "$ONE"

start_probe --url "$DEAD" --url "$SILENT" --ca "$CA" --request-ms 2000
ask many 120000 3 kbs:///default/key/f
told "none answers: the text tells of each" '"codes":{' "$DEAD: cannot connect" '; and: ' "$SILENT: no answer within 1000 ms"
start_kbs wrong unknown
WRONG=$URL
start_probe --url "$WRONG" --url "$ONE" --ca "$CA"
ask many 120000 3 kbs:///default/key/g
told "the first has somebody else's certificate" '{"ok":3}'
equal "nothing was said to it" '"auth":0' "$(curl --silent --insecure "$WRONG/stats" | grep -o '"auth":[0-9]*')"

# -- at the resource --

faults_at "$ONE"
handshakes=$(at "$TWO" attest)
for fault in resource=status:500 resource=drop resource=hang; do
    start_probe --url "$ONE" --url "$TWO" --ca "$CA" --request-ms "$(limit "$fault")"
    ask many 120000 1 kbs:///default/key/home
    faults_at "$ONE" "$fault"
    ask many 120000 20 "kbs:///default/${fault//[!a-z0-9]/-}/a"
    faults_at "$ONE"
    told "a token that both take, the first with $fault" '{"ok":20}' '"wrong":0'
done
equal "no handshake at the second" "$handshakes" "$(at "$TWO" attest)"
for fault in deny:PolicyDeny missing:PluginInternalError; do
    start_probe --url "$ONE" --url "$TWO" --ca "$CA"
    ask many 120000 1 kbs:///default/key/home
    before=$(at "$TWO" resource)
    faults_at "$ONE" "resource=${fault%:*}"
    ask many 120000 1 "kbs:///default/key/no-${fault%:*}"
    faults_at "$ONE"
    told "an answer of the first: ${fault%:*}" "${fault#*:}"
    equal "the second is not asked" "$before" "$(at "$TWO" resource)"
done
start_probe --url "$ONE" --url "$OTHER" --ca "$CA"
ask many 120000 3 kbs:///default/key/i
faults_at "$ONE" all=drop
ask many 120000 40 kbs:///default/key/j
told "a token that the second does not know is replaced there" '{"ok":40}' '"wrong":0'
equal "by one handshake" 1 "$(at "$OTHER" attest)"
ask many 120000 40 kbs:///default/key/k
told "and it stays there" '{"ok":40}'
equal "with that token" 1 "$(at "$OTHER" attest)"
faults_at "$ONE"
faults_at "$OTHER" all=drop
ask many 120000 5 kbs:///default/key/l
told "the first is taken again when the second fails" '{"ok":5}'
faults_at "$ONE" all=status:503
ask forget
ask many 120000 5 kbs:///default/key/m
told "when both fail" '{"unreachable":5}' "$ONE has a problem" "$OTHER: the connection was closed"
faults_at "$ONE"
faults_at "$OTHER"
ask turn 1500
ask many 120000 5 kbs:///default/key/m
told "both are tried again after a while" '{"ok":5}'
stop_probe

# -- real brokers --

sealed=$BIN/sealed
"$sealed" kbs init --dir "$DIR/r1" --config "$DIR/r1.conf" --admin-dir "$DIR/admin" --listen 127.0.0.1:0 --tee sample >/dev/null
CA=$DIR/admin/kbs-ca.pem
run_real() { # NAME: REAL
    rm -f "$DIR/$1/port"
    spawn "$1" "$BIN/sealed-kbs" --config "$DIR/$1.conf" 7<&- 8>&-
    wait_for 30 "$1" test -s "$DIR/$1/port"
    REAL=https://127.0.0.1:$(cat "$DIR/$1/port")
}
run_real r1
R1=$REAL
as_admin=(--kbs "$R1" --ca-file "$CA" --admin-key "$DIR/admin/admin.jwk")
for tag in a1 a2 a3 b1 c1 d1; do
    printf 'plaintext of default/key/%s' "$tag" | "$sealed" kbs put "kbs:///default/key/$tag" - "${as_admin[@]}" >/dev/null
done
echo 'allow ** if tee sample' >"$DIR/policy"
"$sealed" kbs policy set "$DIR/policy" "${as_admin[@]}" >/dev/null
stop r1
cp -a "$DIR/r1" "$DIR/r2"
sed "s|$DIR/r1|$DIR/r2|g" "$DIR/r1.conf" >"$DIR/r2.conf"
run_real r1
R1=$REAL
run_real r2
R2=$REAL

start_probe --url "$DEAD" --url "$R1" --url "$R2" --ca "$CA"
ask many 120000 3 kbs:///default/key/a
told "real brokers, the first URL dead" '{"ok":3}' '"wrong":0'
start_probe --url "$SILENT" --url "$R1" --url "$R2" --ca "$CA" --request-ms 18000
ask many 120000 3 kbs:///default/key/a
told "real brokers, the first URL silent" '{"ok":3}' '"wrong":0'
ask state
told "under a token of the first real one" "\"url\":\"$R1\""
stop r1
ask many 120000 1 kbs:///default/key/b
told "its end: the other takes the same token" '{"ok":1}'
ask state
told "without another handshake" '"handshakes":1'

# The one that gave the nonce dies while the evidence is made.
rm -f "$DIR/r1/port"
run_real r1
R1=$REAL
mkfifo "$DIR/gate"
start_attestd gated --gate "$DIR/gate"
start_probe --url "$R1" --url "$R2" --ca "$CA"
begin many 120000 1 kbs:///default/key/c
wait_for 20 "the nonce" test -e "$DIR/gate.asked"
stop r1
: >"$DIR/gate"
await "the resource"
told "dying between nonce and evidence" '{"ok":1}' '"wrong":0'
ask state
told "one handshake, whole, at the other" '"handshakes":1' '"failed":0' "\"url\":\"$R2\""

# A frozen broker is passed over, and taken again when the other has gone.
run_real r1
R1=$REAL
start_probe --url "$R1" --url "$R2" --ca "$CA" --request-ms 12000
ask many 120000 1 kbs:///default/key/d
hold "$PID_r1"
ask many 120000 3 kbs:///default/key/a
told "the one in use is frozen" '{"ok":3}'
kill -CONT "$PID_r1"
stop r2
ask turn 100
ask many 120000 1 kbs:///default/key/d
told "and taken again when the other ends" '{"ok":1}'
stop_probe
