"""Draws a question's curves as an SVG that reads in light and dark, and its table."""

import math

from curves import theory

WIDTH, HEIGHT = 860, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 640, 76, 384
MARKS = ["circle", "square", "triangle", "diamond"]
# What the rule of thumb says: size for the first, watch for the second.
SIZE_FOR, WATCH_FOR = 0.75, 0.80

STYLE = """
    .page { fill: #ffffff }
    text { font: 12px system-ui, sans-serif; fill: #24292f }
    .title { font-size: 15px; font-weight: 600 }
    .small { font-size: 11px; fill: #57606a }
    .grid { stroke: #d8dee4; stroke-width: 1 }
    .rule { stroke: #8c959f; stroke-width: 1; stroke-dasharray: 2 3 }
    .curve { fill: none; stroke-width: 2 }
    .theory { fill: none; stroke-width: 1.3; stroke-dasharray: 6 4; opacity: .8 }
    .s0 { stroke: #0969da } .f0 { fill: #0969da }
    .s1 { stroke: #bc4c00 } .f1 { fill: #bc4c00 }
    .s2 { stroke: #1a7f37 } .f2 { fill: #1a7f37 }
    .s3 { stroke: #8250df } .f3 { fill: #8250df }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 }
      text { fill: #e6edf3 }
      .small { fill: #9198a1 }
      .grid { stroke: #30363d }
      .rule { stroke: #6e7681 }
      .s0 { stroke: #4493f8 } .f0 { fill: #4493f8 }
      .s1 { stroke: #f0883e } .f1 { fill: #f0883e }
      .s2 { stroke: #3fb950 } .f2 { fill: #3fb950 }
      .s3 { stroke: #ab7df8 } .f3 { fill: #ab7df8 }
    }
"""


def escaped(words):
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def text(x, y, words, kind="", anchor="start"):
    return f'  <text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(words)}</text>'


def mark(index, x, y):
    kind = MARKS[index]
    if kind == "circle":
        shape = f'<circle class="f{index}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    elif kind == "square":
        shape = f'<rect class="f{index}" x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7"/>'
    elif kind == "triangle":
        shape = f'<path class="f{index}" d="M{x:.1f} {y - 5:.1f}l5 8.6h-10z"/>'
    else:
        shape = f'<path class="f{index}" d="M{x:.1f} {y - 5.2:.1f}l5.2 5.2-5.2 5.2-5.2-5.2z"/>'
    return f"  {shape}"


def milliseconds(value):
    return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"


