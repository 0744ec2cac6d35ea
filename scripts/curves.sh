#!/usr/bin/env bash
# Draws utilization against latency: how P99 grows with the share of handlers in use, and what the spread of service times,
# the size of the pool, stealing, many clients, the service time and --linger change about it.
#
# Every curve varies one thing about a base: 16 handlers on one shard, calls of 20 ms with exponential spread, 1,000 clients.
# Load is open (Poisson), so a call's latency begins when it was due. The server is on SERVER_CPU and the load on LOAD_CPU; a
# second shard shares the load's, which is why two shards are measured with few, slow calls. Utilization is measured: the time
# for which calls held handlers, from the server's own metrics, not what was offered. Loopback only.
#
#   scripts/curves.sh [--quick] [--only TEXT] [--seconds S] [--write] [--redraw] [--json FILE] [--no-build]
#
#   --quick      few and short points: shows that everything works
#   --only TEXT  the questions whose name has the text, or one of several with commas between
#   --json FILE  writes the figures there, too
#   --seconds S  of each point
#   --write      writes the pictures and figures to scripts/curves, and the tables into tuning.md
#   --redraw     draws from the figures that are there, measuring nothing; with --write
#   --no-build   measure what was built before
#
# Environment: SERVER_CPU=0 LOAD_CPU=1 WEIR=target/dist/weir. Exit 1 when an answer was wrong or lost.
set -euo pipefail
cd "$(dirname "$0")/.."

build=1
arguments=()
for word in "$@"; do
    case $word in
        --no-build | --redraw) build=0 ;;&
        --no-build) ;;
        --help | -h) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit ;;
        *) arguments+=("$word") ;;
    esac
done
export SERVER_CPU=${SERVER_CPU:-0} LOAD_CPU=${LOAD_CPU:-1}
export WEIR=${WEIR:-${CARGO_TARGET_DIR:-target}/dist/weir}
if [ "$build" = 1 ]; then cargo build --quiet --profile dist --bin weir >&2; fi
ulimit -n "$(ulimit -Hn)"
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=scripts
exec python3 -m curves "${arguments[@]}"
