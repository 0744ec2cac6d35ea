#!/usr/bin/env bash
# Measures the toolset `files` beside what people use today: `read_file` beside the reference filesystem server, `search`
# beside ripgrep with one thread.
#
# Both servers are driven over their pipes with the same calls, 64 at a time, and pinned to SERVER_CPU; the reference server
# speaks nothing else. Texts of 1, 10 and 40 KiB are read, which fit into one answer of either. The search is of the sources
# that cargo has downloaded, or of TREE, after one round that nobody counts, so that all of it is in memory. Figures are
# medians of the rounds, ratios medians of the rounds' own ratios.
#
#   scripts/files.sh [--rounds N] [--quick] [--no-build]
#
#   --quick      one short round: shows that everything works, judges no figure
#   --no-build   measure what was built and installed before
#
# Needs Node.js with npm, and Cargo. What is installed lies in PEERS, outside the repository.
# Environment: SERVER_CPU=0 LOAD_CPU=1 PEERS=~/.cache/weir-files TREE=~/.cargo/registry/src TARGET=target/dist.
# Exit 1 when an answer is wrong, or a bar is missed; the bars stand at the top of scripts/files.py.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=5 judge=1 build=1
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds=$2; shift ;;
        --quick) rounds=1 judge=0 ;;
        --no-build) build=0 ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
export ROUNDS=$rounds JUDGE=$judge
export SERVER_CPU=${SERVER_CPU:-0} LOAD_CPU=${LOAD_CPU:-1}
export PEERS=${PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/weir-files}
export TREE=${TREE:-${CARGO_HOME:-$HOME/.cargo}/registry/src}
export TARGET=${TARGET:-${CARGO_TARGET_DIR:-target}/dist}

if [ "$build" = 1 ]; then
    cargo build --quiet --profile dist --bin weir >&2
    mkdir -p "$PEERS"
    # Scripts of packages are not run: the server needs none.
    npm --prefix "$PEERS" install --ignore-scripts --no-audit --no-fund --loglevel=error \
        @modelcontextprotocol/server-filesystem@2026 >&2
    cargo install --quiet --locked --root "$PEERS" ripgrep@15 >&2
fi
PYTHONDONTWRITEBYTECODE=1 exec python3 scripts/files.py
