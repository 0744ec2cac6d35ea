"""Idle connections beside busy ones: the cost of ten thousand idle ones for those that work.

One shard on a CPU of its own, the load on the other. A round measures with and without the idle connections;
which comes first changes, so that drift favours neither.
"""

import statistics

import bench
import echo_request as echo
import keep_alive
from backpressure import scene
from backpressure.figures import Figure

NAME = "idle connections"
IDLE, BUSY = 10_000, 64
WARM_UP_SECONDS = 0.5
RATIO_MAX = 1.2


def run(server, seconds):
    options = ["--clients", BUSY, "--duration", bench.time(seconds), "--warm-up", bench.time(WARM_UP_SECONDS)]
    return scene.load(server, "echo", {"message": echo.MESSAGE}, *options, seconds=seconds, cpu=scene.load_cpu)


def run_beside(server, seconds):
    opened = keep_alive.open_connections(server.address, IDLE, keep_alive.request(server.address))
    with scene.closing(opened):
        report = run(server, seconds)
        # The rows mean nothing unless the idle connections were there to the end.
        report["idle"] = sum(scene.by_shard(server, scene.OPEN))
    return report


def measure(options):
    runs = {run: [], run_beside: []}
    with scene.weir([scene.server_cpu], "--shards", 1, "--idle-timeout", "10m") as server:
        run_beside(server, WARM_UP_SECONDS)
        for turn in range(options.rounds):
            order = list(runs) if turn % 2 else list(reversed(runs))
            for measured in order:
                runs[measured].append(measured(server, options.seconds))
    alone, beside = runs.values()

    def median(runs, field):
        return statistics.median(report[field] for report in runs)

    ratio = statistics.median(b["p99_micros"] / a["p99_micros"] for a, b in zip(alone, beside))
    return [
        Figure(NAME, "P99 alone", median(alone, "p99_micros"), "µs", note=f"{BUSY} connections, median"),
        Figure(NAME, f"P99 beside {IDLE:,}", median(beside, "p99_micros"), "µs"),
        Figure(NAME, "P99, beside over alone", ratio, "x", at_most=RATIO_MAX, note="median of the rounds' ratios"),
        Figure(NAME, "P50, beside over alone", median(beside, "p50_micros") / median(alone, "p50_micros"), "x"),
        Figure(NAME, "idle connections at the end", min(report["idle"] for report in beside), at_least=IDLE),
        Figure(NAME, "answers that were not good", sum(report["errors"] for report in alone + beside), at_most=0),
    ]
