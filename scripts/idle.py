"""The measuring part of idle.sh: opens the connections, reads the memory, prints the table."""

import json
import os
import sys
import time

import echo_request as echo
import keep_alive
import servers

BYTES_MAX, BYTES_AIM = 1024, 256
SHARES = (0.1, 0.25, 0.5, 1.0)
SETTLED_READINGS, READING_SECONDS, SETTLE_SECONDS_MAX = 5, 0.2, 15
# Asked before anything is measured, so that what is made on first use is there.
WARM_CONNECTIONS = 64
# Longer than any run here: no connection is to be closed for idleness.
IDLE_TIMEOUT = "10m"

environment = os.environ
total = int(environment["TOTAL"])


def memory(pid):
    """PSS and RSS of the process, bytes."""
    fields = {}
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup.readlines()[1:]:
            name, value = line.split(":")
            fields[name] = int(value.split()[0]) * 1024
    return fields["Pss"], fields["Rss"]


def settled_memory(pid):
    """The memory once it has stopped changing."""
    readings, deadline = [], time.monotonic() + SETTLE_SECONDS_MAX
    while time.monotonic() < deadline:
        readings.append(memory(pid))
        if len(readings) >= SETTLED_READINGS and len(set(readings[-SETTLED_READINGS:])) == 1:
            break
        time.sleep(READING_SECONDS)
    return readings[-1]


def measure(server):
    """Memory at each count of connections, and after all have gone."""
    message = keep_alive.request(server.address)
    for connection in keep_alive.open_connections(server.address, WARM_CONNECTIONS, message):
        connection.close()
    before = settled_memory(server.pid)
    rows, opened = [], []
    for share in SHARES:
        count = int(total * share)
        opened += keep_alive.open_connections(server.address, count - len(opened), message)
        pss, rss = settled_memory(server.pid)
        rows.append({
            "connections": count,
            "pss_bytes": pss,
            "rss_bytes": rss,
            "bytes_per_connection": (pss - before[0]) / count,
        })
    # All of them still serve.
    for connection in opened:
        keep_alive.ask_echo(connection, message)
        connection.close()
    after = settled_memory(server.pid)
    return {"before_pss_bytes": before[0], "rows": rows, "after_pss_bytes": after[0]}


def main():
    os.sched_setaffinity(0, {int(environment["LOAD_CPU"])})
    binary, cpu = f"{environment['TARGET']}/weir", int(environment["SERVER_CPU"])
    with servers.weir(binary, cpu, "--idle-timeout", IDLE_TIMEOUT) as server:
        echo.check(server.address, "modern")
        report = measure(server)
    cost = report["rows"][-1]["bytes_per_connection"]
    is_within = cost <= BYTES_MAX
    if environment["FORMAT"] == "json":
        print(json.dumps(report | {"is_within": is_within}, indent=2))
        return not is_within
    print(f"{'connections':>12} {'PSS KiB':>9} {'RSS KiB':>9} {'bytes each':>11}")
    print(f"{0:>12} {report['before_pss_bytes'] // 1024:>9}")
    for row in report["rows"]:
        print(f"{row['connections']:>12} {row['pss_bytes'] // 1024:>9} {row['rss_bytes'] // 1024:>9}"
              f" {row['bytes_per_connection']:>11.0f}")
    print(f"{'all closed':>12} {report['after_pss_bytes'] // 1024:>9}")
    verdict = "within" if is_within else "over"
    print(f"{cost:.0f} bytes per connection at {total}: {verdict} the limit of {BYTES_MAX} (aim {BYTES_AIM})")
    return not is_within


sys.exit(main())
