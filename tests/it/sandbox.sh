#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What each process of ours may still do once it runs. A tracer (inject.c, as root) makes it try, as somebody would who took it over:
# a file, a connection, a program, a call that it has no need of. And its own user can neither trace it nor read its memory.
# shellcheck source=tests/it/lib.sh disable=SC2154
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/it/stack.sh
. "$HERE/stack.sh"
release_only "sanitizer builds have no seccomp filter and stay dumpable (sandbox.h)"
require setpriv
stack_up
seal_vault password "correct horse"
sealed_mount
read_is password "correct horse"

install -m 0755 "$TESTBIN/inject" "$BIN/sealed" "$DIR" # where other users may run them
mkdir -m 1777 "$DIR/anyone"
echo "for everybody" >"$DIR/anyone/file"
chmod 0644 "$DIR/anyone/file"
KEYCTL=250 BPF=321 UNSHARE=272 INIT_MODULE=175 IO_URING_SETUP=425 PROCESS_VM_READV=310 SETNS=308 PERF_EVENT_OPEN=298

# Somebody to talk to who would answer everybody: by TCP, by a path, by an abstract name.
spawn listener python3 -c '
import os, socket, sys
home = sys.argv[1]
tcp = socket.create_server(("127.0.0.1", 0))
path = socket.socket(socket.AF_UNIX); path.bind(home + "/listener.sock"); os.chmod(home + "/listener.sock", 0o777); path.listen()
name = socket.socket(socket.AF_UNIX); name.bind("\0" + home); name.listen()
with open(home + "/listener.tmp", "w") as out: out.write(str(tcp.getsockname()[1]))
os.rename(home + "/listener.tmp", home + "/listener.port")
while True: tcp.accept()[0].close()' "$DIR"
wait_for 10 "the listener" test -e "$DIR/listener.port"
TCP=$(cat "$DIR/listener.port")

LANDLOCK=$(sealed_stat .landlock)
echo "Landlock: ABI $LANDLOCK"
[ "$LANDLOCK" -gt 0 ] || check "a worker without Landlock says so" grep -q 'has no Landlock' "$DIR/sealedfs.log"

# The process is looked up anew each time, since the one before may have been ended for its try. EACCES is Landlock's word.
tries() { # WHO WANTED CALL [ARGUMENT]
    local who=$1 wanted=$2; shift 2
    [ "$LANDLOCK" -gt 0 ] || [ "$wanted" != EACCES ] || { echo "not bounded by this kernel: $who: $*"; return; }
    equal "$who: $*" "$wanted" "$("$DIR/inject" "$("$who")" "$@")"
}
since() { [ "$LANDLOCK" -ge "$1" ] && echo "$2" || echo ok; } # ABI ERRNO: what an older kernel does not know is allowed

# -- the worker: ended by a call it has no need of, and replaced ---------------------------------------
monitor() { echo "$PID_sealedfs"; }
worker() { pgrep -P "$PID_sealedfs" -f -- --worker=; }
other_worker() { local now; now=$(worker) && [ "$now" != "$1" ] && sealed_stat .filesystem.generation; }
tries worker ok read /etc/hosts
tries worker ok read /etc/resolv.conf
tries worker ok read /etc/ssl/certs
tries worker EACCES read "$DIR/anyone/file"
tries worker EACCES read "$DIR/anyone"
tries worker EACCES read /proc/self/environ
tries worker EACCES write "$DIR/anyone/file"
tries worker EACCES make "$DIR/anyone/worker"
tries worker ok tcp "$TCP" # a broker may be anywhere
tries worker "$(since 4 EACCES)" listen
tries worker "$(since 6 EPERM)" unix "@$DIR"
for call in "run /bin/true" "trace $PID_attestd" "signal $PID_attestd" "call $KEYCTL"; do
    before=$(worker)
    # shellcheck disable=SC2086
    tries worker SIGSYS $call
    wait_for 20 "another worker" other_worker "$before"
    read_is password "correct horse"
done
check "the log says why a worker ended" grep -q 'Bad system call' "$DIR/sealedfs.log"

