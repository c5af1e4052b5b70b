#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes SEV-SNP evidence with CAs of its own: good for each generation and kind of key, and bad, each for one reason.

    make_snp.py DIR      DIR/roots.pem, DIR/good/NAME.json with "claims", DIR/bad/REASON.json with "refused_by",
                         DIR/attest/NAME.json: bodies of POST /attest

An independent second writer of the report, of its JSON form and of AMD's certificates: it shares no code with attest/verify. Files are those of
tests/unit/evidence_file.h. Run by the build, so that no large files need to be kept; tests/fuzz/corpus/evidence has two of the good ones.
"""
import base64
import copy
import hashlib
import json
import pathlib
import struct
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

NOW = 1750000000
YEAR = 365 * 24 * 3600
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
REPORT_DATA = hashlib.sha384(b"report data").digest()
HOST_DATA = hashlib.sha256(b"init data").digest()
MEASUREMENT = hashlib.sha384(b"measurement").digest()
CHIP = hashlib.sha512(b"chip").digest()
AMD = "1.3.6.1.4.1.3704.1."
CPUID = {"Milan": (0x19, 0x01, 1), "Genoa": (0x19, 0x11, 1), "Turin": (0x1A, 0x02, 1)}
TCB = {"fmc": 1, "bootloader": 9, "tee": 2, "snp": 23, "microcode": 219}


# -- DER ------------------------------------------------------------------------------------------------------------------------

def tlv(tag, *parts):
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = (len(body).bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + len(body).to_bytes(size, "big") + body


def seq(*parts):
    return tlv(0x30, *parts)


def integer(value):
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(text):
    numbers = [int(part) for part in text.split(".")]
    out = bytes([numbers[0] * 40 + numbers[1]])
    for number in numbers[2:]:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.insert(0, 0x80 | number & 0x7F)
        out += bytes(digits)
    return tlv(0x06, out)


def name(common):
    def part(kind, text):
        return tlv(0x31, seq(oid(kind), tlv(0x0C, text.encode())))
    return seq(part("2.5.4.11", "Engineering"), part("2.5.4.10", "Tests"), part("2.5.4.3", common))


def when(unix):
    import datetime
    return tlv(0x18, datetime.datetime.fromtimestamp(unix, datetime.timezone.utc).strftime("%Y%m%d%H%M%SZ").encode())


SHA = {hashes.SHA384: "2.16.840.1.101.3.4.2.2", hashes.SHA256: "2.16.840.1.101.3.4.2.1"}


def pss(algorithm, salt):
    digest = seq(oid(SHA[algorithm]), tlv(0x05))
    return seq(oid("1.2.840.113549.1.1.10"), seq(tlv(0xA0, digest), tlv(0xA1, seq(oid("1.2.840.113549.1.1.8"), digest)),
                                                 tlv(0xA2, integer(salt)), tlv(0xA3, integer(1))))


def sign(key, message, scheme):
    """(AlgorithmIdentifier, signature over what holds it)"""
    kind, algorithm, salt = scheme
    if kind == "pss":
        identifier = pss(algorithm, salt)
        return identifier, lambda data: key.sign(data, padding.PSS(padding.MGF1(algorithm()), salt), algorithm())
    identifier = seq(oid("1.2.840.113549.1.1.12"), tlv(0x05))
    return identifier, lambda data: key.sign(data, padding.PKCS1v15(), algorithm())


AMD_SCHEME = ("pss", hashes.SHA384, 48)


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def certificate(subject, issuer, key, issuer_key, extensions=(), start=NOW - YEAR, end=NOW + 5 * YEAR, scheme=AMD_SCHEME, serial=0):
    identifier, make = sign(issuer_key, None, scheme)
    listed = b"".join(seq(oid(kind), *([tlv(0x01, b"\xff")] if critical else []), tlv(0x04, value)) for kind, critical, value in extensions)
    body = seq(tlv(0xA0, integer(2)), integer(serial), identifier, name(issuer), seq(when(start), when(end)), name(subject), spki(key),
               tlv(0xA3, seq(listed)))
    return seq(body, identifier, tlv(0x03, b"\0", make(body)))


CA = [("2.5.29.19", True, seq(tlv(0x01, b"\xff")))]


def pem(der, label="CERTIFICATE"):
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n"


# -- CAs --------------------------------------------------------------------------------------------------------------------------

KEYS = {role: rsa.generate_private_key(65537, 4096) for role in ("ARK", "ASK", "ASVK")}
FOREIGN = rsa.generate_private_key(65537, 2048)
VEK = ec.generate_private_key(ec.SECP384R1())


def ca(role, generation, key=None, issuer_key=None, **change):
    names = {"ARK": f"ARK-{generation}", "ASK": f"SEV-{generation}", "ASVK": f"SEV-VLEK-{generation}"}
    serials = {"ARK": 0x10000, "ASK": 0x10001, "ASVK": 0x10002}
    change.setdefault("serial", serials[role])
    change.setdefault("extensions", CA)
    return certificate(names[role], names["ARK"], key or KEYS[role], issuer_key or KEYS["ARK"], **change)


CAS = {(role, generation): ca(role, generation) for role in KEYS for generation in CPUID}


def crl(generation="Milan", revoked=(), start=NOW - 3600, end=NOW + YEAR, key=None):
    identifier, make = sign(key or KEYS["ARK"], None, AMD_SCHEME)
    entries = [seq(integer(serial), when(NOW - 7200)) for serial in revoked]
    body = seq(integer(1), identifier, name(f"ARK-{generation}"), when(start), when(end), *([seq(*entries)] if entries else []))
    return seq(body, identifier, tlv(0x03, b"\0", make(body)))


def vek_extensions(generation, tcb, chip, vlek=False, hwid=None, drop=(), override=None):
    values = {"1": integer(0 if not vlek else 1), "2": tlv(0x16, f"{generation}-B0".encode()), "3.1": integer(tcb["bootloader"]), "3.2": integer(tcb["tee"]),
              "3.3": integer(tcb["snp"]), "3.4": integer(0), "3.5": integer(0), "3.6": integer(0), "3.7": integer(0), "3.8": integer(tcb["microcode"])}
    if generation == "Turin":
        values["3.9"] = integer(tcb["fmc"])
    if vlek:
        values["5"] = tlv(0x16, b"a cloud")
    else:
        values["4"] = hwid if hwid is not None else (chip[:8] if generation == "Turin" else chip)
    values.update(override or {})
    return [(AMD + kind, False, value) for kind, value in values.items() if kind not in drop]


# -- reports -----------------------------------------------------------------------------------------------------------------------

def tcb_bytes(tcb, generation):
    if generation == "Turin":
        return bytes([tcb["fmc"], tcb["bootloader"], tcb["tee"], tcb["snp"], 0, 0, 0, tcb["microcode"]])
    return bytes([tcb["bootloader"], tcb["tee"], 0, 0, 0, 0, tcb["snp"], tcb["microcode"]])


def raw_report(report, generation):
    out = bytearray(1184)

    def put(offset, data):
        out[offset:offset + len(data)] = data
    put(0x000, struct.pack("<IIQ", report["version"], report["guest_svn"], report["policy"]))
    put(0x010, bytes(report["family_id"]) + bytes(report["image_id"]))
    put(0x030, struct.pack("<II", report["vmpl"], report["sig_algo"]))
    put(0x038, tcb_bytes(report["current_tcb"], generation))
    put(0x040, struct.pack("<QI", report["plat_info"], report["key_info"]))
    for offset, member in ((0x50, "report_data"), (0x90, "measurement"), (0xC0, "host_data"), (0xE0, "id_key_digest"), (0x110, "author_key_digest"),
                           (0x140, "report_id"), (0x160, "report_id_ma"), (0x1A0, "chip_id")):
        put(offset, bytes(report[member]))
    put(0x180, tcb_bytes(report["reported_tcb"], generation))
    put(0x188, bytes([report["cpuid_fam_id"] or 0, report["cpuid_mod_id"] or 0, report["cpuid_step"] or 0]))
    put(0x1E0, tcb_bytes(report["committed_tcb"], generation))
    for offset, member in ((0x1E8, "current"), (0x1EC, "committed")):
        put(offset, bytes([report[member]["build"], report[member]["minor"], report[member]["major"]]))
    put(0x1F0, tcb_bytes(report["launch_tcb"], generation))
    put(0x1F8, struct.pack("<QQ", report["launch_mit_vector"] or 0, report["current_mit_vector"] or 0))
    return bytes(out)


def make_report(generation, key=VEK, **change):
    tcb = dict(TCB, fmc=TCB["fmc"] if generation == "Turin" else None)
    family, model, step = CPUID[generation]
    chip = CHIP[:8] + bytes(56) if generation == "Turin" else CHIP
    report = {"version": 3, "guest_svn": 1, "policy": 0x30000 | 1 << 8 | 31, "family_id": list(range(16)), "image_id": [7] * 16, "vmpl": 0, "sig_algo": 1,
              "current_tcb": dict(tcb), "plat_info": 0x25, "key_info": 0, "report_data": list(REPORT_DATA + bytes(16)), "measurement": list(MEASUREMENT),
              "host_data": list(HOST_DATA), "id_key_digest": [0] * 48, "author_key_digest": [0] * 48, "report_id": [3] * 32, "report_id_ma": [255] * 32,
              "reported_tcb": dict(tcb), "cpuid_fam_id": family, "cpuid_mod_id": model, "cpuid_step": step, "chip_id": list(chip), "committed_tcb": dict(tcb),
              "current": {"major": 1, "minor": 55, "build": 21}, "committed": {"major": 1, "minor": 55, "build": 20}, "launch_tcb": dict(tcb),
              "launch_mit_vector": None, "current_mit_vector": None}
    report.update(change)
    r, s = utils.decode_dss_signature(key.sign(raw_report(report, generation)[:0x2A0], ec.ECDSA(hashes.SHA384() if key.curve.key_size == 384 else hashes.SHA256())))
    report["signature"] = {"r": list(r.to_bytes(72, "little")), "s": list(s.to_bytes(72, "little"))}
    return report


def claims_of(report):
    policy, platform, tcb = report["policy"], report["plat_info"], report["reported_tcb"]
    return {"policy_abi_major": policy >> 8 & 255, "policy_abi_minor": policy & 255, "policy_smt_allowed": bool(policy >> 16 & 1),
            "policy_migrate_ma": bool(policy >> 18 & 1), "policy_debug_allowed": bool(policy >> 19 & 1), "policy_single_socket": bool(policy >> 20 & 1),
            "reported_tcb_bootloader": tcb["bootloader"], "reported_tcb_tee": tcb["tee"], "reported_tcb_snp": tcb["snp"],
            "reported_tcb_microcode": tcb["microcode"], "platform_tsme_enabled": bool(platform >> 1 & 1), "platform_smt_enabled": bool(platform & 1),
            "measurement": bytes(report["measurement"]).hex(), "report_data": bytes(report["report_data"]).hex(),
            "init_data": bytes(report["host_data"]).hex(), "chip_id": bytes(report["chip_id"]).hex()}


def entry(kind, data):
    return {"cert_type": kind, "data": list(data if isinstance(data, bytes) else data.encode())}


class Guest:
    """One machine; `chain` says which entries its evidence brings."""

    def __init__(self, generation="Milan", vlek=False, key=VEK, chain=("VEK",), report=None, cert=None, extensions=None):
        self.generation, self.vlek, self.key = generation, vlek, key
        change = dict(report or {})
        if vlek:
            change.setdefault("key_info", 4)
        self.report = make_report(generation, key, **change)
        tcb = {k: v or 0 for k, v in self.report["reported_tcb"].items()}
        wanted = dict(extensions=vek_extensions(generation, tcb, bytes(self.report["chip_id"]), vlek, **(extensions or {})))
        wanted.update(cert or {})
        issuer = "ASVK" if vlek else "ASK"
        issuer_key = wanted.pop("issuer_key", KEYS[issuer])
        issuer_name = wanted.pop("issuer", f"SEV-VLEK-{generation}" if vlek else f"SEV-{generation}")
        self.vek = certificate("SEV-VLEK" if vlek else "SEV-VCEK", issuer_name, key, issuer_key, **wanted)
        self.ca = CAS[(issuer, generation)]
        self.ark = CAS[("ARK", generation)]
        pieces = {"VEK": entry("VLEK" if vlek else "VCEK", self.vek), "ASK": entry("ASK", self.ca), "ARK": entry("ARK", self.ark)}
        self.chain = [pieces[piece] for piece in chain]

    def evidence(self):
        return {"attestation_report": copy.deepcopy(self.report), "cert_chain": copy.deepcopy(self.chain)}

    def names(self):
        tcb = self.report["reported_tcb"]
        text = "bl%02d_tee%02d_snp%02d_ucode%02d" % (tcb["bootloader"], tcb["tee"], tcb["snp"], tcb["microcode"])
        if self.generation == "Turin":
            text += "_fmc%02d" % tcb["fmc"]
        chip = bytes(self.report["chip_id"])[:8 if self.generation == "Turin" else 64].hex()
        return f"amd/vcek/{self.generation}/{chip}/{text}"


def collateral(**bodies):
    return {key: {"body": base64.b64encode(body if isinstance(body, bytes) else body.encode()).decode()} for key, body in bodies.items()}


FULL = ("VEK", "ASK", "ARK")
ROOTS = "".join(pem(der) for der in CAS.values())
GOOD, BAD = {}, {}


def good(label, guest, evidence=None, **more):
    GOOD[label] = dict({"tee": "snp", "report_data": REPORT_DATA.hex(), "at": NOW, "claims": claims_of(guest.report),
                        "evidence": evidence or guest.evidence()}, **more)


def bad(label, check, evidence, **more):
    BAD[label] = dict({"tee": "snp", "report_data": REPORT_DATA.hex(), "at": NOW, "refused_by": check, "evidence": evidence}, **more)


def changed(path, value, guest=None):
    made = (guest or Guest()).evidence()
    at = made
    for step in path[:-1]:
        at = at[step]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return made


# -- good ------------------------------------------------------------------------------------------------------------------------------

def make_good():
    good("milan", Guest(chain=FULL), init_data=HOST_DATA.hex())
    good("milan-vcek-only", Guest())
    good("milan-v4", Guest(report={"version": 4}))
    good("milan-without-ark", Guest(chain=("VEK", "ASK")))
    good("genoa", Guest("Genoa", chain=("ARK", "ASK", "VEK")))
    good("genoa-bergamo", Guest("Genoa", report={"cpuid_mod_id": 0xA0}))
    good("genoa-siena-v5", Guest("Genoa", report={"cpuid_mod_id": 0xAF, "version": 5, "launch_mit_vector": 3, "current_mit_vector": 2**40 + 7}))
    good("turin-v5", Guest("Turin", chain=FULL, report={"version": 5, "launch_mit_vector": 1, "current_mit_vector": 1}))
    good("turin-hwid-octets", Guest("Turin", extensions={"hwid": tlv(0x04, CHIP[:8])}))
    good("turin-hwid-64", Guest("Turin", extensions={"hwid": CHIP[:8] + bytes(56)}))
    good("milan-hwid-octets", Guest(extensions={"hwid": tlv(0x04, CHIP)}))
    good("milan-vlek", Guest(vlek=True, chain=FULL))
    good("genoa-vlek-only", Guest("Genoa", vlek=True))
    good("turin-vlek", Guest("Turin", vlek=True))
    good("milan-masked-chip", Guest(report={"chip_id": [0] * 64}, extensions={"hwid": CHIP}))
    good("milan-vlek-masked-chip", Guest(vlek=True, report={"chip_id": [0] * 64}))
    good("milan-debug-and-flags", Guest(report={"policy": 0x1F0000 | 0x0102, "plat_info": 0xFF, "guest_svn": 2**32 - 1, "key_info": 1}))
    guest = Guest()
    guest.chain = [entry("VCEK", pem(guest.vek)), entry("ASK", pem(guest.ca)), entry("ARK", pem(guest.ark))]
    good("milan-pem", guest)
    guest = Guest()
    guest.chain += [entry("CRL", b"no CRL"), {"cert_type": "Empty", "data": []}, {"cert_type": {"OTHER": "00000000-0000-0000-0000-000000000000"}, "data": [1]},
                    entry("VCEK", b"a second one is not looked at")]
    good("milan-ignored-entries", guest)
    guest = Guest()
    made = guest.evidence()
    made["new"] = made["attestation_report"]["new"] = {"later": 1}
    for member in ("launch_mit_vector", "current_mit_vector"):
        del made["attestation_report"][member]
    del made["attestation_report"]["reported_tcb"]["fmc"]
    good("milan-members-absent-and-unknown", guest, made)
    for generation in CPUID:
        guest = Guest(generation)
        guest.chain = None
        chain = pem(CAS[("ASK", generation)]) + pem(CAS[("ARK", generation)])
        good(f"{generation.lower()}-from-collateral", guest, collateral=collateral(**{
            guest.names(): guest.vek, f"amd/chain/{generation}": chain, f"amd/crl/{generation}": crl(generation)}))
    guest = Guest()
    made = guest.evidence()
    del made["cert_chain"]
    good("milan-no-cert-chain", guest, made, collateral=collateral(**{guest.names(): pem(guest.vek)}))


# -- bad ---------------------------------------------------------------------------------------------------------------------------------

def bad_reports():
    bad("report-data-of-another", "snp.report-data", Guest(report={"report_data": [1] * 64}).evidence())
    bad("report-data-tail", "snp.report-data", Guest(report={"report_data": list(REPORT_DATA) + [0] * 15 + [1]}).evidence())
    bad("report-data-none-expected", "snp.report-data", Guest().evidence(), report_data="")
    bad("init-data-other", "snp.init-data", Guest(report={"host_data": [1] * 32}).evidence(), init_data=HOST_DATA.hex())
    bad("version-2", "snp.version", Guest(report={"version": 2}).evidence())
    bad("version-6", "snp.version", Guest(report={"version": 6}).evidence())
    bad("version-2-without-cpuid", "snp.cpu", Guest(report={"version": 2, "cpuid_fam_id": None, "cpuid_mod_id": None, "cpuid_step": None}).evidence())
    for label, family, model in (("naples", 0x17, 1), ("genoa-next", 0x19, 0x20), ("zen-4-client", 0x19, 0x61), ("after-siena", 0x19, 0xB0), ("turin-next", 0x1A, 0x12)):
        bad(f"cpu-{label}", "snp.cpu", Guest(report={"cpuid_fam_id": family, "cpuid_mod_id": model}).evidence())
    bad("cpu-of-another-generation", "snp.chain", Guest(report={"cpuid_mod_id": 0x11}, chain=FULL).evidence())
    bad("vmpl-1", "snp.vmpl", Guest(report={"vmpl": 1}).evidence())
    bad("vmpl-giant", "snp.vmpl", Guest(report={"vmpl": 2**32 - 1}).evidence())
    bad("sig-algo-0", "snp.signature-algorithm", Guest(report={"sig_algo": 0}).evidence())
    bad("sig-algo-2", "snp.signature-algorithm", Guest(report={"sig_algo": 2}).evidence())
    bad("key-info-masked", "snp.key-info", Guest(report={"key_info": 2}).evidence())
    bad("key-info-none", "snp.key-info", Guest(report={"key_info": 7 << 2}).evidence())
    bad("key-info-vlek-with-vcek", "snp.key-info", Guest(report={"key_info": 4}).evidence())
    bad("key-info-vcek-with-vlek", "snp.key-info", Guest(vlek=True, report={"key_info": 0}).evidence())


def bad_signatures():
    for member in ("measurement", "report_data", "host_data", "chip_id", "family_id", "report_id_ma", "id_key_digest"):
        made = Guest().evidence()
        made["attestation_report"][member][0] ^= 1
        bad(f"changed-{member.replace('_', '-')}", "snp.signature", made)
    for member, value in (("guest_svn", 2), ("policy", 0x30000), ("plat_info", 1), ("key_info", 1), ("launch_mit_vector", 1), ("cpuid_step", 2)):
        bad(f"changed-{member.replace('_', '-')}", "snp.signature", changed(("attestation_report", member), value))
    bad("changed-firmware", "snp.signature", changed(("attestation_report", "current", "minor"), 56))
    bad("changed-tcb", "snp.signature", changed(("attestation_report", "launch_tcb", "snp"), 24))
    bad("changed-reported-tcb", "snp.tcb", changed(("attestation_report", "reported_tcb", "snp"), 24))
    number = Guest().report["signature"]
    r = int.from_bytes(bytes(number["r"]), "little")
    for label, value in (("r-zero", [0] * 72), ("r-order", list(ORDER.to_bytes(72, "little"))), ("r-big-endian", list(r.to_bytes(72, "big"))),
                         ("r-plus-order", list((r + ORDER).to_bytes(72, "little"))), ("r-ones", [255] * 72), ("r-upper-byte", list((r + (1 << 400)).to_bytes(72, "little")))):
        bad(f"signature-{label}", "snp.signature", changed(("attestation_report", "signature", "r"), value))
    bad("signature-s-zero", "snp.signature", changed(("attestation_report", "signature", "s"), [0] * 72))
    bad("signature-s-upper-byte", "snp.signature", changed(("attestation_report", "signature", "s", 71), 1))
    other = Guest(key=ec.generate_private_key(ec.SECP384R1()))
    other.chain = Guest().chain
    bad("signature-by-another-chip", "snp.signature", other.evidence())
    bad("vcek-p256", "snp.signature", Guest(key=ec.generate_private_key(ec.SECP256R1())).evidence())


def bad_certificates():
    for part, kind in (("bootloader", "3.1"), ("tee", "3.2"), ("snp", "3.3"), ("microcode", "3.8")):
        bad(f"tcb-{part}", "snp.tcb", Guest(extensions={"override": {kind: integer(TCB[part] - 1)}}).evidence())
        bad(f"tcb-{part}-missing", "snp.tcb", Guest(extensions={"drop": (kind,)}).evidence())
    bad("tcb-turin-fmc", "snp.tcb", Guest("Turin", extensions={"override": {"3.9": integer(2)}}).evidence())
    bad("tcb-turin-fmc-missing", "snp.tcb", Guest("Turin", extensions={"drop": ("3.9",)}).evidence())
    bad("tcb-turin-vlek", "snp.tcb", Guest("Turin", vlek=True, extensions={"override": {"3.1": integer(8)}}).evidence())
    bad("tcb-negative", "snp.tcb", Guest(extensions={"override": {"3.8": bytes([2, 1, TCB["microcode"]])}}).evidence())
    bad("tcb-long-form", "snp.tcb", Guest(extensions={"override": {"3.1": bytes([2, 0x81, 1, TCB["bootloader"]])}}).evidence())
    bad("tcb-256-more", "snp.tcb", Guest(extensions={"override": {"3.1": integer(256 + TCB["bootloader"])}}).evidence())
    bad("tcb-empty", "snp.tcb", Guest(extensions={"override": {"3.1": b""}}).evidence())
    twice = vek_extensions("Milan", TCB, CHIP)
    bad("tcb-twice", "snp.tcb", Guest(cert={"extensions": twice + [twice[2]]}).evidence())
    bad("chip-other", "snp.chip-id", Guest(extensions={"hwid": hashlib.sha512(b"other").digest()}).evidence())
    bad("chip-none", "snp.chip-id", Guest(extensions={"drop": ("4",)}).evidence())
    bad("chip-short-on-milan", "snp.chip-id", Guest(extensions={"hwid": CHIP[:8]}).evidence())
    bad("chip-empty", "snp.chip-id", Guest(extensions={"hwid": b""}).evidence())
    bad("chip-length-lies", "snp.chip-id", Guest(extensions={"hwid": b"\x04\x41" + CHIP}).evidence())
    bad("chip-turin-tail", "snp.chip-id", Guest("Turin", report={"chip_id": list(CHIP)}, extensions={"hwid": CHIP[:8]}).evidence())
    bad("date-vcek-expired", "snp.date", Guest(cert={"end": NOW - 1}).evidence())
    bad("date-vcek-not-yet", "snp.date", Guest(cert={"start": NOW + 1}).evidence())
    bad("date-vlek-expired", "snp.date", Guest(vlek=True, cert={"end": NOW - 1}).evidence())
    for role in ("ASK", "ARK"):
        for label, change in (("expired", {"end": NOW - 1}), ("not-yet", {"start": NOW + 1})):
            guest = Guest(chain=FULL)
            guest.chain[1 if role == "ASK" else 2] = entry(role, ca(role, "Milan", **change))
            bad(f"date-{role.lower()}-{label}", "snp.date", guest.evidence())


def bad_chains():
    bad("vcek-by-another-key", "snp.chain", Guest(cert={"issuer_key": FOREIGN}).evidence())
    bad("vcek-by-itself", "snp.chain", Guest(cert={"issuer_key": KEYS["ARK"], "issuer": "ARK-Milan"}).evidence())
    bad("vcek-pkcs1", "snp.chain", Guest(cert={"scheme": ("pkcs1", hashes.SHA384, 0)}).evidence())
    bad("vcek-salt-32", "snp.chain", Guest(cert={"scheme": ("pss", hashes.SHA384, 32)}).evidence())
    bad("vcek-sha256", "snp.chain", Guest(cert={"scheme": ("pss", hashes.SHA256, 48)}).evidence())
    bad("vcek-under-asvk", "snp.chain", Guest(cert={"issuer_key": KEYS["ASVK"], "issuer": "SEV-VLEK-Milan"}).evidence())
    guest = Guest(vlek=True, cert={"issuer_key": KEYS["ASK"], "issuer": "SEV-Milan"})
    bad("vlek-under-ask", "snp.chain", guest.evidence())
    vlek = Guest(vlek=True, report={"key_info": 0})
    vlek.chain[0]["cert_type"] = "VCEK"
    bad("vlek-called-vcek", "snp.chain", vlek.evidence())
    replaced = (
        ("ask-of-genoa", 1, "ASK", CAS[("ASK", "Genoa")]),
        ("ask-is-asvk", 1, "ASK", CAS[("ASVK", "Milan")]),
        ("ask-is-ark", 1, "ASK", CAS[("ARK", "Milan")]),
        ("ask-by-another-ark", 1, "ASK", ca("ASK", "Milan", issuer_key=FOREIGN)),
        ("ask-of-another-key", 1, "ASK", ca("ASK", "Milan", key=FOREIGN)),
        ("ask-no-ca", 1, "ASK", ca("ASK", "Milan", extensions=[("2.5.29.19", True, seq())])),
        ("ask-self-made", 1, "ASK", ca("ASK", "Milan", key=FOREIGN, issuer_key=FOREIGN)),
        ("ark-of-another-key", 2, "ARK", ca("ARK", "Milan", key=FOREIGN, issuer_key=FOREIGN)),
        ("ark-of-genoa-key-name", 2, "ARK", CAS[("ASK", "Milan")]),
        ("ark-by-another", 2, "ARK", ca("ARK", "Milan", issuer_key=FOREIGN)),
    )
    for label, index, kind, der in replaced:
        guest = Guest(chain=FULL)
        guest.chain[index] = entry(kind, der)
        bad(f"chain-{label}", "snp.chain", guest.evidence())
    guest = Guest(chain=FULL)
    forged = FOREIGN
    guest.chain = [entry("VCEK", certificate("SEV-VCEK", "SEV-Milan", VEK, forged, vek_extensions("Milan", TCB, CHIP))),
                   entry("ASK", ca("ASK", "Milan", key=forged, issuer_key=forged)), entry("ARK", ca("ARK", "Milan", key=forged, issuer_key=forged))]
    bad("chain-all-self-made", "snp.chain", guest.evidence())
    der = bytearray(Guest().vek)
    der[-1] ^= 1
    bad("vcek-signature-changed", "snp.chain", changed(("cert_chain", 0, "data"), list(der)))


def bad_cert_lists():
    check, guest = "snp.cert-chain", Guest(chain=FULL)
    der = list(guest.vek)
    lists = {
        "empty": [], "object": {"VCEK": der}, "text": "VCEK", "number": 3, "true": True,
        "no-vek": guest.chain[1:], "seventeen": guest.chain * 5 + guest.chain[:2],
        "unknown-type": guest.chain + [entry("EK", b"x")], "type-missing": [{"data": der}], "type-number": [{"cert_type": 3, "data": der}],
        "type-other-text": [{"cert_type": {"OTHERS": "x"}, "data": der}], "type-two-keys": [{"cert_type": {"OTHER": "x", "VCEK": 1}, "data": der}],
        "entry-null": [None], "entry-text": ["VCEK"], "data-missing": [{"cert_type": "VCEK"}],
        "data-empty": [{"cert_type": "VCEK", "data": []}], "data-base64": [{"cert_type": "VCEK", "data": base64.b64encode(guest.vek).decode()}],
        "data-256": [{"cert_type": "VCEK", "data": [256 + der[0]] + der[1:]}], "data-negative": [{"cert_type": "VCEK", "data": [der[0] - 256] + der[1:]}],
        "data-real": [{"cert_type": "VCEK", "data": [float(der[0])] + der[1:]}], "data-overflow": [{"cert_type": "VCEK", "data": [2**32 + der[0]] + der[1:]}],
        "data-text-inside": [{"cert_type": "VCEK", "data": [str(der[0])] + der[1:]}],
        "der-cut": [{"cert_type": "VCEK", "data": der[:-1]}], "der-trailing": [{"cert_type": "VCEK", "data": der + [1]}],
        "der-giant": [{"cert_type": "VCEK", "data": der + [0] * 16384}], "pem-two": [entry("VCEK", pem(guest.vek) * 2)],
        "pem-cut": [entry("VCEK", pem(guest.vek)[:-30])], "ask-cut": [guest.chain[0], {"cert_type": "ASK", "data": list(guest.ca)[:-1]}],
        "ark-garbage": [guest.chain[0], entry("ARK", b"ARK")],
    }
    for label, value in lists.items():
        made = guest.evidence()
        made["cert_chain"] = value
        bad(f"cert-chain-{label}", check, made)


def bad_json():
    check, guest = "snp.report", Guest()
    for member, value in guest.report.items():
        label = member.replace("_", "-")
        if value is not None and not member.startswith("cpuid"):
            bad(f"json-{label}-missing", check, changed(("attestation_report", member), None))
            made = guest.evidence()
            made["attestation_report"][member] = None
            bad(f"json-{label}-null", check, made)
        if isinstance(value, list):
            for kind, other in (("short", value[:-1]), ("long", value + [0]), ("256", [256 + value[0]] + value[1:]), ("negative", [-1] + value[1:]),
                                ("real", [float(value[0])] + value[1:]), ("hex", bytes(value).hex()), ("nested", [value])):
                bad(f"json-{label}-{kind}", check, changed(("attestation_report", member), other))
        if isinstance(value, int):
            width = 256 if member.startswith("cpuid") else 2**32 if member not in ("policy", "plat_info") else None
            others = [("negative", -1), ("real", float(value)), ("text", str(value)), ("array", [value]), ("true", True)]
            if width:
                others.append(("overflow", width + value))
            for kind, other in others:
                bad(f"json-{label}-{kind}", check, changed(("attestation_report", member), other))
        if isinstance(value, dict):
            for part in value:
                for kind, other in (("256", 256 + 5), ("negative", -1), ("real", 1.0), ("text", "1")):
                    if member == "signature":
                        other = [other] + value[part][1:]
                    bad(f"json-{label}-{part}-{kind}", check, changed(("attestation_report", member, part), other))
                if part != "fmc":
                    bad(f"json-{label}-{part}-missing", check, changed(("attestation_report", member, part), None))
    for label, value in (("array", []), ("text", "report"), ("number", 1)):
        made = guest.evidence()
        made["attestation_report"] = value
        bad(f"json-report-{label}", "snp.evidence", made)
    bad("json-no-report", "snp.evidence", changed(("attestation_report",), None))
    bad("json-evidence-array", "snp.evidence", [guest.evidence()])
    bad("json-evidence-text", "snp.evidence", "evidence")
    old = guest.evidence()
    report = old["attestation_report"]
    report.update({"version": 2, "_author_key_en": 0, "current_build": 3, "current_major": 1, "current_minor": 51})
    for member in ("current", "committed", "key_info", "cpuid_fam_id", "cpuid_mod_id", "cpuid_step"):
        del report[member]
    bad("json-layout-of-2023", check, old)


def bad_collateral():
    chain = pem(CAS[("ASK", "Milan")]) + pem(CAS[("ARK", "Milan")])
    guest = Guest()
    name_of_vcek = guest.names()
    none = dict(guest.evidence(), cert_chain=None)
    bad("collateral-no-vcek", "collateral", none)
    other = Guest(report={"chip_id": [9] * 64})
    bad("collateral-vcek-of-another-chip", "snp.chip-id", none, collateral=collateral(**{name_of_vcek: other.vek}))
    bad("collateral-vcek-garbage", "snp.chain", none, collateral=collateral(**{name_of_vcek: b"garbage"}))
    bad("collateral-vcek-self-made", "snp.chain", none, collateral=collateral(**{name_of_vcek: Guest(cert={"issuer_key": FOREIGN}).vek}))
    masked = Guest(report={"chip_id": [0] * 64})
    bad("collateral-masked-chip", "snp.chip-id", dict(masked.evidence(), cert_chain=None))
    bad("collateral-vlek", "snp.cert-chain", dict(Guest(vlek=True).evidence(), cert_chain=None))
    full = Guest(chain=FULL).evidence()
    bad("crl-lists-ask", "snp.crl", full, collateral=collateral(**{"amd/crl/Milan": crl(revoked=(5, 0x10001))}))
    bad("crl-lists-ark", "snp.crl", full, collateral=collateral(**{"amd/crl/Milan": crl(revoked=(0x10000,))}))
    bad("crl-expired", "snp.crl", full, collateral=collateral(**{"amd/crl/Milan": crl(end=NOW - 1)}))
    bad("crl-not-yet", "snp.crl", full, collateral=collateral(**{"amd/crl/Milan": crl(start=NOW + 1)}))
    bad("crl-by-another", "snp.crl", full, collateral=collateral(**{"amd/crl/Milan": crl(key=FOREIGN)}))
    bad("crl-garbage", "snp.crl", full, collateral=collateral(**{"amd/crl/Milan": b"garbage"}))
    return chain


def handshake(chain):
    """A body of POST /attest (RCAR 0.4.0) for the nonce AAAA: evidence bound to what the KBS hashes."""
    key = {"alg": "ECDH-ES+A256KW", "crv": "P-256", "kty": "EC", "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
           "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"}
    bound = json.dumps({"additional-evidence": "", "nonce": "AAAA", "tee-pubkey": key}, sort_keys=True, separators=(",", ":"))
    guest = Guest(chain=chain, report={"report_data": list(hashlib.sha384(bound.encode()).digest() + bytes(16))})
    return {"runtime-data": {"nonce": "AAAA", "tee-pubkey": key}, "tee-evidence": {"primary_evidence": guest.evidence(), "additional_evidence": ""}}


def write(directory, files):
    directory.mkdir(parents=True, exist_ok=True)
    for label, content in files.items():
        (directory / f"{label}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")


def main():
    out = pathlib.Path(sys.argv[1])
    make_good()
    for make in (bad_reports, bad_signatures, bad_certificates, bad_chains, bad_cert_lists, bad_json, bad_collateral):
        make()
    for kind, files in (("good", GOOD), ("bad", BAD)):
        write(out / kind, files)
    write(out / "attest", {"full": handshake(FULL), "vcek-only": handshake(("VEK",))})
    (out / "roots.pem").write_text(ROOTS)
    (out / "amd-only-ark.pem").write_text(pem(CAS[("ARK", "Milan")]))


if __name__ == "__main__":
    main()
