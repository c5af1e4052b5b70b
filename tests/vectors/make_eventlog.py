#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes event logs in the TCG's crypto-agile form (PC Client Platform Firmware Profile 1.06, section 10); shares no code with ours.

Run by hand when a case is added: makes tests/vectors/eventlog/{ccel,tpm,tpm-other}.bin and tests/bad/eventlog/<reason>.bin, which must be
refused. The tests import it for logs of their own: `make_eventlog.py tpm OUT PCR=TEXT…` writes a TPM log with one EV_IPL a pair, of a TPM without
localities, and prints what a boot extends: PCR:sha256=DIGEST, one a line.
"""
import hashlib
import pathlib
import struct
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
SHA1, SHA256, SHA384, SHA512, SM3 = 0x4, 0xB, 0xC, 0xD, 0x12
NAMES = {SHA1: "sha1", SHA256: "sha256", SHA384: "sha384", SHA512: "sha512"}
SIZES = {SHA1: 20, SHA256: 32, SHA384: 48, SHA512: 64, SM3: 32}
EV_POST_CODE, EV_NO_ACTION, EV_SEPARATOR, EV_ACTION, EV_EVENT_TAG, EV_FLAGS, EV_IPL = 1, 3, 4, 5, 6, 0xA, 0xD
EV_VARIABLE, EV_BOOT, EV_APPLICATION, EV_GPT, EV_EFI_ACTION = (0x80000000 + n for n in (1, 2, 3, 6, 7))
EV_BLOB2, EV_TABLES2, EV_AUTHORITY = 0x8000000A, 0x8000000B, 0x800000E0
GLOBAL_VARIABLE = bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c")
ZEROS, ONES = bytes(8), b"\xff" * 8


def digest(alg, data):
    return hashlib.new(NAMES[alg], data).digest()


def first(algs, signature=b"Spec ID Event03\0", count=None, sizes=SIZES, vendor=b"", kind=EV_NO_ACTION, tail=b""):
    listed = b"".join(struct.pack("<HH", alg, sizes.get(alg, 32)) for alg in algs)
    data = signature + struct.pack("<IBBBBI", 0, 0, 2, 0, 2, len(algs) if count is None else count) + listed
    data += bytes([len(vendor)]) + vendor + tail
    return struct.pack("<II", 0, kind) + bytes(20) + struct.pack("<I", len(data)) + data


def record(index, kind, digests, data, count=None, size=None):
    listed = b"".join(struct.pack("<H", alg) + value for alg, value in digests)
    return (struct.pack("<III", index, kind, len(digests) if count is None else count) + listed
            + struct.pack("<I", len(data) if size is None else size) + data)


def event(index, kind, data, algs, measured=None):
    """The digest is that of `measured`, by default of the event data itself."""
    return record(index, kind, [(alg, digest(alg, data if measured is None else measured)) for alg in algs], data)


def variable(guid, name, value):
    return guid + struct.pack("<QQ", len(name), len(value)) + name.encode("utf-16-le") + value


def node(kind, sub, data):
    return struct.pack("<BBH", kind, sub, 4 + len(data)) + data


def image(*nodes):
    path = b"".join(nodes) + (node(0x7F, 0xFF, b"") if nodes else b"")
    return struct.pack("<QQQQ", 0x7CB30018, 0xA5A200, 0, len(path)) + path


def file_node(name):
    return node(4, 4, name.encode("utf-16-le") + b"\0\0")


def tagged(tag, text):
    return struct.pack("<II", tag, len(text)) + text


def ccel():
    """Every type whose data is looked into, with the forms that are met in the field."""
    algs, out = [SHA384], first([SHA384], vendor=b"vnd")
    disk = node(4, 1, struct.pack("<IQQ", 15, 0x2800, 0x35000) + bytes.fromhex("5e27f1007553d5439eb5de2add4c9932") + b"\x02\x02")
    mbr = node(4, 1, struct.pack("<IQQ", 1, 0x800, 0x2EE000) + bytes.fromhex("431202a0") + bytes(12) + b"\x01\x01")
    many = image(node(2, 1, bytes.fromhex("d041030a00000000")), node(1, 1, b"\x00\x03"), disk, mbr,
                 node(3, 5, b"\x01\x02"), node(3, 0x0B, bytes.fromhex("001320f5fa77") + bytes(26) + b"\x01"),
                 node(3, 0x0C, bytes.fromhex("0100a8c06400a8c00000bc0c06000100000000" + "00000000")),
                 node(3, 0x15, bytes(range(8)) * 2), node(3, 23, bytes.fromhex("010000000000000000000000")),
                 node(5, 1, struct.pack("<HH", 0x80, 0) + b"ABC\0"), file_node("\\EFI\\BOOT\\BOOTX64.EFI"))
    for index, kind, data, measured in [
            (0, EV_NO_ACTION, b"SP800-155 Event3", None),
            (1, EV_TABLES2, b"\x09TdxTable\0" + bytes(32), b"the table"),
            (1, EV_BLOB2, b"\x29Fv(48DB5E17-707C-472D-91CD-1613E7EF51B0)\0" + bytes(16), b"the volume"),
            (1, EV_VARIABLE, variable(GLOBAL_VARIABLE, "SecureBoot", b"\x01"), None),
            (1, EV_VARIABLE, variable(GLOBAL_VARIABLE, "PK", b""), None),
            (1, EV_SEPARATOR, bytes(4), None),
            (1, EV_POST_CODE, b"ACPI DATA", b"the tables"),
            (1, EV_FLAGS, b"etc/table-loader\0", b"the loader"),
            (2, EV_BOOT, variable(GLOBAL_VARIABLE, "BootOrder", b"\x00\x00"), b"\x00\x00"),
            (2, EV_EFI_ACTION, b"Calling EFI Application from Boot Option", None),
            (2, EV_APPLICATION, image(node(4, 3, bytes.fromhex("72f728144ab61e44b8c39ebdd7f893c7")), file_node("kernel")), b"PE"),
            (2, EV_APPLICATION, many, b"PE of a disk"),
            (2, EV_APPLICATION, image(), b"PE without a path"),
            (3, EV_EVENT_TAG, tagged(0x8F3B22ED, b"LOADED_IMAGE::LoadOptions\0"), b"options"),
            (3, EV_EVENT_TAG, tagged(0x8F3B22EC, b"Linux initrd\0"), b"initrd"),
            (3, EV_IPL, b"grub_cmd insmod blscfg\0G", b"insmod blscfg"),
            (3, EV_IPL, b"\x2e\x00" + "cmdline".encode("utf-16-le") + b"\0\0", b"cmdline"),
            (4, EV_EVENT_TAG, tagged(0x4141454C, b"domain operation content"), None),
            (4, EV_EVENT_TAG, tagged(0x4141454C, b'github.com/x pull {"image":"alpine","n":[1,2]}'), None)]:
        out += event(index, kind, data, algs, measured)
    return out + ONES + b"\xff" * 40


def boot(events):
    """What a firmware measures first, then (PCR, type, data, measured)."""
    return [(0, 8, "1.0".encode("utf-16-le") + b"\0\0", None), *((pcr, EV_SEPARATOR, bytes(4), None) for pcr in range(8)), *events]


def tpm(events=(), algs=(SHA1, SHA256), locality=3):
    out = first(list(algs))
    if locality is not None:
        out += record(0, EV_NO_ACTION, [(alg, bytes(SIZES[alg])) for alg in algs], b"StartupLocality\0" + bytes([locality]))
    for pcr, kind, data, measured in boot(events):
        out += event(pcr, kind, data, algs, measured)
    return out


def replay(log_events, algs=SHA256, start=None):
    value = bytes(SIZES[algs]) if start is None else start
    for data in log_events:
        value = digest(algs, value + digest(algs, data))
    return value


def bad():
    """Reason -> bytes."""
    algs = [SHA1, SHA384]
    head, good = first(algs), event(1, EV_IPL, b"text", algs)
    one = (SHA384, bytes(48))
    yield "empty", b""
    yield "first-cut", head[:40]
    yield "first-algorithms-cut", first(algs, count=3)
    yield "first-length-lies", head[:28] + struct.pack("<I", 0xFFFFFFFF) + head[32:]
    yield "first-no-spec-id", first(algs, signature=b"Spec ID Event02\0")
    yield "first-of-tpm-1.2", struct.pack("<II", 0, EV_SEPARATOR) + bytes(20) + struct.pack("<I", 4) + bytes(4)
    yield "first-no-algorithm", first([])
    yield "first-algorithm-count-overflow", first(algs, count=0x40000001)
    yield "first-unknown-algorithm", first([0x27])
    yield "first-wrong-digest-size", first(algs, sizes={SHA1: 20, SHA384: 32})
    yield "first-algorithm-twice", first([SHA384, SHA384])
    yield "first-vendor-cut", first(algs)[:-1] + b"\x05"
    yield "first-trailing", first(algs, tail=b"\0")
    yield "record-cut", head + good + struct.pack("<I", 1)
    yield "record-padding-of-7", head + good + bytes(7)
    yield "unknown-type", head + event(1, 0x80000FFF, b"text", algs)
    yield "digest-count-cut", head + struct.pack("<II", 1, EV_IPL) + b"\1\0"
    yield "digest-count-overflow", head + record(1, EV_IPL, [one], b"text", count=0xFFFFFFFF)
    yield "digest-count-three", head + record(1, EV_IPL, [one], b"text", count=3)
    yield "digest-list-cut", head + struct.pack("<III", 1, EV_IPL, 1) + b"\x0c"
    yield "digest-cut", head + struct.pack("<III", 1, EV_IPL, 1) + struct.pack("<H", SHA384) + bytes(47)
    yield "digest-unknown-algorithm", head + record(1, EV_IPL, [(0x27, bytes(32))], b"text")
    yield "digest-not-announced", head + record(1, EV_IPL, [(SHA256, bytes(32))], b"text")
    yield "digest-twice", head + record(1, EV_IPL, [one, one], b"text")
    yield "event-length-cut", head + record(1, EV_IPL, [one], b"")[:-2]
    yield "event-cut", head + good + record(1, EV_IPL, [one], b"text")[:-1]
    yield "event-length-overflow", head + record(1, EV_IPL, [one], b"text", size=0xFFFFFFFF)


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def main():
    if len(sys.argv) > 2 and sys.argv[1] == "tpm":
        pairs = [argument.split("=", 1) for argument in sys.argv[3:]]
        events = [(int(pcr), EV_IPL, text.encode() + b"\0", None) for pcr, text in pairs]
        write(pathlib.Path(sys.argv[2]), tpm(events, locality=None))
        for pcr, _, data, _ in boot(events):
            print(f"{pcr}:sha256={digest(SHA256, data).hex()}")
        return
    write(TESTS / "vectors/eventlog/ccel.bin", ccel())
    call, tag = b"Calling EFI Application from Boot Option", tagged(0x8F3B22EC, b"Linux initrd\0")
    write(TESTS / "vectors/eventlog/tpm.bin", tpm([(4, EV_EFI_ACTION, call, None), (9, EV_EVENT_TAG, tag, b"initrd")]))
    write(TESTS / "vectors/eventlog/tpm-other.bin",
          tpm([(4, EV_EFI_ACTION, call, None), (4, EV_APPLICATION, image(file_node("\\EFI\\other.efi")), b"another program"),
               (9, EV_EVENT_TAG, tag, b"another initrd")]))
    for reason, data in bad():
        write(TESTS / f"bad/eventlog/{reason}.bin", data)


if __name__ == "__main__":
    main()
