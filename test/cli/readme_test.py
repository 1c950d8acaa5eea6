"""What README.md shows is what happens: its transcript, its C program; and docs/limits.md is about limits.h.

A transcript is a code block whose first line begins with `NAME$ `.  Lines that begin so are commands of the device NAME, the others
are what the command prints, stdout and stderr together, in any order between the two.  `…` matches anything within a line, and
INVITATION is the line that the last `invite` printed.  Port 7411 is replaced by one that is free.  `invite` and `sync --listen` go
on beside the commands of the other device that follow; every other command ends first."""

import shlex

from support import *

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
COMMAND = re.compile(r"(\w+)\$ (.*)")


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def blocks(text, language=""):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.S | re.M)


def commands(text):
    """(device, command line, lines that it prints), in order."""
    found = []
    for block in blocks(text):
        if not COMMAND.match(block):
            continue
        for line in block.splitlines():
            command = COMMAND.match(line)
            if command:
                found.append((command[1], command[2], []))
            else:
                found[-1][2].append(line)
    return found


def matches(expected, line):
    return re.fullmatch(".*".join(re.escape(part) for part in expected.split("…")), line) is not None


class Readme(Case):
    def check(self, command, expected, result):
        self.assertEqual(result.status, 0, (command, result.err))
        lines = result.out.splitlines() + result.err.splitlines()
        left = list(lines)
        for line in sorted(expected, key=lambda e: e.count("…")):  # the exact ones first
            match = next((l for l in left if matches(line, l)), None)
            self.assertIsNotNone(match, f"{command} does not print {line!r} but {lines}")
            left.remove(match)
        self.assertEqual(left, [], f"{command} prints more than README shows")

    def test_transcript(self):
        port, devices, going, invitation = str(free_port()), {}, {}, None
        script = commands(read("README.md"))
        self.assertGreater(len(script), 15)
        for name, line, expected in script:
            line, expected = line.replace("7411", port), [e.replace("7411", port) for e in expected]
            if name not in devices:
                devices[name] = self.device(name, init=False)
            if name in going:
                self.check(*going[name][:2], going.pop(name)[2].finish())
            words = shlex.split(line)
            self.assertEqual(words[0], "dunlin")
            running = self.start(devices[name], *[invitation if w == "INVITATION" else w for w in words[1:]])
            if words[1] == "invite":
                invitation = running.wait_line(".")
                going[name] = (line, expected, running)
            elif "--listen" in words:
                running.wait_line("listening", "err")
                going[name] = (line, expected, running)
            else:
                self.check(line, expected, running.finish())
        for line, expected, running in going.values():
            self.check(line, expected, running.finish())

    def test_the_c_program_is_the_one_that_is_built(self):
        [program] = blocks(read("README.md"), "c")
        self.assertEqual(program, read("docs", "examples", "embed.c"))

    def test_limits_page_has_every_limit(self):
        defined = dict(re.findall(r"#define (DUNLIN_MAX_\w+) (\(.*?\)|\w+)", read("include", "dunlin", "limits.h")))
        listed = dict(re.findall(r"\| `(DUNLIN_MAX_\w+)` \| ([^|]+?) \|", read("docs", "limits.md")))
        self.assertEqual(list(listed), list(defined))
        units = {"": 1, "KiB": 1024, "MiB": 1024 * 1024}
        for name, text in listed.items():
            number, _, unit = text.partition(" ")
            value = eval(number.replace("^", "**")) * units[unit]
            self.assertEqual(value, eval(re.sub(r"(\d)u", r"\1", defined[name])), name)


if __name__ == "__main__":
    unittest.main()