# -- an opener: reads what root may read, and is ended by anything else; the worker gets another --------
opener() { pgrep -P "$PID_sealedfs" | grep -vx "$(worker)" | head -n 1; }
other_opener() { local now; cat "$MNT/password" >/dev/null; now=$(opener) && [ "$now" != "$1" ]; }
tries opener ok read "$DIR/anyone/file"
for call in "tcp $TCP" "unix @$DIR" "run /bin/true" "trace $PID_attestd" "signal $PID_attestd" "call $KEYCTL" "call $UNSHARE"; do
    before=$(opener)
    # shellcheck disable=SC2086
    tries opener SIGSYS $call
    touch "$SOURCE/password" # what the worker remembers of it holds no longer
    wait_for 20 "another opener" other_opener "$before"
done

# -- the monitor: refused, since mounts hang on it -----------------------------------------------------
for call in "trace $PID_attestd" "call $KEYCTL" "call $BPF" "call $UNSHARE" "call $SETNS" "call $INIT_MODULE" "call $IO_URING_SETUP" \
    "call $PROCESS_VM_READV" "call $PERF_EVENT_OPEN"; do
    # shellcheck disable=SC2086
    tries monitor ENOSYS $call
done
before=$(worker)
kill -KILL "$before"
wait_for 20 "another worker" other_worker "$before"
read_is password "correct horse"

# -- attestd -------------------------------------------------------------------------------------------
attestd() { echo "$PID_attestd"; }
answering() { [ "$(grep -c 'answering on' "$DIR/attestd.log")" -ge "$1" ]; }
attestd_again() { # [TCTI]
    local before
    before=$(grep -c 'answering on' "$DIR/attestd.log")
    wait_for 10 "attestd's end" gone "$PID_attestd"
    [ -z "${1:-}" ] || conf_set "$DIR/attestd.conf" tpm tcti "$1"
    spawn attestd "$BIN/sealed-attestd" --config "$DIR/attestd.conf"
    wait_for 20 "attestd" answering $((before + 1))
}
tries attestd EACCES read "$DIR/anyone/file"
tries attestd EACCES read /etc/passwd
tries attestd EACCES write "$DIR/anyone/file"
tries attestd EACCES make "$DIR/anyone/attestd"
tries attestd ok unix "$TPM_SOCK"
tries attestd "$(since 6 EPERM)" unix "@$DIR"
for call in "tcp $TCP" "run /bin/true" "trace $PID_kbs" "signal $PID_kbs" "call $KEYCTL"; do
    # shellcheck disable=SC2086
    tries attestd SIGSYS $call
    attestd_again
done
check "attestd answers again" test -n "$(pcr_now 11)"
stop attestd
ln -s /dev/null "$DIR/tpm-node" # enough to start with
attestd_again "device:$DIR/tpm-node"
tries attestd ok read /dev/null
tries attestd EACCES read /dev/zero
tries attestd SIGSYS unix "$DIR/listener.sock"
attestd_again "device:$DIR/anyone/later" # a node that is not there yet
tries attestd ENOENT read "$DIR/anyone/later"
mknod -m 0666 "$DIR/anyone/later" c 1 3
tries attestd ok read "$DIR/anyone/later"
tries attestd EACCES read /dev/null

# -- the broker: front, warden, verifiers ----------------------------------------------------------------
front() { echo "$PID_kbs"; }
warden() { pgrep -P "$PID_kbs"; }
verifier() { pgrep -P "$(warden)" | head -n 1; }
STATE=$(sed -n 's/^state_dir *= *//p' "$DIR/kbs.conf")
tries front EACCES read "$DIR/anyone/file"
tries front EACCES read /etc/passwd
tries front EACCES write "$DIR/anyone/file"
tries front EACCES make "$DIR/anyone/front"
tries front ok read "$STATE"
tries front ok make "$STATE/tried"
for call in "tcp $TCP" "unix $DIR/listener.sock" "run /bin/true" "trace $(warden)" "signal $(warden)" "call $KEYCTL"; do
    # shellcheck disable=SC2086
    tries front SIGSYS $call
    wait_for 10 "the front's end" gone "$PID_kbs"
    stack_kbs
done
tries warden EACCES read "$DIR/anyone/file"
tries warden EACCES read "$STATE"
tries warden EACCES run /bin/true
tries warden "$(since 4 EACCES)" tcp "$TCP"
tries warden "$(since 6 EPERM)" signal "$PID_kbs"
for call in "trace $PID_kbs" "call $KEYCTL" "call $BPF" "call $UNSHARE" "call $PROCESS_VM_READV"; do
    # shellcheck disable=SC2086
    tries warden ENOSYS $call
