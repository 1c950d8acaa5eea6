"""Runs commands at the same time and compares what they print, line by line: compare.py -- COMMAND... -- COMMAND...

Exit status 1 and the first line that differs, with what each of them printed; also when one of them fails or prints nothing.
"""
import subprocess
import sys
from itertools import zip_longest


def commands(words):
    found = []
    for word in words:
        if word == "--":
            found.append([])
        else:
            found[-1].append(word)
    return found


def compare(one, other):
    """What is wrong, or None, and the number of lines that were the same."""
    a = subprocess.Popen(one, stdout=subprocess.PIPE, text=True)
    b = subprocess.Popen(other, stdout=subprocess.PIPE, text=True)
    lines = 0
    wrong = None
    for left, right in zip_longest(a.stdout, b.stdout, fillvalue="(nothing)"):
        if left != right:
            wrong = f"line {lines + 1} differs\n{' '.join(one)}: {left.rstrip()}\n{' '.join(other)}: {right.rstrip()}"
            break
        lines += 1
    for process, command in (a, one), (b, other):
        if wrong:
            process.kill()
        if process.wait() and not wrong:
            wrong = f"{' '.join(command)}: exit status {process.returncode}"
    if not wrong and not lines:
        wrong = "nothing printed"
    return wrong, lines


def main():
    one, other = commands(sys.argv[1:])
    wrong, lines = compare(one, other)
    if wrong:
        sys.exit(wrong)
    print(f"{lines} lines, all the same")


main()
