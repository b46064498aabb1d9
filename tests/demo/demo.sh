#!/usr/bin/env bash
# The main job, shown: a sandbox workspace of 10,000 leads and a PostgreSQL table, in agreement both ways.
# Called by ./run demo after the build. --keep leaves everything running, to play with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

keep=no
leads=10000
while [ $# -gt 0 ]; do
    case $1 in
        --keep) keep=yes ;;
        --leads) leads=$2; shift ;;
        *) echo "run demo takes --keep and --leads N, not $1" >&2; exit 2 ;;
    esac
    shift
done

build=${DEMO_BUILD:-$PWD/build/release}
folder=$(mktemp -d /tmp/leadsync-demo-XXXXXX)
chmod 755 "$folder"  # started by root, PostgreSQL runs as another user, who has to come through here
sandbox_log=$folder/sandbox.log
daemon_log=$folder/leadsync.log
export DEMO_API_KEY=ZGVtbzpsZWFkc3luYw==
sandbox_pid='' daemon_pid=''

finish() {
    local status=$?
    [ -n "$daemon_pid" ] && kill "$daemon_pid" 2>/dev/null && wait "$daemon_pid" 2>/dev/null
    [ -n "$sandbox_pid" ] && kill "$sandbox_pid" 2>/dev/null && wait "$sandbox_pid" 2>/dev/null
    if [ $status -ne 0 ]; then
        echo "demo: failed; the end of leadsync's log:" >&2
        tail -n 20 "$daemon_log" >&2 2>/dev/null || true
    fi
    rm -rf "$folder"
    exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

grouped() { printf '%s' "$1" | sed -E ':again; s/^([0-9]+)([0-9]{3})/\1,\2/; t again'; }
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
fail() { echo "demo: $*" >&2; exit 1; }

# until_true SECONDS WHAT COMMAND...: runs the command until it succeeds
until_true() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || fail "$what did not happen in time"
        sleep 0.1
    done
}

say "1  A sandbox Instantly workspace: $leads leads, 50 ms an answer, 100 requests/s"
"$build/tests/sandbox/leadsync-sandbox" --leads "$leads" --seed 7 --campaigns 5 --lists 2 --latency-ms 50 \
    --api-key "$DEMO_API_KEY" --port-file "$folder/port" --exit-with-parent >"$sandbox_log" 2>&1 &
sandbox_pid=$!
until_true 20 "the sandbox's start" test -s "$folder/port"
port=$(cat "$folder/port")
cat "$sandbox_log"

cat >"$folder/leadsync.yaml" <<YAML
data_dir: data
log: { level: info, format: text }
workspaces:
  - name: acme
    api_key: \${DEMO_API_KEY}
    base_url: http://127.0.0.1:$port
    freshness: { new: 1s, rest: 15s }
    conflicts: { phone: manual }
YAML
leadsync() { "$build/daemon/leadsync" -c "$folder/leadsync.yaml" "$@"; }

say "2  leadsync backfill: every lead into PostgreSQL (an embedded one)"
leadsync backfill

say "3  leadsync run: from here on both sides follow each other"
"$build/daemon/leadsync" -c "$folder/leadsync.yaml" run >"$daemon_log" 2>&1 &
daemon_pid=$!
database="postgresql:///crm?host=$folder/data/postgres/socket&user=leadsync"
sql() { psql -X -q -v ON_ERROR_STOP=1 "$database" "$@"; }
value() { sql -A -t -c "$1"; }
until_true 30 "the daemon's start" grep -q 'drives' "$daemon_log"
echo "running, process $daemon_pid"

# A JSON value by its key; the keys asked for here are plain text and numbers.
field() { sed -nE "s/.*\"$1\":\"?([^\",}]*)\"?[,}].*/\1/p"; }
# http METHOD PATH [BODY]: by bash itself, so that the demo needs no curl
http() {
    local method=$1 path=$2 body=${3:-} line
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf '%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' \
        "$method" "$path" "$(printf %s "$body" | wc -c)" "$body" >&3
    while IFS= read -r line <&3 && [ "$line" != $'\r' ]; do :; done
    cat <&3
    exec 3>&-
}
instantly_shows() { [ "$(http GET "/control/leads/$1" | field "$2")" = "$3" ]; }
sql_shows() { [ "$(value "SELECT $2 FROM crm.leads WHERE instantly_id = '$1'")" = "$3" ]; }

mapfile -t ids < <(value "SELECT instantly_id FROM crm.leads WHERE campaign IS NOT NULL AND email IS NOT NULL ORDER BY instantly_id LIMIT 5")
changes=0
now_ms() { date +%s%3N; }
took() { echo "   … after $(($(now_ms) - $1)) ms"; }

say "4  An UPDATE in SQL appears on Instantly"
echo "UPDATE crm.leads SET first_name = 'Zoë', custom_variables = custom_variables || '{\"tier\": \"gold\"}'"
start=$(now_ms)
sql -c "UPDATE crm.leads SET first_name = 'Zoë', custom_variables = custom_variables || '{\"tier\": \"gold\"}' WHERE instantly_id = '${ids[0]}'"
until_true 30 "the update" instantly_shows "${ids[0]}" tier gold
took "$start"
echo "   Instantly: first_name = $(http GET "/control/leads/${ids[0]}" | field first_name), tier = $(http GET "/control/leads/${ids[0]}" | field tier)"
changes=$((changes + 1))

