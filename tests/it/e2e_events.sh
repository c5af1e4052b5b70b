#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A machine boots otherwise than it did: the administrator and the guest learn which event of the firmware's log made a PCR differ, which is
# new and which is missing, and why a log is of no help where it is of none. The TPM is a real one; what a firmware would measure is extended here.
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
require_root
require swtpm tpm2_pcrextend jq python3
stack_users
stack_tpm
LOG=$DIR/measurements

# boot_with PCR=TEXT…: what this boot measures, and the log that the firmware leaves of it.
boot_with() {
    rm -f "$LOG"
    python3 "$HERE/../vectors/make_eventlog.py" tpm "$LOG" "$@" >"$DIR/extends"
    chmod 0440 "$LOG"
    while read -r extend; do tpm2_pcrextend -T "$TPM_TCTI" "$extend"; done <"$DIR/extends"
}
reboot_with() { # the guest's agent goes on; a reboot would begin it anew
    stop attestd
    stop tpm
    run_swtpm tpm
    boot_with "$@"
    attestd_with_log
}
attestd_with_log() { stack_attestd <<<"event_log = $LOG"; }
guest_says() { "$BIN/sealed" explain --json "$MNT/password" | jq -r "$1"; }
broker_says() { kbs explain "$(guest_says .kbs_ref)" --json | jq -r "$1"; }
finding() { broker_says "[.findings[] | select(.claim == \"$1\")][0] | $2"; }
denied() { # that the resource is refused, with a token of now
    flush --token
    open_fails password EKEYREVOKED
}

boot_with "4=shim 15.8" "4=grub 2.12" "9=linux 6.1.0-1" "9=initrd 1"
stack_kbs
attestd_with_log
stack_enroll
for pcr in 04 09 11; do kbs reference-value set "tpm_pcr$pcr" "$(pcr_now "$((10#$pcr))")" >/dev/null; done
stack_keys
seal_vault password "correct horse"
sealed_mount
read_is password "correct horse"
equal "the evidence has the log" "$(base64 -w 0 "$LOG")" "$("$BIN/sealed" attest --evidence --attestd "$DIR/attestd.sock" | jq -r .evidence.event_log)"
claims() { "$BIN/sealed" attest --token | cut -d. -f2 | python3 -c '
import base64, json, sys
text = sys.stdin.read().strip()
print(json.dumps(json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))["submods"]["cpu0"]["ear.veraison.annotated-evidence"]["tpm"]))' | jq -c "$1"; }
equal "the token says that it leads to the quote" '["replayed",[0,1,2,3,4,5,6,7,9],[],[]]' "$(claims '.event_log | [.status, .pcrs, .differs, .unlogged]')"
equal "and has its events" '["shim 15.8","grub 2.12"]' "$(claims '[.uefi_event_logs[] | select(.index == 4 and .type_name == "EV_IPL") | .details.string]')"

reboot_with "4=shim 15.8" "4=grub 2.13" "4=a bootkit" "9=linux 6.1.0-1"
denied
equal "the guest: PCR 4 and 9 differ" "[4,9]" "$(guest_says '[.guest.changed[].pcr] | tostring')"
equal "one event of PCR 4 is another, one is new" '[["changed","grub 2.13","grub 2.12"],["new","a bootkit",null]]' \
    "$(guest_says '[.guest.changed[0].events[] | [.change, .text, .was_text]] | tostring')"
equal "and one of PCR 9 is missing" '[["missing","initrd 1"]]' "$(guest_says '[.guest.changed[1].events[] | [.change, .text]] | tostring')"
"$BIN/sealed" explain "$MNT/password" | tee "$DIR/guest.log"
check "in words" grep -q 'new      EV_IPL "a bootkit"' "$DIR/guest.log"

equal "the broker: the events of PCR 4, against the last good boot" \
    '[["same","EV_SEPARATOR",""],["same","EV_IPL","shim 15.8"],["changed","EV_IPL","grub 2.13"],["new","EV_IPL","a bootkit"]]' \
    "$(finding tpm.pcr04 '[.events[] | [.change, .type, .text]] | tostring')"
digest_of() { printf '%s\0' "$1" | sha256sum | cut -d' ' -f1; }
equal "with their digests" "[\"$(digest_of "grub 2.12")\",\"$(digest_of "grub 2.13")\"]" \
    "$(finding tpm.pcr04 '[.events[] | select(.change == "changed") | .was, .digest] | tostring')"
check "and when that was" test -n "$(finding tpm.pcr04 '.events_since // empty')"
equal "of PCR 9, too" '["initrd 1"]' "$(finding tpm.pcr09 '[.events[] | select(.change == "missing") | .text] | tostring')"
equal "PCR 11 is as it was" null "$(finding tpm.pcr11 .events)"
kbs explain "$(guest_says .kbs_ref)" | tee "$DIR/broker.log"
check "in words" grep -q 'changed  EV_IPL "grub 2.13"' "$DIR/broker.log"

# Extended without a log, as systemd and IMA do.
pcr_extend 11 "a program"
denied
equal "the broker: the log knows nothing of PCR 11" "the event log has no event of this PCR" "$(finding tpm.pcr11 .events_note)"
equal "and still explains PCR 4" 4 "$(finding tpm.pcr04 '.events | length')"

# A log that is not of this boot counts for nothing, and is told of; the evidence is as good as without it.
stop attestd
python3 "$HERE/../vectors/make_eventlog.py" tpm "$DIR/innocent" "4=shim 15.8" "4=grub 2.12" "9=linux 6.1.0-1" "9=initrd 1" >/dev/null
cat "$DIR/innocent" >"$LOG"
attestd_with_log
denied
equal "a false log is seen through" "differs: PCR [4,9]" "$(finding tpm.event_log .got)"
equal "and explains nothing" null "$(finding tpm.pcr04 .events)"
check "but says why" grep -q "do not lead to its value" <<<"$(finding tpm.pcr04 .events_note)"
stop attestd
printf 'no event log' >"$LOG"
attestd_with_log
denied
check "one that cannot be read is named" grep -q "^malformed: event log: " <<<"$(finding tpm.event_log .got)"

# The same boot as before is good again.
reboot_with "4=shim 15.8" "4=grub 2.12" "9=linux 6.1.0-1" "9=initrd 1"
flush --token
read_is password "correct horse"

# A log of 128 KiB: the token that it makes still gets secrets, by its cookie and by itself.
arguments=("4=shim 15.8" "4=grub 2.12" "9=linux 6.1.0-1" "9=initrd 1")
words=$(printf 'insmod a_module_with_a_long_name_%04d; ' {1..60})
for number in {1..48}; do arguments+=("14=grub_cmd $number $words"); done
reboot_with "${arguments[@]}"
flush --token
read_is password "correct horse"
check "the log was long, but not too long" test "$(($(stat -c %s "$LOG") / 10000))" -eq 11
"$BIN/sealed" attest --token >"$DIR/token"
check "its token fits into the head of a request" test "$(stat -c %s "$DIR/token")" -lt 60000
equal "because the log in it was cut" true "$(claims '.uefi_event_logs_trimmed != null')"
equal "and the token alone gets what it may" 200 "$(curl -s -o "$DIR/answer" -w '%{http_code}' --cacert "$DIR/ca.pem" \
    -H "Authorization: Bearer $(cat "$DIR/token")" "$URL/kbs/v0/resource/team/secret/password")"
sealed_unmount
