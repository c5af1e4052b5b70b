#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests: certs.py DIR makes a CA, a second CA that nobody trusts, and server certificates
for 127.0.0.1 and localhost, good ones and ones with a single fault each. DIR/NAME.pem, DIR/NAME.key; DIR/good.pin."""
import base64
import datetime
import hashlib
import ipaddress
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.utcnow()
DAY = datetime.timedelta(days=1)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make(subject, issuer=None, begins=-1, ends=30, hosts=(), ca=False):
    """A key and its certificate; issuer None: self-signed. Times in days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_name, issuer_key = (issuer[1].subject, issuer[0]) if issuer else (name(subject), key)
    builder = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(issuer_name)
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(NOW + begins * DAY).not_valid_after(NOW + ends * DAY)
               .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([
            x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
            for host in hosts]), critical=False)
    return key, builder.sign(issuer_key, hashes.SHA256())


def pin(cert):
    """The digest of the public key, as curl's --pinnedpubkey takes it."""
    spki = cert.public_key().public_bytes(serialization.Encoding.DER,
                                          serialization.PublicFormat.SubjectPublicKeyInfo)
    return "sha256//" + base64.b64encode(hashlib.sha256(spki).digest()).decode()


def main():
    out = pathlib.Path(sys.argv[1])
    here = ("127.0.0.1", "localhost")
    ca, other_ca = make("test CA", ca=True), make("other CA", ca=True)
    made = {
        "ca": ca,
        "other-ca": other_ca,
        "good": make("kbs", ca, hosts=here),
        "expired": make("kbs", ca, begins=-9, ends=-1, hosts=here),
        "early": make("kbs", ca, begins=5, ends=9, hosts=here),
        "name": make("kbs", ca, hosts=("kbs.example.org",)),
        "unknown": make("kbs", other_ca, hosts=here),
        "self": make("kbs", hosts=here),
    }
    out.mkdir(parents=True, exist_ok=True)
    for label, (key, cert) in made.items():
        (out / f"{label}.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        (out / f"{label}.pin").write_text(pin(cert))
        (out / f"{label}.key").write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


if __name__ == "__main__":
    main()
