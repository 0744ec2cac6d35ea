#!/usr/bin/env python3
"""Tries `weir tune` on servers whose limit is known, and what it recommends on them.

Ten settings: pools of 4 to 256, one shard and two, calls of constant, exponential and mixed length, bound by the pool,
by the CPU and by the workers. Of each: the saturation rate that `tune` found beside the most that closed loops get, the
time that it took, and P99 when the rate that it recommends is offered for a while, and 1.3 times of it.

  scripts/tune.py [--weir PATH] [--quick] [--only TEXT] [--json FILE]

  --quick   two settings, and shorter offers: shows that it works

Environment: SERVER_CPU=0 LOAD_CPU=1. A second shard runs beside the load: it has little to compute. Both CPUs must have
nothing else to do where the CPU is the limit. Exit status 1 if a saturation rate is off by more than 10 %, its limit is
not named, a search took more than two minutes, a recommended rate did not hold its objective, or 1.3 times of it did.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import servers

SERVER_CPU = int(os.environ.get("SERVER_CPU", 0))
LOAD_CPU = int(os.environ.get("LOAD_CPU", 1))
OFF_MAX = 0.10
SECONDS_MAX = 120

# Nine of ten calls take 8 ms and the tenth 128 ms: 20 ms in the mean.
MIXED = [8] * 9 + [128]


def sleep(ms, spread="constant"):
    return "sleep", json.dumps({"ms": ms, "spread": spread})


# Name, handlers per shard, shards, tool and arguments, objective in ms, and what the limit is; the pool if nothing is said.
SETTINGS = [
    ("4, constant", 4, 1, sleep(20), 60),
    ("4, exponential", 4, 1, sleep(20, "exponential"), 200),
    ("16, constant", 16, 1, sleep(20), 50),
    ("16, mixed", 16, 1, ("sleep", "MIXED"), 250),
    ("64, exponential", 64, 1, sleep(20, "exponential"), 150),
    ("2 x 8, exponential", 8, 2, sleep(20, "exponential"), 150),
    ("2 x 32, mixed", 32, 2, ("sleep", "MIXED"), 200),
    ("256, constant", 256, 1, sleep(100), 200),
    ("64, CPU (blobs)", 64, 1, ("blob", '{"bytes":30000}'), 5, "cpu"),
    ("64, workers (spins)", 64, 1, ("spin", '{"ms":5}'), 60, "workers"),
]


def weir(words):
    return json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)


def measured(binary, setting, seconds):
    _, handlers, shards, (tool, arguments), objective, *_ = setting
    server = servers.weir_shards(
        binary, [SERVER_CPU, LOAD_CPU][:shards], "--shards", str(shards), "--pool-size", str(handlers), "--access-log", "off"
    )
    with server, tempfile.NamedTemporaryFile("w", suffix=".txt") as lines:
        lines.write("\n".join(map(str, MIXED)))
        lines.flush()
        arguments = arguments.replace("MIXED", '{"ms":{{line:%s}}}' % lines.name)
        url = f"http://{server.address}/mcp"
        called = ["--tool", tool, "--args", arguments, "--cpus", str(LOAD_CPU), "--json"]
        began = time.monotonic()
        found = weir([binary, "tune", url, "--admin", server.admin, "--p99", f"{objective}ms", *called])
        took = time.monotonic() - began
        # A full pool needs a few clients more than it has handlers; how many a full CPU serves best is not known.
        tried = [handlers * shards * 5 // 4 + 1] if tool == "sleep" else [16, handlers]
        loops = [
            weir([binary, "bench", url, "--clients", str(clients), "--duration", f"{seconds // len(tried)}s", *called])
            for clients in tried
        ]
        closed = max(loops, key=lambda loop: loop["requests_per_second"])
        within = found["within"]
        offers = []
        for factor in (1, 1.3):
            rate = within["rate"] * factor if within else 1
            offers.append(
                weir([binary, "bench", url, "--rate", f"{rate:.3f}", "--duration", f"{seconds}s", *called])
            )
            time.sleep(1)
    return found, took, closed, offers


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--weir", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "dist", "weir"))
    words.add_argument("--quick", action="store_true")
    words.add_argument("--only", default="")
    words.add_argument("--json")
    given = words.parse_args()
    settings = [setting for setting in SETTINGS if given.only in setting[0]]
    if given.quick:
        settings = settings[:2]
    seconds = 5 if given.quick else 20
    missed, all_figures = [], []
    print("setting              saturation  measured     off    limit      rate  P99 at it   at 1.3  objective    took")
    for setting in settings:
        name, objective, limit = setting[0], setting[4], (*setting[5:], "pool")[0]
        found, took, closed, offers = measured(given.weir, setting, seconds)
        all_figures.append({"setting": name, "found": found, "closed": closed, "offers": offers, "took": took})
        saturation, truth = found["saturation"]["rate"], closed["requests_per_second"]
        off = saturation / truth - 1
        p99 = [offer["p99_micros"] / 1e3 for offer in offers]
        refused = [offer["refused"] for offer in offers]
        within = found["within"] or {"rate": 0}
        print(
            f"{name:<20} {saturation:>10.1f} {truth:>9.1f} {100 * off:>+6.1f} % {found['saturation']['limit']['kind']:>7}"
            f" {within['rate']:>9.1f} {p99[0]:>7.1f} ms {p99[1]:>5.0f} ms"
            f"{'*' if refused[1] else ' '} {objective:>5} ms {took:>6.0f} s",
            flush=True,
        )
        held = p99[0] <= objective and refused[0] <= offers[0]["requests"] / 1000
        broke = p99[1] > objective or refused[1] > 0
        limit_found = found["saturation"]["limit"]["kind"]
        for is_right, what in [
            (limit_found == limit, f"its limit is {limit}, not {limit_found}"),
            (abs(off) <= OFF_MAX, "the saturation rate is off"),
            (took <= SECONDS_MAX, "it took too long"),
            (held, "the recommended rate did not hold"),
            (broke, "1.3 times of it held, too"),
        ]:
            if not is_right:
                missed.append(f"{name}: {what}")
    if given.json:
        with open(given.json, "w") as file:
            json.dump(all_figures, file)
    print("*: some were refused")
    for what in missed:
        print(f"missed: {what}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