done
# A verifier that is ended is replaced when the next piece of evidence is to be judged.
for call in "read $DIR/anyone/file" "tcp $TCP" "unix $DIR/listener.sock" "run /bin/true" "signal $PID_kbs" "call $KEYCTL"; do
    [ -n "$(verifier)" ] || die "no verifier is left to be tried"
    # shellcheck disable=SC2086
    tries verifier SIGSYS $call
    stop kbs
    stack_kbs
done

# -- the courier, which speaks to others for the front ---------------------------------------------------
stop kbs
cp "$DIR/kbs.conf" "$DIR/kbs.embedded"
printf '[policy]\nengine = opa\nopa_url = http://127.0.0.1:%s\n' "$TCP" >>"$DIR/kbs.conf"
stack_kbs
courier_warden() { pgrep -P "$PID_kbs" -f -- '--courier-warden$'; }
courier() { pgrep -P "$(courier_warden)"; }
other_courier() { local now; now=$(courier) && [ "$now" != "$1" ] && grep -q 'Seccomp:.*2' "/proc/$now/status"; }
tries courier ok read /etc/hosts
tries courier ok read /etc/ssl/certs
tries courier EACCES read /etc/passwd
tries courier EACCES read "$DIR/kbs.conf"
tries courier EACCES read "$DIR/anyone/file"
tries courier EACCES read "$STATE"
tries courier EACCES write "$DIR/anyone/file"
tries courier EACCES make "$DIR/anyone/courier"
tries courier ok tcp "$TCP"
tries courier "$(since 4 EACCES)" listen
tries courier "$(since 6 EPERM)" unix "@$DIR"
for call in "run /bin/true" "trace $PID_kbs" "signal $PID_kbs" "call $KEYCTL"; do
    before=$(courier)
    # shellcheck disable=SC2086
    tries courier SIGSYS $call
    wait_for 20 "another courier" other_courier "$before"
done
tries courier_warden EACCES run /bin/true
tries courier_warden EACCES write "$DIR/anyone/file"
tries courier_warden "$(since 6 EPERM)" signal "$PID_kbs"
for call in "trace $PID_kbs" "call $KEYCTL" "call $BPF" "call $UNSHARE" "call $PROCESS_VM_READV"; do
    # shellcheck disable=SC2086
    tries courier_warden ENOSYS $call
done
COURIER_PIDS="$(courier_warden) $(courier)"
for pid in $COURIER_PIDS; do
    refused "$(tr '\0' ' ' <"/proc/$pid/cmdline"): its own user cannot trace it" EPERM setpriv --reuid sealed-kbs \
        --regid "$(id -g sealed-kbs)" --clear-groups --bounding-set=-all --inh-caps=-all "$DIR/inject" "$pid" call 39
done
stop kbs
for pid in $COURIER_PIDS; do wait_for 10 "courier and its warden to end with the front" gone "$pid"; done
cp "$DIR/kbs.embedded" "$DIR/kbs.conf"
stack_kbs
stop attestd
attestd_again "$TPM_TCTI"
flush --token
read_is password "correct horse"

# -- nobody but root looks into them ---------------------------------------------------------------------
as_user() { # NAME COMMAND…: with all its rights, but no capability
    local name=$1; shift
    setpriv --reuid "$name" --regid "$(id -g "$name")" --clear-groups --bounding-set=-all --inh-caps=-all "$@"
}
# The same tools on an ordinary process of that user, or a refusal below would show nothing.
spawn ordinary setpriv --reuid sealedfs --regid "$(id -g sealedfs)" --clear-groups tail -f /dev/null
readable() { as_user "$1" head -c 1 "/proc/$2/environ" | grep -qa .; }
wait_for 10 "an ordinary process that can be read" readable sealedfs "$PID_ordinary"
if [ "$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null || echo 0)" -eq 0 ]; then
    equal "an ordinary process is traced by its user" ok "$(as_user sealedfs "$DIR/inject" "$PID_ordinary" call 39)"
