#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The real daemon is reloaded from one broken world into the next, without its mount going: names that do not resolve, a clock a year off
# (which is what a certificate that is not yet valid, or has expired, looks like), a broker that is not there; and back.
. "$(dirname "$0")/lib.sh"
. "$HERE/stack.sh"
stack_up
for name in warm cold1 cold2 cold3 cold4; do seal_vault "$name" "content of $name"; done
sealedfs_conf_base
sealedfs_conf secrets open_timeout 20s
sealedfs_conf secrets error_ttl 50ms
sealedfs_conf kbs request_timeout 10s
sealed_mount
read_is warm "content of warm"

reload() { timeout 120 "$BIN/sealed" reload >/dev/null; }
check "the first reload of the real daemon" reload
read_is warm "content of warm"
equal "no second handshake for what was in memory" 0 "$(sealed_stat .handshakes)"
exec 5<"$MNT/warm"

sealedfs_conf kbs url "https://broker.invalid:$PORT"
check "reload" reload
open_fails cold1 EHOSTUNREACH
why() { "$BIN/sealed" explain "$MNT/$1" 2>&1 || true; }
case $(why cold1) in *broker.invalid*) pass "explain names the host that does not resolve" ;; *) die "explain says: $(why cold1)" ;; esac
read_is warm "content of warm"

# A server whose certificate begins, or ended, a year from now.
serve_with() { # NAME DAYS-FROM DAYS-TO
    python3 - "$DIR/$1" "$2" "$3" <<'PY'
import datetime, ipaddress, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
path, begin, end = sys.argv[1], *map(int, sys.argv[2:])
now = datetime.datetime.utcnow()
def name(text): return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
def make(subject, issuer, key, signer, first, last, extensions):
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(first).not_valid_after(last)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, hashes.SHA256())
day = datetime.timedelta(days=1)
ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
ca = make("test CA", "test CA", ca_key, ca_key, now - 1000 * day, now + 1000 * day, [(x509.BasicConstraints(True, None), True)])
cert = make("broker", "test CA", key, ca_key, now + begin * day, now + end * day,
            [(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)])
pem = serialization.Encoding.PEM
open(path + ".ca", "wb").write(ca.public_bytes(pem))
open(path + ".pem", "wb").write(cert.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
PY
    chmod 0644 "$DIR/$1.ca"
    spawn "$1" openssl s_server -accept 127.0.0.1:0 -cert "$DIR/$1.pem" -www -naccept 100
    wait_for 20 "the server" grep -q '^ACCEPT 127.0.0.1:' "$DIR/$1.log"
    sealedfs_conf kbs url "https://$(sed -n 's/^ACCEPT //p' "$DIR/$1.log" | head -n 1)"
    sealedfs_conf kbs ca_file "$DIR/$1.ca"
    check "reload" reload
}
serve_with early 365 730
open_fails cold2 EHOSTUNREACH
case $(why cold2) in *"not yet valid"*) pass "a clock a year behind is told from" ;; *) die "explain says: $(why cold2)" ;; esac
serve_with late -730 -365
open_fails cold3 EHOSTUNREACH
case $(why cold3) in *expired*) pass "one a year ahead" ;; *) die "explain says: $(why cold3)" ;; esac
read_is warm "content of warm"

sealedfs_conf kbs url "$URL"
sealedfs_conf kbs ca_file "$DIR/ca.pem"
check "back to the broker" reload
read_is cold4 "content of cold4"
read_is cold1 "content of cold1"
equal "what was open all the while" "content of warm" "$(cat <&5)"
exec 5<&-
check "under one monitor, which is the process that was started" kill -0 "$PID_sealedfs"
sealed_unmount
