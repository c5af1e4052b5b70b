#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sealed-attestd on a real software TPM: what it answers and to whom, checked by tpm2-tools and OpenSSL as the independent end.
# shellcheck source=tests/it/lib.sh disable=SC2154
. "$(dirname "$0")/lib.sh"
require_root
require tpm2_checkquote tpm2_createak tpm2_makecredential openssl python3 setpriv

SOCKET="$DIR/run/attestd.sock"
NONCE=bm9uY2Utb2YtdGhlLWtleS1icm9rZXI=
HANDLE=0x81010002
export TPM2TOOLS_TCTI
ensure_user sealed-attest tss
ensure_user sealedfs

write_conf() { # DEADLINE
    cat >"$DIR/attestd.conf" <<END
[attestd]
socket = $SOCKET
rate = 1000
burst = 1000
rate_total = 1000
burst_total = 1000
deadline = $1
[tpm]
tcti = $TPM_TCTI
event_log = ${2:-none}
END
}
probe() { "$TESTBIN/attest_probe" "$SOCKET" "$@"; }
start_attestd() {
    spawn attestd "$BIN/sealed-attestd" --config "$DIR/attestd.conf"
    wait_for 10 "attestd's socket" probe info
}
flush_tpm() { tpm2_flushcontext -t; }
# Splits the evidence on standard input into files as tpm2-tools read them.
split_evidence() { # DIR
    mkdir -p "$1"
    python3 -c '
import base64, json, struct, sys
out, lines = sys.argv[1], sys.stdin.read().split("\n")
e = json.loads(lines[1])
assert set(e) == {"tpm_quote", "ak_public"} and set(e["tpm_quote"]) == {"signature", "message", "pcrs"}
def save(name, data): open(out + "/" + name, "wb").write(data)
save("digest", lines[0].encode())
save("message", base64.b64decode(e["tpm_quote"]["message"], validate=True))
save("signature", base64.b64decode(e["tpm_quote"]["signature"], validate=True))
save("ak.der", base64.b64decode(e["ak_public"], validate=True))
assert len(e["tpm_quote"]["pcrs"]) == 24
# What tpm2_quote writes: the selection and groups of eight digests as C structures.
values = [bytes.fromhex(p) for p in e["tpm_quote"]["pcrs"]]
assert all(len(v) == 32 for v in values)
pcrs = struct.pack("<IHB5s", 1, 0x0b, 3, b"\xff\xff\xff").ljust(132, b"\0") + struct.pack("<I", 3)
for i in range(0, 24, 8):
    pcrs += struct.pack("<I", 8) + b"".join(struct.pack("<H64s", 32, v) for v in values[i:i + 8])
save("pcrs", pcrs)
save("pcr23", e["tpm_quote"]["pcrs"][23].encode())
' "$1" && openssl pkey -pubin -inform DER -in "$1/ak.der" -out "$1/ak.pem"
}
checkquote() { # DIR QUALIFYING
    tpm2_checkquote -u "$1/ak.pem" -m "$1/message" -s "$1/signature" -q "$2" -g sha256 -f "$1/pcrs" >/dev/null
}
qualifying() { head -c 64 "$1/digest"; }
evidence() { probe evidence "$NONCE" 2>/dev/null | split_evidence "$DIR/$1"; }

start_swtpm tpm
TPM2TOOLS_TCTI=$TPM_TCTI
write_conf 120s
equal "a good configuration passes --check" "the configuration is good" "$("$BIN/sealed-attestd" --config "$DIR/attestd.conf" --check)"
printf '[attestd]\nsockte = /x\n' >"$DIR/wrong.conf"
refused "a misspelt key is named" sockte "$BIN/sealed-attestd" --config "$DIR/wrong.conf" --check
printf '[attestd]\nallow_users = no-such-user\n' >"$DIR/wrong.conf"
refused "an unknown user is named" no-such-user "$BIN/sealed-attestd" --config "$DIR/wrong.conf" --check
refused "an unknown option is named" --chekc "$BIN/sealed-attestd" --chekc
start_attestd
refused "a second server does not take the socket" "in use" "$BIN/sealed-attestd" --config "$DIR/attestd.conf"

refused "a missing key is named with what to run" "no attestation key at handle $HANDLE; run \`sealed attest enroll --create-key\`" \
    probe evidence "$NONCE"
refused "enrolment without a key says the same" "sealed attest enroll --create-key" probe enrol "$DIR"

