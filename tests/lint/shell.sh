#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every script is clean under shellcheck; Python parses.
set -euo pipefail
cd "$1"
git ls-files '*.sh' .ci/run | xargs shellcheck -x -S warning -e SC1091,SC2154
git ls-files '*.py' | xargs -r python3 -c 'import ast,sys; [ast.parse(open(f).read(), f) for f in sys.argv[1:]]'
echo "scripts are clean"
