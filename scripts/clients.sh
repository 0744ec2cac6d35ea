#!/usr/bin/env bash
# Real MCP clients against `weir serve`: every client, in every era it speaks, makes the same tour. It lists
# the tools and calls them, one after another and all at once; sends a number beyond 64 bits and, where it can, half of an
# emoji; reads, gets and completes; receives progress, cancels a
# call, subscribes to a file and receives its change, answers a question; lets its model be asked by the example
# `everything`; and ends its session. Most do it again over stdio, where they start the servers themselves, as a desktop's
# configuration says. scripts/clients/scenario.json has the expected answers, and the limits of each client. Some are pages in
# a browser: one of another origin, with nothing but fetch and EventSource, and the Inspector's web interface. In the end
# `weir probe` and `weir serve` have servers of the SDKs.
#
# Usage: scripts/clients.sh [--pool KEY=VALUE,…] [--only PATTERN] [WEIR [EVERYTHING]]
#   --pool             The servers are children of `weir serve` and `weir stdio`, in such a pool: the tour is of those.
#   --only             The clients whose line matches this extended regular expression, and no others.
#   WEIR, EVERYTHING   The binaries; without them, debug builds are made.
#
# Needs Node.js with npm, Python 3.11 or newer with pip, Cargo, and Chromium or the right to install Debian's package of
# it. The clients come from their registries, in the versions pinned in scripts/clients/, into target/clients/, and stay
# there until a pin changes. Does not measure the server.
# Prints a line for each client; the exit status is 0 if all passed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/chromium.sh
. "$here/chromium.sh"
sources=$here/clients
target=${CARGO_TARGET_DIR:-$here/../target}
cache=$target/clients
client_seconds_max=120
start_seconds_max=10
quiet="--log-level warn --access-log off"

pool=
only=
passed=0
failed=0
server_pid=
everything_pid=
scratch=$(mktemp -d)

finish() {
  local pid
  for pid in $server_pid $everything_pid; do
    kill -KILL "$pid" 2>/dev/null || true
  done
  rm -rf "$scratch"
}
trap finish EXIT

die() {
  echo "clients.sh: $1" >&2
  exit 1
}

# --- Installation -----------------------------------------------------------------------------------------------------

# installed NAME MANIFEST... -- COMMAND...: runs the command unless it succeeded with these manifests before.
installed() {
  local name=$1 manifests=() sum log=$scratch/install-$1.log
  shift
  while [[ $1 != -- ]]; do
    manifests+=("$1")
    shift
  done
  shift
  sum=$(cat "${manifests[@]}" | sha256sum)
  [[ -f $cache/$name.sum && $(<"$cache/$name.sum") == "$sum" ]] && return
  rm -f "$cache/$name.sum"
  echo "installing $name"
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    return 1
  fi
  echo "$sum" >"$cache/$name.sum"
}

# Scripts of packages are not run: no client needs them.
install_javascript() {
  npm --prefix "$cache" ci --ignore-scripts --no-audit --no-fund --loglevel=error
}

install_browser() {
  npm --prefix "$cache/browser" ci --ignore-scripts --no-audit --no-fund --loglevel=error
}

# install_python FOLDER REQUIREMENTS: a virtual environment filled by the installed pip, which is quicker than
# giving it one of its own.
install_python() {
  rm -rf "${cache:?}/$1" &&
    python3 -m venv --without-pip "$cache/$1" &&
    python3 -m pip --python "$cache/$1/bin/python" install --no-deps --no-compile --disable-pip-version-check \
      --progress-bar off -r "$sources/$2"
}

