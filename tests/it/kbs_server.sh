#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sealed-kbs over real HTTPS: administrators, resources, policy, reference values, hostile requests, restart.
. "$(dirname "$0")/lib.sh"
require_root
require curl openssl
PYTHON=/usr/bin/python3 # of the distribution, which has the packages
ensure_user sealed-kbs

JWT="$HERE/admin_token.py"
URL_DIR=/kbs/v0
mkdir -p "$DIR/etc"
for kind in P-256 P-384 RSA; do "$PYTHON" "$JWT" key "$DIR/etc/$kind.jwk" "$DIR/etc/$kind.pub.jwk" "$kind"; done
for name in ed25519 stranger; do # as the administrators of a Trustee KBS make theirs
    (umask 077 && openssl genpkey -algorithm ed25519 -out "$DIR/etc/$name.pem")
    openssl pkey -in "$DIR/etc/$name.pem" -pubout -out "$DIR/etc/$name.pub.pem"
done
"$PYTHON" "$JWT" key "$DIR/etc/stranger.jwk" "$DIR/etc/stranger.pub.jwk"
"$PYTHON" "$JWT" key "$DIR/etc/token.jwk" "$DIR/etc/token.pub.jwk"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -keyout "$DIR/etc/tls.key" \
    -out "$DIR/etc/tls.crt" -addext subjectAltName=IP:127.0.0.1 2>/dev/null
chmod 600 "$DIR/etc/tls.key"
cat >"$DIR/kbs.conf" <<EOF
[server]
listen = 127.0.0.1:0
tls_cert = $DIR/etc/tls.crt
tls_key = $DIR/etc/tls.key
state_dir = $DIR/state
port_file = $DIR/port
log_level = debug
request_timeout = 2m
stop_timeout = 2m
[token]
key = $DIR/etc/token.jwk
[admin]
mode = jwt
keys = $DIR/etc/P-256.pub.jwk $DIR/etc/P-384.pub.jwk
keys = $DIR/etc/RSA.pub.jwk $DIR/etc/ed25519.pub.pem
acl = admin=^/kbs/.*\$
acl = reader=^/kbs/v0/resource(-policy)?\$
acl = publisher=^/kbs/v0/resource/.*/public\$
EOF
chmod 644 "$DIR/kbs.conf"

start() {
    rm -f "$DIR/port"
    spawn kbs "$BIN/sealed-kbs" --config "$DIR/kbs.conf"
    wait_for 10 "sealed-kbs" test -s "$DIR/port"
    BASE="https://127.0.0.1:$(cat "$DIR/port")"
}
# http METHOD PATH [CURL ARGUMENT…]: the status in $STATUS, the body in $DIR/body
http() {
    local method=$1 path=$2; shift 2
    STATUS=$(curl -s --path-as-is --cacert "$DIR/etc/tls.crt" -o "$DIR/body" -w '%{http_code}' -X "$method" "$@" "$BASE$path" || true)
    touch "$DIR/body"
    BODY=$(tr -d '\0' <"$DIR/body")
    rm -f "$DIR/body"
}
admin() { local method=$1 path=$2; shift 2; http "$method" "$path" -H "Authorization: Bearer $TOKEN" "$@"; }
answers() { # WHAT STATUS TEXT
    [ "$STATUS" = "$2" ] || die "$1: status $STATUS, not $2: $BODY"
    case "$BODY" in *"$3"*) pass "$1" ;; *) die "$1: '$BODY' does not say '$3'" ;; esac
}

