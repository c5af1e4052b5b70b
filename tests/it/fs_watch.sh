#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Who watches: metrics, liveness and readiness on a socket and on loopback; readiness goes red when secrets cannot be served, and green again.
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
require curl
stack_up
seal_vault password "correct horse"
seal_vault second "another"
"$BIN/sealed" seal vault --key "$DIR/team-private.json" -o "$SOURCE/missing" kbs:///team/secret/none
sealedfs_conf_base
sealedfs_conf metrics listen "$DIR/watch.sock"
sealed_mount
page() { curl -sS --max-time 30 --unix-socket "$DIR/watch.sock" "http://watch$1"; }
status() { curl -sS --max-time 30 -o /dev/null -w '%{http_code}' --unix-socket "$DIR/watch.sock" "http://watch$1"; }
ready() { [ "$(status /readyz)" = "$1" ]; }
metric() { page /metrics | awk -v name="sealedfs_$1" '$1 == name { print $2 }'; }

equal "alive" 200 "$(status /healthz)"
wait_for 60 "readiness, by a try of its own" ready 200
equal "the try was one handshake" 1 "$(metric handshakes_total)"
read_is password "correct horse"
read_is password "correct horse"
opens() { page /metrics | awk -v name="sealedfs_opens_total{verdict=\"$1\",cause=\"$2\"}" '$1 == name { print $2 }'; }
equal "one open waited for the broker" 1 "$(opens served fetched)"
equal "one was served from memory" 1 "$(opens served memory)"
open_fails missing ENOKEY
equal "one was refused" 1 "$(opens refused ENOKEY)"
equal "one mount" 1 "$(metric mounts)"
equal "one secret in memory" 1 "$(metric cached_secrets)"
equal "ready" 1 "$(metric ready)"
check "the token's end" test "$(metric token_expiry_timestamp_seconds)" -gt "$(date +%s)"
equal "nothing else is there" 404 "$(status /metrics/x)"
equal "nobody changes anything" 405 "$(curl -sS -o /dev/null -w '%{http_code}' -X POST --unix-socket "$DIR/watch.sock" http://watch/readyz)"
check "no name of a secret" sh -c "! curl -sS --unix-socket '$DIR/watch.sock' http://watch/metrics | grep -q password"

# -- a reload is no reason for somebody's load balancer to leave
timeout 300 "$BIN/sealed" reload --socket "$DIR/control.sock" >/dev/null || die "reload"
equal "ready at the first question after a reload" 200 "$(status /readyz)"
asked_anew() { [ "$(metric handshakes_total)" -ge 1 ]; }
wait_for 60 "the try that this makes" asked_anew
equal "and after it" 200 "$(status /readyz)"

# -- a guest that is not affirming is not ready, whatever token it has
kbs reference-value set tpm_pcr11 "$(printf 'f%.0s' {1..64})" >/dev/null
"$BIN/sealed" flush --token --socket "$DIR/control.sock" >/dev/null
"$BIN/sealed" attest --socket "$DIR/control.sock" >/dev/null 2>&1 || true
wait_for 60 "red, since the guest is not affirming" ready 503
check "which it says" grep -q "affirming" <(page /readyz)
kbs reference-value set tpm_pcr11 "$(printf '0%.0s' {1..64})" >/dev/null
wait_for 60 "green when it is again" ready 200
read_is password "correct horse"

stop kbs
open_fails second EHOSTUNREACH
check "refused for that" test "$(opens refused EHOSTUNREACH)" -ge 1
equal "red when the broker is away" 503 "$(status /readyz)"
check "and says why" grep -q "refused" <(page /readyz)
equal "still alive" 200 "$(status /healthz)"
equal "in the metrics as well" 0 "$(metric ready)"
stack_kbs
wait_for 60 "green without any reader" ready 200
read_is second "another"
sealed_unmount

# -- brokers by name alone: it gets well by itself with them, too
sed 's/^\[kbs\]$/[kbs:only]\nhost = only.example/' "$DIR/sealedfs.conf" >"$DIR/only.conf"
for name in password second; do
    printf '[file:%s]\npath = %s\nresource = kbs://only.example/team/secret/%s\n' "$name" "$name" "$name"
done >"$DIR/files"
{ cat "$DIR/only.conf"; printf '[mount:m]\npath = %s\n' "$MNT"; cat "$DIR/files"; } >"$DIR/named.conf"
spawn sealedfs "$BIN/sealedfs" -f --config "$DIR/named.conf"
wait_for 30 "the mount" mountpoint -q "$MNT"
wait_for 60 "readiness with brokers by name alone" ready 200
read_is password "correct horse"
stop kbs
open_fails second EHOSTUNREACH
equal "red when that broker is away" 503 "$(status /readyz)"
stack_kbs
wait_for 60 "green without any reader" ready 200
sealed_unmount

conf_set "$DIR/sealedfs.conf" metrics listen "0.0.0.0:9"
refused "not for other machines" "127.0.0.1:port" "$BIN/sealedfs" "$SOURCE" "$MNT" -f -o "config=$DIR/sealedfs.conf"
