#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rego policies in a real Open Policy Agent: which resource, how evidence is appraised, what happens when it fails, is gone or hangs, and that
# no byte of a request becomes a part of a query.
# shellcheck disable=SC2016
. "$(dirname "$0")/lib.sh"
require_root
require curl openssl
ensure_user sealed-kbs
OPA=$(ls "$TESTBIN"/opa/opa-v* 2>/dev/null | head -n 1)
[ -x "$OPA" ] || skip "needs Open Policy Agent (it/opa_program)"

PYTHON=/usr/bin/python3
JWT="$HERE/admin_token.py"
mkdir -p "$DIR/etc"
for name in token admin; do "$PYTHON" "$JWT" key "$DIR/etc/$name.jwk" "$DIR/etc/$name.pub.jwk"; done
conf() { # LINE… of [policy]
    cat >"$DIR/kbs.conf" <<EOF
[server]
listen = 127.0.0.1:0
state_dir = $DIR/state
port_file = $DIR/port
log_level = debug
[token]
key = $DIR/etc/token.jwk
[admin]
mode = jwt
keys = $DIR/etc/admin.pub.jwk
[attestation]
tees = sample
verifiers = 1
[policy]
$(printf '%s\n' "$@")
EOF
    chmod 644 "$DIR/kbs.conf"
}
start() {
    rm -f "$DIR/port"
    spawn kbs "$BIN/sealed-kbs" --config "$DIR/kbs.conf"
    wait_for 20 "sealed-kbs" test -s "$DIR/port"
    URL="http://127.0.0.1:$(cat "$DIR/port")"
}
opa_up() { curl -sf --unix-socket "$DIR/opa.sock" http://opa/health; }
start_opa() {
    rm -f "$DIR/opa.sock"
    spawn opa "$OPA" run --server --addr "unix://$DIR/opa.sock" --unix-socket-perm 666 --log-level error --skip-version-check
    wait_for 20 "Open Policy Agent" opa_up
}
opa_modules() { curl -s --unix-socket "$DIR/opa.sock" http://opa/v1/policies | jq -r '.result[].id'; }
client() { "$PYTHON" "$HERE/../peer/client.py" --url "$URL" "$@"; }
admin() { # METHOD PATH [BODY]
    curl -s -X "$1" -H "Authorization: Bearer $TOKEN" ${3:+--data-binary "$3"} "$URL/kbs/v0/$2"
}
url64() { base64 -w0 | tr '+/' '-_' | tr -d =; }
policy() { admin POST resource-policy "{\"policy\":\"$(printf '%s' "$1" | url64)\"}"; }
attestation_policy() { admin POST attestation-policy "{\"type\":\"rego\",\"policy_id\":\"$1\",\"policy\":\"$(printf '%s' "$2" | url64)\"}"; }
reference() { admin POST reference-value "{\"version\":\"0.1.0\",\"type\":\"sample\",\"payload\":\"$(printf '%s' "$1" | base64 -w0)\"}"; }
says() { # WHAT TEXT GOT
    case "$3" in *"$2"*) pass "$1" ;; *) die "$1: '$3' does not say '$2'" ;; esac
}
explained() { # WHAT TEXT COMMAND…: refused with an id, under which the administrator finds TEXT
    local what=$1 text=$2 out id; shift 2
    if out=$("$@" 2>&1); then die "$what: succeeded: $out"; fi
    case "$out" in *"[id "*) ;; *) die "$what: no id in '$out'" ;; esac
    id=${out##*\[id }
    says "$what" "$text" "$(admin GET "explanation/${id%%]*}")"
}
attest() { client auth "$1" --tee sample && client evidence "$1" && client attest "$1"; }
claim() { jq -r "$2" <<<"$(client token "$1")"; }
tool() { "$BIN/sealed" kbs policy "$@" --kbs "$URL" --admin-key "$DIR/etc/admin.jwk"; }

# -- the configuration ----------------------------------------------------------------------------------
conf "engine = opa"
refused "an engine without an address" "needs either opa_url or opa_socket" "$BIN/sealed-kbs" --config "$DIR/kbs.conf" --check
conf "engine = opa" "opa_url = http://opa.example:8181"
refused "plain HTTP to another machine" "opa: \"http://opa.example:8181\": http:// without TLS is only for this machine" \
    "$BIN/sealed-kbs" --config "$DIR/kbs.conf" --check
