#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job: both kinds of secret are read through the mount; what is wrong with a sealed string, the guest or the broker is refused
# with the errno that the manual promises, and never as an empty file or the raw string.
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
stack_up

seal_vault password "correct horse"
seal_envelope letter "a longer text, encrypted into the file"
seal_envelope db/key "bound" --context db/key
echo "as it is" >"$SOURCE/plain"
: >"$SOURCE/empty"

# What must not open.
"$BIN/sealed" keygen signing "$DIR/stranger" --kid kbs:///team/signing-key/main >/dev/null
"$BIN/sealed" seal vault --key "$DIR/stranger-private.json" -o "$SOURCE/forged" kbs:///team/secret/password
"$BIN/sealed" seal vault --key "$DIR/team-private.json" --kid kbs:///team/signing-key/nobody -o "$SOURCE/unknown-signer" kbs:///team/secret/password
"$BIN/sealed" seal vault --key "$DIR/team-private.json" --kid kbs:///team/secret/password -o "$SOURCE/wrong-type-signer" kbs:///team/secret/password
"$BIN/sealed" seal vault --key "$DIR/team-private.json" -o "$SOURCE/missing" kbs:///team/secret/none
cp "$SOURCE/db/key" "$SOURCE/moved" # sealed for db/key
for value in first second; do printf '%s' "$value" | "$BIN/sealed" kbs put kbs:///team/secret/rotated "${ADMIN[@]}"; done
"$BIN/sealed" seal vault --key "$DIR/team-private.json" -o "$SOURCE/newest" kbs:///team/secret/rotated
"$BIN/sealed" seal vault --key "$DIR/team-private.json" -o "$SOURCE/pinned" 'kbs:///team/secret/rotated?version=1'
sed 's/./X/40' "$SOURCE/password" >"$SOURCE/bent"
echo "sealed.fakejwsheader.e30.fakesignature" >"$SOURCE/unsigned"
echo "sealed.nonsense" >"$SOURCE/malformed"
python3 - "$SOURCE/letter" "$SOURCE/tampered" "$DIR" <<'PY'
# The ciphertext is changed and signed again by the right signer: only the AEAD tag can tell.
import base64, json, sys
from jwcrypto import jwk, jws
source, target, home = sys.argv[1:]
header, payload, _ = open(source).read().strip()[len("sealed."):].split(".")
pad = lambda text: text + "=" * (-len(text) % 4)
body = json.loads(base64.urlsafe_b64decode(pad(payload)))
data = bytearray(base64.b64decode(body["encrypted_data"])); data[0] ^= 1
body["encrypted_data"] = base64.b64encode(bytes(data)).decode()
token = jws.JWS(json.dumps(body).encode())
token.add_signature(jwk.JWK.from_json(open(home + "/team-private.json").read()), None,
                    base64.urlsafe_b64decode(pad(header)).decode())
open(target, "w").write("sealed." + token.serialize(compact=True))
PY

sealedfs_conf_base
sealedfs_conf control allow_users "games daemon"
sealed_mount
read_is password "correct horse"
read_is letter "a longer text, encrypted into the file"
read_is db/key "bound"
read_is plain "as it is"
read_is newest second
read_is pinned first
read_is empty ""
equal "one handshake served all" 1 "$(sealed_stat .handshakes)"
equal "the worker runs as sealedfs" sealedfs "$(ps -o user:20= -p "$(pgrep -P "$PID_sealedfs" -f -- --worker=)" | tr -d ' ')"

# One user's idle connections keep neither root nor another user from the agent.
python3 - "$SEALED_SOCKET" "$BIN/sealed" <<'PY' || die "the control socket was taken away"
import os, pwd, socket, subprocess, sys
path, sealed = sys.argv[1:]
user = lambda name: pwd.getpwnam(name).pw_uid
os.seteuid(user("games"))
links = []
for _ in range(100):
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link.connect(path)
    links.append(link)
os.seteuid(0)
for who in (0, user("daemon")):
    done = subprocess.run([sealed, "status"], user=who, capture_output=True, text=True, env={"SEALED_SOCKET": path}, timeout=120)
    if done.returncode != 0:
        sys.exit(f"uid {who}: {done.stderr}")
PY
pass "idle connections of one user keep nobody else out"

open_fails forged EKEYREJECTED
open_fails unknown-signer ENOKEY
open_fails wrong-type-signer EKEYREJECTED
open_fails missing ENOKEY
open_fails moved EKEYREJECTED
open_fails tampered EKEYREJECTED
open_fails unsigned EKEYREJECTED
open_fails malformed EBADMSG
for name in bent forged malformed tampered; do
    equal "$name gives no byte" "" "$(cat "$MNT/$name" 2>/dev/null || true)"
done
refused "explain names the context" "context" sh -c "'$BIN/sealed' explain '$MNT/moved'; false"

# The control socket: the same resolver, its own exit statuses.
equal "sealed get" "correct horse" "$("$BIN/sealed" get kbs:///team/secret/password)"
equal "sealed get of a version" "first" "$("$BIN/sealed" get 'kbs:///team/secret/rotated?version=1')"
equal "sealed unseal" "bound" "$("$BIN/sealed" unseal --path db/key "$SOURCE/db/key")"
set +e
"$BIN/sealed" get kbs:///team/secret/none 2>/dev/null; equal "exit status of a missing resource" 11 $?
"$BIN/sealed" unseal --path elsewhere "$SOURCE/db/key" 2>/dev/null; equal "exit status of a wrong context" 5 $?
set -e
# setpriv, not su: nobody has no shell.
refused "nobody may not use the agent" "allow_users" setpriv --reuid=65534 --regid=65534 --clear-groups "$BIN/sealed" get kbs:///team/secret/password --socket "$DIR/control.sock"

# A change in the source shows at the next open; a deleted resource after a flush.
seal_envelope letter "rewritten"
read_is letter "rewritten"
kbs delete kbs:///team/secret/password >/dev/null
read_is password "correct horse" # still fresh in memory
flush
open_fails password EKEYREVOKED
read_is letter "rewritten"
sealed_unmount
