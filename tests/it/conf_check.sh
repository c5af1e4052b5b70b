#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sealedfs --check refuses what a start refuses, in the same words, and leaves nothing behind: what is taken at a reload is tried like this.
. "$(dirname "$0")/lib.sh"
require_root
require openssl
ensure_user sealedfs
CONF=$DIR/sealedfs.conf
MNT=$DIR/mnt
mkdir -m 0755 "$MNT" "$MNT/below" "$DIR/source" "$DIR/other"
mkdir -m 0700 "$DIR/log"
mkdir -m 0777 "$DIR/open"
chmod 0777 "$DIR/open"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$DIR/ca.key" -out "$DIR/ca.pem" -subj /CN=ca 2>/dev/null
printf 'user:password\n' >"$DIR/proxy"
chmod 0600 "$DIR/proxy"
printf 'user:password\n' >"$DIR/proxy-of-all"
chmod 0666 "$DIR/proxy-of-all"
: >"$DIR/empty"
mkdir "$DIR/log/directory"

BROKER="[kbs]
url = https://127.0.0.1:1
ca_file = $DIR/ca.pem"
MOUNT="[mount:m]
path = $MNT"
conf() { # the lines of standard input, below what every one of them needs
    printf '[control]\nsocket = %s\n[attest]\nsocket = %s\n' "$DIR/control.sock" "$DIR/attest.sock" >"$CONF"
    cat >>"$CONF"
}
list() { find "$DIR" -newer "$CONF" ! -path "$DIR/*.log" ! -path "$DIR" | sort; }

