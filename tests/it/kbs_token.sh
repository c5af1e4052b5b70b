#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Token keys of sealed-kbs: made at the first start, rolled over without refusing a guest, told in a JWK set; tokens of another
# attestation service get resources where the configuration trusts it (passport mode).
. "$(dirname "$0")/lib.sh"
require_root
require curl openssl jq
ensure_user sealed-kbs
PYTHON=/usr/bin/python3
sealed=$BIN/sealed
mkdir "$DIR/etc"
"$PYTHON" "$HERE/admin_token.py" key "$DIR/etc/admin.jwk" "$DIR/etc/admin.pub.jwk"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$DIR/etc/tls.key" -out "$DIR/etc/tls.crt" 2>/dev/null
chmod 600 "$DIR/etc/tls.key"

configure() { # NAME [TOKEN-SETTING…]
    local name=$1; shift
    cat >"$DIR/$name.conf" <<CONF
[server]
listen = 127.0.0.1:0
tls_cert = $DIR/etc/tls.crt
tls_key = $DIR/etc/tls.key
state_dir = $DIR/$name
port_file = $DIR/$name.port
[token]
key = $DIR/etc/$name-token.jwk
previous = $DIR/etc/$name-previous.jwk
issuer = $name
$(printf '%s\n' "$@")
[admin]
mode = jwt
keys = $DIR/etc/admin.pub.jwk
[attestation]
tees = sample
verifiers = 1
CONF
}
start() { # NAME
    rm -f "$DIR/$1.port"
    spawn "$1" "$BIN/sealed-kbs" --config "$DIR/$1.conf"
    wait_for 20 "sealed-kbs" test -s "$DIR/$1.port"
    URL="https://127.0.0.1:$(cat "$DIR/$1.port")"
}
client() { "$PYTHON" "$HERE/../peer/client.py" --url "$URL" --ca "$DIR/etc/tls.crt" "$@"; }
prepare() { # a resource and a policy that asks for nothing but sample evidence
    printf 'the secret' | "$sealed" kbs put --kbs "$URL" --ca-file "$DIR/etc/tls.crt" --admin-key "$DIR/etc/admin.jwk" kbs:///default/key/1 - >/dev/null
    printf 'allow ** if status contraindicated\n' >"$DIR/policy"
    "$sealed" kbs policy set --kbs "$URL" --ca-file "$DIR/etc/tls.crt" --admin-key "$DIR/etc/admin.jwk" "$DIR/policy" >/dev/null
}
handshake() { client auth "$1" --tee sample && client evidence "$1" && client attest "$1"; }
jwks() { curl -s --cacert "$DIR/etc/tls.crt" "$URL/.well-known/jwks.json"; }

# -- the first start --------------------------------------------------------------------------------
configure one
check "the configuration is good before there is a key" "$BIN/sealed-kbs" --config "$DIR/one.conf" --check
equal "and a check makes none" "" "$(find "$DIR/etc" -name 'one-token*')"
start one
equal "the first start makes the key, for root alone" "600 root" "$(stat -c '%a %U' "$DIR/etc/one-token.jwk")"
prepare
handshake "$DIR/s"
equal "its tokens are good" "the secret" "$(client get "$DIR/s" default/key/1 --bearer)"
equal "its key is told" "1 ES256 sig" "$(jwks | jq -r '"\(.keys | length) \(.keys[0].alg) \(.keys[0].use)"')"
equal "no more than its public half" null "$(jwks | jq .keys[0].d)"
stop one
mv "$DIR/etc/one-token.jwk" "$DIR/etc/away"
refused "no key, but a state: no other key is made" "not that of a first start" "$BIN/sealed-kbs" --config "$DIR/one.conf"
mv "$DIR/etc/away" "$DIR/etc/one-token.jwk"

# -- roll-over --------------------------------------------------------------------------------------
start one
handshake "$DIR/before"
kid=$(jwks | jq -r .keys[0].kid)
check "rolled over while it serves" "$sealed" kbs token-key roll --config "$DIR/one.conf"
equal "the new key is for root alone" "600 root" "$(stat -c '%a %U' "$DIR/etc/one-token.jwk")"
equal "the old one is public" null "$(jq .d "$DIR/etc/one-previous.jwk")"
stop one
start one
equal "a token of the old key is good" "the secret" "$(client get "$DIR/before" default/key/1 --bearer)"
handshake "$DIR/after"
equal "so is one of the new" "the secret" "$(client get "$DIR/after" default/key/1 --bearer)"
equal "both keys are told, the new one first" "2 $kid" "$(jwks | jq -r '"\(.keys | length) \(.keys[1].kid)"')"
refused "an overlap of nothing" "overlap" "$sealed" kbs token-key roll --config "$DIR/one.conf" --overlap 0s

# -- passport ---------------------------------------------------------------------------------------
ONE=$URL
configure two
start two
prepare
with_url() { URL=$1; shift; "$@"; }
refused "a stranger's token" TokenVerifierError client get "$DIR/after" default/key/1 --bearer
stop two
with_url "$ONE" jwks >"$DIR/etc/one.jwks"
configure two "trusted_jwks = $DIR/etc/one.jwks"
start two
equal "the key of its header is in a set that is trusted" "the secret" "$(client get "$DIR/after" default/key/1 --bearer)"
stop two
configure two "trusted_jwks = $ONE/.well-known/jwks.json" "trusted_jwks_ca_file = $DIR/etc/tls.crt"
start two
by_url() { [ "$(client get "$DIR/after" default/key/1 --bearer)" = "the secret" ]; }
wait_for 30 "a set by URL" by_url
stop two
stop one
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout "$DIR/etc/ca.key" -out "$DIR/etc/ca.pem" 2>/dev/null
"$PYTHON" - "$DIR/etc/one-token.jwk" "$DIR/etc/ca.key" "$DIR/etc/ca.pem" "$DIR/etc/one-token.pem" <<'PY'
import base64, datetime, json, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
key, ca_key, ca, out = sys.argv[1:]
jwk = json.load(open(key))
number = lambda name: int.from_bytes(base64.urlsafe_b64decode(jwk[name] + "=="), "big")
public = ec.EllipticCurvePublicNumbers(number("x"), number("y"), ec.SECP256R1()).public_key()
issuer = x509.load_pem_x509_certificate(open(ca, "rb").read())
now = datetime.datetime.now(datetime.timezone.utc)
certificate = (x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tokens")]))
               .issuer_name(issuer.subject).public_key(public).serial_number(x509.random_serial_number())
               .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
               .sign(serialization.load_pem_private_key(open(ca_key, "rb").read(), None), hashes.SHA256()))
open(out, "wb").write(certificate.public_bytes(serialization.Encoding.PEM))
PY
configure one "certificate = $DIR/etc/one-token.pem"
configure two "trusted_certs = $DIR/etc/ca.pem"
start one
handshake "$DIR/passport"
start two
equal "a token with certificates of an authority that is trusted" "the secret" "$(client get "$DIR/passport" default/key/1 --bearer)"
refused "one without" TokenVerifierError client get "$DIR/after" default/key/1 --bearer
sed "s|one-token.pem|ca.pem|" "$DIR/one.conf" >"$DIR/wrong.conf"
refused "a certificate of another key" "another key" "$BIN/sealed-kbs" --config "$DIR/wrong.conf" --check
