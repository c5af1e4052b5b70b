#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sealed kbs verify: offline, on the evidence that the build made with CAs of its own (tests/vectors/make_snp.py). Claims, reasons,
# exit statuses, roots, AMD's certificates from a directory, dates; and that it can open nothing else once it looks at evidence.
# shellcheck source=tests/it/lib.sh
. "$(dirname "$0")/lib.sh"
require jq cmp xxd
sealed=$BIN/sealed
made=$TESTBIN/evidence/snp
[ -e "$made/made" ] || die "no evidence in $made"
cd "$DIR"
at=$(date -u -d "@$(jq .at "$made/good/milan.json")" +%Y-%m-%dT%H:%M:%SZ)
bound=$(jq -r .report_data "$made/good/milan.json")
mkdir roots && cp "$made/roots.pem" roots/cert_chain

evidence() { jq -c .evidence "$made/$1.json" >"$DIR/evidence.json"; }
verify() { # WANTED-STATUS OPTIONS…
    local wanted=$1 got=0; shift
    "$sealed" kbs verify --tee snp --evidence evidence.json "$@" >out 2>err </dev/null || got=$?
    [ "$got" -eq "$wanted" ] || die "exit status $got, not $wanted: $(cat out err)"
    [ "$wanted" -eq 0 ] || [ ! -s out ] || die "claims of what was refused: $(cat out)"
}
says() { grep -qF -- "$1" err || die "said '$(cat err)', not '$1'"; }
good() { # LABEL WHAT OPTIONS…
    local label=$1 what=$2; shift 2
    evidence "good/$label"
    verify 0 --at "$at" --report-data "$bound" "$@"
    [ ! -s err ] || die "$label: $(cat err)"
    [ "$(jq -cS . out)" = "$(jq -cS .claims "$made/good/$label.json")" ] || die "$label: other claims: $(cat out)"
    pass "$what"
}

# -- good ------------------------------------------------------------------------------------------------------------------------
for label in milan genoa-bergamo genoa-siena-v5 turin-v5 milan-vlek genoa-vlek-only milan-pem milan-without-ark milan-masked-chip; do
    good "$label" "claims of $label" --roots roots
done
good milan "init data that it was started with" --roots roots --init-data "$(jq -r .init_data "$made/good/milan.json")"
"$sealed" kbs verify --tee snp --evidence - --at "$at" --report-data "$bound" --roots roots <evidence.json | cmp -s - out || die "standard input"
pass "evidence from standard input"
verify 0 --at "$at" --roots roots
says "no --report-data"
pass "without report data it says that the binding is not checked"

# -- AMD's certificates from a directory --------------------------------------------------------------------------------------------
only_ark=$DIR/only-ark
mkdir "$only_ark" && cp "$made/amd-only-ark.pem" "$only_ark/ark"
stored() { # LABEL STORE-FILE: puts the chip's certificate there
    jq -r '.collateral | to_entries[] | select(.key | startswith("amd/vcek/")) | .value.body' "$made/good/$1.json" | base64 -d >"$2"
}
hwid=$(jq -r '.claims.chip_id' "$made/good/milan-from-collateral.json")
tcb=$(jq -r '.collateral | keys[] | select(startswith("amd/vcek/"))' "$made/good/milan-from-collateral.json")
mkdir -p "store/vcek/$hwid"
evidence good/milan-from-collateral
verify 1 --at "$at" --report-data "$bound" --roots roots --vcek-store store
says "collateral: got not available; expected $tcb"
pass "the certificate that is lacking is named"
stored milan-from-collateral "store/vcek/$hwid/vcek.der"
good milan-from-collateral "the chip's certificate from the store" --roots roots --vcek-store store
echo garbage >"store/vcek/$hwid/${tcb##*/}_vcek.der"
evidence good/milan-from-collateral
verify 1 --at "$at" --report-data "$bound" --roots roots --vcek-store store
says "snp.chain: got VCEK from collateral: no DER X.509 certificate"
pass "the one of this TCB comes before the other"
stored milan-from-collateral "store/vcek/$hwid/${tcb##*/}_vcek.der"
rm "store/vcek/$hwid/vcek.der"
good milan-from-collateral "the certificate of this TCB" --roots roots --vcek-store store
evidence good/milan-vcek-only
verify 1 --at "$at" --report-data "$bound" --roots "$only_ark" --vcek-store store
says "expected amd/chain/Milan"
mkdir store/Milan && cp "$made/roots.pem" store/Milan/cert_chain
good milan-vcek-only "AMD's cert_chain from the store" --roots "$only_ark" --vcek-store store
turin=$(jq -r '.claims.chip_id[0:16]' "$made/good/turin-from-collateral.json")
mkdir "store/vcek/$turin"
stored turin-from-collateral "store/vcek/$turin/vcek.der"
good turin-from-collateral "Turin's names in the store" --roots roots --vcek-store store

