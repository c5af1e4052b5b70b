#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The RCAR client against a KBS that was written from the protocol alone: one handshake for all, connections kept, every fault told
# apart, deadlines kept. Evidence comes from a stand-in for sealed-attestd, so no TPM is needed.
. "$(dirname "$0")/lib.sh"
. "$HERE/probe_lib.sh"

start_attestd attestd
start_kbs kbs good

# -- one handshake, one request a resource, connections kept --

start_probe --url "$URL" --ca "$CA"
ask many 120000 500 kbs:///default/key/n
told "500 cold resources at once" '{"ok":500}' '"wrong":0'
equal "one handshake for them" 1 "$(stat_of attest)"
equal "one GET for each" 500 "$(stat_of resource)"
connections=$(stat_of connections)
below "connections for 502 requests" "$connections" 10
ask same 120000 100 kbs:///default/key/same
told "one resource asked for 100 times at once" '{"ok":100}' '"wrong":0'
equal "one GET for it" 501 "$(stat_of resource)"
for i in 1 2 3 4 5 6 7 8; do ask many 120000 1 "kbs:///default/later/$i"; done
told "later reads" '{"ok":1}' '"wrong":0'
equal "no connection more" "$connections" "$(stat_of connections)"
equal "the KBS had nothing to object to" '[]' "$(stat_of problems)"
ask state
told "state" '"token":true' '"handshakes":1' '"failed":0' '"accepted":true' '"same":true'
ask cancel kbs:///default/key/cancelled
ask turn 100
told "a cancelled fetch does not call back" '{}'
ask attest 120000
told "a good token is given at once" '{"ok":1}'
equal "still one handshake" 1 "$(stat_of attest)"

# -- what the KBS refuses, and what it does to the errors --

faulty "policy denial, with the KBS's reference" resource=id:01HZ7Q "many 120000 1 kbs:///default/key/a" '{"denied-policy":1}' 'policy does not release' '"ref":"01HZ7Q"'
ask state
told "the refusal is remembered" '"refusal":"kbs:///default/key/a1'
faulty "a missing resource" resource=missing "many 120000 1 kbs:///default/key/b" '{"not-found":1}' 'no such resource'
faulty "evidence refused" attest=id:01HZ7R "many 120000 1 kbs:///default/key/c" '{"denied-policy":1}' "does not accept this guest's evidence" '"ref":"01HZ7R"'
faulty "another protocol version" auth=version "many 120000 1 kbs:///default/key/d" '{"unreachable":1}' 'this client: 0.4.0' 'expect =0.5.0'
faulty "a KBS with a problem" resource=status:503 "many 120000 1 kbs:///default/key/e" '{"unreachable":1}' 'has a problem (status 503)' 'no KBS here'
faulty "not a KBS" auth=status:404 "many 120000 1 kbs:///default/key/f" '{"format":1}' 'is this the URL of a KBS?'
faulty "a redirect is not followed" auth=redirect "many 120000 1 kbs:///default/key/g" '{"format":1}' 'redirects'
faulty "a refusal without a body" resource=empty "many 120000 1 kbs:///default/key/h" 'an empty answer'
before=$(stat_of attest)
faulty "a token that is never taken" resource=unknown-token "many 120000 1 kbs:///default/key/i" '{"denied-policy":1}' 'does not accept the token'
equal "it was replaced exactly once" "$((before + 2))" "$(stat_of attest)"
before=$(stat_of attest)
faulty "nor by a hundred resources" resource=unknown-token "many 120000 100 kbs:///default/never/a" '{"denied-policy":100}' 'does not accept the token'
below "handshakes that this cost" "$(($(stat_of attest) - before))" 5
ask forget
ask "many 120000 100 kbs:///default/never/a"
told "afterwards all is well" '{"ok":100}'

# -- garbage --

faulty "a 200 that is no JSON at /auth" auth=garbage "many 120000 1 kbs:///default/key/j" '{"format":1}' "KBS $URL" '/auth answer'
faulty "a 200 that is no JSON at /attest" attest=garbage "many 120000 1 kbs:///default/key/k" '{"format":1}' "KBS $URL" '/attest answer'
faulty "a 200 that is no JWE" resource=garbage "many 120000 1 kbs:///default/key/l" '{"format":1}' "KBS $URL"
faulty "no JWT" attest=bad-token "many 120000 1 kbs:///default/key/m" '{"format":1}' 'no JWT'
faulty "a token without expiry" attest=no-expiry "many 120000 1 kbs:///default/key/o" '{"format":1}' 'no expiry'
faulty "a token that ends before it begins" attest=expired "many 120000 1 kbs:///default/key/p" '{"format":1}' 'ends before it begins'
faulty "no session cookie" auth=no-cookie "many 120000 1 kbs:///default/key/q" '{"format":1}' 'kbs-session-id'
faulty "a resource for somebody else's key" resource=other-key "many 120000 1 kbs:///default/key/r" '{"crypto":1}'
faulty "an answer over the cap" resource=oversize:3000000 "many 120000 1 kbs:///default/key/s" '{"format":1}' 'more than'
faulty "a hundred headers" resource=headers:100 "many 120000 1 kbs:///default/key/t" '{"format":1}' 'more than 100 header lines'
faulty "a long header" resource=big-header:40000 "many 120000 1 kbs:///default/key/u" '{"format":1}' '32 KiB'
faulty "a connection that is dropped" resource=drop "many 120000 1 kbs:///default/key/v" '{"unreachable":1}' 'closed without an answer'

