#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/bad/evidence: evidence that must be refused, each file for one reason, truly signed by keys made here.

An independent second writer of TPMS_ATTEST and TPMT_SIGNATURE (TPM 2.0 part 2): it shares no code with attest/verify.
Each file: {"tee", "report_data": hex, "init_data": hex?, "refused_by": the failed check, "evidence": {...}}.
Run by hand when a reason is added: python3 tests/vectors/make_evidence.py
"""
import base64
import hashlib
import json
import pathlib
import struct

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

TESTS = pathlib.Path(__file__).resolve().parent.parent
REPORT = bytes.fromhex("24d7b8634a25cc74ab1ce3c78b8cd9ec5a23e33f3a66ce3a04cf6b9a48f11d56986edb023749150a64850073a9c2e043")
INIT_DATA = bytes.fromhex("3dfe0c93666c78046a54550e246873b7f5d8ec9e25bdaa42f707d12cdfd6d2cc")
GOOD_KEY = rsa.generate_private_key(65537, 2048)
ALL = [(0x000B, 3, bytes.fromhex("ffffff"))]


def std(data):
    return base64.b64encode(data).decode()


def block(data):
    return struct.pack(">H", len(data)) + data


def pcr_values():
    values = [bytes(32)] * 17 + [b"\xff" * 32] * 6 + [bytes(32)]
    values[8] = hashlib.sha256(bytes(32) + INIT_DATA).digest()
    return values


def attest(values, extra=REPORT[:32], magic=0xFF544347, kind=0x8018, selections=ALL, digest=None, tail=b""):
    chosen = b"".join(struct.pack(">HB", h, n) + bits for h, n, bits in selections)
    digest = hashlib.sha256(b"".join(values)).digest() if digest is None else digest
    head = struct.pack(">IH", magic, kind) + block(b"\x00\x0b" + bytes(32)) + block(extra)
    clock = struct.pack(">QIIBQ", 123456, 7, 0, 1, 0x2019102300163636)
    if kind == 0x8017:  # TPMS_CERTIFY_INFO: name, qualified name
        return head + clock + block(b"\x00\x0b" + bytes(32)) + block(b"\x00\x0b" + digest) + tail
    return head + clock + struct.pack(">I", len(selections)) + chosen + block(digest) + tail


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def sign(key, message, algorithm=hashes.SHA256(), ident=0x000B, scheme=0x0014):
    if isinstance(key, ec.EllipticCurvePrivateKey):
        half = bytes([1]) * 32
        return struct.pack(">HH", 0x0018, 0x000B) + block(half) + block(half)
    pad = padding.PKCS1v15() if scheme == 0x0014 else padding.PSS(padding.MGF1(algorithm), 32)
    return struct.pack(">HH", scheme, ident) + block(key.sign(message, pad, algorithm))


def evidence(values=None, key=GOOD_KEY, message=None, signature=None, ak=None, **change):
    values = pcr_values() if values is None else values
    message = attest(values, **change) if message is None else message
    signature = sign(key, message) if signature is None else signature
    return {"ak_public": std(spki(key) if ak is None else ak),
            "tpm_quote": {"message": std(message), "signature": std(signature), "pcrs": [v.hex() for v in values]}}


def without(path):
    made = evidence()
    at = made
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return made


def changed(path, value):
    made = evidence()
    at = made
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return made


def tpm_cases():
    good = pcr_values()
    message = attest(good)
    other = rsa.generate_private_key(65537, 2048)
    relabelled = [(0x000B, 3, bytes.fromhex("ff07ff"))]
    yield "signature-by-another-key", "tpm.signature", evidence(message=message, signature=sign(other, message))
    yield "signature-over-another-message", "tpm.signature", evidence(message=message, signature=sign(GOOD_KEY, message + b"x"))
    yield "signature-sha1", "tpm.signature-format", evidence(signature=sign(GOOD_KEY, message, hashes.SHA1(), 0x0004))
    yield "signature-sha384", "tpm.signature-format", evidence(signature=sign(GOOD_KEY, message, hashes.SHA384(), 0x000C))
    yield "signature-pss", "tpm.signature-format", evidence(signature=sign(GOOD_KEY, message, scheme=0x0016))
    yield "signature-null", "tpm.signature-format", evidence(signature=b"\x00\x10")
    yield "signature-trailing", "tpm.signature-format", evidence(signature=sign(GOOD_KEY, message) + b"\0")
    yield "signature-cut", "tpm.signature-format", evidence(signature=sign(GOOD_KEY, message)[:-1])
    yield "signature-length-lies", "tpm.signature-format", evidence(signature=b"\x00\x14\x00\x0b\xff\xff" + bytes(256))
    yield "signature-empty", "tpm.signature-format", evidence(signature=b"")
    yield "magic", "tpm.magic", evidence(magic=0xFF544348)
    yield "type-certify", "tpm.type", evidence(kind=0x8017)
    yield "type-time", "tpm.type", evidence(kind=0x8019)
    yield "message-trailing", "tpm.quote-format", evidence(tail=b"\0")
    yield "message-cut", "tpm.quote-format", evidence(message=message[:-1])
    yield "message-empty", "tpm.quote-format", evidence(message=b"")
    yield "message-short", "tpm.quote-format", evidence(message=message[:5])
    yield "message-huge-count", "tpm.quote-format", evidence(message=message[:-44] + b"\xff\xff\xff\xff" + message[-40:])
    yield "message-bool-two", "tpm.quote-format", evidence(
        message=message.replace(struct.pack(">QIIB", 123456, 7, 0, 1), struct.pack(">QIIB", 123456, 7, 0, 2)))
    yield "selection-relabelled", "tpm.pcr-selection", evidence(selections=relabelled)
    yield "selection-sha1", "tpm.pcr-selection", evidence(selections=[(0x0004, 3, b"\xff\xff\xff")])
    yield "selection-sha384", "tpm.pcr-selection", evidence(selections=[(0x000C, 3, b"\xff\xff\xff")])
    yield "selection-two-banks", "tpm.pcr-selection", evidence(selections=ALL + [(0x0004, 3, b"\xff\xff\xff")])
    yield "selection-split", "tpm.pcr-selection", evidence(
        selections=[(0x000B, 3, b"\xff\x07\x00"), (0x000B, 3, b"\x00\xf8\xff")])
    yield "selection-none", "tpm.pcr-selection", evidence(selections=[])
    yield "selection-size-4", "tpm.pcr-selection", evidence(selections=[(0x000B, 4, b"\xff\xff\xff\x00")])
    yield "selection-size-2", "tpm.pcr-selection", evidence(selections=[(0x000B, 2, b"\xff\xff")])
    yield "selection-size-5", "tpm.quote-format", evidence(selections=[(0x000B, 5, b"\xff\xff\xff\xff\xff")])
    yield "selection-seventeen", "tpm.quote-format", evidence(selections=ALL * 17)
    yield "pcrs-23", "tpm.pcrs", evidence(good[:23])
    yield "pcrs-25", "tpm.pcrs", evidence(good + [bytes(32)])
    yield "pcrs-none", "tpm.pcrs", evidence([])
    yield "pcrs-swapped", "tpm.pcr-digest", evidence(good[:7] + [good[8], good[7]] + good[9:], message=message)
    yield "pcrs-changed", "tpm.pcr-digest", evidence(good[:11] + [b"\x01" * 32] + good[12:], message=message)
    yield "pcrs-sha1-size", "tpm.pcrs", evidence([v[:20] for v in good])
    yield "pcrs-sha384-size", "tpm.pcrs", evidence([v + bytes(16) for v in good])
    yield "pcrs-no-hex", "tpm.pcrs", changed(["tpm_quote", "pcrs", 3], "z" * 64)
    yield "pcrs-number", "tpm.pcrs", changed(["tpm_quote", "pcrs", 3], 0)
    yield "pcrs-object", "tpm.evidence", changed(["tpm_quote", "pcrs"], {})
    yield "digest-of-nothing", "tpm.pcr-digest", evidence(digest=b"")
    yield "digest-sha1", "tpm.pcr-digest", evidence(digest=hashlib.sha1(b"".join(good)).digest())
    yield "nonce-of-another", "tpm.nonce", evidence(extra=bytes(32))
    yield "nonce-31", "tpm.nonce", evidence(extra=REPORT[:31])
    yield "nonce-33", "tpm.nonce", evidence(extra=REPORT[:33])
    yield "nonce-48", "tpm.nonce", evidence(extra=REPORT)
    yield "nonce-64", "tpm.nonce", evidence(extra=REPORT[:32] + bytes(32))
    yield "nonce-empty", "tpm.nonce", evidence(extra=b"")
    yield "ak-rsa-1024", "tpm.ak", evidence(key=rsa.generate_private_key(65537, 1024))
    yield "ak-rsa-1536", "tpm.ak", evidence(key=rsa.generate_private_key(65537, 1536))
    yield "ak-rsa-2040", "tpm.ak", evidence(key=rsa.generate_private_key(65537, 2040))
    yield "ak-rsa-4104", "tpm.ak", evidence(key=rsa.generate_private_key(65537, 4104))
    yield "ak-exponent-3", "tpm.ak", evidence(key=rsa.generate_private_key(3, 2048))
    yield "ak-ec", "tpm.ak", evidence(key=ec.generate_private_key(ec.SECP256R1()))
    yield "ak-trailing", "tpm.ak", evidence(ak=spki(GOOD_KEY) + b"\0")
    yield "ak-private-key", "tpm.ak", evidence(ak=GOOD_KEY.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    yield "ak-pem", "tpm.ak", changed(["ak_public"], GOOD_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode())
    yield "ak-newline", "tpm.ak", changed(["ak_public"], std(spki(GOOD_KEY)) + "\n")
    yield "ak-empty", "tpm.ak", evidence(ak=b"")
    yield "message-base64url", "tpm.quote-format", changed(["tpm_quote", "message"], "_1RDR4AY")
    yield "no-ak", "tpm.evidence", without(["ak_public"])
    yield "no-quote", "tpm.evidence", without(["tpm_quote"])
    yield "no-signature", "tpm.evidence", without(["tpm_quote", "signature"])
    yield "quote-null", "tpm.evidence", changed(["tpm_quote"], None)
    yield "ak-too-long", "tpm.evidence", changed(["ak_public"], "A" * 9000)
    yield "no-object", "tpm.evidence", []


def write(tee, reason, check, made, report=REPORT, init_data=b""):
    whole = {"tee": tee, "report_data": report.hex(), "init_data": init_data.hex(), "refused_by": check, "evidence": made}
    (TESTS / "bad" / "evidence" / f"{tee}-{reason}.json").write_text(json.dumps(whole, indent=1) + "\n")


def main():
    for reason, check, made in tpm_cases():
        write("tpm", reason, check, made)
    write("tpm", "report-data-short", "tpm.nonce", evidence(extra=REPORT[:20]), REPORT[:20])
    write("tpm", "report-data-none", "tpm.nonce", evidence(extra=b""), b"")
    write("tpm", "init-data-other", "tpm.init-data", evidence(), REPORT, bytes([1]) * 32)
    write("tpm", "init-data-sha384", "tpm.init-data", evidence(), REPORT, bytes(48))
    write("tpm", "init-data-short", "tpm.init-data", evidence(), REPORT, bytes(8))
    sample = {"svn": "1", "report_data": std(REPORT)}
    write("sample", "report-data-other", "sample.report-data", {**sample, "report_data": std(bytes(48))})
    write("sample", "report-data-prefix", "sample.report-data", {**sample, "report_data": std(REPORT[:32])})
    write("sample", "report-data-padded", "sample.report-data", {**sample, "report_data": std(REPORT + bytes(16))})
    write("sample", "report-data-absent", "sample.report-data", {"svn": "1"})
    write("sample", "report-data-none", "sample.report-data", {**sample, "report_data": ""}, b"")
    write("sample", "report-data-hex", "sample.report-data", {**sample, "report_data": REPORT.hex()})
    write("sample", "svn-number", "sample.evidence", {**sample, "svn": 1})
    write("sample", "svn-long", "sample.evidence", {**sample, "svn": "1" * 65})
    write("sample", "no-svn", "sample.evidence", {"report_data": std(REPORT)})
    write("sample", "no-object", "sample.evidence", [])


if __name__ == "__main__":
    main()
