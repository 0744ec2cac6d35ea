#!/usr/bin/env bash
# Measures what open event streams cost weir, and how fast a change reaches all of them.
#
# Opens streams on one process, half of them GETs of legacy sessions and half modern `subscriptions/listen`, all
# subscribed to one file. Reads the server's proportional set size (PSS) and CPU time while nothing but signs of
# life is sent, then touches the file and takes the time until the last stream has the change. Loopback only; the port
# is the system's choice. The measuring client shares the machine, so its own reading is in that time.
#
#   scripts/streams.sh [--streams N] [--legacy PERCENT] [--minutes M] [--keep-alive SECONDS] [--shards N]
#                      [--short] [--json] [--no-build]
#
# --short is a check: 1,000 streams for a quarter of a minute, a sign of life every 2 s.
# Needs a descriptor limit of N and a few more. Exit 1 when a stream is dropped or misses an event, costs
# more than 1 KiB, all together cost more than 3 % of a core at 15 s, or a change takes a second or more.
# Environment: SERVER_CPU=0 (the first of the shards') LOAD_CPU=1.
set -euo pipefail
cd "$(dirname "$0")/.."

streams=10000 legacy_percent=50 minutes=10 keep_alive_seconds=15 shards=1 format=table build=1
while [ $# -gt 0 ]; do
    case $1 in
        --streams) streams=$2; shift ;;
        --legacy) legacy_percent=$2; shift ;;
        --minutes) minutes=$2; shift ;;
        --keep-alive) keep_alive_seconds=$2; shift ;;
        --shards) shards=$2; shift ;;
        --short) streams=1000 minutes=0.25 keep_alive_seconds=2 ;;
        --json) format=json ;;
        --no-build) build=0 ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
export STREAMS=$streams LEGACY_PERCENT=$legacy_percent MINUTES=$minutes KEEP_ALIVE_SECONDS=$keep_alive_seconds
export SHARDS=$shards FORMAT=$format TARGET=${CARGO_TARGET_DIR:-target}/dist
export SERVER_CPU=${SERVER_CPU:-0} LOAD_CPU=${LOAD_CPU:-1}

if [ "$build" = 1 ]; then cargo build --quiet --profile dist --bin weir >&2; fi
ulimit -n "$(ulimit -Hn)"
export PYTHONDONTWRITEBYTECODE=1
exec python3 scripts/streams.py
