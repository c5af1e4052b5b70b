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

# -- services that fail -----------------------------------------------------------------------------------------
to_base64() { "$PYTHON" -c "import base64,sys; print(base64.b64encode(bytes.fromhex(sys.stdin.read())).decode())"; }
drop() { for name; do tool collateral delete "$name" >/dev/null; done; }
drop intel/tcb/90C06F000000
control '{"reset": true, "status": 429, "retry": "1", "times": 1, "match": "/tdx/certification/v4/tcb"}'
attest tdx >/dev/null
equal "Retry-After is waited for" 2 "$(count /tdx/certification/v4/tcb)"
attest snp >/dev/null
control '{"reset": true, "status": 503, "times": 1000}'
attest tdx >/dev/null
attest snp >/dev/null
equal "what is cached needs no service" 0 "$(count /)"
drop intel/tcb/90C06F000000
explained() { # WHAT TEXT TEE
    local out id
    if out=$(attest "$3" 2>&1); then die "$1: succeeded: $out"; fi
    id=${out##*\[id }
    out=$(tool explain "${id%%]*}")
    case "$out" in *"$2"*) pass "$1" ;; *) die "$1: '$out' does not say '$2'" ;; esac
}
explained "a service that is down is a reason, by its status" "answered with status 503" tdx
explained "and is left alone" "asked again in" tdx
equal "so it got one request" 1 "$(count /)"
control '{"reset": true}'
check "an administrator's fetch does not wait for our own back-off" tool collateral fetch --fmspc 90c06f000000
attest tdx >/dev/null

# -- expiry -------------------------------------------------------------------------------------------------------
drop intel/root-crl
control '{"reset": true, "crl_ends_in": -60}'
explained "an expired CRL is never served as fresh" "nothing newer is to be had" tdx
equal "it was fetched anew" 1 "$(count /sgx/certification/v4/rootcacrl)"
control '{"reset": true, "hex": true}'
tool collateral fetch intel/root-crl >/dev/null
attest tdx >/dev/null
equal "an expired CRL gives way to a fresh one, also in a PCCS's hex" "good 1" "$(state_of intel/root-crl) $(count /sgx/certification/v4/rootcacrl)"
check "AMD's CRL is fetched when an administrator wants it" tool collateral fetch amd/crl/Milan
attest snp >/dev/null
pass "and looked at from then on"
stop one

# -- other servers on the same store, and without a network -----------------------------------------------------
control '{"reset": true}'
conf one "[collateral]" "fetch = no"
start replica
attest tdx >/dev/null
attest snp >/dev/null
equal "another server on the same store needs no fetch" 0 "$(count /)"
stop replica
conf two "[collateral]" "fetch = no"
start offline
allow_all
explained "without a network the guest is refused, and the remedy told" "sealed kbs collateral" snp
tool collateral import "$DIR/v/pcs.json" "$DIR/v/kds" >"$DIR/imported"
grep -q "^7 imported, 0 older" "$DIR/imported" || die "import: $(cat "$DIR/imported")"
equal "an import makes an offline server work, SEV-SNP" "the secret" "$(attest snp --get default/key/1 | sed -n 1p)"
equal "an import makes an offline server work, TDX" "the secret" "$(attest tdx --get default/key/1 | sed -n 1p)"
printf 'nonsense' >"$DIR/nonsense"
refused "what is no collateral is not imported" "neither a chip's certificate" tool collateral import "$DIR/nonsense"
refused "nor what another name says" "this is intel/root-crl" \
    curl -sS -H "Authorization: Bearer $("$PYTHON" "$HERE/admin_token.py" sign "$DIR/etc/admin.jwk")" "$URL/kbs/v0/collateral" --fail-with-body \
    --data-binary "{\"name\":\"intel/pck-crl/platform\",\"body\":\"$(jq -r .collaterals.rootcacrl "$DIR/v/pcs.json" | to_base64)\"}"
grep -q "imported collateral intel/qe-identity" "$DIR/offline.log" || die "no audit line"
stop offline
conf three "[collateral]" "fetch = no" "directory = $DIR/v/kds" "pcs_file = $DIR/v/pcs.json"
start files
attest tdx >/dev/null
attest snp >/dev/null
equal "an operator's files are taken at start" 0 "$(count /)"
stop files
conf four "collateral_expired = report" "$(services)"
control '{"reset": true, "crl_ends_in": -60}'
start report
equal "collateral_expired = report: a claim says that it is expired" 1 "$(attest tdx | jq -r .collateral_expiration_status)"
grep -q "is handed on as expired" "$DIR/report.log" || die "the log does not say so"
