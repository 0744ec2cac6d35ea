"""The measuring part of websocket.sh: opens the connections, answers pings, runs the load, prints what it costs."""

import json
import os
import select
import statistics
import sys
import tempfile
import time

import bench
import echo_request as echo
import keep_alive
import memory
import servers

BYTES_MAX, CPU_RATIO_MAX = 1024, 1.0
SHARES = (0.1, 0.25, 0.5, 1.0)
# Connections opened and closed before anything is measured, so that everything made on first use is there.
WARM_CONNECTIONS = 64
LOAD_CONNECTIONS = 64
WARM_UP_SECONDS = 1
# How often every connection is pinged before memory is read for the last time.
PINGS = 3
RECEIVE_BYTES = 65536

# A mask of zeros is valid, and leaves a payload as it is.
MASK = b"\0\0\0\0"
TEXT, PING, PONG = 0x81, 0x89, b"\x8a\x80" + MASK

environment = os.environ
total = int(environment["TOTAL"])
ping_seconds = float(environment["PING_SECONDS"])
rounds, seconds = int(environment["ROUNDS"]), float(environment["SECONDS_EACH"])
target, load_cpu = environment["TARGET"], int(environment["LOAD_CPU"])


def handshake(address):
    fields = {
        "host": address, "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-protocol": "mcp",
    }  # fmt: skip
    head = [f"GET {echo.PATH} HTTP/1.1"] + [f"{name}: {value}" for name, value in fields.items()]
    return ("\r\n".join(head) + "\r\n\r\n").encode()


def text_frame(text):
    payload = text.encode()
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([TEXT]) + size + MASK + payload


class Connection:
    """One open WebSocket, and the bytes that have come on it without a whole frame."""

    __slots__ = ("answers", "is_open", "pings", "received", "socket")

    def __init__(self, address):
        self.socket, self.is_open, self.pings, self.answers = keep_alive.connect(address), True, 0, []
        self.socket.sendall(handshake(address))
        self.received = b""
        while b"\r\n\r\n" not in self.received:
            self.receive()
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise SystemExit(f"no WebSocket but {head!r}")

    def receive(self):
        some = self.socket.recv(RECEIVE_BYTES)
        if not some:
            self.is_open = False
            raise SystemExit(f"a connection was closed: {self.received!r}")
        self.received += some

    def take(self):
        """Answers pings and keeps other whole frames."""
        while len(self.received) >= 2:
            first, size = self.received[0], self.received[1]
            start = 2
            if size == 126:
                start, size = 4, int.from_bytes(self.received[2:4], "big")
            if len(self.received) < start + size:
                return
            payload, self.received = self.received[start : start + size], self.received[start + size :]
            if first == PING and not payload:
                self.pings += 1
                self.socket.sendall(PONG)
            elif first == TEXT:
                self.answers.append(payload)
            else:
                raise SystemExit(f"frame {first:#x}: {payload!r}")

    def ask_echo(self, message):
        self.socket.sendall(message)
        while not self.answers:
            self.receive()
            self.take()
        answer = json.loads(self.answers.pop())
        if answer.get("result", {}).get("content") != [{"type": "text", "text": echo.MESSAGE}]:
            raise SystemExit(f"a wrong answer: {answer}")


class Listener:
    """All connections, and the poll on which they are pinged."""

    def __init__(self):
        self.connections, self.poll = {}, select.epoll()

    def add(self, connection):
        self.connections[connection.socket.fileno()] = connection
        self.poll.register(connection.socket.fileno(), select.EPOLLIN)

    def hear(self, until, is_over=lambda: False):
        """Answers pings until that time, or until `is_over`."""
        while not is_over() and (left := until - time.monotonic()) > 0:
            for descriptor, _ in self.poll.poll(left):
                self.connections[descriptor].receive()
                self.connections[descriptor].take()

    def close(self):
        self.poll.close()
        for connection in self.connections.values():
            connection.socket.close()


def measure_memory(server):
    """Memory at each count of connections, after pings, and after all have gone."""
    message = text_frame(echo.body("modern"))
    for _ in range(WARM_CONNECTIONS):
        connection = Connection(server.address)
        connection.ask_echo(message)
        connection.socket.close()
    before = memory.settled(server.pid)
    listener, rows = Listener(), []
    for share in SHARES:
        count = int(total * share)
        while len(listener.connections) < count:
            connection = Connection(server.address)
            connection.ask_echo(message)
            listener.add(connection)
            # The open connections are pinged meanwhile.
            listener.hear(time.monotonic() + 1e-4)
        reading = memory.settled(server.pid, listener.hear)
        rows.append({"connections": count, "pss_bytes": reading.pss, "bytes_each": (reading.pss - before.pss) / count})
    for connection in listener.connections.values():
        connection.pings = 0
    listener.hear(time.monotonic() + (PINGS + 1) * ping_seconds)
    after_pings = memory.settled(server.pid, listener.hear)
    pings = min(connection.pings for connection in listener.connections.values())
    # All of them still serve, and are pinged meanwhile.
    for connection in listener.connections.values():
        connection.ask_echo(message)
        listener.hear(time.monotonic() + 1e-4)
    listener.close()
    return {
        "before_pss_bytes": before.pss,
        "rows": rows,
        "pings_least": pings,
        "pinged_bytes_each": (after_pings.pss - before.pss) / total,
        "after_pss_bytes": memory.settled(server.pid).pss,
    }


