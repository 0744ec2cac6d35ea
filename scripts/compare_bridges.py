"""The measuring part of compare_bridges.sh: runs the rounds, prints Markdown, judges the bars."""

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench
import echo_request as echo
import servers

environment = os.environ
rounds, seconds = int(environment["ROUNDS"]), float(environment["SECONDS_EACH"])
warm_up, target = float(environment["WARM_UP"]), environment["TARGET"]
peers, bridges = environment["PEERS"], environment["BRIDGES"]
cpus = {int(cpu) for cpu in environment["CPUS"].split(",")}

EVERYTHING = ["node", f"{bridges}/node_modules/@modelcontextprotocol/server-everything/dist/index.js", "stdio"]
NATIVE = [f"{target}/examples/echo_child"]
FASTMCP = """
import json, sys
from fastmcp.server import create_proxy
command, *arguments = sys.argv[2:]
proxy = create_proxy({"mcpServers": {"default": {"command": command, "args": arguments}}})
proxy.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False)
"""
# The first start of a front and its child, on a busy machine.
START_SECONDS = 60
# Some fronts listen before they answer, and lose what comes meanwhile.
ANSWER_SECONDS = 5
NEW_CLIENTS = 40
# More than any run makes of a session's ids, which have ten digits.
IDS_PER_RUN = 10_000_000
POISSON_CLIENTS, POISSON_CHILDREN, SLEEP_MS, POISSON_LOAD = 1_000, 4, 10, 0.7
# P99 of an M/D/4 queue at 70 % with 10 ms of service: simulated.
MD4_P99_MS = 24.6


def joined(command):
    """A line that shells and their like split into these words; none of them has a quote."""
    return " ".join(command)


def weir(port, command, pool="max=2,min_idle=2"):
    pool = ["--stdio", joined(command), "--pool", f"mode=shared,{pool}"] if command else ["--toolset", "demo"]
    return [
        f"{target}/weir", "serve", "--listen", f"127.0.0.1:{port}", "--shards", "1", "--admin", "off",
        "--report", "none", *pool,
    ]  # fmt: skip


FRONTS = {
    "weir": weir,
    "tower-mcp": lambda port, command: [f"{peers}/tower-peer", str(port), *command],
    "npm mcp-proxy": lambda port, command: [
        "node", f"{bridges}/node_modules/.bin/mcp-proxy", "--host", "127.0.0.1", "--port", str(port), "--", *command,
    ],
    "supergateway": lambda port, command: [
        "node", f"{bridges}/node_modules/.bin/supergateway", "--stdio", joined(command), "--outputTransport",
        "streamableHttp", "--stateful", "--port", str(port), "--logLevel", "none",
    ],
    "PyPI mcp-proxy": lambda port, command: [
        f"{bridges}/mcp-proxy/bin/mcp-proxy", "--host", "127.0.0.1", "--port", str(port), "--pass-environment", "--",
        *command,
    ],
    "fastmcp": lambda port, command: [f"{bridges}/fastmcp/bin/python", "-c", FASTMCP, str(port), *command],
}  # fmt: skip
names = [name.strip() for name in environment["FRONTS"].split(",") if name.strip()] or ["direct", *FRONTS]


class Front(servers.Server):
    """A front on a port of our choice, which serves when it answers `initialize`."""

    def __init__(self, name, command, child):
        self.child, self.ids = child, 1_000_000_000
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        super().__init__(name, command(self.port, child), cpus)

    def _wait_for_addresses(self):
        self.address = f"127.0.0.1:{self.port}"
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.session = Session(self.address)
                return self.address, None
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    said = os.pread(self.said.fileno(), 1 << 20, 0).decode(errors="replace")
                    raise SystemExit(f"{self.name} did not start: {error}: {said.strip()[-2000:]}") from error
                time.sleep(0.05)

    def tree(self):
        """The processes of the front itself, and those of the children behind it."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text()
                except OSError:
                    continue
                parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
        found, front, children = [self.pid], [], []
        while found:
            pid = found.pop()
            found += parents.get(pid, [])
            try:
                words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
            except OSError:
                continue
            (children if self.child and words == self.child else front).append(pid)
        return front, children


def cpu_seconds(pids):
    """CPU time of all live threads, from the scheduler's own accounting."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


