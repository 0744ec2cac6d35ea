#!/usr/bin/env bash
# Measures what idle WebSockets cost weir in user memory, and what an echo over WebSocket costs beside one over HTTP.
#
# Opens WebSockets that make one echo each and then stay and answer pings; reads the server's proportional set size
# (PSS) at several counts, and once more after every one was pinged several times. Then runs `weir bench` against
# the same server, over WebSocket and over HTTP by turns, and compares the CPU time per echo round by round. Loopback
# only; the port is the system's choice.
#
#   scripts/websocket.sh [--connections N] [--ping-seconds S] [--rounds N] [--seconds S] [--json] [--no-build]
#
#   --connections   idle WebSockets
#   --ping-seconds  between two pings
#   --rounds        runs of each kind
#   --seconds       length of each run
#
# Needs a descriptor limit of N and a few more. Exit 1 when an answer is wrong or lost, a connection is dropped or not
# pinged, costs more than 1 KiB, or an echo costs more CPU over WebSocket than over HTTP.
# Environment: SERVER_CPU=0 LOAD_CPU=1.
set -euo pipefail
cd "$(dirname "$0")/.."

connections=10000 ping_seconds=5 rounds=7 seconds=5 format=table build=1
while [ $# -gt 0 ]; do
    case $1 in
        --connections) connections=$2; shift ;;
        --ping-seconds) ping_seconds=$2; shift ;;
        --rounds) rounds=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        --json) format=json ;;
        --no-build) build=0 ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
export TOTAL=$connections PING_SECONDS=$ping_seconds ROUNDS=$rounds SECONDS_EACH=$seconds FORMAT=$format
export TARGET=${CARGO_TARGET_DIR:-target}/dist SERVER_CPU=${SERVER_CPU:-0} LOAD_CPU=${LOAD_CPU:-1}

if [ "$build" = 1 ]; then cargo build --quiet --profile dist --bin weir >&2; fi
ulimit -n "$(ulimit -Hn)"
export PYTHONDONTWRITEBYTECODE=1
exec python3 scripts/websocket.py
