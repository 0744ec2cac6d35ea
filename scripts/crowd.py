"""The measuring part of crowd.sh: runs the rounds, prints medians as Markdown, judges the marks."""

import json
import os
import statistics
import sys
import tempfile

import bench
import echo_request as echo
import servers

FEW = 64
# The share of the throughput at 64 clients that a closed loop must keep: this, or epoll's share, if less.
SHARE_MIN = {1_000: 0.9, 4_000: 0.85, 10_000: 0.8}
# The limit of P99 over P50: this, or so much of epoll's ratio, if more.
P99_OVER_P50_MAX, P99_OVER_P50_OF_EPOLL_MAX = 1.5, 1.2
# The limit of an open loop's P99 with so many connections over that with 64.
OPEN_P99_RATIO_MAX = 2.0
OPEN_JUDGED_MIN = 4_000
OPEN_SHARE_OF_PEAK = 0.7
# Every connection's first request costs more than others; with ten thousand of them, the backlog takes a second to go.
OPEN_WARM_UP = 4
# The same with few ring buffers, which run dry.
RING_BUFFERS_FEW, RING_BUFFERS_CLIENTS, RING_BUFFERS_SHARE_MIN = 64, 1_000, 0.95
# CPU time for an echo at 64 clients, over the build before.
BEFORE_PAIRS, BEFORE_CPU_MAX = 10, 1.01

environment = os.environ
rounds, seconds = int(environment["ROUNDS"]), float(environment["SECONDS_EACH"])
warm_up = float(environment["WARM_UP"])
server_cpu, load_cpu = int(environment["SERVER_CPU"]), int(environment["LOAD_CPU"])
target = environment["TARGET"]
crowds = [int(count) for count in environment["CLIENTS"].split()]
is_judged = environment["JUDGE"] == "1"

DRY = f"weir, {RING_BUFFERS_FEW} ring buffers"
STARTS = {
    "weir": lambda: servers.weir(f"{target}/weir", server_cpu),
    "epoll": lambda: servers.Server("epoll", [f"{environment['PEERS']}/epoll-hand"], {server_cpu}),
    DRY: lambda: servers.weir(f"{target}/weir", server_cpu, "--ring-buffers", str(RING_BUFFERS_FEW)),
    "before": lambda: servers.weir(environment["BEFORE"], server_cpu),
}


class Load:
    """Runs the load generator with the request that all servers get."""

    def __init__(self, folder):
        self.body = f"{folder}/body.json"
        with open(self.body, "w") as file:
            file.write(echo.body("modern"))

    def run(self, server, *arguments):
        options = ["--pid", server.pid, "--cpus", load_cpu, *arguments]
        command = bench.command(f"{target}/weir", server.address, self.body, echo.headers("modern"), *options)
        return bench.run(command, timeout=2 * (seconds + OPEN_WARM_UP * warm_up) + 120)

    def closed(self, server, clients):
        lengths = ["--duration", bench.time(seconds), "--warm-up", bench.time(warm_up)]
        run = self.run(server, "--clients", clients, *lengths)
        return {
            "per_second": run["requests_per_second"],
            "p50": run["p50_micros"],
            "p99": run["p99_micros"],
            "cpu": run["server_cpu_micros_per_request"],
            "wrong": run["errors"] + run["reconnects"],
        }

    def open(self, server, connections, rate):
        run = self.run(
            server, "--clients", connections, "--clients-max", connections, "--window", "1s",
            "--phase", f"{rate}:{OPEN_WARM_UP * warm_up}", "--phase", f"{rate}:{seconds}",
        )  # fmt: skip
        phase = run["phases"][1]
        wrong = sum(count for outcome, count in phase["outcomes"].items() if outcome != "ok")
        good = phase["good_micros"] or {"p50": float("inf"), "p99": float("inf")}
        return {"per_second": phase["goodput_per_second"], "p50": good["p50"], "p99": good["p99"], "wrong": wrong}


def fresh(name, measure):
    """Measures a server that was just started, and has answered rightly."""
    with STARTS[name]() as server:
        echo.check(server.address, "modern")
        return measure(server)


def one_round(load, turn, runs):
    """Measures everything once. The order of the servers changes from round to round, so that drift favours nobody."""
    names = ["weir", "epoll"] if turn % 2 == 0 else ["epoll", "weir"]

    def take(kind, clients, name, measure):
        run = fresh(name, measure)
        runs.setdefault((kind, clients, name), []).append(run)
        return run

    peaks = {}
    for clients in [FEW, *crowds]:
        for name in names:
            run = take("closed", clients, name, lambda server: load.closed(server, clients))
            peaks.setdefault(name, run["per_second"])
        if clients == RING_BUFFERS_CLIENTS:
            take("closed", clients, DRY, lambda server: load.closed(server, clients))
    for connections in [FEW, *crowds]:
        for name in names:
            rate = OPEN_SHARE_OF_PEAK * peaks[name]
            take("open", connections, name, lambda server: load.open(server, connections, rate))