install() {
  mkdir -p "$cache/home"
  # JavaScript modules are looked up from where the importing file lies.
  find "$sources" -maxdepth 1 -type f -exec cp -t "$cache" {} +
  cp -r "$sources/browser" "$sources/servers" "$cache"
  local status=0 pid pids=()
  installed javascript "$sources"/package{,-lock}.json -- install_javascript &
  pids+=($!)
  installed browser "$sources"/browser/package{,-lock}.json -- install_browser &
  pids+=($!)
  install_chromium "$scratch/install-chromium.log" &
  pids+=($!)
  installed python "$sources/requirements.txt" -- install_python python requirements.txt || status=1
  installed python-v1 "$sources/requirements-v1.txt" -- install_python python-v1 requirements-v1.txt || status=1
  for pid in "${pids[@]}"; do
    wait "$pid" || status=1
  done
  # Cargo knows by itself what is up to date.
  cargo build --quiet --locked --manifest-path "$sources/rmcp/Cargo.toml" --target-dir "$cache/rmcp" || status=1
  return $status
}

# pinned NAME FILE: the version of a package in a manifest.
pinned() {
  sed -nE "s#^( *\"$1\": \"|$1==)([^\"]+).*#\2#p" "$sources/$2"
}

# --- Server -----------------------------------------------------------------------------------------------------------

# The files that scenario.json names.
make_root() {
  local root=$scratch/root
  mkdir -p "$root/notes" "$root/src"
  printf 'alpha\nbeta\ngamma\n' >"$root/notes/greek.txt"
  printf '日本 "quoted"\\\n' >"$root/notes/naïve ☃.txt"
  printf 'fn main() {\n    println!("needle");\n}\n' >"$root/src/main.rs"
  printf '\000\001\002\003' >"$root/data.bin"
  printf 'not served\n' >"$scratch/outside.txt"
  printf 'unchanged\n' >"$root/notes/watched.txt"
  touch -d 2024-02-29T12:34:56Z "$root/src/main.rs"
}

# started PID LOG PATTERN: waits for the pattern in the log of a server that starts, and prints the match.
started() {
  local deadline=$((SECONDS + start_seconds_max)) found
  while found=$(grep -oPm1 "$3" "$2"); [[ -z $found ]]; do
    if ! kill -0 "$1" 2>/dev/null || ((SECONDS > deadline)); then
      cat "$2" >&2
      return 1
    fi
    sleep 0.05
  done
  echo "$found"
}

# What the server serves: its toolsets, or itself as a child.
served() {
  local toolsets=(--toolset files --toolset demo --root "$scratch/root")
  if [[ -n $pool ]]; then
    printf '%s\n' --stdio "$weir stdio $quiet ${toolsets[*]}" --pool "$pool"
  else
    printf '%s\n' "${toolsets[@]}"
  fi
}

start_server() {
  local serving
  mapfile -t serving < <(served)
  : >"$scratch/log"
  "$weir" serve --listen 127.0.0.1:0 --admin 127.0.0.1:0 --sse-legacy on "${serving[@]}" \
    >"$scratch/report" 2>"$scratch/log" &
  server_pid=$!
  url=$(started "$server_pid" "$scratch/log" 'http://[^ ]*/mcp') || die "$weir does not serve"
  local admin
  admin=$(started "$server_pid" "$scratch/log" 'admin=\K[^ ]*') || die "$weir has no figures"
  export WEIR_ROOT=$scratch/root WEIR_METRICS=http://$admin/metrics
}

# The same servers as a desktop starts them, each client its own; figures are where a client expects them.
make_desktop() {
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  desktop=$scratch/desktop.json
  desktop_metrics=http://127.0.0.1:$port/metrics
  local serving
  mapfile -t serving < <(served)
  # The clients report the tour's failing calls, not records on stderr.
  python3 - "$weir" "$everything" "$quiet" "127.0.0.1:$port" "$pool" "${serving[@]}" >"$desktop" <<'PYTHON'
import json
import sys

weir, everything, quiet, admin, pool, *serving = sys.argv[1:]
serve = ["stdio", *quiet.split(), *serving]
own = [everything, "--option", "transport=stdio", "--option", "access-log=off"]
if pool:
    own = [weir, "stdio", *quiet.split(), "--stdio", " ".join(own), "--pool", pool]
servers = {
    "weir": {"command": weir, "args": [*serve, "--admin", admin]},
    # For who starts several at once.
    "bare": {"command": weir, "args": serve},
    "everything": {"command": own[0], "args": own[1:]},
}
print(json.dumps({"mcpServers": servers}))
PYTHON
}

