#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A mount with two brokers and a passport: hosts choose the broker, only those that the configuration names; the second broker's token comes
# from a command that the monitor runs for the worker.
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
stack_up

# A broker of another team, written from the protocol alone, and its own passport office.
/usr/bin/python3 "$HERE/../peer/certs.py" "$DIR/certs"
spawn other /usr/bin/python3 "$HERE/../peer/kbs.py" --cert "$DIR/certs/good.pem" --key "$DIR/certs/good.key" --any --token-life 60
wait_for 10 "the other broker's port" grep -q '^[0-9]' "$DIR/other.log"
OTHER=https://127.0.0.1:$(head -n 1 "$DIR/other.log")
chmod 0644 "$DIR/certs/ca.pem"
cat >"$DIR/passport" <<EOF
#!/bin/sh
umask 077
dir=\$(mktemp -d) || exit 1
trap 'rm -rf "\$dir"' EXIT
client="/usr/bin/python3 $HERE/../peer/client.py --url $OTHER --ca $DIR/certs/ca.pem"
for step in "auth \$dir/state --tee sample" "evidence \$dir/state" "attest \$dir/state"; do
    \$client \$step >/dev/null || exit 1
done
id -un >>"$DIR/who"
env >>"$DIR/env"
/usr/bin/jq '{token, tee_keypair: .key}' "\$dir/state"
EOF
chmod 0755 "$DIR/passport"
: >"$DIR/who"
chmod 0666 "$DIR/who"
: >"$DIR/env"
chmod 0666 "$DIR/env"

seal() { "$BIN/sealed" seal vault --key "$DIR/team-private.json" --output "$SOURCE/$1" "$2"; }
seal_vault here "from the default broker"
seal there kbs://broker.other.example/a/secret/b
seal nowhere kbs://evil.example/a/secret/b
"$BIN/sealed" seal vault --key "$DIR/team-private.json" --kid kbs://broker.other.example/team/signing-key/main --output "$SOURCE/signed-there" kbs:///team/secret/here
sealedfs_conf_base
sealedfs_conf secrets ttl 0s
sealedfs_conf secrets error_ttl 100ms
cat >>"$DIR/sealedfs.conf" <<EOF
[kbs:other]
host = broker.other.example
url = $OTHER
ca_file = $DIR/certs/ca.pem
token_command = $DIR/passport
token_user = nobody
EOF
sealed_mount
read_is here "from the default broker"
read_is there "plaintext of a/secret/b"
equal "the command ran as its user" nobody "$(sort -u "$DIR/who")"
check "with an empty environment" bash -c "! grep -vE '^(PATH|PWD|_|OLDPWD|SHLVL)=' '$DIR/env'"
open_fails nowhere EIO
check "explain names host and remedy" sh -c "'$BIN/sealed' explain '$MNT/nowhere' | grep -q 'host = evil.example'"
open_fails signed-there EKEYREJECTED
for line in "^key broker: https://" "^key broker: other $OTHER\$" "^mount: *$MNT (worker 1, " "^opens: " "^audit: *off, 0 records lost\$" "^health: *secrets can be served\$"; do
    check "status for people: $line" sh -c '"$1" status | grep -q "$2"' sh "$BIN/sealed" "$line"
done
cp "$DIR/sealedfs.conf" "$DIR/good.conf"
printf '[file:lost]\npath = lost\nresource = kbs://evil.example/a/secret/b\n' >>"$DIR/sealedfs.conf"
refused "a name in the configuration whose host nobody serves" "[file:lost]" "$BIN/sealed" reload
printf '[file:lost]\npath = lost\nresource = kbs:///a/secret\n' >"$DIR/lost"
cat "$DIR/good.conf" "$DIR/lost" >"$DIR/sealedfs.conf"
refused "or that is none" "[file:lost]" "$BIN/sealed" reload
cp "$DIR/good.conf" "$DIR/sealedfs.conf"
equal "status tells of both" "other $OTHER true" "$(sealed_stat '.brokers[0] | "\(.name) \(.url) \(.token)"')"

# A reload executes the monitor anew: its command still runs.
check "a reload" "$BIN/sealed" reload
: >"$DIR/who"
flush --token
read_is there "plaintext of a/secret/b"
equal "the command ran again, as its user" nobody "$(sort -u "$DIR/who")"

# Each token is its own: without the first broker the second still gives (the signer's key is kept), and the other way round.
stop kbs
read_is there "plaintext of a/secret/b"
open_fails here EHOSTUNREACH
stack_kbs
check "the default broker is back" wait_for 40 "here" grep -q "from the default broker" "$MNT/here"
stop other
flush --token
read_is here "from the default broker"
check "without the other broker its command gives nothing" bash -c "! cat '$MNT/there' 2>/dev/null"
check "explain says what gave nothing" sh -c "'$BIN/sealed' explain '$MNT/there' | grep -q token_command"
sealed_unmount

sealedfs_conf kbs:other token_command relative/path
refused "a command without a whole path" "there is no shell" "$BIN/sealedfs" --check --config "$DIR/sealedfs.conf"
sealedfs_conf kbs:other token_command "$DIR/passport"
sealedfs_conf kbs:other token_file /run/passport
refused "a file and a command" "remove one" "$BIN/sealedfs" --check --config "$DIR/sealedfs.conf"
