"""The measuring part of streams.sh: opens the streams, reads them, prints what they cost."""

import json
import os
import select
import sys
import tempfile
import time
from pathlib import Path

import echo_request as echo
import keep_alive
import memory
import servers

BYTES_MAX, CPU_PERCENT_MAX, UPDATE_SECONDS_MAX = 1024, 3.0, 1.0
# The interval between signs of life for which the limit of CPU time holds.
LIMIT_KEEP_ALIVE_SECONDS = 15
# Streams opened and closed before anything is measured, so that everything made on first use is there.
WARM_STREAMS = 64
UPDATES = 5
UPDATE_PATIENCE_SECONDS = 10
# Time between two changes, so that the answer to one is not taken for the other's.
SETTLE_SECONDS = 1
# Longer than any run here, so that no session ends for idleness.
IDLE_TIMEOUT = "1h"
RECEIVE_BYTES = 65536

KEEP_ALIVE, UPDATED, LAST_CHUNK = b":\n\n", b"notifications/resources/updated", b"\r\n0\r\n\r\n"
FILE = "watched.txt"
URI = f"file:///{FILE}"

environment = os.environ
total = int(environment["STREAMS"])
legacy_total = total * int(environment["LEGACY_PERCENT"]) // 100
minutes = float(environment["MINUTES"])
keep_alive_seconds = float(environment["KEEP_ALIVE_SECONDS"])


class Stream:
    """One open stream, and the bytes that have come on it."""

    __slots__ = ("connection", "has_heard", "is_open", "keep_alives", "tail", "updates")

    def __init__(self, connection, received):
        self.connection, self.is_open, self.has_heard = connection, True, False
        self.keep_alives, self.updates, self.tail = 0, 0, received[-len(UPDATED) :]

    def receive(self):
        """Reads what is there. The text to find may come in pieces, so the last bytes are searched again."""
        try:
            some = self.connection.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            some = b""
        if not some:
            self.is_open = False
            return
        text = self.tail + some
        self.keep_alives += text.count(KEEP_ALIVE) - self.tail.count(KEEP_ALIVE)
        self.updates += text.count(UPDATED) - self.tail.count(UPDATED)
        if text.endswith(LAST_CHUNK):
            self.is_open = False
        self.tail = text[-len(UPDATED) :]


class Listener:
    """All streams, the poll they are read with, and when each first received the expected change."""

    def __init__(self):
        self.streams, self.poll, self.heard_at = {}, select.epoll(), []

    def add(self, connection, received):
        """`received` are the bytes behind the head of the answer."""
        connection.setblocking(False)
        self.streams[connection.fileno()] = Stream(connection, received)
        self.poll.register(connection.fileno(), select.EPOLLIN)

    def hear(self, until, is_over=lambda: False):
        """Reads whatever comes until that time, or until `is_over`."""
        while not is_over() and (left := until - time.monotonic()) > 0:
            for descriptor, _ in self.poll.poll(left):
                stream = self.streams[descriptor]
                stream.receive()
                if stream.updates and not stream.has_heard:
                    stream.has_heard = True
                    self.heard_at.append(time.monotonic())
                if not stream.is_open:
                    self.poll.unregister(descriptor)

    def expect_updates(self):
        self.heard_at = []
        for stream in self.each():
            stream.updates, stream.has_heard = 0, False

    def each(self):
        return self.streams.values()

    def close(self):
        self.poll.close()
        for stream in self.each():
            stream.connection.close()


def post(address, message, headers):
    """The bytes of a POST."""
    body = json.dumps(message, separators=(",", ":"))
    fields = {"host": address, "content-type": "application/json", "content-length": len(body)}
    fields |= {"accept": "application/json, text/event-stream"} | headers
    head = [f"POST {echo.PATH} HTTP/1.1"] + [f"{name}: {value}" for name, value in fields.items()]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def listen_request(address, number):
    params = json.loads(echo.call("modern", "", {}))["params"]
    params = {"_meta": params["_meta"], "notifications": {"resourceSubscriptions": [URI]}}
    message = {"jsonrpc": "2.0", "id": number, "method": "subscriptions/listen", "params": params}
    headers = {"mcp-protocol-version": echo.MODERN_REVISION, "mcp-method": "subscriptions/listen"}
    return post(address, message, headers)


