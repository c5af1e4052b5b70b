#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes evidence of Azure's confidential guests with keys and CAs of its own: good in every form, and bad, each for one reason.

    make_azure.py DIR      DIR/good/NAME.json with "claims" (all) or "claims_part" (some), DIR/bad/REASON.json with "refused_by"

An independent second writer of the paravisor's report, its runtime data and the vTPM's quote; reports and quotes of the hardware are those of
make_snp.py and make_tdx.py. Files are those of tests/unit/evidence_file.h. Run by the build.
"""
import base64
import datetime
import hashlib
import json
import pathlib
import struct
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

sys.dont_write_bytecode = True  # the build leaves nothing beside the sources
import make_snp  # noqa: E402
import make_tdx  # noqa: E402

REPORT_DATA = hashlib.sha384(b"report data").digest()
INIT_DATA = hashlib.sha256(b"init data").digest()
AK, STRANGER = (rsa.generate_private_key(65537, 2048) for _ in range(2))
PCRS = [hashlib.sha256(b"pcr%d" % number).digest() for number in range(24)]
PCRS[8] = hashlib.sha256(bytes(32) + INIT_DATA).digest()
SNP, TDX = "az-snp-vtpm", "az-tdx-vtpm"
AT = {SNP: make_snp.NOW, TDX: int(make_tdx.AT.replace(tzinfo=datetime.timezone.utc).timestamp())}
ROOTS = {SNP: make_snp.ROOTS, TDX: make_tdx.pem(make_tdx.root()).decode()}
GOOD, BAD = {}, {}


def url(data):
    return base64.urlsafe_b64encode(data).decode()


def bare(data):
    return url(data).rstrip("=")


def number(value):
    return bare(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def jwk(key=AK, kid="HCLAkPub", **change):
    numbers = key.public_key().public_numbers()
    return {"kid": kid, "kty": "RSA", "key_ops": ["sign"], "n": number(numbers.n), "e": number(numbers.e), **change}


def runtime_data(keys=None, user_data=REPORT_DATA + bytes(16), **change):
    data = {"keys": [jwk(), jwk(STRANGER, "HCLEkPub")] if keys is None else keys, "vm-configuration": {"console-enabled": True, "vmUniqueId": "0"},
            "user-data": user_data if isinstance(user_data, str) else user_data.hex().upper()}
    data.update(change)
    return json.dumps({name: value for name, value in data.items() if value is not None}).encode()


def hcl_report(hardware, runtime, report_type, hash_type=1, magic=b"HCLA", length=None, size=2600):
    head = magic + struct.pack("<III", 2, 0x4B8, 2) + bytes(16)
    length = len(runtime) if length is None else length
    made = head + hardware.ljust(1184, b"\0") + struct.pack("<IIIII", 20 + len(runtime), 1, report_type, hash_type, length) + runtime
    return made.ljust(size, b"\0")


def attest(extra=REPORT_DATA, pcrs=None, selections=((0x000B, b"\xff\xff\xff"),), magic=0xFF544347, kind=0x8018, tail=b"", digest=None):
    values = PCRS if pcrs is None else pcrs
    made = struct.pack(">IH", magic, kind) + struct.pack(">H", 34) + b"\x00\x0b" + bytes(32) + struct.pack(">H", len(extra)) + extra
    made += struct.pack(">QIIB", 9, 1, 0, 1) + struct.pack(">QI", 0x20160511, len(selections))
    for bank, bits in selections:
        made += struct.pack(">HB", bank, len(bits)) + bits
    return made + struct.pack(">H", 32) + (digest or hashlib.sha256(b"".join(values)).digest()) + tail


def sign(message, key=AK, scheme=None, digest=hashes.SHA256()):
    return key.sign(message, scheme or padding.PKCS1v15(), digest)


class Guest:
    """What a guest has; evidence() tells it in the form of a version."""

    def __init__(self, tee, runtime=None, hcl=None, quote=None, signer=AK, hardware=None, bound=None, snp=None, scheme=None, digest=hashes.SHA256()):
        self.tee = tee
        self.runtime = runtime_data() if runtime is None else runtime
        data = (hashlib.sha256(self.runtime).digest() if bound is None else bound) + bytes(32)
        if tee == SNP:
            options = dict(snp or {})
            options["report"] = {"report_data": list(data), **options.get("report", {})}
            self.snp = make_snp.Guest(**options)
            raw = bytearray(make_snp.raw_report(self.snp.report, self.snp.generation))
            raw[0x2A0:0x2E8] = bytes(self.snp.report["signature"]["r"])
            raw[0x2E8:0x330] = bytes(self.snp.report["signature"]["s"])
            hardware, self.part = hardware or bytes(raw), self.snp.vek
        else:
            hardware, self.part = hardware or bytes(1024), make_tdx.quote(fields={"report_data": data})
        self.hcl = hcl_report(hardware, self.runtime, **{"report_type": 2 if tee == SNP else 4, **(hcl or {})})
        self.message = attest(**(quote or {}))
        self.signature = sign(self.message, signer, scheme, digest)
        self.pcrs = list(PCRS)

    def evidence(self, version=2):
        part = "vcek" if self.tee == SNP else "td_quote"
        if version:
            quote = {"signature": self.signature.hex(), "message": self.message.hex(), "pcrs": [pcr.hex() for pcr in self.pcrs]}
            return {"version": version, "tpm_quote": quote, "hcl_report": url(self.hcl), part: url(self.part)}
        quote = {"signature": list(self.signature), "message": list(self.message), "pcrs": [list(pcr) for pcr in self.pcrs]}
        if self.tee == SNP:
            return {"quote": quote, "report": list(self.hcl), "vcek": make_snp.pem(self.part)}
        return {"tpm_quote": quote, "hcl_report": list(self.hcl), "td_quote": list(self.part)}


def text_of(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def claims(guest):
    pcrs = {"tpm": {f"pcr{at:02}": pcr.hex() for at, pcr in enumerate(PCRS)}, "report_data": REPORT_DATA.hex(), "init_data": PCRS[8].hex()}
    if guest.tee == TDX:
        return {"claims_part": pcrs}
    made = {name: text_of(value) for name, value in make_snp.claims_of(guest.snp.report).items() if name not in ("chip_id", "report_data", "init_data")}
    made["measurement"] = base64.b64encode(bytes(guest.snp.report["measurement"])).decode()
    return {"claims": {**made, **pcrs}}


def whole(tee, evidence, **more):
    made = {"tee": tee, "report_data": REPORT_DATA.hex(), "at": AT[tee], "roots": ROOTS[tee], "evidence": evidence}
    if tee == TDX:
        made["collateral"] = make_tdx_collateral()
    return {**made, **more}


def make_tdx_collateral():
    return make_tdx.collateral()


def good(label, guest, version=2, **more):
    GOOD[label] = whole(guest.tee, guest.evidence(version), **claims(guest), **more)


def make_good():
    short = {SNP: "snp", TDX: "tdx"}
    for tee in (SNP, TDX):
        guest = Guest(tee)
        for version in (0, 1, 2):
            good(f"{short[tee]}-v{version}", guest, version)
        good(f"{short[tee]}-init-data", guest, init_data=INIT_DATA.hex())
        good(f"{short[tee]}-v1-no-user-data", Guest(tee, runtime_data(user_data="")), 1)
        good(f"{short[tee]}-cut-after-runtime-data", Guest(tee, hcl={"size": 0}))
    for generation in ("Genoa", "Turin"):
        good(f"snp-{generation.lower()}", Guest(SNP, snp={"generation": generation}))
    only_ark = make_snp.pem(make_snp.CAS[("ARK", "Milan")])
    chain = make_snp.pem(make_snp.CAS[("ASK", "Milan")]) + only_ark
    good("snp-chain-from-collateral", Guest(SNP), roots=only_ark, collateral=make_snp.collateral(**{"amd/chain/Milan": chain}))


# -- what must be refused

def bad(label, check, tee, evidence, **more):
    BAD[label] = whole(tee, evidence, refused_by=check, **more)


def edited(guest, form=2, **change):
    evidence = guest.evidence(form)
    for path, value in change.items():
        at, names = evidence, path.split("__")
        for step in names[:-1]:
            at = at[step]
        if value is None:
            del at[names[-1]]
        else:
            at[names[-1]] = value
    return evidence


def bad_quotes(tee, short):
    zeros = [bytes(32)] * 24
    quotes = {
        "nonce-32": ("az.nonce", {"extra": REPORT_DATA[:32]}), "nonce-64": ("az.nonce", {"extra": REPORT_DATA + bytes(16)}),
        "nonce-other": ("az.nonce", {"extra": hashlib.sha384(b"other").digest()}), "nonce-none": ("az.nonce", {"extra": b""}),
        "magic": ("az.magic", {"magic": 0xFF544346}), "type-certify": ("az.type", {"kind": 0x8017}),
        "message-trailing": ("az.quote-format", {"tail": b"\0"}), "digest": ("az.pcr-digest", {"digest": bytes(32)}),
        "pcrs-other": ("az.pcr-digest", {"pcrs": zeros}),
        "selection-relabelled": ("az.pcr-selection", {"selections": ((0x000B, b"\xff\x07\xff"),)}),
        "selection-sha1": ("az.pcr-selection", {"selections": ((0x0004, b"\xff\xff\xff"),)}),
        "selection-sha384": ("az.pcr-selection", {"selections": ((0x000C, b"\xff\xff\xff"),)}),
        "selection-two-banks": ("az.pcr-selection", {"selections": ((0x000B, b"\xff\xff\xff"), (0x0004, b"\0\0\0"))}),
        "selection-split": ("az.pcr-selection", {"selections": ((0x000B, b"\xff\xff\0"), (0x000B, b"\0\0\xff"))}),
        "selection-none": ("az.pcr-selection", {"selections": ()}),
        "selection-size-2": ("az.pcr-selection", {"selections": ((0x000B, b"\xff\xff"),)}),
        "selection-size-4": ("az.pcr-selection", {"selections": ((0x000B, b"\xff\xff\xff\0"),)}),
    }
    for label, (check, quote) in quotes.items():
        bad(f"{short}-{label}", check, tee, Guest(tee, quote=quote).evidence())
    bad(f"{short}-signature-by-another", "az.signature", tee, Guest(tee, signer=STRANGER).evidence())
    bad(f"{short}-signature-sha384", "az.signature", tee, Guest(tee, digest=hashes.SHA384()).evidence())
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    bad(f"{short}-signature-pss", "az.signature", tee, Guest(tee, scheme=pss).evidence())
    guest = Guest(tee)
    one = guest.signature[:-1]
    header = bytes.fromhex("0014000b0100")
    for label, value in (("cut", one.hex()), ("with-tpmt-header", (header + guest.signature).hex()), ("zero", bytes(256).hex())):
        bad(f"{short}-signature-{label}", "az.signature", tee, edited(guest, tpm_quote__signature=value))
    for label, value in (("empty", ""), ("odd", guest.signature.hex() + "0"), ("number", 5), ("base64", url(guest.signature)), ("giant", "00" * 70000)):
        bad(f"{short}-signature-{label}", "az.signature-format", tee, edited(guest, tpm_quote__signature=value))
    hexes = [pcr.hex() for pcr in PCRS]
    swapped = [hexes[1], hexes[0], *hexes[2:]]
    bad(f"{short}-pcrs-swapped", "az.pcr-digest", tee, edited(guest, tpm_quote__pcrs=swapped))
    for label, value in (("23", hexes[:23]), ("25", hexes + hexes[:1]), ("8", hexes[:8]), ("none", []), ("object", {"0": hexes[0]}),
                         ("numbers", [list(pcr) for pcr in PCRS]), ("short", [hexes[0][:-2], *hexes[1:]]), ("no-hex", ["g" * 64, *hexes[1:]])):
        bad(f"{short}-pcrs-{label}", "az.pcrs", tee, edited(guest, tpm_quote__pcrs=value))
    for label, value in (("empty", ""), ("cut", guest.message.hex()[:-2]), ("no-hex", "zz"), ("giant", "00" * 70000)):
        bad(f"{short}-message-{label}", "az.quote-format", tee, edited(guest, tpm_quote__message=value))
    for at in range(1, len(guest.message), 7):
        bad(f"{short}-message-cut-{at}", "az.quote-format" if at > 5 else "az.quote-format", tee, edited(guest, tpm_quote__message=guest.message[:at].hex()))


def bad_paravisor(tee, short):
    guest = Guest(tee)
    other = Guest(TDX if tee == SNP else SNP)
    hcl = {
        "type-of-the-other": ("az.hcl-report-type", {"report_type": 4 if tee == SNP else 2}), "type-0": ("az.hcl-report-type", {"report_type": 0}),
        "hash-sha384": ("az.hcl-hash-type", {"hash_type": 2}), "hash-0": ("az.hcl-hash-type", {"hash_type": 0}),
        "magic": ("az.hcl", {"magic": b"HCLB"}), "length-4gib": ("az.hcl", {"length": 0xFFFFFFFF}),
        "length-beyond": ("az.hcl", {"length": 2600 - 0x4D4 + 1}), "length-shorter": ("az.hcl-binding", {"length": 100}),
        "length-0": ("az.runtime-data", {"length": 0}),
    }
    for label, (check, change) in hcl.items():
        bad(f"{short}-hcl-{label}", check, tee, Guest(tee, hcl=change).evidence())
    for size in (0x4D3, 0x4C0, 0x20, 4, 1):
        bad(f"{short}-hcl-cut-{size:x}", "az.hcl", tee, edited(guest, hcl_report=url(guest.hcl[:size])))
    for label, value in (("empty", ""), ("bare", url(guest.hcl).rstrip("=")), ("std", base64.b64encode(b"\xff" * 2600).decode()),
                         ("number", 1), ("giant", url(bytes(70001)))):
        if label != "bare" or url(guest.hcl).endswith("="):
            bad(f"{short}-hcl-{label}", "az.hcl", tee, edited(guest, hcl_report=value))
    keys = {
        "none": [], "only-ek": [jwk(kid="HCLEkPub")], "ec": [jwk(kty="EC")], "rsa-1024": [jwk(rsa.generate_private_key(65537, 1024))],
        "exponent-1": [jwk(e=number(1))], "exponent-3": [jwk(e=number(3))], "exponent-even": [jwk(e=number(65538))], "modulus-padded": [jwk(n=jwk()["n"] + "=")], "modulus-number": [jwk(n=5)],
        "modulus-giant": [jwk(n="_" * 2000)], "many": [jwk(kid=f"k{at}") for at in range(16)] + [jwk()], "first-counts": [jwk(STRANGER, kty="oct"), jwk()],
        "no-objects": ["HCLAkPub"], "object": {"kid": "HCLAkPub"},
    }
    for label, value in keys.items():
        bad(f"{short}-keys-{label}", "az.runtime-data", tee, Guest(tee, runtime_data(keys=value)).evidence())
    bad(f"{short}-keys-of-a-stranger", "az.signature", tee, Guest(tee, runtime_data(keys=[jwk(STRANGER)])).evidence())
    bad(f"{short}-keys-two-of-one-name", "az.signature", tee, Guest(tee, runtime_data(keys=[jwk(STRANGER), jwk()])).evidence())
    text = runtime_data()
    for label, value in (("no-json", b"HCLAkPub"), ("trailing", text + b"x"), ("duplicate", text[:-1] + b', "keys": []}'), ("array", b"[]"),
                         ("not-utf8", text[:-1] + b', "x": "\xff"}'), ("deep", b'{"keys":' + b"[" * 100 + b"]" * 100 + b"}")):
        bad(f"{short}-runtime-{label}", "az.runtime-data", tee, Guest(tee, value).evidence())
    bad(f"{short}-binding", "az.hcl-binding", tee, Guest(tee, bound=hashlib.sha256(b"other").digest()).evidence())
    bad(f"{short}-binding-zero", "az.hcl-binding", tee, Guest(tee, bound=bytes(32)).evidence())
    written = json.loads(text)
    again = json.dumps(written, separators=(",", ":")).encode()  # the same values, other bytes
    bad(f"{short}-binding-reserialised", "az.hcl-binding", tee, Guest(tee, again, bound=hashlib.sha256(text).digest()).evidence())
    for label, value in (("other", bytes(64)), ("prefix", REPORT_DATA[:47] + b"\0" + bytes(16)), ("rest", REPORT_DATA + b"\1" + bytes(15)),
                         ("short", REPORT_DATA), ("none", None), ("text", "report data")):
        runtime = runtime_data(**{"user-data": None}) if value is None else runtime_data(user_data=value)
        bad(f"{short}-user-data-{label}", "az.user-data", tee, Guest(tee, runtime).evidence())
    bad(f"{short}-hcl-of-the-other", "az.hcl-report-type", tee, edited(guest, hcl_report=url(other.hcl)))


def bad_forms(tee, short):
    guest = Guest(tee)
    part = "vcek" if tee == SNP else "td_quote"
    for version in (0, 3, -1, 258, 4294967297, "2", 2.0, True, [2]):
        label = json.dumps(version).strip('"[]').replace(".", "-")
        bad(f"{short}-version-{type(version).__name__}-{label}", "az.version", tee, edited(guest, version=version))
    bad(f"{short}-without-version", "az.hcl", tee, edited(guest, version=None))
    old = "quote" if tee == SNP else "tpm_quote"
    for label, values in (("256", [256]), ("negative", [-1]), ("text", ["00"]), ("real", [1.0]), ("4294967296", [4294967296])):
        bad(f"{short}-old-byte-{label}", "az.signature-format", tee, edited(guest, 0, **{f"{old}__signature": values + list(guest.signature[1:])}))
    bad(f"{short}-old-pcr-33", "az.pcrs", tee, edited(guest, 0, **{f"{old}__pcrs": [[0] * 33] + [list(pcr) for pcr in PCRS[1:]]}))
    bad(f"{short}-old-pcrs-hex", "az.pcrs", tee, edited(guest, 0, **{f"{old}__pcrs": [pcr.hex() for pcr in PCRS]}))
    for name, check in (("tpm_quote", "az.quote-format"), ("hcl_report", "az.hcl"), (part, f"az.{part}")):
        bad(f"{short}-no-{name}", check, tee, edited(guest, **{name: None}))
        bad(f"{short}-{name}-array", check, tee, edited(guest, **{name: [1]}))
    for name, check in (("signature", "az.signature-format"), ("message", "az.quote-format"), ("pcrs", "az.pcrs")):
        bad(f"{short}-no-{name}", check, tee, edited(guest, **{f"tpm_quote__{name}": None}))
    for label, value in (("text", "x"), ("array", [])):
        bad(f"{short}-evidence-{label}", "az.evidence", tee, value)
    bad(f"{short}-{part}-giant", f"az.{part}", tee, edited(guest, **{part: url(bytes(70000))}))
    for label, value in (("other", hashlib.sha256(b"other").hexdigest()), ("sha384", hashlib.sha384(b"init data").hexdigest()), ("short", "00" * 31)):
        bad(f"{short}-init-data-{label}", "az.init-data", tee, guest.evidence(), init_data=value)
    bad(f"{short}-report-data-none", "az.nonce", tee, guest.evidence(), report_data="")
    bad(f"{short}-report-data-short", "az.nonce", tee, guest.evidence(), report_data=REPORT_DATA[:32].hex())


def bad_hardware():
    year = make_snp.YEAR
    guests = {
        "vmpl-1": ("snp.vmpl", {"report": {"vmpl": 1}}), "version-2": ("snp.version", {"report": {"version": 2}}),
        "sig-algo-0": ("snp.signature-algorithm", {"report": {"sig_algo": 0}}),
        "vcek-expired": ("snp.date", {"cert": {"start": make_snp.NOW - 2 * year, "end": make_snp.NOW - 1}}),
        "vcek-not-yet": ("snp.date", {"cert": {"start": make_snp.NOW + 1}}),
        "vcek-by-another": ("snp.chain", {"cert": {"issuer_key": make_snp.FOREIGN}}),
    }
    for label, (check, snp) in guests.items():
        bad(f"snp-{label}", check, SNP, Guest(SNP, snp=snp).evidence())
    guest = Guest(SNP)
    raw = bytearray(guest.hcl)
    raw[0x20 + 0x90] ^= 1
    bad("snp-measurement", "snp.signature", SNP, edited(guest, hcl_report=url(bytes(raw))))
    bad("snp-vcek-of-another-chip", "snp.chip-id", SNP, edited(guest, vcek=url(Guest(SNP, snp={"report": {"chip_id": [9] * 64}}).part)))
    bad("snp-vcek-garbage", "snp.cert-chain", SNP, edited(guest, vcek=url(b"garbage")))
    bad("snp-no-roots", "collateral", SNP, guest.evidence(), roots=ROOTS[TDX])
    tdx = Guest(TDX)
    bad("tdx-quote-cut", "tdx.quote-format", TDX, edited(tdx, td_quote=url(tdx.part[:700])))
    broken = bytearray(tdx.part)
    broken[48 + 136] ^= 1
    bad("tdx-mr-td", "tdx.signature", TDX, edited(tdx, td_quote=url(bytes(broken))))
    bad("tdx-no-collateral", "collateral", TDX, tdx.evidence(), collateral={})


def write(directory, files):
    directory.mkdir(parents=True, exist_ok=True)
    for label, content in files.items():
        (directory / f"{label}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")


def main():
    out = pathlib.Path(sys.argv[1])
    make_good()
    for tee, short in ((SNP, "snp"), (TDX, "tdx")):
        for make in (bad_quotes, bad_paravisor, bad_forms):
            make(tee, short)
    bad_hardware()
    for kind, files in (("good", GOOD), ("bad", BAD)):
        write(out / kind, files)


if __name__ == "__main__":
    main()
