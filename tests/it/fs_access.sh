#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Who may open, by rules of every kind; who did: a record of each open, with whatever end; and what happens when records cannot be written.
# The kernel tells of execve(2) in the first network namespace only (fs/exec_watch.h); no network is used here.
export SEALED_NET=host
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
require setpriv unshare nsenter sha256sum
LOG=$DIR/log/audit
mkdir "$DIR/log" "$DIR/bin"
cp "$(command -v busybox)" "$DIR/bin/busybox"
cp "$(readlink -f "$(command -v cat)")" "$DIR/bin/reader"
cp "$(readlink -f "$(command -v head)")" "$DIR/bin/other"
printf '\0' >>"$DIR/bin/other"
for name in by-user by-group by-exe by-digest by-cgroup free ruled/last ruled/deny plain; do
    mkdir -p "$(dirname "$SRC/$name")"
    printf 'sealed.0.content' >"$SRC/$name"
done
printf 'ordinary' >"$SRC/plain"
chmod -R a+rX "$SRC"
audit() { python3 "$HERE/fs_access.py" "$@"; }
last() { audit last "$LOG" "$@"; }
as() { local user=$1; shift; setpriv --reuid="$user" --regid=nogroup --clear-groups "$@"; }
conf() { # POLICY [FILE]
    cat >"$DIR/conf" <<EOF
[audit]
policy = $1
journal = no
file = ${2:-$LOG}
rotate_size = ${SIZE:-16M}
EOF
}
rule() { # NAME VERDICT PATH KIND=WORDS…
    local name=$1 verdict=$2 path=$3; shift 3
    printf '[rule:%s]\nverdict = %s\npath = %s\n' "$name" "$verdict" "$MNT/$path" >>"$DIR/conf"
    printf '%s\n' "$@" >>"$DIR/conf"
}
mount_conf() { mount_fake "config=$DIR/conf,ttl=1h${1:+,$1}"; }

# -- rules ---------------------------------------------------------------------------------------
conf required
rule user allow 'by-user' 'user = daemon 4242'
rule group allow 'by-group' 'group = games'
rule exe allow 'by-exe' "exe = $DIR/bin/reader"
rule digest allow 'by-digest' "exe_sha256 = $(sha256sum <"$DIR/bin/reader" | cut -d' ' -f1)"
rule no-deny deny 'ruled/deny' 'user = root'
rule last allow 'ruled/**' 'user = root'
cat >>"$DIR/conf" <<EOF
[rule:cgroup]
verdict = allow
path = $MNT/by-cgroup $MNT/plain
cgroup = /sealed-it-*/allowed
[rule:named]
verdict = allow
user = daemon
[file:key]
path = catalogue/key
resource = kbs:///default/api/key
mode = 0444
rules = named
EOF
mount_conf

equal "a user that a rule names" content "$(as daemon cat "$MNT/by-user")"
equal "is recorded with it" "allowed user 1 - 65534" "$(last /by-user verdict rule uid errno gid)"
equal "by its number too" content "$(as 4242 cat "$MNT/by-user")"
refused "another is not let in, not even root" "Permission denied" cat "$MNT/by-user"
equal "which is recorded" "refused - rule EACCES 0" "$(last /by-user verdict rule cause errno uid)"
check "and said in the log" grep -q "refused: rules hold here and none allows it to process .*ID=$(last /by-user id) " "$DIR/fs.log"

games=$(getent group games | cut -d: -f3)
refused "without the group" "Permission denied" as daemon cat "$MNT/by-group"
equal "a supplementary group" content "$(setpriv --reuid=daemon --regid=nogroup --groups "4,$games" cat "$MNT/by-group")"
equal "the primary group" content "$(setpriv --reuid=daemon --regid="$games" --clear-groups cat "$MNT/by-group")"

equal "an executable by its path" content "$("$DIR/bin/reader" "$MNT/by-exe")"
equal "is recorded" "$DIR/bin/reader" "$(last /by-exe exe)"
refused "a copy elsewhere is not it" "Permission denied" busybox cat "$MNT/by-exe"
equal "an executable by its content" content "$("$DIR/bin/reader" "$MNT/by-digest")"
cp "$DIR/bin/reader" "$DIR/bin/copy"
equal "wherever it lies" content "$("$DIR/bin/copy" "$MNT/by-digest")"
printf '\0' >>"$DIR/bin/copy"
refused "one byte more is another one" "Permission denied" "$DIR/bin/copy" "$MNT/by-digest"
# A shell that becomes another program: the same process, the same thread. What was learnt of the one does not hold for the other.
refused "a process that was refused" "Permission denied" bash -c "cat \$0" "$MNT/by-exe"
equal "may when it has become the right program" content "$(bash -c ': <"$0" 2>/dev/null; exec "$1" "$0"' "$MNT/by-exe" "$DIR/bin/reader")"

