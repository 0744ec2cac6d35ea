"""The measuring part of compare.sh: runs the rounds, prints medians, judges the marks."""

import json
import os
import statistics
import subprocess
import sys
import tempfile

import echo_request as echo
import servers

WEIR_OVER_CANNED_MAX = 1.4
WEIR_OVER_RMCP_MIN, WEIR_OVER_RMCP_AIM = 5.0, 6.0
MARKED_CONNECTIONS = 64
FIGURES = ("requests_per_second", "p50_micros", "p99_micros", "server_cpu_micros_per_request")

environment = os.environ
rounds, seconds = int(environment["ROUNDS"]), float(environment["SECONDS_EACH"])
warm_up = float(environment["WARM_UP"])
server_cpu, load_cpu = int(environment["SERVER_CPU"]), int(environment["LOAD_CPU"])
target = environment["TARGET"]


def start(name):
    if name == "weir":
        return servers.weir(f"{target}/weir", server_cpu)
    if name == "rmcp":
        return servers.Server(name, [environment["PEER"]], {server_cpu})
    return servers.Server(name, [f"{target}/examples/{name}", "--cpu", str(server_cpu)], {server_cpu})


def measure(server, era, connections, body_file):
    command = [
        f"{target}/examples/load", "--address", server.address, "--path", echo.PATH, "--pid", str(server.pid),
        "--connections", str(connections), "--cpu", str(load_cpu), "--seconds", str(seconds),
        "--warm-up", str(warm_up), "--body", body_file, "--label", server.name,
    ]  # fmt: skip
    for name, value in echo.headers(era).items():
        command += ["--header", f"{name}: {value}"]
    limit = 2 * (seconds + warm_up) + 30
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=limit)
    return json.loads(done.stdout)


def run_rounds(running, rows):
    """All runs, by row and server. The order of the servers changes from round to round, so that drift favours nobody."""
    runs = {row: {server.name: [] for server in running} for row in rows}
    with tempfile.TemporaryDirectory() as folder:
        bodies = {era: f"{folder}/{era}.json" for era in echo.ERAS}
        for era, path in bodies.items():
            with open(path, "w") as file:
                file.write(echo.body(era))
        for turn in range(rounds):
            first = turn % len(running)
            for era, connections in rows:
                for server in running[first:] + running[:first]:
                    run = measure(server, era, connections, bodies[era])
                    runs[era, connections][server.name].append(run)
    return runs


def ratio(row, over, under):
    """CPU per request of one server over another's: the median of the rounds' own ratios."""
    if over not in row or under not in row:
        return None
    cpu = FIGURES[3]
    return statistics.median(a[cpu] / b[cpu] for a, b in zip(row[over], row[under]))


def summarize(runs):
    rows = []
    for (era, connections), row in runs.items():
        figures = {}
        for name, results in row.items():
            own = {figure: statistics.median(run[figure] for run in results) for figure in FIGURES}
            own["requests_per_cpu_second"] = 1e6 / own[FIGURES[3]]
            own["late"] = sum(run["late"] for run in results)
            own["errors"] = sum(run["errors"] for run in results)
            figures[name] = own
        rows.append({
            "era": era,
            "connections": connections,
            "servers": figures,
            "weir_over_canned_cpu": ratio(row, "weir", "canned"),
            "weir_over_rmcp_requests_per_cpu_second": ratio(row, "rmcp", "weir"),
        })
    return rows


def judge(rows):
    failures = []
    for row in rows:
        what = f"{row['era']}, {row['connections']} connections"
        for name, own in row["servers"].items():
            if own["errors"]:
                failures.append(f"{what}: {own['errors']} errors of {name}")
        if environment["JUDGE"] != "1" or row["connections"] != MARKED_CONNECTIONS or row["era"] != "modern":
            continue
        canned, rmcp = row["weir_over_canned_cpu"], row["weir_over_rmcp_requests_per_cpu_second"]
        if canned is not None and canned > WEIR_OVER_CANNED_MAX:
            failures.append(f"{what}: CPU per echo is {canned:.2f} times canned's, at most {WEIR_OVER_CANNED_MAX}")
        if rmcp is not None and rmcp < WEIR_OVER_RMCP_MIN:
            failures.append(f"{what}: {rmcp:.2f} times rmcp's requests per CPU-second, at least {WEIR_OVER_RMCP_MIN}")
    return failures


def print_table(rows, failures):
    print(f"{'era':<7} {'conns':>5} {'server':<7} {'req/s':>9} {'p50 µs':>9} {'p99 µs':>9} {'CPU µs/req':>11}"
          f" {'req/CPU-s':>10} {'late':>5} {'errors':>6} {'CPU/canned':>10} {'vs rmcp':>8}")
    for row in rows:
        for name, own in row["servers"].items():
            values = [own[figure] for figure in FIGURES]
            ratios = ["", ""]
            if name == "weir":
                both = (row["weir_over_canned_cpu"], row["weir_over_rmcp_requests_per_cpu_second"])
                ratios = ["" if value is None else f"{value:.2f}x" for value in both]
            print(f"{row['era']:<7} {row['connections']:>5} {name:<7} {values[0]:>9.0f} {values[1]:>9.1f}"
                  f" {values[2]:>9.1f} {values[3]:>11.2f} {own['requests_per_cpu_second']:>10.0f}"
                  f" {own['late']:>5} {own['errors']:>6} {ratios[0]:>10} {ratios[1]:>8}")
    if failures:
        print(*failures, sep="\n")
    elif environment["JUDGE"] == "1":
        print(f"within the marks (CPU/canned at most {WEIR_OVER_CANNED_MAX}; vs rmcp at least {WEIR_OVER_RMCP_MIN},"
              f" aim {WEIR_OVER_RMCP_AIM})")
    else:
        print("every answer came and was right; no figure was judged")


def main():
    running = []
    try:
        for name in environment["SERVERS"].split():
            running.append(start(name))
        rows = [("modern", int(count)) for count in environment["CONNECTIONS"].split()]
        rows.append(("legacy", MARKED_CONNECTIONS))
        for server in running:
            for era in echo.ERAS:
                echo.check(server.address, era, is_canned=server.name in ("canned", "epoll"))
        summary = summarize(run_rounds(running, rows))
    finally:
        for server in running:
            server.stop()
    failures = judge(summary)
    if environment["FORMAT"] == "json":
        report = {"rounds": rounds, "seconds": seconds, "rows": summary, "failures": failures}
        print(json.dumps(report, indent=2))
    else:
        print_table(summary, failures)
    return bool(failures)


sys.exit(main())
