# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# Sourced by every integration test: a private directory, a stack of clean-ups, readiness instead of pauses.
#
#     . "$(dirname "$0")/lib.sh"
#     start_swtpm tpm                    # real TPM 2.0 on $DIR/tpm.sock, TCTI in $TPM_TCTI
#     spawn kbs "$BIN/sealed-kbs" …      # background program, log in $DIR/kbs.log, pid in $PID_kbs
#     wait_for 10 "port file" test -s "$DIR/port"
#     check "what is true" command…      # a failure ends the test and prints the logs
#
# Exit 0 passed, 77 skipped (with the reason), anything else failed. With CI set nothing may skip.
set -euo pipefail

# Own ports for each test: no other test can take one that a daemon leaves for a moment, and none is taken from another. A test that
# needs the world outside sets SEALED_NET=host first.
own_network() {
    [ -z "${SEALED_NET:-}" ] && [ "$(id -u)" -eq 0 ] && unshare --net busybox ip link set lo up 2>/dev/null || return 0
    # shellcheck disable=SC2016  # expanded by that shell
    SEALED_NET=own exec unshare --net bash -c 'busybox ip link set lo up && exec bash "$0" "$@"' "$0" "$@"
}
own_network "$@"

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BIN=${SEALED_BIN:?set SEALED_BIN to the directory of the built programs}
TESTBIN=${SEALED_TESTBIN:-$BIN/../tests}
DIR=$(mktemp -d "${TMPDIR:-/tmp}/sealed-it.XXXXXX")
chmod 0755 "$DIR"
export TSS2_LOG=all+none LC_ALL=C
# The system's own Python has the packages that the peers are written on; another one may stand before it in the path.
python3() { /usr/bin/python3 "$@"; }
export -f python3
CLEANUPS=()

on_exit() { CLEANUPS+=("$1"); }

finish() {
    local status=$? i log
    set +e
    trap - EXIT
    for ((i = ${#CLEANUPS[@]} - 1; i >= 0; i--)); do eval "${CLEANUPS[i]}" >/dev/null 2>&1; done
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
        for log in "$DIR"/*.log; do
            # The TPM's own logs tell nothing after it has started.
            case $log in */tpm*.log) continue ;; esac
            [ -s "$log" ] || continue
            echo "--- ${log##*/} (last 60 lines)"
            tail -n 60 "$log"
        done
    fi
    if [ -n "${SEALED_KEEP:-}" ]; then echo "kept: $DIR"; else rm -rf --one-file-system "$DIR"; fi
    exit "$status"
}
trap finish EXIT
trap 'exit 143' TERM INT

skip() {
    echo "SKIP: $*"
    [ -z "${CI:-}" ] || { echo "nothing may skip in CI"; exit 1; }
    exit 77
}
require_root() { [ "$(id -u)" -eq 0 ] || skip "needs root"; }
require() { local p; for p; do command -v "$p" >/dev/null || skip "needs the program $p"; done; }
# What only a build without sanitizers can show ends well here: the release run of the same test shows it.
release_only() { [ -z "${SEALED_ASAN:-}" ] || { echo "shown by the release build: $*"; exit 0; }; }

die() { echo "FAIL: $*" >&2; exit 1; }
pass() { echo "ok: $*"; }
check() { # WHAT COMMAND…
    local what=$1; shift
    "$@" || die "$what: $*"
    pass "$what"
}
refused() { # WHAT TEXT COMMAND…: the command fails and says TEXT
    local what=$1 text=$2 out; shift 2
    if out=$("$@" 2>&1); then die "$what: succeeded: $out"; fi
    case "$out" in *"$text"*) pass "$what" ;; *) die "$what: said '$out', not '$text'" ;; esac
}
equal() { # WHAT WANTED GOT
    [ "$2" = "$3" ] || die "$1: wanted '$2', got '$3'"
    pass "$1"
}

# wait_for SECONDS WHAT COMMAND…: polls a condition; the time is a bound for broken runs, never a pause. It is what a machine at rest
# may take; one that does other things at the same time is given more.
WAIT_LEAST=120
wait_for() {
    local end=$((SECONDS + ($1 > WAIT_LEAST ? $1 : WAIT_LEAST))) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || die "waited in vain for $what"
        poll_turn
    done
}
poll_turn() { read -r -t 0.02 _ <> <(:) || true; }
gone() { ! kill -0 "$1" 2>/dev/null; }
# PID has stopped, all of its threads: SIGSTOP has come through, which kill(2) does not wait for.
still() { ! grep -h '^State:' "/proc/$1/task/"*/status | grep -qv 'T (stopped)'; }
hold() { kill -STOP "$1" && wait_for 10 "process $1 to stand still" still "$1"; }
# The Unix sockets PATH… take connections. (Their files are there before: from bind() on, while connect() is refused until listen().)
listening() {
    local path
    for path; do
        awk -v path="$path" '$NF == path && $4 == "00010000" { found = 1 } END { exit !found }' /proc/net/unix || return 1
    done
}

