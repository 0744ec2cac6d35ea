#!/usr/bin/env bash
# Measures how Weir keeps up when many clients are there at once, beside a server by hand on bare epoll: a closed loop
# with 64 to 10,000 clients, an open loop at 70 % of each one's own peak, and ring buffers that run dry. Judges the marks.
#
# One shard with default flags and an instant tool (`echo` of the demo toolset) on SERVER_CPU, the load on LOAD_CPU, all
# in one interleaved run; figures are medians of the rounds. Every server must first answer an echo rightly. Loopback
# only; ports are the system's choice. 10,000 clients need as many descriptors in each process (`ulimit -Hn`).
#
#   scripts/crowd.sh [--rounds N] [--seconds S] [--quick] [--json FILE] [--no-build] [--before BINARY] [--clients "N ..."]
#
#   --quick           one short round: shows that everything works, judges no figure
#   --json FILE       every run's figures, too
#   --no-build        measure what was built before
#   --before BINARY   another build of weir: its CPU time for an echo at 64 clients against this one's, in ten
#                     interleaved pairs
#   --clients "N ..." instead of "1000 4000 10000"
#
# Environment: SERVER_CPU=0 LOAD_CPU=1 WARM_UP=0.5. Exit 1 when an answer is wrong or lost, or a mark is missed.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=5 seconds=3 judge=1 build=1 json='' before='' clients="1000 4000 10000"
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        --quick) rounds=1 seconds=0.5 judge=0 WARM_UP=${WARM_UP:-0.2} ;;
        --json) json=$(realpath -m "$2"); shift ;;
        --no-build) build=0 ;;
        --before) before=$(realpath "$2"); shift ;;
        --clients) clients=$2; shift ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
export ROUNDS=$rounds SECONDS_EACH=$seconds JUDGE=$judge JSON=$json BEFORE=$before CLIENTS=$clients
export WARM_UP=${WARM_UP:-0.5} SERVER_CPU=${SERVER_CPU:-0} LOAD_CPU=${LOAD_CPU:-1}
export TARGET=${CARGO_TARGET_DIR:-target}/dist

if [ "$build" = 1 ]; then
    cargo build --quiet --profile dist --bin weir >&2
fi
BUILD=$build . scripts/peers.sh
ulimit -n "$(ulimit -Hn)"
export PYTHONDONTWRITEBYTECODE=1
exec python3 scripts/crowd.py
