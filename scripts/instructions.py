#!/usr/bin/env python3
"""Counts the instructions of requests, and compares them with the committed baseline.

Usage: scripts/instructions.py [--record | --print]

Builds the bench `instructions`, runs it under callgrind, and fails if a count is more than 2 % over its line in
benches/instructions/baseline.json, or has no line there. `--record` writes that file instead, `--print` only prints.

The baseline names the compiler, the C library and the processor features that its counts were made with. With others,
nothing can be compared: that is said loudly, and no failure. Whoever changes the compiler records a new baseline.

Takes valgrind from the PATH if there is one; otherwise it is unpacked from Debian's package into target/valgrind/.
Gungraun's runner comes from the package registry, in the version that Cargo.lock names, into target/gungraun-runner/.
Both stay there: later runs need no network. About a minute once all is built.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
BASELINE = ROOT / "benches" / "instructions" / "baseline.json"
# How much a count may exceed its baseline.
OVER_PERCENT_MAX = 2.0
# Processor features that valgrind passes on to programs, by which libraries choose their code.
FEATURES = ("avx2", "bmi2", "lzcnt")
NAMES = {"abm": "lzcnt"}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    choice = arguments.add_mutually_exclusive_group()
    choice.add_argument("--record", action="store_true", help="write the baseline")
    choice.add_argument("--print", action="store_true", help="compare nothing")
    options = arguments.parse_args()
    counts = count()
    if options.print:
        print_table(counts, {})
    elif options.record:
        BASELINE.write_text(json.dumps({"made_with": made_with(), "counts": counts}, indent=2) + "\n")
        print_table(counts, {})
        print(f"recorded {BASELINE.relative_to(ROOT)}")
    else:
        sys.exit(compare(counts, json.loads(BASELINE.read_text())))


def compare(counts, baseline):
    """The exit status."""
    here, there = made_with(), baseline["made_with"]
    others = [f"{name}: {here[name]}, the baseline's: {there.get(name)}" for name in here if here[name] != there.get(name)]
    if others:
        print_table(counts, {})
        rule = "!" * 100
        print(f"{rule}\nNO INSTRUCTION COUNT IS COMPARED: the baseline was made with something else.")
        print("\n".join(others))
        print(f"Record a new one on an unchanged commit: scripts/instructions.py --record\n{rule}", flush=True)
        return 0
    known = baseline["counts"]
    print_table(counts, known)
    problems = [
        f"{name}: {now} instructions are {over(now, known[name]):+.2f} % over {known[name]}, more than"
        f" {OVER_PERCENT_MAX} %; find out why, or record a new baseline and say why in the commit"
        for name, now in counts.items()
        if name in known and over(now, known[name]) > OVER_PERCENT_MAX
    ]
    problems += [f"{name}: has no baseline; record one" for name in counts if name not in known]
    problems += [f"{name}: is in the baseline and was not counted" for name in known if name not in counts]
    print("\n".join(problems))
    if not problems and any(over(now, known[name]) < -OVER_PERCENT_MAX for name, now in counts.items()):
        print("Some counts are well below the baseline: record a new one, so that they stay there.")
    print(f"{len(counts) - len(problems)} passed, {len(problems)} failed")
    return 1 if problems else 0


def over(now, then):
    return 100.0 * (now - then) / then


def print_table(counts, known):
    """Every bench with its recorded count, its count now and the change; what the baseline lacks has neither."""
    width = max(map(len, counts))
    print(f"{'instructions of':<{width}} {'recorded':>12} {'now':>12} {'change':>10}")
    for name, now in counts.items():
        recorded = f"{known[name]:,}" if name in known else ""
        change = f"{over(now, known[name]):+.2f} %" if name in known else ""
        print(f"{name:<{width}} {recorded:>12} {now:>12,} {change:>10}".rstrip())


def count():
    """Instructions of each bench."""
    # Not by GUNGRAUN_RUNNER, which the bench takes up when it is compiled.
    environment = {**os.environ, "PATH": f"{runner().parent}:{os.environ['PATH']}"}
    # Without the command, which would be built and linked for nothing.
    features = ["--no-default-features", "--features", "demo"]
    command = ["cargo", "bench", "--locked", "--bench", "instructions", *features, "--", "--output-format=json"]
    command.append(f"--valgrind-bin={valgrind()}")
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"instructions.py: the bench failed with status {done.returncode}")
    summaries = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    counts = {f"{summary['function_name']}/{summary['id']}": instructions(summary) for summary in summaries}
    if len(counts) != len(summaries) or not counts:
        sys.exit(f"instructions.py: {len(summaries)} benches, and {len(counts)} names")
    return counts


def instructions(summary):
    return summary["profiles"][0]["data"]["total"]["metrics"]["Ir"]["values"]["new"]


def made_with():
    return {"compiler": output("rustc", "--version"), "libc": " ".join(platform.libc_ver()), "features": features()}


def features():
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    flags = {NAMES.get(flag, flag) for flag in (flags.group(1).split() if flags else [])}
    return [platform.machine(), *(feature for feature in FEATURES if feature in flags)]


def output(*command):
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def runner():
    """Gungraun's runner, which must be of the same version as the library."""
    packages = (ROOT / "Cargo.lock").read_text()
    version = re.search(r'name = "gungraun"\nversion = "([^"]+)"', packages).group(1)
    home = TARGET / "gungraun-runner" / version
    binary = home / "bin" / "gungraun-runner"
    if not binary.exists():
        # What it runs takes the time, so it is built in the profile that is built soonest.
        command = ["cargo", "install", "--quiet", "--locked", "--profile", "dev", "--root", str(home)]
        environment = {**os.environ, "CARGO_TARGET_DIR": str(home / "build"), "CARGO_PROFILE_DEV_DEBUG": "0"}
        subprocess.run([*command, f"gungraun-runner@{version}"], env=environment, check=True)
        shutil.rmtree(home / "build")
    return binary


def valgrind():
    installed = shutil.which("valgrind")
    if installed:
        return installed
    home = TARGET / "valgrind"
    start = home / "start"
    if not start.exists():
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home) as scratch:
            download(scratch)
            [package] = Path(scratch).glob("valgrind_*.deb")
            subprocess.run(["dpkg", "-x", package, home / "root"], check=True)
        root = home / "root" / "usr"
        start.write_text(f'#!/bin/sh\nVALGRIND_LIB={root}/libexec/valgrind exec {root}/bin/valgrind "$@"\n')
        start.chmod(0o755)
    return start


def download(folder):
    """Debian's package, into `folder`. The lists may be missing, or name a version that is gone."""
    command = ["apt-get", "download", "valgrind"]
    if subprocess.run(command, cwd=folder, capture_output=True).returncode != 0:
        subprocess.run(["apt-get", "update"], stdout=sys.stderr, check=True)
        subprocess.run(command, cwd=folder, stdout=sys.stderr, check=True)


if __name__ == "__main__":
    main()
