"""Stealing is free when nobody waits: CPU per echo with stealing on over that with stealing off.

Two shards share the server's CPU, half of the connections on each. Both servers of a pair are fresh, so that
no accident of one process's memory decides; which comes first changes.
"""

import statistics

import bench
import echo_request as echo
from backpressure import scene
from backpressure.figures import Figure

NAME = "stealing while nobody waits"
CONNECTIONS = 64
WARM_UP_SECONDS = 0.5
RATIO_MAX = 1.05


def run(steal, seconds):
    with scene.weir([scene.server_cpu], "--shards", scene.SHARDS, "--steal", steal) as server:
        ports = scene.interleaved(scene.source_ports(server, [CONNECTIONS // scene.SHARDS] * scene.SHARDS))
        options = [*scene.placed(ports), "--duration", bench.time(seconds), "--warm-up", bench.time(WARM_UP_SECONDS), "--pid", server.pid]
        report = scene.load(server, "echo", {"message": echo.MESSAGE}, *options, seconds=seconds, cpu=scene.load_cpu)
        report["steals"] = scene.steals(scene.scrape(server))
    return report


def measure(options):
    runs = {"off": [], "on": []}
    for turn in range(options.pairs):
        for steal in sorted(runs, reverse=turn % 2 == 1):
            runs[steal].append(run(steal, options.seconds))
    cpu = "server_cpu_micros_per_request"
    ratio = statistics.median(on[cpu] / off[cpu] for off, on in zip(runs["off"], runs["on"]))
    figures = [
        Figure(NAME, f"CPU per echo, {steal}", statistics.median(report[cpu] for report in own), "µs",
               note=f"median of {len(own)}")
        for steal, own in runs.items()
    ]  # fmt: skip
    figures.append(Figure(NAME, "CPU per echo, on over off", ratio, "x", at_most=RATIO_MAX,
                          note="median of the pairs' ratios"))  # fmt: skip
    stolen = sum(report["steals"] for report in runs["on"])
    figures.append(Figure(NAME, "connections stolen, on", stolen, at_most=0))
    bad = sum(report["errors"] for own in runs.values() for report in own)
    figures.append(Figure(NAME, "answers that were not good", bad, at_most=0))
    return figures