def medians(runs):
    """Each row's medians; wrong answers are added up. Shares are of the same round's figure at 64."""
    rows = {}
    for (kind, clients, name), own in runs.items():
        row = {figure: statistics.median(run[figure] for run in own) for figure in own[0]}
        row["wrong"] = sum(run["wrong"] for run in own)
        few = runs.get((kind, FEW, name)) or runs[kind, FEW, "weir"]
        row["share"] = statistics.median(run["per_second"] / less["per_second"] for run, less in zip(own, few))
        row["p99_ratio"] = statistics.median(run["p99"] / less["p99"] for run, less in zip(own, few))
        row["p99_over_p50"] = statistics.median(run["p99"] / run["p50"] for run in own)
        rows[kind, clients, name] = row
    return rows


def print_table(rows):
    print("| loop | clients | server | answers/s | of that at 64 | P50 ms | P99 ms | P99 / P50 | P99 / that at 64 | CPU µs"
          " | wrong |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for (kind, clients, name), row in rows.items():
        cpu = f"{row['cpu']:.2f}" if "cpu" in row else ""
        share = f"{row['share']:.2f}" if kind == "closed" else ""
        print(f"| {kind} | {clients:,} | {name} | {row['per_second']:,.0f} | {share} | {row['p50'] / 1e3:.2f} |"
              f" {row['p99'] / 1e3:.2f} | {row['p99_over_p50']:.2f} | {row['p99_ratio']:.2f} | {cpu} | {row['wrong']} |")


def marks(rows):
    """The goals: each with its name, the figure, and whether it is met."""
    for (kind, clients, name), row in rows.items():
        if name == "epoll":
            continue
        what = f"{kind} loop, {clients:,} clients" + ("" if name == "weir" else f", {name}")
        yield f"{what}: no answer refused or wrong", f"{row['wrong']}", row["wrong"] == 0
        if clients == FEW:
            continue
        if kind == "closed":
            ratio, of_epoll = row["p99_over_p50"], rows["closed", clients, "epoll"]["p99_over_p50"]
            most = max(P99_OVER_P50_MAX, P99_OVER_P50_OF_EPOLL_MAX * of_epoll)
            yield f"{what}: P99 at most {most:.2f} times P50", f"{ratio:.2f}", ratio <= most
        if kind == "closed" and name == "weir" and clients in SHARE_MIN:
            least = min(SHARE_MIN[clients], rows["closed", clients, "epoll"]["share"])
            yield f"{what}: at least {least:.2f} of the throughput at 64", f"{row['share']:.2f}", row["share"] >= least
        if name == DRY:
            share = row["per_second"] / rows["closed", clients, "weir"]["per_second"]
            least = RING_BUFFERS_SHARE_MIN
            yield f"{what}: at least {least:.2f} of the throughput with the default", f"{share:.2f}", share >= least
        if kind == "open" and clients >= OPEN_JUDGED_MIN:
            ratio = row["p99_ratio"]
            mark = f"{what}: P99 at most {OPEN_P99_RATIO_MAX:.0f} times that at 64"
            yield mark, f"{ratio:.2f}", ratio <= OPEN_P99_RATIO_MAX


def against_before(load):
    """CPU time for an echo over the build before: the median of interleaved pairs."""
    ratios = []
    for turn in range(BEFORE_PAIRS):
        names = ["weir", "before"] if turn % 2 == 0 else ["before", "weir"]
        cpu = {name: fresh(name, lambda server: load.closed(server, FEW))["cpu"] for name in names}
        ratios.append(cpu["weir"] / cpu["before"])
    ratio = statistics.median(ratios)
    what = f"{FEW} clients: CPU for an echo at most {BEFORE_CPU_MAX} times that of the build before"
    return what, f"{ratio:.3f}", ratio <= BEFORE_CPU_MAX


def main():
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        load = Load(folder)
        for turn in range(rounds):
            one_round(load, turn, runs)
            print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
        rows = medians(runs)
        judged = list(marks(rows))
        if environment["BEFORE"]:
            judged.append(against_before(load))
    print_table(rows)
    print("\n| mark | figure | met |\n|---|---|---|")
    for what, figure, is_met in judged:
        print(f"| {what} | {figure} | {'yes' if is_met else '**no**'} |")
    if environment["JSON"]:
        with open(environment["JSON"], "w") as file:
            json.dump([{"kind": key[0], "clients": key[1], "server": key[2], "runs": own} for key, own in runs.items()],
                      file, indent=1)  # fmt: skip
    if not is_judged:
        return any(row["wrong"] for row in rows.values())
    return not all(is_met for _, _, is_met in judged)


sys.exit(main())
