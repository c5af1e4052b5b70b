#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Three brokers behind haproxy on one PostgreSQL: 64 guests attest and read, administrators write, one broker is killed, the database
# crashes and restarts, and nobody notices more than a request to be repeated.
# shellcheck source=tests/it/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/it/postgres.sh
. "$HERE/postgres.sh"
require_root
require haproxy jq openssl
ensure_user sealed-kbs
sealed=$BIN/sealed
cd "$DIR"

# -- database, keys, configuration -----------------------------------------------------------------
postgres_init
"$sealed" kbs init --dir "$DIR/state" --config "$DIR/base.conf" --admin-dir "$DIR/admin" --listen 127.0.0.1:0 --hostname localhost \
    --tee sample >/dev/null
"$sealed" keygen wrapping kek >/dev/null
read -r -a ports <<<"$(free_ports 4)"
front=https://127.0.0.1:${ports[3]}
conf() { # NUMBER [TOKEN KEY]
    sed -e "s|^port_file = .*|port_file = $DIR/port.$1|; s|^state_dir = .*|state_dir = $DIR/state.$1\nstore = postgresql|" \
        -e "s|^listen = .*|listen = 127.0.0.1:${ports[$1]:-0}|" base.conf >"kbs$1.conf"
    [ -z "${2:-}" ] || sed -i "s|^key = .*|key = $2|" "kbs$1.conf"
    printf '[store]\nkek = %s\nversions = 1000\n' "$DIR/kek" >>"kbs$1.conf"
    postgres_section >>"kbs$1.conf"
}
for i in 0 1 2; do conf "$i"; done
grep -q '^key' base.conf || die "init names no token key"
start_kbs() { rm -f "port.$1"; spawn "kbs$1" "$BIN/sealed-kbs" --config "$DIR/kbs$1.conf"; }
up() { wait_for 60 "replica $1" test -s "port.$1"; }

sed '/^kek = /d' kbs0.conf >bad.conf
refused "a database without a key" "needs [store] kek" "$BIN/sealed-kbs" --config "$DIR/bad.conf" --check
check "--check asks no database" "$BIN/sealed-kbs" --config "$DIR/kbs0.conf" --check
refused "no schema yet" "sealed kbs store migrate" "$BIN/sealed-kbs" --config "$DIR/kbs0.conf"
migrators=()
for _ in 1 2 3; do "$sealed" kbs store migrate --config "$DIR/kbs0.conf" >>migrate.out & migrators+=($!); done
for pid in "${migrators[@]}"; do wait "$pid" || die "a migration failed"; done
equal "three migrations at once make one schema" 1 "$(grep -c 'had version 0' migrate.out)"
printf '%040d' 1 >wrong && chmod 600 wrong
sed "s|^password_file = .*|password_file = $DIR/wrong|; \$a start_timeout = 0s" kbs0.conf >bad.conf
refused "a wrong password" "password authentication failed" "$BIN/sealed-kbs" --config "$DIR/bad.conf"
sed "s|^ca_file = .*|ca_file = $DIR/admin/kbs-ca.pem|; \$a start_timeout = 0s" kbs0.conf >bad.conf
refused "another database's certificate" "certificate verify failed" "$BIN/sealed-kbs" --config "$DIR/bad.conf"

# -- in any order: the brokers first --------------------------------------------------------------
postgres_stop INT
for i in 0 1 2; do start_kbs "$i"; done
postgres_start
for i in 0 1 2; do up "$i"; done
pass "brokers that started before their database serve"
[ -n "${SEALED_ASAN:-}" ] || equal "a system call filter" 2 "$(awk '/^Seccomp:/ {print $2}' "/proc/$PID_kbs0/status")"
check "the password is in no command line or environment" bash -c \
    "! grep -qaF '$(cat "$PG_PASSWORD")' /proc/$PID_kbs0/cmdline /proc/$PID_kbs0/environ"

cat >haproxy.cfg <<CFG
defaults
    mode tcp
    timeout connect 2s
    timeout client 2m
    timeout server 2m
    timeout check 5s
    retries 3
    option redispatch 1
listen brokers
    bind 127.0.0.1:${ports[3]}
    balance roundrobin
    option httpchk GET /healthz
    default-server check check-ssl verify none inter 500ms fall 2 rise 1
