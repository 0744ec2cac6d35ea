#!/usr/bin/env bash
# Measures weir when a pool runs out: stealing, fairness, overload, idle connections, and their costs.
#
# Two CPUs are shared by server and load. Capacity is set by the demo tool `sleep` and small pools, so that the
# pool is the limit and not a CPU. Prints each figure beside its limit; exit 1 when a limit is missed or an answer
# is wrong. scripts/backpressure/ has a module per measurement, each of which says how it measures.
#
#   scripts/backpressure.sh [--only steal,fair,overload,idle,free,hop] [--seconds S] [--overload-seconds S]
#                           [--rounds N] [--pairs N] [--samples N] [--json FILE] [--quick] [--no-build]
#
#   --seconds           length of each closed-loop run
#   --overload-seconds  length of twice the capacity, for each of three queues
#   --rounds            with and without idle connections
#   --pairs             stealing on and off while nobody waits
#   --samples           hops
#   --json FILE         the figures, as JSON, too
#   --quick             short runs: shows that everything works, judges nothing
#   --no-build          measure what was built before
#
# Environment: SERVER_CPU=0 LOAD_CPU=1, WEIR (the binary; default: the `dist` build's). About nine minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

only=steal,fair,overload,idle,free,hop seconds=5 overload_seconds=60 rounds=5 pairs=10 samples=500 json='' judge=1 build=1
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --quick) seconds=1 overload_seconds=2 rounds=1 pairs=1 samples=50 judge=0 ;;
        --no-build) build=0 ;;
        --only | --seconds | --overload-seconds | --rounds | --pairs | --samples | --json)
            [ $# -gt 1 ] || usage
            name=${1#--}
            printf -v "${name//-/_}" %s "$2"
            shift
            ;;
        *) usage ;;
    esac
    shift
done
target=${CARGO_TARGET_DIR:-target}/dist
export ONLY=$only SECONDS_EACH=$seconds OVERLOAD_SECONDS=$overload_seconds ROUNDS=$rounds PAIRS=$pairs
export SAMPLES=$samples JSON=$json JUDGE=$judge
export SERVER_CPU=${SERVER_CPU:-0} LOAD_CPU=${LOAD_CPU:-1}
export WEIR=${WEIR:-$target/weir}

if [ "$build" = 1 ]; then cargo build --quiet --profile dist --bin weir >&2; fi
ulimit -n "$(ulimit -Hn)"
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=scripts
exec python3 -m backpressure
