#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Attestation by sealed-kbs over real HTTPS: CoCo's client in Python against it, evidence from a real TPM, enrolment, every refusal.
. "$(dirname "$0")/lib.sh"
require_root
require curl openssl tpm2_quote tpm2_activatecredential
ensure_user sealed-kbs
start_swtpm tpm
export TPM2TOOLS_TCTI=$TPM_TCTI

PYTHON=/usr/bin/python3
JWT="$HERE/admin_token.py"
mkdir -p "$DIR/etc/other" "$DIR/enrol"
for name in token admin; do "$PYTHON" "$JWT" key "$DIR/etc/$name.jwk" "$DIR/etc/$name.pub.jwk"; done
certificate() { # CN OUT [OPTION…]
    local cn=$1 out=$2; shift 2
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$cn" -keyout "$out.key" -out "$out.crt" "$@" 2>/dev/null
}
certificate localhost "$DIR/etc/tls" -addext subjectAltName=IP:127.0.0.1
certificate stranger "$DIR/etc/other/root"
rm "$DIR/etc/other/root.key"
chmod 600 "$DIR/etc/tls.key"
chmod 755 "$DIR/tpm.ca" "$TPM_CA"
chmod 644 "$TPM_CA"/*

configure() { # TEES SESSION EK_ROOTS ADMIT
    cat >"$DIR/kbs.conf" <<EOF
[server]
listen = 127.0.0.1:0
tls_cert = $DIR/etc/tls.crt
tls_key = $DIR/etc/tls.key
state_dir = $DIR/state
port_file = $DIR/port
log_level = debug
[token]
key = $DIR/etc/token.jwk
[admin]
mode = jwt
keys = $DIR/etc/admin.pub.jwk
[attestation]
tees = $1
session = $2
ek_roots = $3
admit = $4
verifiers = 1
EOF
    chmod 644 "$DIR/kbs.conf"
}
start() {
    rm -f "$DIR/port"
    spawn kbs "$BIN/sealed-kbs" --config "$DIR/kbs.conf"
    wait_for 20 "sealed-kbs" test -s "$DIR/port"
    URL="https://127.0.0.1:$(cat "$DIR/port")"
}
restart() { stop kbs; configure "$@"; start; }
client() { "$PYTHON" "$HERE/../peer/client.py" --url "$URL" --ca "$DIR/etc/tls.crt" "$@"; }
admin() { # METHOD PATH [BODY]
    curl -s --cacert "$DIR/etc/tls.crt" -X "$1" -H "Authorization: Bearer $TOKEN" ${3:+--data-binary "$3"} "$URL/kbs/v0/$2"
}
field() { "$PYTHON" -c 'import json, sys; value = json.load(sys.stdin)
for name in sys.argv[1:]: value = value[int(name) if name.isdigit() else name]
print(value)' "$@"; }
policy() { admin POST resource-policy "{\"policy\":\"$(printf '%s' "$1" | base64 -w0 | tr '+/' '-_' | tr -d =)\"}"; }
reference() { admin POST reference-value "{\"version\":\"0.1.0\",\"type\":\"sample\",\"payload\":\"$(printf '%s' "$1" | base64 -w0)\"}"; }
pcr() { tpm2_pcrread "sha256:$1" -o "$DIR/pcr" -Q && od -An -tx1 -v "$DIR/pcr" | tr -d ' \n'; }
# handshake STATE TEE [OPTION…]: auth, evidence (with the options), attest
handshake() {
    local state=$1 tee=$2; shift 2
    client auth "$state" --tee "$tee" && client evidence "$state" "$@" && client attest "$state"
}
# explained WHAT CLAIM TEXT COMMAND…: refused with an id, under which the administrator finds CLAIM and TEXT
explained() {
    local what=$1 claim=$2 text=$3 out id; shift 3
    if out=$("$@" 2>&1); then die "$what: succeeded: $out"; fi
    case "$out" in *"[id "*) ;; *) die "$what: no id in '$out'" ;; esac
    id=${out##*\[id }
    out=$(admin GET "explanation/${id%%]*}")
    case "$out" in *"\"claim\":\"$claim\""*"$text"*) pass "$what" ;; *) die "$what: explained by '$out', not '$claim … $text'" ;; esac
    EXPLANATION=$out
}

# -- before anything is known -----------------------------------------------------------------------
configure tpm 5m "$DIR/etc/other" manual
start
TOKEN=$("$PYTHON" "$JWT" sign "$DIR/etc/admin.jwk")
printf 'the secret' >"$DIR/secret"
admin POST resource/default/key/1 "@$DIR/secret" >/dev/null

refused "sample evidence unless configured" "takes no evidence of tee \"sample\"" client auth "$DIR/s" --tee sample
refused "a TEE that nobody knows" "takes no evidence of tee \"snp\"" client auth "$DIR/s" --tee snp
for version in 0.1.1 0.4.1 0.4 0.4.0-rc1 1.0.0 x; do
    refused "version $version" "expect =0.4.0 while the request is $version" client auth "$DIR/s" --tee tpm --version "$version"
done
check "build metadata does not matter" client auth "$DIR/s" --tee tpm --version 0.4.0+build
headers=$(curl -s --cacert "$DIR/etc/tls.crt" -D - -o /dev/null "$URL/kbs/v0/auth" -d '{"version":"0.4.0","tee":"tpm","extra-params":""}')
printf '%s' "$headers" | tr -d '\r' | grep -qiE '^set-cookie: kbs-session-id=[A-Za-z0-9_-]+; Expires=[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} 20[0-9]{2} [0-9:]{8} GMT$' ||
    die "Set-Cookie: $headers"
pass "the cookie is as Trustee's"
equal "a flood of /auth leaves nothing behind" "" "$(find "$DIR/state/nonce" -type f)"
explained "an EK that no known CA certified" tpm.ek "ek_roots" client enroll "$DIR/enrol"
equal "nobody is enrolled" "[]" "$(admin GET agent)"

# -- enrolment --------------------------------------------------------------------------------------
restart tpm 5m "$TPM_CA" manual
explained "an attestation key that is not enrolled" tpm.ak_public "sealed attest enroll" handshake "$DIR/s" tpm
refused "a wrong credential" "does not hold this attestation key" client enroll "$DIR/enrol" --fault credential
refused "a changed challenge" "not one of this server" client enroll "$DIR/enrol" --fault challenge
equal "still nobody is enrolled" "[]" "$(admin GET agent)"
ID=$(client enroll "$DIR/enrol" | field id)
equal "enrolled, and no more" registered "$(admin GET "agent/$ID" | field state)"
explained "a key that waits to be admitted" tpm.ak_public "sealed kbs agent admit ${ID:0:16}" handshake "$DIR/s" tpm
equal "a prefix of 7 digits is too short" "" "$(admin POST "agent/${ID:0:7}/admit" | grep '"state"' || true)"
equal "admitted by a prefix of the id" admitted "$(admin POST "agent/${ID:0:8}/admit" | field state)"
check "the same evidence is good now" client attest "$DIR/s"
equal "enrolling again changes nothing" "$ID admitted" "$(client enroll "$DIR/enrol" | "$PYTHON" -c 'import json, sys; a = json.load(sys.stdin); print(a["id"], a["state"])')"
refused "agents are the administrator's" 401 curl -sSf --cacert "$DIR/etc/tls.crt" "$URL/kbs/v0/agent"

# -- a guest in a good state ------------------------------------------------------------------------
explained "no reference value: not affirming, no resource" ear.status '"expected":"affirming"' client get "$DIR/s" default/key/1
reference "{\"tpm_pcr11\":[\"$(pcr 11)\"],\"tpm_pcr07\":[\"$(pcr 7)\"]}" >/dev/null
equal "read by an unmodified client" "the secret" "$(client read default/key/1 --tee tpm)"
handshake "$DIR/s" tpm
equal "by cookie" "the secret" "$(client get "$DIR/s" default/key/1)"
equal "by bearer token" "the secret" "$(client get "$DIR/s" default/key/1 --bearer)"
claims=$(client token "$DIR/s")
equal "status" affirming "$(printf '%s' "$claims" | field submods cpu0 ear.status)"
equal "PCR 11 in the token" "$(pcr 11)" "$(printf '%s' "$claims" | field submods cpu0 ear.veraison.annotated-evidence tpm pcr11)"
equal "executables" 3 "$(printf '%s' "$claims" | field submods cpu0 ear.trustworthiness-vector executables)"

# -- nonces -----------------------------------------------------------------------------------------
first=$(client attest "$DIR/s" --print)
equal "the identical body gets the identical token" "$first" "$(client attest "$DIR/s" --print)"
cp "$DIR/s" "$DIR/again"
client evidence "$DIR/again"
refused "a nonce is good for one body" "used for other evidence" client attest "$DIR/again"
client auth "$DIR/a" --tee tpm
client auth "$DIR/b" --tee tpm
client evidence "$DIR/a" --nonce-of "$DIR/b"
explained "the nonce of another session" nonce "" client attest "$DIR/a"
client evidence "$DIR/a"
cookie=$(field cookie <"$DIR/a")
refused "no cookie" "no cookie" client attest "$DIR/a" --cookie ""
flipped=${cookie:0:20}$([ "${cookie:20:1}" = A ] && echo B || echo A)${cookie:21}
refused "a changed cookie" "not one of this server" client attest "$DIR/a" --cookie "$flipped"
refused "another's cookie" "[id " client attest "$DIR/a" --cookie "$(field cookie <"$DIR/b")"
refused "Trustee's cookie" "not one of this server" client attest "$DIR/a" --cookie 99f392a2e5014c64a4d7102f9a0caf2c
check "the session's own" client attest "$DIR/a"

# -- damaged evidence -------------------------------------------------------------------------------
explained "a tampered signature" tpm.signature "" handshake "$DIR/b" tpm --damage signature
explained "a changed PCR value" tpm.pcr-digest "" handshake "$DIR/b" tpm --damage pcrs
explained "a quote over other PCRs" tpm.pcr-selection "" handshake "$DIR/b" tpm --damage selection
explained "evidence for another nonce" tpm.nonce "" handshake "$DIR/b" tpm --damage report-data
explained "evidence of devices that the quote is not bound to" tpm.nonce "" handshake "$DIR/b" tpm --damage additional
explained "a TPM made of software" tpm.ak_public "enrolled key" handshake "$DIR/b" tpm --damage software-key
check "refused evidence spends no nonce" equal "records" 4 "$(find "$DIR/state/nonce" -type f | wc -l)"
refused "another's spent nonce" "used for other evidence" client attest "$DIR/b" --cookie "$cookie"

# -- init-data --------------------------------------------------------------------------------------
printf 'version = "0.1.0"\nalgorithm = "sha256"\n\n[data]\nkey1 = "value1"\n' >"$DIR/init.toml"
explained "init-data that the TPM did not measure" tpm.init-data "" handshake "$DIR/b" tpm --init-data "$DIR/init.toml"
printf 'version = "0.1.0"\n[data]\nalgorithm = "sha256"\n' >"$DIR/bad.toml"
explained "init-data without algorithm" init-data "\\\"algorithm\\\" is missing" handshake "$DIR/b" tpm --init-data "$DIR/bad.toml"
tpm2_pcrextend "8:sha256=$(sha256sum "$DIR/init.toml" | cut -d' ' -f1)"
check "init-data measured in PCR 8" handshake "$DIR/b" tpm --init-data "$DIR/init.toml"

# -- a changed PCR ----------------------------------------------------------------------------------
before=$(pcr 11)
tpm2_pcrextend "11:sha256=$(printf 'another kernel' | sha256sum | cut -d' ' -f1)"
check "a changed PCR still gets a token" handshake "$DIR/b" tpm
equal "that is not affirming" warning "$(client token "$DIR/b" | field submods cpu0 ear.status)"
explained "and no resource" tpm.pcr11 "\"got\":\"$(pcr 11)\",\"expected\":[\"$before\"]" client get "$DIR/b" default/key/1
case "$EXPLANATION" in *"\"claim\":\"tpm.pcr07\""*"\"match\":true"*) pass "the PCR that is right is named, too" ;; *) die "$EXPLANATION" ;; esac
equal "an explanation has its place in the list" "$(printf '%s' "$EXPLANATION" | field id)" "$(admin GET explanation | field 0 id)"
case "$EXPLANATION" in *"\"agent\":\"$ID\""*"\"resource\":\"default/key/1\""* | *"\"resource\":\"default/key/1\""*"\"agent\":\"$ID\""*) pass "who and what" ;; *) die "$EXPLANATION" ;; esac
refused "explanations are the administrator's" 401 curl -sSf --cacert "$DIR/etc/tls.crt" "$URL/kbs/v0/explanation"
reference "{\"tpm_pcr11\":[\"$(pcr 11)\"]}" >/dev/null

# -- revocation -------------------------------------------------------------------------------------
handshake "$DIR/s" tpm
equal "good again" "the secret" "$(client get "$DIR/s" default/key/1)"
equal "revoked" revoked "$(admin POST "agent/$ID/revoke" | field state)"
refused "a token stops working with its key" PolicyDeny client get "$DIR/s" default/key/1
explained "a revoked key's evidence" tpm.ak_public "admitted" handshake "$DIR/b" tpm
equal "enrolling does not bring it back" revoked "$(client enroll "$DIR/enrol" | field state)"
equal "deleted" "$ID" "$(admin DELETE "agent/$ID" | field id)"
equal "nobody is left" "[]" "$(admin GET agent)"
AK=$(tpm2_readpublic -Q -c 0x81010002 -f der -o "$DIR/ak.der" && base64 -w0 "$DIR/ak.der")
equal "registered by the administrator" "$ID" "$(admin POST agent "{\"ak_public\":\"$AK\"}" | field id)"
equal "and at once good" "the secret" "$(client read default/key/1 --tee tpm)"

# -- the verifier -----------------------------------------------------------------------------------
verifier() { # descends: front, warden, verifier
    VERIFIER=$(pgrep -P "$(pgrep -P "$PID_kbs")") && [ -n "$VERIFIER" ]
}
verifier
if [ -z "${SEALED_ASAN:-}" ]; then
    equal "the verifier has a system call filter" 2 "$(awk '/^Seccomp:/ {n = $2} /^Seccomp_filters:/ {print n}' "/proc/$VERIFIER/status")"
    equal "its descriptors" "0 1 2 3" "$(cd "/proc/$VERIFIER/fd" && echo *)"
    equal "its environment" 0 "$(wc -c <"/proc/$VERIFIER/environ")"
fi
equal "its user" sealed-kbs "$(ps -o user:32= -p "$VERIFIER" | tr -d ' ')"
waiting() { # the request lies in the stopped verifier's socket
    ss -xH | awk -v inode="$(readlink "/proc/$VERIFIER/fd/3" | tr -dc 0-9)" '$6 == inode && $3 > 0 {found = 1} END {exit !found}'
}
if command -v ss >/dev/null; then
    client auth "$DIR/k" --tee tpm
    client evidence "$DIR/k"
    hold "$VERIFIER"
    client attest "$DIR/k" >"$DIR/killed.log" 2>&1 &
    attest=$!
    wait_for 10 "the request to reach the verifier" waiting
    kill -KILL "$VERIFIER"
    wait "$attest" && die "attested by a dead verifier"
    grep -q "503 AttestationError" "$DIR/killed.log" || die "the guest was told: $(cat "$DIR/killed.log")"
    pass "a verifier killed in the midst of a request"
    wait_for 10 "another verifier" verifier
    check "the same body is good at the next one" client attest "$DIR/k"
fi
verifier
kill -KILL "$VERIFIER"
check "a verifier killed while idle costs nothing" handshake "$DIR/k" tpm

# -- sample evidence, short sessions, automatic admission -------------------------------------------
admin DELETE "agent/$ID" >/dev/null
restart "tpm sample" 5m "$TPM_CA" auto
equal "admitted automatically" admitted "$(client enroll "$DIR/enrol" | field state)"
handshake "$DIR/s" sample
refused "sample evidence is not affirming" PolicyDeny client get "$DIR/s" default/key/1
reference '{"launch_digest":["abcde"],"svn":["1"],"major_version":["1"],"minimum_minor_version":["4"]}' >/dev/null
policy 'allow default/** if tee sample'
equal "read with sample evidence" "the secret" "$(client read default/key/1 --tee sample)"
equal "by a guest whose key is on P-521" "the secret" "$(client read default/key/1 --tee sample --curve P-521)"
equal "by 32 guests at once" "the secret" "$(client many default/key/1 --guests 32)"
explained "sample evidence for another nonce" sample.report-data "" handshake "$DIR/b" sample --damage report-data
restart "tpm sample" 5s "$TPM_CA" auto
client auth "$DIR/old" --tee sample
client evidence "$DIR/old"
wait_for 60 "a handshake that fits into such a session" handshake "$DIR/s" sample
began=$SECONDS
ended() { [ "$((SECONDS - began))" -ge 7 ]; }
wait_for 10 "the session to end" ended
refused "an expired nonce" "has expired" client attest "$DIR/old"
refused "the cookie of a session that ended" TokenNotFound client get "$DIR/s" default/key/1
equal "its token is still good" "the secret" "$(client get "$DIR/s" default/key/1 --bearer)"

# -- the end ----------------------------------------------------------------------------------------
warden=$(pgrep -P "$PID_kbs")
verifier
kill -KILL "$PID_kbs"
wait_for 10 "warden and verifier to end with the front" eval "gone $warden && gone $VERIFIER"
pass "nobody outlives a killed front"
