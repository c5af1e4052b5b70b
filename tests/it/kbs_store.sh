#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a broker keeps: versions and their end, encryption at rest, the change of its key while it serves.
# shellcheck source=tests/it/lib.sh
. "$(dirname "$0")/lib.sh"
require_root
require jq
ensure_user sealed-kbs
sealed=$BIN/sealed
cd "$DIR"

"$sealed" kbs init --dir "$DIR/state" --config "$DIR/kbs.conf" --admin-dir "$DIR/admin" --listen 127.0.0.1:0 --hostname localhost \
    --tee sample >/dev/null
admin=(--profile "$DIR/admin/admin.conf")
start() { # [NAME VALUE]…: of section [store]
    rm -f state/port
    cp kbs.conf now.conf
    [ $# -eq 0 ] || printf '[store]\n' >>now.conf
    while [ $# -gt 0 ]; do printf '%s = %s\n' "$1" "$2" >>now.conf; shift 2; done
    spawn kbs "$BIN/sealed-kbs" --config "$DIR/now.conf"
    wait_for 20 "sealed-kbs" test -s state/port
    url=https://127.0.0.1:$(cat state/port)
    admin=(--profile "$DIR/admin/admin.conf" --kbs "$url")
}
fails() { # WHAT TEXT, with the sections of [store] of before
    local what=$1 text=$2
    refused "$what" "$text" timeout 120 "$BIN/sealed-kbs" --config "$DIR/now.conf"
}
configure() { cp kbs.conf now.conf; printf '[store]\n' >>now.conf; while [ $# -gt 0 ]; do printf '%s = %s\n' "$1" "$2" >>now.conf; shift 2; done; }
guest() { python3 "$HERE/../peer/client.py" --url "$url" --ca admin/kbs-ca.pem read "$@" --tee sample; }

# -- versions ---------------------------------------------------------------------------------------
start
printf 'allow ** if tee sample\n' | "$sealed" kbs policy set "${admin[@]}" - || die "policy"
for value in one two three; do printf 'value %s' "$value" | "$sealed" kbs put kbs:///a/b/c "${admin[@]}" || die "put $value"; done
equal "a guest gets the newest" "value three" "$(guest a/b/c)"
equal "or the one it names" "value one" "$(guest 'a/b/c?version=1')"
refused "one that never was" PluginInternalError guest 'a/b/c?version=9'
refused "a version that is no number" PluginInternalError guest 'a/b/c?version=x'
refused "two versions" PluginInternalError guest 'a/b/c?version=1&version=2'
equal "show" "3 true,2 false,1 false" "$("$sealed" kbs show kbs:///a/b/c --json "${admin[@]}" | jq -r '[.versions[] | "\(.version) \(.current)"] | join(",")')"
equal "list --long" 1 "$("$sealed" kbs list --long "${admin[@]}" | grep -c '^kbs:///a/b/c  version 3  .*Z')"
refused "the current one is not deleted alone" "the current one" "$sealed" kbs delete kbs:///a/b/c --version 3 "${admin[@]}"
check "an old one is" "$sealed" kbs delete 'kbs:///a/b/c?version=2' "${admin[@]}"
equal "and is gone" "3,1" "$("$sealed" kbs show kbs:///a/b/c --json "${admin[@]}" | jq -r '[.versions[].version] | join(",")')"
refused "a put names no version" "leave ?version= away" "$sealed" kbs put 'kbs:///a/b/c?version=2' now.conf "${admin[@]}"

# -- until when -------------------------------------------------------------------------------------
refused "an end in the past" "not in the future" "$sealed" kbs put kbs:///a/b/c now.conf --not-after 2020-01-01T00:00:00Z "${admin[@]}"
refused "an end that is no time" "neither a time" "$sealed" kbs put kbs:///a/b/c now.conf --not-after soon "${admin[@]}"
printf 'for a while' | "$sealed" kbs put kbs:///a/b/c --not-after 90d "${admin[@]}" || die "put with an end"
equal "before its end" "for a while" "$(guest a/b/c)"
check "show says it" bash -c "'$sealed' kbs show kbs:///a/b/c ${admin[*]} | grep -q '^kbs:///a/b/c  version 4  .*  until .*Z  current'"
# On a machine so slow that the end has come before the put, again.
moment() { printf 'for a moment' | "$sealed" kbs put kbs:///a/b/c --not-after 2s "${admin[@]}"; }
wait_for 10 "a put for a moment" moment
ended() { "$sealed" kbs show kbs:///a/b/c "${admin[@]}" | grep -q 'version 5 .* expired'; }
wait_for 10 "the end of version 5" ended
refused "after its end it is released no more" PluginInternalError guest a/b/c
id=$({ guest a/b/c 2>&1 || true; } | sed -n 's/.*\[id \([0-9a-f]*\)\].*/\1/p')
"$sealed" kbs explain "$id" "${admin[@]}" >explanation
check "and the explanation says so" grep -q 'version 5 was good until 20.*Z (not-after)' explanation
equal "an older one is still good" "for a while" "$(guest 'a/b/c?version=4')"
stop kbs

# -- encryption -------------------------------------------------------------------------------------
for name in one two; do "$sealed" keygen wrapping "kek-$name" >/dev/null; done
openssl rand -hex 32 >kek-hex && chmod 600 kek-hex
configure kek_old "$DIR/kek-one"
fails "an old key alone" "kek_old without kek"
configure encryption required
fails "encryption without a key" "kek is not"
configure kek "$DIR/kbs.conf"
fails "a key that is none" "kek"
start kek "$DIR/kek-one" encryption optional
equal "plaintext of before is read where it may be" "value one" "$(guest 'a/b/c?version=1')"
printf 'under a key' | "$sealed" kbs put kbs:///a/b/d "${admin[@]}" || die "put under a key"
check "what is put is encrypted" bash -c "! grep -q 'under a key' state/repository/a/b/d"
equal "and read" "under a key" "$(guest a/b/d)"
stop kbs
start kek "$DIR/kek-one"
refused "plaintext is not read where it may not be" "503" guest 'a/b/c?version=1'
check "while the broker serves, all is encrypted" "$sealed" kbs store rewrap --config "$DIR/now.conf"
equal "then it is read" "value one" "$(guest 'a/b/c?version=1')"
check "no plaintext is left in the store" bash -c "! grep -rqE 'value (one|three)|for a (while|moment)' state/repository state/version"
equal "files belong to the broker" sealed-kbs "$(stat -c %U state/repository/a/b/c)"
stop kbs
configure kek "$DIR/kek-two"
fails "another key" "wrong key-encryption key"
configure
fails "no key" "name its file in [store] kek"
configure kek "$DIR/kek-hex" kek_old "$DIR/kek-one"
start kek "$DIR/kek-hex" kek_old "$DIR/kek-one"
equal "under the former key" "under a key" "$(guest a/b/d)"
readers=()
for _ in 1 2 3; do (for _ in 1 2 3 4; do [ "$(guest a/b/d)" = "under a key" ] || exit 1; done) & readers+=($!); done
check "rewrap while guests read" "$sealed" kbs store rewrap --config "$DIR/now.conf"
for pid in "${readers[@]}"; do wait "$pid" || die "a guest was refused during the rewrap"; done
pass "none of them was refused"
stop kbs
start kek "$DIR/kek-hex"
equal "the new key alone is enough" "under a key" "$(guest a/b/d)"
stop kbs
configure kek "$DIR/kek-one"
fails "the former one is good for nothing" "wrong key-encryption key"
start kek "$DIR/kek-hex"
cp state/repository/a/b/d state/repository/a/b/c
refused "a record under another name" 503 guest a/b/c
check "is no denial, and the log says what it is" grep -q 'of another name or version' kbs.log
check "no plaintext in the log" bash -c "! grep -qE 'under a key|value one' kbs.log"