# spawn NAME COMMAND…: in the background; PID_NAME; stopped and reaped at the end.
spawn() {
    local name=$1; shift
    # Not our function of that name: the process would be a shell with the program below it, which stays when the shell is stopped.
    [ "$1" != python3 ] || set -- "/usr/bin/$1" "${@:2}"
    "$@" >>"$DIR/$name.log" 2>&1 &
    local pid=$!
    declare -g "PID_$name=$pid"
    on_exit "stop_pid $pid"
}
stop_pid() { # TERM, a bounded wait, KILL
    local pid=$1 end=$((SECONDS + 60))
    kill -TERM "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null; do
        [ "$SECONDS" -lt "$end" ] || { kill -KILL "$pid" 2>/dev/null; break; }
        poll_turn
    done
    wait "$pid" 2>/dev/null || true
}
stop() { local var="PID_$1"; stop_pid "${!var}"; }

# own_cgroup: a control group for this test, in CGROUP, and of which kind in CGROUP_KIND: v2 (a cgroup2 of our own on /sys/fs/cgroup, which is the
# same whatever this machine has there: v1, v2 or both), freezer (v1, where there is no cgroup2) or none, with CGROUP_WHY. Needs a mount namespace of
# its own. SEALED_CGROUP=freezer or none leaves out what stands before.
own_cgroup() {
    local wanted=${SEALED_CGROUP:-v2} freezer
    CGROUP='' CGROUP_KIND=none CGROUP_WHY="this machine lets the test make no control group"
    freezer=$(awk '$3 == "cgroup" && $4 ~ /(^|,)freezer(,|$)/ { print $2; exit }' /proc/self/mounts)
    if [ "$wanted" = v2 ] && mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null; then
        if try_cgroup /sys/fs/cgroup; then CGROUP_KIND=v2; return 0; fi
        umount /sys/fs/cgroup
    fi
    [ "$wanted" = none ] || [ -z "$freezer" ] || ! try_cgroup "$freezer" || CGROUP_KIND=freezer
}
# A process can be put there, and back.
try_cgroup() {
    mkdir "$1/sealed-it-$$" 2>/dev/null || return 1
    CGROUP=$1/sealed-it-$$
    on_exit "wait_for 10 'the cgroups to be empty' remove_cgroups '$CGROUP'"
    # shellcheck disable=SC2016  # expanded by that shell
    sh -c 'echo $$ >"$1/cgroup.procs"' sh "$CGROUP" 2>/dev/null || { CGROUP=''; return 1; }
}
remove_cgroups() { ! find "$1" -depth -type d -exec rmdir {} \; 2>&1 | grep -q busy; }
left_out() { echo "left out: $*"; }

# The users that DESIGN names. They are made once and stay for the other tests of this machine, which run at the same time.
ensure_user() { # NAME [GROUP]
    (
        flock 9
        [ -z "${2:-}" ] || getent group "$2" >/dev/null || groupadd --system "$2"
        getent passwd "$1" >/dev/null || useradd --system --no-create-home --shell /usr/sbin/nologin "$1"
        [ -z "${2:-}" ] || usermod -a -G "$2" "$1"
    ) 9>/tmp/sealed-it-users.lock
}

# start_swtpm NAME: a fresh TPM with the EK certificate of a private CA; sets TPM_TCTI, TPM_SOCK and TPM_CA (directory of PEM roots).
start_swtpm() {
    local name=$1 state="$DIR/$1.state" ca="$DIR/$1.ca"
    require swtpm swtpm_setup swtpm_localca
    mkdir -p "$state" "$ca/roots"
    cat >"$ca/setup.conf" <<EOF
create_certs_tool = $(command -v swtpm_localca)
create_certs_tool_config = $ca/localca.conf
create_certs_tool_options = $ca/options.conf
active_pcr_banks = sha256
EOF
    cat >"$ca/localca.conf" <<EOF
statedir = $ca
signingkey = $ca/signkey.pem
issuercert = $ca/issuercert.pem
certserial = $ca/certserial
EOF
    : >"$ca/options.conf"
    swtpm_setup --tpm2 --tpmstate "$state" --config "$ca/setup.conf" --create-ek-cert --pcr-banks sha256 --overwrite \
        >"$DIR/$name.setup.log" 2>&1 || die "swtpm_setup failed"
    cp "$ca/issuercert.pem" "$ca/roots/issuer.pem"
    cp "$ca/swtpm-localca-rootca-cert.pem" "$ca/roots/root.pem"
    TPM_CA="$ca/roots"
    TPM_SOCK="$DIR/$name.sock"
    TPM_TCTI="swtpm:path=$TPM_SOCK"
    run_swtpm "$name"
}
run_swtpm() { # (re)starts it on the same state
    local name=$1 gid
    ensure_user sealed-attest tss
    gid=$(getent group tss | cut -d: -f3)
    spawn "$name" swtpm socket --tpm2 --tpmstate "dir=$DIR/$name.state" --server "type=unixio,path=$TPM_SOCK,mode=0660,gid=$gid" \
        --ctrl "type=unixio,path=$TPM_SOCK.ctrl,mode=0660,gid=$gid" --flags not-need-init,startup-clear
    wait_for 10 "swtpm's sockets" listening "$TPM_SOCK" "$TPM_SOCK.ctrl"
}