# -- the configuration ------------------------------------------------------------------------------
equal "--check takes a good configuration" "the configuration is good" "$("$BIN/sealed-kbs" --config "$DIR/kbs.conf" --check)"
sed "s|^listen.*|listen = 0.0.0.0:0|; /^tls_/d" "$DIR/kbs.conf" >"$DIR/bad.conf"
refused "HTTP beyond loopback" "plain_http = yes" "$BIN/sealed-kbs" --config "$DIR/bad.conf" --check
sed "s|^key = .*|key = $DIR/etc/none.jwk|; s|^state_dir = .*|state_dir = $DIR/etc|" "$DIR/kbs.conf" >"$DIR/bad.conf"
refused "a token key that is missing where there is a state" "sealed kbs init" "$BIN/sealed-kbs" --config "$DIR/bad.conf" --check
sed "s|P-384.pub.jwk|P-384.jwk|" "$DIR/kbs.conf" >"$DIR/bad.conf"
refused "a private administrator's key" "public half" "$BIN/sealed-kbs" --config "$DIR/bad.conf" --check
cp "$DIR/etc/token.jwk" "$DIR/etc/open.jwk" && chmod 644 "$DIR/etc/open.jwk"
sed "s|^key = .*|key = $DIR/etc/open.jwk|" "$DIR/kbs.conf" >"$DIR/bad.conf"
refused "a token key that others can read" "chmod" "$BIN/sealed-kbs" --config "$DIR/bad.conf" --check
openssl ecparam -name prime256v1 -genkey -noout -out "$DIR/etc/other.key" && chmod 600 "$DIR/etc/other.key"
sed "s|^tls_key = .*|tls_key = $DIR/etc/other.key|" "$DIR/kbs.conf" >"$DIR/bad.conf"
for how in --check ""; do
    refused "another certificate's key${how:+ with $how}" "tls_cert $DIR/etc/tls.crt and tls_key $DIR/etc/other.key do not belong together" \
        timeout 120 "$BIN/sealed-kbs" --config "$DIR/bad.conf" $how
done
openssl pkcs8 -topk8 -v2 aes-256-cbc -passout pass:x -in "$DIR/etc/tls.key" -out "$DIR/etc/locked.key" && chmod 600 "$DIR/etc/locked.key"
sed "s|^tls_key = .*|tls_key = $DIR/etc/locked.key|" "$DIR/kbs.conf" >"$DIR/bad.conf"
refused "a key with a password" "tls_key $DIR/etc/locked.key holds no private key" "$BIN/sealed-kbs" --config "$DIR/bad.conf" --check
sed "s|^tls_cert = .*|tls_cert = $DIR/etc/tls.key|" "$DIR/kbs.conf" >"$DIR/bad.conf"
refused "a key for a certificate" "tls_cert $DIR/etc/tls.key does not begin with a certificate" "$BIN/sealed-kbs" --config "$DIR/bad.conf" --check
cat "$DIR/etc/tls.crt" "$DIR/etc/tls.crt" >"$DIR/etc/chain.crt"
sed "s|^tls_cert = .*|tls_cert = $DIR/etc/chain.crt|" "$DIR/kbs.conf" >"$DIR/chain.conf"
equal "a chain that begins with the key's certificate" "the configuration is good" "$("$BIN/sealed-kbs" --config "$DIR/chain.conf" --check)"
printf '[attestation]\nek_roots = %s/nowhere\n' "$DIR" | cat "$DIR/kbs.conf" - >"$DIR/bad.conf"
refused "roots that are not there" "ek_roots: directory $DIR/nowhere" "$BIN/sealed-kbs" --config "$DIR/bad.conf" --check
echo "surprise = 1" | cat "$DIR/kbs.conf" - >"$DIR/bad.conf"
refused "an unknown key" "surprise" "$BIN/sealed-kbs" --config "$DIR/bad.conf" --check
[ ! -e "$DIR/state" ] || die "--check made the store"

start
http GET /healthz
answers "healthy" 200 ok
equal "the server's user" sealed-kbs "$(ps -o user:32= -p "$PID_kbs" | tr -d ' ')"
equal "no capabilities" 0000000000000000 "$(awk '/CapEff/ {print $2}' "/proc/$PID_kbs/status")"
[ -n "${SEALED_ASAN:-}" ] || equal "a system call filter" 2 "$(awk '/^Seccomp:/ {print $2}' "/proc/$PID_kbs/status")"
refused "TLS 1.1" "" curl -s --tlsv1.0 --tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0 --cacert "$DIR/etc/tls.crt" "$BASE/healthz"

