#!/usr/bin/env python3
"""Measures what a log record per request costs: echoes with `--access-log off`, `errors` and `all`, by turns.

    scripts/access_log.py [--rounds N] [--seconds S] [--no-build]

Starts a server for each run, its log in a file, and drives it with `weir bench` over 64 connections. Prints for each
mode requests a second and CPU time per request of the whole process, the thread that writes the log included: medians,
and the median of the ratios to `off` round by round. Environment: SERVER_CPU=0 LOAD_CPU=1.
"""

import argparse
import os
import statistics
import subprocess
import tempfile

import bench
import echo_request as echo
import servers

MODES = ("off", "errors", "all")
CPU, RATE = "server_cpu_micros_per_request", "requests_per_second"


def run(target, mode, seconds, body):
    cpu, load_cpu = int(os.environ.get("SERVER_CPU", 0)), os.environ.get("LOAD_CPU", "1")
    with servers.weir(f"{target}/weir", cpu, "--access-log", mode) as server:
        options = ["--pid", server.pid, "--cpus", load_cpu, "--duration", bench.time(seconds), "--label", mode]
        report = bench.run(bench.command(f"{target}/weir", server.address, body, echo.headers("modern"), *options))
    if report["errors"]:
        raise SystemExit(f"{mode}: {report['errors']} errors")
    return report


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--no-build", action="store_true")
    arguments = parser.parse_args()
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    if not arguments.no_build:
        subprocess.run(["cargo", "build", "--quiet", "--profile", "dist", "--bin", "weir"], check=True)
    target = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "dist")
    runs = {mode: [] for mode in MODES}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        body.write(echo.body("modern"))
        body.flush()
        for turn in range(arguments.rounds):
            # The order changes, so that drift favours nobody.
            for mode in MODES[turn % len(MODES) :] + MODES[: turn % len(MODES)]:
                runs[mode].append(run(target, mode, arguments.seconds, body.name))
    for mode in MODES:
        rate = statistics.median(report[RATE] for report in runs[mode])
        cpu = statistics.median(report[CPU] for report in runs[mode])
        ratio = statistics.median(one[CPU] / base[CPU] for one, base in zip(runs[mode], runs["off"]))
        print(f"{mode:<7} {rate:>9,.0f} requests/s {cpu:>7.2f} us CPU per request {ratio:>6.2f} to off")


if __name__ == "__main__":
    main()