start_everything() {
  local serving=("$everything" --option sse-legacy=on)
  if [[ -n $pool ]]; then
    serving=("$weir" serve --sse-legacy on --stdio "$everything --option transport=stdio --option access-log=off" --pool "$pool")
  fi
  : >"$scratch/everything.log"
  "${serving[@]}" --listen 127.0.0.1:0 >"$scratch/everything.log" 2>&1 &
  everything_pid=$!
  EVERYTHING_URL=$(started "$everything_pid" "$scratch/everything.log" 'http://[^ ]*/mcp') ||
    die "$everything does not serve"
  export EVERYTHING_URL SCENARIO=$sources
}

# Prints the lines of FILE about faults; requests that were refused as they should be are not among them.
complaints() {
  grep -E ' (WARN|ERROR) ' "$1" | grep -v ' weir::access: '
}

# A signal makes the server drain: nothing may be left over, and nothing may have gone wrong meanwhile.
stop_server() {
  local status=0
  kill -TERM "$server_pid"
  wait "$server_pid" || status=$?
  server_pid=
  ((status == 0)) && ! complaints "$scratch/log"
}

stop_everything() {
  local status=0
  kill -TERM "$everything_pid"
  wait "$everything_pid" || status=$?
  everything_pid=
  ((status == 0))
}

# --- Clients ----------------------------------------------------------------------------------------------------------

# check LABEL MODE COMMAND...: prints one line about the command. A client without complaints prints nothing; what it does
# print, such as a warning about a schema, its user would have to read.
check() {
  local label=$1 mode=$2 start=$EPOCHREALTIME verdict=ok elapsed_ms status=0
  shift 2
  # What was started is stopped in any case.
  [[ $mode == SIGTERM || "$label $mode" =~ $only ]] || return 0
  "$@" >"$scratch/output" 2>&1 || status=$?
  elapsed_ms=$(((${EPOCHREALTIME/[.,]/} - ${start/[.,]/}) / 1000))
  if ((status == 0)) && [[ ! -s $scratch/output ]]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    verdict=FAIL
  fi
  printf '%-4s  %-32s  %-20s  %3d.%d s\n' "$verdict" "$label" "$mode" $((elapsed_ms / 1000)) $((elapsed_ms % 1000 / 100))
  if [[ $verdict == FAIL ]]; then
    sed 's/^/      /' "$scratch/output"
    echo "      exit status $status"
  fi
}

# client LABEL RUNTIME PROGRAM MODE REVISION: no runtime for a program of its own.
client() {
  check "$1" "$4 $5" timeout "$client_seconds_max" ${2:+"$cache/$2"} "$cache/$3" "$url" "$4" "$5"
}

# page LABEL PROGRAM MODE REVISION: in a browser, whose many threads give way, so that no shard seems to stall.
page() {
  check "$1" "$3 $4" nice -n 10 timeout "$client_seconds_max" "$cache/node_modules/.bin/node" "$cache/browser/$2" \
    "$url" "$3" "$4"
}

# at_slash client|page LABEL ARGUMENTS...: the same with a slash behind the path.
at_slash() {
  local url=$url/
  "$1" "$2 /mcp/" "${@:3}"
}

# The same tour with a process of the client's own.
client_of_process() {
  check "$1" "stdio $4 $5" env WEIR_METRICS="$desktop_metrics" timeout "$client_seconds_max" ${2:+"$cache/$2"} \
    "$cache/$3" "$desktop" "$4" "$5"
}

