"""Figures, their limits, and the table of both."""

import dataclasses
import json


@dataclasses.dataclass
class Figure:
    """A measured value; with a limit, one that can be missed. No value misses any limit."""

    measurement: str
    name: str
    value: float | None
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def verdict(self):
        if self.at_most is None and self.at_least is None:
            return ""
        is_within = self.value is not None
        is_within = is_within and (self.at_most is None or self.value <= self.at_most)
        is_within = is_within and (self.at_least is None or self.value >= self.at_least)
        return "pass" if is_within else "MISSED"

    @property
    def limit(self):
        if self.at_most is not None:
            return f"<= {number(self.at_most)}"
        return "" if self.at_least is None else f">= {number(self.at_least)}"

    def document(self):
        fields = {name: value for name, value in dataclasses.asdict(self).items() if value not in (None, "")}
        return fields | {"value": self.value, "verdict": self.verdict or "shown"}


def number(value):
    if value is None:
        return "-"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def missed(figures):
    return [figure for figure in figures if figure.verdict == "MISSED"]


def print_table(figures):
    width = max((len(figure.name) for figure in figures), default=0)
    measurement = None
    for figure in figures:
        if figure.measurement != measurement:
            measurement = figure.measurement
            print(f"\n{measurement}")
        value = f"{number(figure.value)} {figure.unit}".strip()
        line = f"  {figure.name:<{width}}  {value:>14}  {figure.limit:>10}  {figure.verdict:<6}  {figure.note}"
        print(line.rstrip())
    print()


def write_json(figures, file):
    document = {"figures": [figure.document() for figure in figures], "missed": len(missed(figures))}
    json.dump(document, file, indent=2)
    file.write("\n")
