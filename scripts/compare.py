"""The measuring part of compare.sh: runs the rounds, prints one Markdown table, judges the marks."""

import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import bench
import echo_request as echo
import servers

# Each mark: the limit of Weir's CPU time over that of the best of these servers.
AS_BY_HAND = [(1.2, "canned"), (1.1, "epoll")]
NO_DEARER_THAN_HYPER = [(1.0, "hyper")]
LARGE = [(1.1, "epoll")]
LIFE = [(0.8, "hyper")]
# The limit of CPU time for an echo at 64 clients over rmcp's.
RMCP = (0.2, "rmcp")

PAGE = Path(__file__).parent.parent / "src/guide/comparison.md"
BEGIN, END = "<!-- scripts/compare.sh writes from here -->\n", "<!-- to here -->\n"
TITLES = {"weir": "Weir", "canned": "sockets alone", "epoll": "epoll by hand", "hyper": "hyper by hand", "rmcp": "rmcp"}

environment = os.environ
rounds, seconds = int(environment["ROUNDS"]), float(environment["SECONDS_EACH"])
warm_up = float(environment["WARM_UP"])
server_cpu, load_cpu = int(environment["SERVER_CPU"]), int(environment["LOAD_CPU"])
target, peers = environment["TARGET"], environment["PEERS"]
names = environment["SERVERS"].split()


