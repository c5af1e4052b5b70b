# SPDX-License-Identifier: Apache-2.0
"""leak.py: looks for secrets where none may be.

    leak.py needle FILE NAME HEX             adds a secret to look for (FILE is made with mode 0600)
    leak.py scalar FILE NAME TOKEN PID       adds the private key that TOKEN (a JWT) binds: it is looked for in the secure heap of
                                             PID as the number whose public key is the token's, so nobody has to give it away
    leak.py processes FILE [--allow NAME=AREA]... [--expect NAME=AREA]... PID...
                                             everything that root can read of these processes: memory, environment, command line
    leak.py core FILE OUT [--allow NAME]... PID...
                                             a core dump by force, as gcore(1) makes it: what VM_DONTDUMP and coredump_filter leave in
    leak.py files FILE PATH...               files and all files beneath directories

AREA: secure-heap (OpenSSL's: 256 KiB, locked, out of dumps), locked (out of dumps: secrets without memfd_secret(2), reply buffers),
stack, heap, anonymous, mapped. A secret is looked for as it is, turned round, in hex, and in base64 at each offset. Exit 1 when one is found
where it is not allowed, or not found where it is expected: a search that finds nothing anywhere might be blind.
"""
import base64
import json
import os
import re
import struct
import sys

SECURE_HEAP = 256 * 1024
CHUNK = 1 << 20
PAGE = os.sysconf("SC_PAGESIZE")


def forms(secret):
    """What to search for: name of the form -> bytes."""
    out = {"raw": secret, "reversed": secret[::-1], "hex": secret.hex().encode(), "HEX": secret.hex().upper().encode()}
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + secret)
        # Without the characters that depend on neighbours.
        inner = text[(0, 2, 3)[offset]:len(text) // 4 * 4 - 4]
        out[f"base64+{offset}"] = inner
        out[f"base64url+{offset}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    return out


class Needles:
    def __init__(self, path):
        with open(path) as file:
            secrets = json.load(file)
        self.of = {}
        for name, value in secrets.items():
            for form, pattern in forms(bytes.fromhex(value)).items():
                self.of.setdefault(pattern, (name, form))
        self.longest = max(map(len, self.of))
        # One pass for all of them.
        self.search = re.compile(b"|".join(re.escape(pattern) for pattern in self.of))

    def within(self, data):
        if not data.strip(b"\0"):  # most of what is mapped was never touched
            return
        for match in self.search.finditer(data):
            yield match.start(), *self.of[match.group()]


class Memory:
    def __init__(self, pid):
        self.fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        self.pages = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY)

    def __del__(self):
        os.close(self.fd)
        os.close(self.pages)


class Mapping:
    def __init__(self, head, flags):
        span, self.rights, _, _, inode, *name = head.split(None, 5)
        self.start, self.end = (int(part, 16) for part in span.split("-"))
        self.name = name[0].strip() if name else ""
        self.is_file = inode != "0"
        self.flags = flags

    def area(self):
        if "dd" in self.flags:
            return "secure-heap" if self.end - self.start == SECURE_HEAP else "locked"
        if self.name in ("[heap]", "[stack]"):
            return self.name[1:-1]
        return "mapped" if self.name else "anonymous"

    def holds_ours(self):
        """Read-only pages of programs and libraries are the same as on disk."""
        return self.rights[0] == "r" and (self.rights[1] == "w" or not self.is_file) and self.name not in ("[vvar]", "[vdso]", "[vsyscall]")


def mappings(pid):
    found, head = [], None
    with open(f"/proc/{pid}/smaps") as file:
        for line in file:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                head = line
            elif line.startswith("VmFlags:"):
                found.append(Mapping(head, line.split()[1:]))
    return found


def spans(memory, mapping):
    """(start, end) of the pages that it has, in memory or in swap (proc_pid_pagemap(5)); to read others would only make them."""
    entries = os.pread(memory.pages, (mapping.end - mapping.start) // PAGE * 8, mapping.start // PAGE * 8)
    start = None
    for number, (entry,) in enumerate(struct.iter_unpack("<Q", entries + bytes(8))):
        if entry >> 62 and start is None:
            start = number
        elif not entry >> 62 and start is not None:
            yield mapping.start + start * PAGE, mapping.start + number * PAGE
            start = None


def read_mapping(memory, mapping):
    """(address, bytes) pieces that overlap by nothing; pages that nobody may read (memfd_secret) are left out."""
    for at, end in spans(memory, mapping):
        while at < end:
            try:
                data = os.pread(memory.fd, min(CHUNK, end - at), at)
            except OSError:
                data = b""
            if data:
                yield at, data
            at += len(data) or PAGE


def search_mapping(needles, memory, mapping):
    tail, tail_at = b"", None
    for at, data in read_mapping(memory, mapping):
        if tail_at is not None and tail_at + len(tail) != at:
            tail = b""
        whole, start = tail + data, at - len(tail)
        for offset, name, form in needles.within(whole):
            yield start + offset, name, form
        tail = whole[-(needles.longest - 1):]
        tail_at = start + len(whole) - len(tail)


def pairs(words):
    return {tuple(word.split("=", 1)) for word in words}


def search_processes(path, words):
    allowed, expected, pids = [], [], []
    while words:
        word = words.pop(0)
        if word == "--allow":
            allowed.append(words.pop(0))
        elif word == "--expect":
            expected.append(words.pop(0))
        else:
            pids.append(word)
    needles, seen, bad = Needles(path), set(), 0
    allowed, expected = pairs(allowed + expected), pairs(expected)
    for pid in pids:
        name = open(f"/proc/{pid}/comm").read().strip()
        memory = Memory(pid)
        size = 0
        for mapping in mappings(pid):
            if not mapping.holds_ours():
                continue
            size += sum(end - start for start, end in spans(memory, mapping))
            for at, needle, form in search_mapping(needles, memory, mapping):
                seen.add((needle, mapping.area()))
                if (needle, mapping.area()) not in allowed:
                    around = os.pread(memory.fd, 16, at - 16).hex()
                    print(f"{name} {pid}: {needle} ({form}) at {at:x} in {mapping.area()} {mapping.name} {mapping.rights} behind {around}")
                    bad += 1
        for kind in ("environ", "cmdline"):
            for _, needle, form in needles.within(open(f"/proc/{pid}/{kind}", "rb").read()):
                print(f"{name} {pid}: {needle} ({form}) in its {kind}")
                bad += 1
        print(f"{name} {pid}: {size >> 10} KiB searched")
    for needle, area in sorted(expected - seen):
        print(f"{needle} is not in the {area}, where it must be: the search is blind")
        bad += 1
    return bad


def dumped(mapping, kinds):
    """core(5): which kinds of mapping coredump_filter leaves in."""
    shared = mapping.rights[3] == "s"
    bit = (3 if shared else 2) if mapping.is_file else (1 if shared else 0)
    return mapping.rights[0] == "r" and not {"dd", "io"} & set(mapping.flags) and kinds >> bit & 1


def dump(path, words):
    """ELF64 (elf(5)): a header, a program header for each mapping, the pages."""
    needles, out, bad, allowed, pids = Needles(path), words.pop(0), 0, [], []
    while words:
        (allowed if words[0] == "--allow" and words.pop(0) else pids).append(words.pop(0))
    for pid in pids:
        kinds = int(open(f"/proc/{pid}/coredump_filter").read(), 16)
        memory = Memory(pid)
        chosen = [mapping for mapping in mappings(pid) if dumped(mapping, kinds)]
        pieces = [piece for mapping in chosen for piece in read_mapping(memory, mapping)]
        at = 64 + 56 * len(pieces)
        table = b""
        for start, data in pieces:
            table += struct.pack("<IIQQQQQQ", 1, 4, at, start, 0, len(data), len(data), PAGE)
            at += len(data)
        name = f"{out}.{pid}"
        with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, min(len(pieces), 0xfffe), 0, 0, 0))
            file.write(table + b"".join(data for _, data in pieces))
        for offset, needle, form in needles.within(open(name, "rb").read()):
            if needle not in allowed:
                print(f"{name}: {needle} ({form}) at {offset}")
                bad += 1
        print(f"{name}: {len(chosen)} mappings, {at >> 10} KiB")
        os.unlink(name)
    return bad


