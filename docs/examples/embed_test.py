"""Runs the example twice on one store: the second run finds what the first has left."""

import os
import subprocess
import sys
import tempfile


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="dunlin-embed-") as folder:
        for visits in (1, 2):
            done = subprocess.run([program, os.path.join(folder, "store")], capture_output=True, text=True, timeout=120)
            assert (done.returncode, done.stdout, done.stderr) == (0, f"Pack light. visits: {visits}\n", ""), done
        done = subprocess.run([program, os.path.join(folder, "a file/store")], capture_output=True, timeout=120)
        assert done.returncode == 0, "a store's folders are made"
        done = subprocess.run([program], capture_output=True, timeout=120)
        assert done.returncode == 1 and done.stderr, done


main()