equal "the first rule that fits decides" content "$(cat "$MNT/ruled/last")"
refused "also when it denies" "Permission denied" cat "$MNT/ruled/deny"
equal "and is named" "refused no-deny" "$(last /ruled/deny verdict rule)"
refused "where rules hold, nobody else gets in" "Permission denied" as daemon cat "$MNT/ruled/last"

equal "a rule that a file of the catalogue names" kbs:///default/api/key "$(as daemon cat "$MNT/catalogue/key")"
equal "is recorded" "allowed named" "$(last /catalogue/key verdict rule)"
refused "and holds for that file" "Permission denied" cat "$MNT/catalogue/key"
equal "the record of a refusal has the resource, too" "refused kbs:///default/api/key" "$(last /catalogue/key verdict resource)"
equal "alone, having no path" content "$(cat "$MNT/free")"

# Control groups: where this machine lets us make one.
cgroups=
for root in /sys/fs/cgroup/unified /sys/fs/cgroup /sys/fs/cgroup/systemd; do
    if mkdir -p "$root/sealed-it-$$/allowed" 2>/dev/null && [ -e "$root/sealed-it-$$/allowed/cgroup.procs" ]; then
        cgroups=$root/sealed-it-$$
        on_exit "rmdir $cgroups/allowed $cgroups"
        break
    fi
    rmdir -p "$root/sealed-it-$$/allowed" 2>/dev/null || true
done
if [ -n "$cgroups" ]; then
    in_cgroup() { bash -c 'echo $$ >"$0/cgroup.procs" && exec "${@:1}"' "$cgroups/$1" "${@:2}"; }
    equal "a control group" content "$(in_cgroup allowed cat "$MNT/by-cgroup")"
    equal "is recorded" "/sealed-it-$$/allowed cgroup" "$(last /by-cgroup cgroup rule)"
    equal "an ordinary file is no exception" ordinary "$(in_cgroup allowed cat "$MNT/plain")"
    refused "the group above is another one" "Permission denied" in_cgroup . cat "$MNT/by-cgroup"
    # Moved while it lives: the look is of the moment.
    moved() { bash -c 'echo $$ >"$0/allowed/cgroup.procs"; read -r _ <"$1" || true; echo $$ >"$0/cgroup.procs"; read -r x <"$1"' "$cgroups" "$MNT/by-cgroup"; }
    refused "one that was moved away since its last open" "Permission denied" moved
else
    echo "no control group can be made here: rules by them are left to the unit tests"
fi
refused "outside of every such group" "Permission denied" cat "$MNT/plain"

# -- who ------------------------------------------------------------------------------------------
equal "a thread is recorded as its process" "$(audit thread "$MNT/free")" "$(last /free pid start)"
inner=$(unshare -fp --kill-child bash -c 'cat "$0" >/dev/null; echo $$' "$MNT/free")
equal "in a pid namespace of its own the reader was somebody small" 1 "$inner"
case $(last /free pid) in 1 | 2 | 0) die "recorded as $(last /free pid)" ;; *) pass "and is recorded by our number" ;; esac
check "what is opened is told" test "$(last /free resource)" = kbs:///fake/key/1
version=$(last /free version)
cat "$MNT/free" >/dev/null
equal "with a version that stays while it does" "$version" "$(last /free version)"
before=$(audit count "$LOG")
for ((i = 0; i < 20; i++)); do cat "$MNT/free" >/dev/null; done
equal "each open is a record" $((before + 20)) "$(audit count "$LOG")"

# A worker that dies takes neither rules nor records with it.
killed=$(worker_pid)
kill -KILL "$killed"
wait_for 10 "another worker" serves 2
equal "a new worker lets in" content "$(as daemon cat "$MNT/by-user")"
refused "and refuses" "Permission denied" cat "$MNT/by-user"
equal "and records" "refused rule" "$(last /by-user verdict cause)"
stop fs