# A key as CoCo's guide makes it.
tpm2_createek -c "$DIR/ek.ctx" -G rsa -u "$DIR/ek-tools.pub" >/dev/null
flush_tpm
tpm2_createak -C "$DIR/ek.ctx" -c "$DIR/ak.ctx" -G rsa -g sha256 -s rsassa -u "$DIR/ak-tools.pub" >/dev/null
flush_tpm
tpm2_evictcontrol -c "$DIR/ak.ctx" $HANDLE >/dev/null
flush_tpm
check "evidence with a key made by tpm2_createak" evidence tools
check "tpm2_checkquote takes it, over all 24 PCRs" checkquote "$DIR/tools" "$(qualifying "$DIR/tools")"
refused "and not for another nonce" "" checkquote "$DIR/tools" "$(printf '%064d' 0)"
tpm2_readpublic -c $HANDLE -f der -o "$DIR/readpublic.der" >/dev/null
check "ak_public is the key at the handle" cmp "$DIR/readpublic.der" "$DIR/tools/ak.der"
mkdir "$DIR/kept"
check "a key that is there is kept by create" probe create "$DIR/kept"
check "and it is the same one" cmp "$DIR/kept/ak.der" "$DIR/tools/ak.der"

# A key that cannot be trusted: not restricted, so it signs anything.
tpm2_evictcontrol -c $HANDLE >/dev/null
tpm2_createprimary -C e -G rsa2048:rsassa-sha256:null -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign' -c "$DIR/free.ctx" >/dev/null
flush_tpm
tpm2_evictcontrol -c "$DIR/free.ctx" $HANDLE >/dev/null
flush_tpm
refused "an unrestricted key is refused" "is not a restricted signing key" probe evidence "$NONCE"
refused "create does not take it either" "tpm2_evictcontrol -c $HANDLE" probe create "$DIR/kept"
tpm2_evictcontrol -c $HANDLE >/dev/null

# Our own key.
refused "only root may have a key made" "only root" setpriv --reuid sealedfs --regid sealedfs --clear-groups \
    "$TESTBIN/attest_probe" "$SOCKET" create "$DIR/kept"
mkdir "$DIR/own" "$DIR/again"
check "root may" probe create "$DIR/own"
check "evidence with our own key" evidence one
check "tpm2_checkquote takes it" checkquote "$DIR/one" "$(qualifying "$DIR/one")"
tpm2_evictcontrol -c $HANDLE >/dev/null
check "an evicted key can be made again" probe create "$DIR/again"
check "and is the same key, still enrolled" cmp "$DIR/own/ak.der" "$DIR/again/ak.der"

# Enrolment: the certificate, and a credential made by somebody else's code.
openssl x509 -inform DER -in "$DIR/own/ek.der" -pubkey -noout >"$DIR/ek-cert.pem"
tpm2_print -t TPM2B_PUBLIC -f pem "$DIR/own/ek.pub" >"$DIR/ek-pub.pem"
check "the EK is the one that the certificate certifies" cmp "$DIR/ek-cert.pem" "$DIR/ek-pub.pem"
python3 -c '
import hashlib, sys
area = open(sys.argv[1], "rb").read()
assert int.from_bytes(area[:2], "big") == len(area) - 2
print("000b" + hashlib.sha256(area[2:]).hexdigest())' "$DIR/own/ak.pub" >"$DIR/ak.name"
make_credential() { # NAME OUT
    tpm2_makecredential -T none -e "$DIR/ek-pub.pem" -G rsa -s "$DIR/secret" -n "$1" -o "$2" >/dev/null 2>&1
    python3 -c '
import sys
data = open(sys.argv[1], "rb").read()
assert data[:8] == bytes.fromhex("badcc0de00000001")
cut = 10 + int.from_bytes(data[8:10], "big")
open(sys.argv[1] + ".blob", "wb").write(data[8:cut])
open(sys.argv[1] + ".secret", "wb").write(data[cut:])' "$2"
}
head -c 32 /dev/urandom >"$DIR/secret"
make_credential "$(cat "$DIR/ak.name")" "$DIR/credential"
equal "the credential is recovered" "$(od -An -v -tx1 "$DIR/secret" | tr -d " \n")" "$(probe activate "$DIR/credential.blob" "$DIR/credential.secret")"
make_credential "000b$(printf '%064d' 7)" "$DIR/other"
refused "a credential for another key is not" "another" probe activate "$DIR/other.blob" "$DIR/other.secret"
printf 'x' >>"$DIR/credential.blob"
refused "nor a malformed one" "TPM2B_ID_OBJECT" probe activate "$DIR/credential.blob" "$DIR/credential.secret"

# State.
tpm2_pcrextend "23:sha256=$(printf '%064d' 1)" >/dev/null
check "evidence after a PCR was extended" evidence two
check "is a valid quote" checkquote "$DIR/two" "$(qualifying "$DIR/two")"
equal "and shows the new value" "$(python3 -c 'import hashlib; print(hashlib.sha256(bytes(32) + bytes.fromhex("%064d" % 1)).hexdigest())')" \
    "$(cat "$DIR/two/pcr23")"

fifty() { probe evidence "$NONCE" 50 >/dev/null 2>&1; }
check "50 requests in a row" fifty
equal "leave nothing loaded in the TPM" "" "$(tpm2_getcap handles-transient; tpm2_getcap handles-loaded-session)"
for i in 1 2 3; do tpm2_createprimary -C n -c "$DIR/left$i.ctx" >/dev/null; done
equal "three objects of others fill the TPM" 3 "$(tpm2_getcap handles-transient | wc -l)"
check "what others left in the TPM does not stop us" evidence three

