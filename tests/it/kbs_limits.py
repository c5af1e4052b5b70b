# SPDX-License-Identifier: Apache-2.0
"""Strangers who want too much of a broker: kbs_limits.py PORT CA VERB; from 127.0.0.2, so that a guest is another peer. Prints what a test compares."""
import json
import socket
import ssl
import sys
import time

port, ca, verb = int(sys.argv[1]), sys.argv[2], sys.argv[3]
AUTH = json.dumps({"version": "0.4.0", "tee": "sample", "extra-params": ""})


def connect():
    return socket.create_connection(("127.0.0.1", port), 60, ("127.0.0.2", 0))


def tls():
    return ssl.create_default_context(cafile=ca).wrap_socket(connect(), server_hostname="127.0.0.1")


def answer(sock):
    """Status and lower-case head of one answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            return 0, ""
        data += more
    head, rest = data.split(b"\r\n\r\n", 1)
    text = head.decode().lower()
    length = int(next(line.split(":")[1] for line in text.split("\r\n") if line.startswith("content-length")))
    while len(rest) < length:
        rest += sock.recv(65536)
    return int(text.split()[1]), text


def ask(sock, method, path, body=""):
    sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    return answer(sock)


if verb == "flood":  # one connection, so that it is the requests that are limited
    sock = tls()
    answers = [ask(sock, "POST", "/kbs/v0/auth", AUTH) for _ in range(200)]
    served = sum(status == 200 for status, _ in answers)
    limited = [head for status, head in answers if status == 429]
    print(served + len(limited), 20 <= served < 200, all("retry-after: " in head for head in limited), ask(sock, "GET", "/healthz")[0])
elif verb == "half-open":  # handshakes that never go on, more than one address may have
    socks = []
    for _ in range(600):
        try:
            socks.append(connect())
        except OSError:
            break
    print("open", flush=True)
    sys.stdin.readline()
elif verb == "slow":  # a byte now and then: cut by the total deadline
    sock = tls()
    sock.sendall(b"POST /kbs/v0/auth HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
    began = time.monotonic()
    try:
        while time.monotonic() - began < 100:
            sock.sendall(b" ")
            sock.settimeout(0.1)
            try:
                if not sock.recv(1):
                    break
            except TimeoutError:
                pass
    except OSError:
        pass
    print("cut" if time.monotonic() - began < 60 else "went on")
