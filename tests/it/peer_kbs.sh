#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sealedfs against a KBS that shares no code with it: tests/peer/kbs.py plays Trustee, on real TLS and with evidence of a real (software)
# TPM that it verifies itself. Both kinds of secret are read; then that KBS misbehaves in every way that the manual has a word for.
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
require_root
require swtpm tpm2_createak jq python3
PEER=$HERE/../peer
stack_users
stack_tpm
# With an event log beside the quote, which a broker that does not know of it takes no notice of.
python3 "$HERE/../vectors/make_eventlog.py" tpm "$DIR/measurements" "4=shim" >/dev/null
stack_attestd <<<"event_log = $DIR/measurements"

# The attestation key as Trustee's guide makes it, by other tools than ours.
export TPM2TOOLS_TCTI=$TPM_TCTI
tpm2_createek -c "$DIR/ek.ctx" -G rsa -u "$DIR/ek.pub" >/dev/null
tpm2_flushcontext -t
tpm2_createak -C "$DIR/ek.ctx" -c "$DIR/ak.ctx" -G rsa -g sha256 -s rsassa -u "$DIR/ak.pub" >/dev/null
tpm2_flushcontext -t
tpm2_evictcontrol -c "$DIR/ak.ctx" 0x81010002 >/dev/null
tpm2_flushcontext -t

# What the broker holds, and sealed strings by sealed and by jwcrypto.
RESOURCES=$DIR/resources
mkdir -p "$RESOURCES/team/signing-key" "$RESOURCES/team/key" "$RESOURCES/team/secret" "$SOURCE"
"$BIN/sealed" keygen signing "$DIR/team" --kid kbs:///team/signing-key/main >/dev/null
"$BIN/sealed" keygen wrapping "$DIR/wrap.key" >/dev/null
cp "$DIR/team-public.json" "$RESOURCES/team/signing-key/main"
cp "$DIR/wrap.key" "$RESOURCES/team/key/wrap"
printf 'correct horse' >"$RESOURCES/team/secret/password"
"$BIN/sealed" seal vault --key "$DIR/team-private.json" -o "$SOURCE/password" kbs:///team/secret/password
printf 'a longer text' | "$BIN/sealed" seal envelope --key "$DIR/team-private.json" --wrapping-uri kbs:///team/key/wrap \
    --wrapping-key "$DIR/wrap.key" -o "$SOURCE/letter" -
python3 - "$SOURCE" "$DIR/team-private.json" <<'PY'
import base64, json, os, sys
from jwcrypto import jwk, jws
source, key = sys.argv[1:]
signer = jwk.JWK.from_json(open(key).read())
def vault(name):
    return json.dumps({"version": "0.1.0", "type": "vault", "name": name, "provider": "kbs", "provider_settings": {}, "annotations": {}})
os.mkdir(source + "/many")
for number in range(500):
    token = jws.JWS(vault(f"kbs:///team/many/{number}"))
    token.add_signature(signer, None, json.dumps({"alg": "ES256", "kid": "kbs:///team/signing-key/main"}))
    open(f"{source}/many/{number}", "w").write("sealed." + token.serialize(compact=True))
# As CoCo's own tool makes them: not signed at all.
payload = base64.urlsafe_b64encode(vault("kbs:///team/secret/password").encode()).rstrip(b"=").decode()
open(source + "/unsigned", "w").write(f"sealed.fakejwsheader.{payload}.fakesignature")
PY

