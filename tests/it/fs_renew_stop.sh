#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Signals while a reload is under way: a stop stops, and a second SIGHUP is a reload of its own.
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
seal warm 'sealed.5.=2000'
begun() { [ "$(grep -c 'reload$' "$DIR/fs.log")" -ge "$1" ]; }
alone() { [ "$(worker_pid)" = "$worker" ]; }
# A reload that cannot get further: its worker does not come to rest.
stuck_reload() { # how many there have been then
    worker=$(worker_pid)
    kill -STOP "$worker"
    kill -HUP "$PID_fs"
    wait_for 10 "the reload" begun "$1"
    wait_for 30 "its trial to be over" alone
}

mount_fake
stuck_reload 1
kill -TERM "$PID_fs"
wait_for 10 "the stop" grep -q 'stopping$' "$DIR/fs.log"
kill -CONT "$worker"
gone() { ! kill -0 "$PID_fs" 2>/dev/null; }
wait_for 30 "the monitor to end" gone
check "the mount is gone as well" not_mounted

# What is under way may have read the configuration before somebody wrote the next one.
mount_fake
stuck_reload 2
kill -HUP "$PID_fs"
kill -CONT "$worker"
both() { [ "$(grep -c 'has taken over' "$DIR/fs.log")" -ge 2 ]; }
wait_for 30 "both reloads" both
equal "the file system answers" 2000 "$(cat "$MNT/warm" | wc -c)"
stop fs
check "and ends" not_mounted
