#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What changes in the source shows at the next open, always, however soon; what is open stays what it was; who may read is as in the source.
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"
show() { cat "$MNT/$1" 2>&1; }

# A volume as the kubelet lays it out: names -> ..data/names, ..data -> a directory with the time in its name.
volume() { # STAMP VALUE
    mkdir "$SRC/..$1"
    printf '%s' "sealed.1.$2" >"$SRC/..$1/password"
    printf '%s\n' "$2" >"$SRC/..$1/plain"
    ln -s "..$1" "$SRC/..data_tmp"
    mv -T "$SRC/..data_tmp" "$SRC/..data"
}
volume 2026_01_01_00_00_00.1 first
ln -s ..data/password "$SRC/password"
ln -s ..data/plain "$SRC/plain"
mount_fake
equal "a rotated volume" "first first" "$(show password) $(show plain)"
exec 5<"$MNT/password" 6<"$MNT/plain"
for i in $(seq 1 40); do
    volume "2026_01_01_00_00_01.$i" "value$i"
    [ "$(show password) $(show plain)" = "value$i value$i" ] || die "flip $i shows $(show password) $(show plain)"
    [ "$i" = 1 ] || rm -r "$SRC/..2026_01_01_00_00_01.$((i - 1))"
    [ "$(show password)" = "value$i" ] || die "flip $i after the old directory went"
done
pass "forty flips of ..data"
equal "what is open stays what it was" "first first" "$(cat <&5) $(cat <&6)"
exec 5<&- 6<&-
equal "contexts and log lines have no timestamp" 0 "$(grep -c '^resolve .*2026_' "$DIR/fs.log" || true)"

# A single file bound elsewhere (a subPath) is one node for good: it follows the flips, and renames over it.
mkdir "$DIR/bound"
: >"$DIR/bound/flip"
: >"$DIR/bound/name"
printf 'sealed.0.before' >"$SRC/single"
mount --bind "$MNT/password" "$DIR/bound/flip"
on_exit "umount -l $DIR/bound/flip"
mount --bind "$MNT/single" "$DIR/bound/name"
on_exit "umount -l $DIR/bound/name"
bound() { cat "$DIR/bound/$1"; }
equal "a bound file" "value40 before" "$(bound flip) $(bound name)"
exec 5<"$DIR/bound/flip"
for i in $(seq 41 60); do
    volume "2026_01_01_00_00_01.$i" "value$i-$(printf '%*s' "$i" '' | tr ' ' x)"
    [ "$(bound flip)" = "$(show password)" ] || die "flip $i under the bind mount: $(bound flip), not $(show password)"
    rm -r "$SRC/..2026_01_01_00_00_01.$((i - 1))"
    [ "$(bound flip)" = "$(show password)" ] || die "flip $i after the old directory went: $(bound flip)"
    [ "$(stat -c %s "$DIR/bound/flip")" = "$(stat -L -c %s "$MNT/password")" ] || die "flip $i: the size"
    printf 'sealed.0.after%s' "$(printf '%*s' "$i" '' | tr ' ' y)" >"$SRC/single.new"
    mv "$SRC/single.new" "$SRC/single"
    [ "$(bound name)" = "$(show single)" ] || die "rename $i under the bind mount: $(bound name)"
done
pass "twenty flips and renames show under bind mounts of single files"
equal "what is open there stays what it was" value40 "$(cat <&5)"
exec 5<&-
rm "$SRC/single"
refused "a removed file is gone there as well" "" cat "$DIR/bound/name"
umount "$DIR/bound/flip" "$DIR/bound/name"

# One name, changed in every way, without a pause.
for i in $(seq 1 100); do
    case $((i % 5)) in
    0) printf 'plain %s' "$i" >"$SRC/f" ; wanted="plain $i" ;;
    1) printf 'sealed.0.s%s' "$i" >"$SRC/f" ; wanted="s$i" ;;
    2) printf 'sealed.0.r%s' "$i" >"$SRC/f.new" ; mv "$SRC/f.new" "$SRC/f" ; wanted="r$i" ;;
    3) rm "$SRC/f" ; printf 'target %s' "$i" >"$SRC/t" ; ln -s t "$SRC/f" ; wanted="target $i" ;;
    4) rm "$SRC/f" ; wanted=none ;;
    esac
    if [ "$wanted" = none ]; then
        [ ! -e "$MNT/f" ] || die "step $i: a removed file is still there"
    else
        [ "$(show f)" = "$wanted" ] || die "step $i: wanted '$wanted', got '$(show f)'"
        [ "$(show f)" = "$wanted" ] || die "step $i, warm"
    fi
done
pass "a hundred changes of one name show at once"

