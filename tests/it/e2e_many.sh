#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# 500 different cold files opened by 32 processes at once: one handshake, every byte right.
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
stack_up
python3 - "$DIR" "$SOURCE" "$BIN" <<'PY'
# 500 envelopes; the strings are made here, by other code than ours: jwcrypto and cryptography.
import base64, json, os, sys
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from jwcrypto import jwk, jws
home, source, _ = sys.argv[1:]
signer = jwk.JWK.from_json(open(home + "/team-private.json").read())
wrap = open(home + "/wrap.key", "rb").read()
std = lambda data: base64.b64encode(data).decode()
for number in range(500):
    key, iv = os.urandom(32), os.urandom(12)
    payload = {"version": "0.1.0", "type": "envelope", "key_id": "kbs:///team/key/wrap", "encrypted_key": std(aes_key_wrap(wrap, key)),
               "encrypted_data": std(AESGCM(key).encrypt(iv, f"content {number}".encode(), None)), "wrap_type": "A256GCM", "iv": std(iv),
               "provider": "kbs", "provider_settings": {}, "annotations": {}}
    token = jws.JWS(json.dumps(payload).encode())
    token.add_signature(signer, None, json.dumps({"alg": "ES256", "kid": "kbs:///team/signing-key/main"}))
    open(f"{source}/{number}", "w").write("sealed." + token.serialize(compact=True) + "\n")
PY
# And 100 vault secrets, so that many different resources are fetched at once.
for ((i = 0; i < 100; i++)); do
    printf 'vault %d' "$i" >"$DIR/v"
    kbs put "kbs:///team/secret/v$i" "$DIR/v" >/dev/null
    "$BIN/sealed" seal vault --key "$DIR/team-private.json" -o "$SOURCE/v$i" "kbs:///team/secret/v$i"
done
sealed_mount
python3 - "$MNT" <<'PY'
import multiprocessing, sys
mount = sys.argv[1]
names = [(str(i), f"content {i}") for i in range(500)] + [(f"v{i}", f"vault {i}") for i in range(100)]
def read(part):
    bad = []
    for name, wanted in names[part::32]:
        try:
            got = open(f"{mount}/{name}").read()
        except OSError as error:
            got = repr(error)
        if got != wanted:
            bad.append((name, got))
    return bad
with multiprocessing.Pool(32) as pool:
    bad = [item for part in pool.map(read, range(32), chunksize=1) for item in part]
print(len(names) - len(bad), "right", len(bad), "wrong", bad[:3])
sys.exit(1 if bad else 0)
PY
equal "one handshake" 1 "$(sealed_stat .handshakes)"
equal "every open was resolved once" 600 "$(sealed_stat .filesystem.resolved)"
sealed_unmount
