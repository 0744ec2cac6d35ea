#!/usr/bin/env python3
"""Kills all children of a pool at once while calls run, and looks at what comes of it; and how long a shard stands still
while a large server starts children.

    scripts/deaths.py [--build DIR] [--children N] [--clients N]
    scripts/deaths.py [--build DIR] --ballast MIB [--seconds N]

DIR has `weir` and `examples/echo_child`; both are built by `cargo build --release --examples --bins`. Prints a line for
each rule and ends with 1 if one is broken: every call is answered once, and with its own words or an error; those that
children had at the moment of the kill within a second; no zombie stays; the server has as many descriptors and threads as
before, and as many children once it is let out of quarantine, a minute later. Prints how long requests took while children
were started, and otherwise.

With a ballast nobody is killed. A server that has that much memory resident replaces a child after each call for N seconds;
how long requests took that no child is needed for stands beside what they took when no child was started, for as long. A
shard starts nobody, so the two are alike but for the CPU time that starts take; that of the process whose memory is so
large is held exactly: `strace`, where there is one, sees it make no process.
"""

import argparse
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import echo_request as echo

LIMIT = 1.0
# What makes a large server: three of these for each handler.
BALLAST_BUFFER_KIB = 32
EVERY = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


def stat(pid):
    """State, parent and command of a process."""
    with open(f"/proc/{pid}/stat") as file:
        text = file.read()
    rest = text[text.rindex(")") + 2 :].split()
    return rest[0], int(rest[1]), text[text.index("(") + 1 : text.rindex(")")]


def descendants(root):
    """Processes below another one, with their states and commands."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                state, parent, command = stat(name)
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents.setdefault(parent, []).append((int(name), state, command))
    found, todo = [], [root]
    while todo:
        below = parents.get(todo.pop(), [])
        found += below
        todo += [pid for pid, _, _ in below]
    return found


class Server:
    def __init__(self, build, pool, ballast=0):
        child = os.path.join(build, "examples", "echo_child")
        line = [os.path.join(build, "weir"), "serve", "--listen", "127.0.0.1:0", "--admin", "off"]
        line += ["--shards", "1", "--report", "none", "--stdio", child, "--pool", pool]
        if ballast:
            handlers = (ballast << 10) // (3 * BALLAST_BUFFER_KIB) + 1
            line += ["--memory-max", f"{4 * ballast}MiB", "--prefault", "on"]
            line += ["--pool-size", str(handlers), "--buffer-size", f"{BALLAST_BUFFER_KIB}KiB"]
        self.process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
        self.log = []
        self.address = None
        self.is_serving = threading.Event()
        threading.Thread(target=self.read, daemon=True).start()
        if not self.is_serving.wait(60):
            raise SystemExit("\n".join(self.log))

    def read(self):
        for line in self.process.stderr:
            self.log.append(line.rstrip())
            found = re.search(r"serving url=http://([^/]+)/mcp", line)
            if found:
                self.address = found.group(1)
                self.is_serving.set()

    def children(self):
        return [pid for pid, state, command in descendants(self.process.pid) if command == "echo_child" and state != "Z"]

    def zombies(self):
        return [pid for pid, state, _ in descendants(self.process.pid) if state == "Z"]

    def wait_for(self, children, patience):
        deadline = time.monotonic() + patience
        while len(self.children()) != children and time.monotonic() < deadline:
            time.sleep(0.05)
        return len(self.children())

    def size(self):
        pid = self.process.pid
        return len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(next(line.split()[1] for line in file if line.startswith("VmRSS"))) >> 10


class Pings(threading.Thread):
    """Asks the server for something that no child is needed for, all the time."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.times, self.stop = server, [], threading.Event()
        self.start()

    def run(self):
        connection = http.client.HTTPConnection(self.server.address, timeout=10)
        request = json.loads(echo.call("modern", "", {}))
        request["method"] = "tools/list"
        for name in ("name", "arguments"):
            del request["params"][name]
        headers = EVERY | {"mcp-protocol-version": echo.MODERN_REVISION, "mcp-method": "tools/list"}
        while not self.stop.is_set():
            begun = time.perf_counter()
            connection.request("POST", echo.PATH, json.dumps(request), headers)
            connection.getresponse().read()
            self.times.append(time.perf_counter() - begun)

    def end(self):
        self.stop.set()
        self.join()
        return sorted(self.times)


def shown(times):
    """Quantiles, in ms."""
    if not times:
        return "nothing"
    places = (("P50", 0.5), ("P99", 0.99), ("P99.9", 0.999))
    parts = [f"{name} {times[int(len(times) * share)] * 1000:.2f}" for name, share in places]
    return ", ".join([*parts, f"max {times[-1] * 1000:.2f} ms"])


