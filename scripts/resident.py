"""The measuring part of resident.sh: resident memory at start, by the number of shards."""

import json
import os
import subprocess
import sys
from os import environ as environment

import echo_request as echo
import memory
import servers

EACH_BYTES_MAX = 4 << 20
MIB = 1 << 20


def resident_bytes(binary, shards, *flags):
    cpus = sorted(os.sched_getaffinity(0))
    with servers.weir_shards(binary, cpus, "--shards", str(shards), *flags) as server:
        echo.check(server.address, "modern")
        return memory.settled(server.pid).rss


def knows_prefault(binary):
    helped = subprocess.run([binary, "serve", "--help"], capture_output=True, text=True, check=True)
    return "--prefault" in helped.stdout


def main():
    binary, counts = environment["BINARY"], [int(count) for count in environment["SHARDS"].split()]
    kinds = {"defaults": []} | ({"prefault": ["--prefault", "on"]} if knows_prefault(binary) else {})
    rows = [
        {"shards": count} | {kind: resident_bytes(binary, count, *flags) for kind, flags in kinds.items()}
        for count in counts
    ]
    first, last = rows[0], rows[-1]
    added = last["shards"] - first["shards"]
    each = (last["defaults"] - first["defaults"]) / added if added else 0
    is_within = each <= EACH_BYTES_MAX
    if environment["FORMAT"] == "json":
        print(json.dumps({"rows": rows, "bytes_per_shard": each, "is_within": is_within}, indent=2))
        return not is_within
    print(f"{'shards':>7}" + "".join(f"{kind + ' MiB':>15}" for kind in kinds))
    for row in rows:
        print(f"{row['shards']:>7}" + "".join(f"{row[kind] / MIB:>15.1f}" for kind in kinds))
    print(f"each shard adds {each / MIB:.1f} MiB (at most {EACH_BYTES_MAX / MIB:.0f})")
    return not is_within


if __name__ == "__main__":
    sys.exit(main())
