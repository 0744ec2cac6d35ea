"""The measuring part of idle.sh: opens the connections, reads the memory, prints the table."""

import json
import os
import sys

import echo_request as echo
import keep_alive
import memory
import servers

BYTES_MAX, BYTES_AIM = 1024, 256
SHARES = (0.1, 0.25, 0.5, 1.0)
# Requests before anything is measured, so that everything made on first use is there.
WARM_CONNECTIONS = 64
# Longer than any run here, so that no connection is closed for idleness.
IDLE_TIMEOUT = "10m"

environment = os.environ
total = int(environment["TOTAL"])


def measure(server):
    """Memory at each count of connections, and after all have gone."""
    message = keep_alive.request(server.address)
    for connection in keep_alive.open_connections(server.address, WARM_CONNECTIONS, message):
        connection.close()
    before = memory.settled(server.pid)
    rows, opened = [], []
    for share in SHARES:
        count = int(total * share)
        opened += keep_alive.open_connections(server.address, count - len(opened), message)
        reading = memory.settled(server.pid)
        rows.append({
            "connections": count,
            "pss_bytes": reading.pss,
            "rss_bytes": reading.rss,
            "bytes_per_connection": (reading.pss - before.pss) / count,
        })
    # All of them still serve.
    for connection in opened:
        keep_alive.ask_echo(connection, message)
        connection.close()
    after = memory.settled(server.pid)
    return {"before_pss_bytes": before.pss, "rows": rows, "after_pss_bytes": after.pss}


def main():
    os.sched_setaffinity(0, {int(environment["LOAD_CPU"])})
    binary, cpu = f"{environment['TARGET']}/weir", int(environment["SERVER_CPU"])
    with servers.weir(binary, cpu, "--idle-timeout", IDLE_TIMEOUT, "--prefault", "on") as server:
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
