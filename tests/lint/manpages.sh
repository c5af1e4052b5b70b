#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Man pages are clean mdoc, and name every command and option that --help shows and every key that --print-sample prints.
# The pages of section 5 point at the page that describes the file, and sample configurations are what the programs print.
set -euo pipefail
cd "$1"
bin=$2/bin
bad=0
complain() { echo "$*"; bad=1; }
pages=$(git ls-files 'packaging/man/*.[18]')
# shellcheck disable=SC2086
[ -z "$pages" ] || mandoc -T lint -W warning $pages || bad=1

# Text of a page on one line, without hyphenation and with plain quotes.
plain() { mandoc -T utf8 -O width=1000 "$1" | sed 's/.\x08//g' | tr '\n' ' ' | tr -s ' '; }
has() { grep -qE -- "$2" <<<"$1"; }

options_of() { sed -n 's/^  \(-[a-zA-Z], \|    \)--\([a-z-]*\).*/--\2/p'; }
letters_of() { sed -n 's/^  \(-[a-zA-Z]\), --.*/\1/p'; }
check_options() { # PAGE TEXT COMMAND… (help on standard input)
    local page=$1 text=$2 help option; shift 2
    help=$(cat)
    for option in $(options_of <<<"$help") $(letters_of <<<"$help"); do
        has "$text" "(^|[^a-z-])$option([^a-z-]|\$)" || complain "$page does not name $option of $*"
    done
}

if [ -x "$bin/sealed" ]; then
    page=packaging/man/sealed.1 text=$(plain packaging/man/sealed.1)
    while read -r command; do
        has "$text" " $command " || complain "$page does not name the command $command"
        # shellcheck disable=SC2086
        check_options "$page" "$text" sealed "$command" < <("$bin/sealed" $command --help)
    done < <("$bin/sealed" --help | sed -n '/^Commands:/,/^$/p' | sed -n 's/^  \([a-z -]*[a-z]\)  .*/\1/p')
    while read -r status _; do
        has "$text" " $status [A-Z]" || complain "$page does not name exit status $status"
    done < <("$bin/sealed" --help | sed -n '/^Exit status:/,$p' | tail -n +2)
fi
check_config() { # CONFIGURATION PROGRAM
    [ "$(cat "packaging/man/$1.conf.5")" = ".so man8/$2.8" ] || complain "packaging/man/$1.conf.5 does not point at $2(8)"
    [ -e "packaging/man/$2.8" ] || complain "packaging/man/$2.8 is missing"
    [ ! -x "$bin/$2" ] || diff -u "packaging/conf/$1.conf" <("$bin/$2" --print-sample) ||
        complain "packaging/conf/$1.conf is not what $2 --print-sample prints"
}
check_config sealedfs sealedfs
check_config attestd sealed-attestd
check_config kbs sealed-kbs
for page in packaging/man/*; do
    grep -q "man/${page##*/}[ )]" packaging/CMakeLists.txt || complain "$page is not installed by packaging/CMakeLists.txt"
done
for program in sealedfs sealed-kbs sealed-attestd; do
    page=packaging/man/$program.8
    [ -x "$bin/$program" ] && [ -e "$page" ] || continue
    text=$(plain "$page")
    check_options "$page" "$text" "$program" < <("$bin/$program" --help)
    sample=$("$bin/$program" --print-sample 2>/dev/null) || continue
    for key in $(sed -n 's/^#\{0,1\}\([a-z_]*\) = .*/\1/p; s/^#\{0,1\}\([a-z_]*\) =$/\1/p' <<<"$sample" | sort -u); do
        has "$text" "(^|[^a-z_])$key([^a-z_]|\$)" || complain "$page does not name the key $key"
    done
done
[ "$bad" -ne 0 ] || echo "man pages are complete"
exit "$bad"