def ask_control(connection, message):
    """A request on the connection on which sessions are opened; its answer's head."""
    connection.sendall(message)
    received = b""
    while True:
        head, end, body = received.partition(b"\r\n\r\n")
        if end:
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if len(body) >= (int(lengths[0].split(b":")[1]) if lengths else 0):
                break
        received += connection.recv(RECEIVE_BYTES)
    if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")) or b'"error"' in body:
        raise SystemExit(f"a session was not opened: {received!r}")
    return head


def open_session(address, control):
    """Opens a session that subscribes to the file; returns its id."""
    about = {"protocolVersion": echo.LEGACY_REVISION, "capabilities": {}, "clientInfo": {"name": "streams", "version": "1"}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about}
    head = ask_control(control, post(address, request, {}))
    session = next(line.split(b":")[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"mcp-session-id:"))
    headers = {"mcp-protocol-version": echo.LEGACY_REVISION, "mcp-session-id": session.decode()}
    ask_control(control, post(address, {"jsonrpc": "2.0", "method": "notifications/initialized"}, headers))
    subscribe = {"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe", "params": {"uri": URI}}
    ask_control(control, post(address, subscribe, headers))
    return headers


def get_stream_request(address, headers):
    fields = {"host": address, "accept": "text/event-stream"} | headers
    head = [f"GET {echo.PATH} HTTP/1.1"] + [f"{name}: {value}" for name, value in fields.items()]
    return ("\r\n".join(head) + "\r\n\r\n").encode()


def open_stream(address, request, listener):
    """Opens one and waits for its first event, which acknowledges or primes it."""
    connection = keep_alive.connect(address)
    connection.sendall(request)
    received = b""
    while b"\r\n\r\n" not in received or b"\n\n" not in received.partition(b"\r\n\r\n")[2]:
        some = connection.recv(RECEIVE_BYTES)
        if not some:
            raise SystemExit(f"no stream but {received!r}")
        received += some
    if not received.startswith(b"HTTP/1.1 200") or b"text/event-stream" not in received:
        raise SystemExit(f"no stream but {received!r}")
    listener.add(connection, received.partition(b"\r\n\r\n")[2])


def open_streams(address, count, legacy_count, listener):
    control = keep_alive.connect(address)
    for number in range(count):
        # Both kinds are opened by turns, so that neither has the younger half of the memory.
        is_legacy = number * legacy_count // count != (number + 1) * legacy_count // count
        if is_legacy:
            request = get_stream_request(address, open_session(address, control))
        else:
            request = listen_request(address, number)
        open_stream(address, request, listener)
    control.close()


