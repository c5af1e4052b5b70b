#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Keys, signatures and encrypted texts go both ways between ours and python3-jwcrypto.
. "$(dirname "$0")/lib.sh"
PYTHON=${PYTHON:-/usr/bin/python3}
"$PYTHON" -c 'import jwcrypto' 2>/dev/null || skip "needs python3-jwcrypto"
probe=$TESTBIN/jose_probe
[ -x "$probe" ] || die "no $probe"
"$PYTHON" "$HERE/../peer/jose_peer.py" "$probe"
