#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy for tests that knows CONNECT alone: proxy.py [--user USER:PASSWORD] [--refuse STATUS] [--hang] [--allow HOST:PORT]…

Prints its port on the first line, then a line a request: "CONNECT host:port STATUS". Any other method gets 405."""
import argparse
import base64
import os
import socket
import threading


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def read_head(conn):
    head = b""
    while b"\r\n\r\n" not in head:
        data = conn.recv(4096)
        if not data or len(head) > 65536:
            return None
        head += data
    return head.decode("latin-1").split("\r\n")


def verdict(args, lines):
    method, target, _ = lines[0].split(" ", 2)
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    given = headers.get("Proxy-Authorization", "")
    wanted = "Basic " + base64.b64encode((args.user or "").encode()).decode()
    if method != "CONNECT":
        return target, 405
    if "Authorization" in headers:
        return target, 400  # what is for the KBS is not for the proxy
    if args.user and given != wanted:
        return target, 407
    if args.allow and target not in args.allow:
        return target, 403
    return target, args.refuse or 200


def serve(args, conn):
    with conn:
        lines = read_head(conn)
        if not lines:
            return
        target, status = verdict(args, lines)
        os.write(1, f"{lines[0].split(' ')[0]} {target} {status}\n".encode())  # one write: threads share the log
        if args.hang:
            conn.recv(1)
            return
        if status != 200:
            conn.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
            return
        host, port = target.rsplit(":", 1)
        try:
            peer = socket.create_connection((host, int(port)))
        except OSError:
            conn.sendall(b"HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n")
            return
        with peer:
            conn.sendall(b"HTTP/1.1 200 X\r\n\r\n")
            threading.Thread(target=pump, args=(peer, conn), daemon=True).start()
            pump(conn, peer)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--user")
    parser.add_argument("--refuse", type=int, default=0)
    parser.add_argument("--hang", action="store_true")
    parser.add_argument("--allow", action="append", default=[])
    args = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve, args=(args, conn), daemon=True).start()


if __name__ == "__main__":
    main()
