#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Continuous attestation: a guest attests in the background as often as the broker wishes; one that fails, is late, or shares its UUID
# with another machine is shut out until an administrator lets it in again, and the webhook hears of it; the guest wipes what it had.
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
require_root
require swtpm tpm2_pcrextend jq python3
printf 'token-of-the-hook\n' >"$DIR/hook.token"
chmod 600 "$DIR/hook.token"
spawn hook python3 "$HERE/hook.py" "$DIR/hook.port" "$DIR/events" token-of-the-hook
wait_for 20 "the hook" test -s "$DIR/hook.port"
touch "$DIR/events"
# shellcheck disable=SC2034  # stack.sh reads it
KBS_LINES="agents interval 2s
agents grace 1h
agents webhook http://127.0.0.1:$(cat "$DIR/hook.port")/hook
agents webhook_token_file $DIR/hook.token
attestation admit listed
attestation admit_list $DIR/machines"
: >"$DIR/machines"
stack_users
stack_tpm
stack_kbs
stack_attestd </dev/null
UUID=6ba7b810-9dad-11d1-80b4-00c04fd430c8
enroll() { "$BIN/sealed" attest enroll --create-key --kbs "$URL" --ca-file "$DIR/ca.pem" --attestd "$1" "${@:2}"; }
shown() { kbs agent show "$1" --json | jq -r ".$2"; }
state_is() { [ "$(shown "$1" state)" = "$2" ]; }
told() { jq -se --arg event "$1" --arg agent "$2" 'map(select(.event == $event and .agent == $agent)) | length > 0' "$DIR/events" >/dev/null; }

# -- registered, and admitted by a rule -------------------------------------------------------------
enroll "$DIR/attestd.sock" --uuid $UUID >"$DIR/enroll.log"
AGENT=$(kbs agent list --json | jq -r '.[0].id')
equal "not on the list: registered" registered "$(shown "$AGENT" state)"
equal "known by its UUID" "$AGENT" "$(shown $UUID id)"
ek=$(shown "$AGENT" ek_sha256)
kbs agent delete $UUID >/dev/null
printf '# the machines of this room\n%s uuid=%s rack=7\n' "$ek" $UUID >"$DIR/machines"
stop kbs
stack_kbs
enroll "$DIR/attestd.sock" --uuid 6ba7b811-9dad-11d1-80b4-00c04fd430c8 >"$DIR/enroll.log"
equal "the machine, but another UUID than on the list" registered "$(shown "$AGENT" state)"
kbs agent delete "$AGENT" >/dev/null
enroll "$DIR/attestd.sock" --uuid $UUID >"$DIR/enroll.log"
equal "on the list: admitted, with its tags" "admitted 7" "$(shown "$AGENT" state) $(shown "$AGENT" tags.rack)"
kbs agent admit "$AGENT" --tag rack=8 --tag room=b >/dev/null
equal "tags by an administrator" "8 b" "$(shown "$AGENT" tags.rack) $(shown "$AGENT" tags.room)"

# -- verified, again and again, though nobody reads -------------------------------------------------
stack_reference
stack_keys
seal_vault password "correct horse"
sealed_mount
read_is password "correct horse"
more_than() { [ "$(sealed_stat .handshakes)" -gt "$1" ]; }
wait_for 60 "attestations in the background" more_than 3
check "the broker has seen it" test "$(shown "$AGENT" attested)" != null
check "verified, or just about to be" grep -qE '^(verified|attesting)$' <<<"$(shown "$AGENT" state)"
equal "the history tells what changed, not each time" 1 "$(kbs agent history "$AGENT" --json | jq '[.[] | select(.what == "affirming")] | length')"
read_is password "correct horse"

# -- failed -----------------------------------------------------------------------------------------
exec 7<"$MNT/password" # an open descriptor
pcr_extend 11 "an unknown program"
wait_for 60 "the broker to notice" state_is "$AGENT" failed
wait_for 60 "the webhook to hear of it, at the second try" told failed "$AGENT"
id=$(jq -sr 'map(select(.event == "failed"))[0].explanation' "$DIR/events")
equal "its explanation names the claim" tpm.pcr11 "$(kbs explain "$id" --json | jq -r '[.findings[] | select(.match == false)][0].claim')"
equal "and the history leads to it" "$id" "$(kbs agent history $UUID --json | jq -r '[.[] | select(.what == "failed")][0].ref')"
opens_as() { [ "$(python3 "$HERE/fresh.py" errno "$MNT/password")" = "$1" ]; }
wait_for 60 "the guest to have wiped what it had" opens_as EKEYREVOKED
python3 - <<'PY' || die "the open descriptor still reads"
import errno, os, sys
try:
    sys.exit("read " + repr(os.pread(7, 64, 0)))