conf <<END
$BROKER
proxy = http://127.0.0.1:1
proxy_credential = $DIR/proxy
[kbs:other]
host = broker.example
url = https://127.0.0.1:2, https://127.0.0.1:3
pinned_key = sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
token_command = /bin/true
token_user = nobody
[secrets]
signers = kbs:///team/signing-key/a, kbs://broker.example/team/keys/b
vault_prefixes = kbs:///, kbs:///team/, kbs:///team/db/pass, kbs://broker.example/team
$MOUNT
by_name = yes
by_name_owner = nobody
by_name_group = daemon
[source:s]
directory = $DIR/source
[file:f]
path = db/password
resource = kbs:///default/key/1
owner = nobody
[file:g]
path = db/other
resource = kbs://broker.example/default/key/1
[file:h]
path = db/sealed
sealed_file = $DIR/other/not-yet
[rule:r]
verdict = allow
user = nobody, 4711
group = daemon
path = /sealed/[a-f]*/**
[audit]
policy = required
journal = no
file = $DIR/log/audit
[metrics]
listen = 127.0.0.1:9
[credential:c]
unit = a.service
resource = kbs:///default/key/1
END
equal "a good configuration" "the configuration is good" "$("$BIN/sealedfs" --check --config "$CONF")"
equal "nothing was made for that" "" "$(list)"

# bad WHAT TEXT: the configuration on standard input is refused, and TEXT says why, by --check and at a start.
bad() {
    conf
    refused "$1" "$2" "$BIN/sealedfs" --check --config "$CONF"
    refused "$1, at a start" "$2" timeout 100 "$BIN/sealedfs" -f --config "$CONF"
}
with() { bad "$1" "$2" <<<"$3"; }

# Users and groups.
with "a user of the worker" "no-such-user" "[mount]
user = no-such-user"
with "a user of the control socket" "control.allow_users" "[control]
allow_users = no-such-user"
with "a user of a command" "token_user" "$BROKER
token_command = /bin/true
token_user = no-such-user"
with "a command" "program $DIR/no-such-program" "$BROKER
token_command = $DIR/no-such-program x"
with "an owner of names" "[mount:m]: user no-such-user" "$MOUNT
by_name = yes
by_name_owner = no-such-user"
with "a group of names" "[mount:m]: group no-such-group" "$MOUNT
by_name = yes
by_name_group = no-such-group"
with "an owner of a file" "[file:f]: user no-such-user" "$BROKER
$MOUNT
[file:f]
path = f
resource = kbs:///a/b/c
owner = no-such-user"
with "a user of a rule" "there is no user no-such-user" "$MOUNT
[rule:r]
verdict = allow
user = no-such-user"
with "a group of a rule" "there is no group no-such-group" "$MOUNT
[rule:r]
verdict = allow
group = no-such-group"
with "a pattern of a rule" "pattern /sealed/[z-a]" "$MOUNT
[rule:r]
verdict = allow
path = /sealed/[z-a]"

# Places.
with "a mount point that is not there" "mount point $DIR/nowhere" "[mount:m]
path = $DIR/nowhere"
with "a mount point that is a file" "is not a directory" "[mount:m]
path = $DIR/empty"
with "a mount below another" "lies on or below the mount point" "$MOUNT
[mount:n]
path = $MNT/below"
with "a source" "source directory $DIR/nowhere" "$MOUNT
[source:s]
directory = $DIR/nowhere"
with "a directory of sealed files" "[file:f]: directory of sealed_file" "$MOUNT
[file:f]
path = f
sealed_file = $DIR/nowhere/f"
with "a file that is a directory of a source" "would be a directory as well" "$BROKER
$MOUNT
[source:s]
directory = $DIR/source
at = db
[file:f]
path = db
resource = kbs:///a/b/c"
with "a directory of the audit" "audit.file: directory $DIR/nowhere" "$MOUNT
[audit]
policy = required
journal = no
file = $DIR/nowhere/audit"
with "a directory that all may write" "others than root may write" "$MOUNT
[audit]
policy = required
journal = no
file = $DIR/open/audit"
[ -e /run/systemd/journal/socket ] || with "an audit without a journal" "there is no journal here" "$MOUNT
[audit]
policy = required"
with "metrics for everybody" "metrics.listen = 0.0.0.0:9" "[metrics]
listen = 0.0.0.0:9"

# Brokers.
with "a URL without TLS" "http:// without TLS is only for this machine" "[kbs]
url = http://192.0.2.1"
with "a URL that is none" "no URL of the form" "[kbs]
url = kbs.example.org"
with "the second URL" "after the host only" "[kbs]
url = https://127.0.0.1:1, https://127.0.0.1:x"
with "a CA file that is not there" "$DIR/nowhere.pem" "[kbs]
url = https://127.0.0.1:1
ca_file = $DIR/nowhere.pem"
with "a CA file without a certificate" "$DIR/empty" "[kbs]
url = https://127.0.0.1:1
ca_file = $DIR/empty"
with "a pinned key" "sha256//" "[kbs]
url = https://127.0.0.1:1
pinned_key = sha256//x"
with "a proxy" "the form is http://HOST:PORT" "$BROKER
proxy = socks5://127.0.0.1"
with "a credential that is not there" "proxy_credential" "$BROKER
proxy = http://127.0.0.1:1
proxy_credential = $DIR/nowhere"
with "a credential that all may change" "proxy_credential" "$BROKER
proxy = http://127.0.0.1:1
proxy_credential = $DIR/proxy-of-all"
with "a CA file of a further broker" "[kbs:x]" "[kbs:x]
host = a.example
url = https://127.0.0.1:1
ca_file = $DIR/nowhere.pem"
with "a host that is none" "is not what stands between" "[kbs:x]
host = a/b
url = https://127.0.0.1:1"
with "a host that two name" "host a.example is given twice" "[kbs:x]
host = a.example
url = https://127.0.0.1:1
[kbs:y]
host = a.example
url = https://127.0.0.1:1"

# Who may sign, and which names: a text that nothing fits would be found out by the first reader.
with "a signer that is no URI" "[secrets] signers: team is no key URI" "$BROKER
[secrets]
signers = team"
with "a signer's URI that is cut" "[secrets] signers: " "$BROKER
[secrets]
signers = kbs:///team/signing-key/a, kbs:///team/signing-key"
with "a signer in a broker that nobody named" "no broker is configured for host b.example" "$BROKER
[secrets]
signers = kbs://b.example/team/signing-key/a"
for prefix in team kbs:team kbs:// kbs:///team//x kbs:///a/b/c/d kbs:///a/b/c/ kbs:///../x; do
    with "the prefix $prefix" "[secrets] vault_prefixes: $prefix is not how a name begins" "$BROKER
[secrets]
vault_prefixes = $prefix"
done

# Resources.
with "a URI that is none" "[file:f]" "$BROKER
$MOUNT
[file:f]
path = f
resource = kbs:///a/b"
with "a host that no broker has" "no broker is configured for host b.example" "$BROKER
$MOUNT
[file:f]
path = f
resource = kbs://b.example/a/b/c"
with "no broker at all" "no key broker is configured" "$MOUNT
[file:f]
path = f
resource = kbs:///a/b/c"
with "a resource of a unit" "[credential:c]" "$BROKER
[credentials]
socket = $DIR/credentials.sock
[credential:c]
unit = a.service
resource = kbs:///a/b"
check "nothing is mounted after all that" bash -c "! grep -q ' $DIR' /proc/self/mounts"
