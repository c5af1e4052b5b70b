#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""64 guests and some administrators on a balancer, while others kill what is behind it.

    kbs_replicas.py run  --url URL --ca FILE --admin-token-file FILE --disturbed FILE   until that file is there and all have gone on after it
    kbs_replicas.py race --ca FILE URL…         one body of /attest on all servers at once, and another with the same nonce

A request that fails on its way, or that the server answers with 503, is repeated as it was: that is all a client is to notice.
"""
import argparse
import base64
import concurrent.futures
import json
import os
import sys
import threading
import time

import requests

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peer"))
import client  # noqa: E402

PREFIX = client.PREFIX
TRY_S = 240  # how long one request may be repeated: a bound for broken runs
WRITERS = 4


class Failed(Exception):
    pass


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.retries = 0
        self.never = threading.Event()

    def retried(self):
        with self.lock:
            self.retries += 1


def patiently(tally, step):
    """Once more, and unchanged, when nobody answered or the server says that it cannot now."""
    end = time.monotonic() + TRY_S
    while True:
        try:
            return step()
        except requests.RequestException as error:
            failure = error
        except client.Refused as refusal:
            if refusal.status != 503:
                raise
            failure = refusal
        if time.monotonic() > end:
            raise Failed(f"no answer in {TRY_S} s: {failure}")
        tally.retried()
        tally.never.wait(0.05)  # as a client does: not at once again


def new_guest(args):
    guest = client.Guest(args.url, args.ca)
    guest.http.headers["Connection"] = "close"  # so that each request may reach another server
    return guest


def one_round(args, tally, path, wanted):
    guest = new_guest(args)
    patiently(tally, lambda: guest.auth("sample"))
    guest.evidence()
    guest.body = json.dumps(guest.body)
    patiently(tally, guest.attest)
    guest.claims()
    got = patiently(tally, lambda: guest.get(path))
    if got != wanted:
        raise Failed(f"{path}: got {got!r}, not {wanted!r}")


def put(args, tally, path, value):
    def step():
        response = requests.post(f"{args.url}{PREFIX}/resource/{path}", data=value, verify=args.ca, timeout=60,
                                 headers={"Authorization": f"Bearer {args.token}", "Connection": "close"})
        if response.status_code != 200:
            raise client.Refused(response)
    patiently(tally, step)


def register(args, tally, name):
    payload = base64.b64encode(json.dumps({name: ["aa"]}).encode()).decode()

    def step():
        response = requests.post(f"{args.url}{PREFIX}/reference-value", verify=args.ca, timeout=60,
                                 json={"version": "0.1.0", "type": "sample", "payload": payload},
                                 headers={"Authorization": f"Bearer {args.token}", "Connection": "close"})
        if response.status_code != 200:
            raise client.Refused(response)
    patiently(tally, step)


def disturbed(args):
    return os.path.exists(args.disturbed)


def guest_loop(args, tally, number):
    rounds = 0
    while True:
        last = disturbed(args)  # this round begins after everything that was done to the servers
        one_round(args, tally, f"guest/secret/{number}", f"the secret of guest {number}".encode())
        rounds += 1
        with open(f"{args.disturbed}.round.{number}", "w", encoding="utf-8") as file:
            file.write(str(rounds))
        if last:
            return rounds


def writer_loop(args, tally, number):
    """Values in a row; each that was acknowledged must be there in the end."""
    accepted = []
    while not disturbed(args) or len(accepted) < 3:
        value = f"writer {number} value {len(accepted)}"
        put(args, tally, f"writer/secret/{number}", value.encode())
        register(args, tally, f"writer_{number}_{len(accepted)}")
        accepted.append(value)
    return accepted


def check_writes(args, tally, number, accepted):
    headers = {"Authorization": f"Bearer {args.token}"}
    listed = requests.get(f"{args.url}{PREFIX}/resource-versions/writer/secret/{number}", verify=args.ca, timeout=60, headers=headers).json()
    names = {item["name"] for item in requests.get(f"{args.url}{PREFIX}/reference-value", verify=args.ca, timeout=60,
                                                   headers=headers).json()}
    guest = new_guest(args)
    guest.auth("sample")
    guest.evidence()
    guest.attest()
    there = [guest.get(f"writer/secret/{number}?version={item['version']}").decode() for item in reversed(listed["versions"])]
    for i, value in enumerate(accepted):
        if value not in there:
            raise Failed(f"accepted and lost: {value}")
        if f"writer_{number}_{i}" not in names:
            raise Failed(f"accepted and lost: reference value writer_{number}_{i}")
    if there[-1] != accepted[-1]:
        raise Failed(f"the newest is {there[-1]!r}, not {accepted[-1]!r}")
    # A put that was repeated though it had been carried out is there twice: of that the client was told nothing, but never out of order.
    if [value for i, value in enumerate(there) if value not in there[:i]] != accepted:
        raise Failed(f"out of order: {there}")


def run(args):
    tally = Tally()
    with open(args.admin_token_file, encoding="utf-8") as file:
        args.token = file.read().strip()
    for number in range(args.guests):
        put(args, tally, f"guest/secret/{number}", f"the secret of guest {number}".encode())
    with concurrent.futures.ThreadPoolExecutor(args.guests + WRITERS) as pool:
        guests = [pool.submit(guest_loop, args, tally, number) for number in range(args.guests)]
        writers = [pool.submit(writer_loop, args, tally, number) for number in range(WRITERS)]
        rounds = [future.result() for future in guests]
        accepted = [future.result() for future in writers]
    for number in range(WRITERS):
        check_writes(args, tally, number, accepted[number])
    print(f"{len(rounds)} guests, {sum(rounds)} rounds, {sum(map(len, accepted))} accepted writes twice, {tally.retries} requests repeated")


def attest_at(url, ca, guest):
    """POST /attest of this session at another server; the token, or the refusal."""
    response = requests.post(url + PREFIX + "/attest", data=guest.body, verify=ca, timeout=60,
                             headers={"Content-Type": "application/json", "Cookie": f"kbs-session-id={guest.cookie()}"})
    return (response.status_code, response.json().get("token") if response.status_code == 200 else response.text)


def race(args):
    for _ in range(args.rounds):
        guest = client.Guest(args.urls[0], args.ca)
        guest.auth("sample")
        guest.evidence()
        guest.body = json.dumps(guest.body)
        with concurrent.futures.ThreadPoolExecutor(len(args.urls) * 3) as pool:
            answers = list(pool.map(lambda url: attest_at(url, args.ca, guest), args.urls * 3))
        if {status for status, _ in answers} != {200} or len({token for _, token in answers}) != 1:
            raise Failed(f"one body on all servers: {answers}")
        # Another key, so another body, for the nonce that is spent.
        thief = client.Guest(args.urls[0], args.ca)
        thief.tee, thief.nonce = guest.tee, guest.nonce
        thief.evidence()
        thief.body, thief.cookie = json.dumps(thief.body), guest.cookie
        for url in args.urls:
            status, text = attest_at(url, args.ca, thief)
            if status != 401 or "the nonce was used" not in text and "errors/" not in text:
                raise Failed(f"a spent nonce at {url}: {status} {text}")
        # Two bodies for an unspent nonce at the same time: one wins, everywhere.
        guest.auth("sample")
        guest.evidence()
        thief.nonce = guest.nonce
        thief.evidence()
        guest.body, thief.body = json.dumps(guest.body), json.dumps(thief.body)
        with concurrent.futures.ThreadPoolExecutor(len(args.urls) * 2) as pool:
            answers = list(pool.map(lambda job: attest_at(job[0], args.ca, job[1]),
                                    [(url, who) for url in args.urls for who in (guest, thief)]))
        tokens = {token for status, token in answers if status == 200}
        if len(tokens) != 1 or sum(status == 200 for status, _ in answers) != len(args.urls):
            raise Failed(f"two bodies for one nonce: {answers}")
    print(f"{args.rounds} nonces, each accepted once on {len(args.urls)} servers")


def main():
    parser = argparse.ArgumentParser()
    sub = parser.add_subparsers(required=True)
    one = sub.add_parser("run")
    one.add_argument("--url", required=True)
    one.add_argument("--ca", required=True)
    one.add_argument("--admin-token-file", required=True)
    one.add_argument("--disturbed", required=True)
    one.add_argument("--guests", type=int, default=64)
    one.set_defaults(run=run)
    two = sub.add_parser("race")
    two.add_argument("--ca", required=True)
    two.add_argument("--rounds", type=int, default=8)
    two.add_argument("urls", nargs="+")
    two.set_defaults(run=race)
    args = parser.parse_args()
    try:
        args.run(args)
    except (Failed, client.Refused) as error:
        sys.exit(f"FAIL: {error}")


if __name__ == "__main__":
    main()
