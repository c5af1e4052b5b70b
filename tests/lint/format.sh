#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-format is clean.
set -euo pipefail
cd "$1"
git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
echo "format is clean"