run_clients() {
  local legacy=2025-11-25 modern=2026-07-28 label
  label="Python mcp $(pinned mcp requirements-v1.txt)"
  client "$label" python-v1/bin/python python_mcp_v1.py default $legacy
  client "$label" python-v1/bin/python python_mcp_v1.py websocket $legacy
  client "$label" python-v1/bin/python python_mcp_v1.py sse $legacy
  client_of_process "$label" python-v1/bin/python python_mcp_v1.py stdio $legacy
  label="Python mcp $(pinned mcp requirements.txt)"
  client "$label" python/bin/python python_mcp.py legacy $legacy
  client "$label" python/bin/python python_mcp.py auto $modern
  client "$label" python/bin/python python_mcp.py pin $modern
  client "$label" python/bin/python python_mcp.py sse $legacy
  at_slash client "$label" python/bin/python python_mcp.py auto $modern
  client_of_process "$label" python/bin/python python_mcp.py legacy $legacy
  client_of_process "$label" python/bin/python python_mcp.py auto $modern
  label="FastMCP $(pinned fastmcp-slim requirements.txt)"
  client "$label" python/bin/python python_fastmcp.py legacy $legacy
  client "$label" python/bin/python python_fastmcp.py auto $modern
  client "$label" python/bin/python python_fastmcp.py pin $modern
  client "$label" python/bin/python python_fastmcp.py sse $legacy
  client_of_process "$label" python/bin/python python_fastmcp.py auto $modern
  label="TypeScript sdk $(pinned @modelcontextprotocol/sdk package.json)"
  client "$label" node_modules/.bin/node typescript_v1.mjs default $legacy
  client "$label" node_modules/.bin/node typescript_v1.mjs websocket $legacy
  client "$label" node_modules/.bin/node typescript_v1.mjs sse $legacy
  at_slash client "$label" node_modules/.bin/node typescript_v1.mjs default $legacy
  client_of_process "$label" node_modules/.bin/node typescript_v1.mjs stdio $legacy
  label="TypeScript client $(pinned @modelcontextprotocol/client package.json)"
  client "$label" node_modules/.bin/node typescript_v2.mjs default $legacy
  client "$label" node_modules/.bin/node typescript_v2.mjs auto $modern
  client "$label" node_modules/.bin/node typescript_v2.mjs pin $modern
  client "$label" node_modules/.bin/node typescript_v2.mjs sse $legacy
  client_of_process "$label" node_modules/.bin/node typescript_v2.mjs default $legacy
  client_of_process "$label" node_modules/.bin/node typescript_v2.mjs auto $modern
  label="Inspector CLI $(pinned @modelcontextprotocol/inspector package.json)"
  client "$label" node_modules/.bin/node inspector.mjs legacy $legacy
  client "$label" node_modules/.bin/node inspector.mjs auto $modern
  client "$label" node_modules/.bin/node inspector.mjs modern $modern
  client "$label" node_modules/.bin/node inspector.mjs sse $legacy
  client_of_process "$label" node_modules/.bin/node inspector.mjs auto $modern
  label="mcp-remote $(pinned mcp-remote package.json)"
  client "$label" node_modules/.bin/node mcp_remote.mjs stdio $legacy
  client "$label" node_modules/.bin/node mcp_remote.mjs sse $legacy
  CHROMIUM=$(command -v chromium)
  export CHROMIUM
  label="Page in $("$CHROMIUM" --version 2>/dev/null | grep -oE 'Chromium [0-9]+')"
  page "$label" page.mjs session $legacy
  at_slash page "$label" page.mjs session $legacy
  page "$label" page.mjs stateless $modern
  page "$label" page.mjs sse $legacy
  page "$label" page.mjs foreign $modern
  label="Inspector web $(pinned @modelcontextprotocol/inspector-client browser/package.json)"
  page "$label" inspector.mjs direct $legacy
  label="rmcp $(sed -nE 's/^rmcp = .*"=([0-9.]+)".*/\1/p' "$sources/rmcp/Cargo.toml")"
  client "$label" "" rmcp/debug/weir-clients-rmcp legacy $legacy
  client "$label" "" rmcp/debug/weir-clients-rmcp auto $modern
  client "$label" "" rmcp/debug/weir-clients-rmcp pin $modern
  client_of_process "$label" "" rmcp/debug/weir-clients-rmcp legacy $legacy
  client_of_process "$label" "" rmcp/debug/weir-clients-rmcp auto $modern
}