# -- every end is recorded --------------------------------------------------------------------------
conf required
mount_conf open_timeout=3s,error_ttl=10ms
seal denied 'sealed.0.!denied-policy'
seal unreach 'sealed.0.!unreachable'
seal malformed 'sealed.nonsense'
seal slow "sealed.20.?$DIR/nothing"
seal never "sealed.20.?$DIR/nothing"
for file in denied unreach malformed slow never; do chmod a+r "$SRC/$file"; done
refused "a policy's refusal" "Permission denied" cat "$MNT/denied"
equal "is recorded with its cause" "refused denied-policy EACCES" "$(last /denied verdict cause errno)"
check "and the id that explains it" grep -q "refused: .* ID=$(last /denied id) " "$DIR/fs.log"
refused "no broker" "No route to host" cat "$MNT/unreach"
equal "is no decision" "failed unreachable EHOSTUNREACH" "$(last /unreach verdict cause errno)"
refused "nonsense" "Bad message" cat "$MNT/malformed"
equal "neither" "failed format EBADMSG" "$(last /malformed verdict cause errno)"
refused "an open that waits too long" "timed out" cat "$MNT/slow"
equal "is recorded" "failed timeout ETIMEDOUT" "$(last /slow verdict cause errno)"
recorded() { [ "$(audit count "$LOG" "$1")" -ge "$2" ]; }
cat "$MNT/never" 2>/dev/null &
waiting=$!
asked() { [ "$(resolved never)" -gt 0 ]; }
wait_for 10 "the reader to wait" asked
kill -TERM "$waiting"
wait "$waiting" 2>/dev/null || true
wait_for 10 "its record" recorded /never 1
equal "one that was killed meanwhile" "failed interrupted EINTR $waiting" "$(last /never verdict cause errno pid)"
stop fs

# -- reading the records -------------------------------------------------------------------------------
sealed_log() { "$BIN/sealed" log "$@"; }
check "sealed log shows them" grep -qE '^[^ ]+Z refused .*/denied  uid 0 pid [0-9]+ [^ ]*cat  denied-policy  EACCES r-' <<<"$(sealed_log --config "$DIR/conf")"
equal "as they are, when asked" "$(cat "$LOG")" "$(sealed_log --file "$LOG" --json)"
refused "not for everybody" "Permission denied" as daemon "$BIN/sealed" log --file "$LOG"

# -- records that cannot be written -------------------------------------------------------------------
mkdir "$DIR/small"
mount -t tmpfs -o size=64k,mode=0755 none "$DIR/small"
on_exit "umount -l $DIR/small"
fill() { dd if=/dev/zero of="$DIR/small/filler" bs=4k 2>/dev/null || true; }
conf required "$DIR/small/audit"
mount_conf
equal "with room" content "$(cat "$MNT/free")"
fill
# What is left of the last page is used up by records of some 300 bytes.
audit burst "$MNT/free" 40 >/dev/null
refused "no record, no plaintext" "Input/output error" cat "$MNT/free"
refused "nor an ordinary file" "Input/output error" cat "$MNT/plain"
check "the log says why" grep -q 'audit: .* could not be written so far, and as many opens were refused: .*No space left' "$DIR/fs.log"
rm "$DIR/small/filler"
equal "with room again" content "$(cat "$MNT/free")"
check "no line was cut" test "$(audit count "$DIR/small/audit")" -gt 0
stop fs

conf best-effort "$DIR/small/audit"
: >"$DIR/fs.log"
mount_conf
fill
equal "where a record is only wished for, opens go on" 200 "$(audit burst "$MNT/free" 200)"
lost() { grep -q 'audit: .* could not be written so far: .*No space left' "$DIR/fs.log"; }
wait_for 10 "what was lost to be told" lost
rm "$DIR/small/filler"
stop fs

