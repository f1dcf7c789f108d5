#!/bin/sh
# Makes a PostgreSQL cluster and puts its server through a little work: bulk inserts, indexes,
# joins, sorts and a vacuum, partly by two clients at once.
set -eu
if [ "$(id -u)" = 0 ]; then
    # The server refuses to run as root.
    exec setpriv --reuid=postgres --regid=postgres --clear-groups sh "$0"
fi

data=$(mktemp -d)
server=
finish() {
    if [ -n "$server" ]; then
        kill -INT "$server" && wait "$server" || true
    fi
    rm -rf "$data"
}
trap finish EXIT

initdb -D "$data" --no-sync --auth=trust >/dev/null
postgres -D "$data" -k "$data" -c listen_addresses= -c shared_buffers=64MB -c work_mem=16MB \
    -c fsync=off -c log_min_messages=fatal &
server=$!
run() { psql -q -h "$data" -d postgres -v ON_ERROR_STOP=1 -At "$@"; }
until run -c 'SELECT 1' >/dev/null 2>&1; do sleep 0.1; done

run -c 'CREATE TABLE pages (id bigint PRIMARY KEY, level int, address bigint, note text)'
run -c "INSERT INTO pages SELECT n, n % 4, n * 4096, md5(n::text)
        FROM generate_series(1, 150000) n"
run -c 'ANALYZE pages' &
first=$!
run -c 'CREATE INDEX ON pages (note)' -c 'CREATE INDEX ON pages USING hash (address)' &
second=$!
wait "$first"
wait "$second"
run -c 'SELECT level, count(*), max(note) FROM pages GROUP BY level ORDER BY level'
run -c 'SELECT count(DISTINCT a.note) FROM pages a JOIN pages b ON a.id = b.address / 4096'
run -c 'DELETE FROM pages WHERE id % 3 = 0'
run -c 'VACUUM pages'
run -c 'SELECT count(*) FROM (SELECT note FROM pages ORDER BY note DESC LIMIT 50000) p'
