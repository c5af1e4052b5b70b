#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sealedfs in one command, on a fresh Debian 12 as root: builds everything, starts a software TPM, the key broker, the attestation
# daemon and the file system, and reads a vault and an envelope secret from /sealed; then changes the guest and shows the refusal.
#
#     examples/quickstart.sh [--keep] [--build DIR]
#
# It stops what it started and leaves nothing but packages and the build tree; --keep leaves everything running and says how to stop it.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build/release
keep=
while [ $# -gt 0 ]; do
    case $1 in
    --keep) keep=yes; shift ;;
    --build) build=$(realpath -m "$2"); shift 2 ;;
    -h | --help) sed -n '3,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "quickstart: unknown argument '$1'; see --help" >&2; exit 2 ;;
    esac
done
[ "$(id -u)" -eq 0 ] || { echo "quickstart: run it as root: it mounts a file system and starts daemons as users of their own" >&2; exit 2; }

demo=/run/sealed-quickstart # everything the demonstration makes, in memory
mnt=/sealed
step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
say() { printf '   %s\n' "$*"; }
fail() { echo "quickstart: $*" >&2; exit 1; }
if [ -e "$demo/stop" ]; then
    fail "an earlier run was kept; stop it first: $demo/stop"
fi
[ ! -d "$mnt" ] || [ -z "$(ls -A "$mnt")" ] || fail "$mnt exists and is not empty; this demonstration wants to mount there"

