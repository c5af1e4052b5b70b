#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Several mounts of one daemon, composed of several sources, a catalogue and resources by name.
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
ensure_user nobody
OTHER=$DIR/other
mkdir -p "$OTHER" "$DIR/second" "$DIR/vol/..one/db" "$SRC/db" "$SRC/closed" "$DIR/elsewhere"
on_exit 'umount -l "$OTHER"'
printf plain >"$SRC/plain"
printf sealed.0.mirrored >"$SRC/secret"
printf sealed.0.source-db >"$SRC/db/from-source"
printf hidden >"$SRC/shadowed"
chmod 0700 "$SRC/closed"
printf sealed.0.rotated-1 >"$DIR/vol/..one/db/pass"
ln -s ..one "$DIR/vol/..data"
ln -s ..data/db "$DIR/vol/db"
printf sealed.0.second >"$DIR/second/file"
printf sealed.0.elsewhere-1 >"$DIR/elsewhere/string"
conf() {
    cat >"$DIR/conf" <<EOF
[mount]
log_level = debug
[mount:main]
path = $MNT
by_name = yes
by_name_mode = 0440
by_name_group = nogroup
[mount:other]
path = $OTHER
[source:root]
mount = main
directory = $SRC
[source:volume]
mount = main
directory = $DIR/vol
at = apps/web
[source:second]
mount = other
directory = $DIR/second
at = deep/down
[file:api]
mount = main
path = api/key
resource = kbs:///default/api/key
mode = 0440
group = nogroup
[file:db]
mount = main
path = db/from-catalogue
resource = kbs:///default/db/password
[file:shadow]
mount = main
path = shadowed
resource = kbs:///default/shadow/1
[file:closed]
mount = main
path = closed/inside
resource = kbs:///default/closed/1
mode = 0444
[file:local]
mount = main
path = local
sealed_file = $DIR/elsewhere/string
[file:gone]
mount = main
path = gone
resource = kbs:///nobody/key/gone
[file:lost]
mount = main
path = lost
sealed_file = $DIR/elsewhere/not-there
[file:other]
mount = other
path = api/key
resource = kbs:///default/other/key
EOF
}
conf
start() {
    local before=0
    [ ! -f "$DIR/fs.log" ] || before=$(grep -c ' serves ' "$DIR/fs.log" || true)
    spawn fs "$TESTBIN/sealedfs_fake" -f --config "$DIR/conf"
    wait_for 10 "the mounts" serves $((before + 1))
}
start
has_ended() { gone "$PID_fs"; }
other_not_mounted() { ! grep -q " $OTHER fuse.sealedfs " /proc/self/mounts; }
names() { find "$1" -mindepth 1 -maxdepth 1 -printf '%f\n' | LC_ALL=C sort | paste -sd ' '; }

# What is where.
equal "the root shows source, catalogue and places" "api apps closed db gone local lost plain secret shadowed" "$(names "$MNT")"
equal "a directory of both shows both" "from-catalogue from-source" "$(names "$MNT/db")"
equal "an implied directory shows what it is for" "key" "$(names "$MNT/api")"
equal "a place shows its source" "..data ..one db" "$(names "$MNT/apps/web")"
equal "the other mount" "api deep" "$(names "$OTHER")"
equal "its place" "file" "$(names "$OTHER/deep/down")"
equal "a mirrored secret" mirrored "$(cat "$MNT/secret")"
equal "an ordinary file" plain "$(cat "$MNT/plain")"
equal "a resource" kbs:///default/api/key "$(cat "$MNT/api/key")"
equal "with the mode and owner of the catalogue" "440 root nogroup" "$(stat -c '%a %U %G' "$MNT/api/key")"
equal "in a directory of the source" kbs:///default/db/password "$(cat "$MNT/db/from-catalogue")"
equal "beside what that holds" source-db "$(cat "$MNT/db/from-source")"
equal "in the place of the source's file" kbs:///default/shadow/1 "$(cat "$MNT/shadowed")"
equal "through a volume's link" rotated-1 "$(cat "$MNT/apps/web/db/pass")"
equal "the same path in the other mount is another file" kbs:///default/other/key "$(cat "$OTHER/api/key")"
equal "at its place" second "$(cat "$OTHER/deep/down/file")"
equal "once each" 1 "$(grep -c '^fetch kbs:///default/api/key$' "$DIR/fs.log")"
cat "$MNT/api/key" >/dev/null
equal "also when read again" 1 "$(grep -c '^fetch kbs:///default/api/key$' "$DIR/fs.log")"
equal "a directory of the source keeps its mode under a file of the catalogue" 700 "$(stat -c %a "$MNT/closed")"
refused "so nobody else gets at it" "Permission denied" setpriv --reuid=nobody --regid=nogroup --clear-groups cat "$MNT/closed/inside"
equal "nor does the mode of one in the group" kbs:///default/api/key "$(setpriv --reuid=nobody --regid=nogroup --clear-groups cat "$MNT/api/key")"
refused "that is not there at the broker" "Required key not available" cat "$MNT/gone"
refused "nor on this machine" "Input/output error" cat "$MNT/lost"
check "which is said" grep -q "its sealed_file $DIR/elsewhere/not-there: No such file" "$DIR/fs.log"

