#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The figures of the broker's stores: a read among 1,000 resources and among 100,000, GETs and handshakes a second, in a directory and in PostgreSQL.
#
#     SEALED_BIN=BUILD/bin tests/bench/store.sh [OUT.jsonl]     root; a release build; default OUT: BUILD/bench-store.jsonl
#     MANY=10000 GETS=500 …                                      other sizes; GETS at most 1,000
#
# PostgreSQL is on this machine, by TLS on loopback; it does not wait for the disk, which puts do, not GETs. Nothing is asserted.
. "$(dirname "$0")/../it/lib.sh"
. "$HERE/postgres.sh"
OUT=$(realpath -m "${1:-$BIN/../bench-store.jsonl}")
FEW=1000 MANY=${MANY:-100000} GETS=${GETS:-1000}
export OUT
release_only "figures"
ensure_user sealed-kbs
cd "$DIR" || exit
postgres_init
"$BIN/sealed" kbs init --dir "$DIR/state" --config "$DIR/base.conf" --admin-dir "$DIR/admin" --listen 127.0.0.1:0 --hostname localhost \
    --tee sample >/dev/null
"$BIN/sealed" keygen wrapping kek >/dev/null
for store in directory postgresql; do
    sed "s|^port_file = .*|port_file = $DIR/port.$store|; s|^state_dir = .*|state_dir = $DIR/state.$store\nstore = $store|" base.conf >"$store.conf"
    printf '[store]\nkek = %s\n' "$DIR/kek" >>"$store.conf"
    postgres_section >>"$store.conf"
done
"$BIN/sealed" kbs store migrate --config "$DIR/postgresql.conf" >/dev/null
: >figures
serve() { # STORE
    rm -f "port.$1"
    spawn "$1" "$BIN/sealed-kbs" --config "$DIR/$1.conf"
    wait_for 60 "sealed-kbs" test -s "port.$1"
    URL=https://127.0.0.1:$(cat "port.$1")
}
peer() { python3 "$HERE/../peer/client.py" --url "$URL" --ca admin/kbs-ca.pem "$@"; }
for store in directory postgresql; do
    serve "$store"
    printf 'allow ** if tee sample\n' | "$BIN/sealed" kbs policy set - --profile admin/admin.conf --kbs "$URL"
    for count in $FEW $MANY; do
        stop "$store"
        "$TESTBIN/bench_store" "$store.conf" fill "$([ "$count" = "$FEW" ] && echo 0 || echo "$FEW")" "$count"
        chown -R sealed-kbs: "state.$store"
        [ "$store" = directory ] || postgres_sql 'VACUUM ANALYZE'
        echo "read $store $count $("$TESTBIN/bench_store" "$store.conf" read "$count" 5000)" >>figures
        serve "$store"
        peer auth session --tee sample && peer evidence session && peer attest session
        jq -r .token session >token
        for connections in 1 8 64; do
            echo "gets $store $count $connections $GETS $("$TESTBIN/bench_gets" "$URL" admin/kbs-ca.pem "@$DIR/token" bench/secret/ "$GETS" "$connections")" >>figures
        done
    done
    echo "handshakes $store $(peer bench --tee sample --seconds 8 --threads 8 | jq -r '"\(.per_second) \(.p50_ms)"')" >>figures
    stop "$store"
done
/usr/bin/python3 -B "$HERE/../bench/store.py" figures "$FEW" "$MANY"