def cpu_seconds(pid):
    """CPU time of all threads of the process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def broadcast(listener, root, turn):
    """Seconds from a change of the file until half and until all of the streams have received it; None if not all did."""
    listener.expect_updates()
    began = time.monotonic()
    (root / FILE).write_text(f"change {turn}\n")
    listener.hear(began + UPDATE_PATIENCE_SECONDS, lambda: len(listener.heard_at) == len(listener.streams))
    if len(listener.heard_at) < len(listener.streams):
        return None
    half = listener.heard_at[len(listener.heard_at) // 2]
    return {"half_seconds": half - began, "all_seconds": listener.heard_at[-1] - began}


def measure(server, root):
    listener = Listener()
    open_streams(server.address, WARM_STREAMS, WARM_STREAMS // 2, listener)
    listener.close()
    baseline = memory.settled(server.pid)

    listener = Listener()
    began = time.monotonic()
    open_streams(server.address, total, legacy_total, listener)
    opened_seconds = time.monotonic() - began
    opened = memory.settled(server.pid, listener.hear)

    for stream in listener.each():
        stream.keep_alives = 0
    cpu, began = cpu_seconds(server.pid), time.monotonic()
    listener.hear(began + minutes * 60)
    seconds = time.monotonic() - began
    cpu = cpu_seconds(server.pid) - cpu
    after = memory.settled(server.pid, listener.hear)
    keep_alives = sorted(stream.keep_alives for stream in listener.each())

    updates = []
    for turn in range(UPDATES):
        updates.append(broadcast(listener, root, turn))
        listener.hear(time.monotonic() + SETTLE_SECONDS)
    dropped = sum(not stream.is_open for stream in listener.each())
    listener.close()
    return {
        "streams": total,
        "legacy": legacy_total,
        "opened_seconds": opened_seconds,
        "seconds": seconds,
        "dropped": dropped,
        "keep_alives_least": keep_alives[0],
        "keep_alives_most": keep_alives[-1],
        "before_pss_bytes": baseline.pss,
        "before_rss_bytes": baseline.rss,
        "opened_bytes_each": (opened.pss - baseline.pss) / total,
        "bytes_each": (after.pss - baseline.pss) / total,
        "rss_bytes_each": (after.rss - baseline.rss) / total,
        "cpu_percent": 100 * cpu / seconds,
        "updates": updates,
    }


def faults(report):
    """The faults in the report."""
    # The first and the last interval may be cut off, and a busy server may be late.
    owed = int(report["seconds"] / keep_alive_seconds) - 2
    slowest = max((update["all_seconds"] for update in report["updates"] if update), default=0)
    return [
        fault
        for is_fault, fault in (
            (report["dropped"], f"{report['dropped']} streams were dropped"),
            (report["keep_alives_least"] < owed, f"a stream had {report['keep_alives_least']} signs of life of {owed}"),
            (report["bytes_each"] > BYTES_MAX, f"{report['bytes_each']:.0f} bytes each, {BYTES_MAX} at most"),
            (
                keep_alive_seconds >= LIMIT_KEEP_ALIVE_SECONDS and report["cpu_percent"] > CPU_PERCENT_MAX,
                f"{report['cpu_percent']:.1f} % of a core, {CPU_PERCENT_MAX} at most",
            ),
            (None in report["updates"], f"a change had not reached all after {UPDATE_PATIENCE_SECONDS} s"),
            (slowest >= UPDATE_SECONDS_MAX, f"a change took {slowest:.2f} s, {UPDATE_SECONDS_MAX} at most"),
        )
        if is_fault
    ]


def main():
    os.sched_setaffinity(0, {int(environment["LOAD_CPU"])})
    first, shards = int(environment["SERVER_CPU"]), int(environment["SHARDS"])
    cpus = [first + number for number in range(shards)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / FILE).write_text("unchanged\n")
        flags = ["--shards", str(shards), "--admin", "off", "--toolset", "files", "--root", folder]
        flags += ["--prefault", "on", "--idle-timeout", IDLE_TIMEOUT, "--stream-keep-alive", f"{int(keep_alive_seconds * 1000)}ms"]
        with servers.weir_shards(f"{environment['TARGET']}/weir", cpus, *flags) as server:
            report = measure(server, root)
    found = faults(report)
    if environment["FORMAT"] == "json":
        print(json.dumps(report | {"faults": found}, indent=2))
        return bool(found)
    print(f"{report['streams']} streams, {report['legacy']} of them legacy, opened in {report['opened_seconds']:.1f} s")
    print(f"dropped      {report['dropped']} in {report['seconds']:.0f} s")
    print(f"keep-alives  {report['keep_alives_least']} to {report['keep_alives_most']} on each, one per {keep_alive_seconds:g} s")
    print(f"memory       {report['bytes_each']:.0f} bytes of PSS each ({report['opened_bytes_each']:.0f} when just opened,"
          f" {report['rss_bytes_each']:.0f} of RSS)")
    print(f"CPU          {report['cpu_percent']:.2f} % of a core")
    for update in filter(None, report["updates"]):
        print(f"a change     reached half in {update['half_seconds'] * 1000:.0f} ms, all in {update['all_seconds'] * 1000:.0f} ms")
    for fault in found:
        print(f"NOT WITHIN THE LIMITS: {fault}")
    return bool(found)


sys.exit(main())
