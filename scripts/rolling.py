#!/usr/bin/env python3
"""Replaces a server by the next one at the same place, again and again, under clients that only come and go.

    scripts/rolling.py [--weir PATH] [--restarts N] [--connects N] [--clients N] [--shards N] [--flag FLAG]
                       [--unix PATH]

Each client connects, asks for one echo and leaves. Prints how many connects there were, how long the slowest took, and
how many hung for a second (a first packet that nobody answered), were refused or reset, or got no answer. Exits with 1
unless all of the latter are none. `--weir` is `target/release/weir` by default, `--flag` (repeatable) is for the server. The place
is a port, or the Unix socket that `--unix` names.
"""

import argparse
import collections
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import echo_request

HUNG_SECONDS = 0.9
WHERE = re.compile(rb"url=http://(?:unix:[^ ]+|([\d.]+):(\d+))/mcp")


def start(arguments, address):
    command = [arguments.weir, "serve", "--listen", address, "--admin", "off", "--toolset", "demo", "--report", "none"]
    command += ["--shards", str(arguments.shards), "--reuse-port", "on", *arguments.flag]
    said = tempfile.TemporaryFile()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
    while not (where := WHERE.search(os.pread(said.fileno(), 1 << 16, 0))):
        if process.poll() is not None:
            sys.exit(os.pread(said.fileno(), 1 << 16, 0).decode())
        time.sleep(0.005)
    if arguments.unix:
        return process, arguments.unix
    return process, (where.group(1).decode(), int(where.group(2)))


def connect(where):
    if not isinstance(where, str):
        return socket.create_connection(where, timeout=10)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(where)
    return connection


def request(where):
    body = echo_request.body("modern").encode()
    host = "localhost" if isinstance(where, str) else "%s:%d" % where
    fields = {"host": host, "content-type": "application/json", "connection": "close"}
    fields |= {"accept": "application/json, text/event-stream", "content-length": str(len(body))}
    fields |= echo_request.headers("modern")
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body


def come_and_go(where, message, left, fates, slowest):
    """One client; `left` is how many more are to come, of all clients."""
    while left.acquire(blocking=False):
        began = time.monotonic()
        try:
            with connect(where) as connection:
                took = time.monotonic() - began
                slowest.append(took)
                connection.sendall(message)
                answer = b""
                while piece := connection.recv(1 << 16):
                    answer += piece
            fate = "answered" if answer.startswith(b"HTTP/1.1 200 ") else "unanswered"
            fates.append("hung" if took >= HUNG_SECONDS else fate)
        except (ConnectionRefusedError, FileNotFoundError):
            fates.append("refused")
        except ConnectionResetError:
            fates.append("reset")
        except TimeoutError:
            fates.append("hung")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weir", default=os.path.join(os.path.dirname(__file__), "../target/release/weir"))
    parser.add_argument("--restarts", type=int, default=10)
    parser.add_argument("--connects", type=int, default=8000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--flag", action="append", default=[])
    parser.add_argument("--unix", metavar="PATH")
    arguments = parser.parse_args()
    server, where = start(arguments, f"unix:{arguments.unix}" if arguments.unix else "127.0.0.1:0")
    left, fates, slowest = threading.Semaphore(arguments.connects), [], []
    job = (come_and_go, (where, request(where), left, fates, slowest))
    clients = [threading.Thread(target=job[0], args=job[1]) for _ in range(arguments.clients)]
    for client in clients:
        client.start()
    for restart in range(arguments.restarts):
        # Spread over the connects, so that every restart meets its share of them.
        while len(fates) < arguments.connects * (restart + 0.5) / arguments.restarts:
            time.sleep(0.001)
        following, _ = start(arguments, f"unix:{where}" if arguments.unix else "%s:%d" % where)
        server.send_signal(signal.SIGTERM)
        if server.wait() != 0:
            sys.exit(f"a drained server ended with {server.returncode}")
        server = following
    for client in clients:
        client.join()
    server.send_signal(signal.SIGTERM)
    server.wait()
    counts = collections.Counter(fates)
    bad = {fate: count for fate, count in counts.items() if fate != "answered"}
    print(f"{len(fates)} connects over {arguments.restarts} restarts, the slowest took {max(slowest) * 1000:.0f} ms; ", end="")
    print(", ".join(f"{count} {fate}" for fate, count in counts.most_common()))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
