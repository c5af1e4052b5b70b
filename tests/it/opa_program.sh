#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds Open Policy Agent, which the tests of Rego policies run, into the build directory; once. Needs Go and its modules (network).
export SEALED_NET=host # the modules come from there
. "$(dirname "$0")/lib.sh"
VERSION=v1.22.3
OPA=$TESTBIN/opa/opa-$VERSION
[ ! -x "$OPA" ] || { echo "there already: $OPA"; exit 0; }
require go
mkdir -p "$TESTBIN/opa"
# Another Go may be needed than the one that is there: GOTOOLCHAIN=auto gets it.
GOBIN=$DIR/bin GOFLAGS=-trimpath CGO_ENABLED=0 go install "github.com/open-policy-agent/opa@$VERSION" || skip "Open Policy Agent cannot be built here"
mv "$DIR/bin/opa" "$OPA.new"
mv "$OPA.new" "$OPA"
check "it runs" "$OPA" version
