"""Runs an example, which must print what stands in a file, and nothing else."""

import subprocess
import sys


def main():
    with open(sys.argv[2], encoding="utf-8") as f:
        expected = f.read()
    done = subprocess.run([sys.argv[1]], capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, ""), done


main()