# The same after everything has come to rest, so that the answers come from what the worker keeps.
printf 'sealed.0.rest' >"$SRC/f"
touch -d '1 hour ago' "$SRC/f"
rested() { [ $(($(date +%s%N) - $(python3 -c 'import os,sys; print(os.lstat(sys.argv[1]).st_ctime_ns)' "$1"))) -gt 100000000 ]; }
settle() { wait_for 5 "$1 to rest" rested "$1"; }
settle "$SRC/f"
equal "at rest" "rest rest" "$(show f) $(show f)"
printf 'sealed.0.next' >"$SRC/f"
equal "written" next "$(show f)"
settle "$SRC/f"; show f >/dev/null
printf 'sealed.0.over' >"$SRC/f.new"; mv "$SRC/f.new" "$SRC/f"
equal "replaced" over "$(show f)"
settle "$SRC/f"; show f >/dev/null
mkdir "$SRC/d"; printf 'one' >"$SRC/d/x"; settle "$SRC/d"; equal "in a directory" one "$(show d/x)"
mkdir "$SRC/e"; printf 'two' >"$SRC/e/x"; settle "$SRC/e"; equal "in another" two "$(show e/x)"
mv "$SRC/d" "$SRC/g"; mv "$SRC/e" "$SRC/d"
equal "directories changed places" two "$(show d/x)"
settle "$SRC/d"; show d/x >/dev/null
rm -r "$SRC/d"; ln -s g "$SRC/d"
equal "a directory became a link" one "$(show d/x)"
chmod 000 "$SRC/f"
settle "$SRC/f"
as_user() { setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; }
refused "a mode that was taken away" "Permission denied" as_user cat "$MNT/f"
chmod 644 "$SRC/f"
equal "and given back" over "$(as_user cat "$MNT/f")"

# However soon, however many at once, and under a bind mount, where no walk brings newer attributes: nobody is let in by what the kernel was told
# before. The kernel drops what it is told when something else of the node changes in the same moment, such as the end of an open.
: >"$DIR/bound/mode"
mkdir "$SRC/dir"
printf 'sealed.0.over' >"$SRC/dir/f"
mount --bind "$MNT/f" "$DIR/bound/mode"
on_exit "umount -l $DIR/bound/mode"
modes() { # ROUNDS ARGUMENT...
    python3 "$HERE/mode_race.py" "$@"
}
modes 1500 "$SRC/f" "$MNT/f" "$DIR/bound/mode" || die "a mode that was changed a moment ago"
modes 500 "$SRC/dir" "$MNT/dir/f" || die "a directory's mode that was changed a moment ago"
pass "two thousand changes of modes: what is taken is gone at once, what is given comes"
check "whom the kernel would have let in, the worker refused" grep -q "mode 640 of user 0 and group 0 does not let process" "$DIR/fs.log"
# Who may by his groups or capabilities alone still may, though the kernel may have gone by another mode.
chmod 640 "$SRC/f"
chgrp daemon "$SRC/f"
in_group() { setpriv --reuid=nobody --regid=nogroup --groups=daemon "$@"; }
equal "a member of the group" "over over" "$(in_group cat "$MNT/f") $(in_group cat "$DIR/bound/mode")"
refused "no member" "Permission denied" as_user cat "$DIR/bound/mode"
chown nobody "$SRC/f"
chmod 400 "$SRC/f"
equal "root, with his capabilities" "over over" "$(cat "$MNT/f") $(cat "$DIR/bound/mode")"
no_capability() { setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search "$@"; }
refused "root without them" "Permission denied" no_capability cat "$DIR/bound/mode"
equal "the owner" over "$(as_user cat "$DIR/bound/mode")"
chown root:root "$SRC/f"
chmod 644 "$SRC/f"
umount "$DIR/bound/mode"
rm -r "$SRC/dir"

# Open files outlive their names.
exec 5<"$MNT/f"
rm "$SRC/f"
equal "read after removal" over "$(cat <&5)"
exec 5<"$MNT/g/x"
printf 'later' >"$SRC/g/y"; mv "$SRC/g/y" "$SRC/g/x"
equal "an ordinary file after replacement" "one later" "$(cat <&5) $(show g/x)"
exec 5<&-

# Nothing leads out of the source, whatever lies in it.
ln -s /etc/hostname "$SRC/out"
ln -s ../../../../../../etc "$SRC/up"
equal "an absolute link is only a link" /etc/hostname "$(readlink "$MNT/out")"
equal "and followed in the caller's own view" "$(cat /etc/hostname)" "$(show out)"
stop fs
check "unmounted" not_mounted

# A source that only root may enter, with files of others in it: the worker has no right to any of it and shows it all the same.
chmod 700 "$SRC"
printf 'sealed.0.daemon' >"$SRC/theirs"; chown daemon "$SRC/theirs"; chmod 600 "$SRC/theirs"
mkdir -m 700 "$SRC/private"; printf 'sealed.0.deep' >"$SRC/private/deep"; chmod 600 "$SRC/private/deep"
mount_fake
equal "a root-only source" "daemon deep" "$(show theirs) $(show private/deep)"
refused "to root only" "Permission denied" as_user cat "$MNT/private/deep"
equal "owner and mode" "daemon 600" "$(stat -c '%U %a' "$MNT/theirs")"
stop fs

# A mount over its own source.
chmod 755 "$SRC"
MNT=$SRC
mount_fake
equal "mounted over the source" "daemon" "$(show theirs)"
