"""The measuring part of compare.sh: runs the rounds, prints one Markdown table, judges the marks."""

import json
import os
import re
import statistics
import subprocess
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

PERCENTILES = ("p50", "p99", "p999")
# Late answers are right, and those under way at the end are nobody's fault.
WRONG = ("errors", "reconnects")

PAGE = Path(__file__).parent.parent / "src/guide/comparison.md"
BEGIN, END = "<!-- scripts/compare.sh writes from here -->\n", "<!-- to here -->\n"
# What the page says before the table of files.sh.
FILES_HEAD = """
The toolset `files` over stdio, beside the reference filesystem server and ripgrep with one thread (`scripts/files.sh`):

"""
TITLES = {
    "weir": "Weir",
    "canned": "sockets alone",
    "epoll": "epoll by hand",
    "hyper": "hyper by hand",
    "rmcp": "rmcp",
    "typescript": "TypeScript SDK",
    "python": "Python SDK",
    "fastmcp": "FastMCP",
}
# What files.sh measures, as --only knows it.
FILES_WORK = "files: read_file and search"
# Servers which may fail: the table says so, and the run goes on. They do only the work that is marked for them.
SDKS = ("typescript", "python", "fastmcp")
# An SDK is given this much longer for each client, so that all clients are answered at least once.
SDK_SECONDS_PER_CLIENT = 1 / 400
# What runs on a just-in-time compiler is given seconds to compile what is called.
COMPILE_SECONDS = {"typescript": 3}

environment = os.environ
rounds, seconds = int(environment["ROUNDS"]), float(environment["SECONDS_EACH"])
warm_up = float(environment["WARM_UP"])
server_cpu, load_cpu = int(environment["SERVER_CPU"]), int(environment["LOAD_CPU"])
target, peers, sdks = environment["TARGET"], environment["PEERS"], environment["SDKS"]
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
    # Who cannot be asked it: canned answers always the same, and by hand there is no slow tool.
    but: tuple = ()
    is_for_sdks: bool = False
    # Tools with their share and arguments, which are called instead of `tool`.
    mix: tuple = ()

    def servers(self):
        own = [name for name in names if name not in self.but]
        return [name for name in own if self.is_for_sdks or name not in SDKS]

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
    Work("an echo, 1 client", 1, marks=NO_DEARER_THAN_HYPER, is_for_sdks=True),
    Work("an echo, 64 clients", 64, marks=[*AS_BY_HAND, RMCP], is_for_sdks=True),
    Work("an echo, 256 clients", 256, marks=AS_BY_HAND),
    Work("an echo, 1,000 clients", 1_000, is_for_sdks=True),
    Work("an echo, 4,000 clients", 4_000, is_for_sdks=True),
    Work("a legacy echo, 64 clients", 64, era="legacy"),
    Work("an echo of 4 KiB, 64 clients", 64, arguments={"message": "x" * kib(4)}, marks=LARGE, but=("canned",)),
    Work("an echo of 64 KiB, 64 clients", 64, arguments={"message": "x" * kib(64)}, marks=LARGE, but=("canned",)),
    Work("an answer of 10 KiB, 64 clients", 64, "blob", {"bytes": kib(10)}, but=("canned",), is_for_sdks=True),
    Work(
        "an answer of 100 KiB, 64 clients",
        64,
        "blob",
        {"bytes": kib(100)},
        marks=LARGE,
        but=("canned",),
        is_for_sdks=True,
    ),
    Work(
        "the life of a session, 64 clients",
        64,
        era="legacy",
        is_life_cycle=True,
        marks=LIFE,
        but=("canned",),
        is_for_sdks=True,
    ),
    Work(
        "nine echoes to one sleep of 20 ms, 64 clients",
        64,
        but=("canned", "epoll", "hyper"),
        is_for_sdks=True,
        mix=(("echo", 9, {"message": echo.MESSAGE}), ("sleep", 1, {"ms": 20})),
    ),
    Work("2,000 echoes a second, 64 clients", 64, rate=2_000, marks=NO_DEARER_THAN_HYPER),
    Work("10,000 echoes a second, 64 clients", 64, rate=10_000, marks=NO_DEARER_THAN_HYPER),
]


