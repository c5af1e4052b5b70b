#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sealed kbs against a real sealed-kbs: init, resources, policy, reference values, agents, and the wrong key, CA and URL.
# shellcheck source=tests/it/lib.sh
. "$(dirname "$0")/lib.sh"
require_root
require jq openssl
ensure_user sealed-kbs
sealed=$BIN/sealed
cd "$DIR"

status() { # WHAT WANTED COMMAND…
    local what=$1 wanted=$2 got=0; shift 2
    "$@" >out 2>err </dev/null || got=$?
    [ "$got" -eq "$wanted" ] || die "$what: exit status $got, not $wanted: $(cat out err)"
    pass "$what (exit $wanted)"
}
says() { grep -qF -- "$2" err || die "$1: said '$(cat err)', not '$2'"; pass "$1"; }

# -- init ---------------------------------------------------------------------------------------
init() { "$sealed" kbs init --dir "$DIR/state" --config "$DIR/kbs.conf" --admin-dir "$DIR/admin" --listen 127.0.0.1:0 "$@"; }
status "a name that is none" 2 init --hostname 'a b'
check "nothing is left of it" test ! -e admin/kbs-ca-key.pem -a ! -e state
status "evidence that is not known" 2 init --tee toaster
check "nothing is left of that either" test ! -e kbs.conf -a ! -e admin/admin.jwk -a ! -e state
status "a user that does not exist" 2 init --user sealed-nobody-here
status "init" 0 init --hostname kbs.example.org --tee tpm --tee sample
grep -q "sealed-kbs --config $DIR/kbs.conf" out || die "init does not name the next step: $(cat out)"
for file in kbs-ca-key.pem kbs-tls-key.pem kbs-token.jwk admin.jwk; do
    equal "$file is root's alone" "600 root" "$(stat -c '%a %U' "admin/$file")"