# --- Servers of others ------------------------------------------------------------------------------------------------

# A configuration of servers on stdio of each SDK; what is under `probe` is what `weir probe` is to say.
make_others() {
  others=$scratch/others.json
  python3 - "$cache" >"$others" <<'PYTHON'
import json
import sys

cache = sys.argv[1]
LEGACY, BOTH = "2025-11-25 (by `initialize`) only", "a process speaks what it is asked in first"
servers = {
    "typescript-1": ("node_modules/.bin/node", "typescript_v1.mjs", LEGACY),
    "typescript-2": ("node_modules/.bin/node", "typescript_v2.mjs", BOTH),
    "python-1": ("python-v1/bin/python", "python_v1.py", LEGACY),
    "python-2": ("python/bin/python", "python_v2.py", BOTH),
}
named = {
    name: {"command": f"{cache}/{runtime}", "args": [f"{cache}/servers/{program}"], "probe": eras}
    for name, (runtime, program, eras) in servers.items()
}
print(json.dumps({"mcpServers": named}))
PYTHON
}

# Every server is found to be what it is, and its command to paste is for this file.
probe_others() {
  local told=$scratch/told
  "$weir" probe --mcp-json "$others" >"$told" 2>&1 &&
    python3 - "$others" "$told" <<'PYTHON' || { cat "$told" && return 1; }
import json
import sys

servers = json.load(open(sys.argv[1]))["mcpServers"]
told = open(sys.argv[2]).read()
found = {line.split()[1]: part for part in told.split("server   ")[1:] for line in ["server " + part]}
assert list(found) == list(servers), list(found)
for name, server in servers.items():
    for text in (server["probe"], "offers   ", " tool", "everybody by SIGKILL after", f"--mcp-json {sys.argv[1]}"):
        assert text in found[name], f"{name}: no {text!r}"
PYTHON
}

visit_others() {
  local url status=0
  : >"$scratch/log"
  "$weir" serve --listen 127.0.0.1:0 --mcp-json "$others" ${pool:+--pool "$pool"} >/dev/null 2>"$scratch/log" &
  server_pid=$!
  url=$(started "$server_pid" "$scratch/log" 'http://[^ ]*/mcp') || return 1
  timeout "$client_seconds_max" "$cache/python/bin/python" "$cache/visit.py" "$url" typescript-1=echo,ask typescript-2=echo \
    python-1=echo,ask python-2=echo || status=1
  kill -TERM "$server_pid"
  wait "$server_pid" || status=1
  server_pid=
  return $status
}

# --- Main -------------------------------------------------------------------------------------------------------------

while [[ ${1:-} == --* ]]; do
  case $1 in
    --pool) pool=$2 ;;
    --only) only=$2 ;;
    *) die "there is no $1" ;;
  esac
  shift 2
done
weir=${1:-}
if [[ -z $weir ]]; then
  cargo build --quiet --manifest-path "$here/../Cargo.toml" --bin weir
  weir=$target/debug/weir
fi
everything=${2:-}
if [[ -z $everything ]]; then
  cargo build --quiet --manifest-path "$here/../Cargo.toml" --example everything
  everything=$target/debug/examples/everything
fi
install || die "a client could not be installed"
make_root
start_server
start_everything
make_desktop
run_clients
check "weir serve" "SIGTERM" stop_server
check "everything" "SIGTERM" stop_everything
make_others
check "Servers of the SDKs" "probe" probe_others
check "Servers of the SDKs" "visit" visit_others
echo "$passed passed, $failed failed"
((failed == 0))
