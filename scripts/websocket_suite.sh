#!/usr/bin/env bash
# Runs the Autobahn cases for WebSocket servers against examples/websocket_echo, whose framing is `weir serve`'s.
#
# Usage: scripts/websocket_suite.sh [ECHO]     ECHO: the example's binary; without it, a debug build is made.
#
# All but the groups 12 and 13: they are about compression, which is never agreed on. Needs Python 3.10 or newer with
# pip. `kosoku`, which runs the cases, comes from PyPI in the version pinned in scripts/websocket/, into target/websocket/,
# and stays there until the pin changes. Autobahn's own `wstest` needs Python 2.7, which few machines have; with
# WSTEST=PATH in the environment it runs as well.
# `kosoku` gives a server a second or so for each step, so a machine that pauses fails a case or two. Those run again,
# alone, and have to pass three times in a row; more than eight failures are not tried again.
# Prints a line for each run, and what failed; reports are in target/websocket/. The exit status is 0 if all is well.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
sources=$here/websocket
target=$(realpath -m "${CARGO_TARGET_DIR:-$here/../target}")
cache=$target/websocket
# The number of cases in the groups 1 to 7, 9 and 10.
cases=301
start_seconds_max=10
run_seconds_max=300
retried_max=8
retries=3

failed=0
server_pid=
scratch=$(mktemp -d)

finish() {
  if [[ -n $server_pid ]]; then
    kill -KILL "$server_pid" 2>/dev/null || true
  fi
  rm -rf "$scratch"
}
trap finish EXIT

die() {
  echo "websocket_suite.sh: $1" >&2
  exit 1
}

install() {
  local sum
  mkdir -p "$cache"
  sum=$(sha256sum <"$sources/requirements.txt")
  [[ -f $cache/installed.sum && $(<"$cache/installed.sum") == "$sum" ]] && return
  rm -rf "$cache/installed.sum" "$cache/python"
  echo "installing the suite"
  if ! { python3 -m venv --without-pip "$cache/python" &&
    python3 -m pip --python "$cache/python/bin/python" install --no-deps --no-compile --disable-pip-version-check \
      --progress-bar off -r "$sources/requirements.txt"; } >"$scratch/install" 2>&1; then
    cat "$scratch/install" >&2
    return 1
  fi
  echo "$sum" >"$cache/installed.sum"
}

start_server() {
  "$echo" 127.0.0.1:0 >"$scratch/server.out" 2>"$scratch/server.log" &
  server_pid=$!
  local deadline=$((SECONDS + start_seconds_max))
  while url=$(grep -om1 'http://[^ ]*/mcp' "$scratch/server.out" || true) && [[ -z $url ]]; do
    if ! kill -0 "$server_pid" 2>/dev/null || ((SECONDS > deadline)); then
      cat "$scratch/server.log" >&2
      die "$echo does not serve"
    fi
    sleep 0.05
  done
  url=ws${url#http}
}

# judged NAME CASES SECONDS: reads the report in the runner's folder; the names of the cases that failed are in `lost`.
judged() {
  local verdict=ok text
  text=$(python3 "$sources/judge.py" "$cache/$1/index.json" "$2" "$scratch/lost" 2>&1) || verdict=FAIL
  printf '%-4s  %-6s  %3d s  %s\n' "$verdict" "$1" "$3" "$text"
  [[ $verdict == ok ]]
}

# kosoku OPTION…: runs the cases that the options choose. Its exit status is not asked for: the judge sees the results.
kosoku() {
  rm -rf "$cache/kosoku"
  timeout "$run_seconds_max" "$cache/python/bin/kosoku" --outdir "$cache/kosoku" "$@" "$url" >"$scratch/kosoku" 2>&1 ||
    true
}

run_kosoku() {
  local start=$SECONDS lost chosen=() name attempt
  kosoku --parallelism 4 --exclude '12.*' --exclude '13.*'
  judged kosoku "$cases" $((SECONDS - start)) && return
  mapfile -t lost <"$scratch/lost"
  if ((${#lost[@]} == 0 || ${#lost[@]} > retried_max)); then
    return 1
  fi
  for name in "${lost[@]}"; do
    chosen+=(--include "$name")
  done
  for ((attempt = 0; attempt < retries; attempt++)); do
    start=$SECONDS
    kosoku "${chosen[@]}"
    judged kosoku "${#lost[@]}" $((SECONDS - start)) || return 1
  done
}

run_wstest() {
  local start=$SECONDS
  rm -rf "$cache/wstest"
  printf '{"outdir": "%s", "servers": [{"agent": "weir", "url": "%s"}], "cases": ["*"], "exclude-cases": ["12.*", "13.*"],
    "exclude-agent-cases": {}}' "$cache/wstest" "$url" >"$scratch/spec.json"
  (cd "$scratch" && timeout "$run_seconds_max" "$WSTEST" --mode fuzzingclient --spec spec.json >wstest 2>&1) || true
  judged wstest "$cases" $((SECONDS - start))
}

echo=${1:-}
if [[ -z $echo ]]; then
  cargo build --quiet --locked --manifest-path "$here/../Cargo.toml" --example websocket_echo
  echo=$target/debug/examples/websocket_echo
fi
install || die "the suite cannot be installed"
start_server
run_kosoku || failed=$((failed + 1))
if [[ -n ${WSTEST:-} ]]; then
  run_wstest || failed=$((failed + 1))
fi
((failed == 0))
