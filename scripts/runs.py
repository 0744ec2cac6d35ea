"""The measuring part of runs.sh: runs the rounds, prints medians as Markdown, judges the marks."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench
import echo_request as echo
import memory
import servers

TOKIO_MICROS_MAX, SLEEPER_BYTES_MAX = 15, 2 << 10
CONNECTIONS, SLEEPERS, SLEEP_MILLIS = 64, 10_000, 30_000
# Connections are made before their calls, so these have begun by then.
BEGIN_SECONDS = 10
TOOLS = {"echo": "on the shard", "echo_tokio": "on tokio", "echo_blocking": "on a worker"}

environment = os.environ
rounds, seconds = int(environment["ROUNDS"]), float(environment["SECONDS_EACH"])
warm_up, target = environment["WARM_UP"], environment["TARGET"]
server_cpu, load_cpu = int(environment["SERVER_CPU"]), int(environment["LOAD_CPU"])


def server(pool_size):
    command = [f"{target}/examples/runs", "--pool-size", str(pool_size)]
    return servers.Server("runs", command, {server_cpu})


def load(folder, address, tool, arguments, *options):
    body = f"{folder}/{tool}.json"
    Path(body).write_text(echo.call("modern", tool, arguments), encoding="utf-8")
    options = ["--cpus", load_cpu, "--warm-up", bench.time(float(warm_up)), *options]
    return bench.command(f"{target}/weir", address, body, echo.headers("modern", tool), *options)


def echo_cpu(folder, running, tool):
    """CPU time of one call in microseconds."""
    options = ["--pid", running.pid, "--clients", CONNECTIONS, "--duration", bench.time(float(seconds))]
    command = load(folder, running.address, tool, {"message": echo.MESSAGE}, *options)
    run = bench.run(command)
    if run["errors"]:
        sys.exit(f"{run['errors']} calls of {tool} were wrong or lost")
    return run["server_cpu_micros_per_request"]


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def sleepers(folder, tool):
    """What so many sleeping calls of a tool add to the process: bytes of each, and threads of all."""
    with server(SLEEPERS + 16) as running:
        echo.check(running.address, "modern", tool, {"ms": 1}, "slept")
        before, threads_before = memory.settled(running.pid), threads(running.pid)
        options = ["--clients", SLEEPERS, "--duration", "1000s"]
        command = load(folder, running.address, tool, {"ms": SLEEP_MILLIS}, *options)
        calls = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            time.sleep(BEGIN_SECONDS)
            assert calls.poll() is None, "the calls have ended"
            added = memory.read(running.pid).rss - before.rss
            return {"bytes": added / SLEEPERS, "threads": threads(running.pid) - threads_before}
        finally:
            calls.kill()
            calls.wait()


def main():
    cpu, sleeping = {tool: [] for tool in TOOLS}, {}
    with tempfile.TemporaryDirectory() as folder:
        with server(256) as running:
            for turn in range(rounds):
                first = turn % len(TOOLS)
                names = list(TOOLS)
                for tool in names[first:] + names[:first]:
                    cpu[tool].append(echo_cpu(folder, running, tool))
                print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
        for tool in ("sleep", "sleep_tokio"):
            sleeping[tool] = sleepers(folder, tool)
    print("| an echo | CPU, µs |\n|---|---|")
    for tool, where in TOOLS.items():
        print(f"| {where} | {statistics.median(cpu[tool]):.1f} |")
    print(f"\n| {SLEEPERS:,} calls that sleep | bytes each | threads |\n|---|---|---|")
    for tool, where in {"sleep": "on the shard", "sleep_tokio": "on tokio"}.items():
        print(f"| {where} | {sleeping[tool]['bytes']:,.0f} | {sleeping[tool]['threads']} |")
    more = statistics.median(a - b for a, b in zip(cpu["echo_tokio"], cpu["echo"]))
    each = sleeping["sleep_tokio"]["bytes"] - sleeping["sleep"]["bytes"]
    marks = [
        (f"an echo on tokio costs {more:.1f} µs more, at most {TOKIO_MICROS_MAX}", more <= TOKIO_MICROS_MAX),
        (f"a call that sleeps there takes {each:,.0f} bytes more, at most {SLEEPER_BYTES_MAX:,}", each <= SLEEPER_BYTES_MAX),
        ("sleeping calls have no threads", sleeping["sleep_tokio"]["threads"] <= 0),
    ]
    print()
    for text, is_met in marks:
        print(f"{'met' if is_met else 'MISSED'}: {text}")
    return environment["JUDGE"] == "1" and not all(is_met for _, is_met in marks)


if __name__ == "__main__":
    sys.exit(main())
