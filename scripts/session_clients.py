#!/usr/bin/env python3
"""What clients cost that have a child each (`mode=session`), beside the children alone; and what the merged endpoint of
two servers costs over that of one.

    scripts/session_clients.py [--build DIR] [--child COMMAND] [--clients N] [--rounds N] [memory] [first] [merged]

DIR has `weir` and `examples/echo_child`, which is the child unless COMMAND names another with a tool `echo`; both are
built by `cargo build --release --examples --bins`. Loopback only, two CPUs. Ends with 1 if a bar is missed:

memory  proportional set size (PSS) of Weir, its launcher and the children of N clients that have made a call each, against
        that of as many children that a small program has started and told the same: at most 1.1 times as much
first   how long a new client waits from its first byte to the end of its first call, with a child of its profile that
        waits for it, against a shared child, in turn: at most 1 ms more, by the median
merged  CPU time of Weir for a call at /mcp of two servers against that at /servers/NAME/mcp, in short runs in turn
"""

import argparse
import contextlib
import http.client
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import echo_request as echo
import servers

EVERY = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
MEMORY_BAR, FIRST_BAR_SECONDS = 1.1, 0.001
ABLE = {"elicitation": {}, "sampling": {}, "roots": {}}
MERGED_SECONDS, MERGED_CLIENTS = 1.0, 4


def initialize(number=0):
    params = {"protocolVersion": echo.LEGACY_REVISION, "capabilities": ABLE, "clientInfo": {"name": "c", "version": "1"}}
    return {"jsonrpc": "2.0", "id": number, "method": "initialize", "params": params}


INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class Session:
    """A legacy client on one connection."""

    def __init__(self, address, path=echo.PATH):
        self.connection = http.client.HTTPConnection(address, timeout=60)
        self.path, self.headers = path, EVERY | {"mcp-protocol-version": echo.LEGACY_REVISION}

    def post(self, message, status=200):
        text = message if isinstance(message, str) else json.dumps(message)
        self.connection.request("POST", self.path, text, self.headers)
        response = self.connection.getresponse()
        body = response.read().decode()
        if response.status != status:
            raise SystemExit(f"{response.status} instead of {status}: {body[:300]}")
        session = response.headers["mcp-session-id"]
        if session:
            self.headers["mcp-session-id"] = session
        return body

    def open(self):
        self.post(initialize())
        self.post(INITIALIZED, 202)

    def echo(self):
        if echo.MESSAGE not in self.post(echo.body("legacy")):
            raise SystemExit("an echo is wrong")

    def close(self):
        self.connection.request("DELETE", self.path, headers=self.headers)
        self.connection.getresponse().read()
        self.connection.close()


@contextlib.contextmanager
def weir(build, *arguments):
    line = [os.path.join(build, "weir"), "serve", "--listen", "127.0.0.1:0", "--admin", "off", "--report", "none"]
    server = servers.Server("weir", [*line, "--shards", "1", *arguments], {0, 1})
    try:
        yield server
    finally:
        server.stop()


def descendants(root):
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{name}/stat") as file:
                rest = file.read().rpartition(") ")[2].split()
            parents.setdefault(int(rest[1]), []).append(int(name))
    found, todo = [], [root]
    while todo:
        below = parents.get(todo.pop(), [])
        found += below
        todo += below
    return found


