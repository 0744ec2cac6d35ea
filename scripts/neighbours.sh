#!/usr/bin/env bash
# Measures what instant calls notice of others: the P99 of 2,000 echoes a second on 64 connections, alone and beside
# sleeping calls, searches of a large tree on the workers, and clients that read large answers slowly. Then the CPU time of
# an echo on two shards over one, and the same of two threads of epoll by hand.
#
# For the echoes one shard is on SERVER_CPU, its workers and the load on LOAD_CPU; two shards share both with the load.
# Rounds are interleaved, ratios are medians of the rounds' own ratios. Loopback only.
#
#   scripts/neighbours.sh [--rounds N] [--seconds S] [--quick] [--json FILE] [--no-build]
#
#   --quick      one short round: shows that everything works, judges no figure
#   --json FILE  every run's figures, too
#   --no-build   measure what was built before
#
# Environment: SERVER_CPU=0 LOAD_CPU=1 WARM_UP=0.5, PEER_TARGET_DIR for what the peers are built into.
# Exit 1 when an answer is wrong or lost, or a mark is missed.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=5 seconds=4 judge=1 build=1 json=''
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        --quick) rounds=1 seconds=0.5 judge=0 WARM_UP=${WARM_UP:-0.2} ;;
        --json) json=$(realpath -m "$2"); shift ;;
        --no-build) build=0 ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
export ROUNDS=$rounds SECONDS_EACH=$seconds JUDGE=$judge JSON=$json
export WARM_UP=${WARM_UP:-0.5} SERVER_CPU=${SERVER_CPU:-0} LOAD_CPU=${LOAD_CPU:-1}
export TARGET=${CARGO_TARGET_DIR:-target}/dist

if [ "$build" = 1 ]; then
    cargo build --quiet --profile dist --bin weir >&2
fi
BUILD=$build . scripts/peers.sh
ulimit -n "$(ulimit -Hn)"
export PYTHONDONTWRITEBYTECODE=1
exec python3 scripts/neighbours.py
