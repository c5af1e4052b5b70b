#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A guest with devices and init-data: submodules cpu0, gpu0 and cpu1 of one token, claims that the policy uses, and every way in which a
# device's evidence must not get in.
. "$(dirname "$0")/lib.sh"
require_root
require curl openssl jq tpm2_quote tpm2_activatecredential
ensure_user sealed-kbs
start_swtpm tpm
export TPM2TOOLS_TCTI=$TPM_TCTI
PYTHON=/usr/bin/python3
sealed=$BIN/sealed
mkdir -p "$DIR/etc" "$DIR/enrol"
"$PYTHON" "$HERE/admin_token.py" key "$DIR/etc/admin.jwk" "$DIR/etc/admin.pub.jwk"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$DIR/etc/tls.key" -out "$DIR/etc/tls.crt" 2>/dev/null
chmod 600 "$DIR/etc/tls.key"
chmod 755 "$DIR/tpm.ca" "$TPM_CA"
chmod 644 "$TPM_CA"/*

start() { # TEES
    cat >"$DIR/kbs.conf" <<CONF
[server]
listen = 127.0.0.1:0
tls_cert = $DIR/etc/tls.crt
tls_key = $DIR/etc/tls.key
state_dir = $DIR/state
port_file = $DIR/port
[token]
key = $DIR/etc/token.jwk
[admin]
mode = jwt
keys = $DIR/etc/admin.pub.jwk
[attestation]
tees = $1
ek_roots = $TPM_CA
admit = auto
verifiers = 1
CONF
    chmod 644 "$DIR/kbs.conf"
    rm -f "$DIR/port"
    spawn kbs "$BIN/sealed-kbs" --config "$DIR/kbs.conf"
    wait_for 20 "sealed-kbs" test -s "$DIR/port"
    URL="https://127.0.0.1:$(cat "$DIR/port")"
}
client() { "$PYTHON" "$HERE/../peer/client.py" --url "$URL" --ca "$DIR/etc/tls.crt" "$@"; }
admin() { "$sealed" kbs "$@" --kbs "$URL" --ca-file "$DIR/etc/tls.crt" --admin-key "$DIR/etc/admin.jwk"; }
handshake() { # STATE OPTION…
    local state=$1; shift
    client auth "$state" --tee "${TEE:-sample}" && client evidence "$state" "$@" && client attest "$state"
}
policy() { printf '%s\n' "$@" >"$DIR/policy"; admin policy set "$DIR/policy" >/dev/null; }
explained() { # WHAT CHECK COMMAND…: refused with an id, under which the administrator finds the check
    local what=$1 check=$2 out id; shift 2
    if out=$("$@" 2>&1); then die "$what: succeeded: $out"; fi
    id=${out##*\[id }
    admin explain "${id%%]*}" >"$DIR/why" || die "$what: no explanation for '$out'"
    grep -q "$check" "$DIR/why" || die "$what: explained by '$(cat "$DIR/why")', not $check"
    pass "$what"
}

cat >"$DIR/init.toml" <<'TOML'
version = "0.1.0"
algorithm = "sha384"

[data]
team = "red"
"aa.toml" = '''
[token_configs.kbs]
url = "http://kbs.example.org"
'''
"policy.rego" = '''
package agent_policy
policy_data := {"containers": [{"OCI": {"Annotations": {"io.kubernetes.cri.image-name": "nginx:1"}, "Process": {"User": {"UID": 1001}}}}]}
'''
TOML

start "sample sampledevice tpm"
printf 'the secret' | admin put kbs:///team/key/1 - >/dev/null
admin reference-value set device_svn 2 >/dev/null

# -- one guest, one device, init-data ----------------------------------------------------------------
check "a guest with a device and init-data attests" handshake "$DIR/s" --device sampledevice --init-data "$DIR/init.toml"
client token "$DIR/s" >"$DIR/token"
query() { jq -r "$1" "$DIR/token"; }
equal "a submodule each" "cpu0 gpu0" "$(query '.submods | keys | join(" ")')"
equal "the device's claims" 2 "$(query '.submods.gpu0["ear.veraison.annotated-evidence"].sampledevice.svn')"
equal "appraised by the rules of its class" "2 33 36 warning" \
    "$(query '.submods.gpu0 | "\(.["ear.trustworthiness-vector"] | "\(.hardware) \(.executables) \(.configuration)") \(.["ear.status"])"')"
equal "bound to runtime data without additional-evidence" "nonce tee-pubkey" \
    "$(query '.submods.gpu0["ear.veraison.annotated-evidence"].runtime_data_claims | keys | join(" ")')"
equal "init-data becomes claims" "red http://kbs.example.org" \
    "$(query '.submods.cpu0["ear.veraison.annotated-evidence"].init_data_claims | "\(.team) \(.["aa.toml"].token_configs.kbs.url)"')"
equal "and names the containers" '{"validated":{"container_images":["nginx:1"],"container_uids":[1001]}}' \
    "$(jq -c '.submods.cpu0["ear.trustee.identifiers"]' "$DIR/token")"
equal "the digest is that of the file" "$(openssl dgst -sha384 -binary "$DIR/init.toml" | base64 -w0)" \
    "$(query '.submods.cpu0["ear.veraison.annotated-evidence"].init_data')"

policy 'allow team/** if status contraindicated and gpu0.sampledevice.svn in reference-value device_svn and init-data.team = "red"' 'deny **'
equal "the policy uses claims of both" "the secret" "$(client get "$DIR/s" team/key/1)"
policy 'allow team/** if status contraindicated and gpu0.sampledevice.svn = "3"' 'deny **'
refused "another device gets nothing" PolicyDeny client get "$DIR/s" team/key/1
policy 'allow team/** if status contraindicated and init-data.aa.toml.token_configs.kbs.url = "http://other"' 'deny **'
refused "other init-data gets nothing" PolicyDeny client get "$DIR/s" team/key/1
policy 'allow team/** if status warning and gpu0.sampledevice present' 'deny **'
refused "the worst status counts: that of sample evidence without reference values" PolicyDeny client get "$DIR/s" team/key/1
admin reference-value set launch_digest abcde >/dev/null
admin reference-value set svn 1 >/dev/null
admin reference-value set --single --integer major_version 1 >/dev/null
admin reference-value set --single --integer minimum_minor_version 4 >/dev/null
check "the guest itself is affirming now" handshake "$DIR/a" --device sampledevice
client token "$DIR/a" >"$DIR/token"
equal "beside a device that is not" "affirming warning" "$(query '"\(.submods.cpu0["ear.status"]) \(.submods.gpu0["ear.status"])"')"
equal "so the whole is a warning" "the secret" "$(client get "$DIR/a" team/key/1)"
policy 'allow team/** if status affirming' 'deny **'
refused "and not affirming" PolicyDeny client get "$DIR/a" team/key/1

# -- evidence of devices that must not get in ---------------------------------------------------------
explained "a device that the guest does not vouch for" sample.report-data handshake "$DIR/b" --device sampledevice --damage unvouched
explained "a device's evidence of another time" sampledevice.report-data handshake "$DIR/b" --device sampledevice --damage device
printf 'algorithm = "sha256"\n' >"$DIR/bad.toml"
explained "init-data that is none" init-data handshake "$DIR/b" --init-data "$DIR/bad.toml"
TEE=sampledevice explained "a device alone" additional_evidence handshake "$DIR/b"

# -- a TPM beside another TEE: cpu1, and only with an enrolled key ---------------------------------------
"$PYTHON" "$HERE/../peer/client.py" --url "$URL" --ca "$DIR/etc/tls.crt" enroll "$DIR/enrol" >"$DIR/agent"
id=$(jq -r .id "$DIR/agent")
check "a TPM as a device" handshake "$DIR/t" --device tpm --device sampledevice
client token "$DIR/t" >"$DIR/token"
equal "is the second of its class" "cpu0 cpu1 gpu0" "$(query '.submods | keys | join(" ")')"
policy 'allow team/** if status contraindicated and cpu1.tpm.pcr00 present' 'deny **'
equal "its claims are the policy's, too" "the secret" "$(client get "$DIR/t" team/key/1)"
admin agent revoke "$id" >/dev/null
refused "a token goes with the key of its device" PolicyDeny client get "$DIR/t" team/key/1
explained "and so does a handshake" tpm.ak_public handshake "$DIR/t" --device tpm

# -- the permission of [attestation] tees ----------------------------------------------------------------
stop kbs
start "sample tpm"
refused "a token of a TEE that is no longer taken" PolicyDeny client get "$DIR/a" team/key/1
explained "a device needs the permission that a guest needs" additional-evidence handshake "$DIR/b" --device sampledevice
