#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keys, signatures and encrypted texts go both ways between ours (the program given) and python3-jwcrypto."""
import json
import os
import subprocess
import sys
import tempfile

from jwcrypto import jwe, jwk, jws

PROBE = sys.argv[1]
DATA = os.urandom(5000)
SIGNING = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA", "RSA": "RS256"}
SEALING = {"P-256": "ECDH-ES+A256KW", "P-521": "ECDH-ES+A256KW", "RSA": "RSA-OAEP-256"}


def ours(command, operand, data=b""):
    """Runs the probe; what it prints, or its complaint as an exception."""
    done = subprocess.run([PROBE, command, operand], input=data, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.decode())
    return done.stdout


def key_file(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def keys(directory, kind):
    """One key made by us, one by jwcrypto, the latter also as PEM: (who, their object, our file)."""
    made = ours("generate", kind).decode()
    yield "our key", jwk.JWK.from_json(made), key_file(directory, "ours.jwk", made)
    types = {"RSA": {"kty": "RSA", "size": 2048}, "Ed25519": {"kty": "OKP", "crv": kind}}
    theirs = jwk.JWK.generate(**types.get(kind, {"kty": "EC", "crv": kind}))
    yield "their key", theirs, key_file(directory, "theirs.jwk", theirs.export())
    pem = theirs.export_to_pem(private_key=True, password=None).decode()
    yield "their PEM", theirs, key_file(directory, "theirs.pem", pem)


def check(what, wanted, got):
    if wanted != got:
        sys.exit(f"FAIL: {what}")
    print(f"ok: {what}")


def must_refuse(what, text, command, operand, data):
    try:
        ours(command, operand, data)
    except ValueError as complaint:
        if text in str(complaint):
            print(f"ok: {what} is refused")
            return
        sys.exit(f"FAIL: {what}: {complaint}")
    sys.exit(f"FAIL: {what} was taken")


def signatures(directory):
    for kind, alg in SIGNING.items():
        for who, theirs, file in keys(directory, kind):
            check(f"{kind} thumbprint, {who}", theirs.thumbprint(), ours("thumbprint", file).decode())
            token = jws.JWS()
            token.deserialize(ours("sign", file, DATA).decode())
            token.verify(theirs)
            check(f"they verify our {alg}, {who}", DATA, token.payload)
            token = jws.JWS(DATA)
            token.add_signature(theirs, None, json.dumps({"alg": alg, "kid": "x"}))
            text = token.serialize(compact=True).encode()
            check(f"we verify their {alg}, {who}", DATA, ours("verify", file, text))
            head, body, mark = text.split(b".")
            altered = b".".join([head, body[:-4] + b"AAAA", mark])
            must_refuse(f"their altered {alg}", "does not fit", "verify", file, altered)


def encryption(directory):
    for kind, alg in SEALING.items():
        for who, theirs, file in keys(directory, kind):
            sealed = jwe.JWE()
            sealed.deserialize(ours("encrypt", file, DATA).decode(), theirs)
            check(f"they decrypt our {alg}, {who}", DATA, sealed.payload)
            sealed = jwe.JWE(DATA, json.dumps({"alg": alg, "enc": "A256GCM"}))
            sealed.add_recipient(theirs)
            parts = sealed.serialize(compact=True).split(".")
            members = dict(zip(["protected", "encrypted_key", "iv", "ciphertext", "tag"], parts))
            check(f"we decrypt their {alg}, {who}", DATA, ours("decrypt", file, json.dumps(members).encode()))
            members["ciphertext"] = "AAAA" + members["ciphertext"][4:]
            must_refuse(f"their altered {alg}", "does not fit", "decrypt", file, json.dumps(members).encode())
            if kind == "RSA":
                sealed = jwe.JWE(DATA, json.dumps({"alg": "RSA-OAEP", "enc": "A256GCM"}))
                sealed.add_recipient(theirs)
                parts = sealed.serialize(compact=True).split(".")
                members = dict(zip(["protected", "encrypted_key", "iv", "ciphertext", "tag"], parts))
                must_refuse("RSA-OAEP with SHA-1", "RSA-OAEP-256", "decrypt", file, json.dumps(members).encode())


with tempfile.TemporaryDirectory() as place:
    signatures(place)
    encryption(place)
