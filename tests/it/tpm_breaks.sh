#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What becomes of a guest's TPM: locked by wrong passwords, reset under a running attestd, reset and not started, out of sessions. Each
# time what is in memory goes on, what is cold fails with an error that names the thing and the remedy, and all is well once the cause
# has gone, without anything being restarted.
# shellcheck source=tests/it/lib.sh disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
require tpm2_startauthsession tpm2_dictionarylockout tpm2_flushcontext swtpm_ioctl
export TPM2TOOLS_TCTI
stack_up
TPM2TOOLS_TCTI=$TPM_TCTI
for name in warm cold1 cold2 cold3 cold4 cold5 cold6; do seal_vault "$name" "content of $name"; done
sealedfs_conf_base
sealedfs_conf secrets error_ttl 50ms
sealed_mount
read_is warm "content of warm"

# A worker that has taken over has the plaintexts and no token: the next cold open attests.
renewed() { check "a new worker, which has to attest" timeout 120 "$BIN/sealed" reload; }
explained() { [[ $("$BIN/sealed" explain "$MNT/$1" 2>&1) == *"$2"* ]]; }
cold_fails() { # NAME TEXT…: both sides say each TEXT, what is warm reads on
    local name=$1 text; shift
    renewed
    open_fails "$name" EIO
    for text; do
        refused "attestd says: $text" "$text" "$BIN/sealed" attest --evidence --attestd "$DIR/attestd.sock"
        check "so does explain" explained "$name" "$text"
    done
    read_is warm "content of warm"
}
recovers() { # NAME: by itself, after the back-off
    check "and $1 opens once the cause has gone" wait_for 60 "$1" grep -q "content of $1" "$MNT/$1"
}
tool() { "$@" >>"$DIR/tools.log" 2>&1; } # of tpm2-tools; they leave what they loaded
forget_loaded() { tool tpm2_flushcontext -t; tool tpm2_flushcontext -l; }

# -- lockout: a wrong password for another key is one too many
lock_tpm() {
    tool tpm2_createprimary -C o -G ecc -p right -c "$DIR/other.ctx"
    forget_loaded
    tool tpm2_create -C "$DIR/other.ctx" -P right -G rsa -u "$DIR/pin.pub" -r "$DIR/pin.priv" -p right -c "$DIR/pin.ctx"
    forget_loaded
    tool tpm2_dictionarylockout --setup-parameters --max-tries=1 --recovery-time=86400 --lockout-recovery-time=86400
    echo word >"$DIR/word"
    tool tpm2_sign -c "$DIR/pin.ctx" -p wrong -g sha256 -o "$DIR/signature" "$DIR/word" || true
    forget_loaded
}
locked() { [[ $(tpm2_getcap properties-variable 2>/dev/null) =~ inLockout:\ *1 ]]; }
lock_tpm
check "a wrong password locks the TPM" locked
renewed
read_is cold1 "content of cold1"
check "with our own key the guest attests in a locked TPM, for it is exempt" locked

# A key as CoCo's guide makes it is not exempt.
HANDLE=0x81010002
tool tpm2_evictcontrol -c $HANDLE
tool tpm2_dictionarylockout --clear-lockout
tool tpm2_createek -c "$DIR/ek.ctx" -G rsa -u "$DIR/ek.pub"
forget_loaded
tool tpm2_createak -C "$DIR/ek.ctx" -c "$DIR/ak.ctx" -G rsa -g sha256 -s rsassa -u "$DIR/ak.pub"
forget_loaded
tool tpm2_evictcontrol -c "$DIR/ak.ctx" $HANDLE
forget_loaded
stack_enroll_again() {
    "$BIN/sealed" attest enroll --kbs "$URL" --ca-file "$DIR/ca.pem" --attestd "$DIR/attestd.sock" >>"$DIR/enroll.log"
    kbs agent list --json | jq -r '.[].id' | while read -r id; do kbs agent admit "$id" >>"$DIR/enroll.log" 2>&1 || true; done
}
stack_enroll_again
read_is warm "content of warm"
lock_tpm
check "locked again" locked
cold_fails cold2 "locked after wrong passwords" "tpm2_dictionarylockout --clear-lockout"
tool tpm2_dictionarylockout --clear-lockout
recovers cold2

# Ours again: made anew it is the same key, and enrolled. With the other one each reset below would count as a wrong password.
tool tpm2_evictcontrol -c $HANDLE
tool "$BIN/sealed" attest enroll --create-key --kbs "$URL" --ca-file "$DIR/ca.pem" --attestd "$DIR/attestd.sock"

# -- reset under the running attestd: what was loaded is gone, the key at its handle and the state are there
reset_tpm() { swtpm_ioctl --unix "$TPM_SOCK.ctrl" -i; }
tool tpm2_pcrextend "23:sha256=$(printf '%064d' 1)"
check "reset and not started" reset_tpm
cold_fails cold3 "the TPM was reset and not started" "tpm2_startup -c"
tool tpm2_startup -c
recovers cold3
check "reset and started" reset_tpm
tool tpm2_startup -c
renewed
read_is cold4 "content of cold4"
stop tpm
cold_fails cold5 "no TPM at swtpm:path="
run_swtpm tpm
recovers cold5

# -- out of sessions: all 64 handles are in use, three of them loaded
fill_sessions() {
    local i
    for ((i = 0; i < 64; i++)); do tool tpm2_startauthsession -S "$DIR/session$i" || return; done
}
check "programs that keep 64 sessions" fill_sessions
cold_fails cold6 "saved as many sessions as the TPM can tell apart" "tpm2_flushcontext -s"
tool tpm2_flushcontext "$DIR/session0"
recovers cold6
sealed_unmount
