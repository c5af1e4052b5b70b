#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where, with which modes; that units are what systemd takes and name what is installed; and that they are
# confined as far as packaging/README.md says.
. "$(dirname "$0")/lib.sh"
require cmake systemd-analyze systemd-sysusers systemd-tmpfiles
TOP=$(cd "$HERE/../.." && pwd)
ROOT=$DIR/root
DESTDIR=$ROOT cmake --install "$BIN/.." >"$DIR/install.log"
P=$(sed -n 's/^CMAKE_INSTALL_PREFIX:[A-Z]*=//p' "$BIN/../CMakeCache.txt")
UNITS="sealedfs.service sealed-attestd.service sealed-kbs.service"

diff -u - <(cd "$ROOT$P" && find . -type f -printf '%m %P\n' | sort -k 2) <<LIST || die "what is installed is not the list in this test"
755 bin/sealed
644 lib/systemd/system/sealed-attestd.service
644 lib/systemd/system/sealed-kbs.service
644 lib/systemd/system/sealedfs.service
644 lib/sysusers.d/sealedfs.conf
644 lib/tmpfiles.d/sealedfs.conf
755 sbin/sealed-attestd
755 sbin/sealed-kbs
755 sbin/sealedfs
644 share/doc/sealedfs/LICENSE
644 share/doc/sealedfs/README.md
644 share/doc/sealedfs/conf/attestd.conf
644 share/doc/sealedfs/conf/kbs.conf
644 share/doc/sealedfs/conf/sealedfs.conf
644 share/doc/sealedfs/examples/fstab
644 share/doc/sealedfs/examples/sealed.mount
644 share/doc/sealedfs/examples/secret-changed@.path
644 share/doc/sealedfs/examples/secret-changed@.service
644 share/man/man1/sealed.1
644 share/man/man5/attestd.conf.5
644 share/man/man5/kbs.conf.5
644 share/man/man5/sealedfs.conf.5
644 share/man/man8/sealed-attestd.8
644 share/man/man8/sealed-kbs.8
644 share/man/man8/sealedfs.8
LIST
pass "what is installed, and its modes"
equal "nothing is installed elsewhere, least of all in /etc" "$P" "${P%/*}$(cd "$ROOT${P%/*}" && find . -mindepth 1 -maxdepth 1 -printf '/%P')"
equal "no program carries a path of the build" "" "$(readelf -d "$ROOT$P"/*bin/* | grep -E 'RUNPATH|RPATH' || true)"

# As systemd sees it: the machine's own units around ours, and /bin/kill for them to start.
mkdir -p "$ROOT/lib/systemd" "$ROOT/etc/systemd/system" "$ROOT/bin" "$ROOT/usr/bin"
cp -R /lib/systemd/system "$ROOT/lib/systemd/"
cp "$(command -v kill || echo /bin/kill)" "$ROOT/bin/kill" 2>/dev/null || cp /bin/kill "$ROOT/bin/kill"
cp "$ROOT$P"/share/doc/sealedfs/examples/{sealed.mount,secret-changed@.path,secret-changed@.service} "$ROOT/etc/systemd/system/"
for unit in $UNITS sealed.mount secret-changed@nginx.path; do
    said=$(systemd-analyze verify --root="$ROOT" --man=no "$unit" 2>&1) || die "$unit: $said"
    equal "systemd takes $unit" "" "$(grep -E "sealed" <<<"$said" || true)"
done
for unit in $UNITS; do
    file=$ROOT$P/lib/systemd/system/$unit
    while read -r program; do
        check "$unit starts what is installed: $program" test -x "$ROOT$program"
    done < <(sed -n 's/^Exec[A-Za-z]*=\([^ ]*\).*/\1/p' "$file")
    while read -r page section; do
        check "$unit names a page that is installed: $page($section)" test -e "$ROOT$P/share/man/man$section/$page.$section"
    done < <(grep -o 'man:[a-z-]*([0-9])' "$file" | sed 's/man:\(.*\)(\(.\))/\1 \2/')
    refused "$unit has no word left of the template" "" grep -n '@[A-Z]' "$file"
    stated=$(sed -n "s/^| \`$unit\` | \([0-9.]*\) .*/\1/p" "$TOP/packaging/README.md")
    measured=$(systemd-analyze security --offline=true --no-pager "$file" | sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p')
    equal "the exposure of $unit that packaging/README.md states" "$measured" "$stated"
done

# A mount namespace of its own would hide every mount from everybody (systemd.exec(5) names what implies one).
implying='Private(Tmp|Devices|Mounts|IPC)|Protect(System|Home|KernelTunables|KernelModules|KernelLogs|ControlGroups|Proc)|ProcSubset|RootDirectory|RootImage|MountFlags|MountImages|DynamicUser'
implying="$implying|(ReadOnly|ReadWrite|Inaccessible|Exec|NoExec|Bind|BindReadOnly)Paths|TemporaryFileSystem|Extension(Images|Directories)|LogNamespace"
refused "sealedfs.service stays in the host's mount namespace" "" grep -nE "^($implying)=" "$ROOT$P/lib/systemd/system/sealedfs.service"
caps() { grep -oE 'CAP_[A-Z_]+' | sort -u; }
# CAP(name) is the macro that makes a mask of one.
missing=$(comm -23 <(caps < <(grep -oE 'CAP\(CAP_[A-Z_]+\)' "$TOP/fs/sealedfs.c")) <(caps < <(grep ^Capability "$ROOT$P/lib/systemd/system/sealedfs.service")))
equal "sealedfs.service grants every capability that the monitor keeps" "" "$missing"

# Users and directories, made in an empty root.
if [ "$(id -u)" -eq 0 ]; then
    mkdir -p "$ROOT/etc" "$ROOT/usr/lib"
    check "sysusers.d is understood" systemd-sysusers --root="$ROOT" "$ROOT$P/lib/sysusers.d/sealedfs.conf"
    for user in sealedfs sealed-attest sealed-kbs; do check "it makes the user $user" grep -q "^$user:" "$ROOT/etc/passwd"; done
    check "and puts sealed-attest into the group of the TPM" grep -qE '^tss:.*sealed-attest' "$ROOT/etc/group"
    check "tmpfiles.d is understood" systemd-tmpfiles --root="$ROOT" --create "$ROOT$P/lib/tmpfiles.d/sealedfs.conf"
    equal "the directory of sockets" "755 0" "$(stat -c '%a %u' "$ROOT/run/sealedfs")"
    equal "the broker's state" "700 $(sed -n 's/^sealed-kbs:[^:]*:\([0-9]*\):.*/\1/p' "$ROOT/etc/passwd")" "$(stat -c '%a %u' "$ROOT/var/lib/sealed-kbs")"
fi
