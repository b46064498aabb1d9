#!/usr/bin/env bash
# Backfill of 100,000 leads from the sandbox at no latency and no rate limit, into an embedded PostgreSQL beside it:
# leads/s by leadsync's own progress, CPU seconds, and resident memory at 10 % and at the end. Called by ./run bench.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
leads=${1:-100000}
build=$PWD/build/release
folder=$(mktemp -d /tmp/leadsync-bench-XXXXXX)
chmod 755 "$folder"
export BENCH_API_KEY=YmVuY2g6bGVhZHN5bmM=
sandbox_pid=''
finish() {
    [ -n "$sandbox_pid" ] && kill "$sandbox_pid" 2>/dev/null && wait "$sandbox_pid" 2>/dev/null
    rm -rf "$folder"
}
trap finish EXIT

"$build/tests/sandbox/leadsync-sandbox" --leads "$leads" --seed 3 --no-rate-limit --api-key "$BENCH_API_KEY" \
    --port-file "$folder/port" --exit-with-parent >/dev/null 2>&1 &
sandbox_pid=$!
until [ -s "$folder/port" ]; do sleep 0.1; done
cat >"$folder/leadsync.yaml" <<YAML
data_dir: data
log: { level: warn }
workspaces:
  - name: acme
    api_key: \${BENCH_API_KEY}
    base_url: http://127.0.0.1:$(cat "$folder/port")
    rate: { per_second: 10000, per_minute: 1000000, share: 1 }
YAML
"$build/daemon/leadsync" -c "$folder/leadsync.yaml" migrate >/dev/null  # initdb is not what is measured

# measure NAME: one backfill, its rate, CPU and memory
measure() {
    local name=$1 start end early='' pid peak=0 now cpu hertz
    hertz=$(getconf CLK_TCK)
    start=$(date +%s%N)
    "$build/daemon/leadsync" -c "$folder/leadsync.yaml" backfill >"$folder/$name.out" &
    pid=$!
    while now=$(awk '/VmRSS/ {print $2}' /proc/$pid/status 2>/dev/null) && [ -n "$now" ]; do
        [ "$now" -gt "$peak" ] && peak=$now
        [ -z "$early" ] && [ $(($(date +%s%N) - start)) -gt 2000000000 ] && early=$now
        cpu=$(awk '{print $14 + $15}' /proc/$pid/stat 2>/dev/null || echo "${cpu:-0}")
        sleep 0.2
    done
    wait $pid
    end=$(date +%s%N)
    awk -v name="$name" -v leads="$leads" -v ns=$((end - start)) -v cpu="$cpu" -v hertz="$hertz" -v early="${early:-$peak}" \
        -v peak="$peak" 'BEGIN {
            printf "%-10s %8.0f leads/s whole process   CPU %6.1f s per million leads   memory %5.1f MB after 2 s, %5.1f MB peak\n",
                   name, leads / (ns / 1e9), cpu / hertz / leads * 1e6, early / 1024, peak / 1024 }'
}
printf '%s leads, one chain of pages, sandbox and PostgreSQL on this machine (%s cores)\n' "$leads" "$(nproc)"
measure first
measure unchanged
