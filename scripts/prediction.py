#!/usr/bin/env python3
"""Puts what `weir size` predicts of a pool beside what a server's metrics say.

Ten settings: pools of 4 to 256, one shard and two, calls of constant, exponential and heavy-tailed length, 60 to 95 % of the
handlers busy. The load is an open loop; the mean time in service is the server's own, because its timers add a little.
Utilization is that time by the rate; waits are the mean over all calls, from the server's histogram.

  scripts/prediction.py [--weir PATH] [--quick] [--only TEXT] [--seconds S]

Environment: SERVER_CPU=0 LOAD_CPU=1. Exit status 1 if a utilization is off by more than 10 %, or a mean wait of a
millisecond or more by more than 15 %. Waits near saturation vary from run to run: 30 s are short for them.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import urllib.request

import servers

SERVER_CPU = int(os.environ.get("SERVER_CPU", 0))
LOAD_CPU = int(os.environ.get("LOAD_CPU", 1))
UTILIZATION_OFF_MAX, WAIT_OFF_MAX, WAIT_LEAST = 0.10, 0.15, 1e-3
CV = {"constant": 0, "exponential": 1, "heavy": 3}

# Handlers per shard, shards, spread, share of handlers that are to be busy.
SETTINGS = [
    (4, 1, "constant", 0.8),
    (4, 1, "exponential", 0.7),
    (16, 1, "constant", 0.9),
    (16, 1, "exponential", 0.8),
    (16, 1, "exponential", 0.9),
    (16, 1, "heavy", 0.6),
    (64, 1, "exponential", 0.9),
    (64, 1, "constant", 0.95),
    (8, 2, "exponential", 0.85),
    (256, 1, "exponential", 0.95),
]


def scraped(admin):
    """Seconds and number of calls in service, seconds of waits, and the CPU's."""
    with urllib.request.urlopen(f"http://{admin}/metrics") as answer:
        text = answer.read().decode()
    number = r"(?:\{[^}]*\})? ([0-9.e+-]+)$"
    total = lambda name: sum(map(float, re.findall(rf"^{name}{number}", text, re.M)))
    calls = r'(\{mcp_method_name="tools/call"[^}]*\}) ([0-9.e+-]+)$'
    of_calls = lambda name: sum(float(value) for _, value in re.findall(rf"^{name}{calls}", text, re.M))
    operations = "mcp_server_operation_duration_seconds"
    return of_calls(f"{operations}_sum"), of_calls(f"{operations}_count"), total("weir_queue_wait_seconds_sum")


def predicted(binary, handlers, shards, rate, service, cv):
    """Utilization and mean wait, as the command says them."""
    words = ["size", "--peak-clients", "1000", "--cores", str(shards), "--pool-size", str(handlers)]
    words += ["--rate", str(round(rate)), "--service-time", f"{round(service * 1e9)}ns", "--service-cv", str(cv)]
    said = subprocess.run([binary, *words], stdout=subprocess.PIPE, check=True, text=True).stdout
    line = next(line for line in said.splitlines() if line.startswith("predicted"))
    found = re.search(r"predicted: ([0-9]+) % .* wait, ([0-9.]+) (ms|s) on average", line)
    if not found:
        raise SystemExit(f"not understood: {line}")
    return int(found[1]) / 100, float(found[2]) / (1000 if found[3] == "ms" else 1)


def measured(binary, setting, seconds):
    handlers, shards, spread, share = setting
    server = servers.weir_shards(
        binary, [SERVER_CPU, LOAD_CPU][:shards], "--shards", str(shards), "--pool-size", str(handlers),
        "--queue-depth", "2000", "--queue-timeout", "60s", "--access-log", "off",
    )
    with server:
        bench = [binary, "bench", f"http://{server.address}/mcp", "--tool", "sleep", "--cpus", str(LOAD_CPU), "--json"]
        bench += ["--clients", "256", "--warm-up", "0s"]
        # A sleep takes a little longer than it should, which near saturation makes all the difference.
        constant = ["--args", json.dumps({"ms": 20}), "--rate", str(10 * handlers), "--duration", "2s"]
        subprocess.run([*bench, *constant], stdout=subprocess.DEVNULL, check=True)
        in_service, calls, _ = scraped(server.admin)
        rate = share * handlers * shards / (in_service / calls)
        spread_out = ["--args", json.dumps({"ms": 20, "spread": spread}), "--rate", f"{rate:.3f}"]
        words = [*bench, *spread_out, "--duration", f"{round(seconds) + 2}s"]
        load = subprocess.Popen(words, stdout=subprocess.PIPE)
        time.sleep(2)
        before, began = scraped(server.admin), time.monotonic()
        time.sleep(seconds - 1)
        after, took = scraped(server.admin), time.monotonic() - began
        load.communicate()
    in_service, calls, waited = (late - early for late, early in zip(after, before))
    service, rate = in_service / calls, calls / took
    return rate, service, in_service / took / (handlers * shards), waited / calls


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--weir", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "dist", "weir"))
    words.add_argument("--quick", action="store_true")
    words.add_argument("--only", default="")
    words.add_argument("--seconds", type=int, default=30)
    given = words.parse_args()
    seconds = 4 if given.quick else given.seconds
    missed = []
    print("setting                         busy predicted     off    wait predicted     off")
    for setting in SETTINGS[:2] if given.quick else SETTINGS:
        handlers, shards, spread, share = setting
        name = f"{shards} x {handlers}, {spread}, {100 * share:.0f} %"
        if given.only not in name:
            continue
        rate, service, busy, wait = measured(given.weir, setting, seconds)
        said_busy, said_wait = predicted(given.weir, handlers, shards, rate, service, CV[spread])
        off = [said_busy / busy - 1, said_wait / wait - 1 if wait else 0]
        print(
            f"{name:<30} {100 * busy:>4.1f} % {100 * said_busy:>7.0f} % {100 * off[0]:>+6.1f} %"
            f" {1e3 * wait:>6.2f} ms {1e3 * said_wait:>6.2f} ms {100 * off[1]:>+6.1f} %",
            flush=True,
        )
        if abs(off[0]) > UTILIZATION_OFF_MAX:
            missed.append(f"{name}: utilization")
        if wait >= WAIT_LEAST and abs(off[1]) > WAIT_OFF_MAX:
            missed.append(f"{name}: mean wait")
    for what in missed:
        print(f"missed: {what}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