# -- rotation -----------------------------------------------------------------------------------------
rm -f "$DIR/small"/*
umount "$DIR/small"
rm -f "$LOG"*
SIZE=4096 conf required
spawn follow "$BIN/sealed" log --follow --json --file "$LOG" # before there is one, as in the middle of a rotation
wait_for 10 "it to wait for the file" grep -q "waiting for $LOG" "$DIR/follow.log"
mount_conf
cat "$MNT/plain" >/dev/null
equal "fifty opens" 50 "$(audit burst "$MNT/free" 50)"
check "fill more than a file" test -s "$LOG.2"
equal "and none is lost" 50 "$(audit count "$LOG" /free)"
check "sealed log --all reads those put aside as well" test "$(sealed_log --all --json --config "$DIR/conf" | grep -c /free)" -eq 50
mv "$LOG" "$DIR/taken"
equal "a file that somebody took" content "$(cat "$MNT/free")"
check "is begun anew" test -s "$LOG"
id=$(last /free id)
followed() { grep -q "\"$id\"" "$DIR/follow.log"; }
wait_for 10 "sealed log --follow to be there too" followed
stop fs

# -- what is told of a refusal -----------------------------------------------------------------------------
conf required
rule secret-rule deny 'plain'
printf '[control]\nsocket = %s\nallow_users = daemon\n' "$DIR/control.sock" >>"$DIR/conf"
chmod 0644 "$DIR/conf"
spawn real "$BIN/sealedfs" -f -o "config=$DIR/conf" "$SRC" "$MNT"
wait_for 10 "the mount" is_mounted
refused "the product refuses by a rule" "Permission denied" cat "$MNT/plain"
explain() { "$@" "$BIN/sealed" explain --socket "$DIR/control.sock" "$MNT/plain"; }
check "root is told which" grep -q 'rule:secret-rule' <<<"$(explain env)"
check "others are told that one is there" grep -q 'an access rule of this machine refuses it' <<<"$(explain as daemon)"
check "and no more" test "$(explain as daemon | grep -c secret-rule)" -eq 0
stop real
not_mounted || umount -l "$MNT"

# -- and of a record that could not be written -----------------------------------------------------------------
mount -t tmpfs -o size=64k,mode=0755 none "$DIR/small"
conf required "$DIR/small/audit"
printf '[control]\nsocket = %s\n[metrics]\nlisten = %s\n' "$DIR/control.sock" "$DIR/metrics.sock" >>"$DIR/conf"
scrape() { curl -s --unix-socket "$DIR/metrics.sock" "http://localhost/$1"; }
spawn real "$BIN/sealedfs" -f -o "config=$DIR/conf" "$SRC" "$MNT"
wait_for 10 "the mount" is_mounted
fill
refused "no room for a record" "Input/output error" cat "$MNT/plain"
check "explain says what hinders it" grep -q 'audit.policy is required: .*No space left' <<<"$(explain env)"
check "nobody is sent here meanwhile" grep -q '^not ready: audit records cannot be written' <<<"$(scrape readyz)"
equal "it is counted" 1 "$(scrape metrics | sed -n 's/^sealedfs_audit_records_lost_total //p')"
rm "$DIR/small/filler"
equal "with room again" ordinary "$(cat "$MNT/plain")"
check "there is no complaint" test "$(scrape readyz | grep -c audit)" -eq 0
stop real
not_mounted || umount -l "$MNT"
umount "$DIR/small"

# -- another pid namespace, and what is refused at the start ------------------------------------------------
conf required
rule all allow '**'
refused "with the proc of another pid namespace nobody can be told apart" "hostPID" \
    unshare -fp --kill-child "$TESTBIN/sealedfs_fake" -f -o "config=$DIR/conf,memory=4M" "$SRC" "$MNT"
: >"$DIR/fs.log"
spawn inner unshare -fpm --mount-proc --propagation private --kill-child \
    "$TESTBIN/sealedfs_fake" -f -o "config=$DIR/conf,memory=4M" "$SRC" "$MNT"
inner_serves() { grep -q ' serves ' "$DIR/inner.log"; }
wait_for 10 "the mount in there" inner_serves
inner_pid=$(pgrep -P "$PID_inner" | head -n 1)
inside() { nsenter --mount="/proc/$inner_pid/ns/mnt" "$@"; }
refused "a caller without a number fits no rule" "Permission denied" inside cat "$MNT/free"
equal "and is recorded as nobody" "refused rule 0" "$(last /free verdict cause pid)"
check "which the log explains" grep -q 'outside of the daemon.s pid namespace' "$DIR/inner.log"
equal "one that has a number does" content "$(nsenter --mount="/proc/$inner_pid/ns/mnt" --pid="/proc/$inner_pid/ns/pid" cat "$MNT/free")"
kill -TERM "$inner_pid"
wait "$PID_inner" || true

for bad in 'user = nobody-of-that-name' 'exe = /bin/[' 'cgroup = x\'; do
    printf '[rule:bad]\nverdict = allow\n%s\n' "$bad" >"$DIR/bad.conf"
    refused "--check finds what is wrong with $bad" "[rule:bad]: " "$BIN/sealedfs" --check --config "$DIR/bad.conf"
done
chmod 0777 "$DIR/log"
refused "a directory where others may write is no place for an audit" "chmod go-w" \
    "$TESTBIN/sealedfs_fake" -f -o "config=$DIR/conf,memory=4M" "$SRC" "$MNT"
chmod 0755 "$DIR/log"
