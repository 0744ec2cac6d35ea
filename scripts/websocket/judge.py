"""Judges the report of a suite: `judge.py INDEX CASES LOST`.

INDEX is the report's index and CASES how many cases must be in it. The names of those that failed are written to the
file LOST, one on a line; the file stays empty when cases are missing.
"""

import collections
import json
import sys

# A suite's verdicts that are no failures. NON-STRICT: a text that is not UTF-8 is refused when the message is
# whole, not at its first wrong byte. INFORMATIONAL: any outcome is right.
ACCEPTED = {"OK", "NON-STRICT", "INFORMATIONAL"}


def main(index, cases, lost):
    with open(index) as file:
        (results,) = json.load(file).values()
    counts = collections.Counter(result["behavior"] for result in results.values())
    failed = {
        name: (result["behavior"], result["behaviorClose"])
        for name, result in results.items()
        if not {result["behavior"], result["behaviorClose"]} <= ACCEPTED
    }
    print(", ".join(f"{count} {behavior}" for behavior, count in counts.most_common()))
    for name, (behavior, close) in failed.items():
        print(f"  {name}: {behavior}, close {close}")
    complete = len(results) == int(cases)
    if not complete:
        print(f"  {len(results)} cases of {cases}")
    with open(lost, "w") as file:
        file.writelines(f"{name}\n" for name in failed if complete)
    return bool(failed) or not complete


sys.exit(main(*sys.argv[1:]))
