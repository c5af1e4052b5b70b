# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# The whole stack for end-to-end tests: a TPM, the broker, attestd and a mount, each as the user it has in production.
#
#     . "$(dirname "$0")/lib.sh"; . "$HERE/stack.sh"
#     stack_up                   # everything, enrolled and admitted; URL, CA, ADMIN (options of `sealed kbs …`)
#     seal_vault NAME "text"     # a secret in the broker and a sealed string $SOURCE/NAME
#     seal_envelope NAME "text"
#     sealed_mount               # $SOURCE over $MNT; extra lines of sealedfs.conf on standard input
#
# Parts can be started alone: stack_tpm, stack_kbs, stack_attestd, stack_enroll, stack_keys.

SOURCE=$DIR/source
MNT=$DIR/mnt
KBS_INIT=()      # extra options of `sealed kbs init`
KBS_LINES=       # extra lines of kbs.conf: "section key value" words, one a line
export SEALED_SOCKET=$DIR/control.sock

stack_users() {
    ensure_user sealedfs
    ensure_user sealed-attest tss
    ensure_user sealed-kbs
}

stack_tpm() { start_swtpm tpm; }

# conf_set FILE SECTION KEY VALUE: in a generated configuration file.
conf_set() {
    python3 - "$@" <<'PY'
import re, sys
path, section, key, value = sys.argv[1:]
lines = open(path).read().split("\n")
out, here, done = [], None, False
for line in lines:
    head = re.match(r"\[(.*)\]", line)
    if head:
        if here == section and not done:
            out.append(f"{key} = {value}"); done = True
        here = head.group(1)
    if here == section and re.match(rf"{re.escape(key)}\s*=", line):
        if done:
            continue
        line, done = f"{key} = {value}", True
    out.append(line)
if not done:
    if here != section:
        out.append(f"[{section}]")
    out.append(f"{key} = {value}")
open(path, "w").write("\n".join(out) + "\n")
PY
}

stack_kbs_init() {
    mkdir -p "$DIR/roots"
    [ -z "${TPM_CA:-}" ] || cp "$TPM_CA"/*.pem "$DIR/roots/"
    "$BIN/sealed" kbs init --dir "$DIR/kbs" --config "$DIR/kbs.conf" --admin-dir "$DIR/admin" --listen 127.0.0.1:0 \
        --ek-roots "$DIR/roots" "${KBS_INIT[@]}" >"$DIR/init.log"
    CA=$DIR/admin/kbs-ca.pem
    cp "$CA" "$DIR/ca.pem"
    chmod 0644 "$DIR/ca.pem"
    PORT_FILE=$(sed -n 's/^port_file *= *//p' "$DIR/kbs.conf")
    local section key value
    while read -r section key value; do
        [ -z "$section" ] || conf_set "$DIR/kbs.conf" "$section" "$key" "$value"
    done <<<"$KBS_LINES"
}

# (re)starts the broker; keeps the port of the first start, so that clients find it again.
stack_kbs() {
    [ -e "$DIR/kbs.conf" ] || stack_kbs_init
    rm -f "$PORT_FILE"
    spawn kbs "$BIN/sealed-kbs" --config "$DIR/kbs.conf"
    wait_for 30 "the broker's port file" test -s "$PORT_FILE"
    PORT=$(cat "$PORT_FILE")
    conf_set "$DIR/kbs.conf" server listen "127.0.0.1:$PORT"
    URL=https://127.0.0.1:$PORT
    ADMIN=(--kbs "$URL" --ca-file "$DIR/ca.pem" --admin-key "$DIR/admin/admin.jwk")
}
kbs() { "$BIN/sealed" kbs "$@" "${ADMIN[@]}"; }

stack_attestd() { # [LINES of attestd.conf on standard input]
    cat >"$DIR/attestd.conf" <<EOF
[attestd]
socket = $DIR/attestd.sock
rate = 1000
burst = 1000
rate_total = 1000
burst_total = 1000
deadline = 120s
[tpm]
tcti = ${TPM_TCTI:-device:/dev/tpmrm0}
EOF
    cat >>"$DIR/attestd.conf" </dev/stdin
    spawn attestd "$BIN/sealed-attestd" --config "$DIR/attestd.conf"
    wait_for 20 "attestd's socket" listening "$DIR/attestd.sock"
}