def start(name, work):
    if name == "weir":
        return servers.weir(f"{target}/weir", server_cpu)
    if name == "canned":
        return servers.Server(name, [f"{target}/examples/canned", "--cpu", str(server_cpu)], {server_cpu})
    arguments = ["--sessions"] if work.is_life_cycle else []
    if name == "rmcp":
        return servers.Server(name, [f"{peers}/rmcp-peer", *arguments], {server_cpu})
    if name == "typescript":
        return servers.Server(name, ["node", f"{sdks}/typescript.mjs", *arguments], {server_cpu})
    if name in SDKS:
        program = f"{sdks}/python_{'mcp' if name == 'python' else name}.py"
        return servers.Server(name, [f"{sdks}/python/bin/python", program, *arguments], {server_cpu})
    return servers.Server(name, [f"{peers}/{name}-hand"], {server_cpu})


def lengths(work, name):
    """Seconds of warm-up and of what is measured."""
    longer = work.clients * SDK_SECONDS_PER_CLIENT if name in SDKS else 0
    return warm_up + max(longer / 2, COMPILE_SECONDS.get(name, 0)), seconds + longer


def load(work, server, folder):
    """One run of the load generator."""
    warm_up, seconds = lengths(work, server.name)
    options = ["--pid", server.pid, "--cpus", load_cpu, "--clients", work.clients]
    body, headers = None, {}
    if work.is_life_cycle:
        options.append("--life-cycle")
    elif work.mix:
        options += ["--revision", echo.MODERN_REVISION]
        for tool, share, arguments in work.mix:
            options += ["--tool", f"{tool}={share}", "--args", json.dumps(arguments)]
    else:
        body, headers = f"{folder}/body.json", echo.headers(work.era, work.tool)
        Path(body).write_text(echo.call(work.era, work.tool, work.call_arguments()), encoding="utf-8")
    if work.rate:
        options += ["--clients-max", work.clients, "--rate", work.rate]
    options += ["--duration", bench.time(seconds), "--warm-up", bench.time(warm_up)]
    command = bench.command(f"{target}/weir", server.address, body, headers, *options)
    return bench.run(command, timeout=2 * (seconds + warm_up) + 60)


def figures(work, run):
    """What the table and the marks need of a run."""
    measured = run["phases"][-1] if work.rate else run
    return {
        "per_second": run["requests_per_second"],
        # With fewer answers than clients they would be those of the lucky.
        "spread": [run[f"{p}_micros"] for p in PERCENTILES] if run["requests"] >= work.clients else None,
        "cpu": measured["server_cpu_micros_per_request"],
        "wrong": sum(run.get(kind, 0) for kind in WRONG),
    }


def memory(pid):
    """MiB: the most that was resident, and the proportional share that is left after the load."""
    places = {"VmHWM": f"/proc/{pid}/status", "Pss": f"/proc/{pid}/smaps_rollup"}
    lines = [re.search(rf"^{name}:\s+(\d+) kB", Path(file).read_text(), re.MULTILINE) for name, file in places.items()]
    return [int(line.group(1)) / 1024 for line in lines]


def measure(work, name, folder):
    """A run's figures; of an SDK that fails, the reason instead."""
    try:
        with start(name, work) as server:
            if not work.is_life_cycle:
                arguments = work.call_arguments()
                echo.check(server.address, work.era, work.tool, arguments, None if name == "canned" else work.answer())
            run = figures(work, load(work, server, folder))
            run["mebibytes"] = memory(server.pid)
    except (SystemExit, OSError, subprocess.SubprocessError) as failure:
        if name not in SDKS:
            raise
        print(f"{name}, {work.name}: {failure}", file=sys.stderr, flush=True)
        if isinstance(failure, (TimeoutError, subprocess.TimeoutExpired)):
            return {"fails": "no answer in time"}
        return {"fails": " ".join(str(failure).split())[:80].replace("|", "/")}
    if name in SDKS and run["wrong"]:
        run["fails"] = f"{run['wrong']} requests or connections lost"
    return run


