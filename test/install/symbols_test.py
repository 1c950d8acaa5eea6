"""The shared library shows the functions that the public headers declare with DUNLIN_API, and nothing else."""

import pathlib
import re
import subprocess
import sys


def declared(folder):
    names = set()
    for header in folder.glob("dunlin/*.h"):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.S)
        text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        found = re.findall(r"\bDUNLIN_API\b[^;(]*?\b(\w+)\s*\(", text)
        assert len(found) == text.count("DUNLIN_API"), f"{header}: a declaration that this test cannot read"
        hidden = re.findall(r"^(?!typedef|static|DUNLIN_API|#).*\bdunlin_\w+\(.*", text, re.M)
        hidden = [line for line in hidden if not line.startswith(" ")]
        assert not hidden, f"{header}: declared without DUNLIN_API: {hidden}"
        names.update(found)
    return names


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    symbols = [line.split()[-2:] for line in lines.splitlines()]
    return {name.split("@")[0] for kind, name in symbols if kind != "A"}


def main():
    want, have = declared(pathlib.Path(sys.argv[2])), exported(sys.argv[1])
    assert len(want) > 100, want
    assert not want - have, f"declared and not exported: {sorted(want - have)}"
    assert not have - want, f"exported and not declared: {sorted(have - want)}"


main()
