#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""many.py URL DIRECTORY SOURCE FIRST COUNT: secrets in the broker, over one connection, and a sealed string of the vault kind for each.

Secret N is kbs:///team/many/N, holds "many N", and is shown by SOURCE/manyN. DIRECTORY is that of a stack (stack.sh) with its keys. Signed
by a key that lies in the broker, or "team" with SIGNER=team in the environment. Written by other code than ours, to save a thousand programs.
"""
import http.client
import json
import os
import ssl
import subprocess
import sys
import urllib.parse

from jwcrypto import jwk, jws

url, home, source, first, count = sys.argv[1:4] + [int(word) for word in sys.argv[4:]]
tool = os.path.join(os.path.dirname(os.path.abspath(__file__)), "admin_token.py")
token = subprocess.run(["/usr/bin/python3", tool, "sign", home + "/admin/admin.jwk"], check=True, capture_output=True, text=True).stdout.strip()
signer = jwk.JWK.from_json(open(home + "/team-private.json").read())
header = json.dumps({"alg": "ES256", "kid": os.environ.get("SIGNER", "kbs:///team/signing-key/main")})
broker = http.client.HTTPSConnection(urllib.parse.urlsplit(url).netloc, context=ssl.create_default_context(cafile=home + "/ca.pem"))
for number in range(first, first + count):
    broker.request("POST", f"/kbs/v0/resource/team/many/{number}", f"many {number}",
                   {"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"})
    answer = broker.getresponse()
    text = answer.read()
    if answer.status != 200:
        sys.exit(f"secret {number}: the broker answers {answer.status} {text[:200]!r}")
    sealed = jws.JWS(json.dumps({"version": "0.1.0", "type": "vault", "name": f"kbs:///team/many/{number}", "provider": "kbs",
                                 "provider_settings": {}, "annotations": {}}).encode())
    sealed.add_signature(signer, None, header)
    with open(f"{source}/many{number}", "w") as out:
        out.write("sealed." + sealed.serialize(compact=True) + "\n")