python3 "$PEER/certs.py" "$DIR/tls"
chmod 0644 "$DIR"/tls/*.pem

# start_peer NAME CERTIFICATE: a broker, its port in PORT.
start_peer() {
    local name=$1 cert=$2
    # shellcheck disable=SC2024
    : >"$DIR/$name.port"
    # shellcheck disable=SC2016  # expanded by that shell
    spawn "$name" bash -c 'exec /usr/bin/python3 "$@" >"$0"' "$DIR/$name.port" "$PEER/kbs.py" --any --dir "$RESOURCES" \
        --cert "$DIR/tls/$cert.pem" --key "$DIR/tls/$cert.key"
    wait_for 20 "the port of $name" test -s "$DIR/$name.port"
    PORT=$(cat "$DIR/$name.port")
}
# ask PATH [BODY]: the test's own questions; curl, because nothing of ours may be needed to judge ours.
ask() { curl -sS --cacert "$DIR/tls/ca.pem" ${2+--data-binary "$2"} "https://127.0.0.1:$PORT/$1"; }
stat_of() { ask stats | jq -r ".$1"; }
faults() { ask faults "$*"; }
no_problems() { equal "the peer found nothing wrong with what it was sent" "[]" "$(stat_of 'problems | tojson')"; }

# explained FILE WORD…: `sealed explain` says each.
explained() {
    local file=$1 text word
    shift
    text=$("$BIN/sealed" explain --json "$MNT/$file" | jq -r .message)
    for word; do
        case "$text" in *"$word"*) ;; *) die "explain of $file says '$text', not '$word'" ;; esac
    done
    echo "   $text"
}
HOST=
# broken "STEP=FAULT…" FILE ERRNO WORD…: with these faults a first read is refused so, and explained with the host and these words.
broken() {
    local fault=$1 file=$2 wanted=$3
    shift 3
    faults "$fault"
    flush --token
    echo "-- $fault"
    open_fails "$file" "$wanted"
    explained "$file" "$HOST" "$@"
    equal "it gives no byte" "" "$(cat "$MNT/$file" 2>/dev/null || true)"
}

start_peer trustee good
HOST=127.0.0.1:$PORT
# shellcheck disable=SC2034  # read by stack.sh
URL=https://$HOST
cp "$DIR/tls/ca.pem" "$DIR/ca.pem"
chmod 0644 "$DIR/ca.pem"
sealedfs_conf_base
sealedfs_conf secrets error_ttl 10ms

# -- both kinds of secret, one handshake --
sealed_mount
read_is password "correct horse"
read_is letter "a longer text"
equal "one handshake" 1 "$(stat_of attest)"
equal "two keys and the secret, nothing twice" 3 "$(stat_of released)"
open_fails unsigned EKEYREJECTED
explained unsigned "signature = optional"
no_problems

# -- 500 cold files, 32 processes, one handshake --
flush --token
before=$(stat_of attest) released=$(stat_of released)
python3 - "$MNT/many" <<'PY' || die "wrong content"
import multiprocessing, sys
mount = sys.argv[1]
def read(part):
    return [n for n in range(part, 500, 32) if open(f"{mount}/{n}").read() != f"plaintext of team/many/{n}"]
with multiprocessing.Pool(32) as pool:
    bad = sum(pool.map(read, range(32), chunksize=1), [])
sys.exit(1 if bad else 0)
PY
pass "500 cold files read by 32 processes"
equal "with one handshake" 1 "$(($(stat_of attest) - before))"
equal "and each secret, and the key of their signer, fetched once" 501 "$(($(stat_of released) - released))"
no_problems

# -- a token that the broker takes no more is renewed, once and unnoticed --
before=$(stat_of attest)
ask forget ""
flush
read_is password "correct horse"
equal "a forgotten token costs one handshake" 1 "$(($(stat_of attest) - before))"
# -- and one that it never takes: renewed once, then refused --
before=$(stat_of attest) asked=$(stat_of resource)
faults resource=unknown-token
flush
open_fails password EKEYREVOKED
explained password "$HOST" token
renewed() { [ "$(stat_of attest)" -eq $((before + 2)) ]; }
wait_for 20 "one renewal, and the question whether it is the guest that is refused" renewed
equal "and the resource asked for twice" 2 "$(($(stat_of resource) - asked))"
sealed_unmount

# -- faults; unsigned strings now allowed, so that one open is one GET --
sealedfs_conf secrets signature optional
sealed_mount
faults
flush --token
read_is unsigned "correct horse"

broken auth=garbage unsigned EIO "JSON"
broken attest=garbage unsigned EIO "JSON"
broken resource=garbage unsigned EIO
broken auth=oversize:3000000 unsigned EIO "more than"
broken resource=oversize:9000000 unsigned EIO "more than"
broken auth=other-nonce unsigned EKEYREVOKED "evidence"
broken auth=no-cookie unsigned EIO "kbs-session-id"
broken auth=version unsigned EHOSTUNREACH "version"
broken auth=redirect unsigned EIO "url="
broken attest=bad-token unsigned EIO "token"
broken attest=expired unsigned EIO "token"
broken attest=deny unsigned EKEYREVOKED "evidence"
broken resource=deny unsigned EKEYREVOKED "policy" "PolicyDeny"
broken resource=missing unsigned EKEYREVOKED "no such resource" "PluginInternalError"
broken resource=other-key unsigned EKEYREJECTED
for step in auth attest resource; do
    broken "$step=status:503" unsigned EHOSTUNREACH "503"
    broken "$step=status:401" unsigned EHOSTUNREACH "URL of a KBS"
    broken "$step=drop" unsigned EHOSTUNREACH "closed"
    broken "$step=cut:9" unsigned EHOSTUNREACH "middle of the answer"
done
sealed_unmount
sealedfs_conf kbs request_timeout 1s
sealed_mount
for step in auth attest resource; do
    broken "$step=drip:0.05" unsigned ETIMEDOUT "within 1000 ms"
    broken "$step=hang" unsigned ETIMEDOUT "within 1000 ms"
done
sealed_unmount
sealedfs_conf kbs request_timeout 120s
sealed_mount
faults
flush --token
read_is unsigned "correct horse"
before=$(stat_of attest)
faults resource=deny
flush
open_fails unsigned EKEYREVOKED
open_fails password EACCES
asked_once() { [ "$(stat_of attest)" -eq $((before + 1)) ]; }
wait_for 20 "the question whether it is the guest that is refused" asked_once
open_fails password EACCES
open_fails unsigned EKEYREVOKED
equal "a denied resource costs no further handshake" $((before + 1)) "$(stat_of attest)"
sealed_unmount

# -- who it is: certificates and pins --
# remount KEY VALUE…: the [kbs] section anew.
remount() {
    sealedfs_conf_base
    sealedfs_conf secrets signature optional
    while [ $# -gt 0 ]; do
        sealedfs_conf kbs "$1" "$2"
        shift 2
    done
    sealed_mount
}
not_trusted() { # NAME CERTIFICATE WORD…: nothing but a handshake of TLS happens
    local name=$1 cert=$2
    shift 2
    start_peer "$name" "$cert"
    remount url "https://127.0.0.1:$PORT"
    open_fails unsigned EHOSTUNREACH
    explained unsigned "127.0.0.1:$PORT" "$@"
    equal "$name is told nothing" 0 "$(curl -sSk "https://127.0.0.1:$PORT/stats" | jq .auth)"
    sealed_unmount
}
not_trusted expired expired "expired" "renew"
not_trusted early early "not yet valid" "clock"
not_trusted name name "another" "name"
not_trusted unknown unknown "unknown CA" "ca_file="

# The pin counts beside the CA, and in its place.
start_peer pinned self
pin=$(cat "$DIR/tls/self.pin")
remount url "https://127.0.0.1:$PORT" ca_file "$DIR/tls/self.pem" pinned_key "$pin"
read_is unsigned "correct horse"
sealed_unmount
remount url "https://127.0.0.1:$PORT" ca_file "$DIR/tls/self.pem" pinned_key "$(cat "$DIR/tls/good.pin")"
open_fails unsigned EHOSTUNREACH
explained unsigned "127.0.0.1:$PORT" "pinned_key="
sealed_unmount
