#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Opens that wait: one resolution for any number of them, nobody else waits with them, a signal and a deadline end them.
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
seal slow 'sealed.2000.slow answer'
seal warm 'sealed.0.warm'
seal dead 'sealed.600000.never'
seal refuse 'sealed.20.!unreachable'
for i in $(seq 1000); do printf 'sealed.200.?%s' "$DIR/gate" >"$SRC/cold$i"; done
chmod 755 "$DIR"
printf 'plain\n' >"$SRC/plain"
mount_fake open_timeout=5m,error_ttl=1m
cat "$MNT/warm" >/dev/null

check "a thousand opens by 32 processes, and everything else at once" python3 "$HERE/fs_park.py" crowd "$MNT" "$DIR/fs.log" "$DIR/gate"
equal "one resolution for each file" 1000 "$(grep -c '^resolve cold' "$DIR/fs.log")"
check "hundreds wait for one secret" python3 "$HERE/fs_park.py" same "$MNT/slow"
equal "which is resolved once" 1 "$(resolved slow)"

check "a signal ends the wait of its caller alone" python3 "$HERE/fs_park.py" interrupt "$MNT/dead"
equal "the resolution went on for others" 1 "$(resolved dead)"
for _ in 1 2 3 4 5; do cat "$MNT/refuse" 2>/dev/null && die "a refused open succeeds"; done
equal "a refusal is not asked for again at once" 1 "$(resolved refuse)"
stop fs

seal dead2 'sealed.600000.never'
mount_fake open_timeout=300ms
equal "the deadline" ETIMEDOUT "$(python3 "$HERE/fs_park.py" errno "$MNT/dead2")"
stop fs

seal brief 'sealed.0.@'"$DIR/value"
chmod 755 "$DIR"
printf 'short' >"$DIR/value"
mount_fake ttl=200ms
equal "the first value" short "$(cat "$MNT/brief")"
printf 'a longer value than before' >"$DIR/value"
wait_for 5 "the time to live to pass" test "$(cat "$MNT/brief")" != x
fresh() { [ "$(busybox cat "$MNT/brief")" = 'a longer value than before' ]; }
wait_for 5 "the new value" fresh
stop fs

printf 'short' >"$DIR/value"
mount_fake ttl=0s
equal "without a cache" short "$(busybox cat "$MNT/brief")"
printf 'a longer value than before' >"$DIR/value"
equal "a longer value is not cut" 'a longer value than before' "$(busybox cat "$MNT/brief")"
printf 'tiny' >"$DIR/value"
equal "nor a shorter one filled" tiny "$(busybox cat "$MNT/brief")"

# Nothing is kept, and somebody has the shorter secret open, whose length is what the kernel was told.
printf 'short' >"$DIR/value"
exec 5<"$MNT/brief"
printf 'a longer value than before' >"$DIR/value"
equal "a secret that grew can be opened beside its predecessor" 'a longer value than before' "$(busybox cat "$MNT/brief")"
equal "which stays what it was" short "$(cat <&5)"
exec 5<&-
stop fs