def pss_kib(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return 0


def name_of(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm") as file:
        return file.read().strip()


def memory_alone(command, clients):
    """KiB of children that are told what a client's child is told."""
    children = []
    for _ in range(clients):
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        children.append(child)
        for message in (initialize(), INITIALIZED, json.loads(echo.body("legacy"))):
            child.stdin.write(json.dumps(message).encode() + b"\n")
            child.stdin.flush()
            while "id" in message and f'"id":{message["id"]}'.encode() not in child.stdout.readline().replace(b" ", b""):
                pass
    time.sleep(2)
    alone = sum(pss_kib(pid) for child in children for pid in [child.pid, *descendants(child.pid)])
    for child in children:
        child.kill()
        child.wait()
    return alone


def measure_memory(given):
    command, clients = shlex.split(given.child), given.clients
    alone = memory_alone(command, clients)
    pool = f"mode=session,max={clients + 2},max_in_flight=4,unwrap=off,queue_timeout=60s"
    with weir(given.build, "--starts-max", "4", "--stdio", given.child, "--pool", pool) as server:
        sessions = [Session(server.address) for _ in range(clients)]
        for session in sessions:
            session.open()
            session.echo()
        time.sleep(2)
        below = descendants(server.pid)
        launcher = [pid for pid in below if name_of(pid) == "weir-launcher"]
        children = [pid for pid in below if pid not in launcher]
        ours = pss_kib(server.pid) + sum(map(pss_kib, launcher))
        theirs = sum(map(pss_kib, children))
        # One waits for the next client.
        in_use = theirs * clients / max(len(children), 1)
        [session.connection.close() for session in sessions]
    ratio, plain = (ours + in_use) / alone, (ours + theirs) / alone
    print(f"memory of {clients} clients: {alone / 1024:.1f} MiB of children alone; behind Weir {theirs / 1024:.1f} MiB of")
    print(f"  {len(children)} children and {ours / 1024:.1f} MiB of Weir, {pss_kib_text(ours, clients)} a client:")
    print(f"  {plain:.3f} times, {ratio:.3f} without the child that waits (bar {MEMORY_BAR})")
    return plain <= MEMORY_BAR


def pss_kib_text(kib, clients):
    return f"{kib / clients:.0f} KiB"


def first_call(server):
    session = Session(server.address)
    begun = time.perf_counter()
    session.open()
    session.echo()
    took = time.perf_counter() - begun
    session.close()
    return took


def measure_first(given):
    with contextlib.ExitStack() as stack:
        kinds = {
            "shared": stack.enter_context(weir(given.build, "--stdio", given.child, "--pool", "mode=shared,max=2,min_idle=2")),
            "session": stack.enter_context(weir(given.build, "--stdio", given.child, "--pool", "mode=session,min_idle=3,max=8")),
        }
        times = {kind: [] for kind in kinds}
        for step in range(given.rounds + 3):
            for kind, server in kinds.items():
                took = first_call(server)
                if step >= 3:
                    times[kind].append(took)
            # Until a child waits for the next client.
            time.sleep(0.4)
    middle = {kind: statistics.median(found) for kind, found in times.items()}
    more = middle["session"] - middle["shared"]
    print(f"first call of a new client, median of {given.rounds}: shared {middle['shared'] * 1000:.2f} ms, with a child of its")
    print(f"  profile {middle['session'] * 1000:.2f} ms: {more * 1000:+.2f} ms (bar {FIRST_BAR_SECONDS * 1000:+.0f})")
    return more <= FIRST_BAR_SECONDS


def cpu_seconds(pid):
    """Of all threads, to the nanosecond."""
    used = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/schedstat") as file:
            used += int(file.read().split()[0])
    return used / 1e9


def cpu_of_a_call(server, path, tool):
    """Seconds of CPU of the server for a call, over a second of clients that call one after the other."""
    counts, stop = [0] * MERGED_CLIENTS, time.monotonic() + MERGED_SECONDS
    body = echo.call("modern", tool, {"message": echo.MESSAGE})

    def call(number):
        connection = http.client.HTTPConnection(server.address, timeout=10)
        while time.monotonic() < stop:
            connection.request("POST", path, body, EVERY | echo.headers("modern", tool))
            text = connection.getresponse().read()
            if echo.MESSAGE.encode() not in text:
                raise SystemExit(f"{path}: {text[:300]}")
            counts[number] += 1
        connection.close()

    before = cpu_seconds(server.pid)
    threads = [threading.Thread(target=call, args=(number,)) for number in range(MERGED_CLIENTS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return (cpu_seconds(server.pid) - before) / sum(counts)


def measure_merged(given):
    child = shlex.split(given.child)
    each = {"command": child[0], "args": child[1:], "pool": {"mode": "shared", "max": 1}}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"mcpServers": {"a": each, "b": each}}, file)
        file.flush()
        with weir(given.build, "--mcp-json", file.name) as server:
            ways = {"own": ("/servers/a/mcp", "echo"), "merged": ("/mcp", "a__echo")}
            found = {way: [] for way in ways}
            for step in range(given.rounds + 1):
                for way in sorted(ways, reverse=step % 2 == 1):
                    used = cpu_of_a_call(server, *ways[way])
                    if step:
                        found[way].append(used)
    ratios = [merged / own for merged, own in zip(found["merged"], found["own"], strict=True)]
    own, merged = (statistics.median(found[way]) * 1e6 for way in ("own", "merged"))
    print(f"CPU of Weir for a call, medians of {given.rounds}: {own:.2f} µs at the server's endpoint, {merged:.2f} µs at the")
    print(f"  merged one: {merged - own:+.2f} µs, ratio {statistics.median(ratios):.3f}")
    return True


def main():
    measures = {"memory": measure_memory, "first": measure_first, "merged": measure_merged}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="target/release")
    parser.add_argument("--child")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("what", nargs="*", choices=[*measures, []])
    given = parser.parse_args()
    given.child = given.child or os.path.abspath(os.path.join(given.build, "examples", "echo_child"))
    kept = [measures[name](given) for name in given.what or measures]
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