conf "opa_socket = $DIR/opa.sock"
refused "an address without the engine" "for engine = opa" "$BIN/sealed-kbs" --config "$DIR/kbs.conf" --check
conf "engine = opa" "opa_socket = $DIR/opa.sock" "opa_timeout = 3s" "versions = 4"
start_opa
start
TOKEN=$("$PYTHON" "$JWT" sign "$DIR/etc/admin.jwk")
for name in team/key/1 team/key/2 other/key/1 a.b/c_d/e-f; do admin POST "resource/$name" "value of $name" >/dev/null; done

# -- a resource -------------------------------------------------------------------------------------------
attest "$DIR/s"
equal "sample evidence without reference values" contraindicated "$(claim "$DIR/s" '.submods.cpu0["ear.status"]')"
explained "the default policy wants an affirming token" "allow is false" client get "$DIR/s" team/key/1
equal "nothing was set, so the default is read back" "package policy" "$(admin GET resource-policy/resource-policy | sed -n 2p)"
equal "policy ids" '["resource-policy"]' "$(admin GET resource-policy)"

equal "a policy is taken" "" "$(policy '# A comment: package other
# and a "string

package policy   # the package
import rego.v1

default allow = false

plugin := data.plugin
path := data["resource-path"]

allow if {
	plugin == "resource"
	path[0] == "team"
	input.submods.cpu0["ear.veraison.annotated-evidence"].sample
}')"
equal "allowed" "value of team/key/1" "$(client get "$DIR/s" team/key/1)"
equal "another tag" "value of team/key/2" "$(client get "$DIR/s" team/key/2)"
explained "another repository is refused" "allow is false" client get "$DIR/s" other/key/1
says "the query of a request" '"allowed":true' "$(admin POST policy-trial "{\"policy\":\"$(printf 'package policy\nallow if { data.query == {"a": "b c", "d": ""} }' | url64)\",
    \"claims\":{\"sample\":{}},\"resource\":\"a/b/c?a=b%20c&d\"}")"

equal "without a default" "" "$(policy 'package policy
import rego.v1
allow if data["resource-path"][0] == "nobody"')"
explained "undefined is no" "allow is undefined" client get "$DIR/s" team/key/1
for value in '"true"' 1 '[true]' '{"allow": true}' null; do
    equal "allow := $value is taken" "" "$(policy "package policy
allow := $value")"
    explained "and denies" "allow of the Rego policy is no boolean" client get "$DIR/s" team/key/1
done
equal "one that can contradict itself" "" "$(policy 'package policy
allow := true if input.submods
allow := false if input.submods.cpu0')"
explained "a policy that fails denies" "the policy failed: line " client get "$DIR/s" team/key/1
says "and the log has it" "no policy can be asked, so guests are refused" "$(cat "$DIR/kbs.log")"

# -- policies as users of Trustee have them ---------------------------------------------------------------
equal "allow all" "" "$(policy 'package policy

default allow = true')"
equal "it allows" "value of other/key/1" "$(client get "$DIR/s" other/key/1)"
AFFIRMING='package policy
import rego.v1

default allow = false

allow if {
	count(input.submods) > 0
	not some_are_not
}

some_are_not if {
	some _, one in input.submods
	one["ear.status"] != "affirming"
}'
equal "all affirming" "" "$(policy "$AFFIRMING")"
explained "it denies" "allow is false" client get "$DIR/s" other/key/1

# -- texts that are refused, with the line ----------------------------------------------------------------
bad() { # WHAT TEXT POLICY
    says "$1" "$2" "$(policy "$3")"
}
bad "another package" 'line 1: a Rego policy must begin with \"package policy\"' 'package other
allow := true'
bad "a package below" 'line 2: a Rego policy must begin with' '# x
package policy.more
allow := true'
bad "none" 'line 1: a Rego policy must begin with' 'allow := true'
bad "not even one of the other language" 'this is a policy of the embedded language' 'allow ** if status affirming'
bad "a package that only looks so" 'must begin with' 'package policy["x"]
allow := true'
bad "a syntax error" 'line 5: ' 'package policy
import rego.v1
allow if {
	input.x ==
}'
bad "an old form" 'line 2: ' 'package policy
allow { input.x }'
bad "an unknown function" 'line 2: undefined function nonsense' 'package policy
allow if nonsense(1)'
bad "an unsafe variable" 'line 3: ' 'package policy
allow := true
x = y'
bad "its own rule by the old name" 'names its own rule as \"data.policy.good\"' 'package policy
good := true
allow if data.policy.good'
bad "a function that is there" 'query_reference_value' 'package policy
query_reference_value := 1'
bad "no text" 'UTF-8' "$(printf 'package policy\n# \377')"
equal "none of them is in force" "$AFFIRMING" "$(admin GET resource-policy/resource-policy)"
equal "nor in Open Policy Agent" 1 "$(opa_modules | wc -l)"

