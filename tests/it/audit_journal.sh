#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The audit in a real journal: every field can be looked for, no secret is in there, and what happens while journald is restarted, stands
# still, or is away. (tests/vm/systemd.sh shows the same with systemd as process 1.)
[ -n "${SEALED_OWN_MOUNTS:-}" ] || SEALED_OWN_MOUNTS=1 exec unshare --mount --propagation private bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
JOURNALD=/lib/systemd/systemd-journald
require "$JOURNALD" journalctl jq setpriv
mount -t tmpfs tmpfs /run # its socket and its files are in here, and nobody else's are in reach
mkdir -p /run/systemd/journal /run/log/journal
[ -s /etc/machine-id ] || { tr -d - </proc/sys/kernel/random/uuid >"$DIR/machine-id" && : >>/etc/machine-id && mount --bind "$DIR/machine-id" /etc/machine-id; }
SOCKET=$DIR/control.sock
LISTENS=/run/systemd/journal/socket

bound() { grep -q " $LISTENS\$" /proc/net/unix && [ -S "$LISTENS" ]; }
start_journald() {
    rm -f "$LISTENS"
    spawn journald "$JOURNALD"
    wait_for 10 "journald" bound
}
journal() { journalctl -q --no-pager -o json --output-fields="$1" "${@:2}" | jq -r ".$1 | if type == \"array\" then implode else . end"; }
last() { journal "$1" SEALED_PATH="$2" | tail -n 1; } # FIELD PATH
recorded() { [ "$(journal SEALED_ID SEALED_PATH="$1" | wc -l)" -ge "$2" ]; }
conf() { # POLICY
    cat >"$DIR/conf" <<EOF
[control]
socket = $SOCKET
[audit]
policy = $1
[rule:readers]
verdict = allow
path = $MNT/ruled/*
user = daemon
[rule:all]
verdict = allow
path = $MNT/*
EOF
}
as() { setpriv --reuid="$1" --regid=nogroup --clear-groups "${@:2}"; }
mkdir "$SRC/ruled"
for name in open ruled/one slow; do seal "$name" "sealed.0.the content of $name"; done
chmod -R a+rX "$SRC"

start_journald
conf best-effort
mount_fake "config=$DIR/conf"
equal "an open that a rule allows" "the content of ruled/one" "$(as daemon cat "$MNT/ruled/one")"
wait_for 10 "its record" recorded "$MNT/ruled/one" 1
field() { equal "field $1" "$2" "$(last "$1" "$MNT/ruled/one")"; }
daemon=$(id -u daemon)
while read -r name value; do field "$name" "$value"; done <<LIST
SEALED_AUDIT allowed
SEALED_RULE readers
SEALED_UID $daemon
SEALED_GID 65534
SEALED_EXE $(readlink -f "$(command -v cat)")
SEALED_CAUSE null
SEALED_ERRNO null
PRIORITY 6
SYSLOG_IDENTIFIER sealedfs
_UID 0
_PID $PID_fs
LIST
for name in SEALED_ID SEALED_PID SEALED_START SEALED_MS SEALED_CGROUP SEALED_VERSION; do
    check "field $name" grep -qx '[0-9a-z/.].*' <<<"$(last "$name" "$MNT/ruled/one")"
done
message=$(last MESSAGE "$MNT/ruled/one")
equal "the message has the same, and the time" "allowed readers $(last SEALED_PID "$MNT/ruled/one") $(last SEALED_ID "$MNT/ruled/one") string" \
    "$(jq -r '[.verdict, .rule, .pid, .id, (.time | type)] | map(tostring) | join(" ")' <<<"$message")"
refused "an open that none allows" "Permission denied" as nobody cat "$MNT/ruled/one"
denied() { [ "$(last SEALED_AUDIT "$MNT/ruled/one")" = refused ]; }
wait_for 10 "its record" denied
equal "why" "rule EACCES 65534 4" "$(for f in SEALED_CAUSE SEALED_ERRNO SEALED_UID PRIORITY; do last $f "$MNT/ruled/one"; done | xargs)"
equal "journalctl finds it by its fields" 1 "$(journal SEALED_ID SEALED_UID=65534 SEALED_AUDIT=refused | wc -l)"
equal "and so does sealed log" "refused" "$("$BIN/sealed" log --json --config "$DIR/conf" | jq -r 'select(.uid == 65534) | .verdict')"

# -- restarted, as by an update of systemd
stop journald
start_journald
cat "$MNT/open" >/dev/null
wait_for 10 "a record in the journal that was restarted" recorded "$MNT/open" 1
pass "a journal that was restarted goes on"

# -- standing still: no open waits for it
before=$(journal SEALED_ID SEALED_PATH="$MNT/slow" | wc -l)
hold "$PID_journald"
check "opens while it stands still" timeout 300 bash -c 'for i in $(seq 400); do read -r line <"$1" || [ -n "$line" ]; done' bash "$MNT/slow"
kill -CONT "$PID_journald"
wait_for 10 "what it could take meanwhile" recorded "$MNT/slow" $((before + 1))

# -- away
stop journald
equal "best-effort goes on" "the content of open" "$(cat "$MNT/open")"
counts() { grep -q "audit: .* records could not be written so far: the journal" "$DIR/fs.log"; }
wait_for 10 "the log to say so" counts
pass "and counts"
conf required
refused "required does not even begin without one" "there is no journal here" timeout 300 "$BIN/sealed" reload --socket "$SOCKET"
start_journald
check "with one it does" timeout 300 "$BIN/sealed" reload --socket "$SOCKET"
equal "opens are served" "the content of open" "$(cat "$MNT/open")"
equal "and the record is there before the open ends" allowed "$(journalctl --sync; last SEALED_AUDIT "$MNT/open")"
stop journald
refused "no record, no plaintext" "Input/output error" cat "$MNT/open"
check "which the log says" grep -q "audit.policy is required" "$DIR/fs.log"
start_journald
equal "it is back, and so are they" "the content of open" "$(cat "$MNT/open")"
journalctl --sync
check "no plaintext is in the journal" bash -c '! journalctl -q --no-pager -o export | grep -aq "the content of"'
stop fs
check "and the mount ends as ever" not_mounted
