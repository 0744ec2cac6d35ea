"""Overload: twice the capacity is offered, on a schedule that does not wait for the server.

Three servers: the default queue, a deep queue with a short deadline, and none. Each is first asked in a closed
loop what it can do (its peak), then follows one schedule: unloaded, 0.8 of the capacity, half, twice, half again.
Latencies begin when a request was due. Capacity is handlers / time of service, the pool's own limit.

Back to normal, looking at windows of 100 ms after the load fell to half: no window later than the limit refuses
more than it may or has a median over 1.5 times that of half load before. Where half load refused nothing before,
nothing may be refused after; without a queue, where Poisson arrivals are refused now and then at any load, twice
the worst window before.
"""

import dataclasses

import bench
from backpressure import scene
from backpressure.figures import Figure

NAME = "overload"
POOL, SERVICE_MILLIS = 8, 20
CAPACITY = scene.SHARDS * POOL * 1000 / SERVICE_MILLIS
# More connections than ever wait at once: twice the arrivals of the longest wait allowed below.
CONNECTIONS_PER_SHARD = 256
PEAK_SECONDS, CALM_SECONDS = 5, 5
WINDOW_MILLIS = 100

GOODPUT_RATIO_MIN = 0.95
UNLOADED_RATIO, NO_QUEUE_RATIO_MAX = 2, 2
FULL_MILLIS_MAX = 10
RECOVERY_MILLIS_MAX = 500
NORMAL_MEDIAN_RATIO, NORMAL_P99_RATIO_MAX, NORMAL_REFUSALS_RATIO = 1.5, 1.5, 2


@dataclasses.dataclass
class Setting:
    name: str
    queue_depth: int
    queue_timeout_millis: int

    @property
    def flags(self):
        timeout = f"{self.queue_timeout_millis}ms"
        return ["--queue-depth", self.queue_depth, "--queue-timeout", timeout, "--queue-timeout-agent", timeout]


SETTINGS = [
    # Twice the pool and five seconds are the defaults: the queue is full long before a deadline passes.
    Setting("default queue", 2 * POOL, 5000),
    # At twice the capacity the deadline passes before the queue is full.
    Setting("short deadline", 256, 100),
    Setting("no queue", 0, 5000),
]


def run(setting, options):
    """The peak, and the phases by name."""
    flags = ["--shards", scene.SHARDS, "--pool-size", POOL, *setting.flags]
    phases = {
        "unloaded": (0.2, CALM_SECONDS),
        "0.8": (0.8, CALM_SECONDS),
        "half": (0.5, CALM_SECONDS),
        "twice": (2, options.overload_seconds),
        "falling": (0.5, RECOVERY_MILLIS_MAX / 1000),
        "half again": (0.5, CALM_SECONDS),
    }
    with scene.weir(scene.both_cpus, *flags) as server:
        ports = scene.interleaved(scene.source_ports(server, [CONNECTIONS_PER_SHARD] * scene.SHARDS))
        # Every handler is busy and, where there is a queue, another call waits for it.
        busy = scene.SHARDS * (POOL + min(POOL, setting.queue_depth))
        closed = [*scene.placed(ports[:busy]), "--duration", bench.time(PEAK_SECONDS)]
        peak = scene.load(server, "sleep", {"ms": SERVICE_MILLIS}, *closed, seconds=PEAK_SECONDS)
        schedule = [*scene.placed(ports), "--window", f"{WINDOW_MILLIS}ms"]
        for share, seconds in phases.values():
            schedule += ["--phase", f"{share * CAPACITY}:{seconds}"]
        length = sum(seconds for _, seconds in phases.values())
        report = scene.load(server, "sleep", {"ms": SERVICE_MILLIS}, *schedule, seconds=length)
    return peak, dict(zip(phases, report["phases"])), report


def measure(options):
    figures = []
    for setting in SETTINGS:
        figures += judge(setting, *run(setting, options))
    return figures


def millis(micros, quantile="p99"):
    return None if micros is None else micros[quantile] / 1000


def judge(setting, peak, phases, report):
    name = f"{NAME}, {setting.name}"
    twice = phases["twice"]
    goodput, peak_rate = twice["goodput_per_second"], peak["requests_per_second"]
    has_queue = setting.queue_depth > 0
    # Without a queue a handler idles from its release to the next arrival: no share of the peak is promised.
    figures = [
        Figure(name, "peak", peak_rate, "/s", note=f"capacity {CAPACITY:.0f}/s, closed loop"),
        Figure(name, "goodput at twice", goodput, "/s"),
        Figure(name, "goodput over peak", goodput / peak_rate if peak_rate else None, "x",
               at_least=GOODPUT_RATIO_MIN if has_queue else None,
               note="" if has_queue else "Erlang's loss formula: 0.95 of the capacity for one pool of 16"),
        Figure(name, "P99 unloaded", millis(phases["unloaded"]["good_micros"]), "ms"),
        Figure(name, "P99 at 0.8", millis(phases["0.8"]["good_micros"]), "ms"),
        *judge_admitted(name, setting, phases),
        *judge_refusals(name, setting, twice),
        *judge_recovery(name, phases, report["windows"]),
        *judge_generator(name, phases, report),
    ]  # fmt: skip
    return figures


