#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The sealed command without any daemon: keys, sealing, inspecting, unsealing with keys at hand, files and streams, exit statuses,
# help. What needs a broker is in cli_kbs.sh.
# shellcheck source=tests/it/lib.sh
. "$(dirname "$0")/lib.sh"
require jq openssl cmp
sealed=$BIN/sealed
cd "$DIR"

status() { # WHAT WANTED COMMAND…: the exit status, and one line on standard error when it is not 0
    local what=$1 wanted=$2 got=0; shift 2
    "$@" >out 2>err </dev/null || got=$?
    [ "$got" -eq "$wanted" ] || die "$what: exit status $got, not $wanted: $(cat err)"
    [ "$wanted" -eq 0 ] || [ "$(wc -l <err)" -eq 1 ] || die "$what: not one line of error: $(cat err)"
    pass "$what (exit $wanted)"
}
says() { grep -qF -- "$2" err || die "$1: said '$(cat err)', not '$2'"; pass "$1"; }
mode() { stat -c %a "$1"; }

# -- help ---------------------------------------------------------------------------------------
"$sealed" --help >help || die "sealed --help"
sed -n '/^Commands:/,/^$/p' help | sed -n 's/^  \([a-z -]*[a-z]\)  .*/\1/p' >commands
[ "$(wc -l <commands)" -ge 30 ] || die "sealed --help lists $(wc -l <commands) commands"
while read -r command; do
    # shellcheck disable=SC2086
    "$sealed" $command --help >out 2>err || die "$command --help"
    grep -q "^usage: sealed $command" out && [ ! -s err ] || die "$command --help: $(cat out err)"
    # shellcheck disable=SC2086
    "$sealed" help $command | cmp -s - out || die "help $command differs from $command --help"
done <commands
pass "help of $(wc -l <commands) commands"
check "the version" test "$("$sealed" --version)" = "sealed $("$sealed" --version | cut -d' ' -f2)"
status "no command" 2 "$sealed"
[ "$(id -u)" -ne 0 ] || ensure_user sealedfs
: >sealedfs.conf
equal "sealedfs --check says so" "the configuration is good" "$("$BIN/sealedfs" --config "$DIR/sealedfs.conf" --check)"
status "an option that sealedfs does not know" 2 "$BIN/sealedfs" / /mnt -o foo=bar --config "$DIR/sealedfs.conf" --check
says "the options that it knows" "foo: unknown key; known: host, url, ca_file, "
status "an unknown command" 2 "$sealed" seel vault
says "which one was meant" 'did you mean "seal vault"'
status "an unknown option" 2 "$sealed" inspect --jsn
status "a missing operand" 2 "$sealed" seal vault --key x
status "a surplus operand" 2 "$sealed" status x

# -- keys ---------------------------------------------------------------------------------------
kid=kbs:///default/signing-key/team
status "a signing key" 0 "$sealed" keygen signing team --kid "$kid"
equal "what it prints" "team-private.json team-public.json" "$(tr '\n' ' ' <out | sed 's/ $//')"
equal "the private half is private" 600 "$(mode team-private.json)"
equal "the public half is public" 644 "$(mode team-public.json)"
equal "the key's id" "$kid" "$(jq -r .kid team-public.json)"
check "no private member in the public half" jq -e 'has("d") | not' team-public.json
sum=$(cat team-*.json | sha256sum)
status "a key is not overwritten" 2 "$sealed" keygen signing team
says "and which" "team-"
mv team-private.json kept.json
status "nor its public half alone" 2 "$sealed" keygen signing team
says "and which" team-public.json
mv kept.json team-private.json
equal "nothing has changed" "$sum" "$(cat team-*.json | sha256sum)"
status "a wrapping key" 0 "$sealed" keygen wrapping wrap.key
equal "of 32 bytes" 32 "$(stat -c %s wrap.key)"
equal "for its owner" 600 "$(mode wrap.key)"
status "a wrapping key is not overwritten" 2 "$sealed" keygen wrapping wrap.key
status "a directory that is not there" 3 "$sealed" keygen wrapping none/wrap.key

