#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A test KBS: Trustee's side of the RCAR handshake (KBS attestation protocol 0.4.0) and of GET resource, on public libraries
and sharing no code with sealedfs. It checks what a client sends to the letter and breaks on demand.

    kbs.py [--cert PEM --key KEY] [--port N] [--signer FILE] [--resource R/T/T=TEXT]… [--dir DIR] [--any] [--token-life SECONDS]
           [--status affirming|…] [--clock SECONDS] [--fault STEP=FAULT[:ARGUMENT]]…

Prints its port on the first line of standard output. Without --cert it speaks plain HTTP. --dir: the file DIR/R/T/T, as it is when it
is asked for, is the resource R/T/T. --signer: the key of its tokens, made when FILE is not there; replicas share it. --any: every other resource exists and holds "plaintext of R/T/T". --clock shifts its idea of the time. A fault is for one STEP (auth, attest, resource) or `all`:

    hang            never answers                      deny          refuses (at resource: PolicyDeny)
    drop            closes the connection              missing       resource: Trustee's answer for no such resource
    slow:SECONDS    answers late                       unknown-token resource: TokenVerifierError
    status:N        that status, a page of HTML        version       auth: only another protocol version is taken
    garbage         200 and no JSON                    no-cookie     auth: no session cookie
    oversize:BYTES  200 and that many bytes            no-expiry     attest: a token without exp
    headers:N       200 with N more header lines       expired       attest: a token that ended before it began
    big-header:N    200 with a header line of N bytes  bad-token     attest: no JWT
    redirect        302 to elsewhere                   other-key     resource: encrypted to somebody else
    empty           401 without a body                 id:TEXT       as deny, with an explanation id
    cut:N           ends the right answer in mid-body  other-nonce   auth: a nonce that its own session does not have
    drip:SECONDS    the right answer, a byte each time

For the test itself, on the same port: GET /stats -> {"connections" (of clients),"auth","attest","resource","released","problems":[…]};
POST /faults with STEP=FAULT… replaces all faults (an empty body clears them); POST /forget makes every token given so far unknown."""
import argparse
import base64
import hashlib
import json
import pathlib
import secrets
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from jwcrypto import jwk, jws

PREFIX = "/kbs/v0/"
ERRORS = "https://github.com/confidential-containers/kbs/errors/"
SESSION_SECONDS = 300


class Refused(Exception):
    """Ends a request with Trustee's error body."""

    def __init__(self, name, detail, status=401):
        super().__init__(detail)
        self.name, self.detail, self.status = name, detail, status


class Raw(Exception):
    """Ends a request with exactly this answer."""

    def __init__(self, status, body=b"", headers=()):
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers


class Dropped(Exception):
    """Ends the connection without an answer."""


def std64(text):
    return base64.b64decode(text, validate=True)