class Axes:
    """Places of values: x by utilization or, logarithmic, by clients per handler; y logarithmic in milliseconds."""

    def __init__(self, question, values):
        self.is_closed = question.is_closed
        self.is_wait = question.shows == "wait"
        self.x_min, self.x_max = (0.45, 10.8) if self.is_closed else (0.45, 1.0)
        low = min((value for value in values if value > 0), default=1.0)
        high = max([*values, low])
        steps = [factor * 10**power for power in range(-1, 6) for factor in (1, 2, 5)]
        # Below that a wait is none.
        self.y_min = max(max([step for step in steps if step <= low], default=0.1), 0.5)
        self.y_max = min(step for step in steps if step >= high and step >= 10 * self.y_min)
        self.steps = [step for step in steps if self.y_min <= step <= self.y_max]

    def x(self, value):
        if self.is_closed:
            share = math.log(value / self.x_min) / math.log(self.x_max / self.x_min)
        else:
            share = (value - self.x_min) / (self.x_max - self.x_min)
        return LEFT + (RIGHT - LEFT) * min(max(share, 0.0), 1.0)

    def y(self, value):
        value = min(max(value, self.y_min), self.y_max)
        return BOTTOM - (BOTTOM - TOP) * math.log(value / self.y_min) / math.log(self.y_max / self.y_min)

    def lines(self, label):
        drawn = []
        for step in self.steps:
            y = self.y(step)
            drawn.append(f'  <line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{RIGHT}" y2="{y:.1f}"/>')
            words = milliseconds(step)
            if self.is_wait and step == self.y_min:
                words = f"≤ {words}"
            drawn.append(text(LEFT - 8, y + 4, words, "small", "end"))
        values = [0.5, 0.75, 1, 2, 4, 8] if self.is_closed else [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
        for value in values:
            words = f"{value:g}" if self.is_closed else f"{value:.0%}"
            drawn.append(text(self.x(value), BOTTOM + 18, words, "small", "middle"))
        rules = [(1, "a handler each")] if self.is_closed else [(SIZE_FOR, "size for"), (WATCH_FOR, "watch")]
        for value, words in rules:
            x = self.x(value)
            drawn.append(f'  <line class="rule" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{BOTTOM}"/>')
            anchor = "start" if value in (WATCH_FOR, 1) else "end"
            drawn.append(text(x + (4 if anchor == "start" else -4), TOP + 10, words, "small", anchor))
        below = "clients for each handler" if self.is_closed else "utilization: share of the time for which handlers are held"
        drawn.append(text((LEFT + RIGHT) / 2, BOTTOM + 38, below, "small", "middle"))
        drawn.append(text(LEFT, TOP - 10, label, "small"))
        return drawn



def value(question, point):
    return point["wait_p99_ms"] if question.shows == "wait" else point["p99_ms"]


def x_of(question, setting, point):
    return point["clients"] / setting.all_handlers if question.is_closed else point["utilization"]


def legend(labels):
    """The names of the series, each beside the end of its curve, moved apart where they would touch."""
    labels = sorted(labels, key=lambda label: label[1])
    drawn, lowest = [], 0.0
    for index, y, name in labels:
        y = max(y, lowest)
        lowest = y + 18
        drawn.append(mark(index, RIGHT + 14, y - 4))
        drawn.append(text(RIGHT + 24, y, name))
    return drawn


def picture(question, figures):
    label = "P99 of the wait for a handler" if question.shows == "wait" else "P99 of the latency"
    values = [value(question, point) for points in figures.values() for point in points]
    axes = Axes(question, values)
    lines, labels = [], []
    for index, (name, setting) in enumerate(question.series.items()):
        points = sorted(figures[name], key=lambda point: x_of(question, setting, point))
        places = [(axes.x(x_of(question, setting, point)), axes.y(value(question, point))) for point in points]
        if question.has_theory:
            lines.append(theory_line(axes, index, setting))
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        lines.append(f'  <polyline class="curve s{index}" points="{path}"/>')
        lines += [mark(index, x, y) for x, y in places]
        labels.append((index, places[-1][1] + 4, name))
    described = f"{label} against {'clients for each handler' if question.is_closed else 'utilization'}. " + question.note
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
            f'height="{HEIGHT}" role="img" aria-labelledby="title desc">',
            f'  <title id="title">{escaped(question.title)}</title>',
            f'  <desc id="desc">{escaped(described)} The figures are in the table beside it in tuning.md.</desc>',
            f"  <style>{STYLE}  </style>",
            f'  <rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
            text(16, 26, question.title, "title"),
            text(16, 45, question.note, "small"),
            *axes.lines(label),
            *lines,
            *legend(labels),
            "</svg>",
            "",
        ]
    )


def theory_line(axes, index, setting):
    places = []
    for step in range(46, 100):
        waits = theory.wait_p99(setting.all_handlers, step / 100, setting.service_ms, setting.spread)
        if axes.y_min <= waits <= axes.y_max:
            places.append(f"{axes.x(step / 100):.1f},{axes.y(waits):.1f}")
    return f'  <polyline class="theory s{index}" points="{" ".join(places)}"/>'


def in_theory(setting, point):
    """P99 of the wait as a cell; at saturation theory has none."""
    if point["utilization"] > 0.98:
        return "–"
    return cell(theory.wait_p99(setting.all_handlers, point["utilization"], setting.service_ms, setting.spread))


def cell(milliseconds):
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.1f}"


def row(words, cells):
    return [f"| {words} | " + " | ".join(cells) + " |"]


def table(question, figures):
    """Of each point: where it lies, and P99 of the latency and of the wait in ms."""
    if question.is_closed:
        heads = [f"{point['clients']}" for point in next(iter(figures.values()))]
        rows = ["| clients, of 16 handlers | " + " | ".join(heads) + " |"]
    else:
        heads = [f"{point['offered']:.0%}" for point in next(iter(figures.values()))]
        rows = ["| offered | " + " | ".join(heads) + " |"]
    rows.append("|---" * (len(heads) + 1) + "|")
    for name, points in figures.items():
        setting = question.series[name]
        if question.is_closed:
            rows += row(f"{name}: answers/s", [f"{point['rate']:,.0f}" for point in points])
        else:
            rows += row(f"{name}: utilization", [f"{point['utilization']:.0%}" for point in points])
        rows += row("… P99 of the latency, ms", [cell(point["p99_ms"]) for point in points])
        rows += row("… P99 of the wait, ms", [cell(point["wait_p99_ms"]) for point in points])
        if question.has_theory:
            rows += row("… in theory, ms", [in_theory(setting, point) for point in points])
        if any(point["errors"] or point["refused"] for point in points):
            lost = [(point["errors"] + point["refused"]) / max(point["calls"], 1) for point in points]
            rows += row("… without an answer", [f"{share:.1%}" for share in lost])
    return "\n".join(rows)

