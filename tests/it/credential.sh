#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A credential made in software is activated by a real TPM, for exactly the key it was made for, and only for a TPM that somebody vouches for.
. "$(dirname "$0")/lib.sh"
require tpm2_createek tpm2_activatecredential openssl cmp
tool=$TESTBIN/credential_tool
[ -x "$tool" ] || die "no $tool"
start_swtpm tpm
cd "$DIR" || exit 1
export TPM2TOOLS_TCTI=$TPM_TCTI
tpm() { "tpm2_$1" "${@:2}" >>"$DIR/tools.log" 2>&1 && tpm2_flushcontext -t >>"$DIR/tools.log" 2>&1; }

tpm createek -G rsa -c ek.ctx -u ek.pub || die "createek"
tpm createak -C ek.ctx -c ak.ctx -G rsa -g sha256 -s rsassa -u ak.pub -n ak.name -f tss || die "createak"
tpm createak -C ek.ctx -c ak2.ctx -G rsa -g sha256 -s rsassa -u ak2.pub -f tss || die "a second createak"
tpm createak -C ek.ctx -c akec.ctx -G ecc -g sha256 -s ecdsa -u akec.pub -f tss || die "an ECDSA createak"
tpm nvread -C o 0x1c00002 -o ek.der || die "the EK certificate"
tpm createprimary -C o -G rsa2048 -c srk.ctx || die "createprimary"
tpm create -C srk.ctx -G rsa2048:rsassa-sha256 -u loose.pub -r loose.priv \
    -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign' || die "an unrestricted key"
cat "$TPM_CA"/*.pem >roots.pem
openssl rand 32 >credential
: >empty

activate() { # BLOB AK OUT
    rm -f session.ctx "$3"
    tpm startauthsession --policy-session -S session.ctx && tpm policysecret -S session.ctx -c e || die "the endorsement session"
    local status=0
    tpm activatecredential -c "$2" -C ek.ctx -i "$1" -o "$3" -P session:session.ctx || status=1
    tpm2_flushcontext session.ctx >>tools.log 2>&1 || true
    tpm2_flushcontext -t >>tools.log 2>&1 || true
    return "$status"
}
not() { ! "$@"; }

said=$("$tool" ek.pub ek.der roots.pem ak.pub credential blob) || die "the credential was not made"
equal "the name is what the TPM computed" "$(od -An -v -tx1 ak.name | tr -d ' \n')" "${said%% *}"
equal "the EK digest is that of the certified key" \
    "$(openssl x509 -inform der -in ek.der -noout -pubkey | openssl pkey -pubin -outform der | sha256sum | cut -d' ' -f1)" "${said##* }"
check "the TPM activates the credential" activate blob ak.ctx got
check "and recovers it" cmp credential got
check "another key of the same TPM cannot" not activate blob ak2.ctx got2

for len in 1 16 31; do
    head -c "$len" credential >short
    "$tool" ek.pub ek.der roots.pem ak.pub short blob >/dev/null || die "a credential of $len bytes"
    check "a credential of $len bytes is activated" activate blob ak.ctx got
    check "and recovered" cmp short got
done

refused "no EK certificate" "this TPM shows no EK certificate" "$tool" ek.pub empty roots.pem ak.pub credential blob
refused "no root" "no self-signed certificate among 0" "$tool" ek.pub ek.der empty ak.pub credential blob
refused "the intermediate alone" "no self-signed certificate among 1" "$tool" ek.pub ek.der "$TPM_CA/issuer.pem" ak.pub credential blob
refused "the root without the intermediate" "unable to get" "$tool" ek.pub ek.der "$TPM_CA/root.pem" ak.pub credential blob
openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -subj /CN=other -days 2 -out other.pem >>tools.log 2>&1
refused "another root" "unable to get" "$tool" ek.pub ek.der other.pem ak.pub credential blob
refused "an ECDSA key" "is no RSA key" "$tool" ek.pub ek.der roots.pem akec.pub credential blob
refused "an unrestricted key" "is not restricted" "$tool" ek.pub ek.der roots.pem loose.pub credential blob
refused "the EK as attestation key" "is no signing key" "$tool" ek.pub ek.der roots.pem ek.pub credential blob
refused "an attestation key as EK" "endorsement key has other attributes" "$tool" ak.pub ek.der roots.pem ak.pub credential blob
refused "an empty credential" "a credential of 1 to 32 bytes" "$tool" ek.pub ek.der roots.pem ak.pub empty blob
