#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# House rules that a machine can see: file length, SPDX line, unfinished words, wipes that a compiler may drop, realloc and
# memcmp near secrets, glob-free builds, rooms with a README, no pauses in tests, and nothing at the top level that does not belong.
set -euo pipefail
cd "$1"
bad=0
complain() { echo "$1"; shift; printf '  %s\n' "$@"; bad=1; }
forbid() { # WHAT REGEX PATHSPEC…
    local what=$1 regex=$2 found; shift 2
    found=$(git grep -nE "$regex" -- "$@" ':!tests/lint/house.sh' || true)
    [ -z "$found" ] || complain "$what" "$found"
}
long=$(git ls-files '*.c' '*.h' | xargs wc -l | awk '$2 != "total" && $1 > 600 { print $2 " " $1 }')
[ -z "$long" ] || complain "over 600 lines (a file is one noun):" "$long"
for file in $(git ls-files '*.c' '*.h' '*.sh' '*.py'); do
    head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || complain "no SPDX line:" "$file"
done
forbid "unfinished words:" '\b(TODO|FIXME|XXX)\b' '*.c' '*.h' '*.sh' '*.py' '*.md'
forbid "a wipe that a compiler may drop:" 'memset\([^,]*(key|secret|plain|cek|kek)[^,]*, *0,' '*.c' '*.h'
forbid "realloc near a secret:" 'realloc\([^,]*(key|secret|plain)' '*.c' '*.h'
forbid "memcmp on a secret:" 'memcmp\([^)]*(secret|plain|cek|kek)' '*.c' '*.h' ':!tests'
forbid "pauses in tests:" '(^|[^a-z_])(sleep|usleep|nanosleep|time\.sleep) ?\(? ?[0-9]' tests
forbid "fixed ports in tests:" '(127\.0\.0\.1|localhost):[1-9][0-9]{3,4}\b' 'tests/it/*.sh' tests/peer
forbid "file(GLOB):" 'file\(GLOB' '*CMakeLists.txt' '*.cmake'
for room in crypt crypt/base attest attest/verify kbs kbs/server kbs/server/http kbs/server/token kbs/server/verifier kbs/server/agents kbs/server/policy kbs/server/store kbs/server/outbound fs fs/cli tests examples packaging; do
    [ -e "$room/README.md" ] || complain "a room without a README:" "$room"
done
extra=$(git ls-files | cut -d/ -f1 | sort -u | grep -vE '^(CMakeLists\.txt|fs|attest|kbs|crypt|examples|packaging|tests|README\.md|LICENSE|\..*)$' || true)
[ -z "$extra" ] || complain "does not belong at the top level:" "$extra"
[ "$bad" -ne 0 ] || echo "house rules hold"
exit "$bad"
