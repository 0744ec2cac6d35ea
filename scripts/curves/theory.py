"""What queueing theory says of a pool: waits for one of several handlers that serve one queue."""

import math

# The coefficient of variation of each spread of the tool `sleep`.
VARIATION = {"constant": 0.0, "exponential": 1.0, "heavy": 3.0}


def waiting_share(handlers, utilization):
    """Erlang's C: the share of calls that wait at all, with Poisson arrivals and exponential service."""
    load = handlers * utilization
    blocked = 1.0
    for count in range(1, handlers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked / (1 - utilization * (1 - blocked))


def wait_p99(handlers, utilization, service, spread="exponential"):
    """P99 of the wait, in the unit of `service`; for other spreads scaled by (1 + cv²) / 2, as Allen and Cunneen do."""
    share = waiting_share(handlers, utilization)
    if share <= 0.01:
        return 0.0
    scale = (1 + VARIATION[spread] ** 2) / 2
    return scale * math.log(share / 0.01) * service / (handlers * (1 - utilization))


def service_p99(service, spread):
    """P99 of the service itself."""
    if spread == "constant":
        return service
    if spread == "exponential":
        return service * math.log(100)
    variance = math.log(1 + VARIATION[spread] ** 2)
    return service * math.exp(math.sqrt(variance) * 2.3263 - variance / 2)


def rule_table():
    """What the rule of thumb gives: P99 of the wait in service times, by handlers, spread and utilization."""
    steps = [0.75, 0.8, 0.9]
    heads = [f"{spread}: at {step:.0%}" if step == steps[0] else f"{step:.0%}" for spread in VARIATION for step in steps]
    rows = ["| handlers, all cores | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for handlers in (2, 4, 8, 16, 32, 64, 128, 256):
        waits = [wait_p99(handlers, step, 1.0, spread) for spread in VARIATION for step in steps]
        rows.append(f"| {handlers} | " + " | ".join(f"{wait:.1f}" for wait in waits) + " |")
    rows += ["", "The utilization up to which P99 of the wait is at most one service time:", ""]
    sizes = (2, 4, 8, 16, 32, 64, 128, 256)
    rows += ["| handlers, all cores | " + " | ".join(map(str, sizes)) + " |", "|---" * (len(sizes) + 1) + "|"]
    for spread in VARIATION:
        largest = [f"{largest_utilization(handlers, 1.0, spread):.0%}" for handlers in sizes]
        rows.append(f"| {spread} | " + " | ".join(largest) + " |")
    return "\n".join(rows)


def largest_utilization(handlers, waits, spread="exponential"):
    """Up to which utilization P99 of the wait is below so many service times."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if wait_p99(handlers, middle, 1.0, spread) <= waits:
            low = middle
        else:
            high = middle
    return low
