#!/usr/bin/env python3
"""Counts the instructions of the hot paths and compares them with the committed numbers.

    bench/check.py BENCH_PATHS [--update]

A rise over 3 % fails.  Counts repeat exactly for one toolchain; with another compiler or other libraries than the numbers were
taken with, the comparison is shown and fails nothing.
"""

import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile

NUMBERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instructions.json")
MOST = 0.03


def toolchain():
    compiler = subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    sodium = subprocess.run(["pkg-config", "--modversion", "libsodium"], capture_output=True, text=True).stdout.strip()
    return f"{compiler}; libsodium {sodium}; -O2, x86-64"


def count(program, path):
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", "--toggle-collect=hot_path", f"--callgrind-out-file={folder}/out", program, path],
            capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode or not found:
        sys.exit(f"check: {path} failed:\n{run.stderr}")
    return int(found.group(1))


def main():
    program = sys.argv[1]
    paths = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = dict(zip(paths, pool.map(lambda path: count(program, path), paths)))
    if "--update" in sys.argv[2:]:
        with open(NUMBERS, "w", encoding="utf-8") as file:
            json.dump({"toolchain": toolchain(), "instructions": counts}, file, indent=2)
            file.write("\n")
        print(f"{len(counts)} paths written to {NUMBERS}")
        return 0
    with open(NUMBERS, encoding="utf-8") as file:
        known = json.load(file)
    pinned = known["toolchain"] == toolchain()
    if not pinned:
        print(f"check: numbers are of {known['toolchain']}, this is {toolchain()}: shown, not judged")
    worse = []
    for path, now in counts.items():
        before = known["instructions"].get(path)
        change = now / before - 1 if before else 0.0
        if before is None or change > MOST:
            worse.append(path)
        print(f"{path:24} {before or 0:>14,} {now:>14,} {change:+7.2%}{'  <-- more than 3 %' if change > MOST else ''}")
    if worse and pinned:
        print(f"check: {len(worse)} of {len(counts)} paths got slower: {', '.join(worse)}; if it is worth it, run ./dev bench --check --update")
        return 1
    return 0


sys.exit(main())
