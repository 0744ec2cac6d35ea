#!/usr/bin/env python3
"""Measures `weir bench` beside other load generators: percentiles beside oha's, CPU time beside wrk's.

All send the same call of `echo` or `sleep` to one server with one shard, by turns, on LOAD_CPU; the server runs on
SERVER_CPU. Closed loops with 64 connections, of a server that answers in microseconds, and of one whose calls sleep
5 ms, exponentially spread, which is where the server and not the generator makes the latency; and open loops, in which
oha's `--latency-correction` counts from when a request was due, as `weir bench` always does. Medians of the rounds,
ratios medians of the rounds' own ratios.

  scripts/generators.py [--weir PATH] [--oha PATH] [--wrk PATH] [--rounds N] [--seconds S] [--json FILE]

Needs oha (`cargo install oha --locked`) and wrk (Debian's package); one that is not there is left out.
Environment: SERVER_CPU=0 LOAD_CPU=1. Exit status 1 if, where calls sleep, a percentile is off by more than 2 %, or
`weir bench` takes more CPU time per request than wrk.
"""

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import bench
import echo_request as echo
import servers

SERVER_CPU = int(os.environ.get("SERVER_CPU", 0))
LOAD_CPU = int(os.environ.get("LOAD_CPU", 1))
CLIENTS = 64
PERCENTILES = ("p50", "p90", "p99")
OFF_MAX = 0.02

# Name, tool, arguments, rate of an open loop, and whether percentiles must agree, as where the server makes them.
INSTANT = ("echo", {"message": echo.MESSAGE})
SLOW = ("sleep", {"ms": 5, "spread": "exponential"})
WORK = [
    ("echo, closed loop", *INSTANT, None, False),
    ("sleep of 5 ms, closed loop", *SLOW, None, True),
    ("echo, 2,000 a second", *INSTANT, 2_000, False),
    ("sleep of 5 ms, 4,000 a second", *SLOW, 4_000, True),
]

PINNED = ["taskset", "-c", str(LOAD_CPU)]
# oha and wrk take the address and the body from the command line, and every header.
EVERY = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


def weir(options, address, folder, tool, arguments, rate):
    own = ["--cpus", LOAD_CPU, "--clients", CLIENTS, "--duration", bench.time(options.seconds), "--warm-up", "500ms"]
    if rate:
        own += ["--rate", rate, "--arrivals", "constant", "--clients-max", CLIENTS]
    body = write_body(folder, tool, arguments)
    words = bench.command(options.weir, address, body, echo.headers("modern", tool), *own)
    before = cpu_seconds()
    report = bench.run(words, timeout=60 + options.seconds)
    if report["errors"] or report["refused"]:
        raise SystemExit(f"weir bench: {report['errors']} errors, {report['refused']} refusals")
    cpu = report["generator"]["cpu_micros_per_request"] if not rate else None
    return figures({p: report[f"{p}_micros"] for p in PERCENTILES}, report["requests_per_second"], cpu, before)


def oha(options, address, folder, tool, arguments, rate):
    words = [*PINNED, options.oha, "--no-tui", "--output-format", "json", "-c", str(CLIENTS), "-m", "POST"]
    words += ["-z", bench.time(options.seconds), "-D", write_body(folder, tool, arguments), "-w"]
    words += ["--worker-threads", "1", "--disable-compression"]
    words += ["-T", EVERY["content-type"], "-A", EVERY["accept"]]
    for name, value in echo.headers("modern", tool).items():
        words += ["-H", f"{name}: {value}"]
    if rate:
        words += ["-q", str(rate), "--latency-correction"]
    before = cpu_seconds()
    words.append(bench.url(address))
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=60 + options.seconds)
    report = json.loads(done.stdout)
    if set(report["statusCodeDistribution"]) != {"200"}:
        raise SystemExit(f"oha: {report['statusCodeDistribution']}, {report['errorDistribution']}")
    spread = {p: report["latencyPercentiles"][p] * 1e6 for p in PERCENTILES}
    return figures(spread, report["summary"]["requestsPerSec"], None, before)


