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

SERVERS = ["weir", "rmcp", "canned"]
LABELS = {"weir": "Weir", "rmcp": "rmcp 3.11", "canned": "sockets alone"}
# The columns that are drawn: title, and index in the table's rows.
PANELS = [("Requests per second", 2), ("CPU time per request, µs (less is better)", 5)]

WIDTH, PANEL_WIDTH, PANEL_GAP = 860, 400, 28
LEFT, TOP = 16, 92
NAME_WIDTH, VALUE_WIDTH = 96, 58
BAR, BAR_GAP, GROUP_HEAD, GROUP_GAP = 15, 5, 22, 14

STYLE = """
    text { font: 12px system-ui, sans-serif; fill: #24292f }
    .title { font-size: 14px; font-weight: 600 }
    .small { font-size: 11px; fill: #57606a }
    .group { font-weight: 600 }
    .weir { fill: #1f6feb }
    .rmcp { fill: #bc6c25 }
    .canned { fill: #9aa4af }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .small { fill: #9198a1 }
      .weir { fill: #4493f8 }
      .rmcp { fill: #d9924e }
      .canned { fill: #6e7681 }
    }
"""


def figures() -> dict[str, dict[str, list[str]]]:
    """The table's cells by number of connections and server."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().strip("*") for cell in line.split("|")[1:-1]]
        if len(cells) == 8 and cells[1] in SERVERS:
            found.setdefault(cells[0], {})[cells[1]] = cells
    for connections, servers in found.items():
        if set(servers) != set(SERVERS):
            sys.exit(f"{TABLE}: {connections} connections lack a server's row")
    if not found:
        sys.exit(f"{TABLE}: no row of the comparison was found")
    return found


def number(cell: str) -> float:
    return float(cell.replace(",", ""))


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'  <text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{words}</text>'


def panel(left: float, title: str, column: int, table) -> list[str]:
    """One column of the table as bars, grouped by the number of connections."""
    lines = [text(left, TOP - 18, title, "title")]
    longest = max(number(cells[column]) for servers in table.values() for cells in servers.values())
    room = PANEL_WIDTH - NAME_WIDTH - VALUE_WIDTH
    y = TOP
    for connections, servers in table.items():
        plural = "connection" if connections == "1" else "connections"
        lines.append(text(left, y + 12, f"{connections} {plural}", "group small"))
        y += GROUP_HEAD
        for server in SERVERS:
            value = servers[server][column]
            length = max(1.0, round(room * number(value) / longest, 1))
            lines.append(text(left + NAME_WIDTH - 8, y + 12, LABELS[server], "", "end"))
            lines.append(
                f'  <rect class="{server}" x="{left + NAME_WIDTH:g}" y="{y:g}" '
                f'width="{length:g}" height="{BAR}" rx="2"/>'
            )
            lines.append(text(left + NAME_WIDTH + length + 6, y + 12, value))
            y += BAR + BAR_GAP
        y += GROUP_GAP
    return lines


def draw() -> str:
    table = figures()
    group = GROUP_HEAD + len(SERVERS) * (BAR + BAR_GAP) + GROUP_GAP
    height = TOP + len(table) * group + 20
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-label="Weir, rmcp and a canned answer compared">',
        f"  <style>{STYLE}  </style>",
        text(LEFT, 24, "An echo over HTTP, revision 2026-07-28, one core for the server", "title"),
        text(
            LEFT,
            42,
            "Medians of five interleaved rounds on a two-core virtual machine, load on the other core "
            "(scripts/compare.sh).",
            "small",
        ),
    ]
    for index, (title, column) in enumerate(PANELS):
        left = LEFT + index * (PANEL_WIDTH + PANEL_GAP)
        lines += panel(left, title, column, table)
    caption = "“Sockets alone” answers from memory on the same data ring and parses nothing: the least that a request can cost."
    lines.append(text(LEFT, height - 14, caption, "small"))
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
