#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sealed exec: sealed variables of the environment are opened for one command, which finds everything else as if it had been started
# directly; when one cannot be opened nothing starts.
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
require jq
stack_up
seal_vault password "correct horse"
seal_envelope letter "a longer text = with an equals sign" --context env/LETTER
printf 'a\0b' >"$DIR/nul"
kbs put kbs:///team/secret/nul "$DIR/nul" >/dev/null
"$BIN/sealed" seal vault --key "$DIR/team-private.json" kbs:///team/secret/nul >"$SOURCE/nul"
"$BIN/sealed" seal vault --key "$DIR/team-private.json" kbs:///team/secret/none >"$SOURCE/none"
sealedfs_conf_base
sealed_mount
run() { "$BIN/sealed" exec -- "$@"; }
export PASSWORD LETTER PLAIN=sealed EMPTY=
PASSWORD=$(cat "$SOURCE/password") LETTER=$(cat "$SOURCE/letter")

equal "a vault secret" "correct horse" "$(run printenv PASSWORD)"
equal "an envelope, under its context" "a longer text = with an equals sign" "$(run printenv LETTER)"
equal "what is not sealed stays" "sealed::" "$(run sh -c 'echo "$PLAIN:$EMPTY:"')"
equal "as many variables as before" "$(env | wc -l)" "$(run env | wc -l)"
equal "arguments arrive" "a b|-c|" "$(run sh -c 'printf "%s|" "$@"' sh "a b" -c)"
MOVED=$LETTER refused "a secret of another variable" "environment variable MOVED" run true
NONE=$(cat "$SOURCE/none") refused "a missing one names the variable" "environment variable NONE" run touch "$DIR/started"
BAD=sealed.x.y.z refused "so does a malformed one" "environment variable BAD" run touch "$DIR/started"
NUL=$(cat "$SOURCE/nul") refused "one with a NUL byte" "NUL byte" run touch "$DIR/started"
check "nothing was started" test ! -e "$DIR/started"

# What a command finds is what it would find without us.
state() { sh -c 'umask; ulimit -Sc; ulimit -Hc; ulimit -l; grep -E "^(NoNewPrivs|SigIgn|SigBlk):" /proc/self/status; readlink /proc/self/fd/7'; }
export -f state
exec 7<"$SOURCE/password"
equal "limits, signals, umask, privileges and descriptors" "$(bash -c state)" "$(run bash -c state)"
exec 7<&-
set +e
run sh -c 'exit 42'; equal "the command's exit status" 42 $?
run "$DIR/nothing" 2>/dev/null; equal "a command that is not there" 127 $?
run "$DIR" 2>/dev/null; equal "one that cannot be started" 126 $?
SEALED_SOCKET=$DIR/none run true 2>/dev/null; equal "no agent" 9 $?
set -e
check "it keeps its process" bash -c '"$1" exec -- sh -c "echo \$\$" >"$2" & wait $!; [ "$(cat "$2")" = $! ]' - "$BIN/sealed" "$DIR/pid"
sealed_unmount