def wrk(options, address, folder, tool, arguments, rate):
    script = Path(folder, "post.lua")
    lines = ['wrk.method = "POST"', f"wrk.body = [[{echo.call('modern', tool, arguments)}]]"]
    for name, value in {**EVERY, **echo.headers("modern", tool)}.items():
        lines.append(f'wrk.headers["{name}"] = "{value}"')
    script.write_text("\n".join(lines), encoding="utf-8")
    words = [*PINNED, options.wrk, "-t1", f"-c{CLIENTS}", f"-d{options.seconds}", "--latency", "-s", str(script)]
    before = cpu_seconds()
    said = subprocess.run([*words, bench.url(address)], stdout=subprocess.PIPE, check=True, text=True).stdout
    requests = int(re.search(r"(\d+) requests in", said).group(1))
    if "Non-2xx" in said:
        raise SystemExit(f"wrk: {said}")
    return figures({}, requests / options.seconds, (cpu_seconds() - before) * 1e6 / requests, before)


def figures(spread, per_second, cpu, before):
    return {**spread, "per_second": per_second, "cpu": cpu, "cpu_seconds": cpu_seconds() - before}


def cpu_seconds():
    """Of children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_body(folder, tool, arguments):
    body = Path(folder, "body.json")
    body.write_text(echo.call("modern", tool, arguments), encoding="utf-8")
    return str(body)


def run_rounds(options):
    """The runs by work and generator."""
    runs = {}
    with tempfile.TemporaryDirectory() as folder, servers.weir(options.weir, SERVER_CPU) as server:
        for turn in range(options.rounds):
            for name, tool, arguments, rate, _ in WORK:
                own = {"weir bench": weir, "oha": oha} if options.oha else {"weir bench": weir}
                if options.wrk and name == WORK[0][0]:
                    own["wrk"] = wrk
                generators = list(own.items())
                for generator, run in generators[turn % len(own) :] + generators[: turn % len(own)]:
                    found = run(options, server.address, folder, tool, arguments, rate)
                    runs.setdefault((name, generator), []).append(found)
            print(f"round {turn + 1} of {options.rounds}", file=sys.stderr, flush=True)
    return runs


def ratio(runs, work, other, figure):
    pairs = zip(runs[work, "weir bench"], runs[work, other])
    return statistics.median(mine[figure] / its[figure] for mine, its in pairs)


def report(runs):
    """Prints the table; whether all agree that must."""
    is_met = True
    print("| work | generator | requests/s | P50 ms | P90 ms | P99 ms | CPU µs |\n|---|---|---|---|---|---|---|")
    for (work, generator), own in runs.items():
        middle = {key: statistics.median(run[key] for run in own) for key in own[0] if own[0][key] is not None}
        spread = [f"{middle[p] / 1e3:.3f}" if p in middle else "" for p in PERCENTILES]
        cpu = f"{middle['cpu']:.2f}" if "cpu" in middle else ""
        print(f"| {work} | {generator} | {middle['per_second']:,.0f} | " + " | ".join([*spread, cpu]) + " |")
    print("\n| `weir bench` over | P50 | P90 | P99 | CPU | met |\n|---|---|---|---|---|---|")
    for work, _, _, _, must_agree in WORK:
        if (work, "oha") in runs:
            ratios = [ratio(runs, work, "oha", p) for p in PERCENTILES]
            is_near = all(abs(found - 1) <= OFF_MAX for found in ratios)
            is_met &= is_near or not must_agree
            met = ("yes" if is_near else "**no**") if must_agree else ""
            print(f"| oha: {work} | " + " | ".join(f"{found:.3f}" for found in ratios) + f" | | {met} |")
    if (WORK[0][0], "wrk") in runs:
        over = ratio(runs, WORK[0][0], "wrk", "cpu")
        is_met &= over <= 1
        print(f"| wrk: {WORK[0][0]} | | | | {over:.2f} | {'yes' if over <= 1 else '**no**'} |")
    return is_met


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--weir", default=os.environ.get("CARGO_TARGET_DIR", "target") + "/dist/weir")
    arguments.add_argument("--oha", default=shutil.which("oha"))
    arguments.add_argument("--wrk", default=shutil.which("wrk"))
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=4)
    arguments.add_argument("--json")
    options = arguments.parse_args()
    for name in ("oha", "wrk"):
        if not getattr(options, name):
            print(f"{name} is not there, and left out", file=sys.stderr)
    runs = run_rounds(options)
    if options.json:
        listed = [{"work": work, "generator": name, "runs": own} for (work, name), own in runs.items()]
        Path(options.json).write_text(json.dumps(listed, indent=1), encoding="utf-8")
    sys.exit(0 if report(runs) else 1)


if __name__ == "__main__":
    main()