# -- failures are not repeated in a hurry --

faults resource=status:500
stubborn() {
    ask forget
    ask again 50 kbs:///default/key/w
}
soon resource stubborn
told "51 tries in a row, each from the callback of the last" '{"unreachable":51}' '(next try in 1 s)'
equal "reached the KBS once" "$((before + 1))" "$(stat_of resource)"
faults auth=status:500
two_hundred() {
    ask forget
    ask many 120000 100 kbs:///default/key/x
    first=$ANSWER
    ask many 120000 100 kbs:///default/key/y
}
soon auth two_hundred
second=$ANSWER ANSWER=$first
told "100 resources while /auth fails" '{"unreachable":100}'
ANSWER=$second
told "100 more" '{"unreachable":100}' '(next try in 1 s)'
equal "reached the KBS once" "$((before + 1))" "$(stat_of auth)"
faults resource=deny
ask forget
ask many 120000 1 kbs:///default/key/z
faults
ask turn 1100
ask many 120000 1 kbs:///default/key/z
told "a denial is forgotten after a second" '{"ok":1}'

# -- deadlines --

faults resource=hang
ask many 300 1 kbs:///default/slow/a
told "a hanging resource" '{"timeout":1}' 'within 300 ms, waiting for the KBS to send it'
in_time
faults auth=hang
ask forget
ask many 300 20 kbs:///default/slow/b
told "a hanging /auth" '{"timeout":20}' 'POST /kbs/v0/auth'
in_time
ask attest 200
told "a token while /auth hangs" '{"timeout":1}'
faults
ask forget
ask many 120000 3 kbs:///default/slow/b
told "afterwards all is well" '{"ok":3}'
start_probe --url "$URL" --ca "$CA" --request-ms 200
faults resource=slow:1
ask many 120000 1 kbs:///default/slow/c
told "the limit of one request" '{"timeout":1}' 'no answer within 200 ms'
faults resource=hang
ask burst 120000 50 kbs:///default/slow/d
told "the client may be freed in a callback" '"codes":{'
faults

# -- tokens --

start_kbs brief good --token-life 10
start_probe --url "$URL" --ca "$CA"
ask many 120000 1 kbs:///default/key/a
told "under a short token" '{"ok":1}'
ask turn 9100
ask many 120000 20 kbs:///default/key/b
told "after its end" '{"ok":20}'
equal "it was renewed before it was refused" "2 21" "$(stat_of attest) $(stat_of resource)"
kbs_call --data '' "$URL/forget"
ask many 120000 20 kbs:///default/key/c
told "the KBS no longer knows the token (it was started anew)" '{"ok":20}'
equal "one new handshake for all 20" 3 "$(stat_of attest)"
start_kbs past good --clock -31536000
start_probe --url "$URL" --ca "$CA"
ask many 120000 5 kbs:///default/key/a
told "a KBS whose clock is a year behind ours" '{"ok":5}'
equal "one handshake" 1 "$(stat_of attest)"
start_kbs warning good --status warning --fault resource=deny
start_probe --url "$URL" --ca "$CA"
ask many 120000 1 kbs:///default/key/a
ask state
told "evidence that neither appraisal nor policy liked is not the accepted one" '"accepted":false' '"latest":true'
kbs_call --data '' "$URL/faults"
ask many 120000 1 kbs:///default/key/b
ask state
told "with a resource released it is" '"accepted":true' '"same":true'

# -- the other end goes away --

start_kbs gone good
start_probe --url "$URL" --ca "$CA"
ask many 120000 8 kbs:///default/key/a
told "before the restart" '{"ok":8}'
stop gone
ask many 120000 1 kbs:///default/key/b
told "while it is down" '{"unreachable":1}' 'cannot connect' 'Connection refused'
start_kbs gone2 good --port "${URL##*:}"
ask forget
ask many 120000 8 kbs:///default/key/c
told "after the restart" '{"ok":8}'

# -- who the peer is --