# A sealed string elsewhere.
equal "a file elsewhere" elsewhere-1 "$(cat "$MNT/local")"
before=$(stat -c %i "$MNT/local")
printf sealed.0.elsewhere-2 >"$DIR/elsewhere/string"
equal "changed" elsewhere-2 "$(cat "$MNT/local")"
printf sealed.0.elsewhere-3 >"$DIR/elsewhere/new"
mv "$DIR/elsewhere/new" "$DIR/elsewhere/string"
equal "and replaced" elsewhere-3 "$(cat "$MNT/local")"
equal "it is still the same file of the mount" "$before" "$(stat -c %i "$MNT/local")"

# What changes beneath what is composed.
equal "what is not there" no "$([ -e "$MNT/api/more" ] && echo yes || echo no)"
mkdir "$SRC/api"
printf sealed.0.later >"$SRC/api/more"
equal "a directory that appears in the source under one of the catalogue" later "$(cat "$MNT/api/more")"
equal "shows both" "key more" "$(names "$MNT/api")"
equal "and the file of the catalogue as before" kbs:///default/api/key "$(cat "$MNT/api/key")"
rm -r "$SRC/api"
equal "and goes again" "key" "$(names "$MNT/api")"
printf sealed.0.x >"$SRC/api"
equal "a file there does not hide it" kbs:///default/api/key "$(cat "$MNT/api/key")"
rm "$SRC/api"
mkdir "$DIR/vol/..two" "$DIR/vol/..two/db"
printf sealed.0.rotated-2 >"$DIR/vol/..two/db/pass"
ln -s ..two "$DIR/vol/..new"
mv -T "$DIR/vol/..new" "$DIR/vol/..data"
equal "a volume below rotates" rotated-2 "$(cat "$MNT/apps/web/db/pass")"

# By name.
equal "by name" kbs:///default/key/7 "$(cat "$MNT/.kbs/default/key/7")"
equal "with the mode and owner of the mount" "440 root nogroup" "$(stat -c '%a %U %G' "$MNT/.kbs/default/key/7")"
equal "never listed" "" "$(names "$MNT/.kbs/default/key")$(names "$MNT/.kbs/default")$(names "$MNT/.kbs")"
refused "not there" "Required key not available" cat "$MNT/.kbs/nobody/key/gone"
for path in default/key/7/more default/.key/7 'default/k%y/7' "default/key/$(printf '%0256d' 0)" '..data/key/7' 'default/key/ä'; do
    equal "no name: ${path:0:20}" no "$([ -e "$MNT/.kbs/$path" ] && echo yes || echo no)"
done
refused "where it is not enabled" "No such file" cat "$OTHER/.kbs/default/key/7"
exec 7<"$MNT/.kbs/default/key/7"
python3 - "$MNT/.kbs" <<'PY'
import os, sys
for i in range(5000):
    os.stat(f"{sys.argv[1]}/flood/n{i % 70}/t{i}")
PY
equal "five thousand other names later it is readable where it is open" kbs:///default/key/7 "$(cat <&7)"
exec 7<&-
equal "and by its name" kbs:///default/key/7 "$(cat "$MNT/.kbs/default/key/7")"

# A worker's death leaves all of it as it was.
exec 7<"$MNT/api/key" 8<"$OTHER/deep/down/file"
kill -KILL "$(worker_pid)"
wait_for 10 "the next worker" serves 2
equal "what is open in one mount" kbs:///default/api/key "$(cat <&7)"
equal "and in the other" second "$(cat <&8)"
exec 7<&- 8<&-
equal "and what is opened now" "elsewhere-3 kbs:///default/other/key" "$(cat "$MNT/local") $(cat "$OTHER/api/key")"

# umount(8) of one leaves the other, of both ends it.
umount "$OTHER"
wait_for 5 "the monitor to know" grep -q "$OTHER was unmounted" "$DIR/fs.log"
equal "the other one goes on" mirrored "$(cat "$MNT/secret")"
kill -KILL "$(worker_pid)"
wait_for 10 "a worker without it" serves 3
equal "also after a death" mirrored "$(cat "$MNT/secret")"
umount "$MNT"
wait_for 5 "the end" has_ended
start
equal "all again" "mirrored second" "$(cat "$MNT/secret") $(cat "$OTHER/deep/down/file")"
stop fs
check "SIGTERM unmounts both" not_mounted
check "really" other_not_mounted

# What cannot be is refused before anything is mounted.
bad() { # WHAT PATTERN SED
    conf
    sed -i "$3" "$DIR/conf"
    refused "$1" "$2" "$TESTBIN/sealedfs_fake" -f --config "$DIR/conf"
    check "with nothing mounted: $1" not_mounted
}
bad "a source that is not there" "source directory $DIR/nothing" "s|^directory = $DIR/second|directory = $DIR/nothing|"
bad "an owner who is not there" "user no-such-user: there is no user" '/^path = api/a owner = no-such-user'
bad "a mount below another" "lies on or below" "s|^path = $OTHER|path = $SRC|;s|^path = $MNT|path = $DIR|"
bad "a place that is a file" "shadowed would be a directory as well" 's|^at = apps/web|at = shadowed/web|'
bad "a directory of a sealed file that is not there" "directory of sealed_file" "s|$DIR/elsewhere/not-there|$DIR/nothing/x|"