class Session:
    """A legacy session over one connection; an `OSError` if there is nobody, or nobody that begins one."""

    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address, timeout=ANSWER_SECONDS)
        self.headers, self.echoes = echo.headers("legacy"), 0
        params = {
            "protocolVersion": echo.LEGACY_REVISION,
            "capabilities": {},
            "clientInfo": {"name": "compare", "version": "1"},
        }
        response, _ = self.post({"id": 0, "method": "initialize", "params": params})
        if response.status != 200:
            raise ConnectionRefusedError(f"initialize: {response.status}")
        if session := response.headers["mcp-session-id"]:
            self.headers["mcp-session-id"] = session
        self.post({"method": "notifications/initialized"})

    def post(self, message):
        """Sends a message; a redirection is followed once and for all."""
        every = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        body = json.dumps({"jsonrpc": "2.0", **message})
        self.connection.request("POST", echo.PATH, body, every | self.headers)
        response = self.connection.getresponse()
        return response, response.read().decode()

    def echo(self):
        params = {"name": "echo", "arguments": {"message": echo.MESSAGE}}
        self.echoes += 1
        response, text = self.post({"id": self.echoes, "method": "tools/call", "params": params})
        if response.status != 200 or f"{echo.MESSAGE}\"" not in text or '"isError":true' in text:
            raise SystemExit(f"a wrong answer: {response.status} {text[:300]}")

    def close(self):
        self.connection.close()


def load(front, folder, *arguments, tool="echo", params=None):
    """One run of the load generator, in the session of the front; some fronts lose requests whose ids were used."""
    body = Path(folder) / "body.json"
    text = echo.call("legacy", tool, params or {"message": echo.MESSAGE})
    front.ids += IDS_PER_RUN
    body.write_text(text.replace('"id":1,', f'"id":{front.ids},'), encoding="utf-8")
    command = bench.command(f"{target}/weir", front.address, str(body), front.session.headers, *arguments)
    return bench.run(command, timeout=300)


def closed(front, folder, clients):
    """The figures of a closed loop: CPU time is read around it, since several processes have it."""
    front.session.echo()
    loop = ["--clients", clients, "--warm-up", "0s"]
    load(front, folder, *loop, "--duration", bench.time(warm_up))
    own, children = front.tree()
    before = cpu_seconds(own), cpu_seconds(children)
    run = load(front, folder, *loop, "--duration", bench.time(seconds))
    micros = [(cpu_seconds(pids) - was) * 1e6 / max(run["requests"], 1) for pids, was in zip((own, children), before)]
    return {
        "per_second": run["requests_per_second"],
        "p50": run["p50_micros"],
        "p99": run["p99_micros"],
        "front": micros[0],
        "child": micros[1],
        "wrong": run["errors"] + run["reconnects"],
    }


def direct(child, children, in_flight):
    command = [
        f"{target}/examples/pipes", "--children", str(children), "--in-flight", str(in_flight),
        "--seconds", str(seconds), "--warm-up", str(warm_up), "--", *child,
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300)
    run = json.loads(done.stdout)
    return {
        "per_second": run["requests_per_second"],
        "p50": run["p50_micros"],
        "p99": run["p99_micros"],
        "front": run["own_cpu_micros_per_request"],
        "child": run["children_cpu_micros_per_request"],
        "wrong": 0,
    }


def new_clients(front):
    """New clients one after the other: a connection, a session, a call."""
    times = []
    front.session.echo()
    for _ in range(NEW_CLIENTS):
        begun = time.monotonic()
        session = Session(front.address)
        session.echo()
        times.append((time.monotonic() - begun) * 1e6)
        session.close()
    times.sort()
    return {"p50": statistics.median(times), "p99": times[int(len(times) * 0.99)], "wrong": 0}


def open_loop(front, folder, rate, clients, tool="echo", params=None):
    phases = [part for length in (warm_up, seconds) for part in ("--phase", f"{rate}:{length}")]
    limits = ["--clients", clients, "--clients-max", clients]
    phase = load(front, folder, *limits, *phases, tool=tool, params=params)["phases"][-1]
    good = phase["good_micros"] or {"p50": float("inf"), "p99": float("inf")}
    wrong = sum(count for outcome, count in phase["outcomes"].items() if outcome != "ok")
    return {"per_second": phase["goodput_per_second"], "p50": good["p50"], "p99": good["p99"], "wrong": wrong}


