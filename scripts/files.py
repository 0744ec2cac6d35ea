"""The measuring part of files.sh: runs the rounds, prints Markdown, judges the bars."""

import ctypes
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

environment = os.environ
rounds, judge = int(environment["ROUNDS"]), environment["JUDGE"] == "1"
target, peers, tree = environment["TARGET"], environment["PEERS"], environment["TREE"]
server_cpu, load_cpu = int(environment["SERVER_CPU"]), int(environment["LOAD_CPU"])

# Calls of `read_file` for the CPU time of one of the reference server's, and the time of a search over ripgrep's.
READ_AT_LEAST, SEARCH_AT_MOST = 20, 1.3
KIBIBYTES = (1, 10, 40)
IN_FLIGHT = 64
BATCHES = {"weir": 100, "reference": 20}
# Nothing, and a little: the first needs a literal only, the last looks at every byte.
PATTERNS = ("io_uring_prep_sendmsg_zc", "(?i)zebra crossing", "fn [a-z]+_sqe_cmd_.*u8", "[A-Z]{30}_[0-9]{5}")
MATCHES_MAX = 1000
PR_SET_PDEATHSIG = 1


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(command, **pipes):
    """A pinned process that dies with this one."""
    libc = ctypes.CDLL(None)
    prepare = lambda: (os.sched_setaffinity(0, {server_cpu}), libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
    return subprocess.Popen(command, preexec_fn=prepare, **pipes)


class Server:
    """An MCP server at the other end of two pipes."""

    def __init__(self, command):
        self.process = start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        client = {"name": "files", "version": "1.0.0"}
        self.send([request(0, "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=client)])
        self.receive(1)
        self.send([{"jsonrpc": "2.0", "method": "notifications/initialized"}])

    def send(self, messages):
        self.send_bytes(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    def send_bytes(self, lines):
        self.process.stdin.write(lines)
        self.process.stdin.flush()

    def receive(self, lines):
        """The bytes of so many lines, of which nobody sends more."""
        parts, count = [], 0
        while count < lines:
            part = os.read(self.process.stdout.fileno(), 1 << 20)
            if not part:
                raise SystemExit(f"{self.process.args[0]} has left")
            count += part.count(b"\n")
            parts.append(part)
        return b"".join(parts)

    def call(self, tool, **arguments):
        self.send([request(1, "tools/call", name=tool, arguments=arguments)])
        return json.loads(self.receive(1))["result"]

    def read(self, tool, path, expected, batches):
        """Microseconds of a call, and of CPU time of a call."""
        calls = [request(id, "tools/call", name=tool, arguments={"path": path}) for id in range(IN_FLIGHT)]
        lines = b"".join(json.dumps(call).encode() + b"\n" for call in calls)
        cpu, begun = cpu_seconds(self.process.pid), time.monotonic()
        for _ in range(batches):
            self.send_bytes(lines)
            answers = self.receive(IN_FLIGHT)
        count = batches * IN_FLIGHT / 1e6
        elapsed, cpu = time.monotonic() - begun, cpu_seconds(self.process.pid) - cpu
        answers = [json.loads(line) for line in answers.splitlines()]
        texts = [answer["result"]["content"][0]["text"] for answer in answers]
        ids = sorted(answer["id"] for answer in answers)
        if ids != list(range(IN_FLIGHT)) or any(text != expected for text in texts):
            raise SystemExit(f"{self.process.args[0]} answers wrongly: {texts[0][:200]!r}")
        return {"wall": elapsed / count, "cpu": cpu / count}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def request(id, method, **params):
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def weir(root):
    return Server([f"{target}/weir", "stdio", "--root", root, "--log-level", "error", "--call-timeout", "10m"])


def reference(root):
    program = f"{peers}/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"
    return Server(["node", program, root])


def measure_reads(all, folder):
    tools = {"weir": (weir, "read_file"), "reference": (reference, "read_text_file")}
    for kibibytes in KIBIBYTES:
        line = "It was the best of times, it was the worst of times.\n"
        text = line * (kibibytes * 1024 // len(line))
        file = Path(folder, f"{kibibytes}.txt")
        file.write_text(text)
        for name, (server, tool) in tools.items():
            with server(folder) as server:
                # The first ones compile what they run.
                server.read(tool, str(file), text, BATCHES[name])
                figures = server.read(tool, str(file), text, BATCHES[name])
                all.setdefault((f"read {kibibytes} KiB", name), []).append(figures)


def measure_searches(all):
    with weir(tree) as server:
        for pattern in PATTERNS:
            cpu, begun = cpu_seconds(server.process.pid), time.monotonic()
            result = server.call("search", pattern=pattern, limit=MATCHES_MAX)
            found = result["structuredContent"]
            figures = {"wall": time.monotonic() - begun, "cpu": cpu_seconds(server.process.pid) - cpu}
            count = search_with_ripgrep(all, pattern)
            if found["truncated"] or len(found["matches"]) != count:
                raise SystemExit(f"{pattern}: {len(found['matches'])} lines found, ripgrep finds {count}")
            all.setdefault((f"search {pattern}", "weir"), []).append(figures)


def search_with_ripgrep(all, pattern):
    before, begun = os.times(), time.monotonic()
    ripgrep = start([f"{peers}/bin/rg", "-j1", "-n", "--no-messages", pattern, tree], stdout=subprocess.PIPE)
    lines = ripgrep.communicate()[0].count(b"\n")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    all.setdefault((f"search {pattern}", "rg -j1"), []).append({"wall": time.monotonic() - begun, "cpu": cpu})
    return lines


def ratio(all, work, over, under, figure):
    pairs = zip(all[work, over], all[work, under])
    return statistics.median(one[figure] / other[figure] for one, other in pairs)


def report(all):
    """Prints the table, and the bars if they are to be judged; whether all are met."""
    print("| work | server | time | CPU time | over weir's: time | CPU time |")
    print("|---|---|---|---|---|---|")
    for (work, name), own in all.items():
        unit = "µs" if work.startswith("read") else "s"
        times = [statistics.median(figures[kind] for figures in own) for kind in ("wall", "cpu")]
        ratios = ["" if name == "weir" else f"{ratio(all, work, name, 'weir', kind):.2f}" for kind in ("wall", "cpu")]
        print(f"| {work} | {name} | " + " | ".join([*(f"{figure:.3g} {unit}" for figure in times), *ratios]) + " |")
    if not judge:
        return True
    works = dict.fromkeys(work for work, _ in all)
    is_met = True
    print("\n| bar | figure | limit | met |\n|---|---|---|---|")
    for work in works:
        bar = f"{work}: CPU time" if work.startswith("read") else f"{work}: time"
        if work.startswith("read"):
            figure, limit = ratio(all, work, "reference", "weir", "cpu"), f"at least {READ_AT_LEAST}"
            met = figure >= READ_AT_LEAST
        else:
            figure, limit = ratio(all, work, "weir", "rg -j1", "wall"), f"at most {SEARCH_AT_MOST}"
            met = figure <= SEARCH_AT_MOST
        is_met &= met
        print(f"| {bar} | {figure:.2f} | {limit} | {'yes' if met else '**no**'} |")
    return is_met


def main():
    os.sched_setaffinity(0, {load_cpu})
    all = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = os.path.realpath(folder)
        print(f"a first search of {tree}, which is not counted", file=sys.stderr, flush=True)
        measure_searches({})
        for turn in range(rounds):
            measure_reads(all, folder)
            measure_searches(all)
            print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
    return 0 if report(all) else 1


if __name__ == "__main__":
    sys.exit(main())
