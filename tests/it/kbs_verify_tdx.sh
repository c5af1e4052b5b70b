#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sealed kbs verify with Intel TDX evidence: Intel's collateral from the PCS Client Tool's file, needed, optional and expired.
# shellcheck source=tests/it/lib.sh
. "$(dirname "$0")/lib.sh"
require jq
sealed=$BIN/sealed
made=$(cd "$(dirname "$0")/../vectors/evidence/tdx" && pwd)
cd "$DIR"
at=$(date -u -d "@$(jq .at "$made/v4.json")" +%Y-%m-%dT%H:%M:%SZ)
bound=$(jq -r .report_data "$made/v4.json")
mkdir roots && jq -r .roots "$made/v4.json" >roots/root.pem

evidence() { jq -c .evidence "$made/$1.json" >evidence.json; }
verify() { # WANTED-STATUS OPTIONS…
    local wanted=$1 got=0; shift
    "$sealed" kbs verify --tee tdx --evidence evidence.json --report-data "$bound" --at "$at" "$@" >out 2>err </dev/null || got=$?
    [ "$got" -eq "$wanted" ] || die "exit status $got, not $wanted: $(cat out err)"
}
claims() { # NAME VALUE
    [ "$(jq -r "$1" out)" = "$2" ] || die "$1: $(jq -c "$1" out), not $2"
}
says() { grep -qF -- "$1" err || die "said '$(cat err)', not '$1'"; }

for label in v4 v5-td10 v4-processor v4-log; do
    evidence "$label"
    verify 0 --roots roots --collateral "$made/pcs.json" --init-data "$(jq -r .init_data "$made/v4.json")"
    claims .tcb_status UpToDate
    claims .collateral_expiration_status 0
    claims .tcb_eval_num 18
    pass "claims of $label"
done
claims '.uefi_event_logs | length' 19
evidence v5-td15
verify 0 --roots roots --collateral "$made/pcs.json"
claims .tcb_status TDRelaunchAdvised
pass "claims of a TD 1.5 that a newer module runs"

evidence v4
verify 1 --roots roots
for name in intel/root-crl intel/pck-crl/platform intel/tcb/90C06F000000 intel/qe-identity; do
    says "collateral: got not available; expected $name"
done
pass "the collateral that is lacking is named"
verify 0 --roots roots --collateral-optional
claims .tcb_status Unverified
verify 0 --roots roots --collateral-optional --collateral "$made/pcs.json"
claims .tcb_status UpToDate
pass "optional collateral counts where it is at hand, and is missed where it is not"
at=2027-01-01T00:00:00Z
verify 1 --roots roots --collateral "$made/pcs.json"
says "tdx.date: got TCB info expired at"
pass "collateral that is past its date is refused"
at=2026-06-15T12:00:00Z
verify 1 --collateral "$made/pcs.json"
says "tdx.root: "
pass "without --roots only Intel's key counts"
printf '{"collaterals":{"tcbinfos":1}}' >bad.json
verify 2 --roots roots --collateral bad.json
says '"tcbinfos" must be an array'
pass "a file that is no collateral is exit 2"