def sleepers(folder):
    """Many clients of few children, each of which has one call at a time."""
    pool = f"max={POISSON_CHILDREN},min_idle={POISSON_CHILDREN},max_in_flight=1"
    with Front("weir", lambda port, child: weir(port, child, pool), NATIVE) as front:
        time.sleep(1)
        rate = int(POISSON_LOAD * POISSON_CHILDREN * 1000 / SLEEP_MS)
        run = open_loop(front, folder, rate, POISSON_CLIENTS, "sleep", {"ms": SLEEP_MS})
        return run | {"processes": len(front.tree()[1])}


class Runs:
    """All figures, by work and front."""

    def __init__(self):
        self.all = {}

    @staticmethod
    def wants(name, *works):
        """Whether any of these is to be measured."""
        return any(environment["ONLY"] in f"{work}, {name}" for work in works)

    def measure(self, work, name, run):
        if self.wants(name, work):
            self.all.setdefault((work, name), []).append(run())

    def median(self, work, name, figure):
        own = self.all.get((work, name))
        return statistics.median(run[figure] for run in own) if own else None

    def ratio(self, work, over, under, figure):
        """The median of the rounds' own ratios."""
        pairs = zip(self.all.get((work, over), []), self.all.get((work, under), []))
        ratios = [one[figure] / other[figure] for one, other in pairs]
        return statistics.median(ratios) if ratios else None


def echo_work(clients):
    return f"echo of server-everything, {clients} clients"


def native_work(clients):
    return f"echo of a native child, {clients} clients"


NEW_WORK, HALF_WORK = "a new client's first call", "half load"
SLEEP_WORK = f"{POISSON_CLIENTS} clients, {POISSON_CHILDREN} children that sleep {SLEEP_MS} ms"


def measure_fronts(runs, order, folder):
    for name in order:
        if name == "direct":
            for clients in (1, 16, 64):
                runs.measure(echo_work(clients), "direct, 2 children", lambda: direct(EVERYTHING, 2, clients))
                runs.measure(echo_work(clients), "direct, 1 child", lambda: direct(EVERYTHING, 1, clients))
            continue
        if not runs.wants(name, *map(echo_work, (1, 16, 64)), NEW_WORK):
            continue
        with Front(name, FRONTS[name], EVERYTHING) as front:
            # The second child of a pool.
            time.sleep(1)
            for clients in (1, 16, 64):
                runs.measure(echo_work(clients), name, lambda: closed(front, folder, clients))
            runs.measure(NEW_WORK, name, lambda: new_clients(front))


def measure_native(runs, order, folder):
    works = [native_work(1), native_work(64)]
    fronts = {
        "in-process": lambda: Front("weir", weir, []),
        "weir": lambda: Front("weir", lambda port, child: weir(port, child, "max=1"), NATIVE),
        "tower-mcp": lambda: Front("tower-mcp", FRONTS["tower-mcp"], NATIVE),
    }
    wanted = lambda name: runs.wants(name, *works, *([] if name == "tower-mcp" else [HALF_WORK]))
    for name in [name for name in order if wanted(name)]:
        with fronts[name]() as front:
            for clients in (1, 64):
                runs.measure(native_work(clients), name, lambda: closed(front, folder, clients))
            if name != "tower-mcp":
                rate = half_rate(runs)
                runs.measure(HALF_WORK, name, lambda: open_loop(front, folder, rate, 64))
    for clients in (1, 64):
        runs.measure(native_work(clients), "direct, 1 child", lambda: direct(NATIVE, 1, clients))


def half_rate(runs):
    peak = runs.median(native_work(64), "weir", "per_second") or 40_000
    return int(peak / 2)


def run_rounds():
    runs = Runs()
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            first = turn % len(names)
            order = names[first:] + names[:first]
            measure_fronts(runs, order, folder)
            natives = ["weir", "in-process", "tower-mcp"]
            measure_native(runs, natives[turn % 3 :] + natives[: turn % 3], folder)
            runs.measure(SLEEP_WORK, "weir", lambda: sleepers(folder))
            print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
    return runs


