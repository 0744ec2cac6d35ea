"""Starts servers for measurements and stops them again.

Every server is pinned, listens on a loopback port of the system's choice, and dies with this process however
that ends. It is known to serve once it has said where.
"""

import ctypes
import os
import re
import signal
import subprocess
import tempfile
import time

START_SECONDS = 10
START_POLL_SECONDS = 0.01
STOP_SECONDS = 15
PR_SET_PDEATHSIG = 1

WHERE = re.compile(rb"(?:listening |url=http://)(127\.0\.0\.1:\d+).*\n")
ADMIN = re.compile(rb" admin=(127\.0\.0\.1:\d+)")


class Server:
    """A running server; a context manager that stops it.

    What it says goes to a file, so that it never waits for this process to read it.
    """

    def __init__(self, name, command, cpus):
        self.name = name
        self.said = tempfile.TemporaryFile()
        libc = ctypes.CDLL(None)
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self.said,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: (os.sched_setaffinity(0, cpus), libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)),
        )
        try:
            self.address, self.admin = self._wait_for_addresses()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self):
        return self.process.pid

    def _wait_for_addresses(self):
        """The address that it serves, and that of its metrics if it printed one."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            has_ended = self.process.poll() is not None
            said = os.pread(self.said.fileno(), 1 << 20, 0)
            if where := WHERE.search(said):
                admin = ADMIN.search(where.group())
                return where.group(1).decode(), admin and admin.group(1).decode()
            if has_ended or time.monotonic() > deadline:
                break
            time.sleep(START_POLL_SECONDS)
        raise SystemExit(f"{self.name} did not start: {said.decode(errors='replace').strip() or 'it said nothing'}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.said.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def weir(binary, cpu, *arguments):
    """Weir with one shard on `cpu`, serving `demo`."""
    return weir_shards(binary, [cpu], "--shards", "1", "--admin", "off", *arguments)


def weir_shards(binary, cpus, *arguments):
    """Weir on `cpus`, serving `demo`, watched unless `arguments` say otherwise."""
    command = [binary, "serve", "--listen", "127.0.0.1:0", "--toolset", "demo", "--report", "none"]
    if "--admin" not in arguments:
        command += ["--admin", "127.0.0.1:0"]
    command += ["--cpus", ",".join(map(str, cpus)), *arguments]
    return Server("weir", command, set(cpus))
