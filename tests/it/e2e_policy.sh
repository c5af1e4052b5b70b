#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The guest's state decides: a changed PCR, a key that is not enrolled or was revoked, a policy that says no. Each refusal has an id that
# the guest and the administrator can both explain.
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
stack_up
seal_vault password "correct horse"
seal_vault other "another"
sealed_mount
read_is password "correct horse"

check "sealed attest finds nothing wrong with a good guest" test 1 -eq "$("$BIN/sealed" attest | wc -l)"
before=$(pcr_now 11)
pcr_extend 11 "an unknown program"
after=$(pcr_now 11)
read_is password "correct horse" # the token and the cache are still good
flush --token
open_fails password EKEYREVOKED # it was served before
explanation=$("$BIN/sealed" explain --json "$MNT/password")
equal "the guest names the PCR" 11 "$(jq -r '.guest.changed[0].pcr' <<<"$explanation")"
equal "and only that one" 1 "$(jq -r '.guest.changed | length' <<<"$explanation")"
equal "what it was" "$before" "$(jq -r '.guest.changed[0].was' <<<"$explanation")"
equal "what it is" "$after" "$(jq -r '.guest.changed[0].now' <<<"$explanation")"
check "sealed attest does not call this good" grep -q "not find this guest affirming" <<<"$("$BIN/sealed" attest)"
id=$(jq -r .kbs_ref <<<"$explanation")
check "the refusal has an id of the broker" test -n "$id"
case "$(jq -r .message <<<"$explanation")" in *"$before"* | *"$after"*) die "the broker told the guest what it compared" ;; esac
findings=$(kbs explain "$id" --json)
equal "the broker gives got" "$after" "$(jq -r '[.findings[] | select(.claim == "tpm.pcr11")][0].got' <<<"$findings")"
equal "and expected" "$before" "$(jq -r '[.findings[] | select(.claim == "tpm.pcr11")][0].expected | if type == "array" then .[0] else . end' <<<"$findings")"
kbs explain "$id" | tee "$DIR/explained.log"
check "in words, too" grep -q "$before" "$DIR/explained.log"

# The new state is declared good: nothing on the guest has to be restarted.
kbs reference-value set tpm_pcr11 "$after" >/dev/null
flush --token
read_is password "correct horse"

# A policy for one resource only.
printf 'allow team/signing-key/*\nallow team/secret/other if status affirming\ndeny **\n' >"$DIR/policy"
kbs policy set "$DIR/policy" >/dev/null
flush --token
read_is other "another"
open_fails password EKEYREVOKED
equal "one denial did not cost the other its token" 1 "$(( $(sealed_stat .handshakes) > 0 ))"
printf 'allow ** if status affirming\n' >"$DIR/policy"
kbs policy set "$DIR/policy" >/dev/null

# Revocation works at once: the old token is refused, a new one is not given.
flush
read_is other "another"
kbs agent revoke "$AGENT" >/dev/null
flush
open_fails other EKEYREVOKED
kbs agent admit "$AGENT" >/dev/null
flush --token
read_is other "another"

# Admission is manual: a machine that is deleted and enrols again waits.
kbs agent delete "$AGENT" >/dev/null
flush --token
open_fails other EKEYREVOKED
"$BIN/sealed" attest enroll --kbs "$URL" --ca-file "$DIR/ca.pem" --attestd "$DIR/attestd.sock" >"$DIR/again.log"
check "enrolment says what an administrator must do" grep -q "agent admit" "$DIR/again.log"
flush --token
open_fails other EKEYREVOKED
kbs agent admit "$AGENT" >/dev/null
flush --token
read_is other "another"
sealed_unmount
