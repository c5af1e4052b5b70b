#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Strangers who want too much: a flood of /auth is answered with 429 from one address and costs another nothing; hundreds of handshakes that
# never go on, and senders of a byte now and then, keep no guest from its secret.
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
require_root
# shellcheck disable=SC2034  # stack.sh reads both
KBS_INIT=(--tee sample)
# shellcheck disable=SC2034
KBS_LINES="server rate 1
server rate_burst 20
server request_timeout 5s"
stack_users
stack_kbs
stranger() { python3 "$HERE/kbs_limits.py" "$PORT" "$DIR/ca.pem" "$@"; }
client() { python3 "$HERE/../peer/client.py" --url "$URL" --ca "$DIR/ca.pem" "$@"; }
guest() { client auth "$DIR/state" --tee sample && client evidence "$DIR/state" && client attest "$DIR/state" && client get "$DIR/state" a/b/c --bearer; }
printf 'the secret' | kbs put kbs:///a/b/c - >/dev/null
printf 'allow **\n' >"$DIR/policy"
kbs policy set "$DIR/policy" >/dev/null

equal "a flood of /auth: the burst, then 429 with Retry-After; other paths are free" "200 True True 200" "$(stranger flood)"
equal "another address is none the wiser" "the secret" "$(guest)"
equal "and nothing was kept of the flood" 1 "$(find "$DIR/kbs/nonce" -type f | wc -l)"
mkfifo "$DIR/end"
stranger half-open <"$DIR/end" >"$DIR/half-open.log" &
holder=$!
exec 8>"$DIR/end"
wait_for 60 "hundreds of handshakes that never go on" grep -q open "$DIR/half-open.log"
equal "a guest beside them" "the secret" "$(guest)"
exec 8>&-
wait "$holder"
equal "a byte now and then" cut "$(stranger slow)"
equal "and the guest once more" "the secret" "$(guest)"
