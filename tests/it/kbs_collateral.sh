#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Certificates, CRLs and TCB info of AMD and Intel: fetched once from their services, kept until their own end, shared, imported where there is no network.
# The services, the machines and the guests on them are tests/it/collateral_vendor.py; every handshake is a whole one with evidence made for its nonce.
# shellcheck source=tests/it/lib.sh
. "$(dirname "$0")/lib.sh"
require_root
require openssl jq curl
ensure_user sealed-kbs
PYTHON=/usr/bin/python3
VENDOR="$HERE/collateral_vendor.py"
mkdir -p "$DIR/etc" "$DIR/v"
for name in token admin; do "$PYTHON" "$HERE/admin_token.py" key "$DIR/etc/$name.jwk" "$DIR/etc/$name.pub.jwk"; done

# -- the vendors ------------------------------------------------------------------------------------------
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=vendors -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$DIR/v/key.pem" -out "$DIR/v/ca.pem" 2>/dev/null
cat "$DIR/v/key.pem" "$DIR/v/ca.pem" >"$DIR/v/vendor.pem"
spawn vendor "$PYTHON" "$VENDOR" serve "$DIR/v"
wait_for 60 "the vendors' services" test -s "$DIR/v/vendor.port"
WHERE=https://127.0.0.1:$(cat "$DIR/v/vendor.port")
CA=$DIR/v/ca.pem
VCEK=$(cat "$DIR/v/vcek.name")
control() { "$PYTHON" "$VENDOR" control "$WHERE" "$CA" "$1"; }
count() { "$PYTHON" "$VENDOR" count "$WHERE" "$CA" "$1"; }
attest() { "$PYTHON" "$VENDOR" attest "$URL" "$WHERE" "$CA" "$@"; }

# -- the broker -------------------------------------------------------------------------------------------
conf() { # STATE LINE… ([attestation] lines first, then [collateral] and others)
    local state=$1; shift
    cat >"$DIR/kbs.conf" <<END
[server]
listen = 127.0.0.1:0
state_dir = $DIR/$state
port_file = $DIR/port
log_level = debug
[token]
key = $DIR/etc/token.jwk
[admin]
mode = jwt
keys = $DIR/etc/admin.pub.jwk
[attestation]
tees = snp, tdx
roots = $DIR/v/roots
$(printf '%s\n' "$@")
END
    chmod 644 "$DIR/kbs.conf"
}
# shellcheck disable=SC2120
services() { printf '%s\n' "[collateral]" "amd_kds = $WHERE" "intel_pcs = $WHERE" "ca_file = $CA" "$@"; }
start() { # NAME
    rm -f "$DIR/port"
    spawn "$1" "$BIN/sealed-kbs" --config "$DIR/kbs.conf"
    wait_for 20 "sealed-kbs" test -s "$DIR/port"
    URL="http://127.0.0.1:$(cat "$DIR/port")"
}
tool() { "$BIN/sealed" kbs "$@" --kbs "$URL" --admin-key "$DIR/etc/admin.jwk"; }
allow_all() {
    printf 'allow **\n' >"$DIR/policy"
    tool policy set "$DIR/policy" >/dev/null
    printf 'the secret' >"$DIR/secret"
    tool put kbs:///default/key/1 "$DIR/secret" >/dev/null
}
state_of() { tool collateral status --json | jq -r --arg name "$1" '.objects[] | select(.name == $name) | .state'; }

conf one "$(services)"
start one
allow_all
control '{"reset": true, "slow_ms": 300}'

# -- fetched once -----------------------------------------------------------------------------------------
equal "a guest on SEV-SNP gets its secret" "the secret" "$(attest snp --get default/key/1 | sed -n 1p)"
equal "the chip's certificate was fetched" 1 "$(count "/vcek/v1/Milan/${VCEK:15:8}")"
equal "and AMD's CA" 1 "$(count /vcek/v1/Milan/cert_chain)"
attest snp >"$DIR/claims"
equal "the second guest needs no fetch" 2 "$(count /vcek)"
equal "claims" "$(jq -r .reported_tcb_snp "$DIR/claims")" 23
equal "a guest on TDX gets its secret" "the secret" "$(attest tdx --get default/key/1 | sed -n 1p)"
before=$(count /)
equal "TDX evidence is up to date by Intel's TCB info" UpToDate "$(attest tdx | jq -r .tcb_status)"
equal "the second guest on TDX needs no fetch" "$before" "$(count /)"
equal "Intel was asked for the early publication" 1 "$(count "/tdx/certification/v4/tcb?fmspc=90C06F000000&update=early")"

# -- status, and one flight ----------------------------------------------------------------------------------
tool collateral status >"$DIR/status"
grep -q "^good .*from amd-kds  $VCEK$" "$DIR/status" || die "status: $(cat "$DIR/status")"
grep -q "^asks intel-pcs at $WHERE$" "$DIR/status" || die "status: $(cat "$DIR/status")"
pass "status says what is cached, until when and from where"
for name in $(tool collateral status --json | jq -r '.objects[].name'); do tool collateral delete "$name" >/dev/null; done
control '{"reset": true, "slow_ms": 500}'
attest tdx --at-once 20 >/dev/null
equal "twenty guests at once are one flight an object" "4 1" \
    "$(count /) $(count /tdx/certification/v4/tcb)"