# -- refused ------------------------------------------------------------------------------------------------------------------------
for label in vmpl-1 changed-measurement tcb-turin-fmc chip-other date-vcek-expired chain-all-self-made cert-chain-seventeen json-vmpl-overflow; do
    [ "$label" = crl-lists-ask ] && continue # needs collateral, which this command takes from no file
    evidence "bad/$label"
    verify 1 --at "$at" --report-data "$bound" --roots roots
    says "$(jq -r .refused_by "$made/bad/$label.json"): got "
    pass "refused: $label"
done
evidence good/milan
verify 1 --at "$at" --report-data "$bound"
says "snp.chain: got an ARK-Milan with another key"
pass "without --roots only AMD's keys count"
verify 1 --at 2001-01-01T00:00:00Z --report-data "$bound" --roots roots
says "snp.date: got certificate VCEK is not valid before"
verify 1 --at 2099-01-01T00:00:00Z --report-data 00ff --init-data 00 --roots roots
says "expired at"; says "snp.report-data: "; says "snp.init-data: "
pass "every reason is told, dates by --at"
for text in '' '{' '[]' '{"a":1,"a":2}' 'null' '{}' "$(head -c 5000 /dev/zero | tr '\0' '[')"; do
    printf '%s' "$text" >evidence.json
    verify 1 --at "$at" --report-data "$bound" --roots roots
done
head -c 3000000 /dev/zero | tr '\0' ' ' >evidence.json
verify 1 --at "$at" --report-data "$bound" --roots roots
says "evidence: got evidence: "
pass "what is no evidence is refused"

# -- usage --------------------------------------------------------------------------------------------------------------------------
evidence good/milan
for options in "--at yesterday" "--report-data xyz" "--report-data 0" "--init-data zz" "--roots $DIR/nowhere" "--roots $DIR/store/vcek" "--vcek-store $DIR/nowhere" \
    "--collateral $DIR/nowhere" "--evidence $DIR/nowhere" "--tee snap" "--unknown"; do
    # shellcheck disable=SC2086
    verify 2 $options
done
pass "a wrong command line is exit 2"
printf '{"svn":"1","report_data":""}' >sample.json
"$sealed" kbs verify --tee sample --evidence sample.json >out 2>/dev/null || die "sample"
[ "$(jq -r .svn out)" = 1 ] || die "sample: $(cat out)"
"$sealed" kbs verify --tee sample --evidence sample.json >/dev/full 2>err && die "a full disk was success"
pass "what cannot be written is no success"

# -- where the kernel, or a container's profile, refuses what shuts the tool in ---------------------------------------------------------
evidence good/milan
bare() { # CALL: without that system call
    "$TESTBIN/without" "$1" "$sealed" kbs verify --tee snp --evidence evidence.json --at "$at" --report-data "$bound" --roots roots >out 2>err ||
        die "without $1: $(cat err)"
    [ "$(jq -cS . out)" = "$(jq -cS .claims "$made/good/milan.json")" ] || die "without $1: other claims"
}
if [ "$(id -u)" -eq 0 ]; then
    bare landlock_create_ruleset
    bare memfd_create
    bare seccomp
    says "going on with less protection"
    pass "it verifies all the same, and says so"
fi