def judge_admitted(name, setting, phases):
    at_twice = millis(phases["twice"]["good_micros"])
    base, ratio, added = ("unloaded", UNLOADED_RATIO, setting.queue_timeout_millis)
    note = f"{added} ms in the queue + {ratio} * unloaded"
    if setting.queue_depth == 0:
        base, ratio, added = "0.8", NO_QUEUE_RATIO_MAX, 0
        note = f"{ratio} * P99 at 0.8"
    reference = millis(phases[base]["good_micros"])
    if reference is None:
        return [Figure(name, "P99 of the admitted at twice", None, "ms", at_most=0, note=f"no good answer at {base}")]
    limit = added + ratio * reference
    return [Figure(name, "P99 of the admitted at twice", at_twice, "ms", at_most=limit, note=note)]


def judge_refusals(name, setting, twice):
    """Where the queue is the limit, there must be refusals for it to judge."""
    full = millis(twice["full_from_send_micros"])
    counts = " ".join(f"{outcome}={count}" for outcome, count in twice["outcomes"].items())
    fills = setting.name != "short deadline"
    figures = [Figure(name, "refused at twice", sum(refused(twice)) / twice["offered"] * 100, "%", note=counts)]
    if fills or full is not None:
        figures.append(Figure(name, "P99 of refusals for a full queue", full, "ms", at_most=FULL_MILLIS_MAX,
                              note="from send to answer"))  # fmt: skip
    return figures


def refused(phase):
    return [count for outcome, count in phase["outcomes"].items() if outcome.startswith("refused_")]


def judge_recovery(name, phases, windows):
    before, after = phases["half"], phases["half again"]
    fall = phases["falling"]["begin_seconds"]

    def between(begin, end):
        # The beginning of a window is a product of floats, so whole windows are compared.
        numbered = ((round(window["begin_seconds"] * 1000 / WINDOW_MILLIS), window) for window in windows)
        first, last = (round(bound * 1000 / WINDOW_MILLIS) for bound in (begin, end))
        return [(number - first, window) for number, window in numbered if first <= number < last]

    calm = [window for _, window in between(before["begin_seconds"], phases["twice"]["begin_seconds"])]
    worst = max(window["offered"] - window["good"] for window in calm)
    allowed, normal = worst * NORMAL_REFUSALS_RATIO, before["good_micros"]
    recovered_millis = 0
    for number, window in between(fall, after["begin_seconds"] + after["seconds"]):
        median = window["good_micros"] and window["good_micros"]["p50"]
        is_slow = median is None or normal is None or median > NORMAL_MEDIAN_RATIO * normal["p50"]
        if is_slow or window["offered"] - window["good"] > allowed:
            recovered_millis = (number + 1) * WINDOW_MILLIS
    limit = None if normal is None else NORMAL_P99_RATIO_MAX * millis(normal)
    return [
        Figure(name, "normal again after the fall to half", recovered_millis, "ms", at_most=RECOVERY_MILLIS_MAX,
               note=f"at most {allowed} refused in {WINDOW_MILLIS} ms"),
        Figure(name, f"P99 at half from {RECOVERY_MILLIS_MAX} ms after", millis(after["good_micros"]), "ms",
               at_most=limit or 0, note=f"{NORMAL_P99_RATIO_MAX} * P99 at half before"),
    ]  # fmt: skip


def judge_generator(name, phases, report):
    """Faults of the generator that make the rest meaningless, and answers that nobody should get."""
    strange = {}
    for phase in phases.values():
        for outcome, count in phase["outcomes"].items():
            if outcome not in ("ok", "refused_handlers", "refused_queue_timeout"):
                strange[outcome] = strange.get(outcome, 0) + count
    note = " ".join(f"{outcome}={count}" for outcome, count in strange.items())
    lateness = millis(phases["twice"]["sent_late_micros"])
    return [
        Figure(name, "neither good nor refused", sum(strange.values()), at_most=0, note=note),
        Figure(name, "connections made anew", report["reconnects"], at_most=0),
        Figure(name, "requests held back for want of a connection", report["held"], at_most=0),
        Figure(name, "P99 of sending late", lateness, "ms", note="part of the latencies above"),
    ]
