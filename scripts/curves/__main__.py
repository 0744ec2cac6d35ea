"""Measures what is asked for, prints the tables, and with --write keeps them, their figures and their pictures."""

import argparse
import json
import sys
import time
from pathlib import Path

from curves import draw, measure, theory
from curves.questions import QUESTIONS

HERE = Path(__file__).parent
FIGURES = HERE / "figures.json"
GUIDE = HERE.parent.parent / "tuning.md"


def begin(name):
    return f"<!-- curve: {name} -->"


END = "<!-- end of curve -->"


def block(question, figures):
    """What stands between the marks in tuning.md: the picture, and its figures folded up."""
    return "\n".join(
        [
            f"![{question.title}](scripts/curves/{question.name}.svg)",
            "",
            "<details><summary>The figures</summary>",
            "",
            draw.table(question, figures),
            "",
            "</details>",
        ]
    )


def replaced(guide, name, text):
    """The guide with something else between the marks of this name."""
    before, mark, rest = guide.partition(begin(name))
    if not mark:
        sys.exit(f"tuning.md has no place for {name}")
    _, _, after = rest.partition(END)
    return f"{before}{begin(name)}\n{text}\n{END}{after}"


def write(kept):
    lines = [f"{json.dumps(name)}: {json.dumps(series)}" for name, series in kept.items()]
    FIGURES.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    guide = replaced(GUIDE.read_text(encoding="utf-8"), "rule", theory.rule_table())
    for question in QUESTIONS:
        if question.name not in kept:
            continue
        (HERE / f"{question.name}.svg").write_text(draw.picture(question, kept[question.name]), encoding="utf-8")
        guide = replaced(guide, question.name, block(question, kept[question.name]))
    GUIDE.write_text(guide, encoding="utf-8")


def rounded(point):
    return {name: round(figure, 4) if isinstance(figure, float) else figure for name, figure in point.items()}


def measured(given):
    """The figures of every question, by name and series. A setting that several questions have is measured once."""
    found, known = {}, {}
    for question in QUESTIONS:
        if not any(text in question.name for text in given.only.split(",")):
            continue
        found[question.name] = {}
        for name, setting in question.series.items():
            key = (setting, question.is_closed)
            if key not in known:
                began = time.monotonic()
                curve = measure.closed_curve if question.is_closed else measure.open_curve
                known[key] = [rounded(point) for point in curve(setting, given.seconds, given.quick)]
                took = time.monotonic() - began
                print(f"{question.name}: {name}, {took:.0f} s", file=sys.stderr, flush=True)
            found[question.name][name] = known[key]
    return found


def main():
    words = argparse.ArgumentParser(prog="scripts/curves.sh")
    words.add_argument("--quick", action="store_true")
    words.add_argument("--only", default="")
    words.add_argument("--seconds", type=float)
    words.add_argument("--write", action="store_true")
    words.add_argument("--redraw", action="store_true")
    words.add_argument("--json")
    given = words.parse_args()
    given.seconds = given.seconds or (1 if given.quick else 5)
    kept = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    found = kept if given.redraw else measured(given)
    for question in QUESTIONS:
        if question.name in found:
            print(f"\n{question.title}\n\n{draw.table(question, found[question.name])}")
    if given.json:
        Path(given.json).write_text(json.dumps(found), encoding="utf-8")
    if given.write:
        write({**kept, **found})
    wrong = [
        point
        for name, series in found.items()
        for points in series.values()
        for point in points
        # Who waits in vain for one of a classic pool's handlers is what that question is about.
        if point["errors"] and name != "linger"
    ]
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
