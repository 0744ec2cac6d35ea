"""The memory of a process as the kernel accounts for it, read once it has stopped changing."""

import time
from dataclasses import dataclass

SETTLED_READINGS, READING_SECONDS, SETTLE_SECONDS_MAX = 5, 0.2, 15


@dataclass(frozen=True)
class Reading:
    """Proportional and resident set size, bytes."""

    pss: int
    rss: int


def read(pid):
    fields = {}
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup.readlines()[1:]:
            name, value = line.split(":")
            fields[name] = int(value.split()[0]) * 1024
    return Reading(fields["Pss"], fields["Rss"])


def settled(pid, wait=None):
    """The memory once it has stopped changing; `wait(time)` is called meanwhile, and returns at that time."""
    readings, deadline = [], time.monotonic() + SETTLE_SECONDS_MAX
    while time.monotonic() < deadline:
        readings.append(read(pid))
        if len(readings) >= SETTLED_READINGS and len(set(readings[-SETTLED_READINGS:])) == 1:
            break
        if wait:
            wait(time.monotonic() + READING_SECONDS)
        else:
            time.sleep(READING_SECONDS)
    return readings[-1]