# -- versions -----------------------------------------------------------------------------------------------
admin GET resource-policy/resource-policy/versions >"$DIR/versions"
equal "the last four are kept" 4 "$(jq length "$DIR/versions")"
equal "with who set them" admin "$(jq -r '.[0].set_by' "$DIR/versions" | cut -d/ -f1)"
NEWEST=$(jq -r '.[0].version' "$DIR/versions")
says "an earlier text" "default allow = true" "$(admin GET "resource-policy/resource-policy?version=$((NEWEST - 1))")"
says "one that is gone" "is not kept" "$(admin GET "resource-policy/resource-policy?version=1")"
equal "is put in force" "" "$(tool restore $((NEWEST - 1)))"
equal "and allows" "value of other/key/1" "$(client get "$DIR/s" other/key/1)"
says "as a version of its own" "$((NEWEST + 1)) " "$(tool versions | sed -n 1p)"
equal "by the command, too" "$AFFIRMING" "$(tool get --version "$NEWEST")"

# -- reference values -----------------------------------------------------------------------------------------
REFERENCE='package policy
import rego.v1
default allow := false
allow if input.submods.cpu0["ear.veraison.annotated-evidence"].sample.svn in query_reference_value("svn")
allow if {
	query_reference_value("absent") == null
	data["resource-path"][0] == "a.b"
}'
equal "a policy that asks for reference values" "" "$(policy "$REFERENCE")"
explained "there is none" "allow is false" client get "$DIR/s" team/key/1
equal "an unknown one is null" "value of a.b/c_d/e-f" "$(client get "$DIR/s" a.b/c_d/e-f)"
reference '{"svn":["1","2"]}' >/dev/null
equal "one that is there" "value of team/key/1" "$(client get "$DIR/s" team/key/1)"
reference '{"svn":["2"]}' >/dev/null
explained "another one" "allow is false" client get "$DIR/s" team/key/1

# -- how evidence is appraised ----------------------------------------------------------------------------------
says "an unknown trust claim" "is no trust claim" "$(attestation_policy default_cpu 'package policy
trust_claims := {"executables": 2, "luck": 2}'; attest "$DIR/t" 2>&1 || admin GET explanation | tail -c 3000)"
APPRAISE='package policy
import rego.v1
default executables := 33
executables := 3 if input.sample.svn in query_reference_value("svn")
trust_claims := {"executables": executables, "hardware": 2}
extensions := [{"name": "ear.example", "key": -19, "value": {"svn": input.sample.svn}}]'
equal "an attestation policy" "" "$(attestation_policy default_cpu "$APPRAISE")"
equal "its id" '["default_cpu"]' "$(admin GET attestation-policy)"
equal "its text" "$APPRAISE" "$(admin GET attestation-policy/default_cpu)"
attest "$DIR/t"
equal "its tier" "warning 33 2 0" "$(claim "$DIR/t" '.submods.cpu0 | "\(.["ear.status"]) \(.["ear.trustworthiness-vector"] | "\(.executables) \(.hardware) \(.configuration)")"')"
equal "its extension" 1 "$(claim "$DIR/t" '.submods.cpu0["ear.example"].svn')"
reference '{"svn":["1"]}' >/dev/null
attest "$DIR/t"
equal "with the right reference value" affirming "$(claim "$DIR/t" '.submods.cpu0["ear.status"]')"
for pair in "-1 none" "1 none" "31 affirming" "-32 affirming" "-33 warning" "95 warning" "96 contraindicated" "-97 contraindicated"; do
    attestation_policy default_cpu "package policy
