#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The figures: what a first read, a second, a warm one and a thousand at once cost beside what they cannot do without, memory, size of the programs.
#
#     SEALED_BIN=BUILD/bin tests/bench/run.sh [OUT.jsonl]     root; a release build; default OUT: BUILD/bench.jsonl
#     ROUNDS=40 FIGURES="warm_reads crowd" …                  how often, and which of measure.py's functions; default 15 and all
#
# Medians of one run, measured in turns with what they are compared with, so that a busy machine weighs on both. Nothing is asserted.
# The kernel tells of execve(2), which spares opens a look at the caller, in the first network namespace only.
export SEALED_NET=host
. "$(dirname "$0")/../it/lib.sh"
. "$HERE/stack.sh"
OUT=$(realpath -m "${1:-$BIN/../bench.jsonl}")
ROUNDS=${ROUNDS:-15}
release_only "figures"
stack_up
export BIN TESTBIN DIR MNT SOURCE URL OUT ROUNDS

# Signed by a key that is a local file, and by one that lies in the broker (one GET more).
mkdir "$DIR/signers"
cp "$DIR/team-public.json" "$DIR/signers/team"
chmod -R a+rX "$DIR/signers"
printf 'correct horse' | kbs put kbs:///team/secret/password - >/dev/null
vault() { "$BIN/sealed" seal vault --key "$DIR/team-private.json" -o "$SOURCE/$1" --kid "$2" kbs:///team/secret/password; }
vault local team
vault held kbs:///team/signing-key/main
for ((i = 0; i < ROUNDS * 20; i++)); do vault "second$i" team; done
sealedfs_conf_base
sealedfs_conf secrets signer_files "$DIR/signers"
# A thousand different secrets, and some that nobody has read.
SIGNER=team python3 "$HERE/many.py" "$URL" "$DIR" "$SOURCE" 0 1000
# The same secrets as files of a catalogue, without any string that is signed.
mkdir "$DIR/catalogue"
{
    cat "$DIR/sealedfs.conf"
    printf '[mount:catalogue]\npath = %s\n' "$DIR/catalogue"
    for ((i = 0; i < 1000; i++)); do printf '[file:%d]\nmount = catalogue\npath = many%d\nresource = kbs:///team/many/%d\n' "$i" "$i" "$i"; done
} >"$DIR/catalogue.conf"
on_exit "umount -l $DIR/catalogue"
for kind in direct page; do
    mkdir "$DIR/bare-$kind"
    spawn "bare_$kind" "$TESTBIN/bare_fuse" "$DIR/bare-$kind" "correct horse" "$kind"
    on_exit "umount -l $DIR/bare-$kind"
    wait_for 10 "the mount bare-$kind" mountpoint -q "$DIR/bare-$kind"
done
# The same file with nothing recorded and no rule, with each open recorded, with rules that look at the caller, and in the page cache.
mkdir "$DIR/gate" "$DIR/audit"
printf 'sealed.0.correct horse' >"$DIR/gate/secret"
for kind in off audited ruled page; do
    mkdir "$DIR/gate-$kind"
    where=("$DIR/gate" "$DIR/gate-$kind")
    case $kind in
    off) printf '[audit]\npolicy = off\n' ;;
    audited) printf '[audit]\njournal = no\nfile = %s/audit/log\n' "$DIR" ;;
    ruled) printf '[audit]\npolicy = off\n[rule:bench]\nverdict = allow\ncgroup = /**\nexe = **/bench_open\n' ;;
    page)
        where=()
        printf '[mount:page]\npath = %s\n[source:page]\ndirectory = %s\ncache = page\n[audit]\npolicy = off\n' "$DIR/gate-page" "$DIR/gate"
        ;;
    esac >"$DIR/gate-$kind.conf"
    spawn "gate_$kind" "$TESTBIN/sealedfs_fake" -f -o "config=$DIR/gate-$kind.conf,ttl=1h" "${where[@]}"
    on_exit "umount -l $DIR/gate-$kind"
    wait_for 10 "the mount gate-$kind" mountpoint -q "$DIR/gate-$kind"
done
for program in sealed sealedfs sealed-attestd sealed-kbs; do strip -o "$DIR/$program.stripped" "$BIN/$program"; done
on_exit "umount -l $MNT"
PIDS="attestd=$PID_attestd kbs-front=$PID_kbs" /usr/bin/python3 -B "$HERE/../bench/measure.py"