tls() { # WHAT CERT "OPTION…" TEXT…
    local what=$1 cert=$2 options=$3
    shift 3
    start_kbs "kbs_$cert$RANDOM" "$cert"
    # shellcheck disable=SC2086
    start_probe --url "$URL" $options
    ask many 120000 1 kbs:///default/key/a
    told "$what" "$@"
}
BAD='{"unreachable":1}'
tls "expired certificate" expired "--ca $CA" "$BAD" 'has expired (valid from 20' "and this machine's clock says 20" 'renew'
tls "certificate not yet valid" early "--ca $CA" "$BAD" 'not yet valid (valid from 20' "and this machine's clock says 20" 'clock behind'
tls "another name" name "--ca $CA" "$BAD" 'for another name'
tls "unknown CA" unknown "--ca $CA" "$BAD" 'unknown CA' 'set ca_file='
tls "self-signed" self "--ca $CA" "$BAD" 'self-signed' 'set ca_file='
tls "the system's store" good "" "$BAD" "the system's CAs" 'set ca_file='
tls "the KBS's own certificate as anchor" self "--ca $DIR/certs/self.pem" '{"ok":1}'
tls "a leaf as anchor" good "--ca $DIR/certs/good.pem" '{"ok":1}'
tls "pinned key alone" unknown "--pin $(cat "$DIR/certs/unknown.pin")" '{"ok":1}'
tls "pinned key of two, name and dates not minded" expired "--pin $(cat "$DIR/certs/good.pin");$(cat "$DIR/certs/expired.pin")" '{"ok":1}'
tls "wrong pinned key" good "--pin $(cat "$DIR/certs/unknown.pin")" "$BAD" 'not the pinned one'
tls "right chain, wrong pinned key" good "--ca $CA --pin $(cat "$DIR/certs/unknown.pin")" "$BAD" 'not the pinned one'
tls "right pinned key, wrong chain" unknown "--ca $CA --pin $(cat "$DIR/certs/unknown.pin")" "$BAD" 'unknown CA'
spawn plain "$PYTHON" "$PEER/kbs.py" --any 7<&- 8>&-
wait_for 10 "plain's port" grep -q '^[0-9]' "$DIR/plain.log"
PORT=$(head -n 1 "$DIR/plain.log")
start_probe --url "https://127.0.0.1:$PORT" --ca "$CA"
ask many 120000 1 kbs:///default/key/a
told "TLS to a port without it" "$BAD" 'does not speak TLS'
start_probe --url "http://127.0.0.1:$PORT"
ask many 120000 1 kbs:///default/key/a
told "plain HTTP to this machine" '{"ok":1}'
stop_probe
probe() { "$TESTBIN/kbs_probe" --socket "$SOCKET" "$@" </dev/null; }
refused "plain HTTP to elsewhere" 'only for this machine' probe --url http://kbs.example.org:8080
refused "plain HTTP to what looks like this machine" 'has a user or password' probe --url 'http://127.0.0.1@kbs.example.org/'
refused "a URL with a path" 'has a path' probe --url https://kbs.example.org/kbs
refused "a CA file that is none" 'no certificate in PEM form' probe --url https://127.0.0.1 --ca "$DIR/certs/ca.key"
refused "a CA file that is not there" 'ca_file' probe --url https://127.0.0.1 --ca "$DIR/absent"
refused "a malformed pin" 'openssl' probe --url https://127.0.0.1 --pin sha256//short

# -- sealed-attestd --

start_kbs last good
start_attestd refusing --refuse "attestation key missing"
start_probe --url "$URL" --ca "$CA"
ask many 120000 3 kbs:///default/key/a
told "no evidence" '{"attest":3}' 'attestation key missing'
start_attestd dropping --drop
start_probe --url "$URL" --ca "$CA"
ask many 120000 1 kbs:///default/key/a
told "attestd dies over it" '{"attest":1}'
start_attestd slow --delay 5
start_probe --url "$URL" --ca "$CA"
ask many 300 1 kbs:///default/key/a
told "a slow TPM" '{"timeout":1}' 'evidence from sealed-attestd'
start_probe --url "$URL" --ca "$CA" --attest-ms 200
ask many 120000 1 kbs:///default/key/a
told "the limit of one evidence" '{"timeout":1}' 'within 200 ms'
start_attestd other --tee tpm
start_probe --url "$URL" --ca "$CA"
ask many 120000 1 kbs:///default/key/a
told "another TEE than announced" '{"attest":1}' 'tpm evidence after sample'
start_probe --url "$URL" --ca "$CA" --tee tpm
ask many 120000 1 kbs:///default/key/a
told "evidence that is not what it says" '{"denied-policy":1}'
SOCKET=$DIR/absent.sock
start_probe --url "$URL" --ca "$CA"
ask many 120000 1 kbs:///default/key/a
told "no attestd at all" '"codes":{' 'sealed-attestd'
stop_probe
