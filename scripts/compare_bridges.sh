#!/usr/bin/env bash
# Measures weir with child processes beside other bridges to them, all in one interleaved run on the same two CPUs:
# npm's supergateway and mcp-proxy, PyPI's mcp-proxy and fastmcp, the Rust crate tower-mcp (benches/peers/tower), and the
# children driven over their pipes with nothing between.
#
# The children are `@modelcontextprotocol/server-everything`, the work is its echo with 1, 16 and 64 clients of one
# legacy session, then new clients, one after the other. A native child, the example `echo_child`, stands beside the
# same tool in-process; and 1,000 clients share four children whose tool sleeps 10 ms. CPU time is that of the whole
# tree of processes, front and children apart. Figures are medians of the rounds.
#
#   scripts/compare_bridges.sh [--rounds N] [--seconds S] [--quick] [--json FILE] [--only TEXT] [--no-build]
#
#   --quick      one short round: shows that everything works, judges no figure
#   --json FILE  every run's figures, too
#   --only TEXT  only the work whose name contains the text
#   --no-build   measure what was built and installed before
#
# Needs Node.js with npm, and Python 3.11 or newer with pip. What is installed lies in BRIDGES, outside the repository.
# Environment: CPUS=0,1 WARM_UP=1 BRIDGES=~/.cache/weir-bridges TARGET=target/dist, and FRONTS, a list of the names
# below. Exit 1 when an answer is wrong, or a bar is missed; the bars stand at the end of scripts/compare_bridges.py.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=3 seconds=4 judge=1 build=1 json='' only=''
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        --quick) rounds=1 seconds=0.5 judge=0 WARM_UP=${WARM_UP:-0.2} ;;
        --json) json=$(realpath -m "$2"); shift ;;
        --only) only=$2; shift ;;
        --no-build) build=0 ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
export ROUNDS=$rounds SECONDS_EACH=$seconds JUDGE=$judge JSON=$json ONLY=$only
export WARM_UP=${WARM_UP:-1} CPUS=${CPUS:-0,1} FRONTS=${FRONTS:-}
export BRIDGES=${BRIDGES:-${XDG_CACHE_HOME:-$HOME/.cache}/weir-bridges}
export TARGET=${TARGET:-${CARGO_TARGET_DIR:-target}/dist}

# install_python NAME: a virtual environment for the package, filled by the installed pip.
install_python() {
    python3 -m venv --without-pip "$BRIDGES/$1" &&
        python3 -m pip --python "$BRIDGES/$1/bin/python" install --quiet --no-compile --disable-pip-version-check "$1"
}

if [ "$build" = 1 ]; then
    cargo build --quiet --profile dist --bin weir --example pipes --example echo_child >&2
    mkdir -p "$BRIDGES"
    # Scripts of packages are not run: no bridge needs them.
    npm --prefix "$BRIDGES" install --ignore-scripts --no-audit --no-fund --loglevel=error \
        supergateway@4 mcp-proxy@6 @modelcontextprotocol/server-everything@2026 >&2
    install_python mcp-proxy >&2
    install_python fastmcp >&2
fi
PEER_PACKAGES=tower-peer BUILD=$build . scripts/peers.sh
ulimit -n "$(ulimit -Hn)"
PYTHONDONTWRITEBYTECODE=1 exec python3 scripts/compare_bridges.py
