#!/usr/bin/env bash
# Builds the fuzz targets with the compiler at hand, and has each take the seeds of its corpus once.
#
# Usage: scripts/fuzz_seeds.sh
#
# This shows that the targets build and that no seed fails; it looks for no new inputs. For that, with cargo-fuzz and a
# nightly compiler: `cargo fuzz run --fuzz-dir tests/fuzz TARGET`. Needs a C++ compiler.
set -euo pipefail
cd "$(dirname "$0")/.."

fuzz=tests/fuzz
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
log=$(mktemp)
trap 'rm -f "$log"' EXIT

CARGO_TARGET_DIR=$target cargo build --quiet --locked --manifest-path $fuzz/Cargo.toml
for source in $fuzz/fuzz_targets/*.rs; do
  name=$(basename "$source" .rs)
  seeds=("$fuzz/corpus/$name"/*)
  if ! "$target/debug/$name" "${seeds[@]}" >"$log" 2>&1; then
    cat "$log"
    echo "fuzz_seeds.sh: $name failed with the last of the seeds above" >&2
    exit 1
  fi
  echo "$name: ${#seeds[@]} seeds"
done
