#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How fresh: what is rotated, withdrawn, flushed or too old, with a broker of our own; to readers that come, to those that have the file open or
# mapped, under a bind-mounted single file, and to those who only watch.
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
. "$HERE/fresh_lib.sh"
stack_up

# One source for each kind of settings; the long one never asks again by itself, the others do after a second.
for name in long brief usable page watched; do mkdir -p "$DIR/src/$name"; done
for name in one two gone closed; do put "$name" "$name at first"; seal_to "$name" "$DIR/src/long/$name"; done
for name in rotated expired; do put "$name" "$name at first"; seal_to "$name" "$DIR/src/brief/$name"; done
put usable "usable at first"; seal_to usable "$DIR/src/usable/usable"
put hot "hot at first"; seal_to hot "$DIR/src/page/hot"
put told "told at first"; seal_to told "$DIR/src/watched/told"
mkdir "$DIR/src/watched/..2026_01_01_00_00_00.1" "$DIR/src/watched/..2026_01_02_00_00_00.2"
put flip-one "before the flip"; seal_to flip-one "$DIR/src/watched/..2026_01_01_00_00_00.1/flip"
put flip-two "after the flip"; seal_to flip-two "$DIR/src/watched/..2026_01_02_00_00_00.2/flip"
ln -s ..2026_01_01_00_00_00.1 "$DIR/src/watched/..data"
ln -s ..data/flip "$DIR/src/watched/flip"

fresh_conf
fresh_source long "fresh = 1h"
fresh_source brief "fresh = 200ms"
fresh_source usable "fresh = 200ms" "usable = 1h"
fresh_source page "fresh = 200ms" "usable = 1h" "cache = page"
fresh_source watched "fresh = 200ms" "usable = 1h" "on_change = told"
cat >>"$DIR/sealedfs.conf" <<CONF
[file:catalogued]
path = catalogued
resource = kbs:///team/secret/catalogued
fresh = 200ms
on_change = catalogued
CONF
put catalogued "catalogued at first"
mkdir -p "$MNT"
spawn sealedfs "$BIN/sealedfs" -f --config "$DIR/sealedfs.conf"
on_exit "umount -l $MNT"
wait_for 30 "the mount" mountpoint -q "$MNT"