@dataclass
class Work:
    """What the clients do."""

    name: str
    clients: int
    tool: str = "echo"
    arguments: dict | None = None
    era: str = "modern"
    is_life_cycle: bool = False
    # Calls a second of an open loop; without it the loop is closed.
    rate: int | None = None
    marks: list = ()
    # What it can be asked of: canned answers always the same.
    but: tuple = ()

    def call_arguments(self):
        return self.arguments or {"message": echo.MESSAGE}

    def answer(self):
        """The text that comes back."""
        if self.tool == "blob":
            size = self.arguments["bytes"]
            return ("abcdefghijklmnopqrstuvwxyz" * (size // 26 + 1))[:size]
        return self.call_arguments()["message"]


def kib(count):
    return count << 10


WORK = [
    Work("an echo, 1 client", 1, marks=NO_DEARER_THAN_HYPER),
    Work("an echo, 64 clients", 64, marks=[*AS_BY_HAND, RMCP]),
    Work("an echo, 256 clients", 256, marks=AS_BY_HAND),
    Work("an echo, 1,000 clients", 1_000),
    Work("an echo, 4,000 clients", 4_000),
    Work("a legacy echo, 64 clients", 64, era="legacy"),
    Work("an echo of 4 KiB, 64 clients", 64, arguments={"message": "x" * kib(4)}, marks=LARGE, but=("canned",)),
    Work("an echo of 64 KiB, 64 clients", 64, arguments={"message": "x" * kib(64)}, marks=LARGE, but=("canned",)),
    Work("an answer of 100 KiB, 64 clients", 64, "blob", {"bytes": kib(100)}, marks=LARGE, but=("canned",)),
    Work("the life of a session, 64 clients", 64, era="legacy", is_life_cycle=True, marks=LIFE, but=("canned",)),
    Work("2,000 echoes a second, 64 clients", 64, rate=2_000, marks=NO_DEARER_THAN_HYPER),
    Work("10,000 echoes a second, 64 clients", 64, rate=10_000, marks=NO_DEARER_THAN_HYPER),
]


def start(name, work):
    if name == "weir":
        return servers.weir(f"{target}/weir", server_cpu)
    if name == "canned":
        return servers.Server(name, [f"{target}/examples/canned", "--cpu", str(server_cpu)], {server_cpu})
    if name == "rmcp":
        arguments = ["--sessions"] if work.is_life_cycle else []
        return servers.Server(name, [f"{peers}/rmcp-peer", *arguments], {server_cpu})
    return servers.Server(name, [f"{peers}/{name}-hand"], {server_cpu})


def load(work, server, folder):
    """One run of the load generator."""
    options = ["--pid", server.pid, "--cpus", load_cpu, "--clients", work.clients]
    body, headers = None, {}
    if work.is_life_cycle:
        options.append("--life-cycle")
    else:
        body, headers = f"{folder}/body.json", echo.headers(work.era, work.tool)
        Path(body).write_text(echo.call(work.era, work.tool, work.call_arguments()), encoding="utf-8")
    if work.rate:
        options += ["--clients-max", work.clients]
        for length in (warm_up, seconds):
            options += ["--phase", f"{work.rate}:{length}"]
    else:
        options += ["--duration", bench.time(seconds), "--warm-up", bench.time(warm_up)]
    command = bench.command(f"{target}/weir", server.address, body, headers, *options)
    return bench.run(command, timeout=2 * (seconds + warm_up) + 60)


def figures(work, run):
    """What the table and the marks need of a run."""
    if not work.rate:
        return {
            "per_second": run["requests_per_second"],
            "p50": run["p50_micros"],
            "p99": run["p99_micros"],
            "cpu": run["server_cpu_micros_per_request"],
            "wrong": run["errors"] + run["reconnects"],
        }
    phase = run["phases"][-1]
    good = phase["good_micros"] or {"p50": float("inf"), "p99": float("inf")}
    return {
        "per_second": phase["goodput_per_second"],
        "p50": good["p50"],
        "p99": good["p99"],
        "cpu": phase["server_cpu_micros_per_request"],
        "wrong": sum(count for outcome, count in phase["outcomes"].items() if outcome != "ok"),
    }


def measure(work, name, folder):
    with start(name, work) as server:
        if not work.is_life_cycle:
            echo.check(server.address, work.era, work.tool, work.call_arguments(), None if name == "canned" else work.answer())
        return figures(work, load(work, server, folder))


def run_rounds(works):
    """All runs, by work and server. The order of the servers changes from round to round, so that drift favours nobody."""
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            for work in works:
                own = [name for name in names if name not in work.but]
                first = turn % len(own)
                for name in own[first:] + own[:first]:
                    runs.setdefault((work.name, name), []).append(measure(work, name, folder))
            print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
    return runs


def median(runs, figure):
    return statistics.median(run[figure] for run in runs)


def ratio(runs, work, over, under):
    """CPU time of one server over another's: the median of the rounds' own ratios."""
    pairs = zip(runs[work.name, over], runs[work.name, under])
    return statistics.median(a["cpu"] / b["cpu"] for a, b in pairs)


def micros(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def millis(value):
    value /= 1e3
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def table(runs, works):
    """CPU time per request of each server and its latencies, one line each."""
    lines = ["| work | | " + " | ".join(TITLES[name] for name in names) + " |", "|---|---|" + "---|" * len(names)]
    for work in works:
        own = {name: runs.get((work.name, name)) for name in names}
        cpu = [micros(median(mine, "cpu")) if mine else "" for mine in own.values()]
        spread = [f"{millis(median(mine, 'p50'))} / {millis(median(mine, 'p99'))}" if mine else "" for mine in own.values()]
        lines.append(f"| {work.name} | CPU µs | " + " | ".join(cpu) + " |")
        lines.append("| | P50 / P99 ms | " + " | ".join(spread) + " |")
    return "\n".join(lines) + "\n"


def judge(runs, works):
    """The marks: each with its name, the figure, and whether it is met."""
    for work in works:
        wrong = sum(run["wrong"] for (name, _), own in runs.items() if name == work.name for run in own)
        yield f"{work.name}: no answer wrong or lost", f"{wrong}", wrong == 0
        if environment["JUDGE"] != "1":
            continue
        for limit, other in work.marks:
            if other in names:
                over = ratio(runs, work, "weir", other)
                yield f"{work.name}: CPU at most {limit} times that of {TITLES[other]}", f"{over:.2f}", over <= limit


def write(text):
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(before + BEGIN + text + END + after, encoding="utf-8")


def main():
    works = [work for work in WORK if environment["ONLY"] in work.name]
    runs = run_rounds(works)
    text = table(runs, works)
    print(text)
    marks = list(judge(runs, works))
    print("| mark | figure | met |\n|---|---|---|")
    for what, figure, is_met in marks:
        print(f"| {what} | {figure} | {'yes' if is_met else '**no**'} |")
    if environment["JSON"]:
        report = [{"work": work, "server": name, "runs": own} for (work, name), own in runs.items()]
        Path(environment["JSON"]).write_text(json.dumps(report, indent=1), encoding="utf-8")
    if environment["WRITE"] == "1":
        write(text)
    return not all(is_met for _, _, is_met in marks)


sys.exit(main())
