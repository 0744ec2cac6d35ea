"""Runs a server and the load, and says what one point of a curve is."""

import json
import math
import os
import re
import subprocess
import sys
import time
import urllib.request

import bench
import servers

WEIR = os.environ.get("WEIR", "target/dist/weir")
SERVER_CPU, LOAD_CPU = (int(os.environ.get(name, default)) for name, default in [("SERVER_CPU", 0), ("LOAD_CPU", 1)])

UTILIZATIONS = [0.5, 0.65, 0.75, 0.8, 0.85, 0.9, 0.95]
QUICK_UTILIZATIONS = [0.5, 0.8]
CLIENTS_PER_HANDLER = [0.5, 0.75, 1, 1.25, 2, 4, 8, 10]
QUICK_CLIENTS_PER_HANDLER = [1, 2]
THINK_MS = 250
# So many calls at least, so that P99 is not one call; slow tools are measured for longer.
CALLS_MIN = 800

WARM_UP = 1.5

SAMPLE = re.compile(r"^(\w+)(?:\{(.*?)\})? (\S+)$", re.M)


class Counters:
    """What the server has counted so far."""

    def __init__(self, admin):
        with urllib.request.urlopen(f"http://{admin}/metrics") as answer:
            text = answer.read().decode()
        self.waits, self.calls, self.call_seconds = {}, 0.0, 0.0
        self.steals = 0.0
        for name, labels, value in SAMPLE.findall(text):
            value = float(value)
            if name == "weir_queue_wait_seconds_bucket":
                edge = float(re.search(r'le="([^"]+)"', labels)[1].replace("+Inf", "inf"))
                self.waits[edge] = self.waits.get(edge, 0.0) + value
            elif name == "weir_steals_total" and 'direction="in"' in labels:
                self.steals += value
            elif 'tool_name="sleep",error_type=""' in labels:
                if name == "mcp_server_operation_duration_seconds_sum":
                    self.call_seconds += value
                elif name == "mcp_server_operation_duration_seconds_count":
                    self.calls += value


def wait_p99_ms(before, after):
    """P99 of the wait over all calls, those that did not wait at all included; interpolated inside a bucket."""
    calls = after.calls - before.calls
    waits = [(edge, after.waits[edge] - before.waits.get(edge, 0.0)) for edge in sorted(after.waits)]
    beyond = 0.01 * calls
    waited = waits[-1][1]
    if waited <= beyond:
        return 0.0
    low, beyond_low = 0.0, waited
    for edge, count in waits:
        beyond_edge = waited - count
        if beyond_edge <= beyond:
            # Waits in a queue have an exponential tail, so their logarithms are a straight line.
            share = math.log(beyond_low / beyond) / math.log(beyond_low / max(beyond_edge, 0.5))
            return 1000 * (low + min(share, 1.0) * (min(edge, 60.0) - low))
        low, beyond_low = edge, beyond_edge
    return 1000 * low


def start(setting):
    cpus = [SERVER_CPU, LOAD_CPU][: setting.shards]
    return servers.weir_shards(
        WEIR,
        cpus,
        *("--shards", str(setting.shards), "--pool-size", str(setting.handlers), "--linger", setting.linger),
        # Nobody is refused: the curve would bend down where the queue is full.
        *("--queue-depth", "8192", "--queue-timeout", "30s", "--steal", setting.steal, "--access-log", "off"),
    )


def load(running, setting, *options):
    arguments = {"ms": setting.service_ms, "spread": setting.spread}
    words = [WEIR, "bench", bench.url(running.address), "--json", "--tool", "sleep", "--args", json.dumps(arguments)]
    words += ["--cpus", LOAD_CPU, "--warm-up", bench.time(WARM_UP), *options]
    with subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE) as bench_run:
        # What happens while connections are made is no part of the point.
        time.sleep(WARM_UP)
        before = Counters(running.admin)
        run = json.loads(bench_run.stdout.read())
    after = Counters(running.admin)
    calls = after.calls - before.calls
    # The server counts a call's time from when it has its handler.
    held = after.call_seconds - before.call_seconds
    waited = after.waits[float("inf")] - before.waits[float("inf")]
    if run["errors"]:
        print(f"{run['errors']} calls were wrong or lost: {run['others']}", file=sys.stderr)
    return {
        # A long call's time counts when it ends, so short windows can show more than there is.
        "utilization": min(held / max(calls, 1) * run["requests_per_second"] / setting.all_handlers, 1.0),
        "rate": run["requests_per_second"],
        "p50_ms": run["p50_micros"] / 1e3,
        "p99_ms": run["p99_micros"] / 1e3,
        "wait_p99_ms": wait_p99_ms(before, after),
        "waiting": min(waited / max(calls, 1), 1.0),
        "stolen": (after.steals - before.steals) / max(calls, 1),
        "held_ms": 1000 * held / max(calls, 1),
        "calls": run["requests"],
        "refused": run["refused"],
        "errors": run["errors"],
        "generator": run["generator"]["busy"],
    }


def open_curve(setting, seconds, is_quick):
    """The points of one curve, by rate."""
    points = []
    capacity = setting.all_handlers * 1000 / setting.service_ms
    with start(setting) as running:
        for offered in QUICK_UTILIZATIONS if is_quick else UTILIZATIONS:
            rate = offered * capacity
            lasts = seconds if is_quick else max(seconds, CALLS_MIN / rate)
            options = ["--rate", f"{rate:.3f}", "--duration", bench.time(lasts)]
            options += ["--clients", setting.clients, "--clients-max", max(setting.clients, 2000)]
            points.append({"offered": offered, **load(running, setting, *options)})
            time.sleep(0.2)
    return points


def closed_curve(setting, seconds, is_quick):
    """The points of one curve, by clients per handler."""
    points = []
    for each in QUICK_CLIENTS_PER_HANDLER if is_quick else CLIENTS_PER_HANDLER:
        clients = round(each * setting.all_handlers)
        # With a server of its own, since a classic pool keeps who came first.
        with start(setting) as running:
            options = ["--clients", clients, "--think-time", f"{THINK_MS}ms", "--duration", bench.time(seconds)]
            point = load(running, setting, *options, "--timeout", "5s")
            points.append({"clients": clients, **point})
    return points