def run_rounds(works):
    """All runs, by work and server. Their order changes from round to round, so that drift favours nobody."""
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            for work in works:
                own = work.servers()
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


def rate(value):
    return f"{value:,.0f}"


def mebibytes(value):
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def joined(form, lists):
    """The medians of figures that come in lists of one length."""
    return " / ".join(form(statistics.median(values)) for values in zip(*lists))


def spread(runs):
    """The percentiles; empty if a run had too few answers."""
    lists = [run["spread"] for run in runs]
    return joined(millis, lists) if all(lists) else "not all answered"


# What the table says of each work: a title, and how to make a cell of the runs of one server.
ROWS = {
    "CPU µs": lambda runs: micros(median(runs, "cpu")),
    "requests/s": lambda runs: rate(median(runs, "per_second")),
    "P50 / P99 / P99.9 ms": spread,
    "peak RSS / PSS MiB": lambda runs: joined(mebibytes, [run["mebibytes"] for run in runs]),
}


def table(runs, works):
    """Every server's figures, four lines for each work."""
    lines = ["| work | | " + " | ".join(TITLES[name] for name in names) + " |", "|---|---|" + "---|" * len(names)]
    for work in works:
        for row, cell in ROWS.items():
            cells = [cell_or_failure(row, cell, runs.get((work.name, name))) for name in names]
            lines.append(f"| {work.name if row == 'CPU µs' else ''} | {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell_or_failure(row, cell, runs):
    """Empty where the server is not asked; the first failure's reason once, in the work's first line."""
    failures = [run["fails"] for run in runs or [] if "fails" in run]
    if failures:
        return f"fails: {failures[0]}" if row == "CPU µs" else ""
    return cell(runs) if runs else ""


def judge(runs, works):
    """The marks: each with its name, the figure, and whether it is met."""
    for work in works:
        own = [run for name in work.servers() if name not in SDKS for run in runs[work.name, name]]
        wrong = sum(run["wrong"] for run in own)
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


def measure_files():
    """What files.sh prints, and whether all its bars are met."""
    words = ["scripts/files.sh", "--rounds", str(rounds)]
    words += [] if environment["BUILD"] == "1" else ["--no-build"]
    words += [] if environment["JUDGE"] == "1" else ["--quick"]
    own = {name: value for name, value in environment.items() if name != "PEERS"}
    if "FILES" in own:
        own["PEERS"] = own["FILES"]
    done = subprocess.run(words, env=own, stdout=subprocess.PIPE, text=True)
    return done.stdout, done.returncode == 0


def main():
    works = [work for work in WORK if environment["ONLY"] in work.name]
    files, are_files_met = measure_files() if environment["ONLY"] in FILES_WORK else ("", True)
    runs = run_rounds(works)
    text = table(runs, works)
    print(text)
    print(files)
    marks = list(judge(runs, works))
    print("| mark | figure | met |\n|---|---|---|")
    for what, figure, is_met in marks:
        print(f"| {what} | {figure} | {'yes' if is_met else '**no**'} |")
    if environment["JSON"]:
        report = [{"work": work, "server": name, "runs": own} for (work, name), own in runs.items()]
        Path(environment["JSON"]).write_text(json.dumps(report, indent=1), encoding="utf-8")
    if environment["WRITE"] == "1":
        # The bars come behind an empty line, and are not the page's.
        write(text + (FILES_HEAD + files.split("\n\n")[0].rstrip("\n") + "\n" if files else ""))
    return not are_files_met or not all(is_met for _, _, is_met in marks)


sys.exit(main())
