"""The questions, and the curves that answer each."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Setting:
    """A server and the calls that it gets; the defaults are the base."""

    handlers: int = 16
    shards: int = 1
    service_ms: int = 20
    spread: str = "exponential"
    clients: int = 1000
    steal: str = "on"
    linger: str = "0s"

    @property
    def all_handlers(self):
        return self.handlers * self.shards


BASE = Setting()


@dataclass(frozen=True)
class Question:
    """One picture: `series` by name; `shows` is `wait` or `latency`, whose P99 is the picture's y."""

    name: str
    title: str
    note: str
    series: dict
    shows: str = "latency"
    has_theory: bool = False
    # Closed loops instead of rates: x is clients per handler.
    is_closed: bool = False


QUESTIONS = [
    Question(
        "spread",
        "How long do calls wait, by the spread of service times?",
        "16 handlers, 20 ms in the mean. Dashed: Erlang C, scaled by (1 + cv²) / 2.",
        {f"{spread}, cv {cv}": replace(BASE, spread=spread) for spread, cv in
         [("constant", 0), ("exponential", 1), ("heavy", 3)]},
        shows="wait",
        has_theory=True,
    ),
    Question(
        "pool",
        "How long do calls wait, by the size of the pool?",
        "Calls of 20 ms, exponential. Dashed: Erlang C.",
        {f"{handlers} handlers": replace(BASE, handlers=handlers) for handlers in (4, 16, 64, 256)},
        shows="wait",
        has_theory=True,
    ),
    Question(
        "stealing",
        "What does stealing change?",
        "Two shards of 8 handlers against one of 16; 20 ms, exponential. The second shard shares the load's core.",
        {
            "2 shards, --steal on": replace(BASE, handlers=8, shards=2, clients=100),
            "2 shards, --steal off": replace(BASE, handlers=8, shards=2, clients=100, steal="off"),
            "1 shard of 16": replace(BASE, clients=100),
        },
        shows="wait",
    ),
    Question(
        "clients",
        "What do many clients change, at the same rate?",
        "16 handlers, 20 ms, exponential; most of the connections are idle at any time.",
        {f"{clients:,} clients": replace(BASE, clients=clients) for clients in (100, 1000, 4000, 10_000)},
        shows="wait",
    ),
    Question(
        "service",
        "What does the service time change?",
        "16 handlers, exponential; of 1 ms that is up to 16,000 calls a second. Dashed: Erlang C.",
        {f"{ms} ms": replace(BASE, service_ms=ms) for ms in (1, 20, 200)},
        shows="wait",
        has_theory=True,
    ),
    Question(
        "linger",
        "Leases or a handler for each client?",
        "16 handlers, 20 ms, exponential; every client calls again 250 ms after an answer, on average.",
        {
            "leases, --linger 0s": replace(BASE, linger="0s"),
            "classic pool, --linger forever": replace(BASE, linger="forever"),
        },
        is_closed=True,
    ),
]
