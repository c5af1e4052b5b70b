#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# /etc/resolv.conf leads into a directory of /run that its service makes when the daemon runs already, as at boot: the worker, which Landlock holds, reads it.
[ -n "${SEALED_OWN_MOUNTS:-}" ] || SEALED_OWN_MOUNTS=1 exec unshare --mount --propagation private bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
require_root
require busybox
release_only "sanitizer builds have no Landlock (sandbox.h)"
ensure_user sealedfs
# An /etc and a /run of our own.
mkdir "$DIR/etc"
cp -a /etc/. "$DIR/etc/"
mount --bind "$DIR/etc" /etc
mount -t tmpfs -o mode=0755 tmpfs /run
rm -f /etc/resolv.conf

# late TARGET DIRECTORY WANTED: what resolv.conf leads to, where that appears later, and whether the worker reads it then.
late() {
    ln -sfn "$1" /etc/resolv.conf
    rm -rf "${2:?}"
    printf '[control]\nsocket = %s\n' "$DIR/control.sock" >"$DIR/conf"
    "$BIN/sealedfs" -f --config "$DIR/conf" >>"$DIR/sealedfs.log" 2>&1 &
    local monitor=$!
    on_exit "stop_pid $monitor"
    serving() { worker=$(pgrep -P "$monitor" -f -- --worker=) && [ "$(awk '$1 == "Seccomp:" { print $2 }' "/proc/$worker/status")" = 2 ] && grep -q "worker $worker serves" "$DIR/sealedfs.log"; }
    wait_for 10 "the worker" serving
    mkdir -p "$2"
    chmod -R a+rX /run
    echo 'nameserver 127.0.0.1' >"$2/resolv.conf"
    chmod 0644 "$2/resolv.conf"
    equal "$1: the worker reads what came later" "$3" "$("$TESTBIN/inject" "$worker" read "$2/resolv.conf")"
    equal "$1: and no other file" EACCES "$("$TESTBIN/inject" "$(pgrep -P "$monitor" -f -- --worker=)" read /usr/bin/env)"
    stop_pid "$monitor"
}
late ../run/systemd/resolve/resolv.conf /run/systemd/resolve ok
late /run/NetworkManager/resolv.conf /run/NetworkManager ok
late /elsewhere/resolv.conf /run/systemd/resolve EACCES
