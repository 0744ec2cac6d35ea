#!/usr/bin/env bash
# Measures what an idle keep-alive connection costs weir in user memory.
#
# Opens connections that make one echo request each and then stay, and reads the server's proportional set
# size (PSS) at several counts, once it has settled. Loopback only; the port is the system's choice.
#
#   scripts/idle.sh [--connections N] [--json] [--no-build]
#
# Needs a descriptor limit of N and a few more. Exit 1 when an answer is wrong or lost, or a connection costs
# more than 1 KiB (256 bytes is the aim). Environment: SERVER_CPU=0 LOAD_CPU=1.
set -euo pipefail
cd "$(dirname "$0")/.."

connections=10000 format=table build=1
while [ $# -gt 0 ]; do
    case $1 in
        --connections) connections=$2; shift ;;
        --json) format=json ;;
        --no-build) build=0 ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
export TOTAL=$connections FORMAT=$format TARGET=${CARGO_TARGET_DIR:-target}/dist
export SERVER_CPU=${SERVER_CPU:-0} LOAD_CPU=${LOAD_CPU:-1}

if [ "$build" = 1 ]; then cargo build --quiet --profile dist --bin weir >&2; fi
ulimit -n "$(ulimit -Hn)"
export PYTHONDONTWRITEBYTECODE=1
exec python3 scripts/idle.py
