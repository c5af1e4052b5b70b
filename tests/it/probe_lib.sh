# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by tests of the KBS client: kbs_probe against brokers and an attestd that were written from the protocol alone.
PEER="$HERE/../peer"
PYTHON=/usr/bin/python3
require "$PYTHON" curl

# What is started must not hold the probe's pipes (7, 8): it would never see its end.
start_kbs() { # NAME CERT OPTION…: sets URL
    local name=$1 cert=$2
    shift 2
    spawn "$name" "$PYTHON" "$PEER/kbs.py" --cert "$DIR/certs/$cert.pem" --key "$DIR/certs/$cert.key" --any "$@" 7<&- 8>&-
    wait_for 10 "$name's port" grep -q '^[0-9]' "$DIR/$name.log"
    URL=https://127.0.0.1:$(head -n 1 "$DIR/$name.log")
}
start_attestd() { # NAME OPTION…: sets SOCKET
    local name=$1
    shift
    SOCKET=$DIR/$name.sock
    spawn "$name" "$PYTHON" "$PEER/attestd.py" "$SOCKET" "$@" 7<&- 8>&-
    wait_for 10 "$name" grep -q ready "$DIR/$name.log"
}
start_probe() { # OPTION…: one at a time; commands go to descriptor 8, answers come from 7
    local limit=(--request-ms 120000)
    case " $* " in *" --request-ms "*) limit=() ;; esac
    stop_probe
    mkfifo "$DIR/in" "$DIR/out"
    "$TESTBIN/kbs_probe" --socket "$SOCKET" --connect-ms 60000 "${limit[@]}" "$@" <"$DIR/in" >"$DIR/out" 2>>"$DIR/probe.log" &
    PROBE=$!
    exec 8>"$DIR/in" 7<"$DIR/out"
    rm "$DIR/in" "$DIR/out"
}
stop_probe() {
    [ -n "${PROBE:-}" ] || return 0
    exec 8>&- 7<&-
    wait "$PROBE" || die "the probe failed: $(tail -n 30 "$DIR/probe.log")"
    PROBE=
}
ask() { # COMMAND: sets ANSWER
    begin "$@"
    await "$*"
}
begin() { echo "$*" >&8; } # COMMAND: its answer is had by await
await() { # WHAT: sets ANSWER
    IFS= read -r -t 300 ANSWER <&7 || die "no answer to '$*': $(tail -n 30 "$DIR/probe.log")"
}
told() { # WHAT TEXT…: the last answer has every TEXT
    local what=$1 text
    shift
    for text; do
        case $ANSWER in *"$text"*) ;; *) die "$what: no '$text' in $ANSWER" ;; esac
    done
    pass "$what"
}
number() { # NAME: a number of the last answer
    local rest=${ANSWER#*\""$1"\":}
    echo "${rest%%[,\}]*}"
}
below() { # WHAT NUMBER LIMIT
    [ "$2" -lt "$3" ] || die "$1: $2 is not below $3"
    pass "$1 ($2)"
}
# The deadline of 300 ms, and not the limit of a request, which is minutes away.
in_time() {
    [ "$(number ms)" -ge 299 ] || die "given up after $(number ms) ms, too early"
    below "its deadline, in ms" "$(number ms)" 60000
}
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }
# soon STEP COMMAND: it is about what happens before the shortest back-off (375 ms) is over. If it took longer it has shown nothing: once
# more. What it leaves in variables is judged afterwards; `before` is the number of requests of STEP until then.
soon() {
    local begin step=$1
    shift
    for _ in {1..100}; do
        before=$(stat_of "$step")
        begin=$(now_ms)
        "$@"
        [ "$(($(now_ms) - begin))" -ge 300 ] || return 0
    done
    die "$1 never took less than 300 ms"
}
kbs_call() { curl --silent --show-error --fail --cacert "$DIR/certs/ca.pem" "$@"; } # PATH…
stat_of() { ANSWER=$(kbs_call "$URL/stats") && number "$1"; }
faults() { kbs_call --data "$*" "$URL/faults"; } # STEP=FAULT…
faulty() { # WHAT "STEP=FAULT…" "COMMAND" TEXT…: anew, with this fault, the answer has every TEXT
    local what=$1 command=$3
    faults "$2"
    shift 3
    ask forget
    ask "$command"
    told "$what" "$@"
    faults
}

"$PYTHON" "$PEER/certs.py" "$DIR/certs"
CA="$DIR/certs/ca.pem"