def run_load(server, transport, body_file):
    options = [
        "--pid", server.pid, "--clients", LOAD_CONNECTIONS, "--cpus", load_cpu, "--duration", bench.time(seconds),
        "--warm-up", bench.time(WARM_UP_SECONDS), "--label", transport,
    ]  # fmt: skip
    scheme, headers = ("ws", {}) if transport == "websocket" else ("http", echo.headers("modern"))
    command = bench.command(f"{target}/weir", server.address, body_file, headers, *options, scheme=scheme)
    return bench.run(command, timeout=2 * (seconds + WARM_UP_SECONDS) + 30)


def measure_cpu(server):
    """Runs of both kinds by turns; their order changes, so that drift favours nobody."""
    runs = {"http": [], "websocket": []}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        body.write(echo.body("modern"))
        body.flush()
        for turn in range(rounds):
            for transport in ("http", "websocket")[:: 1 if turn % 2 else -1]:
                runs[transport].append(run_load(server, transport, body.name))
    cpu = "server_cpu_micros_per_request"
    return {
        "http_cpu_micros": statistics.median(run[cpu] for run in runs["http"]),
        "websocket_cpu_micros": statistics.median(run[cpu] for run in runs["websocket"]),
        "http_requests_per_second": statistics.median(run["requests_per_second"] for run in runs["http"]),
        "websocket_requests_per_second": statistics.median(run["requests_per_second"] for run in runs["websocket"]),
        "ratio": statistics.median(ws[cpu] / http[cpu] for ws, http in zip(runs["websocket"], runs["http"])),
        "errors": sum(run["errors"] for kind in runs.values() for run in kind),
    }


def faults(report):
    """The faults in the report."""
    idle, cpu = report["idle"], report["cpu"]
    cost = max(idle["pinged_bytes_each"], idle["rows"][-1]["bytes_each"])
    return [
        fault
        for is_fault, fault in (
            (idle["pings_least"] < PINGS, f"a connection had {idle['pings_least']} pings of {PINGS}"),
            (cost > BYTES_MAX, f"{cost:.0f} bytes each, {BYTES_MAX} at most"),
            (cpu["errors"], f"{cpu['errors']} errors under load"),
            (cpu["ratio"] > CPU_RATIO_MAX, f"an echo costs {cpu['ratio']:.3f} times HTTP's CPU, {CPU_RATIO_MAX} at most"),
        )
        if is_fault
    ]


def main():
    os.sched_setaffinity(0, {load_cpu})
    timeout = ["--websocket-timeout", f"{int(2 * ping_seconds * 1000)}ms", "--prefault", "on"]
    with servers.weir(f"{target}/weir", int(environment["SERVER_CPU"]), *timeout) as server:
        echo.check(server.address, "modern")
        report = {"connections": total, "idle": measure_memory(server), "cpu": measure_cpu(server)}
    found = faults(report)
    if environment["FORMAT"] == "json":
        print(json.dumps(report | {"faults": found}, indent=2))
        return bool(found)
    idle, cpu = report["idle"], report["cpu"]
    print(f"{'connections':>12} {'PSS KiB':>9} {'bytes each':>11}")
    print(f"{0:>12} {idle['before_pss_bytes'] // 1024:>9}")
    for row in idle["rows"]:
        print(f"{row['connections']:>12} {row['pss_bytes'] // 1024:>9} {row['bytes_each']:>11.0f}")
    print(f"{'pinged':>12} {'':>9} {idle['pinged_bytes_each']:>11.0f}")
    print(f"{'all closed':>12} {idle['after_pss_bytes'] // 1024:>9}")
    print(f"an echo      {cpu['websocket_cpu_micros']:.2f} µs of CPU over WebSocket, {cpu['http_cpu_micros']:.2f} over HTTP:"
          f" {cpu['ratio']:.3f} times (rounds paired, median of {rounds})")
    print(f"throughput   {cpu['websocket_requests_per_second']:.0f}/s over WebSocket,"
          f" {cpu['http_requests_per_second']:.0f}/s over HTTP")
    for fault in found:
        print(f"NOT WITHIN THE LIMITS: {fault}")
    return bool(found)


sys.exit(main())