done
equal "the state is the broker's" "700 sealed-kbs" "$(stat -c '%a %U' state)"
check "the broker has no private half of the administrator's key" jq -e 'has("d") | not' admin/admin-public.jwk
check "the certificate is the authority's" openssl verify -purpose sslserver -verify_hostname kbs.example.org -CAfile admin/kbs-ca.pem admin/kbs-tls.pem
sums=$(cat admin/* kbs.conf | sha256sum)
status "init does not overwrite" 2 init
says "and names what is there" "$DIR/admin/kbs-ca-key.pem exists"
equal "nothing has changed" "$sums" "$(cat admin/* kbs.conf | sha256sum)"
cp -p admin/kbs-tls.pem old.pem
status "renew" 0 "$sealed" kbs renew --config kbs.conf --ca admin/kbs-ca.pem --ca-key admin/kbs-ca-key.pem --hostname second.example.org
check "another certificate" bash -c '! cmp -s old.pem admin/kbs-tls.pem'
equal "for the same key" "$(openssl x509 -in old.pem -noout -pubkey)" "$(openssl x509 -in admin/kbs-tls.pem -noout -pubkey)"
for name in kbs.example.org second.example.org localhost; do
    check "it is good for $name" openssl verify -verify_hostname "$name" -CAfile admin/kbs-ca.pem admin/kbs-tls.pem
done

# -- start --------------------------------------------------------------------------------------
[ -x "$BIN/sealed-kbs" ] || skip "sealed-kbs is not built"
openssl genpkey -algorithm ed25519 -out publisher.pem
openssl pkey -in publisher.pem -pubout -out admin/publisher.pub
printf '[reference_values]\npublishers = %s\n' "$DIR/admin/publisher.pub" >>kbs.conf
spawn kbs "$BIN/sealed-kbs" --config "$DIR/kbs.conf"
wait_for 20 "sealed-kbs" test -s "$DIR/state/port"
url=https://127.0.0.1:$(cat state/port)
printf 'url = %s\n' "$url" >>admin/admin.conf
admin=(--profile "$DIR/admin/admin.conf")

# -- resources ----------------------------------------------------------------------------------
secret='plaintext that must not be listed'
printf '%s' "$secret" >secret
status "an empty list" 0 "$sealed" kbs list "${admin[@]}"
equal "is empty" "" "$(cat out)"
equal "and [] as JSON" "[]" "$("$sealed" kbs list --json "${admin[@]}" | jq -c .)"
status "put a file" 0 "$sealed" kbs put kbs:///default/secret/db secret "${admin[@]}"
printf 'a\0b' | "$sealed" kbs put kbs:///default/key/k - "${admin[@]}" || die "put from standard input"
: | "$sealed" kbs put kbs:///team/secret/empty "${admin[@]}" || die "put nothing"
head -c 1048576 /dev/zero | "$sealed" kbs put kbs:///team/secret/large "${admin[@]}" || die "put 1 MiB"
equal "what came from standard input, as it is" 3 "$(stat -c %s state/repository/default/key/k)"
equal "1 MiB" 1048576 "$(stat -c %s state/repository/team/secret/large)"
head -c 1048577 /dev/zero >over
status "more than 1 MiB" 4 "$sealed" kbs put kbs:///team/secret/over over "${admin[@]}"
status "a URI of two segments" 4 "$sealed" kbs put kbs:///team/over secret "${admin[@]}"
status "list" 0 "$sealed" kbs list "${admin[@]}"
equal "all of them" "kbs:///default/key/k kbs:///default/secret/db kbs:///team/secret/empty kbs:///team/secret/large" "$(xargs <out)"
equal "those of a prefix" "kbs:///team/secret/empty kbs:///team/secret/large" "$("$sealed" kbs list kbs:///team/ "${admin[@]}" | xargs)"
equal "as JSON" 4 "$("$sealed" kbs list --json "${admin[@]}" | jq length)"
status "get is off unless configured" 7 "$sealed" kbs get kbs:///default/secret/db "${admin[@]}"
says "and by what" "read_resources = no"
status "delete" 0 "$sealed" kbs delete kbs:///team/secret/empty "${admin[@]}"
status "delete what is not there" 11 "$sealed" kbs delete kbs:///team/secret/empty "${admin[@]}"
check "the log has no plaintext" bash -c "! grep -qF '$secret' kbs.log"
wait_for 10 "the line about who put it" grep -q 'put default/secret/db' kbs.log
pass "the log says who put it"

# -- policy -------------------------------------------------------------------------------------
"$sealed" kbs policy get "${admin[@]}" >policy
equal "the default policy" "$("$sealed" kbs policy default)" "$(cat policy)"
printf 'allow team/** if status affirming\ndeny **\n' >policy.new
status "set a policy" 0 "$sealed" kbs policy set policy.new "${admin[@]}"
"$sealed" kbs policy get "${admin[@]}" | cmp - policy.new || die "policy get"
printf 'allow team/**\n\npermit **\n' >policy.bad
status "a broken policy" 4 "$sealed" kbs policy set policy.bad "${admin[@]}"
says "its line" "policy.bad: policy line 3"
status "a broken policy that the broker checks" 4 "$sealed" kbs policy set --no-check policy.bad "${admin[@]}"
says "its line" "line 3"
"$sealed" kbs policy get "${admin[@]}" | cmp - policy.new || die "a refused policy changed something"
"$sealed" kbs policy default | "$sealed" kbs policy set - "${admin[@]}" || die "back to the default"

# -- reference values ---------------------------------------------------------------------------
pcr=$(printf 'x' | sha256sum | cut -d' ' -f1)
other=$(printf 'y' | sha256sum | cut -d' ' -f1)
status "a reference value" 0 "$sealed" kbs reference-value set tpm_pcr11 "$pcr" "$other" "${admin[@]}"
equal "get" "$pcr $other" "$("$sealed" kbs reference-value get tpm_pcr11 "${admin[@]}" | xargs)"
equal "get as JSON" "[\"$pcr\",\"$other\"]" "$("$sealed" kbs reference-value get tpm_pcr11 --json "${admin[@]}" | jq -c .)"
status "a number" 0 "$sealed" kbs reference-value set --single --integer fw/minimum 7 "${admin[@]}"
equal "bare" 7 "$("$sealed" kbs reference-value get fw/minimum --json "${admin[@]}" | jq -c .)"
equal "list" 2 "$("$sealed" kbs reference-value list --json "${admin[@]}" | jq length)"
"$sealed" kbs reference-value list "${admin[@]}" >out
check "and until when" grep -q "^tpm_pcr11  (until 20" out
check "and who set it" grep -q "$pcr  (until 20.*, set 20.* by admin" out
status "an end of its own" 0 "$sealed" kbs reference-value set --bool --expires 90d rvps:///images/guest:1.2 true "${admin[@]}"
equal "a name that is a URI" "[true]" "$("$sealed" kbs reference-value get rvps:///images/guest:1.2 --json "${admin[@]}" | jq -c .)"
status "add one" 0 "$sealed" kbs reference-value add --bool rvps:///images/guest:1.2 false "${admin[@]}"
status "remove one" 0 "$sealed" kbs reference-value remove --bool rvps:///images/guest:1.2 true "${admin[@]}"
equal "one is left" "[false]" "$("$sealed" kbs reference-value get rvps:///images/guest:1.2 --json "${admin[@]}" | jq -c .)"
status "remove it again" 3 "$sealed" kbs reference-value remove --bool rvps:///images/guest:1.2 true "${admin[@]}"
status "no time" 2 "$sealed" kbs reference-value set --expires soon x 1 "${admin[@]}"
status "a time that has passed" 3 "$sealed" kbs reference-value set --expires 2020-01-01T00:00:00Z x 1 "${admin[@]}"
status "a signed one" 0 "$sealed" kbs reference-value set --sign publisher.pem signed/x 1 "${admin[@]}"
equal "its signature is known" 43 "$("$sealed" kbs reference-value list --json "${admin[@]}" | jq '.[] | select(.name == "signed/x") | .values[0].publisher | length')"
openssl genpkey -algorithm ed25519 -out stranger.pem
status "by somebody else" 3 "$sealed" kbs reference-value set --sign stranger.pem signed/x 2 "${admin[@]}"
says "and why" "not signed by any of the configured publishers"
equal "nothing changed" 1 "$("$sealed" kbs reference-value get signed/x "${admin[@]}")"
status "delete it" 0 "$sealed" kbs reference-value delete signed/x "${admin[@]}"
status "delete the URI" 0 "$sealed" kbs reference-value delete rvps:///images/guest:1.2 "${admin[@]}"
status "no name" 2 "$sealed" kbs reference-value set '../x' 1 "${admin[@]}"
status "no value of a PCR" 2 "$sealed" kbs reference-value set tpm_pcr11 zzz "${admin[@]}"
status "no integer" 2 "$sealed" kbs reference-value set --integer x seven "${admin[@]}"
status "delete one" 0 "$sealed" kbs reference-value delete fw/minimum "${admin[@]}"
status "it is gone" 11 "$sealed" kbs reference-value get fw/minimum "${admin[@]}"
status "delete it again" 11 "$sealed" kbs reference-value delete fw/minimum "${admin[@]}"

# -- agents -------------------------------------------------------------------------------------
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out ak.pem 2>openssl.log
openssl pkey -in ak.pem -pubout -out ak.pub
openssl pkey -in ak.pem -pubout -outform DER -out ak.der
id=$(sha256sum ak.der | cut -d' ' -f1)
equal "no agent yet" "[]" "$("$sealed" kbs agent list --json "${admin[@]}" | jq -c .)"
chmod 600 ak.pem
status "a private key is no attestation key" 2 "$sealed" kbs agent add ak.pem "${admin[@]}"
status "add (PEM)" 0 "$sealed" kbs agent add ak.pub "${admin[@]}"
status "add (DER) is the same agent" 0 "$sealed" kbs agent add ak.der "${admin[@]}"
equal "its id" "$id" "$("$sealed" kbs agent list --json "${admin[@]}" | jq -r '.[].id')"
equal "it is admitted" admitted "$("$sealed" kbs agent show "$id" --json "${admin[@]}" | jq -r .state)"
status "revoke by the beginning of its id" 0 "$sealed" kbs agent revoke "${id:0:16}" "${admin[@]}"
grep -q "agent $id is revoked" out || die "revoke said $(cat out)"
equal "it is revoked" revoked "$("$sealed" kbs agent show "$id" --json "${admin[@]}" | jq -r .state)"
"$sealed" kbs agent list "${admin[@]}" >out
check "the list shows it" grep -q "^$id  revoked" out
status "admit" 0 "$sealed" kbs agent admit "$id" "${admin[@]}"
status "admit for a while" 0 "$sealed" kbs agent admit --until 90d "$id" "${admin[@]}"
check "its end is shown" test "$("$sealed" kbs agent show "$id" --json "${admin[@]}" | jq -r .until)" ">" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
status "an end that has passed" 3 "$sealed" kbs agent admit --until 2020-01-01T00:00:00Z "$id" "${admin[@]}"
status "an end that is none" 2 "$sealed" kbs agent admit --until later "$id" "${admin[@]}"
status "admit without an end" 0 "$sealed" kbs agent admit "$id" "${admin[@]}"
equal "it has none" null "$("$sealed" kbs agent show "$id" --json "${admin[@]}" | jq -r .until)"
status "no id" 2 "$sealed" kbs agent admit xyz "${admin[@]}"
status "an agent that is not there" 11 "$sealed" kbs agent show "${other}" "${admin[@]}"
status "delete an agent" 0 "$sealed" kbs agent delete "$id" "${admin[@]}"
status "it is gone" 11 "$sealed" kbs agent admit "$id" "${admin[@]}"

# -- explanations -------------------------------------------------------------------------------
status "no explanations yet" 0 "$sealed" kbs explain --list "${admin[@]}"
status "one that is not there" 11 "$sealed" kbs explain 0123456789abcdef0123456789abcdef "${admin[@]}"
status "no id" 2 "$sealed" kbs explain 'a/b' "${admin[@]}"

# -- the wrong key, authority, address ------------------------------------------------------------
"$sealed" keygen signing stranger >/dev/null
status "another administrator's key" 7 "$sealed" kbs list "${admin[@]}" --admin-key stranger-private.json
says "which key signed" "stranger-private.json"
says "where to look" "section [admin]"
status "an upload with it" 7 "$sealed" kbs put kbs:///a/b/c secret "${admin[@]}" --admin-key stranger-private.json
check "stores nothing" test ! -e state/repository/a
status "a public key" 2 "$sealed" kbs list "${admin[@]}" --admin-key "$DIR/admin/admin-public.jwk"
cp admin/admin.jwk open.jwk; chmod 644 open.jwk
status "a key that others can read" 2 "$sealed" kbs list "${admin[@]}" --admin-key open.jwk
says "the remedy" "chmod 600"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout stranger-ca.key -out stranger-ca.pem -subj /CN=stranger 2>>openssl.log
status "another certificate authority" 9 "$sealed" kbs list "${admin[@]}" --ca-file "$DIR/stranger-ca.pem"
status "no such authority file" 2 "$sealed" kbs list "${admin[@]}" --ca-file "$DIR/none.pem"
status "plain HTTP to a TLS port" 9 "$sealed" kbs list "${admin[@]}" --kbs "http://${url#https://}"
status "no profile" 2 "$sealed" kbs list --profile "$DIR/none.conf"

# -- reading back, and no broker ------------------------------------------------------------------
stop kbs
rm state/port
sed -i 's/^#read_resources = no/read_resources = yes/' kbs.conf
spawn kbs "$BIN/sealed-kbs" --config "$DIR/kbs.conf"
wait_for 20 "sealed-kbs" test -s "$DIR/state/port"
here=(--profile "$DIR/admin/admin.conf" --kbs "https://localhost:$(cat state/port)")
"$sealed" kbs get kbs:///default/secret/db "${here[@]}" | cmp - secret || die "kbs get"
"$sealed" kbs get kbs:///team/secret/large --output large "${here[@]}" || die "kbs get --output"
equal "1 MiB came back, for its owner" "1048576 600" "$(stat -c '%s %a' large)"
wait_for 10 "the line about who read it" grep -q 'read default/secret/db' kbs.log
pass "the log says who read it"
check "the log has no plaintext" bash -c "! grep -qF '$secret' kbs.log"
status "get what is not there" 11 "$sealed" kbs get kbs:///team/secret/none "${here[@]}"
status "get with another key" 7 "$sealed" kbs get kbs:///default/secret/db "${here[@]}" --admin-key stranger-private.json
stop kbs
status "no broker" 9 "$sealed" kbs list "${admin[@]}"
says "which" "${url#https://}"
