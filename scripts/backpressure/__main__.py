"""Runs the measurements asked for, prints every figure beside its limit, judges."""

import os
import sys
import types

from backpressure import fair, figures, free, hop, idle, overload, steal

MEASUREMENTS = {"steal": steal, "fair": fair, "overload": overload, "idle": idle, "free": free, "hop": hop}


def main():
    environment = os.environ
    options = types.SimpleNamespace(
        seconds=float(environment["SECONDS_EACH"]),
        overload_seconds=float(environment["OVERLOAD_SECONDS"]),
        rounds=int(environment["ROUNDS"]),
        pairs=int(environment["PAIRS"]),
        samples=int(environment["SAMPLES"]),
    )
    chosen = environment["ONLY"].split(",")
    if unknown := [name for name in chosen if name not in MEASUREMENTS]:
        raise SystemExit(f"no measurement is called {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}")
    rows = []
    for name in chosen:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        rows += MEASUREMENTS[name].measure(options)
    figures.print_table(rows)
    if environment["JSON"]:
        with open(environment["JSON"], "w") as file:
            figures.write_json(rows, file)
    if environment["JUDGE"] != "1":
        print("a short run: the limits are shown, not judged")
        return 0
    missed = figures.missed(rows)
    print(f"{len(missed)} limits missed" if missed else "within every limit")
    return int(bool(missed))


sys.exit(main())