def url64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def canonical(value):
    """RFC 8785 for what runtime data holds: objects of texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def expect(condition, what):
    if not condition:
        raise ValueError(what)


def members(value, names, what):
    expect(isinstance(value, dict) and sorted(value) == sorted(names),
           f"{what}: members {sorted(value) if isinstance(value, dict) else value!r}, expected {sorted(names)}")


# -- what a client sends -----------------------------------------------------------------------------------------------


def check_auth(body):
    members(body, ("version", "tee", "extra-params"), "/auth body")
    expect(body["tee"] in ("sample", "tpm"), f"tee {body['tee']!r}")
    params = body["extra-params"]
    members(params, ("supported-hash-algorithms",), "extra-params")
    expect("sha384" in params["supported-hash-algorithms"], "sha384 is not offered")


def check_pubkey(key):
    members(key, ("kty", "crv", "alg", "x", "y"), "tee-pubkey")
    expect((key["kty"], key["crv"], key["alg"]) == ("EC", "P-256", "ECDH-ES+A256KW"), "tee-pubkey kind")
    for name in ("x", "y"):
        expect(len(key[name]) == 43 and len(url64(key[name])) == 32, f"tee-pubkey {name} is not 32 bytes")


def check_sample(evidence, digest):
    members(evidence, ("svn", "report_data"), "sample evidence")
    expect(std64(evidence["report_data"]) == digest, "report_data is not the digest of the runtime data")
    return {"svn": evidence["svn"], "launch_digest": "abcde"}


def check_tpm(evidence, digest):
    # Trustee's verifier takes no notice of members that it does not know; ours may send one.
    members({name: value for name, value in evidence.items() if name != "event_log"}, ("tpm_quote", "ak_public"), "tpm evidence")
    quote = evidence["tpm_quote"]
    members(quote, ("signature", "message", "pcrs"), "tpm_quote")
    message, signature = std64(quote["message"]), std64(quote["signature"])
    expect(message[:6] == bytes.fromhex("ff5443478018"), "message is no TPMS_ATTEST of a quote")
    at = 6
    at += 2 + int.from_bytes(message[at:at + 2], "big")  # qualifiedSigner
    size = int.from_bytes(message[at:at + 2], "big")
    expect(message[at + 2:at + 2 + size] == digest[:32], "extraData is not the first 32 bytes of the digest")
    at += 2 + size + 17 + 8  # clockInfo, firmwareVersion
    expect(message[at:at + 10] == bytes.fromhex("00000001000b03ffffff"), "the selection is not PCR 0-23, SHA-256")
    expect(len(quote["pcrs"]) == 24, "24 PCRs expected")
    pcr_digest = hashlib.sha256(b"".join(bytes.fromhex(pcr) for pcr in quote["pcrs"])).digest()
    expect(message[at + 10:] == (32).to_bytes(2, "big") + pcr_digest, "pcrDigest is not that of the PCRs")
    expect(signature[:4] == bytes.fromhex("0014000b"), "signature is not RSASSA with SHA-256")
    key = serialization.load_der_public_key(std64(evidence["ak_public"]))
    try:
        key.verify(signature[6:], message, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise ValueError("the quote's signature does not verify") from error
    return {f"pcr{i:02}": pcr for i, pcr in enumerate(quote["pcrs"])} | {"ak_public": evidence["ak_public"]}


CHECKS = {"sample": check_sample, "tpm": check_tpm}


def check_attest(body, session):
    """The claims of the evidence, or ValueError."""
    members(body, ("init-data", "runtime-data", "tee-evidence"), "/attest body")
    runtime, evidence = body["runtime-data"], body["tee-evidence"]
    members(runtime, ("nonce", "tee-pubkey"), "runtime-data")
    members(evidence, ("primary_evidence", "additional_evidence"), "tee-evidence")
    expect(body["init-data"] is None, "init-data is not null")
    expect(evidence["additional_evidence"] == "", "additional_evidence is not empty")
    expect(runtime["nonce"] == session["nonce"], "the nonce is not the session's")
    check_pubkey(runtime["tee-pubkey"])
    bound = {"additional-evidence": "", **runtime}
    digest = hashlib.sha384(canonical(bound)).digest()
    return {session["tee"]: CHECKS[session["tee"]](evidence["primary_evidence"], digest),
            "runtime_data_claims": bound}


# -- what it answers ---------------------------------------------------------------------------------------------------


def url64_text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def seal(recipient, plaintext):
    """A flattened JWE, ECDH-ES+A256KW and A256GCM (RFC 7516, RFC 7518 section 4.6), with the header as Trustee writes it: everything
    protected. (jwcrypto puts epk into the unprotected header.)"""
    ephemeral = jwk.JWK.generate(kty="EC", crv="P-256")
    epk = ephemeral.export_public(as_dict=True)
    header = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "epk": {name: epk[name] for name in ("crv", "kty", "x", "y")}}
    protected = url64_text(json.dumps(header, separators=(",", ":")).encode())
    shared = ephemeral.get_op_key("unwrapKey").exchange(ec.ECDH(), recipient.get_op_key("encrypt"))
    info = b"".join(len(part).to_bytes(4, "big") + part for part in (b"ECDH-ES+A256KW", b"", b"")) + (256).to_bytes(4, "big")
    kek = ConcatKDFHash(algorithm=hashes.SHA256(), length=32, otherinfo=info).derive(shared)
    cek, iv = secrets.token_bytes(32), secrets.token_bytes(12)
    sealed = AESGCM(cek).encrypt(iv, plaintext, protected.encode())
    return {"protected": protected, "encrypted_key": url64_text(aes_key_wrap(kek, cek)), "iv": url64_text(iv),
            "ciphertext": url64_text(sealed[:-16]), "tag": url64_text(sealed[-16:])}


# -- the KBS -----------------------------------------------------------------------------------------------------------


class Kbs:
    def __init__(self, args):
        self.args = args
        self.lock = threading.Lock()
        self.stats = {"connections": 0, "auth": 0, "attest": 0, "resource": 0, "released": 0}
        self.problems = []
        self.sessions = {}
        self.resources = dict(item.split("=", 1) for item in args.resource)
        self.faults = {}
        self.stop = threading.Event()
        self.forget()
        self.set_faults(args.fault)

    def forget(self):
        shared = self.args.signer and pathlib.Path(self.args.signer)
        if shared and shared.exists():
            self.signer = jwk.JWK.from_json(shared.read_text(encoding="ascii"))
            return
        self.signer = jwk.JWK.generate(kty="EC", crv="P-256", alg="ES256")
        if shared:
            shared.write_text(self.signer.export(), encoding="ascii")

    def set_faults(self, items):
        self.faults = dict(item.split("=", 1) for item in items)

    def fault(self, step):
        """Its kind and argument; step None, a question of the test's own, has none."""
        if not step:
            return "", ""
        kind, _, argument = self.faults.get(step, self.faults.get("all", "")).partition(":")
        return kind, argument

    def count(self, what):
        with self.lock:
            self.stats[what] += 1

    def problem(self, text):
        with self.lock:
            self.problems.append(text)

    def now(self):
        return int(time.time()) + self.args.clock

    def auth(self, handler):
        body = handler.json_body()
        if body.get("version") != "0.4.0" or self.fault("auth")[0] == "version":
            wanted = "0.5.0" if self.fault("auth")[0] == "version" else "0.4.0"
            raise Refused("AttestationError", "Attestation error: RCAR handshake Auth failed: KBS Client Protocol Version "
                          f"Mismatch: expect ={wanted} while the request is {body.get('version')}")
        check_auth(body)
        session_id, nonce = secrets.token_hex(16), base64.b64encode(secrets.token_bytes(32)).decode()
        with self.lock:
            self.sessions[session_id] = {"nonce": nonce, "tee": body["tee"], "until": time.monotonic() + SESSION_SECONDS}
        expires = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(self.now() + SESSION_SECONDS))
        cookie = ("Set-Cookie", f"kbs-session-id={session_id}; Expires={expires}")
        if self.fault("auth")[0] == "other-nonce":
            nonce = base64.b64encode(secrets.token_bytes(32)).decode()
        return {"nonce": nonce, "extra-params": ""}, [] if self.fault("auth")[0] == "no-cookie" else [cookie]

    def attest(self, handler):
        cookie = handler.headers.get("Cookie", "")
        expect(cookie.startswith("kbs-session-id="), f"/attest with the cookie {cookie!r}")
        with self.lock:
            session = self.sessions.get(cookie.split("=", 1)[1])
        if not session or session["until"] < time.monotonic():
            raise Refused("AttestationError", "Attestation error: RCAR handshake Attest failed")
        if "token" not in session:
            session["token"] = self.token(check_attest(handler.json_body(), session))
        return {"token": "no.token" if self.fault("attest")[0] == "bad-token" else session["token"]}, []

    def token(self, claims):
        kind, now = self.fault("attest")[0], self.now()
        payload = {"eat_profile": "tag:github.com,2024:confidential-containers/Trustee", "iss": "CoCo-Attestation-Service",
                   "iat": now, "exp": now + self.args.token_life, "submods": {"cpu0": {
                       "ear.status": self.args.status, "ear.appraisal-policy-id": "default",
                       "ear.veraison.annotated-evidence": claims}}}
        if kind == "expired":
            payload["exp"] = now - 1
        if kind == "no-expiry":
            del payload["exp"]
        token = jws.JWS(json.dumps(payload))
        header = {"typ": "JWT", "alg": "ES256", "jwk": self.signer.export_public(as_dict=True)}
        token.add_signature(self.signer, protected=json.dumps(header))
        return token.serialize(compact=True)

    def claims(self, handler):
        bearer = handler.headers.get("Authorization", "")
        if "Cookie" in handler.headers:
            self.problem("a resource was asked for with a cookie")
        if not bearer.startswith("Bearer "):
            raise Refused("TokenNotFound", "Attestation Token not found")
        token = jws.JWS()
        try:
            token.deserialize(bearer[len("Bearer "):], self.signer)
        except Exception as error:
            raise Refused("TokenVerifierError", "Token Verifier error") from error
        claims = json.loads(token.payload)
        if claims["exp"] < self.now():
            raise Refused("TokenVerifierError", "Token Verifier error")
        return claims

    def content(self, path):
        """Bytes, or None."""
        file = pathlib.Path(self.args.dir or "/dev/null", path)
        if path in self.resources:
            return self.resources[path].encode()
        if len(file.parts) > 3 and ".." not in file.parts and file.is_file():
            return file.read_bytes()
        return f"plaintext of {path}".encode() if self.args.any else None

    def resource(self, handler):
        kind = self.fault("resource")[0]
        if kind == "unknown-token":
            raise Refused("TokenVerifierError", "Token Verifier error")
        claims = self.claims(handler)
        path = handler.path[len(PREFIX + "resource/"):]
        content = self.content(path)
        if kind == "missing" or content is None:
            raise Refused("PluginInternalError", "Plugin internal error")
        evidence = claims["submods"]["cpu0"]["ear.veraison.annotated-evidence"]
        key = jwk.JWK(**evidence["runtime_data_claims"]["tee-pubkey"])
        if kind == "other-key":
            key = jwk.JWK.generate(kty="EC", crv="P-256")
        self.count("released")
        return seal(key, content), []


