#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keys and signed tokens for tests of sealed-kbs, on public libraries.

admin_token.py key PRIVATE.jwk PUBLIC.jwk [P-256|P-384|RSA]   makes a pair
admin_token.py sign PRIVATE.jwk|PRIVATE.pem [CLAIM=JSON|CLAIM=TEXT]…      prints a JWT; exp (in 10 minutes) and role (admin) unless given, CLAIM= leaves one out
"""
import base64
import json
import os
import sys
import time

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwcrypto import jwk, jwt

ALGORITHMS = {"P-256": "ES256", "P-384": "ES384"}


def write(path, text, mode):
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as out:
        out.write(text)


def make_key(private, public, kind="P-256"):
    key = jwk.JWK.generate(kty="RSA", size=2048) if kind == "RSA" else jwk.JWK.generate(kty="EC", crv=kind)
    write(private, key.export_private(), 0o600)
    write(public, key.export_public(), 0o644)


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def sign_pem(text, claims):
    """As Trustee's administrators do: an Ed25519 key that openssl made."""
    key = load_pem_private_key(text.encode(), password=None)
    sections = [{"alg": "EdDSA", "typ": "JWT"}, claims]
    signed = b".".join(encode(json.dumps(section, separators=(",", ":")).encode()) for section in sections)
    return (signed + b"." + encode(key.sign(signed))).decode()


def sign(private, *assignments):
    with open(private) as file:
        text = file.read()
    claims = {"exp": int(time.time()) + 600, "role": "admin", "sub": "tester"}
    for assignment in assignments:
        name, value = assignment.split("=", 1)
        claims.pop(name, None)
        if value:
            try:
                claims[name] = json.loads(value)
            except ValueError:
                claims[name] = value
    if text.startswith("-----BEGIN"):
        print(sign_pem(text, claims))
        return
    key = jwk.JWK.from_json(text)
    public = json.loads(key.export_public())
    token = jwt.JWT(header={"alg": ALGORITHMS.get(public.get("crv"), "RS256"), "typ": "JWT"}, claims=claims)
    token.make_signed_token(key)
    print(token.serialize())


if __name__ == "__main__":
    {"key": make_key, "sign": sign}[sys.argv[1]](*sys.argv[2:])
