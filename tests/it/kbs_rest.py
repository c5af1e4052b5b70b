# SPDX-License-Identifier: Apache-2.0
"""A relying party of the attestation service's REST interface: kbs_rest.py URL CA VERB [ARGUMENT]; prints what a test compares."""
import base64
import hashlib
import json
import sys

import requests

url, ca, verb, *rest = sys.argv[1:]


def url64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def sample(report, svn="1"):
    return url64(json.dumps({"svn": svn, "report_data": base64.b64encode(report).decode()}).encode())


def ask(items, path="/attestation"):
    body = items if isinstance(items, str) else json.dumps({"verification_requests": items, "policy_ids": []})
    return requests.post(url + path, data=body, verify=ca, timeout=300, headers={"Content-Type": "application/json"})


def payload(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


DATA = {"nonce": "n", "z": [1, {"b": "é", "a": None}]}
STRUCTURED = {"tee": "sample", "evidence": sample(hashlib.sha384(json.dumps(
    DATA, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).digest()), "runtime_data": {"structured": DATA}}
RAW = {"tee": "sample", "evidence": sample(b"exactly these bytes"), "runtime_data": {"raw": url64(b"exactly these bytes")}}
DEVICE = {"tee": "sampledevice", "evidence": sample(b"device", "2"), "runtime_data": {"raw": url64(b"device")}}
TOML = 'version = "0.1.0"\nalgorithm = "sha256"\n\n[data]\nkey1 = "value1"\n'

if verb == "structured":
    claims = payload(ask([STRUCTURED]).text)
    evidence = claims["submods"]["cpu0"]["ear.veraison.annotated-evidence"]
    print(evidence["runtime_data_claims"] == DATA, evidence["sample"]["svn"], claims["sealed.freshness"])
elif verb == "sha256":
    item = dict(STRUCTURED, evidence=sample(hashlib.sha256(json.dumps(
        DATA, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).digest()), runtime_data_hash_algorithm="sha256")
    print(ask([item]).status_code)
elif verb == "raw":
    evidence = payload(ask([dict(RAW, init_data={"init_data_toml": TOML})]).text)["submods"]["cpu0"]["ear.veraison.annotated-evidence"]
    print(evidence["runtime_data_claims"], evidence["init_data_claims"]["key1"])
elif verb == "several":
    print(*payload(ask([RAW, DEVICE, RAW, DEVICE]).text)["submods"])
elif verb == "token":
    key = {"alg": "ECDH-ES+A256KW", "crv": "P-256", "kty": "EC", "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
           "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"}  # RFC 7518, appendix C
    data = {"nonce": "stale", "tee-pubkey": key}
    print(ask([{"tee": "sample", "evidence": sample(hashlib.sha384(canonical(data)).digest()), "runtime_data": {"structured": data}}]).text)
elif verb == "tpm":
    state = json.load(open(rest[0], encoding="utf-8"))
    body = state["body"] if isinstance(state["body"], dict) else json.loads(state["body"])
    data = {"additional-evidence": "", **body["runtime-data"]}
    item = {"tee": "tpm", "evidence": url64(json.dumps(body["tee-evidence"]["primary_evidence"]).encode()),
            "runtime_data": {"structured": data}}
    answer = ask([item])
    print(payload(answer.text)["submods"]["cpu0"]["ear.trustworthiness-vector"]["hardware"] if answer.ok else answer.text)
elif verb == "challenge":
    answer = ask(json.dumps({"tee": "sample", "tee_params": ""}), "/challenge")
    print(answer.status_code, len(base64.b64decode(answer.text, validate=True)))
elif verb == "bad":
    for name, body in {
            "no JSON": "{", "no list": "{}", "an empty list": [], "no request": [1], "too many": [RAW] * 8, "no evidence": [{"tee": "sample"}],
            "an unknown TEE": [dict(RAW, tee="sgx")], "evidence in base64 with padding": [dict(RAW, evidence=RAW["evidence"] + "=")],
            "evidence that is no JSON": [dict(RAW, evidence=url64(b"x"))],
            "another nonce": [dict(RAW, runtime_data={"raw": url64(b"other bytes")})],
            "runtime data of two kinds": [dict(RAW, runtime_data={"raw": "", "structured": {}})],
            "runtime data of no kind": [dict(RAW, runtime_data={})],
            "a hash that nobody knows": [dict(STRUCTURED, runtime_data_hash_algorithm="md5")],
            "structured data hashed otherwise": [dict(STRUCTURED, runtime_data_hash_algorithm="sha512")],
            "a real number": [dict(STRUCTURED, runtime_data={"structured": {"a": 1.5}})],
            "init data of no kind": [dict(RAW, init_data={"x": "y"})],
            "init data that is no TOML": [dict(RAW, init_data={"init_data_toml": "="})],
            "one bad piece of two": [RAW, dict(DEVICE, runtime_data={"raw": url64(b"x")})]}.items():
        answer = ask(body)
        if answer.status_code != 403 or "[id " not in answer.json()["detail"]:
            sys.exit(f"{name}: {answer.status_code} {answer.text}")
    print("all refused")
elif verb == "off":
    print(*(ask([RAW], path).status_code for path in ("/attestation", "/challenge")))
