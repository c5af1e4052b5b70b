#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# No plaintext and no key of ours where it has no business: in the memory of any process (but for secret memory, which root cannot read
# either, and for live keys in OpenSSL's secure heap), in a core dump taken by force, in logs, environments, command lines. leak.py looks.
# shellcheck source=tests/it/lib.sh disable=SC2154
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/it/stack.sh
. "$HERE/stack.sh"
release_only "sanitizers keep what is freed, unwiped"
KBS_LINES="server log_level debug"
stack_up
leak() { python3 "$HERE/leak.py" "$@"; }
NEEDLES=$DIR/needles

# -- what is looked for ----------------------------------------------------------------------------------
hex() { od -An -v -tx1 | tr -d ' \n'; }
member() { jq -r "$2" "$1" | tr '_-' '/+' | awk '{ while (length($0) % 4) $0 = $0 "="; print }' | base64 -d | hex; } # of a JWK
MARK=marked-$(head -c 15 /dev/urandom | base64 | tr '/+' 'xy')
leak needle "$NEEDLES" plaintext "$(printf %s "$MARK" | hex)"
leak needle "$NEEDLES" wrapping-key "$(hex <"$DIR/wrap.key")"
leak needle "$NEEDLES" signing-key "$(member "$DIR/team-private.json" .d)"
leak needle "$NEEDLES" admin-key "$(member "$DIR/admin/admin.jwk" .d)"
leak needle "$NEEDLES" token-key "$(member "$DIR/admin/kbs-token.jwk" .d)"
leak needle "$NEEDLES" tls-key "$(python3 -c '
import sys
from cryptography.hazmat.primitives.serialization import load_pem_private_key
print(load_pem_private_key(open(sys.argv[1], "rb").read(), None).private_numbers().private_value.to_bytes(32, "big").hex())' "$DIR/admin/kbs-tls-key.pem")"
for i in 1 2 3 4 5 6 7 8 9 10; do
    seal_vault "vault$i" "$MARK of the vault, number $i"
    seal_envelope "envelope$i" "$MARK in an envelope, number $i"
done
seal_envelope large "$(for i in $(seq 1500); do echo "line $i $MARK"; done)"
python3 - "$SOURCE" "$DIR/wrap.key" >"$DIR/data-keys" <<'PY'
# The keys that the envelopes' data is encrypted under.
import base64, glob, json, sys
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
for name in glob.glob(sys.argv[1] + "/envelope*") + [sys.argv[1] + "/large"]:
    payload = open(name).read().split(".")[2]
    body = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    print(aes_key_unwrap(open(sys.argv[2], "rb").read(), base64.b64decode(body["encrypted_key"])).hex())
PY
number=0
while read -r key; do leak needle "$NEEDLES" "data-key$((++number))" "$key"; done <"$DIR/data-keys"
equal "data keys to look for" 11 "$number"
# An administrator's upload passes through the broker's TLS and HTTP buffers (README.md, limits): not what is looked at here.
stop kbs
stack_kbs

# The search itself: it finds what lies in a process, however it is written.
spawn holder /usr/bin/python3 -c '
import base64, os, signal, sys
mark = sys.argv[1].encode()[::-1]
held = [mark[::-1], mark, base64.b64encode(b"x" + mark[::-1]), mark[::-1].hex().encode()]
open(sys.argv[2] + ".tmp", "w").close(); os.rename(sys.argv[2] + ".tmp", sys.argv[2])
signal.pause()' "$MARK" "$DIR/held"
wait_for 10 "a process that holds it" test -e "$DIR/held"
for form in raw reversed base64+1 hex; do
    refused "the search finds what lies open ($form)" "plaintext ($form)" leak processes "$NEEDLES" "$PID_holder"
done
refused "in a core dump as well" "plaintext (raw)" leak core "$NEEDLES" "$DIR/core" "$PID_holder"
stop holder

