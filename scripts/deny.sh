#!/usr/bin/env bash
# Checks the dependencies for banned or doubled crates, licences and sources, by `.cargo/deny.toml`.
#
# Usage: scripts/deny.sh [CHECK …]     default: bans licenses sources
#
# Takes cargo-deny from the PATH if it is of this version. Otherwise it is built, in a minute and a half of CPU, from
# the package registry into target/cargo-deny/, and stays there. `advisories` needs a database from elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20.2
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
home=$target/cargo-deny/$version
deny=$(command -v cargo-deny || true)
if [[ -z $deny || $("$deny" --version) != "cargo-deny $version" ]]; then
  deny=$home/bin/cargo-deny
  if [[ ! -x $deny ]]; then
    # It runs for a second, so it is built in the profile that is built soonest, without what debuggers need.
    CARGO_TARGET_DIR=$home/build CARGO_PROFILE_DEV_DEBUG=0 \
      cargo install --quiet --locked --profile dev --root "$home" "cargo-deny@$version"
    rm -rf "$home/build"
  fi
fi
checks=("$@")
[[ $# -gt 0 ]] || checks=(bans licenses sources)
for manifest in Cargo.toml tests/fuzz/Cargo.toml; do
  "$deny" --manifest-path "$manifest" --config .cargo/deny.toml --locked check "${checks[@]}"
done
