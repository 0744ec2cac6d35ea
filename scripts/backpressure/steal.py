"""Stealing: all connections on one of two shards, a pool that is the limit.

With stealing off one pool serves all, with stealing on both do: twice as much at best. In a perfect split of a
closed loop N connections share H handlers, each call takes S, so a cycle is N / H * S and the mean wait
(N / H - 1) * S. The client's wait is its latency less S: what the server and the sockets add counts as wait.
"""

import bench
from backpressure import scene
from backpressure.figures import Figure

NAME = "stealing"
POOL, QUEUE_DEPTH, CONNECTIONS = 32, 128, 128
SERVICE_MILLIS = 20
WARM_UP_SECONDS = 1
THROUGHPUT_RATIO_MIN, WAIT_RATIO_MAX = 1.8, 1.5


def run(steal, seconds):
    flags = ["--shards", scene.SHARDS, "--pool-size", POOL, "--queue-depth", QUEUE_DEPTH]
    flags += ["--steal", steal, "--steal-reserve", 0]
    with scene.weir(scene.both_cpus, *flags) as server:
        ports = scene.source_ports(server, [CONNECTIONS, 0])[0]
        before, accepted = scene.scrape(server), scene.by_shard(server, scene.ACCEPTED)
        options = [*scene.placed(ports), "--duration", bench.time(seconds), "--warm-up", bench.time(WARM_UP_SECONDS)]
        report = scene.load(server, "sleep", {"ms": SERVICE_MILLIS}, *options, seconds=seconds)
        after = scene.scrape(server)
        taken = [now - then for now, then in zip(scene.by_shard(server, scene.ACCEPTED), accepted)]
    report["taken_by_first"], report["steals"] = taken[0], scene.steals(after)
    report["server_wait_p99_seconds"] = scene.histogram_quantile(before, after, scene.WAITS, 0.99)
    return report


def measure(options):
    runs = {steal: run(steal, options.seconds) for steal in ("off", "on")}
    handlers = scene.SHARDS * POOL
    perfect_wait_millis = (CONNECTIONS / handlers - 1) * SERVICE_MILLIS
    perfect_rate = handlers * 1000 / SERVICE_MILLIS

    def figure(*arguments, **named):
        return Figure(NAME, *arguments, **named)

    def wait_p99_millis(report):
        return report["p99_micros"] / 1000 - SERVICE_MILLIS

    rates = {steal: report["requests_per_second"] for steal, report in runs.items()}
    figures = [
        figure("throughput, off", rates["off"], "/s", note=f"one pool: {perfect_rate / scene.SHARDS:.0f}/s"),
        figure("throughput, on", rates["on"], "/s", note=f"both pools: {perfect_rate:.0f}/s"),
        figure("throughput, on over off", rates["on"] / rates["off"] if rates["off"] else None, "x",
               at_least=THROUGHPUT_RATIO_MIN),
        figure("P99 of the wait, off", wait_p99_millis(runs["off"]), "ms"),
        figure("P99 of the wait, on", wait_p99_millis(runs["on"]), "ms",
               at_most=WAIT_RATIO_MAX * perfect_wait_millis,
               note=f"mean of a perfect split: ({CONNECTIONS} / {handlers} - 1) * {SERVICE_MILLIS} ms"
                    f" = {perfect_wait_millis:.0f} ms"),
    ]  # fmt: skip
    for steal, report in runs.items():
        if report["server_wait_p99_seconds"] is not None:
            value = report["server_wait_p99_seconds"] * 1000
            figures.append(figure(f"P99 of the wait, {steal}, by the server", value, "ms",
                                  note="upper bound of its histogram's bucket, first second included"))  # fmt: skip
        figures.append(figure(f"connections stolen, {steal}", report["steals"]))
        others = " ".join(f"{name}={count}" for name, count in report["others"].items())
        figures.append(figure(f"answers that were not good, {steal}", report["errors"], at_most=0, note=others))
        # A reconnect comes from a port of the kernel's choice.
        figures.append(figure(f"connections made anew, {steal}", report["reconnects"], at_most=0))
    figures.append(figure("accepted by the first shard, off", runs["off"]["taken_by_first"],
                          at_least=CONNECTIONS))  # fmt: skip
    return figures