# -- sealing ------------------------------------------------------------------------------------
uri=kbs:///default/key/wrap
envelope() { "$sealed" seal envelope --key team-private.json --wrapping-uri "$uri" --wrapping-key wrap.key "$@"; }
unseal() { "$sealed" unseal --signer team-public.json --wrapping-key wrap.key "$@"; }
status "a vault secret" 0 "$sealed" seal vault --key team-private.json kbs:///default/secret/db
mv out vault
check "it is one line" test "$(wc -l < <(cat vault; echo))" -eq 1
# CoCo's guest takes the content of a file to the letter: a newline after the signature would make it unreadable there.
check "and nothing after it" test "$(wc -l <vault)" -eq 0
check "but on a terminal" bash -c "script -qec \"'$sealed' seal vault --key team-private.json kbs:///default/secret/db\" /dev/null </dev/null | grep -qc '^sealed'"
check "and a sealed string" grep -q '^sealed\.' vault
"$sealed" inspect vault >inspected
equal "inspect: type" vault "$(jq -r .payload.type inspected)"
equal "inspect: name" kbs:///default/secret/db "$(jq -r .payload.name inspected)"
equal "inspect: signer" "$kid" "$(jq -r .header.kid inspected)"
equal "inspect does not claim to verify" false "$(jq -r .verified inspected)"
"$sealed" inspect <vault | cmp -s - inspected || die "inspect of standard input differs"
"$sealed" inspect --json vault | cmp -s - inspected || die "inspect --json differs"

