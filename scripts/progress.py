#!/usr/bin/env python3
"""Measures the cost of a progress message: calls of a thousand steps that report each, and calls that do not.

    scripts/progress.py [--before BUILD] [--build BUILD] [--rounds N] [--calls N] [--steps N] [--no-build]

Starts a server for each run and calls the tool `progress` of the toolset `demo` over one connection, in three ways: as a
modern client, whose streams are not replayed, as a legacy client with a session, whose streams are, and over a WebSocket.
A message costs what a call with a progress token takes more than one without, in CPU time of the whole process, divided by
the steps. Prints the median of the rounds for each build, and the median of the ratios round by round. Environment:
SERVER_CPU=0 LOAD_CPU=1.
"""

import argparse
import base64
import json
import os
import statistics
import struct
import subprocess
import time

import echo_request as echo
import keep_alive
import servers

WAYS = ("modern", "legacy", "websocket")
TOKEN = "0123456789abcdef"
RECEIVE_BYTES = 1 << 20


def body(way, steps, is_told):
    call = json.loads(echo.call("legacy" if way == "legacy" else "modern", "progress", {"steps": steps, "delay_ms": 0}))
    if is_told:
        call["params"].setdefault("_meta", {})["progressToken"] = TOKEN
    return json.dumps(call, separators=(",", ":")).encode()


def head(address, fields, length):
    lines = [f"POST {echo.PATH} HTTP/1.1", f"host: {address}", "content-type: application/json",
             "accept: application/json, text/event-stream", f"content-length: {length}", *fields]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def open_session(connection, address):
    """A legacy session's header line."""
    params = {"protocolVersion": echo.LEGACY_REVISION, "capabilities": {}, "clientInfo": {"name": "p", "version": "1"}}
    message = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).encode()
    connection.sendall(head(address, [], len(message)) + message)
    answer = b""
    while b"}}" not in answer:
        answer += connection.recv(RECEIVE_BYTES)
    lines = answer.decode().split("\r\n")
    return next(line for line in lines if line.lower().startswith("mcp-session-id:"))


def upgrade(connection, address):
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {echo.PATH} HTTP/1.1", f"host: {address}", "connection: Upgrade", "upgrade: websocket",
             "sec-websocket-version: 13", f"sec-websocket-key: {key}"]  # fmt: skip
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(RECEIVE_BYTES)
    if b" 101 " not in answer:
        raise SystemExit(f"no WebSocket: {answer!r}")


def request(way, connection, address, message, fields):
    if way != "websocket":
        return head(address, fields, len(message)) + message
    return b"\x81" + struct.pack(">BH", 0x80 | 126, len(message)) + bytes(4) + message


def run_call(connection, message):
    """Sends a request and reads to the end of its answer; how many messages came before it."""
    connection.sendall(message)
    tail, told, is_answered = b"", 0, False
    mark = b"notifications/progress"
    while True:
        some = connection.recv(RECEIVE_BYTES)
        if not some:
            raise SystemExit("the connection was closed")
        text = tail + some
        told += text.count(mark) - tail.count(mark)
        # The end of the stream may arrive after the answer.
        is_answered = is_answered or b'"result"' in text
        if is_answered and (text.endswith((b"0\r\n\r\n", b"}")) or b'content-length' in text.lower()):
            return told
        tail = text[-64:]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(build, way, arguments):
    """CPU microseconds of a message."""
    cpu = int(os.environ.get("SERVER_CPU", 0))
    with servers.weir(build, cpu) as server:
        connection = keep_alive.connect(server.address)
        fields = []
        if way == "websocket":
            upgrade(connection, server.address)
        elif way == "legacy":
            fields = [open_session(connection, server.address), f"mcp-protocol-version: {echo.LEGACY_REVISION}"]
        else:
            fields = [f"{name}: {value}" for name, value in echo.headers("modern", "progress").items()]
        costs = {}
        for is_told in (True, False):
            message = request(way, connection, server.address, body(way, arguments.steps, is_told), fields)
            expected = arguments.steps if is_told else 0
            for measured in (False, True):
                before = cpu_seconds(server.pid)
                for _ in range(arguments.calls if measured else 3):
                    told = run_call(connection, message)
                    if told != expected:
                        raise SystemExit(f"{build}, {way}: {told} messages, {expected} expected")
                costs[is_told] = (cpu_seconds(server.pid) - before) * 1e6 / (arguments.calls * arguments.steps)
        connection.close()
    return costs[True] - costs[False], costs[True]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", help="the binary to compare with")
    parser.add_argument("--build", help="the binary to measure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--no-build", action="store_true")
    arguments = parser.parse_args()
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    if not (arguments.no_build or arguments.build):
        subprocess.run(["cargo", "build", "--quiet", "--release", "--bin", "weir"], check=True)
    target = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release")
    os.sched_setaffinity(0, {int(os.environ.get("LOAD_CPU", 1))})
    builds = {"before": arguments.before} if arguments.before else {}
    builds["now"] = arguments.build or f"{target}/weir"
    for way in WAYS:
        runs = {name: [] for name in builds}
        for turn in range(arguments.rounds):
            # The order changes, so that drift favours nobody.
            for name in sorted(builds, reverse=bool(turn % 2)):
                runs[name].append(measure(builds[name], way, arguments))
                time.sleep(0.1)
        for name, costs in runs.items():
            message, step = (statistics.median(cost[index] for cost in costs) for index in (0, 1))
            print(f"{way:<10} {name:<7} {message:>7.2f} us CPU a message, {step:>7.2f} with its step", flush=True)
        if arguments.before:
            ratio = statistics.median(now[0] / before[0] for now, before in zip(runs["now"], runs["before"]))
            print(f"{way:<10} ratio   {ratio:>7.2f}", flush=True)


if __name__ == "__main__":
    main()
