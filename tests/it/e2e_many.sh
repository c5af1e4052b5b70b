#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# 1,500 different cold files, 1,000 of them of different secrets, opened by 64 processes at once: one handshake, at most eight connections,
# every byte right.
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
# And vault secrets, so that many different resources are fetched at once.
python3 "$HERE/many.py" "$URL" "$DIR" "$SOURCE" 0 1000
# Who has a connection to the broker, or had one: a closed one stays in this table for a minute.
peers() {
    awk -v port=":$(printf '%04X' "$PORT")" '
        substr($2, length($2) - 4) == port { print $3 }
        substr($3, length($3) - 4) == port { print $2 }' /proc/net/tcp | sort -u
}
peers >"$DIR/peers.before"
sealed_mount
python3 - "$MNT" <<'PY'
import multiprocessing, sys
mount = sys.argv[1]
names = [(str(i), f"content {i}") for i in range(500)] + [(f"many{i}", f"many {i}") for i in range(1000)]
def read(part):
    bad = []
    for name, wanted in names[part::64]:
        try:
            got = open(f"{mount}/{name}").read()
        except OSError as error:
            got = repr(error)
        if got != wanted:
            bad.append((name, got))
    return bad
with multiprocessing.Pool(64) as pool:
    bad = [item for part in pool.map(read, range(64), chunksize=1) for item in part]
print(len(names) - len(bad), "right", len(bad), "wrong", bad[:3])
sys.exit(1 if bad else 0)
PY
equal "one handshake" 1 "$(sealed_stat .handshakes)"
peers >"$DIR/peers.after"
connections=$(comm -13 "$DIR/peers.before" "$DIR/peers.after" | wc -l)
check "the broker saw connections" test "$connections" -ge 1
check "no more than eight of them ($connections)" test "$connections" -le 8
equal "every open was resolved once" 1500 "$(sealed_stat .filesystem.resolved)"
sealed_unmount