# ---- what is made is undone, last first ----
undo=()
finish() {
    local status=$? i
    set +e
    trap - EXIT INT TERM
    if [ "$status" -ne 0 ]; then
        for log in "$demo"/*.log; do [ -s "$log" ] && { echo "--- $log"; tail -n 15 "$log"; }; done
    elif [ -n "$keep" ]; then
        { echo '#!/bin/sh'; for ((i = ${#undo[@]} - 1; i >= 0; i--)); do echo "${undo[i]}"; done; } >"$demo/stop"
        chmod 0700 "$demo/stop"
        exit 0
    fi
    for ((i = ${#undo[@]} - 1; i >= 0; i--)); do eval "${undo[i]}" 2>/dev/null; done
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

wait_for() { # SECONDS WHAT COMMAND…
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || fail "waited in vain for $what"
        read -r -t 0.05 _ <> <(:) || true
    done
}
start() { # NAME COMMAND…: in the background, its log in $demo
    local name=$1
    shift
    setsid "$@" >"$demo/$name.log" 2>&1 &
    undo+=("kill $!; tries=100; while kill -0 $! 2>/dev/null && [ \$((tries -= 1)) -gt 0 ]; do sleep 0.1; done")
}
make_user() { # NAME: the system user that DESIGN gives this program
    getent passwd "$1" >/dev/null && return 0
    useradd --system --user-group --no-create-home --shell /usr/sbin/nologin "$1"
    undo+=("userdel $1")
}

step "packages and build"
. "$top/examples/packages.sh"
# shellcheck disable=SC2086
install_packages $BUILD_PACKAGES $RUN_PACKAGES
cmake -S "$top" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSEALED_TESTS=OFF >/dev/null
cmake --build "$build" | tail -n 1
PATH=$build/bin:$PATH
export TSS2_LOG=all+none SEALED_SOCKET=$demo/control.sock

step "users: each program runs as its own"
rm -rf "$demo"
mkdir -m 0755 "$demo"
undo+=("rm -rf --one-file-system $demo")
getent group tss >/dev/null || { groupadd --system tss; undo+=("groupdel tss"); }
for user in sealedfs sealed-attest sealed-kbs; do make_user "$user"; done
if [ ! -d "$mnt" ]; then
    mkdir "$mnt"
    undo+=("rmdir $mnt")
fi

step "a software TPM 2.0, with an endorsement certificate of its own little manufacturer"
mkdir -p "$demo/tpm" "$demo/ca/roots"
printf 'create_certs_tool = %s\ncreate_certs_tool_config = %s\ncreate_certs_tool_options = /dev/null\nactive_pcr_banks = sha256\n' \
    "$(command -v swtpm_localca)" "$demo/ca/localca.conf" >"$demo/ca/setup.conf"
printf 'statedir = %s\nsigningkey = %s\nissuercert = %s\ncertserial = %s\n' \
    "$demo/ca" "$demo/ca/key.pem" "$demo/ca/issuer.pem" "$demo/ca/serial" >"$demo/ca/localca.conf"
swtpm_setup --tpm2 --tpmstate "$demo/tpm" --config "$demo/ca/setup.conf" --create-ek-cert --pcr-banks sha256 --overwrite >"$demo/swtpm_setup.log" 2>&1
cp "$demo/ca/issuer.pem" "$demo/ca/swtpm-localca-rootca-cert.pem" "$demo/ca/roots/"
gid=$(getent group tss | cut -d: -f3)
start swtpm swtpm socket --tpm2 --tpmstate "dir=$demo/tpm" --flags not-need-init,startup-clear \
    --server "type=unixio,path=$demo/tpm.sock,mode=0660,gid=$gid" --ctrl "type=unixio,path=$demo/tpm.sock.ctrl,mode=0660,gid=$gid"
wait_for 10 "the TPM" test -S "$demo/tpm.sock.ctrl"

step "the key broker (user sealed-kbs), over TLS on loopback"
sealed kbs init --dir "$demo/kbs" --config "$demo/kbs.conf" --admin-dir "$demo/admin" --listen 127.0.0.1:0 --ek-roots "$demo/ca/roots"
start kbs sealed-kbs --config "$demo/kbs.conf"
port_file=$(sed -n 's/^port_file *= *//p' "$demo/kbs.conf")
wait_for 20 "the key broker" test -s "$port_file"
url=https://127.0.0.1:$(cat "$port_file")
admin=(--kbs "$url" --ca-file "$demo/admin/kbs-ca.pem" --admin-key "$demo/admin/admin.jwk")
say "listening at $url"

step "the attestation daemon (user sealed-attest): the only program that touches the TPM"
cat >"$demo/attestd.conf" <<EOF
[attestd]
socket = $demo/attestd.sock
[tpm]
tcti = swtpm:path=$demo/tpm.sock
EOF
start attestd sealed-attestd --config "$demo/attestd.conf"
wait_for 10 "attestd" test -S "$demo/attestd.sock"

step "enrolment: the broker learns this TPM's attestation key, an administrator lets it in"
sealed attest enroll --create-key --kbs "$url" --ca-file "$demo/admin/kbs-ca.pem" --attestd "$demo/attestd.sock" | sed 's/^/   /'
agent=$(sealed kbs agent list "${admin[@]}" --json | jq -r '.[0].id')
sealed kbs agent admit "$agent" "${admin[@]}" | sed 's/^/   /'

step "reference value: what PCR 11 must be, recorded from this known-good guest"
pcr11=$(sealed attest --evidence --attestd "$demo/attestd.sock" | jq -r '.evidence.tpm_quote.pcrs[11]')
sealed kbs reference-value set tpm_pcr11 "$pcr11" "${admin[@]}" | sed 's/^/   /'

step "keys and a secret go into the broker; two sealed strings come out"
cd "$demo"
sealed keygen signing team --kid kbs:///default/signing-key/team >/dev/null
sealed keygen wrapping wrapping.key >/dev/null
printf 'correct horse battery staple' | sealed kbs put kbs:///default/secret/password "${admin[@]}" -
sealed kbs put kbs:///default/signing-key/team team-public.json "${admin[@]}"
sealed kbs put kbs:///default/key/wrapping wrapping.key "${admin[@]}"
# A directory as the kubelet makes one for a Secret volume: names point through ..data into a dated directory.
mkdir -p "volume/..2026_01_01"
ln -s ..2026_01_01 volume/..data
sealed seal vault --key team-private.json --context vault kbs:///default/secret/password --output volume/..data/vault
printf 'this was encrypted into the file' |
    sealed seal envelope --key team-private.json --context envelope --wrapping-uri kbs:///default/key/wrapping --wrapping-key wrapping.key --output volume/..data/envelope -
echo 'an ordinary file' >volume/..data/plain
for name in vault envelope plain; do ln -s "..data/$name" "volume/$name"; done
rm wrapping.key
say "what lies on the disk:  $(cut -c 1-72 volume/vault)…"

step "mount $mnt over it (monitor as root, worker as user sealedfs without any privilege)"
cat >"$demo/sealedfs.conf" <<EOF
[kbs]
url = $url
ca_file = $demo/kbs-ca.pem
[attest]
socket = $demo/attestd.sock
[control]
socket = $demo/control.sock
EOF
cp "$demo/admin/kbs-ca.pem" "$demo/kbs-ca.pem"
chmod 0644 "$demo/kbs-ca.pem" "$demo/sealedfs.conf"
start sealedfs sealedfs "$demo/volume" "$mnt" -f -o "config=$demo/sealedfs.conf"
wait_for 20 "the mount" mountpoint -q "$mnt"
ls -l "$mnt" | sed 's/^/   /'

read_file() { # NAME: content and time of one read
    local begin end text
    begin=$(date +%s%N)
    text=$(cat "$mnt/$1")
    end=$(date +%s%N)
    printf '   %-9s %-34s %8.1f ms\n' "$1" "$text" "$(((end - begin) / 1000))e-3"
}
step "first reads: attest, fetch, unwrap"
for name in vault envelope plain; do read_file "$name"; done
step "second reads: from locked memory"
for name in vault envelope plain; do read_file "$name"; done

step "the guest changes: something is measured into PCR 11, and the token is dropped"
tpm2_pcrextend -T "swtpm:path=$demo/tpm.sock" "11:sha256=$(printf 'an unknown program' | sha256sum | cut -d' ' -f1)"
sealed flush --token | sed 's/^/   /'
if refusal=$(cat "$mnt/vault" 2>&1); then fail "the secret was still given away"; fi
say "$refusal"
say "$(cat "$mnt/plain") (is still readable)"

step "why? on the guest: sealed explain $mnt/vault"
sealed explain "$mnt/vault" | sed 's/^/   /'
id=$(sealed explain --json "$mnt/vault" | jq -r .kbs_ref)
step "why? at the key broker: sealed kbs explain $id"
sealed kbs explain "$id" "${admin[@]}" | sed 's/^/   /'

step "that was it"
if [ -n "$keep" ]; then
    cat <<EOF
   Everything keeps running. Try next:
     export PATH=$build/bin:\$PATH SEALED_SOCKET=$demo/control.sock
     sealed kbs reference-value set tpm_pcr11 \$(sealed attest --evidence --attestd $demo/attestd.sock | jq -r '.evidence.tpm_quote.pcrs[11]') ${admin[*]}
     sealed flush --token; cat $mnt/vault        # readable again: the new state is a known-good one now
     sealed status; sealed inspect $demo/volume/envelope; sealed get kbs:///default/secret/password
   Stop it all: $demo/stop
EOF
else
    cat <<EOF
   Try next: examples/quickstart.sh --keep leaves it running; README.md tells how to use it for real;
   $build/bin/sealed --help lists the commands; tests/run.sh runs every test.
EOF
fi