except OSError as error:
    sys.exit(0 if error.errno == errno.EKEYREVOKED else str(error))
PY
exec 7<&-
kbs reference-value set tpm_pcr11 "$(pcr_now 11)" >/dev/null
flush --token
open_fails password EKEYREVOKED # good evidence alone does not bring it back
kbs agent admit $UUID >/dev/null
reads() { [ "$(cat "$MNT/password")" = "correct horse" ]; }
wait_for 60 "the guest to be let in again" reads

# -- a clean shutdown is not late -------------------------------------------------------------------
sealed_unmount
has_left() { kbs agent history "$AGENT" --json | jq -e '.[-1].what == "left"' >/dev/null; }
wait_for 20 "the goodbye" has_left
stop kbs
conf_set "$DIR/kbs.conf" agents grace 1s
stack_kbs
equal "who left is not due" admitted "$(shown "$AGENT" state)"

# -- late -------------------------------------------------------------------------------------------
stop kbs
conf_set "$DIR/kbs.conf" agents grace 1h
stack_kbs
sealed_mount
read_is password "correct horse"
"$BIN/sealed" attest --token >"$DIR/token" 2>/dev/null || true
# shellcheck disable=SC2154  # spawn sets it
hold "$PID_attestd" # the guest can make no evidence any more
stop kbs
conf_set "$DIR/kbs.conf" agents grace 1s
stack_kbs
wait_for 60 "the broker to miss it" state_is "$AGENT" late
wait_for 60 "the webhook to hear of it" told late "$AGENT"
kill -CONT "$PID_attestd"
refuses() { flush --token; ! cat "$MNT/password" 2>/dev/null; }
wait_for 60 "who came too late to get nothing" refuses
stop kbs
conf_set "$DIR/kbs.conf" agents grace 1h
stack_kbs
kbs agent admit $UUID >/dev/null
wait_for 60 "an administrator to let it in again" reads

# -- two machines under one UUID --------------------------------------------------------------------
first_tcti=$TPM_TCTI
start_swtpm twin
cp "$TPM_CA"/*.pem "$DIR/roots/"
stop kbs
stack_kbs
sed "s|^tcti = .*|tcti = $TPM_TCTI|; s|^socket = .*|socket = $DIR/twin-attestd.sock|" "$DIR/attestd.conf" >"$DIR/twin.conf"
spawn twin_attestd "$BIN/sealed-attestd" --config "$DIR/twin.conf"
wait_for 20 "the twin's attestd" listening "$DIR/twin-attestd.sock"
enroll "$DIR/twin-attestd.sock" --uuid $UUID >"$DIR/twin-enroll.log"
TPM_TCTI=$first_tcti
TWIN=$(kbs agent list --json | jq -r --arg first "$AGENT" '[.[] | select(.id != $first)][0].id')
equal "both are gated" "duplicate duplicate" "$(shown "$AGENT" state) $(shown "$TWIN" state)"
wait_for 60 "the webhook to hear of the first" told duplicate "$AGENT"
wait_for 60 "and of the second" told duplicate "$TWIN"
wait_for 60 "the first one to get nothing" refuses
kbs agent admit "$AGENT" >/dev/null
equal "the administrator says whose the UUID is" "$AGENT" "$(shown $UUID id)"
wait_for 60 "that machine to be let in again" reads
equal "not the other" duplicate "$(shown "$TWIN" state)"

# -- revoked ----------------------------------------------------------------------------------------
wipes() { grep -c "every plaintext is wiped" "$DIR/sealedfs.log"; }
before=$(wipes)
wiped_again() { [ "$(wipes)" -gt "$before" ]; }
kbs agent revoke "$AGENT" >/dev/null
wait_for 60 "the webhook to hear of it" told revoked "$AGENT"
wait_for 60 "the guest to wipe what it had, though nobody reads" wiped_again
open_fails password EKEYREVOKED