# Who and what.
refused "a stranger is refused and told why" "uid 65534 may not ask sealed-attestd; see allow_users" \
    setpriv --reuid 65534 --regid 65534 --clear-groups "$TESTBIN/attest_probe" "$SOCKET" evidence "$NONCE"
refused "an unknown kind" "unknown kind 9" probe raw 0109
refused "another version" "version 2" probe raw 0202
refused "a cut request" "request of 1 bytes" probe raw 01
check "the worker's user gets answers" setpriv --reuid sealedfs --regid sealedfs --clear-groups "$TESTBIN/attest_probe" "$SOCKET" info
wait_for 10 "the line about the stranger" grep -q 'refused uid 65534' "$DIR/attestd.log"
pass "the stranger is in the log"

# A TPM that hangs: only its own requests wait, and not for ever.
stop attestd
write_conf 2s
start_attestd
on_exit "kill -CONT $PID_tpm"
hold "$PID_tpm"
refused "a hanging TPM is a timeout" "the TPM did not do it within 2000 ms" probe evidence "$NONCE"
check "meanwhile others are answered" probe info
kill -CONT "$PID_tpm"
wait_for 30 "evidence again" evidence four
pass "afterwards evidence is made again"
stop attestd
write_conf 120s
start_attestd

# Killed in mid-request: the client knows at once, the successor cleans up.
for i in 1 2 3 4 5; do
    hold "$PID_tpm"
    rm -f "$DIR/send.out"
    "$TESTBIN/attest_probe" "$SOCKET" send "$NONCE" >"$DIR/send.out" 2>&1 &
    client=$!
    wait_for 10 "the request" grep -q sent "$DIR/send.out"
    [ "$i" -gt 1 ] && kill -CONT "$PID_tpm" # from the second on, somewhere between two commands
    kill -KILL "$PID_attestd"
    wait_for 5 "the client to notice" gone "$client"
    wait "$client" || true
    kill -CONT "$PID_tpm"
    grep -qE 'closed|answered' "$DIR/send.out" || die "the client was not told: $(cat "$DIR/send.out")"
    wait "$PID_attestd" 2>/dev/null || true
    start_attestd
done
pass "a client of a killed attestd knows at once"
check "the successor makes evidence" evidence five
check "of the usual quality" checkquote "$DIR/five" "$(qualifying "$DIR/five")"

stop tpm
refused "a TPM that has gone is named" "no TPM at swtpm:path=" probe evidence "$NONCE"
run_swtpm tpm
check "and found again when it is back" evidence six

# The firmware's event log: root's, read before privilege is dropped; as long as it may be, it takes several packets.
head -c 131072 /dev/urandom >"$DIR/measurements"
chmod 440 "$DIR/measurements"
log_of() { # FILE: what evidence has of it
    probe evidence "$NONCE" 2>/dev/null | python3 -c '
import base64, json, sys
log = json.loads(sys.stdin.read().split("\n")[1]).get("event_log")
print("none" if log is None else "same" if base64.b64decode(log, validate=True) == open(sys.argv[1], "rb").read() else "another")' "$1"
}
stop attestd
write_conf 120s "$DIR/measurements"
start_attestd
equal "the event log of 128 KiB goes with the evidence" same "$(log_of "$DIR/measurements")"
many_logs() { probe evidence "$NONCE" 20 >/dev/null 2>&1; }
check "again and again on new connections" many_logs
printf x >>"$DIR/measurements"
stop attestd
start_attestd
equal "a longer one stays at home" none "$(log_of "$DIR/measurements")"
check "and the log says why" grep -q 'larger than the 131072 bytes that are taken.*evidence goes without it\|evidence goes without it.*larger than the 131072' "$DIR/attestd.log"
stop attestd
write_conf 120s "$DIR/no-such-log"
start_attestd
equal "one that is not there is no trouble" none "$(log_of "$DIR/measurements")"

release_only "what the process may do"
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$PID_attestd/task/$2/status"; }
uid=$(id -u sealed-attest)
for task in "/proc/$PID_attestd/task/"*; do
    task=${task##*/}
    equal "thread $task has the right user" "$uid $uid $uid $uid" "$(status Uid "$task" | tr '\t' ' ')"
    equal "thread $task has no capability" "0000000000000000 0000000000000000" "$(status CapEff "$task") $(status CapPrm "$task")"
    equal "thread $task cannot gain any" "1 0000000000000000" "$(status NoNewPrivs "$task") $(status CapBnd "$task")"
    equal "thread $task has a system call filter" "2" "$(status Seccomp "$task")"
done
equal "there is the loop and one thread for the TPM" 2 "$(find "/proc/$PID_attestd/task" -mindepth 1 -maxdepth 1 | wc -l)"
equal "its memory is not for others of its user" "" "$(setpriv --reuid sealed-attest --regid sealed-attest --clear-groups \
    cat "/proc/$PID_attestd/environ" 2>/dev/null | tr -d '\0')"
stop attestd
pass "stops on request"
