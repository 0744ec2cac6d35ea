#!/usr/bin/env bash
# Makes the pages of `weir bench`, `weir tune` and the report at exit from real runs, opens them in Chromium in two sizes,
# light and dark, and reads their figures back. Pictures of them stay in target/pages/.
#
# Usage: scripts/pages.sh [WEIR]     default: target/debug/weir
#
# Needs Node.js with npm, and Chromium or the right to install Debian's package of it. Loopback only.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-$here/../target}")
weir=$(realpath "${1:-$target/debug/weir}")
pages=$target/pages
# shellcheck source=scripts/chromium.sh
. "$here/chromium.sh"

mkdir -p "$pages"
rm -f "$pages"/*.html "$pages"/*.json "$pages"/*.png
cp "$here"/pages/{package.json,package-lock.json,pages.mjs} "$pages"
npm --prefix "$pages" ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
install_chromium "$pages/install-chromium.log" >&2

server=
cleanup() {
  if [[ -n $server ]]; then kill "$server" 2>/dev/null || true; fi
}
trap cleanup EXIT
"$weir" serve --listen 127.0.0.1:0 --admin 127.0.0.1:0 --toolset demo --shards 2 --pool-size 4 --access-log off \
  --report "html:$pages/report.html" >"$pages/serve.log" 2>&1 &
server=$!
for _ in $(seq 200); do
  url=$(grep -oE 'url=http://127.0.0.1:[0-9]+[^ ]*' "$pages/serve.log" | head -1 | cut -d= -f2) && break
  sleep 0.05
done
admin=$(grep -oE 'admin=127.0.0.1:[0-9]+' "$pages/serve.log" | head -1 | cut -d= -f2)

"$weir" bench "$url" --tool sleep=3 --args '{"ms":5}' --tool fail=1 --args '{"how":"error"}' --expect error \
  --rate 200 --duration 4s --html "$pages/bench.html" --out "$pages/bench.json" >"$pages/bench.log"
# A search of a few seconds knows enough for a page.
"$weir" tune "$url" --admin "$admin" --tool sleep --args '{"ms":10,"spread":"exponential"}' --p99 2s --max-time 32s \
  --html "$pages/tune.html" --out "$pages/tune.json" >"$pages/tune.log"
requests=$(curl -sf "http://$admin/metrics" | awk '/^weir_requests_total/ { sum += $2 } END { print sum }')
printf '{"requests": %s}\n' "$requests" >"$pages/report.json"
kill "$server"
wait "$server" || true
server=

CHROMIUM=$(command -v chromium) node "$pages/pages.mjs" "$pages" bench tune report
