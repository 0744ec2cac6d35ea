#!/usr/bin/env bash
# Checks the alert rules for Prometheus in scripts/alerts/, runs their unit tests, and checks the queries of
# scripts/dashboard.json, as rules that Prometheus could record.
#
# Usage: scripts/alerts.sh
#
# Takes promtool from the PATH if there is one. Otherwise it is unpacked from Debian's package `prometheus` into
# target/prometheus/, where it stays: nothing is installed and no service is started. That takes apt and dpkg, and
# root if apt's lists have to be fetched first. The exit status is 0 if all rules and tests pass.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../target}
unpacked=$target/prometheus

die() {
  echo "alerts.sh: $1" >&2
  exit 1
}

# Fetches the package into the working directory. The lists may be missing, or name a version that is gone.
download() {
  local log=$PWD/apt.log
  apt-get download prometheus >"$log" 2>&1 && return
  echo "alerts.sh: no package at once, fetching apt's lists" >&2
  apt-get update >>"$log" 2>&1 && apt-get download prometheus >>"$log" 2>&1 && return
  cat "$log" >&2
  return 1
}

# Unpacks promtool beside its place and moves it there whole, so that half an unpacking is never used.
unpack() {
  local tool
  for tool in apt-get dpkg; do
    command -v "$tool" >/dev/null || die "no promtool, and no $tool to get it with: install Prometheus"
  done
  mkdir -p "$target"
  scratch=$(mktemp -d "$target/prometheus.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  (cd "$scratch" && download) || die "no promtool, and Debian's package \`prometheus\` cannot be fetched"
  dpkg -x "$scratch"/prometheus_*.deb "$scratch/root" || die "the package cannot be unpacked"
  "$scratch/root/usr/bin/promtool" --version >/dev/null 2>&1 || die "the package's promtool does not run here"
  mkdir -p "$unpacked"
  mv "$scratch/root/usr/bin/promtool" "$unpacked/promtool"
}

promtool=$(command -v promtool || true)
if [[ -z $promtool ]]; then
  promtool=$unpacked/promtool
  [[ -x $promtool ]] || unpack
fi
"$promtool" --version 2>&1 | sed -n 1p
cd "$here/alerts"
"$promtool" check rules weir.rules.yml
"$promtool" test rules weir.rules.test.yml
queries=$(mktemp)
trap 'rm -rf "${scratch:-}" "$queries"' EXIT
python3 - ../dashboard.json >"$queries" <<'PROGRAM'
import json
import sys


def queries(part):
    """Every `expr` in the dashboard, with Grafana's variables replaced by values."""
    if isinstance(part, dict):
        if "expr" in part:
            yield part["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from queries(inner)


with open(sys.argv[1], encoding="utf-8") as file:
    found = list(queries(json.load(file)))
rules = [{"record": f"dashboard:{number}", "expr": query} for number, query in enumerate(found)]
json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, sys.stdout)
PROGRAM
"$promtool" check rules "$queries"
