#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes TDX evidence and collateral, good (tests/vectors/evidence/tdx) and to be refused (tests/bad/tdx_evidence), with CAs made here.

An independent second writer of quotes, of the SGX extension and of what Intel's PCS publishes; it shares no code with attest/verify.
A good file is as tests/unit/evidence_file.h has it. A bad one names the good one that it was made from and holds what differs:
    {"base": "v4", "refused_by": [names of the failed checks], "evidence"? or "splice"?: {"head", "middle", "tail"}, "collateral"?:
     {name: {"body", "chain"?}}, "cc_eventlog"?, "at"?, ...}
splice: the quote is the first `head` bytes of the good one's, the middle in base64, and its last `tail` bytes. A chain that is
not there is the good one's.
pcs.json is the collateral of all good ones in the layout of the PCS Client Tool. First inputs of the fuzz targets come from here, too. Run by hand when a case is added.
"""
import base64
import datetime
import functools
import hashlib
import json
import pathlib
import struct
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.x509.oid import NameOID

TESTS = pathlib.Path(__file__).resolve().parent.parent
AT = datetime.datetime(2026, 6, 15, 12)
REPORT = bytes.fromhex("24d7b8634a25cc74ab1ce3c78b8cd9ec5a23e33f3a66ce3a04cf6b9a48f11d56986edb023749150a64850073a9c2e043")
INIT_DATA = hashlib.sha384(b"init data").digest()
VENDOR = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
ARC = "1.2.840.113741.1.13.1"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


# -- keys, certificates, CRLs: made once for each set of arguments, so that cases share what they do not change

@functools.lru_cache(None)
def key(label):
    if label == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.derive_private_key(int.from_bytes(hashlib.sha256(label.encode()).digest(), "big") % (ORDER - 1) + 1, ec.SECP256R1())


@functools.lru_cache(None)
def sign(label, message):
    r, s = utils.decode_dss_signature(key(label).sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def point(label):
    numbers = key(label).public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def name(common):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Intel Corporation")])


def date(text):
    return datetime.datetime.fromisoformat(text)


@functools.lru_cache(None)
def certificate(subject, label, issuer, issuer_label, ca=True, first="2018-05-21", last="2033-05-21", extensions=(), digest="SHA256"):
    builder = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(key(label).public_key())
               .serial_number(int.from_bytes(hashlib.sha256((subject + label).encode()).digest()[:18], "big"))
               .not_valid_before(date(first)).not_valid_after(date(last))
               .add_extension(x509.BasicConstraints(ca, 1 if ca else None), True))
    for value in extensions:
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(ARC), value), False)
    return builder.sign(key(issuer_label), getattr(hashes, digest)())


@functools.lru_cache(None)
def crl(issuer, label, revoked=(), first="2026-06-01", last="2026-07-01", number=7):
    builder = x509.CertificateRevocationListBuilder().issuer_name(name(issuer)).last_update(date(first)).next_update(date(last))
    builder = builder.add_extension(x509.CRLNumber(number), False)
    for cert in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(cert.serial_number).revocation_date(date("2026-01-01")).build())
    return builder.sign(key(label), hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def pem(*certs):
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certs)


ROOT_NAME, SIGNER_NAME, LEAF_NAME = "Intel SGX Root CA", "Intel SGX TCB Signing", "Intel SGX PCK Certificate"
CA_NAMES = {"platform": "Intel SGX PCK Platform CA", "processor": "Intel SGX PCK Processor CA"}


def root(label="root"):
    return certificate(ROOT_NAME, label, ROOT_NAME, label, last="2049-12-31")


def authority(kind="platform", **change):
    return certificate(**{"subject": CA_NAMES[kind], "label": kind, "issuer": ROOT_NAME, "issuer_label": "root", **change})


def signer(**change):
    return certificate(**{"subject": SIGNER_NAME, "label": "signer", "issuer": ROOT_NAME, "issuer_label": "root", "ca": False, **change})


# -- the SGX extension

def der(tag, value):
    assert len(value) < 65536
    size = bytes([len(value)]) if len(value) < 128 else b"\x81" + bytes([len(value)]) if len(value) < 256 else b"\x82" + struct.pack(">H", len(value))
    return bytes([tag]) + size + value


def integer(number):
    return der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def member(arcs, value):
    return der(0x30, der(6, bytes.fromhex("2a864886f84d010d01") + bytes(arcs)) + value)


COMPONENTS = (7, 9, 2, 2, 4, 1, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0)


def extension(platform=True, components=COMPONENTS, pcesvn=300, fmspc="90c06f000000", pceid="0000", sgx_type=1, drop=(), tail=b"", flags=(1, 1, 0)):
    tcb = b"".join(member([2, i + 1], integer(svn)) for i, svn in enumerate(components))
    tcb += member([2, 17], integer(pcesvn)) + member([2, 18], der(4, bytes(min(svn, 255) for svn in components)))
    parts = {1: der(4, bytes(range(16))), 2: der(0x30, tcb), 3: der(4, bytes.fromhex(pceid)), 4: der(4, bytes.fromhex(fmspc)), 5: der(10, bytes([sgx_type]))}
    if platform:
        parts[6] = der(4, bytes(range(0x20, 0x30)))
        parts[7] = der(0x30, b"".join(member([7, i + 1], der(1, b"\xff" if flag else b"\x00")) for i, flag in enumerate(flags)))
    return der(0x30, b"".join(member([arc], value) for arc, value in parts.items() if arc not in drop) + tail)


def leaf(kind="platform", **change):
    values = change.pop("values", (("platform", kind == "platform"), ("sgx_type", 1 if kind == "platform" else 0)))
    return certificate(**{"subject": LEAF_NAME, "label": "leaf", "issuer": CA_NAMES[kind], "issuer_label": kind, "ca": False, "first": "2025-01-01",
                          "last": "2032-01-01", "extensions": (extension(**dict(values)),), **change})


def leaf_with(**values):
    return leaf(values=tuple(values.items()))


# -- the quote

TCB_SVN = bytes([5, 1, 3] + [0] * 13)
BODY = (("tcb_svn", 16), ("mr_seam", 48), ("mrsigner_seam", 48), ("seam_attributes", 8), ("td_attributes", 8), ("xfam", 8), ("mr_td", 48),
        ("mr_config_id", 48), ("mr_owner", 48), ("mr_owner_config", 48), ("rtmr_0", 48), ("rtmr_1", 48), ("rtmr_2", 48), ("rtmr_3", 48),
        ("report_data", 64), ("tee_tcb_svn2", 16), ("mr_servicetd", 48))
FIELDS = {"tcb_svn": TCB_SVN, "mrsigner_seam": bytes(48), "seam_attributes": bytes(8), "td_attributes": bytes.fromhex("0000001000000000"),
          "xfam": bytes.fromhex("e702060000000000"), "mr_config_id": INIT_DATA, "report_data": REPORT + bytes(16), "tee_tcb_svn2": TCB_SVN}
QE_SIGNER = hashlib.sha256(b"signer of the quoting enclave").digest()


def body(count, **change):
    fields = {**{field: hashlib.sha384(field.encode()).digest()[:size] for field, size in BODY}, **FIELDS, **change}
    return b"".join(fields[field] for field, _ in BODY[:count])


def qe_report(data, svn=4, attributes="1500000000000000e700000000000000", miscselect=0, mrsigner=QE_SIGNER, prodid=2):
    report = bytearray(384)
    struct.pack_into("<16sI", report, 0, bytes(16), miscselect)
    report[48:64] = bytes.fromhex(attributes)
    report[64:96] = hashlib.sha256(b"quoting enclave").digest()
    report[128:160] = mrsigner
    struct.pack_into("<HH", report, 256, prodid, svn)
    report[320:384] = data
    return bytes(report)


def quote(version=4, td15=False, chain=None, header=None, fields=None, qe=None, signature=None, qe_signature=None, point_bytes=None, auth=bytes(range(32)),
          report_data=None, types=(6, 5), type_size=None, padding=bytes(70), inner_tail=b"", lengths=(0, 0, 0, 0)):
    """lengths: what to add to the lengths of signature data, QE data, authentication data and chain."""
    chain = pem(leaf(), authority(), root()) + b"\0" if chain is None else chain
    head = header or struct.pack("<HHII16s20s", version, 2, 0x81, 0, VENDOR, bytes(range(20)))
    content = body(17 if td15 else 15, **(fields or {}))
    if version == 5:
        head += struct.pack("<HI", 3 if td15 else 2, len(content)) if type_size is None else type_size
    signed = head + content
    public = point_bytes or point("attestation")
    data = hashlib.sha256(public + auth).digest() + bytes(32) if report_data is None else report_data
    report = qe_report(data, **(qe or {}))
    qe_data = report + (qe_signature or sign("leaf", report)) + struct.pack("<H", len(auth) + lengths[2]) + auth
    qe_data += struct.pack("<HI", types[1], len(chain) + lengths[3]) + chain + inner_tail
    data = (signature or sign("attestation", signed)) + public + struct.pack("<HI", types[0], len(qe_data) + lengths[1]) + qe_data
    return signed + struct.pack("<I", len(data) + lengths[0] & 0xFFFFFFFF) + data + padding


def std(data):
    return base64.b64encode(data).decode()


def evidence(**change):
    return {"quote": std(quote(**change)), "cc_eventlog": None}


# -- what the PCS publishes

def level(status, date_tag, advisories=None, **tcb):
    made = {"tcb": tcb, "tcbDate": date_tag + "T00:00:00Z", "tcbStatus": status}
    return {**made, "advisoryIDs": advisories} if advisories else made


def platform_level(status, date_tag, sgx, pcesvn, tdx, advisories=None):
    fill = lambda svns: [{"svn": svn} for svn in list(svns) + [0] * (16 - len(svns))]
    return level(status, date_tag, advisories, sgxtcbcomponents=fill(sgx), pcesvn=pcesvn, tdxtcbcomponents=fill(tdx))


LEVELS = [platform_level("UpToDate", "2025-05-14", (7, 9, 2, 2, 4, 1, 0, 5), 13, (5, 0, 3)),
          platform_level("OutOfDate", "2024-03-13", (6, 6, 2, 2, 3, 1, 0, 5), 5, (4, 0, 2), ["INTEL-SA-00837", "INTEL-SA-00960"])]
MODULE = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}
MODULES = [{"id": "TDX_01", **MODULE, "tcbLevels": [level("UpToDate", "2025-05-14", isvsvn=5), level("OutOfDate", "2024-03-13", ["INTEL-SA-01099"], isvsvn=4),
                                                    level("Revoked", "2023-01-01", isvsvn=1)]},
           {"id": "TDX_03", **MODULE, "tcbLevels": [level("UpToDate", "2025-05-14", isvsvn=3)]}]
TCB_INFO = {"id": "TDX", "version": 3, "issueDate": "2026-06-01T10:00:00Z", "nextUpdate": "2026-07-01T10:00:00Z", "fmspc": "90C06F000000", "pceId": "0000",
            "tcbType": 0, "tcbEvaluationDataNumber": 18, "tdxModule": MODULE, "tdxModuleIdentities": MODULES, "tcbLevels": LEVELS}
IDENTITY = {"id": "TD_QE", "version": 2, "issueDate": "2026-06-02T10:00:00Z", "nextUpdate": "2026-07-02T10:00:00Z", "tcbEvaluationDataNumber": 19,
            "miscselect": "00000000", "miscselectMask": "FFFFFFFF", "attributes": "11000000000000000000000000000000",
            "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000", "mrsigner": QE_SIGNER.hex().upper(), "isvprodid": 2,
            "tcbLevels": [level("UpToDate", "2025-05-14", isvsvn=4), level("OutOfDate", "2023-08-09", ["INTEL-SA-00586"], isvsvn=3),
                          level("Revoked", "2022-01-01", isvsvn=1)]}


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def document(member_name, text, label="signer", signature=None):
    return '{"%s":%s,"signature":"%s"}' % (member_name, text, (signature or sign(label, text.encode())).hex())


def entry(body_bytes, *chain):
    made = {"body": std(body_bytes if isinstance(body_bytes, bytes) else body_bytes.encode())}
    return {**made, "chain": pem(*chain).decode()} if chain else made


def tcb_info(text=None, chain=None, label="signer", signature=None, **change):
    text = compact({**TCB_INFO, **change}) if text is None else text
    return {"intel/tcb/90C06F000000": entry(document("tcbInfo", text, label, signature), *(chain or (signer(), root())))}


def identity(text=None, chain=None, label="signer", signature=None, **change):
    text = compact({**IDENTITY, **change}) if text is None else text
    return {"intel/qe-identity": entry(document("enclaveIdentity", text, label, signature), *(chain or (signer(), root())))}


def root_crl(label="root", **change):
    return {"intel/root-crl": entry(crl(ROOT_NAME, label, **{"first": "2026-04-01", "last": "2027-04-01", "number": 1, **change}))}


def pck_crl(kind="platform", issuer=None, label=None, **change):
    return {"intel/pck-crl/" + kind: entry(crl(issuer or CA_NAMES[kind], label or kind, **change), authority(kind), root())}


def collateral(kind="platform"):
    return {**tcb_info(), **identity(), **root_crl(), **pck_crl(kind)}


# -- good evidence

def processor_quote(**change):
    return evidence(chain=pem(leaf("processor"), authority("processor"), root()), **change)


def records(log):
    """After the first record: (start, index, SHA-384 digest), up to the filler."""
    at = 32 + struct.unpack_from("<I", log, 28)[0]
    while at < len(log) and log[at:at + 8] not in (b"\xff" * 8, bytes(8)):
        start, (index, _, count) = at, struct.unpack_from("<III", log, at)
        assert count == 1 and log[at + 12:at + 14] == b"\x0c\0"
        yield start, index, log[at + 14:at + 62]
        at += 66 + struct.unpack_from("<I", log, at + 62)[0]


def rtmrs(log):
    values = {index: bytes(48) for index in range(5)}
    for _, index, digest in records(log):
        values[index] = hashlib.sha384(values[index] + digest).digest()
    return {"rtmr_%d" % i: values[i + 1] for i in range(4)}


LOG = (TESTS / "vectors" / "eventlog" / "ccel.bin").read_bytes()
GOODS = {"v4-log": ({**evidence(fields=rtmrs(LOG)), "cc_eventlog": std(LOG)}, "platform"), "v4": (evidence(), "platform"), "v5-td10": (evidence(version=5, padding=b""), "platform"),
         "v5-td15": (evidence(version=5, td15=True, fields={"tcb_svn": bytes([4, 1, 3] + [0] * 13), "tee_tcb_svn2": bytes([6, 1, 4] + [0] * 13)}), "platform"),
         "v4-processor": (processor_quote(), "processor")}


def good(which):
    made, kind = GOODS[which]
    return {"tee": "tdx", "report_data": REPORT.hex(), "init_data": INIT_DATA.hex(), "at": int(AT.replace(tzinfo=datetime.timezone.utc).timestamp()),
            "roots": pem(root()).decode(), "evidence": made, "collateral": collateral(kind)}


def pcs_file():
    chain = urllib.parse.quote(pem(signer(), root()).decode())
    ca_chain = lambda kind: urllib.parse.quote(pem(authority(kind), root()).decode())
    read = lambda objects: base64.b64decode(next(iter(objects.values()))["body"])
    older = {**TCB_INFO, "tcbEvaluationDataNumber": 17}
    sgx = {"tcbInfo": {"id": "SGX"}, "signature": "00"}
    made = {"platforms": [], "collaterals": {
        "version": 4, "tcbinfos": [{"fmspc": "00606A000000", "sgx_tcbinfo": sgx},
                                   {"fmspc": "90c06f000000", "sgx_tcbinfo": sgx, "tdx_tcbinfo": json.loads(document("tcbInfo", compact(older))),
                                    "tdx_tcbinfo_early": json.loads(read(tcb_info()))}],
        "pckcacrl": {"processorCrl": read(pck_crl("processor")).hex(), "platformCrl": read(pck_crl("platform")).hex()},
        "qeidentity": {}, "tdqeidentity": json.loads(read(identity())), "rootcacrl": read(root_crl()).hex().upper(),
        "rootcacrl_cdp": "https://certificates.example/root.der",
        "certificates": {"SGX-PCK-Certificate-Issuer-Chain": {"PROCESSOR": ca_chain("processor"), "PLATFORM": ca_chain("platform")},
                         "TCB-Info-Issuer-Chain": chain, "SGX-Enclave-Identity-Issuer-Chain": chain}}}
    return json.dumps(made, indent=4)


# -- to be refused: name, the failed checks, what differs from the good one

def quote_cases():
    signed = quote(padding=b"")
    other = sign("other", signed[:632])
    yield "signature-by-another-key", ["tdx.signature"], {"signature": other}
    yield "signature-zero", ["tdx.signature"], {"signature": bytes(64)}
    yield "signature-of-other-body", ["tdx.signature"], {"signature": sign("attestation", signed[:631] + b"\1")}
    yield "qe-signature-by-another-key", ["tdx.qe-signature"], {"qe_signature": sign("other", qe_report(bytes(64)))}
    yield "qe-report-data-of-another-key", ["tdx.qe-report-data"], {"report_data": hashlib.sha256(point("other") + bytes(range(32))).digest() + bytes(32)}
    yield "qe-report-data-with-tail", ["tdx.qe-report-data"], {"report_data": hashlib.sha256(point("attestation") + bytes(range(32))).digest() + bytes(31) + b"\1"}
    yield "attestation-key-off-curve", ["tdx.attestation-key"], {"point_bytes": point("attestation")[:63] + b"\0"}
    yield "attestation-key-zero", ["tdx.attestation-key"], {"point_bytes": bytes(64)}
    for version, why in ((3, "sgx"), (6, "unknown"), (0x104, "high-byte")):
        yield "version-" + why, ["tdx.quote-format"], {"header": struct.pack("<HHII16s20s", version, 2, 0x81, 0, VENDOR, bytes(20))}
    yield "key-type-p384", ["tdx.quote-format"], {"header": struct.pack("<HHII16s20s", 4, 3, 0x81, 0, VENDOR, bytes(20))}
    yield "tee-type-sgx", ["tdx.quote-format"], {"header": struct.pack("<HHII16s20s", 4, 2, 0, 0, VENDOR, bytes(20))}
    yield "tee-type-high-byte", ["tdx.quote-format"], {"header": struct.pack("<HHII16s20s", 4, 2, 0x10081, 0, VENDOR, bytes(20))}
    yield "qe-vendor", ["tdx.quote-format"], {"header": struct.pack("<HHII16s20s", 4, 2, 0x81, 0, bytes(16), bytes(20))}
    for kind, size, why in ((1, 384, "sgx"), (4, 885, "4"), (0, 584, "0"), (2, 648, "size-lies"), (3, 584, "size-short"), (2, 0xFFFFFFFF, "size-huge")):
        yield "body-type-" + why, ["tdx.quote-format"], {"version": 5, "type_size": struct.pack("<HI", kind, size)}
    yield "qe-data-type-5", ["tdx.quote-format"], {"types": (5, 5)}
    yield "chain-type-4", ["tdx.quote-format"], {"types": (6, 4)}
    for index, what in enumerate(("signature-data", "qe-data", "auth", "chain")):
        for add, why in ((1, "one-more"), (0x7FFF if index == 2 else 0x7FFFFFFF, "huge")):
            yield "length-%s-%s" % (what, why), ["tdx.quote-format"], {"lengths": tuple(add if i == index else 0 for i in range(4)), "padding": b""}
    yield "length-signature-data-one-less", ["tdx.quote-format"], {"lengths": (-1, 0, 0, 0)}
    yield "qe-data-with-tail", ["tdx.quote-format"], {"inner_tail": b"\1"}
    yield "report-data-other", ["tdx.report-data"], {"fields": {"report_data": bytes(64)}}
    yield "report-data-tail-not-zero", ["tdx.report-data"], {"fields": {"report_data": REPORT + bytes(15) + b"\1"}}
    yield "init-data-other", ["tdx.init-data"], {"fields": {"mr_config_id": bytes(48)}}
    yield "module-signer", ["tdx.module"], {"fields": {"mrsigner_seam": bytes(47) + b"\1"}}
    yield "module-debug", ["tdx.module"], {"fields": {"seam_attributes": b"\1" + bytes(7)}}
    yield "module-unknown", ["tdx.module"], {"fields": {"tcb_svn": bytes([5, 2, 3] + [0] * 13)}}
    yield "module-svn-below-all", ["tdx.module"], {"fields": {"tcb_svn": bytes([0, 1, 3] + [0] * 13)}}
    yield "module-revoked", ["tdx.tcb-status"], {"fields": {"tcb_svn": bytes([1, 1, 3] + [0] * 13)}}
    yield "module-of-1.5-now-revoked", ["tdx.tcb-status"], {"version": 5, "td15": True, "fields": {"tee_tcb_svn2": bytes([1, 1, 3] + [0] * 13)}}
    yield "tcb-tdx-component-below-all", ["tdx.tcb"], {"fields": {"tcb_svn": bytes([5, 1, 1] + [0] * 13)}}
    yield "tcb-module-0-all-components-count", ["tdx.tcb"], {"fields": {"tcb_svn": bytes([3, 0, 9] + [0] * 13)}}
    yield "qe-another-signer", ["tdx.qe-identity"], {"qe": {"mrsigner": bytes(32)}}
    yield "qe-another-product", ["tdx.qe-identity"], {"qe": {"prodid": 1}}
    yield "qe-debug", ["tdx.qe-identity"], {"qe": {"attributes": "1700000000000000e700000000000000"}}
    yield "qe-miscselect", ["tdx.qe-identity"], {"qe": {"miscselect": 1}}
    yield "qe-svn-below-all", ["tdx.qe-identity"], {"qe": {"svn": 0}}
    yield "qe-revoked", ["tdx.tcb-status"], {"qe": {"svn": 1}}


def chain_cases():
    third = root()
    many = lambda *certs: {"chain": pem(*certs) + b"\0"}
    own_root = root("own")
    yield "chain-empty", ["tdx.chain", "tdx.qe-report-data"], {"chain": b"", "report_data": bytes(64)}
    yield "chain-no-pem", ["tdx.chain"], {"chain": b"certificates"}
    yield "chain-two", ["tdx.chain"], many(leaf(), authority())
    yield "chain-four", ["tdx.chain"], many(leaf(), authority(), third, third)
    yield "chain-reversed", ["tdx.chain", "tdx.pck", "tdx.root", "tdx.qe-signature"], many(third, authority(), leaf())
    yield "chain-der-broken", ["tdx.chain"], {"chain": pem(leaf(), authority(), third).replace(b"MII", b"MIA", 1)}
    yield "root-of-somebody", ["tdx.root"], many(
        leaf(), authority(issuer_label="own"), own_root)
    yield "root-not-self-signed", ["tdx.chain", "tdx.root"], many(leaf(), authority(), certificate(ROOT_NAME, "own", ROOT_NAME, "root"))
    yield "root-signed-with-sha384", ["tdx.chain"], many(leaf(), authority(), certificate(ROOT_NAME, "root", ROOT_NAME, "root", last="2049-12-31", digest="SHA384"))
    yield "intermediate-of-another-root", ["tdx.chain"], many(leaf(), authority(issuer_label="own"), third)
    yield "intermediate-of-another-name", ["tdx.chain"], many(leaf(issuer="Intel SGX PCK Owner CA"), authority(subject="Intel SGX PCK Owner CA"), third)
    yield "intermediate-no-ca", ["tdx.chain"], many(leaf(), authority(ca=False), third)
    yield "intermediate-expired", ["tdx.date"], many(leaf(), authority(last="2026-06-01"), third)
    yield "leaf-of-another-ca", ["tdx.chain"], many(leaf(issuer_label="processor"), authority(), third)
    yield "leaf-names-another-issuer", ["tdx.chain"], many(leaf(issuer=CA_NAMES["processor"]), authority(), third)
    yield "leaf-of-another-name", ["tdx.chain"], many(leaf(subject="Intel SGX PCK Certificates"), authority(), third)
    yield "leaf-issued-by-tcb-signer", ["tdx.chain"], many(leaf(issuer=SIGNER_NAME, issuer_label="signer"), signer(), third)
    yield "leaf-expired", ["tdx.date"], many(leaf(last="2026-06-15T11:59:59"), authority(), third)
    yield "leaf-not-yet", ["tdx.date"], many(leaf(first="2026-06-15T12:00:01"), authority(), third)
    yield "leaf-with-rsa-key", ["tdx.chain"], many(leaf(label="rsa"), authority(), third)
    yield "extension-missing", ["tdx.pck"], many(leaf(extensions=()), authority(), third)
    for value, why in ((der(0x30, b""), "empty"), (extension(drop=(4,)), "no-fmspc"), (extension(components=COMPONENTS[:15]), "no-component-16"),
                       (extension(fmspc="90c06f0000"), "fmspc-short"), (extension(components=(256,) + COMPONENTS[1:]), "component-256"),
                       (extension(tail=member([1], der(4, bytes(16)))), "ppid-twice"), (extension() + b"\0", "trailing"),
                       (extension(platform=False), "platform-without-instance-id"), (extension(drop=(7,)), "platform-without-configuration")):
        yield "extension-" + why, ["tdx.pck"], many(leaf(extensions=(value,)), authority(), third)
    yield "extension-processor-with-instance-id", ["tdx.pck"], many(leaf("processor", extensions=(extension(),)), authority("processor"), third)
    yield "pck-fmspc-of-another-platform", ["tdx.fmspc"], {**many(leaf_with(fmspc="90c06f000001"), authority(), third), "collateral": {
        "intel/tcb/90C06F000001": tcb_info()["intel/tcb/90C06F000000"]}}
    yield "pck-pceid-of-another", ["tdx.pceid"], many(leaf_with(pceid="0100"), authority(), third)
    yield "tcb-sgx-component-below-all", ["tdx.tcb"], many(leaf_with(components=(5,) + COMPONENTS[1:]), authority(), third)
    yield "tcb-pcesvn-below-all", ["tdx.tcb"], many(leaf_with(pcesvn=4), authority(), third)


def evidence_cases():
    whole = quote()
    for made, why in ((None, "null"), ([], "array"), ("quote", "text"), ({}, "no-quote"), ({"quote": None}, "quote-null"), ({"quote": 4}, "quote-number"),
                      ({"quote": list(whole[:20])}, "quote-array"), ({"quote": base64.urlsafe_b64encode(whole).decode()}, "quote-base64url"),
                      ({"quote": std(whole)[:-2]}, "quote-base64-cut"), ({"quote": std(whole[:600]) + "\n"}, "quote-newline"), ({"quote": whole[:40].hex()}, "quote-hex"),
                      ({"quote": std(whole[:40]), "cc_eventlog": 1}, "eventlog-number"),
                      ({"quote": std(whole[:40]), "cc_eventlig": ""}, "eventlog-misspelt")):
        yield "evidence-" + why, ["tdx.evidence" if why != "quote-hex" else "tdx.quote-format"], made
    for size, why in ((0, "empty"), (47, "header"), (48, "no-body"), (631, "body"), (632, "no-signatures"), (635, "size"), (700, "signature")):
        yield "cut-in-" + why, ["tdx.quote-format"], {"quote": std(whole[:size])}


def eventlog_cases():
    starts = [start for start, _, _ in records(LOG)]
    last, middle = starts[-1], starts[9]
    yield "eventlog-without-its-last-record", LOG[:last]
    yield "eventlog-without-a-record", LOG[:middle] + LOG[starts[10]:]
    yield "eventlog-with-a-record-twice", LOG[:last] + LOG[middle:starts[10]] + LOG[last:]
    yield "eventlog-with-another-digest", LOG[:middle + 14] + bytes([LOG[middle + 14] ^ 1]) + LOG[middle + 15:]
    yield "eventlog-with-another-register", LOG[:middle] + b"\1" + LOG[middle + 1:]
    yield "eventlog-cut-in-a-digest", LOG[:middle + 20]
    yield "eventlog-cut-in-the-first-record", LOG[:30]
    yield "eventlog-of-sha256-only", LOG[:32] + LOG[32:].replace(b"\x0c\0", b"\x0b\0", 1)
    yield "eventlog-no-log", b"log"


def tcb_info_cases():
    text = compact(TCB_INFO)
    swapped = dict([("version", 3), *TCB_INFO.items()])
    yield "tcb-info-signed-by-another", ["tdx.tcb-info-signature"], tcb_info(label="other")
    yield "tcb-info-changed", ["tdx.tcb-info-signature"], tcb_info(text.replace("OutOfDate", "UpToDate"), signature=sign("signer", text.encode()))
    yield "tcb-info-members-reordered", ["tdx.tcb-info-signature"], tcb_info(compact(swapped), signature=sign("signer", text.encode()))
    yield "tcb-info-escape", ["tdx.tcb-info-signature"], tcb_info(text.replace("TDX_01", "TD\\u0058_01"), signature=sign("signer", text.encode()))
    yield "tcb-info-blank-in-text", ["tdx.tcb-info-signature"], tcb_info(text.replace("TDX_01", "TDX_0 1"), signature=sign("signer", text.encode()))
    yield "tcb-info-no-chain", ["tdx.tcb-info-signature"], {"intel/tcb/90C06F000000": entry(document("tcbInfo", text))}
    yield "tcb-info-chain-of-one", ["tdx.tcb-info-signature"], tcb_info(chain=(signer(),))
    yield "tcb-info-chain-of-another-root", ["tdx.tcb-info-signature"], tcb_info(chain=(signer(issuer_label="own"), root("own")))
    yield "tcb-info-signer-of-another-root", ["tdx.tcb-info-signature"], tcb_info(chain=(signer(issuer_label="own"), root()))
    yield "tcb-info-signer-of-another-name", ["tdx.tcb-info-signature"], tcb_info(chain=(signer(subject="Intel SGX Attestation Report Signing"), root()))
    yield "tcb-info-signer-expired", ["tdx.date"], tcb_info(chain=(signer(last="2026-01-01"), root()))
    yield "tcb-info-signed-by-pck-ca", ["tdx.tcb-info-signature"], tcb_info(chain=(authority(), root()), label="platform")
    for body_text, why in (("", "blank"), ("[]", "array"), ("{}", "empty-object"), ('{"tcbInfo":%s}' % text, "no-signature"), ('{"tcbInfo":%s,"signature":"00"}' % text, "signature-short"),
                           ('{"tcbInfo":%s,"signature":64}' % text, "signature-number"), (document("tcbInfo", text)[:-1], "cut"),
                           ('{"tcbInfo":{},' + document("tcbInfo", text)[1:], "twice"), (document("tcbInf\\u006f", text), "name-escaped"), ("[" * 40, "deep")):
        yield "tcb-info-body-" + why, ["tdx.tcb-info"], {"intel/tcb/90C06F000000": entry(body_text or " ", signer(), root())}
    yield "tcb-info-duplicate-key", ["tdx.tcb-info"], tcb_info(text.replace('"tcbType":0', '"tcbType":0,"tcbType":0'))
    yield "tcb-info-duplicate-key-in-level", ["tdx.tcb-info"], tcb_info(text.replace('"pcesvn":13', '"pcesvn":13,"pcesvn":0'))
    yield "tcb-info-array", ["tdx.tcb-info"], tcb_info("[]")
    for name_, value in (("id", "SGX"), ("version", 2), ("version", 3 + 2**32), ("tcbType", 1), ("version", "3"), ("version", 3.0), ("tcbLevels", {}), ("tdxModule", None), ("issueDate", "yesterday"),
                         ("issueDate", 1), ("tcbEvaluationDataNumber", -1), ("fmspc", 90), ("tdxModuleIdentities", "TDX_01"), ("tdxModuleIdentities", [1])):
        yield "tcb-info-%s-%s" % (name_.lower(), str(value).lower().strip("{}[]") or "object"), ["tdx.tcb-info"], tcb_info(**{name_: value})
    yield "tcb-info-fmspc-of-another", ["tdx.fmspc"], tcb_info(fmspc="90C06F000001")
    yield "tcb-info-pceid-of-another", ["tdx.pceid"], tcb_info(pceId="0001")
    yield "tcb-info-no-identities", ["tdx.module"], tcb_info(tdxModuleIdentities=[])
    yield "tcb-info-no-levels", ["tdx.tcb"], tcb_info(tcbLevels=[])
    yield "tcb-info-in-the-future", ["tdx.date"], tcb_info(issueDate="2026-06-15T12:00:01Z")
    yield "tcb-info-expired", ["tdx.date"], tcb_info(nextUpdate="2026-06-15T12:00:00Z")
    broken = lambda **change: [LEVELS[0], {**LEVELS[1], **change}]
    for change, why in (({"tcbStatus": "Fine"}, "unknown-status"), ({"tcbStatus": "TDRelaunchAdvised"}, "derived-status"), ({"tcbDate": "2024"}, "date"), ({"advisoryIDs": [1]}, "advisory"),
                        ({"tcb": {**LEVELS[1]["tcb"], "pcesvn": 65536}}, "pcesvn-65536"), ({"tcb": {**LEVELS[1]["tcb"], "sgxtcbcomponents": [{"svn": 0}] * 15}}, "15-components"),
                        ({"tcb": {**LEVELS[1]["tcb"], "tdxtcbcomponents": [{"svn": 256}] * 16}}, "svn-256"), ({"tcb": {**LEVELS[1]["tcb"], "tdxtcbcomponents": [0] * 16}}, "svn-bare")):
        yield "tcb-info-level-" + why, ["tdx.tcb-info"], tcb_info(tcbLevels=broken(**change))
    yield "tcb-level-revoked", ["tdx.tcb-status"], tcb_info(tcbLevels=[{**LEVELS[0], "tcbStatus": "Revoked"}])


def other_collateral_cases():
    text = compact(IDENTITY)
    yield "qe-identity-signed-by-another", ["tdx.qe-identity-signature"], identity(label="other")
    yield "qe-identity-changed", ["tdx.qe-identity-signature"], identity(text.replace('"isvsvn":4', '"isvsvn":0'), signature=sign("signer", text.encode()))
    yield "qe-identity-chain-of-another-root", ["tdx.qe-identity-signature"], identity(chain=(signer(issuer_label="own"), root("own")))
    yield "qe-identity-of-sgx", ["tdx.qe-identity"], identity(id="QE")
    yield "qe-identity-version-1", ["tdx.qe-identity"], identity(version=1)
    yield "qe-identity-mrsigner-short", ["tdx.qe-identity"], identity(mrsigner="DC9E")
    yield "qe-identity-mask-number", ["tdx.qe-identity"], identity(attributesMask=0)
    yield "qe-identity-in-the-future", ["tdx.date"], identity(issueDate="2026-06-16T00:00:00Z")
    yield "qe-identity-expired", ["tdx.date"], identity(nextUpdate="2026-06-10T00:00:00Z")
    yield "qe-identity-is-tcb-info", ["tdx.qe-identity"], {"intel/qe-identity": tcb_info()["intel/tcb/90C06F000000"]}
    yield "root-crl-by-another", ["tdx.root-crl"], root_crl("own")
    yield "root-crl-is-the-pck-ca's", ["tdx.root-crl"], {"intel/root-crl": pck_crl()["intel/pck-crl/platform"]}
    yield "root-crl-no-crl", ["tdx.root-crl"], {"intel/root-crl": entry(b"crl")}
    yield "root-crl-expired", ["tdx.date"], root_crl(last="2026-06-01")
    yield "root-crl-in-the-future", ["tdx.date"], root_crl(first="2026-07-01")
    yield "revoked-intermediate", ["tdx.revoked"], root_crl(revoked=(authority(),))
    yield "revoked-tcb-signer", ["tdx.revoked"], root_crl(revoked=(signer(),))
    yield "pck-crl-by-another", ["tdx.pck-crl"], pck_crl(label="own")
    yield "pck-crl-of-the-other-ca", ["tdx.pck-crl"], {"intel/pck-crl/platform": pck_crl("processor")["intel/pck-crl/processor"]}
    yield "pck-crl-no-crl", ["tdx.pck-crl"], {"intel/pck-crl/platform": entry(signer().public_bytes(serialization.Encoding.DER))}
    yield "pck-crl-expired", ["tdx.date"], pck_crl(last="2026-06-10")
    yield "revoked-leaf", ["tdx.revoked"], pck_crl(revoked=(leaf(),))
    yield "revoked-leaf-among-others", ["tdx.revoked"], pck_crl(revoked=(authority(), signer(), leaf()))


def spliced(base, made):
    old, new = base64.b64decode(good(base)["evidence"]["quote"]), base64.b64decode(made["quote"])
    room = min(len(old), len(new))
    head = next((i for i in range(room) if old[i] != new[i]), room)
    tail = next((i for i in range(room - head) if old[-1 - i] != new[-1 - i]), room - head)
    return {"head": head, "middle": std(new[head:len(new) - tail]), "tail": tail}


def without_chains(base, objects):
    olds = good(base)["collateral"]
    return {where: {"body": new["body"]} if olds.get(where, {}).get("chain") == new.get("chain") else {"chain": "", **new} for where, new in objects.items()}


def bad_files():
    for cases in (quote_cases, chain_cases):
        for why, checks, change in cases():
            extra = change.pop("collateral", None)
            base = "v4-processor" if "processor" in why else "v4"
            made = {"base": base, "refused_by": checks, "splice": spliced(base, evidence(**change))}
            yield why, {**made, "collateral": without_chains(base, extra)} if extra else made
    for why, checks, made in evidence_cases():
        yield why, {"base": "v4", "refused_by": checks, "evidence": made}
    for why, log in eventlog_cases():
        yield why, {"base": "v4-log", "refused_by": ["tdx.eventlog"], "cc_eventlog": std(log)}
    yield "eventlog-base64url", {"base": "v4-log", "refused_by": ["tdx.eventlog"], "cc_eventlog": "_-8="}
    yield "eventlog-of-another-quote", {"base": "v4", "refused_by": ["tdx.eventlog"], "cc_eventlog": std(LOG)}
    for cases in (tcb_info_cases, other_collateral_cases):
        for why, checks, change in cases():
            yield why, {"base": "v4", "refused_by": checks, "collateral": without_chains("v4", change)}
    yield "report-data-none", {"base": "v4", "refused_by": ["tdx.report-data"], "report_data": ""}
    yield "report-data-of-another", {"base": "v4", "refused_by": ["tdx.report-data"], "report_data": REPORT[::-1].hex()}
    yield "report-data-longer", {"base": "v4", "refused_by": ["tdx.report-data"], "report_data": (REPORT + bytes(15) + b"\1").hex()}
    yield "init-data-of-another", {"base": "v4", "refused_by": ["tdx.init-data"], "init_data": INIT_DATA[::-1].hex()}
    yield "init-data-shorter", {"base": "v4", "refused_by": ["tdx.init-data"], "init_data": INIT_DATA[:32].hex()}
    yield "roots-replaced", {"base": "v4", "refused_by": ["tdx.root"], "roots": pem(root("own")).decode()}
    yield "at-a-year-later", {"base": "v4", "refused_by": ["tdx.date"], "at": good("v4")["at"] + 366 * 86400}
    yield "at-a-year-before", {"base": "v4", "refused_by": ["tdx.date"], "at": good("v4")["at"] - 366 * 86400}


def write(directory, files):
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.json"):
        old.unlink()
    for file_name, text in files:
        (directory / (file_name + ".json")).write_text(text + "\n")


def main():
    write(TESTS / "vectors" / "evidence" / "tdx", [(which, json.dumps(good(which))) for which in GOODS] + [("pcs", pcs_file())])
    corpus = {"tdx_quote/v4": quote(padding=b"\0"), "tdx_quote/v5": quote(version=5, td15=True, padding=b""), "pck_extension/platform": extension(),
              "pck_extension/processor": extension(platform=False, sgx_type=0), "tdx_collateral/tcb-info": compact(TCB_INFO).encode(),
              "tdx_collateral/qe-identity": compact(IDENTITY).encode(), "collateral_pcs/file": pcs_file().encode()}
    corpus["evidence/tdx-v5.json"] = json.dumps(good("v5-td15")).encode()
    for where, data in corpus.items():
        (TESTS / "fuzz" / "corpus" / where).parent.mkdir(parents=True, exist_ok=True)
        (TESTS / "fuzz" / "corpus" / where).write_bytes(data)
    write(TESTS / "bad" / "tdx_evidence", [(why, json.dumps(made)) for why, made in bad_files()])


if __name__ == "__main__":
    main()
