"""The hop: the cost of a request that the other shard serves.

The only handler of the first shard is held by a long call, the second shard is free. An echo on a fresh
connection of the first shard must be stolen, one on a fresh connection of the second is not; they alternate.
The difference of the two latencies is the hop, seen from outside. It includes: taking the request off the
ring buffer into the queue, the age it must have before it is offered (none, a timer's worth, whatever the server
does), the credit, the mail, waking the second shard, which sleeps, and taking the connection in there. It does
not include what both pay: the sockets, decoding, waking the first shard to be asked.
"""

import statistics
import time

import keep_alive
from backpressure import scene
from backpressure.figures import Figure

NAME = "the hop"
QUEUE_DEPTH = 16
# A time longer than all samples take.
HOLD_MILLIS = 50_000
HOLD_SECONDS_MAX = 5
# Time from connecting until the server has accepted the connection and sleeps again.
SETTLE_SECONDS = 0.003


def measure(options):
    flags = ["--shards", scene.SHARDS, "--pool-size", 1, "--queue-depth", QUEUE_DEPTH]
    flags += ["--steal", "on", "--steal-reserve", 0]
    with scene.weir(scene.both_cpus, *flags) as server:
        first, second = scene.source_ports(server, [options.samples + 1, options.samples])
        with scene.closing([]) as opened:
            hold(server, first.pop(), opened)
            before = scene.by_shard(server, scene.OPEN)
            stolen, direct = [], []
            for ports in zip(first, second):
                for port, latencies in zip(ports, (stolen, direct)):
                    latencies.append(sample(server, port, opened))
            after = scene.by_shard(server, scene.OPEN)
    moved = after[1] - before[1] - len(direct)
    return figures(stolen, direct, moved)


def hold(server, port, opened):
    """Occupies the first shard's handler."""
    holder = keep_alive.connect(server.address, port)
    opened.append(holder)
    holder.sendall(keep_alive.request(server.address, "sleep", {"ms": HOLD_MILLIS}))
    deadline = time.monotonic() + HOLD_SECONDS_MAX
    while scene.by_shard(server, "weir_requests_in_flight")[0] != 1:
        if time.monotonic() > deadline:
            raise SystemExit("the first shard does not take the call that is to hold its handler")


def sample(server, port, opened):
    """Microseconds from send to answer; None when it was refused."""
    message = keep_alive.request(server.address)
    connection = keep_alive.connect(server.address, port)
    opened.append(connection)
    time.sleep(SETTLE_SECONDS)
    begin = time.perf_counter_ns()
    status, _ = keep_alive.ask(connection, message)
    end = time.perf_counter_ns()
    return (end - begin) / 1000 if status == 200 else None


def figures(stolen, direct, moved):
    served = {name: sorted(value for value in values if value is not None)
              for name, values in (("stolen", stolen), ("direct", direct))}  # fmt: skip
    rows = [
        Figure(NAME, "served that had to be stolen", len(served["stolen"]), at_least=len(stolen)),
        Figure(NAME, "of them living on the other shard now", moved, at_least=len(stolen)),
        Figure(NAME, "served that had not", len(served["direct"]), at_least=len(direct)),
    ]
    middle, late = {}, {}
    for name, values in served.items():
        if values:
            middle[name], late[name] = statistics.median(values), values[(99 * len(values) - 1) // 100]
            rows.append(Figure(NAME, f"P50 of an echo, {name}", middle[name], "µs"))
            rows.append(Figure(NAME, f"P99 of an echo, {name}", late[name], "µs"))
    if len(middle) == 2:
        rows.append(Figure(NAME, "the hop, P50", middle["stolen"] - middle["direct"], "µs",
                           note="minimum age included"))  # fmt: skip
        rows.append(Figure(NAME, "the hop, P99", late["stolen"] - middle["direct"], "µs",
                           note="P99 of a stolen echo less P50 of a direct one"))  # fmt: skip
    return rows
