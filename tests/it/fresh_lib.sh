# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of freshness ask of a mount, and a reader that keeps a file open. After stack.sh.

put() { printf '%s' "$2" | kbs put "kbs:///team/secret/$1" - >/dev/null; } # NAME TEXT
seal_to() { # NAME FILE
    "$BIN/sealed" seal vault --key "$DIR/team-private.json" --output "$2" "kbs:///team/secret/$1"
}
# fresh_conf: a configuration with one mount; then, for each kind of settings, fresh_source NAME "KEY = VALUE"…: $DIR/src/NAME, shown at NAME.
fresh_conf() {
    sealedfs_conf_base
    sealedfs_conf secrets error_ttl 100ms
    sealedfs_conf secrets stamps "$DIR/changed"
    printf '[mount:test]\npath = %s\n' "$MNT" >>"$DIR/sealedfs.conf"
}
fresh_source() {
    printf '[source:%s]\ndirectory = %s\nat = %s\n' "$1" "$DIR/src/$1" "$1" >>"$DIR/sealedfs.conf"
    printf '%s\n' "${@:2}" >>"$DIR/sealedfs.conf"
}
fresh() { python3 "$HERE/fresh.py" "$@"; }
xattr() { fresh xattr "$MNT/$1" "user.sealed.$2"; }
xattr_is() { [ "$(xattr "$1" "$2")" = "$3" ]; } # NAME ATTRIBUTE VALUE
# The same just after an open: a refusal, and that nobody answered, is only remembered for a moment.
opened_is() { fresh errno "$MNT/$1" >/dev/null; xattr_is "$@"; }
known() { [ "$(xattr "$1" status)" != absent ]; } # NAME: something of it is kept
shows() { [ "$(cat "$MNT/$1" 2>/dev/null)" = "$2" ]; } # NAME TEXT
opens_as() { [ "$(fresh errno "$MNT/$1")" = "$2" ]; } # NAME ERRNO

# A reader that keeps a file open: `holder NAME`, then `ask WORD`, and `holder_end`.
holder() {
    mkfifo "$DIR/ask" "$DIR/told"
    python3 "$HERE/fresh.py" hold "$MNT/$1" "$DIR/ask" "$DIR/told" &
    HOLDER=$!
    on_exit 'kill "$HOLDER" 2>/dev/null || true'
    exec 7>"$DIR/ask" 8<"$DIR/told"
}
ask() { local answer; echo "$1" >&7; IFS= read -r answer <&8; printf '%s\n' "$answer"; }
asked_is() { [ "$(ask "$1")" = "$2" ]; }
holder_end() { echo end >&7; exec 7>&- 8<&-; wait "$HOLDER" || true; rm "$DIR/ask" "$DIR/told"; }