# -- administrators ---------------------------------------------------------------------------------
TOKEN=none
http GET $URL_DIR/resource
answers "no token" 401 AdminAuthAccess
admin GET $URL_DIR/resource
answers "a token that is none" 401 AdminAuthAccess
for kind in P-256 P-384 RSA; do
    TOKEN=$("$PYTHON" "$JWT" sign "$DIR/etc/$kind.jwk")
    admin GET $URL_DIR/resource
    answers "an administrator with a $kind key" 200 "[]"
done
now=$(date +%s)
for name in ed25519 stranger; do
    TOKEN=$("$PYTHON" "$JWT" sign "$DIR/etc/$name.pem" iss=Trustee sub=admin 'aud=["kbs"]' "iat=$now" "exp=$((now + 600))")
    admin GET $URL_DIR/resource
    case $name in
        ed25519) answers "an administrator's EdDSA token" 200 "[]" ;;
        *) answers "a stranger's EdDSA token" 401 "not signed by any" ;;
    esac
done
CLI=(--kbs "$BASE" --ca-file "$DIR/etc/tls.crt")
check "sealed with an Ed25519 key in PEM" "$BIN/sealed" kbs list "${CLI[@]}" --admin-key "$DIR/etc/ed25519.pem"
refused "sealed with a stranger's Ed25519 key" "not signed by any" "$BIN/sealed" kbs list "${CLI[@]}" --admin-key "$DIR/etc/stranger.pem"
TOKEN=$("$PYTHON" "$JWT" sign "$DIR/etc/stranger.jwk"); admin GET $URL_DIR/resource
answers "a stranger's signature" 401 "not signed by any"
TOKEN=$("$PYTHON" "$JWT" sign "$DIR/etc/P-256.jwk" exp=); admin GET $URL_DIR/resource
answers "no expiry" 401 "exp"
TOKEN=$("$PYTHON" "$JWT" sign "$DIR/etc/P-256.jwk" exp=1000); admin GET $URL_DIR/resource
answers "an expired token" 401 "expired"
TOKEN=$("$PYTHON" "$JWT" sign "$DIR/etc/P-256.jwk" role=); admin GET $URL_DIR/resource
answers "no role" 401 "role"
TOKEN=$("$PYTHON" "$JWT" sign "$DIR/etc/P-256.jwk" role=reader); admin GET $URL_DIR/resource
answers "a role within its rules" 200 "[]"
admin GET $URL_DIR/reference-value
answers "a role beyond its rules" 401 "may not use this endpoint"
admin GET "$URL_DIR/resource?x=/kbs/v0/resource"
answers "rules see the query" 401 "may not use this endpoint"
TOKEN=$("$PYTHON" "$JWT" sign "$DIR/etc/P-256.jwk" role=publisher)
admin POST "$URL_DIR/resource/default/key/1?/public" --data-binary evil
answers "nor does a query make a path match" 401 "may not use this endpoint"
admin POST "$URL_DIR/resource/default/key/public" --data-binary good
answers "what the rule is for" 200 ""
admin DELETE "$URL_DIR/resource/default/key/public"
TOKEN=$("$PYTHON" "$JWT" sign "$DIR/etc/P-256.jwk" nbf=9999999999); admin GET $URL_DIR/resource
answers "a token from the future" 401 "not valid yet"

