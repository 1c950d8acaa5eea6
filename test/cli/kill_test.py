"""Kills the demo's devices with -9 at seeded moments, over and over: nothing durable is lost, and they converge.

usage: kill_test.py DUNLIN_DEMO [KILLS [SEED]]

One run takes some dozens of kills before its history is at an end, so runs are repeated, each with the next seed, until
there were as many as asked for.  A failing run is repeated alone by the line that is printed.
"""
import re
import subprocess
import sys
import time

demo = sys.argv[1]
wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 200
seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
kills = 0
began = time.monotonic()
while kills < wanted:
    command = [demo, "--kills", str(wanted - kills), "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, stdin=subprocess.DEVNULL)
    killed = re.search(r"^killed (\d+) times", done.stdout, re.M)
    if done.returncode or not killed or not re.search(r"^converged [0-9a-f]{64}$", done.stdout.splitlines()[-1]):
        sys.exit(f"failed: {' '.join(command)}\n{done.stdout}{done.stderr}")
    if killed[1] == "0":
        sys.exit(f"no kill was made: {' '.join(command)}")
    kills += int(killed[1])
    print(f"seed {seed}: {killed[1]} kills, {kills} in all, {time.monotonic() - began:.1f} s", flush=True)
    seed += 1