class Client(threading.Thread):
    """Calls over one connection, one after the other."""

    def __init__(self, server, number, stop):
        super().__init__(daemon=True)
        self.server, self.number, self.stop = server, number, stop
        self.calls, self.wrong = [], []

    def run(self):
        connection = http.client.HTTPConnection(self.server.address, timeout=40)
        count = 0
        while not self.stop.is_set():
            count += 1
            words = f"{self.number}-{count}"
            tool, arguments, said = "echo", {"message": words}, words
            if count % 2:
                tool, arguments, said = "sleep", {"ms": 300}, "slept"
            begun = time.monotonic()
            connection.request("POST", echo.PATH, echo.call("modern", tool, arguments), EVERY | echo.headers("modern", tool))
            response = connection.getresponse()
            body = response.read()
            self.calls.append((begun, time.monotonic(), response.status))
            answers = [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: {")]
            answers = answers or [json.loads(body)]
            final = [answer for answer in answers if "method" not in answer]
            is_error = len(final) == 1 and "error" in final[0]
            is_said = len(final) == 1 and final[0].get("result", {}).get("content") == [{"type": "text", "text": said}]
            if not is_error and not is_said:
                self.wrong.append((words, body[:200]))
            if response.status == 503:
                time.sleep(0.05)


def starts_made(pid, seconds):
    """Processes that a process made meanwhile, threads aside; None without `strace`."""
    line = ["timeout", "-s", "INT", str(seconds), "strace", "-f", "-qq", "-e", "trace=fork,vfork,clone,clone3,execve", "-p", str(pid)]
    try:
        seen = subprocess.run(line, capture_output=True, text=True).stderr
    except FileNotFoundError:
        return None
    if "ptrace" in seen:
        return None
    calls = [line for line in seen.splitlines() if re.search(r"(fork|clone3?|execve)\(", line)]
    return len([line for line in calls if "CLONE_THREAD" not in line])


def measure_ballast(given, rule):
    pool = "mode=shared,min_idle=2,max=4,recycle_calls=1"
    server = Server(given.build, pool, given.ballast)
    deadline = time.monotonic() + 120
    while server.resident_mib() < given.ballast and time.monotonic() < deadline:
        time.sleep(0.1)
    there = server.resident_mib()
    rule(f"{there} MiB are resident of a ballast of {given.ballast}", there >= given.ballast)
    resting = Pings(server)
    time.sleep(given.seconds)
    otherwise = resting.end()
    stop, starting, seen = threading.Event(), Pings(server), set()
    client = Client(server, 0, stop)
    client.start()
    ends = time.monotonic() + given.seconds
    while time.monotonic() < ends:
        seen.update(server.children())
        time.sleep(0.01)
    while_starting = starting.end()
    made = starts_made(server.process.pid, 2)
    stop.set()
    client.join()
    rule(f"{len(seen)} children were started meanwhile, {len(client.calls)} calls, {len(client.wrong)} wrong", len(seen) > 4 and not client.wrong)
    print(f"       requests of the server's own took {shown(while_starting)} while children were started,")
    print(f"       {shown(otherwise)} otherwise; {slow(while_starting)} and {slow(otherwise)} of 10,000 took a millisecond or longer")
    if made is not None:
        rule(f"{made} processes were made by the one that has the memory, in two seconds more", made == 0)
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(30)


def slow(times):
    """How many of 10,000 took a millisecond or longer."""
    return round(sum(each >= 0.001 for each in times) / max(len(times), 1) * 10_000)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="target/release")
    parser.add_argument("--children", type=int, default=500)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--ballast", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=10)
    given = parser.parse_args()
    broken = []

    def rule(text, is_kept):
        print(f"{'ok' if is_kept else 'BROKEN':<6} {text}", flush=True)
        if not is_kept:
            broken.append(text)

    if given.ballast:
        measure_ballast(given, rule)
        sys.exit(1 if broken else 0)
    pool = f"mode=shared,min_idle={given.children},max={given.children},max_in_flight=4,queue_timeout=30s"
    server = Server(given.build, pool)
    begun = time.monotonic()
    starting = Pings(server)
    there = server.wait_for(given.children, 240)
    took = time.monotonic() - begun
    rule(f"{there} of {given.children} children run, {took:.1f} s after the first", there == given.children)
    while_starting = starting.end()
    resting = Pings(server)
    time.sleep(took)
    print(f"       {server.resident_mib()} MiB resident; a request of the server's own took")
    print(f"       {shown(while_starting)} while children were started, {shown(resting.end())} otherwise")
    stop = threading.Event()
    clients = [Client(server, number, stop) for number in range(given.clients)]
    [client.start() for client in clients]
    time.sleep(1)
    before = server.size()
    killed_at = time.monotonic()
    for pid in server.children():
        os.kill(pid, signal.SIGKILL)
    kill_took = time.monotonic() - killed_at
    time.sleep(3)
    stop.set()
    [client.join() for client in clients]
    calls = [call for client in clients for call in client.calls]
    wrong = [words for client in clients for words in client.wrong]
    pending = [ended - killed_at for begun, ended, _ in calls if begun < killed_at < ended]
    late = max(pending, default=0) - kill_took
    rule(f"{len(calls)} calls, {len(wrong)} with another answer than their own or an error {wrong[:1]}", not wrong)
    rule(f"{len(pending)} calls ran; the last was over after {late:.3f} s", 0 < len(pending) and late < LIMIT)
    rule(f"{len(server.zombies())} zombies", not server.zombies())
    there = server.wait_for(given.children, 240)
    rule(f"{there} children run again", there == given.children)
    after = server.size()
    spare = given.clients
    rule(f"descriptors {before[0]} before, {after[0]} after, threads {before[1]} and {after[1]}",
         after[0] <= before[0] and after[0] >= before[0] - spare and after[1] == before[1])  # fmt: skip
    server.process.send_signal(signal.SIGTERM)
    status = server.process.wait(30)
    left = [pid for pid in descendants(os.getpid()) if pid[2] == "echo_child"]
    rule(f"the server ends with {status}, and leaves {len(left)}", status == 0 and not left)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
