"""Starts servers for measurements and stops them again.

Every server is pinned, listens on a loopback port of the system's choice, and dies with this process however
that ends. It is known to serve once it has said where.
"""

import ctypes
import os
import re
import select
import signal
import subprocess
import time

START_SECONDS = 10
STOP_SECONDS = 15
PR_SET_PDEATHSIG = 1

WHERE = re.compile(rb"(?:listening |url=http://)(127\.0\.0\.1:\d+)")


class Server:
    """A running server; a context manager that stops it."""

    def __init__(self, name, command, cpus):
        self.name = name
        libc = ctypes.CDLL(None)
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: (os.sched_setaffinity(0, cpus), libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)),
        )
        try:
            self.address = self._wait_for_address()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self):
        return self.process.pid

    def _wait_for_address(self):
        said, deadline = b"", time.monotonic() + START_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.process.stdout], [], [], left)[0]:
                break
            some = os.read(self.process.stdout.fileno(), 4096)
            said += some
            if found := WHERE.search(said):
                return found.group(1).decode()
            if not some:
                break
        raise SystemExit(f"{self.name} did not start: {said.decode(errors='replace').strip() or 'it said nothing'}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def weir(binary, cpu, *arguments):
    """Weir with one shard on `cpu`, serving `demo`."""
    command = [
        binary, "serve", "--listen", "127.0.0.1:0", "--admin", "off", "--toolset", "demo",
        "--shards", "1", "--cpus", str(cpu), "--report", "none", *arguments,
    ]  # fmt: skip
    return Server("weir", command, {cpu})
