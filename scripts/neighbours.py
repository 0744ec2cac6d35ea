"""The measuring part of neighbours.sh: runs the rounds, prints medians as Markdown, judges the marks."""

import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import bench
import echo_request as echo
import servers

ECHOES_PER_SECOND, CONNECTIONS = 2_000, 64
P99_RATIO_MAX, TWO_SHARDS_CPU_MAX = 1.2, 1.05
SLEEPS_PER_SECOND, SLEEP_MILLIS = 200, 1_000
SEARCHERS, FILES, FILE_BYTES = 2, 4_000, 8 << 10
READERS, ANSWER_BYTES, READ_BYTES, READ_SECONDS = 100, 3_000_000, 64 << 10, 0.05
# The connections of the neighbours, whose answers are large or late.
SLEEPERS = 2 * SLEEPS_PER_SECOND * SLEEP_MILLIS // 1_000

environment = os.environ
rounds, seconds = int(environment["ROUNDS"]), float(environment["SECONDS_EACH"])
warm_up = float(environment["WARM_UP"])
server_cpu, load_cpu = int(environment["SERVER_CPU"]), int(environment["LOAD_CPU"])
target, peers = environment["TARGET"], environment["PEERS"]


def go_first():
    """Lets this process run when it wants to, so that what it measures is not its own waiting for the CPU that it
    shares. Only root may; others measure that, too."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


class Load:
    """Runs the load generator."""

    def __init__(self, folder):
        self.folder = folder

    def command(self, server, tool, arguments, *options):
        body = f"{self.folder}/{tool}.json"
        Path(body).write_text(echo.call("modern", tool, arguments), encoding="utf-8")
        return bench.command(f"{target}/weir", server.address, body, echo.headers("modern", tool), *options)

    def run(self, *arguments, prepare=None):
        done = subprocess.run(self.command(*arguments), stdout=subprocess.PIPE, check=True, preexec_fn=prepare)
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def beside(self, *arguments):
        """Goes on until the end of the block; the first answer must be right."""
        running = subprocess.Popen(self.command(*arguments), stdout=subprocess.DEVNULL)
        try:
            yield
            assert running.poll() is None, "the neighbours ended too early"
        finally:
            running.send_signal(signal.SIGKILL)
            running.wait()


def echoes(load, server):
    """P99 of the echoes in microseconds."""
    run = load.run(
        server, "echo", {"message": echo.MESSAGE}, "--cpus", load_cpu, "--clients", CONNECTIONS,
        "--phase", f"{ECHOES_PER_SECOND}:{warm_up}", "--phase", f"{ECHOES_PER_SECOND}:{seconds}", prepare=go_first,
    )  # fmt: skip
    phase = run["phases"][1]
    wrong = sum(count for outcome, count in phase["outcomes"].items() if outcome != "ok")
    if wrong:
        sys.exit(f"{wrong} echoes were wrong or lost: {phase['outcomes']}")
    return phase["good_micros"]["p99"]


def sleepers(load, server):
    length = 3 * (warm_up + seconds) + 10
    return load.beside(
        server, "sleep", {"ms": SLEEP_MILLIS}, "--cpus", load_cpu, "--clients", SLEEPERS,
        "--phase", f"{SLEEPS_PER_SECOND}:{length}",
    )  # fmt: skip


def searchers(load, server):
    return load.beside(
        server, "search", {"pattern": "needle"}, "--cpus", load_cpu, "--clients", SEARCHERS,
        "--duration", bench.time(3 * (warm_up + seconds) + 10),
    )  # fmt: skip


@contextlib.contextmanager
def slow_readers(_, server):
    """Clients that take their large answers piece by piece, and then ask for the next."""
    body = echo.call("modern", "blob", {"bytes": ANSWER_BYTES})
    fields = {"host": server.address, "content-type": "application/json", "accept": "application/json, text/event-stream",
              "content-length": len(body), **echo.headers("modern", "blob")}  # fmt: skip
    head = f"POST {echo.PATH} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    request = f"{head}\r\n{body}".encode()
    host, port = server.address.split(":")
    over, broken = threading.Event(), []
    sockets = [socket.create_connection((host, int(port))) for _ in range(READERS)]

    def read_all():
        left = [0] * READERS
        while not over.is_set():
            for index, connection in enumerate(sockets):
                if left[index] <= 0:
                    connection.sendall(request)
                    left[index] = ANSWER_BYTES
                piece = connection.recv(READ_BYTES)
                if not piece:
                    broken.append(index)
                    return
                left[index] -= len(piece)
            time.sleep(READ_SECONDS)

    reading = threading.Thread(target=read_all)
    reading.start()
    try:
        yield
        assert not broken, "a slow reader lost its connection"
    finally:
        over.set()
        for connection in sockets:
            connection.shutdown(socket.SHUT_RDWR)
        reading.join()
        for connection in sockets:
            connection.close()


NEIGHBOURS = {
    f"{SLEEPS_PER_SECOND} calls a second that sleep for {SLEEP_MILLIS} ms": sleepers,
    f"{SEARCHERS} clients that search {FILES:,} files": searchers,
    f"{READERS} clients that read {ANSWER_BYTES / 1e6:.0f} MB slowly": slow_readers,
}


def tree(folder):
    """A large tree, of which a few files match."""
    text = "the quick brown fox jumps over the lazy dog\n"
    content = text * (FILE_BYTES // len(text))
    for number in range(FILES):
        place = Path(folder, "tree", f"{number % 64}", f"{number}.txt")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content + ("needle\n" if number % 1_000 == 0 else ""), encoding="utf-8")
    return f"{folder}/tree"


def with_neighbours(load, root, runs):
    command = [
        f"{target}/weir", "serve", "--listen", "127.0.0.1:0", "--admin", "off", "--toolset", "demo", "--toolset", "files",
        "--root", root, "--report", "none", "--shards", "1", "--cpus", str(server_cpu), "--pool-size", "1024",
    ]  # fmt: skip
    # The process may use both CPUs, so that its workers are where its shard is not.
    with servers.Server("weir", command, {server_cpu, load_cpu}) as server:
        echo.check(server.address, "modern")
        alone = echoes(load, server)
        runs.setdefault("alone", []).append(alone)
        for name, neighbours in NEIGHBOURS.items():
            with neighbours(load, server):
                time.sleep(warm_up)
                runs.setdefault(name, []).append(echoes(load, server))


def on_two_cpus(load, runs):
    """CPU time of an echo on one thread and on two, of Weir and of epoll by hand: the load is on both CPUs."""
    cpus = [server_cpu, load_cpu]
    for count in (1, 2):
        used = cpus[:count]
        by_hand = servers.Server("epoll by hand", [f"{peers}/epoll-hand", *map(str, used)], set(cpus))
        weir = servers.weir_shards(f"{target}/weir", used, "--shards", str(count), "--admin", "off")
        for name, one in (("epoll", by_hand), ("weir", weir)):
            with one as server:
                run = load.run(
                    server, "echo", {"message": echo.MESSAGE}, "--pid", server.pid, "--clients", CONNECTIONS,
                    "--duration", bench.time(seconds), "--warm-up", bench.time(warm_up),
                )  # fmt: skip
            if run["errors"]:
                sys.exit(f"{run['errors']} echoes were wrong or lost")
            runs.setdefault((name, count), []).append(run["server_cpu_micros_per_request"])


def ratio(over, under):
    return statistics.median(a / b for a, b in zip(over, under))


def main():
    latencies, cpu = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        load, root = Load(folder), tree(folder)
        for turn in range(rounds):
            with_neighbours(load, root, latencies)
            on_two_cpus(load, cpu)
            print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
    alone = latencies.pop("alone")
    print("| what | figure | to | ratio | at most | met |\n|---|---|---|---|---|---|")
    rows = [
        (f"P99 of the echoes beside {name}, ms", [one / 1e3 for one in own], [one / 1e3 for one in alone], P99_RATIO_MAX)
        for name, own in latencies.items()
    ]
    by_hand = ratio(cpu["epoll", 2], cpu["epoll", 1])
    rows.append((
        f"CPU of an echo on two shards over one, µs (two threads of epoll by hand over one: {by_hand:.2f})",
        cpu["weir", 2], cpu["weir", 1], TWO_SHARDS_CPU_MAX,
    ))  # fmt: skip
    missed = False
    for what, own, other, most in rows:
        figure = ratio(own, other)
        missed |= figure > most
        print(f"| {what} | {statistics.median(own):.2f} | {statistics.median(other):.2f} | {figure:.2f} | {most} |"
              f" {'yes' if figure <= most else '**no**'} |")
    if environment["JSON"]:
        by_name = {f"{name} {count}": own for (name, count), own in cpu.items()}
        runs = {"latencies": {"alone": alone, **latencies}, "cpu": by_name}
        Path(environment["JSON"]).write_text(json.dumps(runs, indent=1), encoding="utf-8")
    return missed and environment["JUDGE"] == "1"


sys.exit(main())
