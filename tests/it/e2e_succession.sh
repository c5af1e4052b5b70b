#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What is known of secrets when one worker follows another, with a broker of our own: after a reload all that the old one knew, and after its death
# nothing, so that what the kernel still has of it is dropped.
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
. "$HERE/fresh_lib.sh"
stack_up

for name in long brief usable page watched kept; do mkdir -p "$DIR/src/$name"; done
for name in one two; do put "$name" "$name at first"; seal_to "$name" "$DIR/src/long/$name"; done
for name in gone later held; do put "$name" "$name at first"; seal_to "$name" "$DIR/src/brief/$name"; done
put usable "usable at first"; seal_to usable "$DIR/src/usable/usable"
put hot "hot at first"; seal_to hot "$DIR/src/page/hot"
put told "told at first"; seal_to told "$DIR/src/watched/told"
put kept "kept at first"; seal_to kept "$DIR/src/kept/kept"

fresh_conf
fresh_source long "fresh = 1h"
fresh_source brief "fresh = 200ms"
fresh_source usable "fresh = 200ms" "usable = 1h"
fresh_source page "fresh = 1h" "cache = page"
fresh_source watched "fresh = 200ms" "on_change = told"
fresh_source kept "fresh = 1h" "on_change = kept"
mkdir -p "$MNT"
spawn sealedfs "$BIN/sealedfs" -f --config "$DIR/sealedfs.conf"
on_exit "umount -l $MNT"
wait_for 30 "the mount" mountpoint -q "$MNT"
reload() { timeout 300 "$BIN/sealed" reload >/dev/null; }
worker() { pgrep -P "$PID_sealedfs" -f -- --worker=; }
expires() { date -d "$(xattr "$1" expires)" +%s; }

# -- a reload changes nothing --
read_is long/one "one at first"
read_is kept/kept "kept at first"
read_is watched/told "told at first"
read_is usable/usable "usable at first"
version=$(xattr long/one version) told=$(xattr watched/told version) end=$(expires long/one)
stamps=$(cat "$DIR/changed/told" "$DIR/changed/kept")
check "reload" reload
equal "still fresh" fresh "$(xattr long/one status)"
equal "the version is the same" "$version" "$(xattr long/one version)"
later=$(($(expires long/one) - end))
# An age is told while it goes over, which takes 20 seconds at most (fs/handover.h), on a busy machine one or two.
check "and its end" test $later -le 21 -a $later -ge -1
read_is long/one "one at first"
equal "nobody was asked for it again" 1 "$(grep -c 'released team/secret/one ' "$DIR/kbs.log")"
read_is kept/kept "kept at first"
read_is watched/told "told at first"
equal "what was fetched anew has the version that it had" "$told" "$(xattr watched/told version)"
equal "and nobody is told of a change" "$stamps" "$(cat "$DIR/changed/told" "$DIR/changed/kept")"
put told "told again"
wait_for 60 "a change after it" shows watched/told "told again"
check "is told" test "$stamps" != "$(cat "$DIR/changed/told" "$DIR/changed/kept")"

# -- what was served before --
for name in gone later held; do read_is "brief/$name" "$name at first"; done
holder brief/held
equal "open" "held at first" "$(ask read)"
for name in gone held; do
    kbs delete "kbs:///team/secret/$name" >/dev/null
    wait_for 30 "the deletion" opens_as "brief/$name" EKEYREVOKED
done
equal "open as well" EKEYREVOKED "$(ask read)"
put held "held at first"
wait_for 30 "it to be back" shows brief/held "held at first"
check "reload" reload
open_fails brief/gone EKEYREVOKED
equal "what was revoked while it was open stays so" EKEYREVOKED "$(ask read)"
read_is brief/held "held at first"
holder_end
kbs delete kbs:///team/secret/later >/dev/null
open_fails brief/later EKEYREVOKED

# -- nobody answers --
read_is usable/usable "usable at first"
read_is brief/held "held at first"
stop kbs
aged() { xattr_is usable/usable status aged || xattr_is usable/usable status stale; }
wait_for 30 "it to age" aged
check "reload without a broker" reload
read_is usable/usable "usable at first"
read_is long/one "one at first"
open_fails brief/held EKEYEXPIRED
open_fails long/two EHOSTUNREACH # never served
stack_kbs
wait_for 60 "the broker to be found again" shows long/two "two at first"

# -- the death of a worker --
pages_are() { [ "$(ask pages)" = "$1" ]; }
killed() { # kills the worker; another one must follow
    local old
    old=$(worker)
    kill -KILL "$old"
    followed() { [ -n "$(worker)" ] && [ "$(worker)" != "$old" ]; }
    wait_for 30 "another worker" followed
}
read_is page/hot "hot at first"
holder page/hot
equal "open, and in the page cache" "hot at first 1" "$(ask read) $(ask pages)"
kbs delete kbs:///team/secret/hot >/dev/null
killed
wait_for 30 "the pages of the dead worker to go" pages_are 0
equal "what was withdrawn is not read through them" ENOKEY "$(ask read)"
equal "nor through a mapping" "signal 7" "$(ask map)"
holder_end
holder long/one
equal "a file that is served directly, mapped" "o 1" "$(ask map) $(ask pages)"
killed
wait_for 30 "its pages to go as well" pages_are 0
equal "and to be read anew" "one at first" "$(ask read)"
equal "through the mapping, too" o "$(ask map)"
holder_end
sealed_unmount
