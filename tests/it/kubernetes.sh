#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# packaging/kubernetes parses and agrees with the programs: their options, their configuration, where they are installed and what they are linked with.
. "$(dirname "$0")/lib.sh"
require_root
require python3 ldd dpkg-query openssl
ensure_user sealedfs
K8S=$(cd "$HERE/../../packaging/kubernetes" && pwd)
OUT=$DIR/conf
mkdir "$OUT"
python3 "$HERE/kubernetes.py" "$K8S" "$OUT" >"$DIR/commands" || die "the objects do not agree with each other"
pass "the objects agree with each other"

# The daemons read them as root's own.
chmod 0644 "$OUT"/*
# The certificate is the cluster's own, and the ConfigMap is not at its place here.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$DIR/ca.key" -out "$DIR/ca.pem" -subj /CN=ca 2>/dev/null
sed "s,/etc/sealedfs/kbs-ca.pem,$DIR/ca.pem," "$OUT/sealedfs.conf" >"$DIR/sealedfs.conf"
equal "the ConfigMap's sealedfs.conf is good" "the configuration is good" "$("$BIN/sealedfs" --config "$DIR/sealedfs.conf" --check)"
equal "and its attestd.conf" "the configuration is good" "$("$BIN/sealed-attestd" --config "$OUT/attestd.conf" --check | tail -n 1)"
check "which is the file that the CA is read from" test "$(sed -n 's/^ca_file = \/etc\/sealedfs\///p' "$OUT/sealedfs.conf")" = kbs-ca.pem -a -e "$OUT/kbs-ca.pem"

sed -n '/^       \[mount:/,/^$/s/^ *//p' "$K8S/../coco.md" >"$OUT/coco.conf"
chmod 0644 "$OUT/coco.conf"
# Below the ConfigMap's lines, as it says, and on a mount point that is there.
mkdir "$DIR/mnt"
sed "s,^path = /run/sealed/secrets\$,path = $DIR/mnt," "$OUT/coco.conf" | cat "$DIR/sealedfs.conf" - >"$DIR/coco.conf"
check "the catalogue of coco.md is one" grep -q '^\[file:' "$OUT/coco.conf"
equal "and good" "the configuration is good" "$("$BIN/sealedfs" --config "$DIR/coco.conf" --check)"
for word in $(grep -oE '`sealed [a-z-]+( [a-z][a-z-]*)*' "$K8S/../coco.md" "$K8S/README.md" | sed 's/.*`sealed //; s/ /_/g' | sort -u); do
    check "there is a command sealed ${word//_/ }" grep -qE "^  ${word//_/ }( |\$)" <<<"$("$BIN/sealed" --help)"
done

while read -r program words; do
    for word in $words; do
        case $word in
        --*) check "$program knows $word" grep -q -- " $word" <<<"$("$BIN/$program" --help)" ;;
        esac
    done
    pass "a container runs $program"
done <"$DIR/commands"

# The image: built from what this tree installs, with the libraries that the programs need.
check "the image makes the users that this tree installs" grep -q '/usr/local/lib/sysusers.d/sealedfs.conf' "$K8S/Dockerfile"
needed() { readelf -d "$BIN"/sealed{,fs,-attestd,-kbs} | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -vE '^(ld-linux|libc\.|libasan|libubsan|libm\.|libgcc)' | sort -u; }
for library in $(needed); do
    package=$(dpkg-query -S "*/$library" 2>/dev/null | sed -n '1s/:.*//p')
    check "the image has $library, of ${package:-no package}" grep -qE "(^|[ ])$package( |\$)" "$K8S/Dockerfile"
done
