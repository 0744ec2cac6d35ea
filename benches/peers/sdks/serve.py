"""What the two Python peers share: uvicorn with uvloop and httptools, one process, no access log."""

import socket
import sys

import uvicorn

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
HAS_SESSIONS = "--sessions" in sys.argv[1:]


def blob_text(bytes: int) -> str:
    return (ALPHABET * (bytes // len(ALPHABET) + 1))[:bytes]


def serve(app) -> None:
    """Serves on a port of the system's choice, and prints `listening ADDRESS` before."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(f"listening 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", log_level="error", access_log=False, timeout_keep_alive=600
    )
    uvicorn.Server(config).run(sockets=[listener])
