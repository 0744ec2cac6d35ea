#!/usr/bin/env bash
# Runs the official conformance suite against examples/everything: what the revisions 2025-11-25 and 2026-07-28 require, every
# scenario at every revision, and the older release of the suite, which real servers were judged by before. Then it runs what
# the revisions require against `weir serve` with the same example as its children.
#
# Usage: scripts/conformance.sh [EVERYTHING [WEIR]]     The binaries; without them, debug builds are made.
#
# Needs npm. The suite, and the Node.js 22 it needs, come from the npm registry in the versions pinned in
# scripts/conformance/, into target/conformance/, and stay there until a pin changes: later runs need no network.
# Prints a line for each run and its failures; logs and results are in target/conformance/runs/. The only scenarios
# that are not held to pass are in scripts/conformance/expected-failures.yml, by the way in which the example is served:
# one that is listed and passes is a failure. The exit status is 0 if all was as expected.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
sources=$here/conformance
target=$(realpath -m "${CARGO_TARGET_DIR:-$here/../target}")
cache=$target/conformance
runs=$cache/runs
start_seconds_max=10
stop_seconds_max=15
# Seconds for one run, in which a scenario may take 30 s if the server hangs.
run_seconds_max=120

failed=0
# Options of the suite that limit its scenarios; without them each has 30 s.
limits=()
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
  echo "conformance.sh: $1" >&2
  exit 1
}

# --- Installation -----------------------------------------------------------------------------------------------------

# Scripts of packages are not run: nothing here needs them.
install() {
  local sum
  mkdir -p "$cache"
  sum=$(cat "$sources"/package{,-lock}.json | sha256sum)
  # The judge's modules are looked up from where it lies.
  cp "$sources"/* "$cache/"
  [[ -f $cache/installed.sum && $(<"$cache/installed.sum") == "$sum" ]] && return
  rm -f "$cache/installed.sum"
  echo "installing the suite"
  npm --prefix "$cache" ci --ignore-scripts --no-audit --no-fund --loglevel=error >"$scratch/install" 2>&1 ||
    { cat "$scratch/install" >&2 && return 1; }
  echo "$sum" >"$cache/installed.sum"
}

# --- Server -----------------------------------------------------------------------------------------------------------

# start_server SETUP COMMAND...: starts a server, which says its URL, and on which of its outputs does not matter.
start_server() {
  setup=$1
  shift
  mkdir -p "$runs/$setup"
  log=$runs/$setup/server.log
  : >"$log"
  "$@" --listen 127.0.0.1:0 >"$log" 2>&1 &
  server_pid=$!
  local deadline=$((SECONDS + start_seconds_max))
  while url=$(grep -om1 'http://[^ ]*/mcp' "$log" || true) && [[ -z $url ]]; do
    if ! kill -0 "$server_pid" 2>/dev/null || ((SECONDS > deadline)); then
      cat "$log" >&2
      die "$1 does not serve"
    fi
    sleep 0.05
  done
}

# A signal makes the server drain: nothing may be left over, and nothing may have gone wrong meanwhile. Not for a subshell,
# which could not wait for the server.
stop_server() {
  local status=0 start=${EPOCHREALTIME/[.,]/} complaints verdict=ok text=drained
  kill -TERM "$server_pid"
  timeout "$stop_seconds_max" tail --pid="$server_pid" -f /dev/null || kill -KILL "$server_pid"
  wait "$server_pid" || status=$?
  server_pid=
  # The suite sends much that is refused; records of that are none.
  complaints=$(grep -E ' (WARN|ERROR) ' "$log" | grep -v ' weir::access: ' || true)
  if ((status != 0)) || [[ -n $complaints ]]; then
    failed=$((failed + 1))
    verdict=FAIL
    text="exit status $status"$'\n'"$complaints"$'\n'"log: $log"
  fi
  report "$verdict" "$setup SIGTERM" "$start" "$text"
}

# --- Runs -------------------------------------------------------------------------------------------------------------

# report VERDICT LABEL START_US TEXT
report() {
  local elapsed_ms=$(((${EPOCHREALTIME/[.,]/} - $3) / 1000))
  printf '%-4s  %-46s  %3d.%d s  %s\n' "$1" "$2" $((elapsed_ms / 1000)) $((elapsed_ms % 1000 / 100)) "$(head -n 1 <<<"$4")"
  tail -n +2 <<<"$4" | sed '/^$/d; s/^/      /'
}

# suite RELEASE REQUIREMENTS OPTION...: one run of the suite; REQUIREMENTS is a revision or empty.
suite() {
  local release=$1 requirements=$2 label start=${EPOCHREALTIME/[.,]/} folder package verdict=ok text
  shift 2
  label="$setup $release ${*#--}"
  folder=$runs/$setup/${label//[^0-9a-z.]/-}
  package=$cache/node_modules/conformance-$release
  mkdir -p "$folder/results"
  # Its exit status is not asked for: the judge sees the same results, and those that are not scored too.
  timeout "$run_seconds_max" "$cache/node_modules/.bin/node" "$package/dist/index.js" server --url "$url" "$@" "${limits[@]}" \
    --output-dir "$folder/results" >"$folder/log" 2>&1 || true
  text=$("$cache/node_modules/.bin/node" "$cache/judge.mjs" "$folder/results" "$folder/log" \
    "$cache/expected-failures.yml" "$setup" ${requirements:+"$package/requirements/$requirements.yaml"} 2>&1) || verdict=FAIL
  if [[ $verdict == FAIL ]]; then
    failed=$((failed + 1))
    text+=$'\n'"log: $folder/log"
  fi
  report "$verdict" "$label" "$start" "$text"
}

run_directly() {
  local revision
  start_server direct "$everything"
  for revision in 2025-11-25 2026-07-28; do
    suite 0.2 "$revision" --requirements "$revision"
  done
  for revision in 2025-03-26 2025-06-18 2025-11-25 2026-07-28; do
    suite 0.2 '' --suite all --spec-version "$revision"
  done
  suite 0.2 '' --suite all
  suite 0.1 '' --suite all
  stop_server
}

# run_behind SETUP POOL REVISION...: the example serves as a child. A client of a legacy revision has a session, and a child
# of its own in it: there are hundreds.
run_behind() {
  local setup=$1 pool=$2 revision
  shift 2
  start_server "$setup" "$weir" serve --shards 2 --stdio "$everything --option transport=stdio" --pool "$pool"
  for revision in "$@"; do
    suite 0.2 "$revision" --requirements "$revision"
  done
  stop_server
}

# --- Main -------------------------------------------------------------------------------------------------------------

everything=${1:-}
if [[ -z $everything ]]; then
  cargo build --quiet --manifest-path "$here/../Cargo.toml" --example everything
  everything=$target/debug/examples/everything
fi
weir=${2:-}
if [[ -z $weir ]]; then
  cargo build --quiet --manifest-path "$here/../Cargo.toml" --bin weir
  weir=$target/debug/weir
fi
install || die "the suite could not be installed"
rm -rf "$runs"
mkdir -p "$runs"
run_directly
limits=(--timeout 5000)
run_behind session-legacy mode=session,era=legacy,max=200 2025-11-25 2026-07-28
run_behind session-modern mode=session,max=200 2025-11-25 2026-07-28
run_behind shared-modern mode=shared 2025-11-25 2026-07-28
if ((failed > 0)); then
  echo "$failed runs failed"
  exit 1
fi