trust_claims := {\"hardware\": ${pair% *}}" >/dev/null
    attest "$DIR/t"
    equal "hardware ${pair% *}" "${pair#* }" "$(claim "$DIR/t" '.submods.cpu0["ear.status"]')"
done
attestation_policy default_cpu 'package policy
other := 1' >/dev/null
attest "$DIR/t"
equal "undefined trust_claims claim nothing" none "$(claim "$DIR/t" '.submods.cpu0["ear.status"]')"
for text in 'trust_claims := {"hardware": "2"}' 'trust_claims := {"hardware": 2.5}' 'trust_claims := {"hardware": 128}' 'trust_claims := [2]' \
    'trust_claims := {"hardware": 2}
extensions := [{"name": "ear.status", "key": 1, "value": "affirming"}]'; do
    attestation_policy default_cpu "package policy
$text" >/dev/null
    refused "no token from: $text" "RCAR handshake Attest failed" attest "$DIR/t"
done
equal "without it the built-in rules are in force" "" "$(tool delete --attestation default_cpu)"
equal "no ids" '[]' "$(admin GET attestation-policy)"
attest "$DIR/t"
refused "an id with a slash" "letters, digits" tool get --attestation ../resource-policy

# -- hostile strings ----------------------------------------------------------------------------------------------
equal "a policy that shows what it sees" "" "$(policy 'package policy
import rego.v1
default allow := false
allow if data["resource-path"] == ["team", "key", "1"]')"
hostile() { # WHAT JSON of claims
    says "$1" '"allowed":false' "$(admin POST policy-trial "{\"claims\":$2,\"resource\":\"other/key/1\"}")"
}
hostile "claims that look like a query" '{"sample":{"svn":"1\"] with data[\"resource-path\"] as [\"team\",\"key\",\"1\"]; x := [\""}}'
hostile "claims with lines and comments" '{"sample":{"svn":"1\n# x\u2028 allow := true\nallow := true"}}'
hostile "claims by the names that our query uses" '{"sample":{"claims":1,"values":2,"path":["team","key","1"],"plugin":"resource"},"path":["team","key","1"]}'
for path in 'other/key/1%22%5d%20with' 'team/key/1%00' 'team/key/..' 'team/key/1;x' "team/key/1'"; do
    if got=$(client get "$DIR/s" "$path" 2>&1); then die "path $path: $got"; fi
    pass "path $path is refused"
done
says "a hostile query" '"allowed":false' "$(admin POST policy-trial '{"claims":{"sample":{}},"resource":"other/key/1?a=\"]%20with%20data[\"resource-path\"]%20as%20[\"team\",\"key\",\"1\"]"}')"
says "a query that is none" 'malformed escape' "$(admin POST policy-trial '{"claims":{"sample":{}},"resource":"other/key/1?a=%zz"}')"
equal "nothing of it was written into Open Policy Agent" "{}" "$(curl -s --unix-socket "$DIR/opa.sock" http://opa/v1/data | jq -c '.result | del(.sealed_kbs)')"

# -- many at once, each with its own path ---------------------------------------------------------------------------
attest "$DIR/s"
many() { # NUMBER: half of them may
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ "$(client get "$DIR/s" team/key/1)" = "value of team/key/1" ] || return 1
        ! client get "$DIR/s" team/key/2 >/dev/null 2>&1 || return 1
    done
}
workers=()
for n in 1 2 3 4 5 6; do many "$n" & workers+=($!); done
for pid in "${workers[@]}"; do wait "$pid" || die "a decision was another's"; done
pass "concurrent requests are each decided on their own"

# -- kbs policy test ------------------------------------------------------------------------------------------------
printf 'package policy\nallow if {\n\tdata["resource-path"][2] == "1"\n\tinput.submods.cpu0["ear.status"] != "affirming"\n}\n' >"$DIR/try.rego"
printf '{"sample":{"svn":"7"}}' >"$DIR/claims.json"
jq -r .token "$DIR/s" >"$DIR/token"
out=$(tool test --policy "$DIR/try.rego" --claims "$DIR/claims.json" other/key/1) || die "policy test: $out"
says "a text that is not set" "allow: allowed by the Rego policy" "$out"
says "with what was evaluated" "line 2" "$out"
if out=$(tool test --policy "$DIR/try.rego" --claims "$DIR/claims.json" other/key/2); then die "policy test allows: $out"; else status=$?; fi
equal "exit status of a denial" 1 "$status"
says "in words" "deny: denied by the Rego policy: allow is undefined" "$out"
says "the policy in force, and a token" "allow: " "$(tool test --token "$DIR/token" team/key/1)"
says "an attestation policy" "affirming" "$(printf 'package policy\ntrust_claims := {"hardware": 2}' >"$DIR/try.rego"; tool test --attestation --policy "$DIR/try.rego" --claims "$DIR/claims.json")"
printf 'package policy\nallow if {' >"$DIR/try.rego"
refused "a text that is none" "line " tool test --policy "$DIR/try.rego" --claims "$DIR/claims.json" other/key/1
check "nothing of the trials stays" test "$(opa_modules | grep -c 't_')" -eq 0

