#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""AMD's KDS and Intel's PCS in one, over TLS, with CAs of its own; the machines that they know; and guests on them.

    collateral_vendor.py serve DIR              makes DIR/roots, DIR/pcs.json, DIR/kds; serves with DIR/vendor.pem; DIR/vendor.port when ready
    collateral_vendor.py control URL CA JSON    how it behaves from now on: {"status","retry","times","match","slow_ms","crl_ends_in","tcb_ends_in","hex","reset"}
    collateral_vendor.py count URL CA PREFIX    how many requests came for paths that begin so
    collateral_vendor.py attest KBS URL CA TEE [--at-once N] [--get R/T/T]
                                                whole handshakes, with evidence bound to the nonce; prints the claims of the last
Objects and evidence are made by tests/vectors/make_snp.py and make_tdx.py.
"""
import argparse
import base64
import concurrent.futures
import datetime
import http.server
import json
import os
import pathlib
import ssl
import sys
import threading
import time
import urllib.parse

import requests

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "vectors"), str(HERE.parent / "peer")]
DAY = 86400


class Vendor:
    def __init__(self):
        # Only here: they make keys when they are loaded.
        import make_snp
        import make_tdx
        self.snp, self.tdx = make_snp, make_tdx
        now = int(time.time())
        self.dates = {"start": now - 30 * DAY, "end": now + 300 * DAY}
        for role, generation in list(make_snp.CAS):
            make_snp.CAS[(role, generation)] = make_snp.ca(role, generation, **self.dates)
        self.lock = threading.Lock()
        self.counts, self.behaviour = {}, {}

    def day(self, offset_s):
        return datetime.datetime.fromtimestamp(time.time() + offset_s, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")

    def machine(self, **report):
        return self.snp.Guest(chain=("VEK",), cert=self.dates, report=report)

    def evidence(self, tee, report_data):
        if tee == "tdx":
            return self.tdx.evidence(fields={"report_data": report_data + bytes(16)})
        return dict(self.machine(report_data=list(report_data + bytes(16))).evidence(), cert_chain=None)

    def cert_chain(self, role="ASK"):
        return (self.snp.pem(self.snp.CAS[(role, "Milan")]) + self.snp.pem(self.snp.CAS[("ARK", "Milan")])).encode()

    def intel(self):
        tdx, say = self.tdx, self.behaviour
        dates = {"issueDate": self.day(-DAY) + "Z", "nextUpdate": self.day(say.get("tcb_ends_in", 20 * DAY)) + "Z"}
        crl = {"first": self.day(-2 * DAY), "last": self.day(say.get("crl_ends_in", 20 * DAY))}
        return {**tdx.tcb_info(**dates), **tdx.identity(**dates), **tdx.root_crl(**crl), **tdx.pck_crl("platform", **crl), **tdx.pck_crl("processor", **crl)}

    def find(self, path):
        """(body, headers) or None"""
        url = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(url.query))
        guest = self.machine()
        _, _, generation, chip, _ = guest.names().split("/")
        tcb = guest.report["reported_tcb"]
        wanted = {"blSPL": tcb["bootloader"], "teeSPL": tcb["tee"], "snpSPL": tcb["snp"], "ucodeSPL": tcb["microcode"]}
        if url.path == f"/vcek/v1/{generation}/{chip}" and query == {key: "%02d" % value for key, value in wanted.items()}:
            return guest.vek, {}
        if url.path == f"/vcek/v1/{generation}/cert_chain":
            return self.cert_chain(), {}
        if url.path == f"/vcek/v1/{generation}/crl":
            return self.snp.crl(generation, start=int(time.time()) - DAY, end=int(time.time()) + self.behaviour.get("crl_ends_in", 20 * DAY)), {}
        names = {"/tdx/certification/v4/tcb": ("intel/tcb/" + query.get("fmspc", ""), "TCB-Info-Issuer-Chain"),
                 "/tdx/certification/v4/qe/identity": ("intel/qe-identity", "SGX-Enclave-Identity-Issuer-Chain"),
                 "/sgx/certification/v4/pckcrl": ("intel/pck-crl/" + query.get("ca", ""), "SGX-PCK-CRL-Issuer-Chain"),
                 "/sgx/certification/v4/rootcacrl": ("intel/root-crl", None)}
        name, header = names.get(url.path, ("", None))
        found = self.intel().get(name)
        if not found or (url.path.startswith("/tdx") and query.get("update") != "standard" and self.behaviour.get("no_early")):
            return None
        body = base64.b64decode(found["body"])
        if "crl" in name and self.behaviour.get("hex"):
            body = body.hex().encode()
        return body, {header: urllib.parse.quote(found["chain"])} if header else {}

    def files(self, at):
        (at / "roots").mkdir(exist_ok=True)
        (at / "roots" / "amd.pem").write_text("".join(self.snp.pem(self.snp.CAS[("ARK", generation)]) for generation in ("Milan", "Genoa", "Turin")))
        (at / "roots" / "intel.pem").write_bytes(self.tdx.pem(self.tdx.root()))
        guest = self.machine()
        _, _, generation, chip, tcb = guest.names().split("/")
        (at / "kds" / "vcek" / chip).mkdir(parents=True, exist_ok=True)
        (at / "kds" / "vcek" / chip / f"{tcb}_vcek.der").write_bytes(guest.vek)
        (at / "kds" / generation).mkdir(exist_ok=True)
        (at / "kds" / generation / "cert_chain.pem").write_bytes(self.cert_chain())
        (at / "vcek.name").write_text(guest.names())
        made = {name: (base64.b64decode(entry["body"]), entry.get("chain", "")) for name, entry in self.intel().items()}
        quoted = lambda name: urllib.parse.quote(made[name][1])
        pcs = {"collaterals": {
            "version": "1.0", "tcbinfos": [{"fmspc": "90c06f000000", "tdx_tcbinfo": json.loads(made["intel/tcb/90C06F000000"][0])}],
            "tdqeidentity": json.loads(made["intel/qe-identity"][0]), "rootcacrl": made["intel/root-crl"][0].hex(),
            "pckcacrl": {"processorCrl": made["intel/pck-crl/processor"][0].hex(), "platformCrl": made["intel/pck-crl/platform"][0].hex()},
            "certificates": {"TCB-Info-Issuer-Chain": quoted("intel/tcb/90C06F000000"), "SGX-Enclave-Identity-Issuer-Chain": quoted("intel/qe-identity"),
                             "SGX-PCK-Certificate-Issuer-Chain": {"PROCESSOR": quoted("intel/pck-crl/processor"), "PLATFORM": quoted("intel/pck-crl/platform")}}}}
        (at / "pcs.json").write_text(json.dumps(pcs, separators=(",", ":")))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    vendor = None

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", headers=None):
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        vendor = self.vendor
        if self.path == "/counts":
            return self.reply(200, json.dumps(vendor.counts).encode())
        with vendor.lock:
            vendor.counts[self.path] = vendor.counts.get(self.path, 0) + 1
            say = vendor.behaviour
            fails = say.get("times", 0) > 0 and self.path.startswith(say.get("match", "/"))
            if fails:
                say["times"] -= 1
        time.sleep(say.get("slow_ms", 0) / 1000)
        if fails:
            return self.reply(say["status"], b"", {"Retry-After": say["retry"]} if "retry" in say else {})
        found = vendor.find(self.path)
        return self.reply(200, *found) if found else self.reply(404)

    def do_POST(self):
        vendor, body = self.vendor, json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/control":
            with vendor.lock:
                vendor.behaviour = body
                if body.get("reset"):
                    vendor.counts.clear()
            return self.reply(200)
        return self.reply(200, json.dumps(vendor.evidence(body["tee"], bytes.fromhex(body["report_data"]))).encode())


def serve(at):
    Handler.vendor = Vendor()
    Handler.vendor.files(at)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(at / "vendor.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    (at / "vendor.port.new").write_text(str(server.server_address[1]))
    os.rename(at / "vendor.port.new", at / "vendor.port")
    server.serve_forever()


def attest(args):
    from client import Guest, Refused

    def one(_):
        guest = Guest(args.kbs)
        guest.auth(args.tee)
        bound = guest.report_data(guest.nonce)
        evidence = requests.post(f"{args.url}/evidence", json={"tee": args.tee, "report_data": bound.hex()}, verify=args.ca, timeout=60).json()
        guest.body = {"init-data": None, "runtime-data": {"nonce": guest.nonce, "tee-pubkey": guest.tee_pubkey()},
                      "tee-evidence": {"primary_evidence": evidence, "additional_evidence": ""}}
        guest.attest()
        if args.get:
            sys.stdout.buffer.write(guest.get(args.get) + b"\n")
        return guest.claims()["submods"]["cpu0"]["ear.veraison.annotated-evidence"][args.tee]

    try:
        with concurrent.futures.ThreadPoolExecutor(args.at_once) as pool:
            print(json.dumps(list(pool.map(one, range(args.at_once)))[-1]))
    except Refused as refused:
        sys.exit(str(refused))


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve").add_argument("dir", type=pathlib.Path)
    for command, last in (("control", "json"), ("count", "prefix")):
        made = commands.add_parser(command)
        for operand in ("url", "ca", last):
            made.add_argument(operand)
    made = commands.add_parser("attest")
    for operand in ("kbs", "url", "ca", "tee"):
        made.add_argument(operand)
    made.add_argument("--at-once", type=int, default=1)
    made.add_argument("--get")
    args = parser.parse_args()
    if args.command == "serve":
        serve(args.dir)
    elif args.command == "control":
        requests.post(f"{args.url}/control", json=json.loads(args.json), verify=args.ca, timeout=60).raise_for_status()
    elif args.command == "count":
        counts = requests.get(f"{args.url}/counts", verify=args.ca, timeout=60).json()
        print(sum(count for path, count in counts.items() if path.startswith(args.prefix)))
    else:
        attest(args)


if __name__ == "__main__":
    main()
