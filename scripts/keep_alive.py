"""Connections that make a request and then stay, one at a time and blocking.

For what must be held open or ordered exactly; the load itself is `weir bench`.
"""

import socket
import struct

import echo_request as echo

ANSWER_SECONDS_MAX = 10


def request(address, tool="echo", arguments=None):
    """The bytes of one modern call; without arguments, of an echo."""
    body = echo.call("modern", tool, arguments or {"message": echo.MESSAGE})
    head = [f"POST {echo.PATH} HTTP/1.1", f"host: {address}", "content-type: application/json",
            "accept: application/json, text/event-stream", f"content-length: {len(body)}"]
    head += [f"{name}: {value}" for name, value in echo.headers("modern", tool).items()]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def ask(connection, message):
    """One request and its whole answer, as status and body; the connection stays."""
    connection.sendall(message)
    received = b""
    while True:
        head, end, body = received.partition(b"\r\n\r\n")
        if end:
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if len(body) >= int(lengths[0].split(b":")[1]):
                return int(head.split(b" ", 2)[1]), body
        some = connection.recv(65536)
        if not some:
            raise SystemExit(f"a connection was closed: {received!r}")
        received += some


def ask_echo(connection, message):
    status, body = ask(connection, message)
    if status != 200 or echo.MESSAGE.encode() not in body:
        raise SystemExit(f"a wrong answer: {status} {body!r}")


def connect(address, source_port=0):
    """Closes. A connection from a port of its own is reset, so that the port is free again at once."""
    host, port = address.rsplit(":", 1)
    connection = socket.socket()
    connection.settimeout(ANSWER_SECONDS_MAX)
    if source_port:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            connection.bind(("127.0.0.1", source_port))
        except OSError:
            connection.close()
            raise
    connection.connect((host, int(port)))
    return connection


def open_connections(address, count, message):
    opened = []
    for _ in range(count):
        opened.append(connect(address))
        ask_echo(opened[-1], message)
    return opened
