#!/usr/bin/env bash
# Measures the data ring inside the executor (canned) against a hand-written epoll server.
#
# Servers run on CPU 0, the load on CPU 1; rounds of the two are interleaved and the table shows medians.
# Exit 1 when the ring misses its mark: CPU per request over 1.3 times epoll's at 64 connections, or an
# answer later than 50 ms where no interleaved epoll round shows one.
#
#   scripts/ring.sh [ROUNDS] [SECONDS]     environment: SERVER_CPU, LOAD_CPU, WARM_UP, CONNECTIONS
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${1:-5}
seconds=${2:-3}
server_cpu=${SERVER_CPU:-0}
load_cpu=${LOAD_CPU:-1}
warm_up=${WARM_UP:-0.5}
connections=${CONNECTIONS:-"1 8 64 256 1000"}
target=${CARGO_TARGET_DIR:-target}/dist/examples
results=$(mktemp)
pids=()

millis() { awk -v seconds="$1" 'BEGIN { printf "%dms", seconds * 1000 }'; }

stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -f "$results" "$results".*
}
trap stop EXIT

cargo build --quiet --profile dist --bin weir --example canned --example epoll
ulimit -n "$(ulimit -Hn)"

# Starts a server and leaves its pid and address in `pid` and `address`.
start() {
    "$target/$1" --cpu "$server_cpu" >"$results.$1" &
    pid=$!
    pids+=("$pid")
    until address=$(sed -n "s/^listening //p" "$results.$1" 2>/dev/null) && [ -n "$address" ]; do
        kill -0 "$pid" 2>/dev/null || { echo "$1 did not start" >&2; exit 1; }
        sleep 0.05
    done
}

cat >"$results.body" <<'BODY'
{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"}}}
BODY
start canned; canned_pid=$pid canned_address=$address
start epoll; epoll_pid=$pid epoll_address=$address

measure() { # server, pid, address, connections, further arguments
    "$target/../weir" bench "http://$3/mcp" --json --body "$results.body" --label "$1" --pid "$2" --clients "$4" \
        --cpus "$load_cpu" --duration "$(millis "$seconds")" --warm-up "$(millis "$warm_up")" "${@:5}" >>"$results"
}

for round in $(seq "$rounds"); do
    for count in $connections churn; do
        further=()
        number=$count
        if [ "$count" = churn ]; then further=(--requests-per-connection 1) number=64; fi
        # Who goes first changes, so that a drifting machine favours neither.
        order="canned epoll"
        if [ $((round % 2)) = 0 ]; then order="epoll canned"; fi
        for server in $order; do
            pid_name=${server}_pid address_name=${server}_address
            measure "$server" "${!pid_name}" "${!address_name}" "$number" "${further[@]}"
        done
    done
done

python3 - "$results" <<'PYTHON'
import json, statistics, sys

rows = {}
for line in open(sys.argv[1]):
    row = json.loads(line)
    rows.setdefault((row["requests_per_connection"] is not None, row["connections"]), {}).setdefault(row["label"], []).append(row)

names = ["requests_per_second", "server_cpu_micros_per_request", "p50_micros", "p99_micros", "max_micros"]
median = lambda runs, name: statistics.median(run[name] for run in runs)
print(f"{'connections':>12} {'server':>7} {'req/s':>9} {'CPU µs/req':>11} {'p50 µs':>9} {'p99 µs':>9}"
      f" {'max µs':>10} {'late':>5} {'errors':>6} {'CPU ratio':>9}")
failed = []
for (churn, count), servers in sorted(rows.items()):
    ratio = 0.0
    if "epoll" in servers and "canned" in servers:
        ratio = median(servers["canned"], names[1]) / median(servers["epoll"], names[1])
    for server in sorted(servers):
        runs = servers[server]
        what = f"{count}{' churn' if churn else ''}"
        values = [median(runs, name) for name in names]
        late, errors = (sum(run[name] for run in runs) for name in ("late", "errors"))
        print(f"{what:>12} {server:>7} {values[0]:>9.0f} {values[1]:>11.2f} {values[2]:>9.1f} {values[3]:>9.1f}"
              f" {values[4]:>10.1f} {late:>5} {errors:>6}", f"{ratio:>9.2f}" if server == "canned" else "")
    late = {server: sum(run["late"] for run in runs) for server, runs in servers.items()}
    if late.get("canned") and not late.get("epoll"):
        failed.append(f"{what}: answers of canned later than 50 ms, none of epoll")
    if sum(run["errors"] for run in servers.get("canned", [])):
        failed.append(f"{what}: errors of canned")
    if (churn, count) == (False, 64) and ratio > 1.3:
        failed.append(f"{what}: CPU per request {ratio:.2f} times epoll's, at most 1.3 is allowed")
print("\n".join(failed) if failed else "within the marks")
sys.exit(bool(failed))
PYTHON
