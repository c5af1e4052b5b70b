#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Who may include whom (each room's README says it in words), which one file may include a foreign library, and what a
# program must not be linked with.
set -euo pipefail
cd "$1"
build=$2
bad=0
complain() { echo "$*"; bad=1; }
sources=$(git ls-files '*.c' '*.h' | grep -v '^tests/')

room_of() {
    case $1 in
    crypt/base/*) echo base ;;
    crypt/*) echo crypt ;;
    attest/*) echo attest ;;
    kbs/*) echo kbs ;;
    fs/resolve_*.[ch] | fs/sealedfs.c | fs/cli/*) echo joint ;;
    fs/*) echo fs ;;
    *) echo nowhere ;;
    esac
}
# A room and the rooms that it may use.
declare -A may=([base]="base" [crypt]="base crypt" [attest]="base crypt attest" [kbs]="base crypt attest kbs"
    [fs]="base fs" [joint]="base crypt attest kbs fs joint")
while read -r file included; do
    room=$(room_of "$file")
    [ -e "$included" ] || { complain "$file includes \"$included\", which is not a path from the root"; continue; }
    target=$(room_of "$included")
    case " ${may[$room]} " in *" $target "*) ;; *) complain "$file ($room) includes $included ($target)" ;; esac
done < <(echo "$sources" | xargs sed -ns 's/^ *# *include *"\([^"]*\)".*/\1/; T; F; p' | paste - -)

# Foreign header -> the files that may include it.
only() { # REGEX FILE…
    local regex=$1 file; shift
    while read -r file; do
        case " $* " in *" $file "*) ;; *) complain "$file includes <$regex>; only $* may" ;; esac
    done < <(echo "$sources" | xargs grep -lE "^ *# *include *<$regex" || true)
}
only 'jansson\.h' crypt/base/json.h
only 'ini\.h' crypt/base/conf.c
only 'seccomp\.h' crypt/base/sandbox.c
only 'curl/' kbs/http_private.h
only 'microhttpd\.h' kbs/server/http/httpd.c
only 'libpq' kbs/server/store/pg_link.c
only 'fuse' fs/ops_private.h
only 'tss2/tss2_(esys|tcti|rc)' attest/tpm.c
only 'tss2/tss2_mu' attest/tpm.c attest/verify/tpm_structs.c
only 'systemd/' none

links() { # PROGRAM REGEX
    [ -e "$build/bin/$1" ] || return 0
    if readelf -d "$build/bin/$1" | grep NEEDED | grep -E "$2"; then complain "$1 links what it must not hold"; fi
}
links sealedfs 'libpq|tss2|cryptsetup|microhttpd'
links sealed-attestd 'libpq|curl|microhttpd|fuse|cryptsetup'
# curl is there for the courier process, which is this program executed anew: what answers it never meets the front's memory. So in
# kbs/server the HTTP client is included by the courier's file alone.
links sealed-kbs 'fuse|cryptsetup|tss2-(esys|tctildr|sys)'
while read -r file; do
    [ "$file" = kbs/server/outbound/courier_main.c ] || complain "$file includes the HTTP client; in kbs/server only the courier may"
done < <(echo "$sources" | grep '^kbs/server/' | xargs grep -lE '^ *# *include *"kbs/(http|client|proxy|trust)[a-z_]*\.h"' || true)
links sealed 'libpq|tss2-(esys|tctildr|sys)|fuse|microhttpd'
[ "$bad" -ne 0 ] || echo "layering holds: $(echo "$sources" | wc -w) files"
exit "$bad"