# On a terminal a text of somebody else must not act; elsewhere it stays as it is.
escape=$(printf 'sealed.%s.%s.x' "$(printf '{"alg":"ES256"}' | basenc --base64url | tr -d =)" \
    "$(printf '{"type":"vault","name":"kbs:///a/b/\302\2332J"}' | basenc --base64url -w0 | tr -d =)")
printf '%s' "$escape" >escape
if "$sealed" inspect escape >out 2>err; then
    grep -q "$(printf '\302\233')" out || die "inspect changes what goes into a file"
    script -qec "'$sealed' inspect escape" /dev/null >typed </dev/null
    check "a terminal is not driven by what is inspected" bash -c "! LC_ALL=C grep -q \$'\xc2\x9b' typed && grep -q 'kbs:///a/b/' typed"
fi

printf 'a\0b\nc\xff\0' >binary
: >empty
head -c 524288 /dev/urandom >large
printf 'x' >one
for file in binary empty large one; do
    envelope "$file" >"$file.sealed" || die "seal $file"
    unseal "$file.sealed" >"$file.out" || die "unseal $file"
    cmp "$file" "$file.out" || die "$file came back changed"
    unseal <"$file.sealed" | cmp - "$file" || die "$file through streams"
    envelope <"$file" | unseal - | cmp - "$file" || die "$file through pipes"
    pass "there and back: $file"
done
equal "inspect tells the length" 524288 "$("$sealed" inspect large.sealed | jq .plaintext_bytes)"
head -c 1048576 /dev/zero >over
status "more than a sealed string can carry" 4 envelope over
says "the remedy" "seal its name (vault)"
printf x >>over
status "more than any secret may have" 4 envelope over
envelope one --output one.file && cmp <(unseal one.file) one || die "seal --output"
check "exactly that into the file, too" test "$(wc -l <one.file)" -eq 0
equal "a sealed string is public" 644 "$(mode one.file)"

# -- other kinds of signing keys ----------------------------------------------------------------
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 2>/dev/null | openssl pkey -pubout >other-kind.json
for curve in P-521:ES512 Ed25519:EdDSA P-256:ES256; do
    name=kind-${curve%:*}
    status "a signing key, ${curve%:*}" 0 "$sealed" keygen signing "$name" --kid "$kid" --type "${curve%:*}"
    equal "what it is for" "${curve#*:}" "$(jq -r .alg "$name-public.json")"
    "$sealed" seal envelope --key "$name-private.json" --wrapping-uri "$uri" --wrapping-key wrap.key one >"$name.sealed"
    equal "sealed with it" "${curve#*:}" "$("$sealed" inspect "$name.sealed" | jq -r .header.alg)"
    "$sealed" unseal --signer "$name-public.json" --wrapping-key wrap.key "$name.sealed" | cmp - one || die "unseal under $name"
    jq 'del(.alg)' "$name-public.json" >bare.json
    "$sealed" unseal --signer bare.json --wrapping-key wrap.key "$name.sealed" | cmp - one || die "unseal under $name without alg"
    status "another kind of signer" 5 "$sealed" unseal --signer other-kind.json --wrapping-key wrap.key "$name.sealed"
    jq '.alg = "ES384"' "$name-public.json" >wrong.json
    status "a signer for another algorithm" 5 "$sealed" unseal --signer wrong.json --wrapping-key wrap.key "$name.sealed"
done
openssl genpkey -algorithm ED25519 -out ed.pem 2>/dev/null
status "an Ed25519 key from openssl" 0 "$sealed" seal vault --key ed.pem --kid "$kid" kbs:///default/secret/db
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem 2>/dev/null
status "a key that seals nothing" 5 "$sealed" seal vault --key p384.pem --kid "$kid" kbs:///default/secret/db
status "no such kind" 2 "$sealed" keygen signing never --type P-384
says "which there are" "P-256, P-521 and Ed25519"

# -- contexts and keys --------------------------------------------------------------------------
envelope --context db/password one >bound
status "the right context" 0 unseal --path db/password bound
status "another context" 5 unseal --path db/other bound
says "names both" db/password
status "no context" 5 unseal bound
"$sealed" keygen signing other >/dev/null
"$sealed" keygen wrapping other.key >/dev/null
status "another signer" 5 "$sealed" unseal --signer other-public.json --wrapping-key wrap.key one.sealed
status "another wrapping key" 5 "$sealed" unseal --signer team-public.json --wrapping-key other.key one.sealed
status "half of the keys" 2 "$sealed" unseal --signer team-public.json one.sealed
status "a vault secret cannot be opened with keys" 2 unseal vault
sed 's/.\(.\{20\}\)$/A\1/' one.sealed >forged
cmp -s one.sealed forged && sed -i 's/A\(.\{20\}\)$/B\1/' forged
status "a forged signature" 5 unseal forged
status "no sealed string" 4 unseal team-public.json
status "inspect: no sealed string" 4 "$sealed" inspect team-public.json
status "no such file" 11 unseal nothing
status "no kid anywhere" 2 "$sealed" seal vault --key other-private.json kbs:///a/b/c
says "how to give one" --kid
status "kid by option" 0 "$sealed" seal vault --key other-private.json --kid kbs:///a/signing-key/c kbs:///a/b/c
status "no resource" 4 "$sealed" seal vault --key team-private.json kbs:///a/b
head -c 31 wrap.key >short.key; chmod 600 short.key
status "a wrapping key that is too short" 4 "$sealed" seal envelope --key team-private.json --wrapping-uri "$uri" --wrapping-key short.key one
says "what it must be" "32 random bytes"
status "a public key does not sign" 2 "$sealed" seal vault --key team-public.json kbs:///a/b/c
chmod 640 team-private.json
status "a key that the group can read" 2 "$sealed" seal vault --key team-private.json kbs:///a/b/c
says "the remedy" "chmod 600 team-private.json"
chmod 600 team-private.json
chmod 604 wrap.key
status "a wrapping key that others can read" 2 envelope one
says "the remedy" "chmod 600 wrap.key"
chmod 600 wrap.key

# -- where plaintext goes -----------------------------------------------------------------------
touch plain; chmod 644 plain
exec 7<plain
unseal --output plain one.sealed || die "unseal --output"
equal "plaintext is for its owner" 600 "$(mode plain)"
equal "who had the old file open sees nothing" "" "$(cat <&7)"
exec 7<&-
before=$(stat -c '%a %F' /dev/null)
unseal --output /dev/null one.sealed || die "unseal to /dev/null"
envelope --output /dev/null one || die "seal to /dev/null"
equal "/dev/null is as it was" "$before" "$(stat -c '%a %F' /dev/null)"
unseal --output - one.sealed | cmp - one || die "unseal --output -"
ln -s target link; printf old >target
unseal --output link one.sealed || die "unseal onto a link"
equal "a link is replaced, not followed" old "$(cat target)"
check "a full disk is no success" bash -c "! '$sealed' unseal --signer team-public.json --wrapping-key wrap.key one.sealed >/dev/full 2>/dev/null"
check "nor for a sealed string" bash -c "! '$sealed' seal vault --key team-private.json kbs:///a/b/c >/dev/full 2>/dev/null"
[ -z "$(find . -name '.sealed-tmp-*')" ] || die "left behind: $(find . -name '.sealed-tmp-*')"

# -- no agent -----------------------------------------------------------------------------------
for command in "get kbs:///a/b/c" status flush attest "explain /x" "unseal vault"; do
    # shellcheck disable=SC2086
    status "no agent: $command" 9 "$sealed" $command --socket "$DIR/none.sock"
    says "which socket" none.sock
done

# -- the policy language ------------------------------------------------------------------------
"$sealed" kbs policy default >policy
status "the default policy is in order" 0 "$sealed" kbs policy check policy
printf '# words\nallow ** if status affirming\ngrant default/**\n' >policy.bad
status "a broken policy" 4 "$sealed" kbs policy check policy.bad
says "its file and line" "policy.bad: policy line 3"
status "no policy" 11 "$sealed" kbs policy check nothing