fi
private() { # USER PID WHAT
    refused "$3: its own user cannot trace it" EPERM as_user "$1" "$DIR/inject" "$2" call 39
    refused "$3: nor read its memory" "Permission denied" as_user "$1" head -c 1 "/proc/$2/mem"
    refused "$3: nor its environment" "Permission denied" as_user "$1" head -c 1 "/proc/$2/environ"
    # What nobody can trace belongs to root in /proc, who may then list names; the rest asks for the right to trace.
    [ "$1" = root ] || refused "$3: nor list its descriptors" "Permission denied" as_user "$1" ls "/proc/$2/fd"
    equal "$3: no core dump" "0 0" "$(awk '/^Max core file size/ { print $5, $6 }' "/proc/$2/limits")"
    equal "$3: no new privileges" 1 "$(awk '/^NoNewPrivs/ { print $2 }' "/proc/$2/status")"
    equal "$3: a system call filter" 2 "$(awk '/^Seccomp:/ { print $2 }' "/proc/$2/status")"
}
private root "$(monitor)" monitor
private sealedfs "$(worker)" worker
private sealed-attest "$(attestd)" attestd
private sealed-kbs "$(front)" front
private sealed-kbs "$(warden)" warden
private sealed-kbs "$(verifier)" verifier

# The command, while it holds what it was given.
mkfifo -m 0666 "$DIR/anyone/plain"
install -m 0644 "$DIR/wrap.key" "$DIR/team-private.json" "$DIR/anyone/"
chown sealedfs: "$DIR/anyone/wrap.key" "$DIR/anyone/team-private.json"
chmod 0600 "$DIR/anyone/wrap.key" "$DIR/anyone/team-private.json"
setpriv --reuid sealedfs --regid "$(id -g sealedfs)" --clear-groups "$DIR/sealed" seal envelope --key "$DIR/anyone/team-private.json" --wrapping-uri kbs:///team/key/wrap \
    --wrapping-key "$DIR/anyone/wrap.key" - <"$DIR/anyone/plain" >"$DIR/command.log" 2>&1 &
COMMAND=$!
on_exit "stop_pid $COMMAND"
exec 7>"$DIR/anyone/plain"
printf 'half of it' >&7
is_sealed() { [ "$(readlink "/proc/$COMMAND/exe")" = "$DIR/sealed" ] && grep -q 'NoNewPrivs:.*1' "/proc/$COMMAND/status"; }
wait_for 10 "the command" is_sealed
undumpable() { ! as_user sealedfs head -c 1 "/proc/$COMMAND/environ" 2>/dev/null; }
wait_for 10 "the command being private" undumpable
refused "sealed: its own user cannot trace it" EPERM as_user sealedfs "$DIR/inject" "$COMMAND" call 39
refused "sealed: nor read its memory" "Permission denied" as_user sealedfs head -c 1 "/proc/$COMMAND/mem"
equal "sealed: no core dump" "0 0" "$(awk '/^Max core file size/ { print $5, $6 }' "/proc/$COMMAND/limits")"
exec 7>&-
wait "$COMMAND"
check "and it goes on" grep -q '^sealed\.' "$DIR/command.log"

# -- a kernel without Landlock: said, and no reason to stop ------------------------------------------------
for name in sealedfs attestd kbs; do stop "$name"; done
rm -f "$PORT_FILE"
before=$(grep -c 'answering on' "$DIR/attestd.log")
spawn attestd "$TESTBIN/without" landlock_create_ruleset "$BIN/sealed-attestd" --config "$DIR/attestd.conf"
spawn kbs "$TESTBIN/without" landlock_create_ruleset "$BIN/sealed-kbs" --config "$DIR/kbs.conf"
spawn sealedfs "$TESTBIN/without" landlock_create_ruleset "$BIN/sealedfs" "$SOURCE" "$MNT" -f -o "config=$DIR/sealedfs.conf"
wait_for 30 "the mount" mountpoint -q "$MNT"
wait_for 30 "the broker" test -s "$PORT_FILE"
wait_for 20 "attestd" answering $((before + 1))
read_is password "correct horse"
for name in sealedfs attestd kbs; do check "$name says that there is no Landlock" grep -q 'this kernel has no Landlock' "$DIR/$name.log"; done
equal "and so does the status" 0 "$(sealed_stat .landlock)"
case $("$BIN/sealed" status) in *"without Landlock"*) pass "in words, too" ;; *) die "the status in words does not say it" ;; esac
tries worker SIGSYS run /bin/true

# -- a service manager's filter that leaves no room for ours -----------------------------------------------
stop attestd
refused "without seccomp(2) the reason is named" "SystemCallFilter= or the container's profile name seccomp" \
    "$TESTBIN/without" seccomp "$BIN/sealed-attestd" --config "$DIR/attestd.conf"
