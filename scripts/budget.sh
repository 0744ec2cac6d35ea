#!/usr/bin/env bash
# Shows where the CPU time of a warm echo goes, from the kernel's receive to its send: the server is sampled with
# `perf record` on the CPU's clock while a closed loop of clients keeps it busy, and the samples are grouped by what the
# code belongs to. One Markdown table; with --before it has the other build's column, too.
#
#   scripts/budget.sh [--rounds N] [--seconds S] [--clients N] [--before BINARY] [--no-build]
#
# The server has one shard on SERVER_CPU, the load runs on LOAD_CPU; builds take turns, and figures are means over all
# rounds. Loopback only. Needs `perf`, and the right to sample the kernel (root, or kernel.perf_event_paranoid below 2).
# Judges nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=5 seconds=2 clients=64 before='' build=1
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        --clients) clients=$2; shift ;;
        --before) before=$(realpath "$2"); shift ;;
        --no-build) build=0 ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
command -v perf >/dev/null || { echo "perf is needed: it comes with linux-perf or linux-tools" >&2; exit 1; }
export ROUNDS=$rounds SECONDS_EACH=$seconds CLIENTS=$clients BEFORE=$before
export SERVER_CPU=${SERVER_CPU:-0} LOAD_CPU=${LOAD_CPU:-1} TARGET=${CARGO_TARGET_DIR:-target}/dist

if [ "$build" = 1 ]; then
    cargo build --quiet --profile dist --bin weir >&2
fi
export PYTHONDONTWRITEBYTECODE=1
exec python3 scripts/budget.py
