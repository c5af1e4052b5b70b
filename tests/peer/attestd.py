#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for sealed-attestd in tests of its clients: attest/wire.h over AF_UNIX SOCK_SEQPACKET, sample evidence
(Confidential Containers' "sample" TEE) over the runtime data that it builds itself.

    attestd.py SOCKET [--delay SECONDS] [--refuse TEXT] [--drop] [--tee NAME] [--gate FILE]

Prints "ready" once it listens. --delay waits before each piece of evidence, --refuse answers with an error instead, --drop closes
the connection instead, --tee gives the evidence another name than INFO did. --gate makes FILE.asked when it is
first asked for evidence, and answers when somebody opens the FIFO FILE for writing."""
import argparse
import base64
import hashlib
import json
import os
import pathlib
import socket
import struct
import threading
import time

VERSION, EVIDENCE, INFO = 1, 1, 2
HASHES = {0: hashlib.sha256, 1: hashlib.sha384, 2: hashlib.sha512}


def block(data):
    return struct.pack(">I", len(data)) + data


def take_block(message, at):
    size, = struct.unpack_from(">I", message, at)
    data = message[at + 4:at + 4 + size]
    if len(data) != size:
        raise ValueError("short message")
    return data, at + 4 + size


def sample_evidence(message):
    nonce, at = take_block(message, 2)
    make_hash = HASHES[message[at]]
    pubkey, at = take_block(message, at + 1)
    if at != len(message):
        raise ValueError("trailing bytes")
    data = {"additional-evidence": "", "nonce": nonce.decode(), "tee-pubkey": json.loads(pubkey)}
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = make_hash(canonical.encode()).digest()
    return json.dumps({"svn": "1", "report_data": base64.b64encode(digest).decode()}).encode()


def answer(args, message):
    if message[0] != VERSION:
        raise ValueError("version")
    if message[1] == INFO:
        return bytes((VERSION, 0)) + block(b"sample") + block(b'{"tee":"sample"}')
    if message[1] != EVIDENCE:
        raise ValueError("kind")
    time.sleep(args.delay)
    if args.gate:
        pathlib.Path(args.gate + ".asked").touch()
        with open(args.gate, "rb"):
            args.gate = None
    if args.refuse:
        return bytes((VERSION, 1)) + block(b"attest") + block(args.refuse.encode())
    return bytes((VERSION, 0)) + block(args.tee.encode()) + block(sample_evidence(message))


def serve(args, conn):
    with conn:
        while message := conn.recv(65536):
            if args.drop and message[1] == EVIDENCE:
                return
            conn.send(answer(args, message))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("socket")
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--refuse")
    parser.add_argument("--drop", action="store_true")
    parser.add_argument("--tee", default="sample")
    parser.add_argument("--gate")
    args = parser.parse_args()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.path.exists(args.socket):
        os.unlink(args.socket)
    listener.bind(args.socket)
    listener.listen(16)
    print("ready", flush=True)
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve, args=(args, conn), daemon=True).start()


if __name__ == "__main__":
    main()