# -- resources --------------------------------------------------------------------------------------
TOKEN=$("$PYTHON" "$JWT" sign "$DIR/etc/P-256.jwk")
printf 'top secret\n' >"$DIR/one"
admin POST $URL_DIR/resource/default/key/1 --data-binary "@$DIR/one"
answers "put a resource" 200 ""
equal "its mode and owner" "600 sealed-kbs" "$(stat -c '%a %U' "$DIR/state/repository/default/key/1")"
equal "its directory's mode" "700" "$(stat -c %a "$DIR/state/repository/default")"
check "its content" cmp "$DIR/one" "$DIR/state/repository/default/key/1"
printf 'flat' >"$DIR/state/repository/"'old\x2Fkey\x2F2' && chown sealed-kbs: "$DIR/state/repository/"'old\x2Fkey\x2F2'
admin GET $URL_DIR/resource
answers "list, with Trustee's flat layout" 200 '["default/key/1","old/key/2"]'
admin POST $URL_DIR/resource/old/key/2 --data-binary new
answers "replace a flat one" 200 ""
[ ! -e "$DIR/state/repository/"'old\x2Fkey\x2F2' ] || die "the flat file is still there"
admin DELETE $URL_DIR/resource/old/key/2
answers "delete" 200 ""
admin DELETE $URL_DIR/resource/old/key/2
answers "delete twice" 401 PluginInternalError
http POST $URL_DIR/resource/default/key/1 --data-binary overwritten
answers "no put without a token" 401 AdminAuthAccess
http DELETE $URL_DIR/resource/default/key/1
answers "no delete without a token" 401 AdminAuthAccess
check "the resource is as it was" cmp "$DIR/one" "$DIR/state/repository/default/key/1"
http GET $URL_DIR/resource/default/key/1
answers "a guest without a token" 401 TokenNotFound
http GET $URL_DIR/resource/default/key/1 -H "Authorization: Bearer $TOKEN"
answers "an administrator's token is no guest's" 401 TokenVerifierError

# -- raw URIs ---------------------------------------------------------------------------------------
for path in default/key/%2e%2e default%2Fkey%2F1 default/../../kbs/resource-policy ../kbs/resource-policy/x .hidden/key/1 a/b a/b/c/d "a/b/c%00"; do
    admin POST "$URL_DIR/resource/$path" --data-binary x
    [ "$STATUS" = 401 ] || [ "$STATUS" = 404 ] || die "put $path: status $STATUS"
    pass "refused: $path"
done
equal "nothing was made" "repository/default/key/1" "$(cd "$DIR/state" && find . -type f -printf '%P\n')"
admin GET "//kbs//v0///resource/"
answers "double slashes are tolerated" 200 '["default/key/1"]'
http GET "/kbs%2Fv0/resource"
answers "an encoded slash is no slash" 404 InvalidRequestPath
http GET "/kbs/v0/./resource"
answers "a dot segment is no route" 404 PluginNotFound
http GET "/kbs/v0/x/../resource"
answers "nor are two dots" 404 PluginNotFound
http GET $URL_DIR/noplugin/x
answers "an unknown plugin, as Trustee says it" 404 '{"type":"https://github.com/confidential-containers/kbs/errors/PluginNotFound","detail":"Plugin noplugin not found"}'
http GET $URL_DIR/auth
answers "GET of a POST route" 404 PluginNotFound
http GET "$URL_DIR/resource/$(printf 'a%.0s' {1..9000})/b/c"
[ "$STATUS" != 200 ] || die "a long path"
pass "a long path is refused ($STATUS)"
headers=$(curl -s --cacert "$DIR/etc/tls.crt" -D - -o /dev/null "$BASE$URL_DIR/noplugin/x")
case "${headers,,}" in *content-type*) die "errors carry no Content-Type" ;; *) pass "errors carry no Content-Type" ;; esac