$(for i in 0 1 2; do echo "    server broker$i 127.0.0.1:${ports[i]}"; done)
CFG
spawn haproxy haproxy -db -f "$DIR/haproxy.cfg"
answers() { curl -s --max-time 60 --cacert admin/kbs-ca.pem "$front/healthz" | grep -q ok; }
wait_for 20 "haproxy" answers

# -- what one takes the others have ----------------------------------------------------------------
at() { echo "https://127.0.0.1:${ports[$1]}"; }
kbs() { local i=$1; shift; "$sealed" kbs "$@" --profile "$DIR/admin/admin.conf" --kbs "$(at "$i")"; }
guest() { local i=$1; shift; python3 "$HERE/../peer/client.py" --url "$(at "$i")" --ca admin/kbs-ca.pem read "$@" --tee sample; }
printf 'allow ** if tee sample\n' | kbs 0 policy set - || die "policy"
equal "a policy that one was given holds at another" "allow ** if tee sample" "$(kbs 1 policy get)"
printf 'known to all of them' | kbs 1 put kbs:///a/b/c || die "put"
equal "what one was given another gives" "known to all of them" "$(guest 2 a/b/c)"
id=$({ guest 1 a/b/none 2>&1 || true; } | sed -n 's/.*\[id \([0-9a-f]*\)\].*/\1/p')
kbs 2 explain "$id" >explanation
check "what one refused another explains" grep -q 'a/b/none' explanation
race() { python3 "$HERE/kbs_replicas.py" race --ca admin/kbs-ca.pem "$@"; }
check "a nonce is accepted once on all of them" race "$(at 0)" "$(at 1)" "$(at 2)"

# -- a crowd, a killed broker, a crashed database -----------------------------------------------------
python3 "$HERE/admin_token.py" sign admin/admin.jwk iss=sealed-admin sub=crowd "exp=$(($(date +%s) + 3600))" >token
spawn crowd python3 "$HERE/kbs_replicas.py" run --url "$front" --ca "$DIR/admin/kbs-ca.pem" --admin-token-file "$DIR/token" \
    --disturbed "$DIR/disturbed"
crowd=$PID_crowd
went_on() { # COUNT: that many guests have ended a round after now
    local n=0 file
    for file in disturbed.round.*; do [ ! "$file" -nt "$DIR/mark" ] || n=$((n + 1)); done
    gone "$crowd" || [ "$n" -ge "$1" ]
}
mark() { touch "$DIR/mark"; }
mark; wait_for 120 "all guests to have read" went_on 64
kill -KILL "$PID_kbs1"
mark; wait_for 120 "guests to go on without it" went_on 32
postgres_stop QUIT
postgres_start
mark; wait_for 120 "guests to go on after the crash" went_on 32
start_kbs 1; up 1
postgres_stop INT
postgres_start
mark; wait_for 120 "guests to go on after the restart" went_on 32
touch disturbed
wait "$crowd" || die "the crowd: $(tail -1 crowd.log)"
check "every guest ended with its secret, no accepted write was lost" grep -q '^64 guests, ' crowd.log
tail -1 crowd.log
check "and a nonce is still accepted once" race "$(at 2)" "$(at 1)" "$(at 0)"

# -- what it must not be -----------------------------------------------------------------------------
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out other-token.pem
chmod 600 other-token.pem
ports[3]=0
conf 3 "$DIR/other-token.pem"
start_kbs 3; up 3
check "another token key is told" grep -q 'another token key than' kbs3.log
ports[3]=$(cat port.3)
python3 "$HERE/../peer/client.py" --url "$(at 0)" --ca admin/kbs-ca.pem auth s --tee sample
python3 "$HERE/../peer/client.py" evidence s
refused "and sessions of the others are none of its own" "401" python3 "$HERE/../peer/client.py" --url "$(at 3)" --ca admin/kbs-ca.pem attest s
stop kbs3
for i in 0 1 2; do stop "kbs$i"; done
postgres_stop INT
check "the database never saw a plaintext" bash -c "! grep -rqaE 'the secret of guest|writer [0-9] value|known to all of them' '$PG_DIR/data/base' '$PG_DIR/data/pg_wal'"
check "nor did a log" bash -c "! grep -qE 'the secret of guest|writer [0-9] value' kbs?.log postgres.log haproxy.log"
check "nor the password" bash -c "! grep -qF '$(cat "$PG_PASSWORD")' kbs?.log postgres.log"