def search_files(path, words):
    needles, bad, count = Needles(path), 0, 0
    for top in words:
        files = [top] if os.path.isfile(top) else [os.path.join(at, name) for at, _, names in os.walk(top) for name in names]
        for name in filter(os.path.isfile, files):
            count += 1
            for offset, needle, form in needles.within(open(name, "rb").read()):
                print(f"{name}: {needle} ({form}) at {offset}")
                bad += 1
    print(f"{count} files searched")
    return bad


def add(path, name, value):
    secrets = {}
    if os.path.exists(path):
        with open(path) as file:
            secrets = json.load(file)
    secrets[name] = value
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(secrets, file)


def find_key(value):
    if not isinstance(value, dict):
        return None
    if "tee-pubkey" in value:
        return value["tee-pubkey"]
    return next(filter(None, map(find_key, value.values())), None)


def unpad(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def add_scalar(path, name, token, pid):
    from cryptography.hazmat.primitives.asymmetric import ec
    key = find_key(json.loads(unpad(open(token).read().strip().split(".")[1])))
    wanted = ec.EllipticCurvePublicNumbers(*(int.from_bytes(unpad(key[part]), "big") for part in "xy"), ec.SECP256R1())
    memory = Memory(pid)
    tried = set()
    for mapping in mappings(pid):
        if mapping.area() != "secure-heap":
            continue
        for _, data in read_mapping(memory, mapping):
            for offset in range(0, len(data) - 31, 16):
                number = int.from_bytes(data[offset:offset + 32], "little")
                if number in tried or not 1 << 192 < number < 1 << 256:
                    continue
                tried.add(number)
                try:
                    private = ec.derive_private_key(number, ec.SECP256R1())
                except ValueError:  # not below the order of the curve
                    continue
                if private.public_key().public_numbers() == wanted:
                    add(path, name, number.to_bytes(32, "big").hex())
                    return 0
    print(f"the private key of the token is not in the secure heap of {pid} ({len(tried)} numbers tried)")
    return 1


def main(words):
    command, path, *rest = words
    if command == "needle":
        add(path, *rest)
        return 0
    commands = {"scalar": lambda: add_scalar(path, *rest), "processes": lambda: search_processes(path, rest),
                "core": lambda: dump(path, rest), "files": lambda: search_files(path, rest)}
    return 1 if commands[command]() else 0


sys.exit(main(sys.argv[1:]))
