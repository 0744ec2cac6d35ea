"""Fairness: all clients begin on one of four shards with small pools; who has waited longest is next, wherever.

In one queue for all handlers N clients of a closed loop wait their turn: each call takes N / H * S from asking to
answer. Served shard by shard, clients of a shard with many take several times as long as those of one with few.
"""

import bench
from backpressure import scene
from backpressure.figures import Figure

NAME = "fairness"
SHARDS, POOL, CLIENTS = 4, 4, 100
SERVICE_MILLIS = 20
WARM_UP_SECONDS = 1
LATENCY_RATIO_MAX = 1.3


def measure(options):
    flags = ["--shards", SHARDS, "--pool-size", POOL, "--queue-depth", CLIENTS, "--steal-reserve", 0]
    with scene.weir(scene.both_cpus, *flags) as server:
        ports = scene.source_ports(server, [CLIENTS, 0, 0, 0])[0]
        placed = [*scene.placed(ports), "--duration", bench.time(options.seconds), "--warm-up", bench.time(WARM_UP_SECONDS)]
        report = scene.load(server, "sleep", {"ms": SERVICE_MILLIS}, *placed, seconds=options.seconds)
        steals = scene.steals(scene.scrape(server))
        open_by_shard = scene.by_shard(server, scene.OPEN)
    one_queue_millis = CLIENTS / (SHARDS * POOL) * SERVICE_MILLIS

    def figure(*arguments, **named):
        return Figure(NAME, *arguments, **named)

    rate_max = SHARDS * POOL * 1000 / SERVICE_MILLIS
    return [
        figure("throughput", report["requests_per_second"], "/s", note=f"all handlers busy: {rate_max:.0f}/s"),
        figure("P50", report["p50_micros"] / 1000, "ms"),
        figure("P99", report["p99_micros"] / 1000, "ms", at_most=LATENCY_RATIO_MAX * one_queue_millis,
               note=f"one queue: {CLIENTS} / {SHARDS * POOL} * {SERVICE_MILLIS} ms = {one_queue_millis:.0f} ms"),
        figure("connections moved", steals, note=f"open by shard at the end: {open_by_shard}"),
        figure("answers that were not good", report["errors"], at_most=0),
    ]  # fmt: skip
