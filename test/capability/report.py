"""Runs the capability tests of a build folder, and says for each capability of list.txt how it stands.

A test program is named after its capability; `skipped` counts the checks in it that cannot be met yet, each of which says why."""

import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def listed():
    lines = (HERE / "list.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def title(path):
    text = path.read_text(encoding="utf-8")
    return " ".join(re.match(r"/\*\s*(?:[A-Z]\d\d: )?(.*?)\*/", text, re.S)[1].replace("\n *", "\n").split())


def outcome(result):
    if result["result"] != "OK":
        return "FAILED"
    output = result.get("stdout", "") + result.get("stderr", "")
    skipped = len(set(re.findall(r"^\[  SKIPPED \] (\w+)$", output, re.M)))
    return f"passed, {skipped} skipped" if skipped else "passed"


def run(build):
    subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--suite", "capability"], stdout=subprocess.DEVNULL)
    with open(os.path.join(build, "meson-logs", "testlog.json"), encoding="utf-8") as f:
        results = [json.loads(line) for line in f]
    return {result["name"].split(" / ")[-1]: outcome(result) for result in results}


def main():
    names, results, bad = listed(), run(sys.argv[1]), 0
    programs = {path.stem: path for path in sorted(HERE.glob("[A-Z][0-9][0-9]_*.c"))}
    tested = {name[:3] for name in programs}
    rows = [(name[:3], title(path), results.get(name, "not built")) for name, path in programs.items()]
    rows += [(id, text, "no test") for id, text in names.items() if id not in tested]
    for id, text, state in sorted(rows):
        print(f"{id}  {state:18}  {text}")
        bad += state in ("FAILED", "not built")
    unknown = sorted(tested - set(names))
    if unknown:
        print(f"not in list.txt: {' '.join(unknown)}")
    counts = [sum(state.startswith(word) for _, _, state in rows) for word in ("passed", "FAILED", "no test")]
    print("{} passed, {} failed, {} without a test".format(*counts))
    sys.exit(1 if bad or unknown else 0)


main()
