#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every way that programs read a file shows the whole plaintext and nothing else: warm and cold, short and long, and each refusal is an error.
. "$(dirname "$0")/lib.sh"
. "$HERE/fs_lib.sh"

head -c 300000 /dev/urandom >"$SRC/plain"
: >"$SRC/empty"
mkfifo "$SRC/fifo"
mkdir "$SRC/sub"
ln -s sub/inner "$SRC/link"
printf 'inner\n' >"$SRC/sub/inner"
for length in 300000 1048576; do seal "s$length" "sealed.1.=$length"; done
seal nothing 'sealed.1.'
mount_fake

# Each reader prints what it reads from $1. A new name for each, so that each finds the file cold, its size not yet known.
read_cat() { cat "$1"; }
read_busybox() { busybox cat "$1"; }
read_cp() { cp "$1" "$DIR/out" && cat "$DIR/out" && rm "$DIR/out"; }
read_cp_busybox() { busybox cp "$1" "$DIR/out" && cat "$DIR/out" && rm "$DIR/out"; }
read_dd() { dd if="$1" bs=1000 status=none; }
read_dd_direct() { dd if="$1" bs=4096 iflag=direct status=none; }
read_head() { head -c 2000000 "$1"; }
read_tail() { tail -c +1 "$1"; }
read_bytes() { python3 "$HERE/fs_read.py" bytes "$1"; }
read_sendfile() { python3 "$HERE/fs_read.py" sendfile "$1"; }
read_splice() { python3 "$HERE/fs_read.py" splice "$1"; }
read_copy_range() { python3 "$HERE/fs_read.py" copy_file_range "$1"; }
read_mmap() { python3 "$HERE/fs_read.py" mmap_private "$1"; }
read_text() { python3 -c 'import sys; sys.stdout.write(open(sys.argv[1]).read())' "$1"; }
read_shell() { cat <"$1"; }

for tool in cat busybox cp cp_busybox dd dd_direct head tail bytes sendfile splice copy_range mmap text shell; do
    for length in 1 4096 4097 300000; do
        wanted=$(lines "$length" | sha256sum)
        seal "cold" "sealed.1.=$length"
        [ "$("read_$tool" "$MNT/cold" | sha256sum)" = "$wanted" ] || die "$tool reads $length bytes cold"
        [ "$("read_$tool" "$MNT/cold" | sha256sum)" = "$wanted" ] || die "$tool reads $length bytes warm"
    done
    pass "$tool reads a secret"
    [ "$("read_$tool" "$MNT/nothing" | wc -c)" = 0 ] || die "$tool reads an empty secret"
    [ "$tool" = text ] && continue
    [ "$("read_$tool" "$MNT/plain" | sha256sum)" = "$(sha256sum <"$SRC/plain")" ] || die "$tool reads an ordinary file"
    [ "$("read_$tool" "$MNT/empty" | wc -c)" = 0 ] || die "$tool reads an empty file"
done
equal "the largest secret" "$(lines 1048576 | sha256sum)" "$(cat "$MNT/s1048576" | sha256sum)"
equal "a shared mapping of a secret is refused or right" ok "$(python3 "$HERE/fs_read.py" mmap_shared "$MNT/s300000" | sha256sum |
    grep -qE "^($(lines 300000 | sha256sum | cut -d' ' -f1)|$(printf 'ENODEV' | sha256sum | cut -d' ' -f1)) " && echo ok)"
equal "a shared mapping of an ordinary file" "$(sha256sum <"$SRC/plain")" "$(python3 "$HERE/fs_read.py" mmap_shared "$MNT/plain" | sha256sum)"
equal "a link is followed" inner "$(cat "$MNT/link")"
equal "a link is shown" sub/inner "$(readlink "$MNT/link")"
equal "a directory is listed" "$(ls -a "$SRC")" "$(ls -a "$MNT")"
equal "kinds of files" "$(find "$SRC" -printf '%y %P %m %U\n' | sort)" "$(find "$MNT" -printf '%y %P %m %U\n' | sort)"

# Sizes: never 0, exact as soon as it is known.
seal never 'sealed.1.!unreachable'
seal hinted 'sealed.1.#thirteen char'
seal fresh 'sealed.1.=777'
check "a secret is not empty before it is opened" test -s "$MNT/fresh"
equal "the size before is the most it may be" 1048576 "$(stat -c %s "$MNT/fresh")"
equal "fstat after open is exact" 777 "$(python3 -c 'import os,sys; print(os.fstat(os.open(sys.argv[1], os.O_RDONLY)).st_size)' "$MNT/fresh")"
equal "the size after is exact" 777 "$(stat -c %s "$MNT/fresh")"
equal "an envelope tells its size unopened" 13 "$(stat -c %s "$MNT/hinted")"

# Refusals are errors at open, for each cause its own, and never show the sealed string.
errno_of() { python3 -c 'import errno,sys
try: open(sys.argv[1],"rb").read(); print("none")
except OSError as e: print(errno.errorcode[e.errno])' "$1"; }
while read -r code wanted; do
    seal "e-$code" "sealed.1.!$code"
    equal "errno of $code" "$wanted" "$(errno_of "$MNT/e-$code")"
done <<EOF
denied-local EACCES
denied-policy EACCES
not-found ENOKEY
revoked EKEYREVOKED
stale EKEYEXPIRED
format EBADMSG
crypto EKEYREJECTED
unreachable EHOSTUNREACH
timeout ETIMEDOUT
attest EIO
config EIO
no-memory EIO
EOF
seal malformed 'sealed.nonsense'
equal "a malformed string is not shown raw" EBADMSG "$(errno_of "$MNT/malformed")"
{ printf 'sealed.1.'; head -c 1100000 /dev/zero | tr '\0' x; } >"$SRC/toolong"
check "a string beyond the limit is not shown" test "$(errno_of "$MNT/toolong")" != none
equal "nothing can be written" EROFS "$(python3 -c 'import errno,sys
try: open(sys.argv[1],"wb")
except OSError as e: print(errno.errorcode[e.errno])' "$MNT/plain")"
if cat "$MNT/never" >"$DIR/out" 2>/dev/null; then die "cat of a refused secret succeeds"; fi
equal "cat of a refused secret prints nothing" 0 "$(wc -c <"$DIR/out")"

# sendfile and mappings leave pages in the page cache; they go when nobody has the secret open any more. (To look for them from outside is to
# drop them: an open does. So this asks the worker's log for the kernel's answer.)
dropped_now() { [ "$(grep -c ': dropped$' "$DIR/fs.log")" -gt "$before" ]; }
exec 5<"$MNT/s300000"
before=$(grep -c ': dropped$' "$DIR/fs.log" || true)
python3 "$HERE/fs_read.py" sendfile "$MNT/s300000" >/dev/null
exec 5<&-
wait_for 5 "the pages to go" dropped_now
pass "pages of a secret go after the last close"