# -- sizes and slow senders -------------------------------------------------------------------------
head -c 1048576 /dev/urandom >"$DIR/big"
admin POST $URL_DIR/resource/default/key/big --data-binary "@$DIR/big"
answers "1 MiB" 200 ""
check "all of it" cmp "$DIR/big" "$DIR/state/repository/default/key/big"
admin POST $URL_DIR/resource/default/key/chunked --data-binary "@$DIR/big" -H "Transfer-Encoding: chunked"
answers "1 MiB in chunks" 200 ""
check "all of the chunks" cmp "$DIR/big" "$DIR/state/repository/default/key/chunked"
printf 'x' >>"$DIR/big"
admin POST $URL_DIR/resource/default/key/toobig --data-binary "@$DIR/big"
answers "a byte more" 413 "larger than"
admin POST $URL_DIR/resource/default/key/toobig --data-binary "@$DIR/big" -H "Transfer-Encoding: chunked"
answers "a byte more in chunks" 413 "larger than"
[ ! -e "$DIR/state/repository/default/key/toobig" ] || die "the large one was stored"
# With a deadline that is short for once, in a server of its own: no other request here may be late.
stop kbs
cp "$DIR/kbs.conf" "$DIR/patient.conf"
sed 's/^request_timeout.*/request_timeout = 2s/' "$DIR/patient.conf" >"$DIR/kbs.conf"
start
"$PYTHON" - "$BASE" "$DIR/etc/tls.crt" <<'EOF'
import socket, ssl, sys, time, urllib.parse
at = urllib.parse.urlparse(sys.argv[1])
context = ssl.create_default_context(cafile=sys.argv[2])
for what, head in (("slow headers", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: "), ("slow body", b"POST /kbs/v0/auth HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")):
    begin = time.monotonic()
    link = context.wrap_socket(socket.create_connection((at.hostname, at.port)), server_hostname="127.0.0.1")
    link.sendall(head)
    link.settimeout(0.1)
    open_still = True
    while open_still and time.monotonic() - begin < 100:
        try:
            link.sendall(b"a")
            open_still = link.recv(1000) != b""
        except TimeoutError:
            pass
        except OSError:
            open_still = False
    took = time.monotonic() - begin
    if open_still or took < 1.5:  # a byte every 0.1 s: nothing but that deadline ends it
        sys.exit(f"FAIL: {what}: cut after {took:.1f} s, open {open_still}")
    print(f"ok: {what} is cut by the deadline ({took:.1f} s)")
EOF
stop kbs
cp "$DIR/patient.conf" "$DIR/kbs.conf"
start

# What a proxy in front might read otherwise closes the connection, unanswered.
"$PYTHON" - "$BASE" "$DIR/etc/tls.crt" <<'EOF'
import socket, ssl, sys, urllib.parse
at = urllib.parse.urlparse(sys.argv[1])
context = ssl.create_default_context(cafile=sys.argv[2])
def answer(lines, body=b""):
    link = context.wrap_socket(socket.create_connection((at.hostname, at.port), timeout=60), server_hostname="127.0.0.1")
    link.sendall(b"POST /kbs/v0/auth HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body)
    try:
        return link.recv(1000)
    except ConnectionError:
        return b""
good = [b"Host: x", b"Connection: close"]
for what, lines in (
    ("length and encoding", [b"Content-Length: 5", b"Transfer-Encoding: chunked"]),
    ("two lengths", [b"Content-Length: 2", b"Content-Length: 9"]),
    ("two encodings", [b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"]),
    ("an unknown encoding", [b"Transfer-Encoding: xchunked"]),
    ("a list of encodings", [b"Transfer-Encoding: gzip, chunked"]),
    ("a blank before the colon", [b"Content-Length: 5", b"Transfer-Encoding : chunked"]),
    ("two hosts", [b"Content-Length: 2", b"Host: y"]),
    ("two authorizations", [b"Content-Length: 2", b"Authorization: Bearer a", b"Authorization: Bearer b"]),
):
    got = answer(good + lines, b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    if got:
        sys.exit(f"FAIL: {what}: {got}")
    print(f"ok: {what}: closed")
if b" 401 " not in answer(good + [b"Content-Length: 2"], b"{}"):
    sys.exit("FAIL: a plain request is not answered")
EOF

# -- policy and reference values --------------------------------------------------------------------
admin GET $URL_DIR/resource-policy
answers "policy ids" 200 '["resource-policy"]'
admin GET $URL_DIR/resource-policy/resource-policy
answers "the default policy" 200 'allow ** if status affirming'
policy() { "$PYTHON" -c 'import base64,json,sys; print(json.dumps({"policy": base64.urlsafe_b64encode(sys.argv[1].encode()).decode().rstrip("=")}))' "$1"; }
admin POST $URL_DIR/resource-policy --data-binary "$(policy $'allow default/** if status affirming\nallwo **')"
answers "a policy that does not parse" 401 "line 2"
admin POST $URL_DIR/resource-policy --data-binary "$(policy $'allow default/** if status affirming\n')"
answers "a policy" 200 ""
admin POST $URL_DIR/resource-policy --data-binary "$(policy $'deny **\n')"
answers "another" 200 ""
admin GET $URL_DIR/resource-policy/resource-policy/versions
answers "both are kept" 200 '[{"version":2,'
admin GET "$URL_DIR/resource-policy/resource-policy?version=1"
answers "the one before" 200 "allow default/** if status affirming"
admin GET "$URL_DIR/resource-policy/resource-policy?version=9"
answers "one that is not kept" 401 "version 9 is not kept"
admin POST "$URL_DIR/resource-policy/resource-policy/restore?version=1"
answers "put in force again" 200 ""
admin GET $URL_DIR/resource-policy/resource-policy
answers "it is" 200 "allow default/** if status affirming"
admin POST "$URL_DIR/resource-policy/resource-policy/restore?version=2"
answers "and back" 200 ""
admin POST $URL_DIR/attestation-policy --data-binary '{"policy_id":"default_cpu","policy":"eA"}'
answers "an attestation policy" 401 "fixed rules"
reference() { "$PYTHON" -c 'import base64,json,sys; print(json.dumps({"version":"0.1.0","type":sys.argv[1],"payload":base64.b64encode(sys.argv[2].encode()).decode()}))' "$1" "$2"; }
admin POST $URL_DIR/reference-value --data-binary "$(reference sample '{"tpm_pcr07":["aa","bb"],"group/x":3}')"
answers "reference values" 200 ""
admin GET $URL_DIR/reference-value/tpm_pcr07
answers "read one back" 200 '["aa","bb"]'
admin GET $URL_DIR/reference-value/group/x
answers "with a segmented name" 200 3
admin POST $URL_DIR/reference-value --data-binary "$(reference corim '{"a":1}')"
answers "a CoRIM" 401 "corim"
admin DELETE $URL_DIR/reference-value/group/x
answers "delete one" 200 ""
admin GET $URL_DIR/reference-value/group/x
answers "which is gone" 401 RvpsError

# -- the end, with a request in flight ----------------------------------------------------------------
"$PYTHON" - "$BASE" "$DIR/etc/tls.crt" "$TOKEN" "$PID_kbs" <<'EOF'
import os, select, signal, socket, ssl, sys, urllib.parse
at = urllib.parse.urlparse(sys.argv[1])
context = ssl.create_default_context(cafile=sys.argv[2])
def link():
    plain = socket.create_connection((at.hostname, at.port), timeout=60)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")
first = link()
first.sendall(f"POST /kbs/v0/resource/late/key/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sys.argv[3]}\r\n"
              "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n".encode())
if b"100 Continue" not in first.recv(1000):
    sys.exit("FAIL: no 100 Continue")
first.sendall(b"first")
os.kill(int(sys.argv[4]), signal.SIGTERM)
while True:  # until the port is closed: the server has heard the signal
    try:
        socket.create_connection((at.hostname, at.port), timeout=60).close()
    except ConnectionRefusedError:
        break
    except ConnectionResetError:
        pass
first.sendall(b"-then")
answer = first.recv(1000)
if b" 200 " not in answer or b"close" not in answer.lower():
    sys.exit(f"FAIL: the request in flight got {answer}")
print("ok: a request in flight is answered, and its connection closed")
EOF
equal "it was stored" first-then "$(cat "$DIR/state/repository/late/key/1")"

# -- restart ----------------------------------------------------------------------------------------
stop kbs
grep -q 'stopped' "$DIR/kbs.log" || die "no graceful end"
check "no secret in the log" bash -c "! grep -q 'top secret' '$DIR/kbs.log'"
start
admin GET $URL_DIR/resource
answers "resources persist" 200 '["default/key/1","default/key/big","default/key/chunked","late/key/1"]'
admin GET $URL_DIR/resource-policy/resource-policy
answers "so does the policy" 200 'deny **'
