#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sealed-attestd on a device node, as in a guest: the software TPM behind a pseudo-terminal. Also what a service manager sees.
# shellcheck source=tests/it/lib.sh disable=SC2154
. "$(dirname "$0")/lib.sh"
require_root
require python3

ensure_user sealed-attest tss
ensure_user sealedfs
SOCKET="$DIR/run/attestd.sock"
probe() { "$TESTBIN/attest_probe" "$SOCKET" "$@"; }
evidence() { timeout 30 "$TESTBIN/attest_probe" "$SOCKET" evidence bm9uY2U= 3 >/dev/null 2>&1; }

start_swtpm tpm # makes its state
stop tpm
spawn terminal python3 -c '
import os, pty, sys, tty
state, group, out = sys.argv[1:]
master, slave = pty.openpty()
for fd in master, slave: tty.setraw(fd)
os.chmod(os.ttyname(slave), 0o660)
os.chown(os.ttyname(slave), 0, int(group))
for fd in master, slave: os.set_inheritable(fd, True) # without an open slave the master would report a hang-up
with open(out, "w") as f: f.write(os.ttyname(slave))
os.execvp("swtpm", ["swtpm", "chardev", "--tpm2", "--tpmstate", "dir=" + state, "--fd", str(master), "--flags",
    "not-need-init,startup-clear", "--ctrl", "type=unixio,path=" + out + ".ctrl"])
' "$DIR/tpm.state" "$(getent group tss | cut -d: -f3)" "$DIR/terminal"
wait_for 10 "the TPM on a terminal" test -S "$DIR/terminal.ctrl"

spawn manager python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True: print(s.recv(100).decode(), flush=True)' "$DIR/notify"
wait_for 10 "the service manager" test -S "$DIR/notify"
chmod 0666 "$DIR/notify"

cat >"$DIR/attestd.conf" <<END
[attestd]
socket = $SOCKET
[tpm]
tcti = device:$(cat "$DIR/terminal")
END
export NOTIFY_SOCKET="$DIR/notify"
spawn attestd "$BIN/sealed-attestd" --config "$DIR/attestd.conf"
unset NOTIFY_SOCKET
wait_for 10 "the word that it is ready" grep -q READY=1 "$DIR/manager.log"
check "it answers once it has said so" probe info
refused "an empty handle is named" "sealed attest enroll --create-key" probe evidence bm9uY2U=
check "a key is made" probe create "$DIR"
check "and evidence, through the device" evidence
kill -TERM "$PID_attestd"
status=0
wait "$PID_attestd" || status=$?
equal "it ends with status 0 when asked to" 0 "$status"
wait_for 10 "the word that it stops" grep -q STOPPING=1 "$DIR/manager.log" # another process writes it down
equal "the directory of the socket is root's and open" "0 755" "$(stat -c '%u %a' "$DIR/run")"

cat >"$DIR/attestd.conf" <<END
[attestd]
socket = $SOCKET
group = none
[tpm]
tcti = device:/dev/no-such-tpm
END
spawn attestd "$BIN/sealed-attestd" --config "$DIR/attestd.conf"
wait_for 10 "attestd" probe info
refused "a missing device is named" "no TPM at device:/dev/no-such-tpm" probe evidence bm9uY2U=
stop attestd
printf '[sample]\nenabled = yes\n' >>"$DIR/attestd.conf"
spawn attestd "$BIN/sealed-attestd" --config "$DIR/attestd.conf"
wait_for 10 "attestd" probe info
check "with leave it makes sample evidence" evidence
refused "which has nothing to enrol" "sample evidence has no key" probe enrol "$DIR"
equal "without any other group" "$(id -g sealed-attest)" "$(sed -n 's/^Groups:[[:space:]]*//p' "/proc/$PID_attestd/status" | tr -d ' ')"