say "5  An edit in Instantly appears in SQL"
start=$(now_ms)
http PATCH "/control/leads/${ids[1]}" '{"job_title":"Chief Revenue Officer"}' >/dev/null
echo "job_title set in Instantly"
until_true 60 "the remote edit" sql_shows "${ids[1]}" job_title "Chief Revenue Officer"
took "$start"
sql -c "SELECT email, job_title, sync_status FROM crm.leads WHERE instantly_id = '${ids[1]}'"
changes=$((changes + 1))

say "6  A meeting is booked in SQL"
echo "UPDATE crm.leads SET lt_interest_status = 2"
start=$(now_ms)
sql -c "UPDATE crm.leads SET lt_interest_status = 2 WHERE instantly_id = '${ids[2]}'"
until_true 30 "the meeting" instantly_shows "${ids[2]}" lt_interest_status 2
took "$start"
changes=$((changes + 1))

say "7  A lead moves to another campaign"
target=$(value "SELECT id FROM crm.campaigns WHERE id <> (SELECT campaign FROM crm.leads WHERE instantly_id = '${ids[3]}') LIMIT 1")
echo "UPDATE crm.leads SET campaign = '$target'"
start=$(now_ms)
sql -c "UPDATE crm.leads SET campaign = '$target' WHERE instantly_id = '${ids[3]}'"
until_true 60 "the move" instantly_shows "${ids[3]}" campaign "$target"
took "$start"
changes=$((changes + 1))

say "8  A lead is created by INSERT"
echo "INSERT INTO crm.leads (workspace, email, first_name, campaign) VALUES ('acme', 'ada@lovelace.example', 'Ada', …)"
start=$(now_ms)
sql -c "INSERT INTO crm.leads (workspace, email, first_name, campaign) VALUES ('acme', 'ada@lovelace.example', 'Ada', '$target')"
created() { [ "$(value "SELECT sync_status FROM crm.leads WHERE email = 'ada@lovelace.example'")" = synced ]; }
until_true 60 "the creation" created
took "$start"
sql -c "SELECT email, instantly_id, sync_status FROM crm.leads WHERE email = 'ada@lovelace.example'"
changes=$((changes + 1))

say "9  Both sides edit the same phone number, under the rule manual: a person decides"
# Instantly is edited while the edit in SQL is not committed yet: leadsync sees neither before the other.
coproc editor { sql -A -t; }
echo "BEGIN; UPDATE crm.leads SET phone = '+1 555 0100' WHERE instantly_id = '${ids[4]}'; SELECT 'edited';" >&"${editor[1]}"
read -r -t 30 -u "${editor[0]}" || fail "the edit in SQL was not answered"
http PATCH "/control/leads/${ids[4]}" '{"phone":"+1 555 0199"}' >/dev/null
editor_process=$editor_PID
echo "COMMIT;" >&"${editor[1]}"
exec {editor[1]}>&-
wait "$editor_process" || fail "the edit in SQL was refused"
echo "phone set in SQL to +1 555 0100, and in Instantly to +1 555 0199"
in_conflict() { [ "$(value "SELECT count(*) FROM crm.conflicts WHERE resolution IS NULL")" = 1 ]; }
until_true 60 "the conflict" in_conflict
leadsync conflicts list
instantly_shows "${ids[4]}" phone "+1 555 0199" || fail "Instantly's phone number was overwritten"
sql_shows "${ids[4]}" phone "+1 555 0100" || fail "the phone number in SQL was overwritten"
echo "UPDATE crm.conflicts SET resolution = 'local' WHERE field = 'phone' AND resolution IS NULL"
start=$(now_ms)
sql -c "UPDATE crm.conflicts SET resolution = 'local' WHERE field = 'phone' AND resolution IS NULL"
until_true 30 "the resolution" instantly_shows "${ids[4]}" phone "+1 555 0100"
took "$start"
echo "   Instantly: phone = $(http GET "/control/leads/${ids[4]}" | field phone)"
changes=$((changes + 2))

nothing_pending() { [ "$(value "SELECT count(*) FROM sync.queue")" = 0 ]; }
until_true 60 "an empty queue" nothing_pending
email=$(value "SELECT email FROM crm.leads WHERE instantly_id = '${ids[4]}'")
say "10 leadsync why $email"
leadsync why "$email"

say "11 leadsync status"
leadsync status || fail "status reports work that is left"

say "12 Both sides compared, lead by lead, field by field"
if ! "$build/tests/support/leadsync-compare" --database "$database" --workspace acme --sandbox-port "$port"; then
    fail "the two sides differ"
fi
total=$(value "SELECT count(*) FROM crm.leads")
echo
printf '%s leads, %d changes both ways, local = remote\n' "$(grouped "$total")" "$changes"

if [ $keep = yes ]; then
    say "Everything is still running. Ctrl-C ends it and removes it."
    echo "   psql '$database'"
    echo "   $build/daemon/leadsync -c $folder/leadsync.yaml status"
    echo "   logs: $daemon_log"
    wait "$daemon_pid"
fi
