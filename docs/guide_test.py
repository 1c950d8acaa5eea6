"""What guide.md shows compiles, and what it names is there.

A code block stands word for word in one of the examples, which are built and run; or it is whole functions, and the compiler takes them as C and, if
there is one, as C++, with all warnings.  Names of the library that the text mentions stand in the headers."""

import pathlib
import re
import subprocess
import sys

DOCS = pathlib.Path(__file__).resolve().parent
INCLUDE = DOCS.parent / "include"


def compile(block, number, command):
    headers = "".join(f"#include <dunlin/{h.name}>\n" for h in sorted(INCLUDE.glob("dunlin/*.h")))
    source = f'{headers}#include <stdio.h>\n#line 1 "guide.md, block {number}"\n{block}'
    options = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-unused-function", "-fsyntax-only", f"-I{INCLUDE}", "-"]
    done = subprocess.run([*command, *options], input=source, capture_output=True, text=True, encoding="utf-8", timeout=100)
    assert done.returncode == 0, done.stderr


def main():
    commands = [[*sys.argv[1].split(), "-std=c11", "-x", "c"]]
    if len(sys.argv) > 2:
        commands.append([*sys.argv[2].split(), "-std=c++17", "-x", "c++"])
    guide = (DOCS / "guide.md").read_text(encoding="utf-8")
    examples = [path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("examples/*.c"))]
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", guide, re.S | re.M)
    assert len(blocks) > 10
    compiled = 0
    for number, (language, block) in enumerate(blocks, 1):
        assert language == "c", f"block {number}: {language}"
        if any(block in example for example in examples):
            continue
        assert block.startswith("static ") and block.endswith("}\n"), f"block {number} is no piece of an example:\n{block}"
        for command in commands:
            compile(block, number, command)
        compiled += 1
    assert compiled, "nothing was compiled"
    text = "".join(path.read_text(encoding="utf-8") for path in INCLUDE.glob("dunlin/*.h"))
    known = set(re.findall(r"\w+", text))
    named = set(re.findall(r"\b(?:dunlin|DUNLIN)_\w+", guide))
    assert not named - known, f"not in the headers: {sorted(named - known)}"
    for path in set(re.findall(r"docs/[\w/]+\.\w+", guide)):
        assert (DOCS.parent / path).exists(), path
    for header in set(re.findall(r"<(dunlin/\w+\.h)>", guide)):
        assert (INCLUDE / header).exists(), header


main()
