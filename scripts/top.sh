#!/usr/bin/env bash
# Drives `weir top` in tmux as an operator would: a server under load, keys, a server that goes away and comes back, a
# terminal that is left as it was.
#
# Usage: scripts/top.sh [WEIR]     default: target/debug/weir
#
# Takes tmux from the PATH if there is one. Otherwise it is unpacked from Debian's packages into target/tmux/, where it
# stays: nothing is installed. That takes apt and dpkg, and root if apt's lists have to be fetched first.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../target}
weir=$(realpath "${1:-$target/debug/weir}")
unpacked=$target/tmux

# Fetches tmux and the libraries it names into the working directory.
download() {
  local packages
  packages=$(apt-cache depends tmux | sed -n 's/^ *Depends: \(lib\(event\|utempter\)[^ ]*\)$/\1/p')
  # shellcheck disable=SC2086
  apt-get download tmux $packages
}

if tmux=$(command -v tmux); then
  libraries=
else
  tmux=$unpacked/usr/bin/tmux
  libraries=$unpacked/usr/lib/$(uname -m)-linux-gnu
  if [[ ! -x $tmux ]]; then
    mkdir -p "$target"
    fetched=$(mktemp -d "$target/tmux.XXXXXX")
    (cd "$fetched" && { download || { apt-get update && download; }; }) >"$fetched/log" 2>&1 ||
      { cat "$fetched/log" >&2; echo "top.sh: no tmux, and Debian's package cannot be fetched" >&2; exit 1; }
    for package in "$fetched"/*.deb; do dpkg -x "$package" "$fetched/root"; done
    mv "$fetched/root" "$unpacked"
    rm -rf "$fetched"
  fi
fi

scratch=$(mktemp -d)
export LC_ALL=C.UTF-8
tmux() { LD_LIBRARY_PATH=$libraries command "$tmux" -S "$scratch/tmux" "$@"; }

server=
stop() {
  [[ -z $server ]] || kill -9 "$server" 2>/dev/null || true
  [[ -z $server ]] || wait "$server" 2>/dev/null || true
  server=
}
trap 'stop; tmux kill-server 2>/dev/null || true; rm -rf "$scratch"' EXIT

# Starts a server at these addresses and waits until it says where it listens.
serve() {
  : >"$scratch/log"
  "$weir" serve --listen "$1" --admin "$2" --toolset demo --shards 2 --pool-size 8 2>"$scratch/log" &
  server=$!
  for _ in $(seq 400); do
    if grep -q 'serving' "$scratch/log"; then
      listen=$(sed -n 's|.*url=http://\([^/]*\)/.*|\1|p' "$scratch/log")
      admin=$(sed -n 's|.*admin=\([^ ]*\).*|\1|p' "$scratch/log")
      return
    fi
    sleep 0.05
  done
  cat "$scratch/log" >&2
  exit 1
}

# Waits until the screen has this.
shows() {
  for _ in $(seq 400); do
    tmux capture-pane -p >"$scratch/screen"
    ! grep -qE -- "$1" "$scratch/screen" || return 0
    sleep 0.05
  done
  echo "top.sh: the screen never has: $1" >&2
  cat "$scratch/screen" >&2
  exit 1
}

# Calls a tool, by its name and its arguments as JSON.
call() {
  python3 - "http://$listen/mcp" "$1" "$2" <<'PROGRAM'
import json
import sys
import urllib.request

url, name, arguments = sys.argv[1:]
params = {"name": name, "arguments": json.loads(arguments)}
body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
urllib.request.urlopen(urllib.request.Request(url, body, head)).read()
PROGRAM
}

serve 127.0.0.1:0 127.0.0.1:0
call echo '{"message":"x"}'
call sleep '{"ms":60000}' 2>/dev/null &
tmux -f /dev/null new-session -d -x 80 -y 24 "TERM=screen-256color exec sh"
tmux send-keys "stty -a >$scratch/before; echo be''fore; $weir top http://$admin --interval 200ms" Enter
shows '^SHARD'
shows '1/8 +12%'
shows '^echo '
tmux send-keys Down
tmux send-keys Enter
shows '^shard [01] '
tmux send-keys Escape
shows '^TOOL'
tmux send-keys s
shows 'sort: latency'
tmux send-keys C-z
shows 'Stopped'
tmux send-keys 'fg' Enter
shows '^TOOL'
shell=$(tmux list-panes -F '#{pane_pid}')
kill -TSTP "$(cut -d' ' -f1 "/proc/$shell/task/$shell/children")"
shows 'Stopped'
tmux send-keys 'fg' Enter
shows '^TOOL'
tmux resize-window -x 120 -y 40
shows '\? help$'
tmux resize-window -x 80 -y 24
stop
shows 'away for .*Connection refused'
serve "$listen" "$admin"
shows 'restarted .* ago'
shows '0/16 0%'
tmux send-keys q
tmux send-keys "echo en''ded \$?; stty -a >$scratch/after; echo do''ne" Enter
shows 'ended 0$'
shows 'done$'
shows 'before$'
cmp "$scratch/before" "$scratch/after"
echo "top.sh: driven in $(tmux -V)"
