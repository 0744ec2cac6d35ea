#!/usr/bin/env bash
# Measures weir beside servers written for this one job and beside the SDKs, all in one interleaved run: `canned` (the data
# ring alone, which parses nothing), `epoll` and `hyper` (the same tools by hand), `rmcp`, the official `typescript` and
# `python` SDKs, and `fastmcp` (benches/peers).
#
# The work is an echo with 1 to 4,000 clients, large requests and answers, the life of a legacy session, a mix of quick and
# slow calls, and few calls a second; then the toolset `files` beside the reference filesystem server and ripgrep, which
# scripts/files.sh measures. Every server has one process on SERVER_CPU, the load runs on LOAD_CPU. Each is started anew
# for every measurement and must first answer rightly. Loopback only; ports are the system's choice. Figures are medians of
# the rounds, ratios medians of the rounds' own ratios. An SDK that cannot do a work has "fails" and why in the table.
#
#   scripts/compare.sh [--rounds N] [--seconds S] [--quick] [--write] [--json FILE] [--only TEXT] [--no-build]
#
#   --quick      one short round: shows that everything works, judges no figure
#   --write      put the table into src/guide/comparison.md, and draw scripts/comparison.svg from it
#   --json FILE  every run's figures, too
#   --only TEXT  only the work whose name contains the text
#   --no-build   measure what was built before
#
# Needs Node.js with npm, Python 3.11 or newer with pip, and Cargo. The SDKs are installed into SDKS, what files.sh needs
# into FILES, outside the repository, in the versions pinned in benches/peers/sdks.
# Environment: SERVER_CPU=0 LOAD_CPU=1 WARM_UP=0.5 SDKS=~/.cache/weir-sdks FILES=~/.cache/weir-files, and SERVERS, a list
# of the names above.
# Exit 1 when an answer is wrong or lost, or a mark is missed; the marks stand at the top of scripts/compare.py.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=5 seconds=2 judge=1 build=1 write=0 json='' only=''
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        --quick) rounds=1 seconds=0.3 judge=0 WARM_UP=${WARM_UP:-0.1} ;;
        --write) write=1 ;;
        --json) json=$(realpath -m "$2"); shift ;;
        --only) only=$2; shift ;;
        --no-build) build=0 ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
export ROUNDS=$rounds SECONDS_EACH=$seconds JUDGE=$judge WRITE=$write JSON=$json ONLY=$only
export WARM_UP=${WARM_UP:-0.5} SERVER_CPU=${SERVER_CPU:-0} LOAD_CPU=${LOAD_CPU:-1}
export SERVERS=${SERVERS:-"weir canned epoll hyper rmcp typescript python fastmcp"} BUILD=$build
export SDKS=${SDKS:-${XDG_CACHE_HOME:-$HOME/.cache}/weir-sdks}
# What Node's libraries leave out in production.
export NODE_ENV=production
export TARGET=${CARGO_TARGET_DIR:-target}/dist

if [ "$build" = 1 ]; then
    cargo build --quiet --profile dist --bin weir --example canned >&2
    # Scripts of packages are not run: no server needs them. Modules are looked up from where the importing file lies.
    mkdir -p "$SDKS"
    cp benches/peers/sdks/* "$SDKS"
    npm --prefix "$SDKS" ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    python3 -m venv --without-pip "$SDKS/python"
    python3 -m pip --python "$SDKS/python/bin/python" install --quiet --no-deps --disable-pip-version-check \
        -r "$SDKS/requirements.txt" >&2
fi
. scripts/peers.sh
ulimit -n "$(ulimit -Hn)"
export PYTHONDONTWRITEBYTECODE=1
status=0
python3 scripts/compare.py || status=$?
if [ "$write" = 1 ]; then
    scripts/picture.py
fi
exit $status