# -- Open Policy Agent restarted, gone, hanging -----------------------------------------------------------------------
stop opa
explained "gone: refused" "the policy could not be asked: opa: " client get "$DIR/s" team/key/1
refused "and told apart from a denial" "503 PolicyDeny" client get "$DIR/s" team/key/1
refused "no policy is set unchecked" "opa: " tool set "$DIR/try.rego"
start_opa
equal "back, and empty: it is given the policy again" "value of team/key/1" "$(client get "$DIR/s" team/key/1)"
says "which the log tells" "the policy is answered again" "$(cat "$DIR/kbs.log")"
kill -KILL "$PID_opa"
explained "killed: refused" "the policy could not be asked" client get "$DIR/s" team/key/1
start_opa
hold "$PID_opa"
explained "hanging: refused in time" "no answer within 3000 ms" client get "$DIR/s" team/key/1
kill -CONT "$PID_opa"
equal "and well again" "value of team/key/1" "$(client get "$DIR/s" team/key/1)"
stop opa
spawn opa "$PYTHON" -c '
import http.server, sys
class Yes(http.server.BaseHTTPRequestHandler):
    def do_POST(self): self.reply()
    do_PUT = do_DELETE = do_POST
    def reply(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = sys.argv[2].encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def address_string(self): return "-"
import socketserver, os
class Server(socketserver.UnixStreamServer):
    def get_request(self): return self.socket.accept()[0], ("-", 0)
os.umask(0)
Server(sys.argv[1], Yes).serve_forever()' "$DIR/odd.sock" '{"result":[{"allow":"yes"}]}'
wait_for 10 "an odd engine" test -S "$DIR/odd.sock"
stop kbs
conf "engine = opa" "opa_socket = $DIR/odd.sock"
start
TOKEN=$("$PYTHON" "$JWT" sign "$DIR/etc/admin.jwk")
client auth "$DIR/s" --tee sample && client evidence "$DIR/s" && client attest "$DIR/s"
explained "an answer that is none denies" "denied" client get "$DIR/s" team/key/1

# -- by TCP, with a token -------------------------------------------------------------------------------------------------
stop kbs
printf 'package system.authz\ndefault allow := false\nallow if input.identity == "s3cret"\nallow if input.path == ["health"]\n' >"$DIR/authz.rego"
spawn opa "$OPA" run --server --addr 127.0.0.1:0 --authentication=token --authorization=basic --log-level error --skip-version-check "$DIR/authz.rego"
opa_port() { # the port that it took: nothing else of this test listens with its descriptors
    "$PYTHON" -c 'import os, sys
mine = {os.readlink(f"/proc/{sys.argv[1]}/fd/{fd}") for fd in os.listdir(f"/proc/{sys.argv[1]}/fd")}
rows = [line.split() for line in open(f"/proc/{sys.argv[1]}/net/tcp")][1:]
print(next(int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in mine))' "$PID_opa"
}
opa_serves() { PORT=$(opa_port) && curl -sf "http://127.0.0.1:$PORT/health"; }
wait_for 20 "Open Policy Agent" opa_serves
conf "engine = opa" "opa_url = http://127.0.0.1:$PORT"
start
attest "$DIR/s"
explained "without its token" "set [policy] opa_token" client get "$DIR/s" team/key/1
stop kbs
printf 's3cret\n' >"$DIR/etc/opa.token"
conf "engine = opa" "opa_url = http://127.0.0.1:$PORT" "opa_token = $DIR/etc/opa.token"
refused "a token that others can read" "chmod" "$BIN/sealed-kbs" --config "$DIR/kbs.conf" --check
chmod 600 "$DIR/etc/opa.token"
start
attest "$DIR/s"
equal "with its token" "value of team/key/1" "$(client get "$DIR/s" team/key/1)"
check "the token is in no log" test "$(cat "$DIR"/*.log | grep -c s3cret)" -eq 0

# -- back to the embedded language: each engine has a policy of its own ---------------------------------------------------
stop kbs
conf "engine = embedded"
start
says "the default is in force" "allow ** if status affirming" "$(tool get)"
says "Rego is told apart" "this is Rego, which needs [policy] engine = opa" "$(policy "$AFFIRMING")"
printf 'deny other/**\nallow ** if tee sample\n' >"$DIR/try.policy"
says "a trial there" "allow: allowed by line 2 of the resource policy" "$(tool test --policy "$DIR/try.policy" --claims "$DIR/claims.json" team/key/1)"
if out=$(tool test --policy "$DIR/try.policy" --claims "$DIR/claims.json" other/key/1); then die "policy test allows: $out"; else status=$?; fi
equal "which denies" "1 deny: denied by line 1 of the resource policy" "$status $(head -n 1 <<<"$out")"