STEPS = {("POST", "auth"): "auth", ("POST", "attest"): "attest", ("GET", "resource"): "resource"}


def break_answer(kbs, step):
    """The faults that are the same at each step: they take the place of the answer."""
    kind, argument = kbs.fault(step)
    if kind == "hang":
        kbs.stop.wait()
    if kind in ("hang", "drop"):
        raise Dropped()
    if kind == "slow":
        time.sleep(float(argument))
    if kind in ("deny", "id"):
        name = {"resource": "PolicyDeny"}.get(step, "AttestationError")
        raise Refused(name, "Access denied by policy" + (f" [id {argument}]" if argument else ""))
    answers = {
        "status": lambda: Raw(int(argument), b"<html>no KBS here</html>"),
        "garbage": lambda: Raw(200, b"\x00\xffgarbage"),
        "oversize": lambda: Raw(200, b'"' + b"x" * int(argument) + b'"'),
        "headers": lambda: Raw(200, b"{}", [("X-Filler", "x")] * int(argument)),
        "big-header": lambda: Raw(200, b"{}", [("X-Filler", "x" * int(argument))]),
        "redirect": lambda: Raw(302, b"", [("Location", "https://127.0.0.1:1/")]),
        "empty": lambda: Raw(401),
    }
    if kind in answers:
        raise answers[kind]()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 300

    def setup(self):
        if self.server.tls:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.counted = False
        super().setup()

    def raw_body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def json_body(self):
        expect(self.headers.get("Content-Type") == "application/json", f"Content-Type {self.headers.get('Content-Type')!r}")
        expect("Expect" not in self.headers, "an Expect header")
        return json.loads(self.body)

    def reply(self, status, body=b"", headers=()):
        """In one write, as a server that is no toy does."""
        self.log_request(status)
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n", body)

    def send(self, head, body):
        kind, argument = self.server.kbs.fault(self.step)
        if kind == "cut":
            self.wfile.write(head + body[:int(argument)])
            self.close_connection = True
        elif kind == "drip":
            self.wfile.write(head)
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(float(argument))
        else:
            self.wfile.write(head + body)

    def refuse(self, refused):
        body = {"type": ERRORS + refused.name, "detail": refused.detail}
        self.reply(refused.status, json.dumps(body).encode())

    def control(self):
        kbs = self.server.kbs
        if self.path == "/stats":
            with kbs.lock:
                self.reply(200, json.dumps({**kbs.stats, "problems": kbs.problems}, separators=(",", ":")).encode())
        elif self.path == "/faults":
            kbs.set_faults(self.body.decode().split())
            self.reply(200)
        elif self.path == "/forget":
            kbs.forget()
            self.reply(200)
        else:
            raise Refused("PluginNotFound", f"Plugin {self.path} not found", 404)

    def serve(self, step):
        kbs = self.server.kbs
        kbs.count(step)
        if not self.counted:
            kbs.count("connections")
            self.counted = True
        break_answer(kbs, step)
        body, headers = getattr(kbs, step)(self)
        self.reply(200, json.dumps(body).encode(), [("Content-Type", "application/json"), *headers])

    def handle_method(self):
        step = None
        self.body = self.raw_body()
        if self.path.startswith(PREFIX):
            step = STEPS.get((self.command, self.path[len(PREFIX):].split("/")[0]))
        self.step = step
        try:
            self.serve(step) if step else self.control()
        except Refused as refused:
            self.refuse(refused)
        except Raw as raw:
            self.reply(raw.status, raw.body, raw.headers)
        except Dropped:
            self.close_connection = True
        except (ValueError, KeyError, TypeError) as error:
            self.server.kbs.problem(f"{step}: {error}")
            self.refuse(Refused("AttestationError", f"Attestation error: RCAR handshake {step} failed"))

    do_GET = do_POST = do_PUT = do_DELETE = handle_method


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    tls = None
    kbs = None

    def handle_error(self, request, client_address):  # a refused handshake or a client that left is no news
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--signer")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--resource", action="append", default=[])
    parser.add_argument("--dir")
    parser.add_argument("--any", action="store_true")
    parser.add_argument("--token-life", type=int, default=300)
    parser.add_argument("--status", default="affirming")
    parser.add_argument("--clock", type=int, default=0)
    parser.add_argument("--fault", action="append", default=[])
    args = parser.parse_args()
    server = Server(("127.0.0.1", args.port), Handler)
    server.kbs = Kbs(args)
    if args.cert:
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.minimum_version = ssl.TLSVersion.TLSv1_2
        server.tls.load_cert_chain(args.cert, args.key)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