# -- a thousand reads ------------------------------------------------------------------------------------
worker() { pgrep -P "$PID_sealedfs" -f -- --worker=; }
read_all() { # ROUNDS: in the ways that programs read, with what was kept dropped now and then
    local round
    for round in $(seq "$1"); do
        cat "$MNT"/vault* "$MNT"/envelope* "$MNT/large" >/dev/null
        [ $((round % 6)) -ne 0 ] || flush
    done
    for way in sendfile mmap_shared mmap_private splice; do
        python3 "$HERE/fs_read.py" "$way" "$MNT/large" >/dev/null 2>&1 || true
        python3 "$HERE/fs_read.py" "$way" "$MNT/vault1" >/dev/null 2>&1 || true
    done
}
ours() { # all processes of ours
    local warden
    warden=$(pgrep -P "$PID_kbs")
    echo "$PID_sealedfs" "$(worker)" "$PID_attestd" "$PID_kbs" "$warden"
    pgrep -P "$warden"
}
# The broker's TLS key is in the ordinary memory of GnuTLS as long as it serves: a limit (README.md).
TLS=(--allow tls-key=heap --allow tls-key=anonymous)
look() { # WHAT OPTION…: at the processes and at core dumps of them
    local what=$1 pid; shift
    check "$what: no leak in the memory of the monitor, attestd, warden and verifiers" leak processes "$NEEDLES" "$PID_sealedfs" "$PID_attestd" \
        "$(pgrep -P "$PID_kbs")" $(pgrep -P "$(pgrep -P "$PID_kbs")")
    check "$what: nor in the broker's" leak processes "$NEEDLES" "${TLS[@]}" --expect token-key=secure-heap "$PID_kbs"
    check "$what: nor in the worker's" leak processes "$NEEDLES" "$@" "$(worker)"
    # shellcheck disable=SC2046
    check "$what: nothing in core dumps by force" leak core "$NEEDLES" "$DIR/core" $(ours)
    for pid in $(ours); do echo 0x33 >"/proc/$pid/coredump_filter"; done
    # shellcheck disable=SC2046
    check "$what: nor when root asks for the usual pages" leak core "$NEEDLES" "$DIR/core" --allow tls-key $(ours)
    for pid in $(ours); do echo 0 >"/proc/$pid/coredump_filter"; done
    check "$what: nothing in logs" leak files "$NEEDLES" "$DIR"/*.log
}
dropped() { grep -c ': dropped$' "$DIR/sealedfs.log" || true; }
dropped_since() { [ "$(dropped)" -gt "$1" ]; }
closed() { [ "$(sealed_stat .filesystem.handles)" = 0 ]; }
rest() { # until nobody has a secret open any more and nothing is kept: then it must be nowhere
    flush --token
    wait_for 20 "all secrets to be closed" closed
}
sealedfs_conf_base
sealedfs_conf mount log_level debug
sealedfs_conf audit policy required
sealedfs_conf audit journal no
sealedfs_conf audit file "$DIR/audit.log" # looked at with the other logs
sealed_mount
read_all 48
check "a thousand reads" test "$(sealed_stat .filesystem.opens)" -ge 1000
check "each of them with a line in the audit" test "$(wc -l <"$DIR/audit.log")" -ge 1000
"$BIN/sealed" attest --token >"$DIR/token"
check "the key that the token is bound to" leak scalar "$NEEDLES" ephemeral-key "$DIR/token" "$(worker)"
look "with secrets in memory" --expect ephemeral-key=secure-heap
exec 5<"$MNT/large"
before=$(dropped)
python3 "$HERE/fs_read.py" sendfile "$MNT/large" >/dev/null
exec 5<&-
wait_for 20 "the pages of a secret to leave the page cache after the last close" dropped_since "$before"
rest
look "after a flush"

# -- the same where the kernel has no secret memory --------------------------------------------------------
sealed_unmount
spawn sealedfs "$TESTBIN/without" memfd_secret "$BIN/sealedfs" "$SOURCE" "$MNT" -f -o "config=$DIR/sealedfs.conf"
wait_for 30 "the mount" mountpoint -q "$MNT"
read_all 6
cat "$MNT"/* >/dev/null
"$BIN/sealed" attest --token >"$DIR/token"
check "the key that the second token is bound to" leak scalar "$NEEDLES" ephemeral-key "$DIR/token" "$(worker)"
LIVE=(--expect plaintext=locked --expect wrapping-key=locked --expect ephemeral-key=secure-heap)
for i in $(seq 11); do LIVE+=(--allow "data-key$i=locked"); done
look "in plain memory" "${LIVE[@]}"
rest
look "in plain memory, after a flush"