stack_enroll() {
    "$BIN/sealed" attest enroll --create-key --kbs "$URL" --ca-file "$DIR/ca.pem" --attestd "$DIR/attestd.sock" >"$DIR/enroll.log"
    AGENT=$(kbs agent list --json | jq -r '.[0].id')
    kbs agent admit "$AGENT" >>"$DIR/enroll.log"
}
pcr_now() { "$BIN/sealed" attest --evidence --attestd "$DIR/attestd.sock" | jq -r ".evidence.tpm_quote.pcrs[$1]"; }
pcr_extend() { tpm2_pcrextend -T "$TPM_TCTI" "$1:sha256=$(printf '%s' "$2" | sha256sum | cut -d' ' -f1)"; }
# The TPM's reference state: PCR 11 as it is.
stack_reference() { kbs reference-value set tpm_pcr11 "$(pcr_now 11)" >/dev/null; }

stack_keys() {
    mkdir -p "$SOURCE" "$MNT"
    "$BIN/sealed" keygen signing "$DIR/team" --kid kbs:///team/signing-key/main >/dev/null
    "$BIN/sealed" keygen wrapping "$DIR/wrap.key" >/dev/null
    kbs put kbs:///team/signing-key/main "$DIR/team-public.json" >/dev/null
    kbs put kbs:///team/key/wrap "$DIR/wrap.key" >/dev/null
}
seal_vault() { # NAME TEXT [OPTION…]
    local name=$1 text=$2; shift 2
    printf '%s' "$text" | kbs put "kbs:///team/secret/${name//\//-}" - >/dev/null
    mkdir -p "$(dirname "$SOURCE/$name")"
    "$BIN/sealed" seal vault --key "$DIR/team-private.json" --output "$SOURCE/$name" "$@" "kbs:///team/secret/${name//\//-}"
}
seal_envelope() { # NAME TEXT [OPTION…]
    local name=$1 text=$2; shift 2
    mkdir -p "$(dirname "$SOURCE/$name")"
    printf '%s' "$text" | "$BIN/sealed" seal envelope --key "$DIR/team-private.json" --wrapping-uri kbs:///team/key/wrap \
        --wrapping-key "$DIR/wrap.key" --output "$SOURCE/$name" "$@" -
}

# Values that a test wants otherwise: sealedfs_conf SECTION KEY VALUE after sealedfs_conf_base. No limit comes into play on a slow machine
# unless a test is about that limit.
sealedfs_conf_base() {
    cat >"$DIR/sealedfs.conf" <<EOF
[kbs]
url = $URL
ca_file = $DIR/ca.pem
request_timeout = 120s
[attest]
socket = $DIR/attestd.sock
timeout = 120s
[control]
socket = $DIR/control.sock
[secrets]
open_timeout = 300s
EOF
    chmod 0644 "$DIR/sealedfs.conf"
}
sealedfs_conf() { conf_set "$DIR/sealedfs.conf" "$@"; }
sealed_mount() {
    [ -e "$DIR/sealedfs.conf" ] || sealedfs_conf_base
    mkdir -p "$SOURCE" "$MNT"
    spawn sealedfs "$BIN/sealedfs" "$SOURCE" "$MNT" -f -o "config=$DIR/sealedfs.conf"
    on_exit "umount -l $MNT"
    wait_for 30 "the mount" mountpoint -q "$MNT"
}
sealed_unmount() {
    stop sealedfs
    ! mountpoint -q "$MNT" || die "still mounted after SIGTERM"
}
sealed_stat() { "$BIN/sealed" status --json | jq -r "$1"; }
flush() { "$BIN/sealed" flush "$@" >/dev/null; }

# read_is NAME TEXT: the file opens and has exactly this content.
read_is() { equal "$1 reads" "$2" "$(cat "$MNT/$1")"; }
# open_fails NAME ERRNO-NAME: open(2) fails with that errno, and `cat` gives nothing to standard output.
open_fails() {
    python3 - "$MNT/$1" "$2" <<'PY' || die "$1: wanted $2"
import errno, os, sys
path, wanted = sys.argv[1:]
try:
    fd = os.open(path, os.O_RDONLY)
except OSError as error:
    got = errno.errorcode.get(error.errno, str(error.errno))
    print(f"open {path}: {got}")
    sys.exit(0 if got == wanted else 1)
print(f"open {path} succeeded: {os.read(fd, 64)!r}")
sys.exit(1)
PY
    pass "$1 is refused with $2"
}

stack_up() {
    require_root
    require swtpm tpm2_pcrextend jq python3
    stack_users
    stack_tpm
    stack_kbs
    stack_attestd </dev/null
    stack_enroll
    stack_reference
    stack_keys
}
