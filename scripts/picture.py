#!/usr/bin/env python3
"""Draws scripts/comparison.svg, the README's picture, from the table in src/guide/comparison.md.

    scripts/picture.py            writes the picture
    scripts/picture.py --check    fails if the committed picture is not what the table gives

The table's figures come from scripts/compare.sh; this script measures nothing.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "src/guide/comparison.md"
PICTURE = ROOT / "scripts/comparison.svg"

SERVERS = {"Weir": "weir", "epoll by hand": "epoll", "hyper by hand": "hyper", "rmcp": "rmcp"}
# The work that is drawn, in two columns.
COLUMNS = [
    ["an echo, 1 client", "an echo, 64 clients", "an echo, 1,000 clients", "the life of a session, 64 clients"],
    [
        "2,000 echoes a second, 64 clients",
        "10,000 echoes a second, 64 clients",
        "an echo of 64 KiB, 64 clients",
        "an answer of 100 KiB, 64 clients",
    ],
]

WIDTH, COLUMN_WIDTH, COLUMN_GAP = 860, 400, 28
LEFT, TOP = 16, 66
NAME_WIDTH, VALUE_WIDTH = 104, 58
BAR, BAR_GAP, GROUP_HEAD, GROUP_GAP = 15, 5, 22, 14

STYLE = """
    text { font: 12px system-ui, sans-serif; fill: #24292f }
    .title { font-size: 14px; font-weight: 600 }
    .small { font-size: 11px; fill: #57606a }
    .group { font-weight: 600 }
    .weir { fill: #1f6feb }
    .epoll { fill: #6e7781 }
    .hyper { fill: #9aa4af }
    .rmcp { fill: #bc6c25 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .small { fill: #9198a1 }
      .weir { fill: #4493f8 }
      .epoll { fill: #8b949e }
      .hyper { fill: #6e7681 }
      .rmcp { fill: #d9924e }
    }
"""


def figures() -> dict[str, dict[str, str]]:
    """The CPU times by work and server, as the table has them."""
    found: dict[str, dict[str, str]] = {}
    titles: list[str] = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells[:2] == ["work", ""]:
            titles = cells
        elif titles and cells[1:2] == ["CPU µs"]:
            found[cells[0]] = dict(zip(titles[2:], cells[2:]))
    for work in sum(COLUMNS, []):
        missing = [server for server in SERVERS if not found.get(work, {}).get(server)]
        if missing:
            sys.exit(f"{TABLE}: {work} lacks figures of {', '.join(missing)}")
    return found


def number(cell: str) -> float:
    return float(cell.replace(",", ""))


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'  <text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{words}</text>'


def column(left: float, works: list[str], table: dict[str, dict[str, str]]) -> list[str]:
    """The work as groups of bars, each group with a scale of its own."""
    lines = []
    room = COLUMN_WIDTH - NAME_WIDTH - VALUE_WIDTH
    y = TOP
    for work in works:
        lines.append(text(left, y + 12, work, "group small"))
        y += GROUP_HEAD
        longest = max(number(table[work][server]) for server in SERVERS)
        for server, kind in SERVERS.items():
            value = table[work][server]
            length = max(1.0, round(room * number(value) / longest, 1))
            lines.append(text(left + NAME_WIDTH - 8, y + 12, server, "", "end"))
            lines.append(
                f'  <rect class="{kind}" x="{left + NAME_WIDTH:g}" y="{y:g}" width="{length:g}" height="{BAR}" rx="2"/>'
            )
            lines.append(text(left + NAME_WIDTH + length + 6, y + 12, value))
            y += BAR + BAR_GAP
        y += GROUP_GAP
    return lines


def draw() -> str:
    table = figures()
    group = GROUP_HEAD + len(SERVERS) * (BAR + BAR_GAP) + GROUP_GAP
    height = TOP + max(map(len, COLUMNS)) * group
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-label="CPU time per request of Weir, of servers by hand and of rmcp">',
        f"  <style>{STYLE}  </style>",
        text(LEFT, 24, "CPU time per request in µs, less is better; every group has its own scale", "title"),
        text(
            LEFT,
            42,
            "Medians of interleaved rounds on a two-core virtual machine, server on one core, load on the other "
            "(scripts/compare.sh).",
            "small",
        ),
    ]
    for index, works in enumerate(COLUMNS):
        lines += column(LEFT + index * (COLUMN_WIDTH + COLUMN_GAP), works, table)
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def main() -> None:
    drawn = draw()
    if "--check" not in sys.argv[1:]:
        PICTURE.write_text(drawn, encoding="utf-8")
    elif PICTURE.read_text(encoding="utf-8") != drawn:
        sys.exit("scripts/comparison.svg is not what the table gives; run scripts/picture.py")


if __name__ == "__main__":
    main()