def shown(value, unit=1.0):
    if value is None:
        return ""
    value /= unit
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(runs):
    lines = ["| work | front | calls/s | P50 ms | P99 ms | CPU µs: front | child | wrong |", "|---|---|---|---|---|---|---|---|"]
    for (work, name), own in runs.all.items():
        median = lambda figure: runs.median(work, name, figure) if figure in own[0] else None
        cells = [
            shown(median("per_second")),
            shown(median("p50"), 1e3),
            shown(median("p99"), 1e3),
            shown(median("front")),
            shown(median("child")),
            str(sum(run["wrong"] for run in own)),
        ]
        lines.append(f"| {work} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bars(runs):
    """Each bar with its name, the figure, and whether it is met; what was not measured is left out."""
    at_most = lambda what, figure, limit: (what, figure, limit, figure is not None and figure <= limit)
    at_least = lambda what, figure, limit: (what, figure, limit, figure is not None and figure >= limit)
    ratio = lambda over, under, figure="per_second", work=echo_work(64): runs.ratio(work, over, under, figure)
    median = runs.median
    yield at_least("64 clients, calls over those of two children driven directly (65 % is the aim)", ratio("weir", "direct, 2 children"), 0.5)
    yield at_least("… over tower-mcp", ratio("weir", "tower-mcp"), 2)
    yield at_least("… over npm mcp-proxy", ratio("weir", "npm mcp-proxy"), 10)
    one = [
        median(native_work(1), "in-process", "p50"),
        median(echo_work(1), "direct, 1 child", "p50"),
        median(echo_work(1), "weir", "p50"),
    ]
    if None not in one:
        yield at_most("one client: P50, µs, at most in-process + direct + 20", one[2], one[0] + one[1] + 20)
    yield at_most("one client: P50 over tower-mcp's", ratio("weir", "tower-mcp", "p50", echo_work(1)), 1)
    cpu = [median(native_work(64), name, "front") for name in ("weir", "in-process")]
    if None not in cpu:
        yield at_most("a native child: CPU µs of the front beyond the in-process echo's (2 is the aim)", cpu[0] - cpu[1], 3)
    yield at_most("a native child: CPU of the front over tower-mcp's", ratio("weir", "tower-mcp", "front", native_work(64)), 0.2)
    half = [[median(HALF_WORK, name, figure) for name in ("weir", "in-process")] for figure in ("p50", "p99")]
    if None not in half[0]:
        yield at_most("half load: P50 beyond the in-process echo's, µs", half[0][0] - half[0][1], 50)
        yield at_most("half load: P99, µs", half[1][0], 1_000)
    yield at_most("a new client's first call: P50 over tower-mcp's", ratio("weir", "tower-mcp", "p50", NEW_WORK), 1)
    p99 = median(SLEEP_WORK, "weir", "p99")
    yield at_most("children that sleep: P99, ms", p99 and p99 / 1e3, 1.2 * MD4_P99_MS)
    yield at_most("children that sleep: processes", median(SLEEP_WORK, "weir", "processes"), POISSON_CHILDREN)


def main():
    os.sched_setaffinity(0, cpus)
    runs = run_rounds()
    print(table(runs))
    wrong = sum(run["wrong"] for (_, name), own in runs.all.items() if name in ("weir", "in-process") for run in own)
    is_met = wrong == 0
    print(f"\n{wrong} answers of weir wrong or lost\n")
    if environment["JUDGE"] == "1":
        print("| bar | figure | limit | met |\n|---|---|---|---|")
        for what, figure, limit, met in bars(runs):
            if figure is not None:
                is_met &= met
                print(f"| {what} | {shown(figure)} | {shown(limit)} | {'yes' if met else '**no**'} |")
    if environment["JSON"]:
        report = [{"work": work, "front": name, "runs": own} for (work, name), own in runs.all.items()]
        Path(environment["JSON"]).write_text(json.dumps(report, indent=1), encoding="utf-8")
    return not is_met


sys.exit(main())
