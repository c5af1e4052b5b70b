#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What else runs while a reload or an upgrade goes on: credentials of units, the audit with its rotation, and the metrics, all under load.
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
SOCKET=$DIR/control.sock
LOG=$DIR/log/audit
mkdir "$DIR/log"
install -m 0755 "$TESTBIN/sealedfs_fake" "$DIR/sealedfs_fake"
TESTBIN=$DIR
seal warm 'sealed.0.content'
cat >"$DIR/conf" <<CONF
[control]
socket = $SOCKET
[audit]
policy = required
journal = no
file = $LOG
rotate_size = 64K
rotate_keep = 999
[metrics]
listen = $DIR/metrics.sock
[credentials]
socket = $DIR/credentials.sock
[credential:first]
unit = web.service
resource = kbs:///fake/0/one
[credential:soon]
unit = web.service
resource = kbs:///fake/200/soon
[credential:slow]
unit = web.service
resource = kbs:///fake/2000/slow
CONF
mount_fake "config=$DIR/conf"
ask() { timeout 60 python3 "$HERE/credentials.py" "$DIR/credentials.sock" "$@"; }
sealed_ask() { timeout 60 "$BIN/sealed" "$1" --socket "$SOCKET" "${@:2}"; }
health() { curl -sS -o "$DIR/page" -w '%{http_code}' --unix-socket "$DIR/metrics.sock" http://localhost/healthz; }
bound() { stat -c %i "$DIR/metrics.sock" "$DIR/credentials.sock" | xargs; }

equal "a credential" content:one "$(ask web.service first)"
before=$(bound)

# Readers that count what they opened, and units that ask, until told to stop.
read_on() { python3 - "$MNT/warm" "$DIR/stop" <<'PY'; }
import os, sys
path, stop = sys.argv[1:]
opened = 0
while not os.path.exists(stop):
    with open(path) as file:
        assert file.read() == "content"
    opened += 1
print(opened)
PY
ask_on() { until [ -e "$DIR/stop" ]; do ask web.service soon; done; }
for i in 1 2 3; do read_on >"$DIR/opened$i" 2>"$DIR/reader$i.log" & eval "reader$i=$!"; done
for i in 1 2; do ask_on >"$DIR/answers$i" 2>&1 & eval "asker$i=$!"; done
for how in reload upgrade reload upgrade; do check "$how under load" sealed_ask "$how"; done
asked() { grep -q content:soon "$DIR/answers1" && grep -q content:soon "$DIR/answers2"; }
wait_for 10 "credentials to be given" asked
: >"$DIR/stop"
total=0
for i in 1 2 3; do
    pid=reader$i
    wait "${!pid}" || die "reader $i: $(cat "$DIR/reader$i.log")"
    total=$((total + $(cat "$DIR/opened$i")))
done
for i in 1 2; do pid=asker$i; wait "${!pid}" || true; done
equal "each open has its record, none has two" "$total" "$(python3 "$HERE/fs_access.py" count "$LOG" /warm)"
check "over files that were put aside meanwhile" test -s "$LOG.2"
equal "each unit that asked meanwhile has its credential" "" "$(cat "$DIR"/answers? | grep -vx content:soon | sort | uniq -c)"
equal "afterwards it is given" "content:one content:soon" "$(ask web.service first) $(ask web.service soon)"
equal "on the sockets that were bound at the start" "$before" "$(bound)"

# -- a unit that waits while all this happens, and one whose successor comes to nothing
ask web.service slow >"$DIR/slow" & slow=$!
asks() { [ "$(grep -c '^resolve kbs:///fake/2000/slow' "$DIR/fs.log")" -ge "$1" ]; }
wait_for 10 "it to wait" asks 1
check "a reload meanwhile" sealed_ask reload
wait_for 10 "the next worker to ask for it" asks 2
wait "$slow"
equal "it has what it waited for" content:slow "$(cat "$DIR/slow")"

# -- best effort: what was recorded is written, too, before the monitor executes the next program
sed -i 's/^policy = required/policy = best-effort/' "$DIR/conf"
check "a reload to best effort" sealed_ask reload
rm "$DIR/stop"
for i in 1 2; do read_on >"$DIR/opened$i" 2>"$DIR/reader$i.log" & eval "reader$i=$!"; done
for how in upgrade reload upgrade; do check "$how" sealed_ask "$how"; done
: >"$DIR/stop"
more=0
for i in 1 2; do
    pid=reader$i
    wait "${!pid}" || die "reader $i: $(cat "$DIR/reader$i.log")"
    more=$((more + $(cat "$DIR/opened$i")))
done
all() { [ "$(python3 "$HERE/fs_access.py" count "$LOG" /warm)" -eq $((total + more)) ]; }
wait_for 10 "each open to be recorded ($total before, $more now)" all
pass "each open under upgrades has its record"

# -- sockets that a configuration does not have any more
cp "$DIR/conf" "$DIR/conf.all"
without() { sed "/^\[$1\]/,/^\[/ { /^\[$1\]/d; /^\[/!d }" "$DIR/conf.all"; }
connects() { timeout 60 python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$1"; }
{ without metrics; printf '[mount]\nuser = root\n'; } >"$DIR/conf"
refused "a reload without metrics that comes to nothing" "user root is root" sealed_ask reload
equal "leaves them served" 200 "$(health)"
equal "on the same sockets" "$before" "$(bound)"
{ without metrics | sed '/^\[credential/,$d'; } >"$DIR/conf"
check "a reload without metrics and credentials" sealed_ask reload
for name in metrics credentials; do
    refused "nobody waits at $name.sock" "Connection refused" connects "$DIR/$name.sock"
done
cp "$DIR/conf.all" "$DIR/conf"
check "a reload that has them again" sealed_ask reload
equal "they answer" "200 content:one" "$(health) $(ask web.service first)"
stop fs
check "and the mount ends as ever" not_mounted

# -- rules by executable in a daemon that cannot see executables
sed '/^\[metrics/,$d' "$DIR/conf.all" >"$DIR/conf"
count=$(grep -c ' serves ' "$DIR/fs.log")
spawn fs setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace "$TESTBIN/sealedfs_fake" -f -o "log_level=debug,memory=4M,config=$DIR/conf" "$SRC" "$MNT"
wait_for 10 "the mount" serves $((count + 1))
equal "without CAP_SYS_PTRACE it serves" content "$(cat "$MNT/warm")"
check "and says what records lack" grep -q "audit records do not name them" "$DIR/fs.log"
printf '[rule:exe]\nverdict = allow\nexe = /bin/cat\n' >>"$DIR/conf"
refused "a reload with a rule by executable is refused" "[rule:exe] asks for the caller's executable, which takes CAP_SYS_PTRACE" sealed_ask reload
equal "and what was goes on" content "$(cat "$MNT/warm")"
stop fs
refused "nor does it start with one" "CAP_SYS_PTRACE" setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace \
    "$TESTBIN/sealedfs_fake" -f -o "memory=4M,config=$DIR/conf" "$SRC" "$MNT"
