"""The simulator itself: that a seed says everything, that what is broken on purpose is found, and that a failure is shrunk to a
script that fails in the same way.

usage: sim_test.py SIM
"""
import pathlib
import re
import subprocess
import sys
import tempfile

sim = sys.argv[1]


def run(*arguments):
    done = subprocess.run([sim, *arguments], capture_output=True, text=True, timeout=500, check=False)
    return done.returncode, done.stdout + done.stderr


def check(condition, what, output=""):
    if not condition:
        sys.exit(f"failed: {what}\n{output}")
    print(f"ok: {what}", flush=True)


with tempfile.TemporaryDirectory() as folder:
    out = pathlib.Path(folder)

    # The same seed is the same run, byte for byte, and another seed is another.
    fleet = ["--devices", "4", "--days", "0.15", "--trouble", "5"]
    for name, seed in [("first", "7"), ("second", "7"), ("other", "8")]:
        status, output = run("--seed", seed, *fleet, "--trace", str(out / name))
        check(status == 0, f"seed {seed} runs well", output)
    first, second, other = ((out / name).read_bytes() for name in ("first", "second", "other"))
    check(first.count(b"\n") > 5000, "the trace tells what happens")
    check(first == second, "two runs of one seed give the same trace")
    check(first != other, "another seed gives another")

    # A script says what its seed says.
    status, script = run("--seed", "7", *fleet, "--print")
    check(status == 0 and script.startswith("seed 7\ndevices 4\n"), "a seed's script can be printed", script)
    (out / "script").write_text(script)
    status, output = run("--script", str(out / "script"), "--trace", str(out / "third"))
    check(status == 0 and (out / "third").read_bytes() == first, "the printed script is the same run", output)

    # What does not keep its promises is found, and shrunk to a script that shows it.
    for breakage, complaint in [("nosync", r"acknowledged|does not start|differ|lack"), ("diverge", "not equal"), ("leak", "in clear"),
                                ("memory", "not given back")]:
        broken = ["--break", breakage]
        status, output = run("--seed", "3", "--devices", "3", "--days", "1", "--trouble", "4", *broken, "--out", folder)
        check(status == 1 and re.search(complaint, output), f"--break {breakage} is found", output)
        shrunk = re.search(r"shrunk to (\d+) actions: .* --script (\S+) --break", output)
        check(shrunk and int(shrunk[1]) <= 40, f"... and shrunk to {shrunk[1] if shrunk else '?'} actions", output)
        status, output = run("--script", shrunk[2], *broken, "--no-shrink")
        check(status == 1 and re.search(complaint, output), "... that fail in the same way", output)
        status, output = run("--script", shrunk[2], "--no-shrink")
        check(status == 0, "... and well when nothing is broken", output)

    # A script that makes no sense says where.
    (out / "bad").write_text("devices 2\n1.0 edit 0 5\n2.0 dance 1\n")
    status, output = run("--script", str(out / "bad"))
    check(status == 2 and "bad:3: there is no such action" in output, "a bad script names the line", output)
