#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# LoadCredential= as the socket sees it: who gets what, and that whatever goes wrong is an answer which systemd does not take, never an empty or a
# cut one. tests/vm/systemd.sh shows the same with systemd itself.
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
SOCKET=$DIR/credentials.sock
mkdir "$DIR/sealed"
printf 'sealed.0.from a file' >"$DIR/sealed/string"
printf 'sealed.0.private' >"$DIR/sealed/private"
chmod 0600 "$DIR/sealed/private"
seal on-the-mount sealed.0.circle
ln -s "$MNT/on-the-mount" "$DIR/sealed/link"
{
    echo "[credentials]"
    echo "socket = $SOCKET"
    while read -r name unit resource id; do
        printf '[credential:%s]\nunit = %s\nresource = %s\n' "$name" "$unit" "$resource"
        [ -z "$id" ] || echo "id = $id"
    done <<LIST
first     web.service            kbs:///fake/0/one
other     mail.service           kbs:///fake/0/other        first
tokens    web@*.service,x.timer  kbs:///fake/0/token
file      web.service            $DIR/sealed/string
private   web.service            $DIR/sealed/private
absent    web.service            $DIR/sealed/none
circle    web.service            $DIR/sealed/link
large     web.service            kbs:///fake/0/=1048576
empty     web.service            kbs:///fake/0/
denied    web.service            kbs:///fake/0/!denied-policy
unknown   web.service            kbs:///nobody/knows/it
slow      web.service            kbs:///fake/600000/never
soon      web.service            kbs:///fake/300/soon
LIST
} >"$DIR/sealedfs.conf"
mount_fake "config=$DIR/sealedfs.conf"
ask() { python3 "$HERE/credentials.py" "$SOCKET" "$@"; }
logged() { wait_for 5 "a line about $1" grep -q "$1" "$DIR/fs.log"; }

equal "a credential by the name of its section" "content:one" "$(ask web.service first)"
equal "another unit gets another by the same ID" "content:other" "$(ask mail.service first)"
equal "an instance of a template" "content:token" "$(ask web@1.service tokens)"
equal "the second pattern" "content:token" "$(ask x.timer tokens)"
equal "from a file with a sealed string" "content:from a file" "$(ask web.service file)"
equal "the largest" "content:$(lines 1048576 | sha256sum)" "content:$(ask web.service large | sed 's/^content://' | head -c 1048576 | sha256sum)"
check "the context of a file is its section" grep -q '^resolve credentials/file$' "$DIR/fs.log"

while IFS='|' read -r what unit id text; do
    equal "refused: $what" refused "$(ask "$unit" "$id")"
    logged "$text"
done <<LIST
a unit that no section names|mail.service|tokens|gives 'tokens' to unit mail.service
a pattern is of the whole name|web.services|first|gives 'first' to unit web.services
a template without an instance|web@.timer|tokens|gives 'tokens' to unit web@.timer
a credential that no section names|web.service|nothing|gives 'nothing' to unit web.service
a section whose ID is another|mail.service|other|gives 'other' to unit mail.service
what the broker refuses|web.service|denied|denied-policy: refused as asked
what the broker does not know|web.service|unknown|nobody/knows/it: no such resource
an empty one|web.service|empty|is empty, which a unit could not tell
a file that is not there|web.service|absent|sealed/none
a file that the worker may not read|web.service|private|sealed/private, which the worker's user reads
a file on the mount itself|web.service|circle|is on a mount of sealedfs
LIST
equal "refused: an address that is not systemd's" refused "$(ask "$$/unit/web.service" - name)"
equal "refused: no address" refused "$(ask none - name)"
equal "nobody but root may connect" "error: Permission denied" "$(ask web.service first uid)"
chmod 0666 "$SOCKET"
equal "and nobody but root is answered" refused "$(ask web.service first uid)"
logged "uid 65534 asks for a credential"

# The worker dies while an answer is awaited, and while one is being read: neither is an end.
mkfifo "$DIR/go"
ask web.service slow >"$DIR/waiting" &
waiting=$!
ask web.service large slow <"$DIR/go" >"$DIR/reading" &
reading=$!
exec 7>"$DIR/go"
wait_for 10 "a request that waits" grep -q '^resolve kbs:///fake/600000/never' "$DIR/fs.log"
given() { [ "$(grep -c '^resolve kbs:///fake/0/=1048576' "$DIR/fs.log")" -ge 2 ]; }
wait_for 10 "a request that is answered" given
kill -KILL "$(worker_pid)"
wait "$waiting"
equal "the worker died before the answer" refused "$(cat "$DIR/waiting")"
echo >&7
exec 7>&-
wait "$reading"
equal "the worker died within the answer" "connected refused" "$(xargs <"$DIR/reading")"
wait_for 10 "the next worker" serves 2
equal "the next worker answers" "content:one" "$(ask web.service first)"

# The keeper dies: the worker gives way to one that has a keeper.
keeper=$(pgrep -P "$(worker_pid)")
equal "the keeper is not root" sealedfs "$(stat -c %U "/proc/$keeper")"
equal "and has no descriptor but its own" "0 1 2 3 4" "$(find "/proc/$keeper/fd" -mindepth 1 -printf '%f\n' | sort -n | xargs)"
kill -KILL "$keeper"
wait_for 10 "the next worker" serves 3
equal "with a keeper that answers" "content:one" "$(ask web.service first)"

# Many at once, readers that do not read among them.
python3 - "$SOCKET" <<'PY' || die "many at once"
import socket, sys
def link(ident, number):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.bind("\0%x/unit/web.service/%s" % (number, ident))
    s.connect(sys.argv[1])
    return s
lazy = [link("nothing", 0xA0000 + n) for n in range(40)]
links = [link("soon", 0xB0000 + n) for n in range(150)]
for s in links:
    got = b""
    while part := s.recv(4096):
        got += part
    assert got == b"soon", got
PY
pass "a hundred and fifty at once, beside forty that do not read"

umount "$MNT"
wait_for 10 "the monitor to end" gone "$PID_fs"
equal "its status" 0 "$(wait "$PID_fs"; echo $?)"
keeperless() { ! pgrep -u sealedfs -f "sealedfs_fake --worker=$PID_fs "; }
wait_for 10 "the keeper to end" keeperless

printf '[credential:x]\nunit = a.service\nresource = file\n' >"$DIR/bad.conf"
refused "a resource that is none" "neither kbs:///repository/type/tag nor the absolute path" "$BIN/sealedfs" --check --config "$DIR/bad.conf"
printf '[mount:m]\npath = /sealed\n[credential:x]\nunit = a.service\nresource = /sealed/db/x\n' >"$DIR/bad.conf"
refused "a resource on a mount" "this is on [mount:m]" "$BIN/sealedfs" --check --config "$DIR/bad.conf"
printf '[credential:x]\nresource = kbs:///a/b/c\n' >"$DIR/bad.conf"
refused "a section without a unit" "unit" "$BIN/sealedfs" --check --config "$DIR/bad.conf"
printf '[credential:x]\nunit = a.service\nid = a/b\nresource = kbs:///a/b/c\n' >"$DIR/bad.conf"
refused "an ID that systemd does not take" "id = a/b" "$BIN/sealedfs" --check --config "$DIR/bad.conf"
