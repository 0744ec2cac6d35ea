#!/usr/bin/env bash
# Measures weir, the same echo on rmcp, and canned (the data ring's own cost) in one interleaved run.
#
# Every server has one thread of execution on SERVER_CPU, the load runs on LOAD_CPU. Before anything is
# measured each server must answer an echo rightly. Loopback only; ports are the system's choice.
#
#   scripts/compare.sh [--rounds N] [--seconds S] [--quick] [--json] [--no-build]
#
#   --quick     one short round: shows that everything works, judges no figure
#   --json      one JSON document on stdout instead of the table
#   --no-build  measure what was built before
#
# Environment: SERVER_CPU=0 LOAD_CPU=1 WARM_UP=0.5 CONNECTIONS="1 64 256" SERVERS="weir canned rmcp" (also: epoll).
# Exit 1 when an answer is wrong or lost, or a mark is missed at 64 connections: CPU per echo at most 1.4
# times canned's, requests per CPU-second at least 5 times rmcp's (6 is the aim).
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=5 seconds=3 format=table judge=1 build=1
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        --quick) rounds=1 seconds=0.3 judge=0 WARM_UP=${WARM_UP:-0.1} ;;
        --json) format=json ;;
        --no-build) build=0 ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
export ROUNDS=$rounds SECONDS_EACH=$seconds FORMAT=$format JUDGE=$judge
export WARM_UP=${WARM_UP:-0.5} SERVER_CPU=${SERVER_CPU:-0} LOAD_CPU=${LOAD_CPU:-1}
export CONNECTIONS=${CONNECTIONS:-"1 64 256"} SERVERS=${SERVERS:-"weir canned rmcp"}
export TARGET=${CARGO_TARGET_DIR:-target}/dist
export PEER=${PEER_TARGET_DIR:-benches/peers/rmcp/target}/dist/rmcp-peer

if [ "$build" = 1 ]; then
    cargo build --quiet --profile dist --bin weir --example canned --example epoll --example load >&2
    CARGO_TARGET_DIR=${PEER_TARGET_DIR:-benches/peers/rmcp/target} \
        cargo build --quiet --profile dist --locked --manifest-path benches/peers/rmcp/Cargo.toml >&2
fi
ulimit -n "$(ulimit -Hn)"
export PYTHONDONTWRITEBYTECODE=1
exec python3 scripts/compare.py
