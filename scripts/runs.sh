#!/usr/bin/env bash
# What it costs to run a tool on the shard, on tokio and on a worker: CPU time of an echo at 64 connections, and what 10,000
# sleeping calls take in threads and memory.
#
# The server (examples/runs, benches/servers/runs.rs) has one shard; all of it is on SERVER_CPU, the load on LOAD_CPU. Rounds
# are interleaved, differences are medians of the rounds' own. Loopback only.
#
#   scripts/runs.sh [--rounds N] [--seconds S] [--quick] [--no-build]
#
#   --quick      one short round: shows that everything works, judges no figure
#   --no-build   measure what was built before
#
# Environment: SERVER_CPU=0 LOAD_CPU=1 WARM_UP=0.5.
# Exit 1 when an answer is wrong or lost, or a mark is missed.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=5 seconds=3 judge=1 build=1
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        --quick) rounds=1 seconds=0.5 judge=0 WARM_UP=${WARM_UP:-0.2} ;;
        --no-build) build=0 ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
export ROUNDS=$rounds SECONDS_EACH=$seconds JUDGE=$judge
export WARM_UP=${WARM_UP:-0.5} SERVER_CPU=${SERVER_CPU:-0} LOAD_CPU=${LOAD_CPU:-1}
export TARGET=${CARGO_TARGET_DIR:-target}/dist

if [ "$build" = 1 ]; then
    cargo build --quiet --profile dist --bin weir --example runs >&2
fi
ulimit -n "$(ulimit -Hn)"
export PYTHONDONTWRITEBYTECODE=1
exec python3 scripts/runs.py
