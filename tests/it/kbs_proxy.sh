#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The KBS client through an HTTP proxy: everything in tunnels, with and without a password, past it where configured, whatever the
# environment says; and errors that tell the proxy from the broker.
. "$(dirname "$0")/lib.sh"
. "$HERE/probe_lib.sh"

start_proxy() { # NAME OPTION…: sets PROXY
    local name=$1
    shift
    spawn "$name" "$PYTHON" "$PEER/proxy.py" "$@" 7<&- 8>&-
    wait_for 10 "$name's port" grep -q '^[0-9]' "$DIR/$name.log"
    PROXY=http://127.0.0.1:$(head -n 1 "$DIR/$name.log")
}
requests() { grep -c " $2\$" "$DIR/$1.log" || true; } # NAME STATUS
BAD='{"unreachable":1}'

start_attestd attestd
start_kbs kbs good
start_proxy open
OPEN=$PROXY

start_probe --url "$URL" --ca "$CA" --proxy "$OPEN"
ask many 20000 50 kbs:///default/key/a
told "through the proxy" '{"ok":50}' '"wrong":0'
tunnels=$(requests open 200)
below "tunnels, kept as connections are" "$tunnels" 10
check "and at least one" test "$tunnels" -ge 1
equal "nothing but tunnels" "" "$(sed 1d "$DIR/open.log" | grep -v "^CONNECT ${URL#https://} 200\$" || true)"
equal "TLS is the broker's as ever" '[]' "$(stat_of problems)"

# What the environment says does not count, nor takes anything away.
start_kbs kbs2 good
export https_proxy=http://127.0.0.1:1 HTTPS_PROXY=http://127.0.0.1:1 all_proxy=http://127.0.0.1:1 no_proxy='*' NO_PROXY='*'
start_probe --url "$URL" --ca "$CA"
ask many 20000 1 kbs:///default/key/a
told "a proxy in the environment is not used" '{"ok":1}'
before=$(requests open 200)
start_probe --url "$URL" --ca "$CA" --proxy "$OPEN"
ask many 20000 1 kbs:///default/key/a
told "an exception in the environment does not count" '{"ok":1}'
check "it went through the proxy" test "$(requests open 200)" -gt "$before"
unset https_proxy HTTPS_PROXY all_proxy no_proxy NO_PROXY

before=$(requests open 200)
start_probe --url "$URL" --ca "$CA" --proxy "$OPEN" --no-proxy kbs.example.org --no-proxy 127.0.0.1
ask many 20000 5 kbs:///default/key/b
told "past the proxy where it is configured so" '{"ok":5}'
equal "it was not asked" "$before" "$(requests open 200)"

# -- user and password --

start_proxy closed --user 'guest:p%41ss:word'
printf 'guest:p%%41ss:word\n' >"$DIR/credential"
printf 'guest:wrong\n' >"$DIR/wrong"
chmod 0600 "$DIR/credential" "$DIR/wrong"
start_probe --url "$URL" --ca "$CA" --proxy "$PROXY" --proxy-credential "$DIR/credential"
ask many 20000 20 kbs:///default/key/c
told "with user and password" '{"ok":20}'
start_probe --url "$URL" --ca "$CA" --proxy "$PROXY"
ask many 20000 1 kbs:///default/key/c
told "without them" "$BAD" "the proxy $PROXY asks for another user and password" 'proxy_credential='
start_probe --url "$URL" --ca "$CA" --proxy "$PROXY" --proxy-credential "$DIR/wrong"
ask many 20000 1 kbs:///default/key/c
told "with others" "$BAD" "the proxy $PROXY asks for another"
check "the password is in no log of ours" bash -c "! grep -e 'ss:w' '$DIR/probe.log'"
stop_probe

# -- who is to blame --

start_proxy strict --allow kbs.example.org:443
start_probe --url "$URL" --ca "$CA" --proxy "$PROXY"
ask many 20000 1 kbs:///default/key/d
told "a proxy that does not allow this host" "$BAD" "the proxy $PROXY makes no connection to it (status 403)"
start_kbs dead good
DEAD=$URL
stop dead
start_probe --url "$DEAD" --ca "$CA" --proxy "$OPEN"
ask many 20000 1 kbs:///default/key/d
told "a proxy that cannot reach the broker" "$BAD" "$DEAD: the proxy $OPEN makes no connection to it (status 502)"
start_kbs unknown unknown
start_probe --url "$URL" --ca "$CA" --proxy "$OPEN"
ask many 20000 1 kbs:///default/key/d
told "the wrong broker behind the proxy" "$BAD" "$URL: its certificate comes from an unknown CA"
start_proxy gone
GONE=$PROXY
stop gone
start_probe --url "$URL" --ca "$CA" --proxy "$GONE"
ask many 20000 1 kbs:///default/key/d
told "no proxy there" "$BAD" "cannot connect to the proxy $GONE" 'Connection refused'
start_proxy hanging --hang
start_probe --url "$URL" --ca "$CA" --proxy "$PROXY" --request-ms 500
ask many 20000 1 kbs:///default/key/d
told "a proxy that says nothing" '{"timeout":1}' "no answer within 500 ms" "by way of the proxy $PROXY"
stop_probe

probe() { "$TESTBIN/kbs_probe" --socket "$SOCKET" --url https://127.0.0.1:1 "$@" </dev/null; }
refused "a password in the URL" 'without user or password' probe --proxy http://guest:pass@127.0.0.1:1
refused "a proxy of another kind" 'the form is http://HOST:PORT' probe --proxy socks5://127.0.0.1:1
refused "TLS to the proxy" 'the form is http://HOST:PORT' probe --proxy https://127.0.0.1:1
refused "a path" 'without a path' probe --proxy http://127.0.0.1:1/x
refused "a password without a proxy" 'proxy_credential is set without proxy' probe --proxy-credential "$DIR/credential"
printf 'guest\n' >"$DIR/half"
chmod 0600 "$DIR/half"
refused "half a password" 'user:password' probe --proxy "$OPEN" --proxy-credential "$DIR/half"
chmod 0644 "$DIR/credential"
refused "a password that everybody can read" 'chmod 640' probe --proxy "$OPEN" --proxy-credential "$DIR/credential"
