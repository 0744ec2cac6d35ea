"""The servers and loads of the measurements, and which shard takes a connection.

The kernel chooses the listener of an `SO_REUSEPORT` group by a hash of both addresses and ports. It is not
known from outside, but stays the same for the same ports: so each candidate port connects once, the server's
own counters say which shard took it, and the ports wanted are used again by whoever needs them.
"""

import contextlib
import http.client
import os
import re
import tempfile
import time

import bench
import echo_request as echo
import keep_alive
import servers

SHARDS = 2
# Below the kernel's own choice (net.ipv4.ip_local_port_range), so that no other connection uses them.
PORT_FIRST, PORT_LAST = 10_000, 32_000
ACCEPT_SECONDS_MAX = 5
LOAD_SECONDS_SPARE = 60
ACCEPTED, OPEN = "weir_connections_accepted_total", "weir_connections"
WAITS = "weir_queue_wait_seconds"

environment = os.environ
server_cpu, load_cpu = int(environment["SERVER_CPU"]), int(environment["LOAD_CPU"])
both_cpus = [server_cpu, load_cpu]


def weir(cpus, *arguments):
    return servers.weir_shards(environment["WEIR"], cpus, *map(str, arguments))


def scrape(server):
    """The samples of /metrics: by name, a list of labels and value."""
    connection = http.client.HTTPConnection(server.admin, timeout=5)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    samples = {}
    for line in text.splitlines():
        if found := re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', found.group(2) or ""))
            samples.setdefault(found.group(1), []).append((labels, float(found.group(3))))
    return samples


def by_shard(server, name):
    """The value of a sample on each shard, in order."""
    values = {int(labels["shard"]): value for labels, value in scrape(server)[name]}
    return [values[shard] for shard in sorted(values)]


def source_ports(server, wanted):
    """Source ports whose connections go to each shard: `wanted[shard]` of them."""
    found = [[] for _ in wanted]
    before = by_shard(server, ACCEPTED)
    for port in range(PORT_FIRST, PORT_LAST):
        if all(len(ports) >= count for ports, count in zip(found, wanted)):
            return [ports[:count] for ports, count in zip(found, wanted)]
        try:
            connection = keep_alive.connect(server.address, port)
        except OSError:
            continue  # Another process has it.
        after = wait_for_accept(server, before)
        connection.close()
        shard = next(shard for shard, count in enumerate(after) if count != before[shard])
        found[shard].append(port)
        before = after
    raise SystemExit(f"ports {PORT_FIRST} to {PORT_LAST} do not suffice for {wanted} connections by shard")


def wait_for_accept(server, before):
    deadline = time.monotonic() + ACCEPT_SECONDS_MAX
    while time.monotonic() < deadline:
        after = by_shard(server, ACCEPTED)
        if sum(after) == sum(before) + 1:
            return after
        if sum(after) > sum(before) + 1:
            raise SystemExit("somebody else connects to the server under measurement")
    raise SystemExit("the server took no connection")


def load(server, tool, arguments, *options, seconds, cpu=None):
    """Runs the load for about `seconds`; returns its report."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        body.write(echo.call("modern", tool, arguments))
        body.flush()
        if cpu is not None:
            options += ("--cpus", cpu)
        command = bench.command(environment["WEIR"], server.address, body.name, echo.headers("modern", tool), *options)
        return bench.run(command, timeout=seconds + LOAD_SECONDS_SPARE)


def placed(ports):
    """Options for connections from these ports."""
    return ["--clients", len(ports), "--source-ports", ",".join(map(str, ports))]


def interleaved(per_shard):
    """The ports of all shards, one of each in turn."""
    return [port for ports in zip(*per_shard) for port in ports]


def histogram_quantile(before, after, name, quantile):
    """Upper bound of the bucket that holds the quantile of the samples added in between; None without any."""
    added = {}
    for samples, sign in ((before, -1), (after, 1)):
        for labels, count in samples.get(f"{name}_bucket", []):
            bound = float(labels["le"].replace("+Inf", "inf"))
            added[bound] = added.get(bound, 0) + sign * count
    bounds = sorted(added)
    if not bounds or not added[bounds[-1]]:
        return None
    return next(bound for bound in bounds if added[bound] >= quantile * added[bounds[-1]])


def steals(samples):
    """Waiting requests that changed shards so far: each leaves one shard."""
    return sum(value for labels, value in samples["weir_steals_total"] if labels["direction"] == "out")


@contextlib.contextmanager
def closing(connections):
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()
