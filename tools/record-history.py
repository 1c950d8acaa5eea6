#!/usr/bin/env python3
"""Records the editing history of a file of this repository as a concurrent editing trace.

usage: tools/record-history.py PATH OUTPUT [--seed N]

The successive revisions of PATH in git are typed by two seeded typists, character by character: each revision's changes
in the upper part of the text by agent 0, those in the lower part by agent 1, at the same time.  Now and then one of them
mistypes and corrects it, and from time to time each sees what the other has written.  They never insert at the same
place, so the end content does not depend on how a merge orders concurrent insertions.

The history that the demo ships was made by
    tools/record-history.py CONTRIBUTING.md cli/demo-history.json
"""
import argparse
import difflib
import json
import random
import subprocess


def revisions(path):
    commits = subprocess.run(["git", "log", "--reverse", "--format=%H", "--", path], capture_output=True, text=True,
                             check=True).stdout.split()
    for commit in commits:
        show = subprocess.run(["git", "show", f"{commit}:{path}"], capture_output=True, text=True, check=False)
        if show.returncode == 0:  # else: the revision in which it was removed
            yield show.stdout


def keystrokes(old, new, rng):
    """The edits that turn `old` into `new`, one character each, as [position, deleted, inserted] in order."""
    out = []
    shift = 0
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            continue
        at = i1 + shift
        for i in range(i2 - i1):  # backspace, from the end of what goes
            out.append([i2 + shift - 1 - i, 1, ""])
        for c in new[j1:j2]:
            if c.isalpha() and rng.random() < 0.02:  # a slip, seen at once
                out.append([at, 0, rng.choice("etaoinshrdlu")])
                out.append([at, 1, ""])
            out.append([at, 0, c])
            at += 1
        shift += (j2 - j1) - (i2 - i1)
    return out


class Recorder:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.txns = []
        self.text = ""

    def add(self, agent, parents, patch):
        self.txns.append({"parents": sorted(parents), "agent": agent, "patches": [patch]})
        return len(self.txns) - 1

    def type_both(self, old_upper, old_lower, new_upper, new_lower, heads):
        """Both typists at once; `heads` is the version that both begin at.  Returns the version at the end."""
        work = [keystrokes(old_upper, new_upper, self.rng), keystrokes(old_lower, new_lower, self.rng)]
        upper = len(old_upper)  # the length of the upper part, as the lower typist sees it; a newline follows it
        seen = [set(heads), set(heads)]
        while work[0] or work[1]:
            length = upper
            last = [None, None]
            for agent in (0, 1):
                for _ in range(self.rng.randint(1, 60)):
                    if not work[agent]:
                        break
                    at, deleted, inserted = work[agent].pop(0)
                    if agent == 0:
                        length += len(inserted) - deleted
                    last[agent] = self.add(agent, seen[agent], [at + (upper + 1 if agent else 0), deleted, inserted])
                    seen[agent] = {last[agent]}
            both = {t for agent in (0, 1) for t in (seen[agent] if last[agent] is not None else ())}
            both = both or set(heads)
            seen = [set(both), set(both)]
            heads = both
            upper = length
        self.text = new_upper + "\n" + new_lower
        return heads

    def revise(self, new, heads):
        """The parts meet at an unchanged newline, which neither typist touches."""
        if not self.text:
            heads = {self.add(0, heads, [0, 0, "\n"])}
            self.text = "\n"
        middle = new.find("\n", len(new) // 2)
        old_parts, new_parts = [], []
        blocks = difflib.SequenceMatcher(None, self.text, new, autojunk=False).get_matching_blocks()
        for a, b, size in blocks:
            for i in range(size):
                if self.text[a + i] == "\n" and (not old_parts or abs(b + i - middle) < abs(len(new_parts[0]) - middle)):
                    old_parts = [self.text[: a + i], self.text[a + i + 1:]]
                    new_parts = [new[: b + i], new[b + i + 1:]]
        return self.type_both(*old_parts, *new_parts, heads)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("output")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    recorder = Recorder(args.seed)
    heads = set()
    for text in revisions(args.path):
        heads = recorder.revise(text, heads)
    trace = {"kind": "concurrent", "source": args.path, "endContent": recorder.text, "numAgents": 2, "txns": recorder.txns}
    with open(args.output, "w", encoding="utf-8") as out:
        out.write("{\n")
        for key in ("kind", "source", "endContent", "numAgents"):
            out.write(f'"{key}": {json.dumps(trace[key])},\n')
        out.write('"txns": [\n' + ",\n".join(json.dumps(t, separators=(",", ":")) for t in recorder.txns) + "\n]}\n")
    print(f"{len(recorder.txns)} transactions, {len(recorder.text)} characters")


if __name__ == "__main__":
    main()
