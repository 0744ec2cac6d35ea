#!/usr/bin/env bash
# Measures how much memory is resident once weir has started and answered one call, by the number of shards.
#
# Starts servers with all defaults, and with --prefault on, and reads their resident set size (RSS) once it has
# settled. Loopback only; the port is the system's choice. More shards than CPUs share the CPUs.
#
#   scripts/resident.sh [--binary PATH] [--json] [SHARDS...]      (1 2 8 32 unless said)
#
# Builds the release binary unless one is given. Exit 1 when a call is answered wrongly, or a shard adds more than
# 4 MiB to an idle server. A binary that does not know --prefault is measured without it.
set -euo pipefail
cd "$(dirname "$0")/.."

binary= format=table shards=()
while [ $# -gt 0 ]; do
    case $1 in
        --binary) binary=$2; shift ;;
        --json) format=json ;;
        [1-9]*) shards+=("$1") ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
if [ -z "$binary" ]; then
    cargo build --quiet --release --bin weir >&2
    binary=${CARGO_TARGET_DIR:-target}/release/weir
fi
[ ${#shards[@]} -gt 0 ] || shards=(1 2 8 32)
export BINARY=$binary FORMAT=$format SHARDS="${shards[*]}" PYTHONDONTWRITEBYTECODE=1
exec python3 scripts/resident.py