# -- rotation --
read_is brief/rotated "rotated at first"
version=$(xattr brief/rotated version)
check "a version is known" test ${#version} -eq 16
put rotated "rotated, and longer than before"
wait_for 20 "a rotation at the broker" shows brief/rotated "rotated, and longer than before"
check "its version is another" test "$version" != "$(xattr brief/rotated version)"
touch "$DIR/subpath"
mount --bind "$MNT/brief/rotated" "$DIR/subpath"
on_exit "umount -l $DIR/subpath"
equal "a single file under a bind mount" "rotated, and longer than before" "$(cat "$DIR/subpath")"
put rotated "again"
subpath_is() { [ "$(cat "$DIR/subpath")" = "$1" ]; }
wait_for 20 "a rotation under a bind mount" subpath_is "again"
seal_to one "$DIR/src/brief/rotated"
wait_for 20 "another sealed string in the place" shows brief/rotated "one at first"

# -- attributes --
equal "nothing is known before the first open" absent "$(xattr long/one status)"
equal "nor a version" ENODATA "$(xattr long/one version)"
read_is long/one "one at first"
equal "served from memory" fresh "$(xattr long/one status)"
check "for an hour" test "$(date -d "$(xattr long/one expires)" +%s)" -gt "$(($(date +%s) + 3000))"
equal "the list" "user.sealed.expires user.sealed.status user.sealed.version" \
    "$(python3 -c 'import os,sys; print(*sorted(os.listxattr(sys.argv[1])))' "$MNT/long/one")"

# -- flush: open descriptors --
holder long/one
equal "open" "one at first" "$(ask read)"
equal "a flush takes it back" 1 "$(($("$BIN/sealed" flush | tr -dc 0-9) > 0))"
equal "at once" EKEYREVOKED "$(ask read)"
read_is long/one "one at first"
equal "and for good" EKEYREVOKED "$(ask read)"
holder_end

# -- page cache --
read_is page/hot "hot at first"
holder page/hot
equal "open" "hot at first" "$(ask read)"
equal "in the page cache" 1 "$(ask pages)"
equal "and through a mapping" h "$(ask map)"
put hot "another content"
wait_for 20 "a rotation in the page cache" shows page/hot "another content"
wait_for 20 "the descriptor to see it" asked_is read "another content"
wait_for 20 "the mapping to see it" asked_is map a
flush
wait_for 20 "the pages to go" asked_is read EKEYREVOKED
equal "none is left" 0 "$(ask pages)"
equal "nor through the mapping" "signal 7" "$(ask map)"
holder_end

# -- withdrawn --
read_is brief/expired "expired at first"
read_is long/gone "gone at first"
holder long/gone
kbs delete kbs:///team/secret/gone >/dev/null
equal "fresh: nobody is asked" "gone at first" "$(ask read)"
read_is long/gone "gone at first"
kbs delete kbs:///team/secret/expired >/dev/null
wait_for 20 "the deletion" opens_as brief/expired EKEYREVOKED
wait_for 20 "the reason as an attribute" opened_is brief/expired status revoked
equal "one withdrawn secret costs another nothing" "gone at first" "$(ask read)"
holder_end
put expired "expired at first"
wait_for 20 "it to be back" shows brief/expired "expired at first"

# -- stamps --
spawn watcher python3 "$HERE/fresh.py" watch "$DIR/changed/told" "$DIR/seen"
spawn watcher2 python3 "$HERE/fresh.py" watch "$DIR/changed/catalogued" "$DIR/seen2"
has_line() { [ "$(wc -l <"$1")" -ge "$2" ]; }
wait_for 20 "the watchers" has_line "$DIR/seen" 1
wait_for 20 "the watchers" has_line "$DIR/seen2" 1
put catalogued "another, that nobody reads"
wait_for 60 "a stamp without a reader" has_line "$DIR/seen2" 2
read_is watched/told "told at first"
read_is watched/flip "before the flip"
put told "told again"
wait_for 60 "a stamp" has_line "$DIR/seen" 2
read_is watched/told "told again"
lines=$(wc -l <"$DIR/seen")
ln -s ..2026_01_02_00_00_00.2 "$DIR/src/watched/..new"
mv -T "$DIR/src/watched/..new" "$DIR/src/watched/..data"
wait_for 60 "a stamp for a flip" has_line "$DIR/seen" $((lines + 1))
read_is watched/flip "after the flip"
check "numbers only grow" sort -c <(tail -n +2 "$DIR/seen")
check "nothing of the secret" bash -c '! grep -q told "$1"' - "$DIR/changed/told"
stop watcher
stop watcher2

# -- nobody answers --
read_is usable/usable "usable at first"
read_is long/one "one at first"
stop kbs
wait_for 20 "it to age" xattr_is usable/usable status aged
read_is usable/usable "usable at first"
wait_for 20 "it to be called stale" opened_is usable/usable status stale
read_is usable/usable "usable at first"
check "which is said once" test "$(grep -c 'no key broker answers.*team/secret/usable' "$DIR/sealedfs.log")" -ge 1
wait_for 30 "the limit of another" opens_as brief/rotated EKEYEXPIRED
open_fails long/closed EHOSTUNREACH # never served
read_is long/one "one at first"
stack_kbs
wait_for 60 "the broker to be found again" shows brief/rotated "one at first"
put usable "usable again"
wait_for 60 "the new content" shows usable/usable "usable again"

# -- the guest itself falls from grace --
read_is long/one "one at first"
holder long/one
equal "open" "one at first" "$(ask read)"
kbs agent revoke "$AGENT" >/dev/null
wait_for 60 "the broker's refusal" opens_as brief/rotated EKEYREVOKED
wait_for 20 "everything to be wiped" asked_is read EKEYREVOKED
open_fails long/one EKEYREVOKED
equal "nothing is kept" 0 "$(sealed_stat .filesystem.secrets)"
holder_end
kbs agent admit "$AGENT" >/dev/null
wait_for 60 "to be taken again" shows long/one "one at first"

# -- a new worker asks for what somebody wants to be told of, and for nothing else --
read_is brief/rotated "one at first"
exec 9<"$MNT/watched/told" # so that the kernel does not forget it meanwhile
"$BIN/sealed" upgrade --discard >/dev/null
catalogued_is() { xattr_is catalogued status "$1" || xattr_is catalogued status aged; }
wait_for 30 "a file that is watched to be fetched" catalogued_is fresh
wait_for 30 "and one of a source that was open before" known watched/told
equal "nobody asks for the others" "absent absent" "$(xattr long/one status) $(xattr brief/rotated status)"
exec 9<&-
umount "$DIR/subpath"
sealed_unmount
