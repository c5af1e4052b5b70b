#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest, as Confidential Containers' own client behaves, on public libraries and tpm2-tools only.

The exchange is cut into its steps, each a command; what a step learns is kept in a state file (JSON), so that a test can
repeat, mix up and damage steps:

    client.py --url https://KBS --ca ca.pem auth     STATE --tee tpm      POST /auth: nonce, cookie, fresh P-256 key
    client.py                               evidence STATE [--damage X]   the body of /attest, from the TPM or made up
    client.py --url …                       attest   STATE                POST /attest: token
    client.py --url …                       get      STATE REPO/TYPE/TAG  GET the resource, decrypt the JWE, write it out
    client.py --url …                       token    STATE                print the token's claims after checking its signature
    client.py --url …                       read     REPO/TYPE/TAG --tee tpm   all of it at once
    client.py --url …                       enroll   DIR                  enrolment, by tpm2_activatecredential
    client.py --url …                       bench    --tee tpm --seconds 5 --threads 4

The TPM is the one of $TPM2TOOLS_TCTI, its attestation key the persistent handle 0x81010002 (--ak). Exit status: 0, or 1 with the
KBS's answer on standard error as `STATUS NAME: detail`.
"""
import argparse
import base64
import hashlib
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

import requests
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

VERSION = "0.4.0"
PREFIX = "/kbs/v0"


class Refused(Exception):
    """What the KBS answered instead of 200."""

    def __init__(self, response):
        self.status = response.status_code
        try:
            answer = response.json()
            self.name = answer["type"].rsplit("/", 1)[-1]
            self.detail = answer["detail"]
        except (ValueError, KeyError):
            self.name, self.detail = "?", response.text
        super().__init__(f"{self.status} {self.name}: {self.detail}")


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unurl64(text):
    if "=" in text:
        raise ValueError("padding in base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def std64(data):
    return base64.b64encode(data).decode()


# -- TPM, through tpm2-tools -----------------------------------------------------------------------------------------------------------


def tool(*command):
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def tpm_quote(handle, qualification, pcrs):
    """TPMS_ATTEST, TPMT_SIGNATURE, the 24 SHA-256 PCRs, the key as DER."""
    with tempfile.TemporaryDirectory() as at:
        tool("tpm2_quote", "-Q", "-c", handle, "-l", "sha256:" + pcrs, "-g", "sha256", "-q", qualification.hex(),
             "-m", f"{at}/message", "-s", f"{at}/signature")
        tool("tpm2_pcrread", "-Q", "sha256", "-o", f"{at}/pcrs")
        tool("tpm2_readpublic", "-Q", "-c", handle, "-f", "der", "-o", f"{at}/key")
        tool("tpm2_flushcontext", "-t")
        values = read_file(f"{at}/pcrs")
        return (read_file(f"{at}/message"), read_file(f"{at}/signature"),
                [values[i:i + 32].hex() for i in range(0, len(values), 32)], read_file(f"{at}/key"))


def software_quote(key, qualification, pcrs):
    """A quote that no TPM made: everything right but the key."""
    values = b"".join(bytes.fromhex(pcr) for pcr in pcrs)
    message = (struct.pack(">IH", 0xFF544347, 0x8018) + struct.pack(">H", 34) + b"\x00\x0b" + bytes(32) +
               struct.pack(">H", len(qualification)) + qualification + struct.pack(">QIIB", 1, 0, 0, 1) + struct.pack(">Q", 1) +
               struct.pack(">IHB", 1, 0x000B, 3) + b"\xff\xff\xff" + struct.pack(">H", 32) + hashlib.sha256(values).digest())
    signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    return message, struct.pack(">HHH", 0x0014, 0x000B, len(signature)) + signature


# -- the guest -------------------------------------------------------------------------------------------------------------------------


class Guest:
    """One session. `keep` gives what a state file holds, `Guest.kept` takes it back."""

    curves = {"P-256": ec.SECP256R1(), "P-521": ec.SECP521R1()}

    def __init__(self, url, ca=None, curve="P-256"):
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False  # neither a proxy nor other certificates from the environment
        self.http.verify = ca if ca else True
        self.http.headers["User-Agent"] = "attestation-agent-kbs-client/0.1.0"
        self.tee = self.nonce = self.body = self.token = None
        self.key = ec.generate_private_key(self.curves[curve])

    def post(self, path, body):
        data = body if isinstance(body, (bytes, str)) else json.dumps(body)
        response = self.http.post(self.url + PREFIX + path, data=data, headers={"Content-Type": "application/json"}, timeout=60)
        if response.status_code != 200:
            raise Refused(response)
        return response

    def cookie(self):
        return next((cookie.value for cookie in self.http.cookies if cookie.name == "kbs-session-id"), None)

    def set_cookie(self, value):
        self.http.cookies.clear()
        self.http.headers.pop("Cookie", None)
        if value is not None:
            self.http.headers["Cookie"] = f"kbs-session-id={value}"

    def auth(self, tee, version=VERSION):
        self.tee = tee
        algorithms = ["sha256", "sha384", "sha512", "sm3"]
        response = self.post("/auth", {"version": version, "tee": tee, "extra-params": {"supported-hash-algorithms": algorithms}})
        answer = response.json()
        if response.headers.get("Content-Type") != "application/json" or set(answer) != {"nonce", "extra-params"}:
            sys.exit(f"/auth answered {response.headers.get('Content-Type')} {answer}")
        if len(base64.b64decode(answer["nonce"], validate=True)) != 32 or answer["extra-params"] != "":
            sys.exit(f"/auth answered {answer}")
        self.nonce = answer["nonce"]

    def tee_pubkey(self):
        numbers = self.key.public_key().public_numbers()
        crv = next(name for name, curve in self.curves.items() if curve.name == self.key.curve.name)
        width = (self.key.key_size + 7) // 8
        return {"kty": "EC", "crv": crv, "alg": "ECDH-ES+A256KW", "x": url64(numbers.x.to_bytes(width, "big")),
                "y": url64(numbers.y.to_bytes(width, "big"))}

    def report_data(self, nonce, additional=""):
        """None: that of a device."""
        # RFC 8785 of these members: sorted names, no blanks; all of it is ASCII.
        data = {"nonce": nonce, "tee-pubkey": self.tee_pubkey()}
        if additional is not None:
            data["additional-evidence"] = additional
        return hashlib.sha384(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).digest()

    def devices(self, names, handle, nonce):
        report = self.report_data(nonce, None)
        made = {name: self.tpm(report, handle, None) if name == "tpm" else {"svn": "2", "report_data": std64(report)} for name in names}
        return json.dumps(made) if made else ""

    def evidence(self, handle="0x81010002", damage=None, nonce=None, init_data=None, devices=()):
        nonce = nonce or self.nonce
        additional = self.devices(devices, handle, "stale" if damage == "device" else nonce)
        report = self.report_data("stale" if damage == "report-data" else nonce, "" if damage == "unvouched" else additional)
        primary = self.sample(report) if self.tee in ("sample", "sampledevice") else self.tpm(report, handle, damage)
        self.body = {
            "init-data": {"format": "toml", "body": init_data} if init_data else None,
            "runtime-data": {"nonce": nonce, "tee-pubkey": self.tee_pubkey()},
            "tee-evidence": {"primary_evidence": primary, "additional_evidence": "{}" if damage == "additional" else additional},
        }

    @staticmethod
    def sample(report):
        return {"svn": "1", "report_data": std64(report)}

    @staticmethod
    def tpm(report, handle, damage):
        selection = ",".join(str(n) for n in range(16 if damage == "selection" else 24))
        if damage == "software-key":
            pcrs = [bytes(32).hex()] * 24
            key = rsa.generate_private_key(65537, 2048)
            message, signature = software_quote(key, report[:32], pcrs)
            der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        else:
            message, signature, pcrs, der = tpm_quote(handle, report[:32], selection)
        if damage == "signature":
            signature = signature[:-1] + bytes([signature[-1] ^ 1])
        if damage == "pcrs":
            pcrs[7] = hashlib.sha256(b"good").hexdigest()
        return {"tpm_quote": {"signature": std64(signature), "message": std64(message), "pcrs": pcrs}, "ak_public": std64(der)}

    def attest(self):
        self.token = self.post("/attest", self.body if isinstance(self.body, str) else json.dumps(self.body)).json()["token"]

    def claims(self):
        """Signature by the key in the header (whose trust is the verifier's business), times, and what must be there."""
        head, payload, signature = self.token.split(".")
        header, claims = json.loads(unurl64(head)), json.loads(unurl64(payload))
        jwk, raw = header["jwk"], unurl64(signature)
        if header["alg"] != "ES256" or jwk["crv"] != "P-256" or len(raw) != 64:
            sys.exit(f"token header {header}")
        key = ec.EllipticCurvePublicNumbers(int.from_bytes(unurl64(jwk["x"]), "big"), int.from_bytes(unurl64(jwk["y"]), "big"),
                                            ec.SECP256R1()).public_key()
        key.verify(utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")),
                   f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
        if not claims["iat"] <= time.time() + 60 or not time.time() < claims["exp"]:
            sys.exit(f"token times {claims['iat']}..{claims['exp']}")
        evidence = claims["submods"]["cpu0"]["ear.veraison.annotated-evidence"]
        if evidence["runtime_data_claims"]["tee-pubkey"] != self.tee_pubkey() or self.tee not in evidence:
            sys.exit(f"token of another guest: {evidence}")
        if evidence["runtime_data_claims"]["nonce"] != self.nonce:
            sys.exit("token of another session")
        return claims

    def get(self, path, bearer=False):
        headers = {"Authorization": f"Bearer {self.token}"} if bearer else {}
        if bearer:
            self.http.cookies.clear()
            self.http.headers.pop("Cookie", None)
        response = self.http.get(f"{self.url}{PREFIX}/resource/{path}", headers=headers, timeout=60)
        if response.status_code != 200:
            raise Refused(response)
        return self.decrypt(response.json())

    def decrypt(self, jwe):
        """RFC 7518 4.6 by hand. As CoCo's client, the header is written anew for the AAD: it must come out as it was sent."""
        header = json.loads(unurl64(jwe["protected"]))
        again = {"alg": header["alg"], "enc": header["enc"], "epk": dict(sorted(header["epk"].items()))}
        protected = url64(json.dumps(again, separators=(",", ":")).encode())
        epk = header["epk"]
        point = ec.EllipticCurvePublicNumbers(int.from_bytes(unurl64(epk["x"]), "big"), int.from_bytes(unurl64(epk["y"]), "big"),
                                              self.curves[epk["crv"]]).public_key()
        alg = header["alg"].encode()
        info = struct.pack(">I", len(alg)) + alg + struct.pack(">III", 0, 0, 256)
        kek = ConcatKDFHash(hashes.SHA256(), 32, info).derive(self.key.exchange(ec.ECDH(), point))
        cek = aes_key_unwrap(kek, unurl64(jwe["encrypted_key"]))
        return AESGCM(cek).decrypt(unurl64(jwe["iv"]), unurl64(jwe["ciphertext"]) + unurl64(jwe["tag"]), protected.encode())

    def keep(self):
        pem = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return {"tee": self.tee, "nonce": self.nonce, "cookie": self.cookie(), "body": self.body, "token": self.token, "key": pem.decode()}

    @classmethod
    def kept(cls, url, ca, state):
        guest = cls(url, ca)
        guest.tee, guest.nonce, guest.body, guest.token = state["tee"], state["nonce"], state["body"], state["token"]
        guest.key = serialization.load_pem_private_key(state["key"].encode(), None)
        guest.set_cookie(state["cookie"])
        guest.cookie = lambda: state["cookie"]
        return guest


# -- enrolment -------------------------------------------------------------------------------------------------------------------------


def enroll(guest, directory, handle, fault):
    """EK of template L-1, its certificate from NV, an AK below it made persistent at `handle`; then the KBS's challenge."""
    at = directory
    os.makedirs(at, exist_ok=True)
    tool("tpm2_createek", "-Q", "-G", "rsa", "-c", f"{at}/ek.ctx", "-u", f"{at}/ek.pub")
    if not os.path.exists(f"{at}/ak.ctx"):
        tool("tpm2_createak", "-Q", "-C", f"{at}/ek.ctx", "-G", "rsa", "-g", "sha256", "-s", "rsassa", "-c", f"{at}/ak.ctx", "-u",
             f"{at}/ak.pub", "-n", f"{at}/ak.name")
        tool("tpm2_flushcontext", "-t")
        tool("tpm2_evictcontrol", "-Q", "-C", "o", "-c", f"{at}/ak.ctx", handle)
    certificate = tool("tpm2_nvread", "-C", "o", "0x1c00002")
    answer = guest.post("/agent/enroll", {"ek_public": std64(read_file(f"{at}/ek.pub")), "ek_certificate": std64(certificate),
                                          "ak_public": std64(read_file(f"{at}/ak.pub"))}).json()
    with open(f"{at}/challenge", "wb") as file:  # the container of tpm2_makecredential
        file.write(struct.pack(">II", 0xBADCC0DE, 1) + base64.b64decode(answer["credential"]) + base64.b64decode(answer["secret"]))
    tool("tpm2_flushcontext", "-t")
    tool("tpm2_startauthsession", "-Q", "--policy-session", "-S", f"{at}/session")
    tool("tpm2_policysecret", "-Q", "-S", f"{at}/session", "-c", "e")
    tool("tpm2_activatecredential", "-Q", "-c", f"{at}/ak.ctx", "-C", f"{at}/ek.ctx", "-i", f"{at}/challenge", "-o", f"{at}/credential",
         "-P", f"session:{at}/session")
    tool("tpm2_flushcontext", f"{at}/session")
    tool("tpm2_flushcontext", "-t")
    credential = read_file(f"{at}/credential")
    if fault == "credential":
        credential = bytes([credential[0] ^ 1]) + credential[1:]
    challenge = answer["challenge"]
    if fault == "challenge":
        challenge = ("A" if challenge[40] != "A" else "B").join([challenge[:40], challenge[41:]])
    return guest.post("/agent/activate", {"challenge": challenge, "ak_public": std64(read_file(f"{at}/ak.pub")),
                                          "credential": std64(credential)}).json()


# -- figures ---------------------------------------------------------------------------------------------------------------------------


def bench(args):
    """Handshakes a second: /auth and /attest by several clients on kept connections. A real quote for each nonce would measure the
    TPM: the key of --software is registered beforehand and signs quotes here."""
    key = serialization.load_pem_private_key(read_file(args.software), None) if args.software else None
    times, lock, end = [], threading.Lock(), time.monotonic() + args.seconds

    def prepare(guest):
        if args.tee == "sample":
            guest.evidence()
            return
        pcrs = [bytes(32).hex()] * 24
        message, signature = software_quote(key, guest.report_data(guest.nonce)[:32], pcrs)
        der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        guest.body = {"init-data": None, "runtime-data": {"nonce": guest.nonce, "tee-pubkey": guest.tee_pubkey()}, "tee-evidence": {
            "primary_evidence": {"tpm_quote": {"signature": std64(signature), "message": std64(message), "pcrs": pcrs},
                                 "ak_public": std64(der)}, "additional_evidence": ""}}

    def run():
        guest = Guest(args.url, args.ca)
        while time.monotonic() < end:
            begin = time.monotonic()
            guest.auth(args.tee)
            half = time.monotonic()
            prepare(guest)
            middle = time.monotonic()
            guest.attest()
            with lock:
                times.append(half - begin + time.monotonic() - middle)

    threads = [threading.Thread(target=run) for _ in range(args.threads)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - begin
    print(json.dumps({"tee": args.tee, "threads": args.threads, "handshakes": len(times), "per_second": round(len(times) / took, 1),
                      "p50_ms": round(statistics.median(times) * 1000, 2)}))


# -- commands --------------------------------------------------------------------------------------------------------------------------


def load(args):
    with open(args.state, encoding="utf-8") as file:
        return Guest.kept(args.url, args.ca, json.load(file))


def save(args, guest):
    with open(args.state, "w", encoding="utf-8") as file:
        json.dump(guest.keep(), file)


def run_auth(args):
    guest = Guest(args.url, args.ca)
    guest.auth(args.tee, args.version)
    save(args, guest)


def run_evidence(args):
    guest = load(args)
    other = json.load(open(args.nonce_of, encoding="utf-8"))["nonce"] if args.nonce_of else None
    guest.evidence(args.ak, args.damage, other, read_file(args.init_data).decode() if args.init_data else None,
                   args.device)
    save(args, guest)


def run_attest(args):
    guest = load(args)
    if args.cookie is not None:
        guest.set_cookie(args.cookie or None)
    guest.attest()
    save(args, guest)
    if args.print:
        print(guest.token)


def run_get(args):
    sys.stdout.buffer.write(load(args).get(args.path, args.bearer))


def run_token(args):
    print(json.dumps(load(args).claims()))


def run_read(args):
    """As a real client: first without a session, then the handshake."""
    guest = Guest(args.url, args.ca, args.curve)
    try:
        guest.get(args.path)
        sys.exit("a resource without attestation")
    except Refused as refusal:
        if (refusal.status, refusal.name) != (401, "TokenNotFound"):
            raise
    guest.auth(args.tee)
    guest.evidence(args.ak)
    guest.attest()
    guest.claims()
    sys.stdout.buffer.write(guest.get(args.path))


def run_many(args):
    """Whole reads by many guests at once, each with its own session; all must get the same bytes."""
    results = []

    def one():
        guest = Guest(args.url, args.ca)
        try:
            guest.auth(args.tee)
            guest.evidence()
            guest.attest()
            guest.claims()
            results.append(guest.get(args.path).hex())
        except (Refused, requests.RequestException, SystemExit) as error:
            results.append(str(error))

    threads = [threading.Thread(target=one) for _ in range(args.guests)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(set(results)) != 1 or len(results) != args.guests:
        sys.exit(f"{len(set(results))} different results: {sorted(set(results))[:3]}")
    sys.stdout.buffer.write(bytes.fromhex(results[0]))


def run_enroll(args):
    print(json.dumps(enroll(Guest(args.url, args.ca), args.directory, args.ak, args.fault)))


def main():
    parser = argparse.ArgumentParser(description="a Confidential Containers guest", epilog=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url")
    parser.add_argument("--ca", help="CA certificate of the KBS (PEM)")
    parser.add_argument("--ak", default="0x81010002", help="attestation key: persistent handle or context file")
    commands = parser.add_subparsers(required=True)

    def command(name, run, *operands):
        sub = commands.add_parser(name)
        sub.set_defaults(run=run)
        for operand in operands:
            sub.add_argument(operand)
        return sub

    sub = command("auth", run_auth, "state")
    sub.add_argument("--tee", default="sample")
    sub.add_argument("--version", default=VERSION)
    sub = command("evidence", run_evidence, "state")
    sub.add_argument("--damage", choices=["signature", "pcrs", "selection", "software-key", "report-data", "additional", "device", "unvouched"])
    sub.add_argument("--nonce-of", metavar="STATE", help="use the nonce of another session")
    sub.add_argument("--init-data", metavar="FILE")
    sub.add_argument("--device", choices=["sampledevice", "sample", "tpm"], action="append", default=[], help="evidence beside the guest's own")
    sub = command("attest", run_attest, "state")
    sub.add_argument("--cookie", help="another cookie; empty: none")
    sub.add_argument("--print", action="store_true")
    command("get", run_get, "state", "path").add_argument("--bearer", action="store_true", help="token in the header, no cookie")
    command("token", run_token, "state")
    sub = command("read", run_read, "path")
    sub.add_argument("--tee", default="sample")
    sub.add_argument("--curve", choices=list(Guest.curves), default="P-256", help="of the guest's key")
    sub = command("many", run_many, "path")
    sub.add_argument("--tee", default="sample")
    sub.add_argument("--guests", type=int, default=32)
    command("enroll", run_enroll, "directory").add_argument("--fault", choices=["credential", "challenge"])
    sub = command("bench", bench)
    sub.add_argument("--tee", default="sample")
    sub.add_argument("--seconds", type=float, default=5)
    sub.add_argument("--threads", type=int, default=4)
    sub.add_argument("--software", metavar="PEM", help="RSA key that signs quotes in a TPM's place")
    args = parser.parse_args()
    try:
        args.run(args)
    except Refused as refusal:
        sys.exit(str(refusal))


if __name__ == "__main__":
    main()
