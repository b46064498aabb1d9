#!/usr/bin/env bash
# Whether the simulation can fail: takes the engine's guards out one at a time, in a copy of the tree, and tells after how
# many worlds a property breaks. Called by ./run mutations. Takes some minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seeds=${1:-1000}
copy=build/mutations
mkdir -p "$copy"
# What differs only: what an interrupted run left broken is put back, the rest is not built again.
git ls-files | while IFS= read -r file; do
    cmp -s "$file" "$copy/$file" || cp --parents "$file" "$copy"
done
cmake -S "$copy" -B "$copy/build" -G Ninja -DCMAKE_BUILD_TYPE=Release >"$copy/configure.log"

build() { cmake --build "$copy/build" --target leadsync-simulate >"$copy/build.log" || { tail -n 20 "$copy/build.log"; exit 1; }; }

# without NAME FILE LINE REPLACEMENT: LINE, which has to stand there once, is replaced
without() {
    local name=$1 file=$2 line=$3 replacement=$4 told
    [ "$(grep -cF -- "$line" "$file")" = 1 ] || { echo "mutations: $file does not hold once: $line" >&2; exit 1; }
    LINE=$line REPLACEMENT=$replacement perl -pe 's/\Q$ENV{LINE}\E/$ENV{REPLACEMENT}/' "$file" >"$copy/$file"
    build
    if told=$("$copy/build/tests/simulation/leadsync-simulate" --seeds "$seeds"); then
        printf '%-28s not found in %s worlds\n' "$name" "$seeds"
        missed=1
    else
        printf '%-28s found by %s\n' "$name" "$(grep -m1 -oE '^seed [0-9]+' <<<"$told")"
    fi
    cp "$file" "$copy/$file"
    touch "$copy/$file"
}

missed=0
build
without 'stale answers' sync/observe.cpp 'if (came_before(known.written_at) || came_before(known.observed_at)) return true;' 'static_cast<void>(came_before); return false;'
without 'generation' tests/simulation/model_queue.cpp 'return {&found->second, found->second.generation == claim.generation};' 'return {&found->second, true};'
without 'create adoption' daemon/observation.cpp 'if (found == rows.end() || options_.adopted' 'if (true || found == rows.end() || options_.adopted'
without 'normalising servers' sync/merge.cpp 'const bool arrived = as_sent || !agree(remote, base);' 'const bool arrived = as_sent;'
without 'lost claims' daemon/pusher.cpp 'transaction.queue.release_lease(token);' 'if (token < 0) transaction.queue.release_lease(token);'
without 'failed batches' daemon/lease_returns.cpp 'if (claims.empty()) return;' 'if (!claims.empty() || claims.empty()) return;'
without 'expected overlay' sync/merge.cpp 'if (!arrived && !expired) {' 'if (!arrived && expired && !expired) {'
exit $missed
