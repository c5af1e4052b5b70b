#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The attestation service alone (protocol.md D.3): other relying parties have evidence appraised here; this broker gives nothing for such tokens.
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
require_root
require swtpm tpm2_quote jq
# shellcheck disable=SC2034  # stack.sh reads it
KBS_INIT=(--tee tpm --tee sample --tee sampledevice)
stack_users
stack_tpm
stack_kbs
stack_attestd </dev/null
stack_enroll
rest() { python3 "$HERE/kbs_rest.py" "$URL" "$DIR/ca.pem" "$@"; }
equal "off unless configured" "404 404" "$(rest off)"
stop kbs
conf_set "$DIR/kbs.conf" attestation rest yes
stack_kbs

equal "structured runtime data" "True 1 unchecked" "$(rest structured)"
equal "hashed as the request says" 200 "$(rest sha256)"
equal "raw runtime data, and init data" "None value1" "$(rest raw)"
equal "several pieces are submods" "cpu0 gpu0 cpu1 gpu1" "$(rest several)"
equal "a nonce" "200 32" "$(rest challenge)"
equal "what is wrong is refused, with an id" "all refused" "$(rest bad)"
export TPM2TOOLS_TCTI=$TPM_TCTI
client() { python3 "$HERE/../peer/client.py" --url "$URL" --ca "$DIR/ca.pem" "$@"; }
client auth "$DIR/state" --tee tpm
client evidence "$DIR/state"
equal "a TPM with an admitted key" 2 "$(rest tpm "$DIR/state")"
kbs agent revoke "$AGENT" >/dev/null
case $(rest tpm "$DIR/state") in *"[id "*) pass "a revoked one is refused" ;; *) die "a revoked key: $(rest tpm "$DIR/state")" ;; esac

equal "policies are the administrator's" "401 401" "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$DIR/ca.pem" "$URL/policy") $(curl -s -o /dev/null -w '%{http_code}' --cacert "$DIR/ca.pem" -d '{"policy_id":"default_cpu","policy":""}' "$URL/policy")"

printf 'x' | kbs put kbs:///a/b/c - >/dev/null
printf 'allow **\n' >"$DIR/policy"
kbs policy set "$DIR/policy" >/dev/null
token=$(rest token)
answer=$(curl -s --cacert "$DIR/ca.pem" -H "Authorization: Bearer $token" "$URL/kbs/v0/resource/a/b/c")
case $answer in *TokenVerifierError*) pass "the broker gives nothing for such a token" ;; *) die "a token of /attestation: $answer" ;; esac
has_said() { grep -q "made by POST /attestation" "$DIR/kbs.log"; }
wait_for 20 "the log to say why" has_said
