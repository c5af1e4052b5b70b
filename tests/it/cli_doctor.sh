#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sealed doctor: nothing to say about a machine that works; the one thing that is broken, with its remedy and exit status, on one that
# does not.
# The doctor looks at every mount that there is: here, at none of the other tests'.
[ -n "${SEALED_OWN_MOUNTS:-}" ] || SEALED_OWN_MOUNTS=yes exec unshare --mount --propagation private bash "$0" "$@"
awk '{ for (i = 7; $i != "-"; i++); if ($(i + 1) == "fuse.sealedfs") print $5 }' /proc/self/mountinfo | tac | xargs -r -n1 umount -l
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
require jq
stack_up
seal_vault password "correct horse"
sealedfs_conf_base
sealed_mount
conf=$DIR/sealedfs.conf

dead() { ! stat "$1" 2>"$DIR/stat.err" && grep -q "not connected" "$DIR/stat.err"; }
doctor() { # WANTED-STATUS [OPTION…]: JSON into $DIR/report
    local wanted=$1 status=0; shift
    "$BIN/sealed" doctor --config "$conf" --json "$@" >"$DIR/report" 2>"$DIR/said" || status=$?
    equal "exit status" "$wanted" "$status"
}
state() { jq -r --arg check "$1" '[.checks[] | select(.check == $check) | .state] | unique | join(" ")' "$DIR/report"; }
text() { jq -r --arg check "$1" '.checks[] | select(.check == $check) | .text' "$DIR/report"; }

doctor 0
for check in configuration user fuse attestd tpm "kbs dns" "kbs tcp" "kbs tls" "kbs version" "kbs clock" agent token source mount; do
    equal "$check" ok "$(state "$check")"
done
check "no handshake of its own" test "$(sealed_stat .handshakes)" = 0
doctor 0 --attest
equal "it attests when told to" 1 "$(sealed_stat .handshakes)"
check "the token's end" grep -q "good until 20" <(text token)
check "for people: one line a check" test "$("$BIN/sealed" doctor --config "$conf" | grep -c '^ok ')" -ge 14

# The broker: each step of the way to it.
broken() { # SECTION KEY VALUE WANTED CHECK TEXT
    cp "$conf" "$DIR/broken.conf"
    conf_set "$DIR/broken.conf" "$1" "$2" "$3"
    conf=$DIR/broken.conf doctor "$4"
    check "$2 = $3: $5" grep -q FAIL <(state "$5")
    check "and why" grep -qi -- "$6" <(text "$5")
}
broken kbs url https://no-such-host.invalid:8443 9 "kbs dns" "no-such-host.invalid"
# A port that is bound and not listened on refuses, and nobody else gets it meanwhile.
spawn closed python3 -c 'import os, socket, sys, signal
s = socket.socket(); s.bind(("127.0.0.1", 0))
open(sys.argv[1] + ".new", "w").write(str(s.getsockname()[1])); os.rename(sys.argv[1] + ".new", sys.argv[1])
signal.pause()' "$DIR/closed.port"
wait_for 30 "a closed port" test -s "$DIR/closed.port"
broken kbs url "https://127.0.0.1:$(cat "$DIR/closed.port")" 9 "kbs tcp" "refused"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$DIR/other.key" -out "$DIR/other.pem" -subj /CN=other -days 1 2>/dev/null
broken kbs ca_file "$DIR/other.pem" 9 "kbs tls" "certificate"
broken kbs ca_file "$DIR/none.pem" 2 "kbs tls" "none.pem"
broken mount user no-such-user 2 "user" "systemd-sysusers"
broken attest socket "$DIR/nobody.sock" 8 attestd "sealed-attestd"
echo "[nothing]" >>"$DIR/broken.conf"
conf=$DIR/broken.conf doctor 2
check "a bad configuration is named" grep -q "unknown section" <(text configuration)

# Another service at the broker's port.
spawn web python3 -c '
import http.server, sys
class Web(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(404); self.end_headers(); self.wfile.write(b"not here")
    def log_message(self, *words): pass
    def date_time_string(self, when=None): return "Mon, 23 Nov 2020 05:10:22 GMT"
server = http.server.HTTPServer(("127.0.0.1", 0), Web)
open(sys.argv[1] + ".new", "w").write(str(server.server_port)); import os; os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()' "$DIR/web.port"
wait_for 30 "the other service" test -s "$DIR/web.port"
broken kbs url "http://127.0.0.1:$(cat "$DIR/web.port")" 9 "kbs version" "no answer of a key broker"
equal "a clock years apart" warn "$(state "kbs clock")"
check "and which way" grep -q "s ahead; certificates" <(text "kbs clock")

# What is not running.
stop attestd
doctor 8
equal "attestd" FAIL "$(state attestd)"
equal "what hangs on it" skip "$(state tpm)"
SEALED_SOCKET=$DIR/none.sock doctor 8
equal "the agent" FAIL "$(state agent)"
stack_attestd
kill -KILL "$PID_sealedfs"
wait "$PID_sealedfs" 2>/dev/null || true
wait_for 60 "the mount to be dead" dead "$MNT"
doctor 9
equal "a dead mount" FAIL "$(state mount)"
check "and how to clear it" grep -q "umount -l $MNT" <(text mount)
umount -l "$MNT"
