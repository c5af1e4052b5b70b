# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# A PostgreSQL server of Debian for a test: a cluster of its own, by TLS with a password on a free port of loopback, and by a socket.
#
#     . "$(dirname "$0")/lib.sh"; . "$HERE/postgres.sh"
#     postgres_init              # PG_PORT, PG_CA (PEM), PG_PASSWORD (file), PG_DIR; role and database sealed_kbs
#     postgres_start; postgres_stop INT|QUIT
#     postgres_sql 'SELECT 1'    # as its superuser

free_ports() { # COUNT: different ones, of this moment; where the test has a network of its own nobody else takes them
    python3 -c '
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in held: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))' "$1"
}

as_postgres() { if [ "$(id -u)" -eq 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi; }

postgres_init() {
    local programs=(/usr/lib/postgresql/*/bin) name
    PG_BIN=${programs[-1]}
    [ -x "$PG_BIN/postgres" ] || skip "needs the package postgresql"
    PG_DIR=$DIR/postgres PG_CA=$DIR/postgres-ca.pem PG_PASSWORD=$DIR/postgres-password
    PG_PORT=$(free_ports 1)
    mkdir -m 0700 "$PG_DIR"
    openssl rand -hex 20 >"$PG_PASSWORD"
    chmod 0600 "$PG_PASSWORD"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -keyout "$PG_DIR/server.key" \
        -out "$PG_CA" -addext subjectAltName=DNS:localhost 2>/dev/null
    cp "$PG_CA" "$PG_DIR/server.crt"
    chmod 0600 "$PG_DIR/server.key"
    [ "$(id -u)" -ne 0 ] || chown -R postgres: "$PG_DIR"
    as_postgres "$PG_BIN/initdb" -D "$PG_DIR/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$DIR/initdb.log" 2>&1 || die "initdb"
    as_postgres tee "$PG_DIR/data/pg_hba.conf" >/dev/null <<HBA
local all postgres trust
hostssl sealed_kbs sealed_kbs 127.0.0.1/32 scram-sha-256
HBA
    postgres_start
    postgres_sql "CREATE ROLE sealed_kbs LOGIN PASSWORD '$(cat "$PG_PASSWORD")'" postgres
    postgres_sql "CREATE DATABASE sealed_kbs OWNER sealed_kbs" postgres
}

# Not durable against a crash of the machine (fsync), but of the server.
postgres_start() {
    local who=()
    [ "$(id -u)" -ne 0 ] || who=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    spawn postgres "${who[@]}" "$PG_BIN/postgres" -D "$PG_DIR/data" \
        -k "$PG_DIR" -p "$PG_PORT" -c listen_addresses=127.0.0.1 -c ssl=on -c "ssl_cert_file=$PG_DIR/server.crt" \
        -c "ssl_key_file=$PG_DIR/server.key" -c fsync=off -c full_page_writes=off -c max_connections=60
    wait_for 30 "PostgreSQL" postgres_sql 'SELECT 1' postgres
}
postgres_sql() { "$PG_BIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$PG_DIR" -p "$PG_PORT" -U postgres -d "${2:-sealed_kbs}" -c "$1"; }
postgres_stop() { # SIGNAL: INT cuts sessions off in order, QUIT is a crash
    kill -"$1" "$PID_postgres"
    wait_for 30 "PostgreSQL to end" gone "$PID_postgres"
}
# Lines for kbs.conf; [server] store and [store] kek are the caller's.
postgres_section() {
    cat <<CONF
[postgresql]
host = localhost
port = $PG_PORT
database = sealed_kbs
user = sealed_kbs
password_file = $PG_PASSWORD
ca_file = $PG_CA
CONF
}
