#!/usr/bin/env python3
"""Runs fuzz targets, several at a time, and says what they found: see ./dev fuzz.

    run.py BUILD fuzz SECONDS [TARGET...]    libFuzzer; SECONDS in all, shared by the targets
    run.py BUILD afl SECONDS [TARGET...]     AFL++, the same
    run.py BUILD merge [TARGET...]           what BUILD/corpus holds, made small, goes into the repository's corpora

Inputs that fuzzing adds stay in BUILD/corpus/TARGET; what a target printed is in BUILD/log.  Exits with 1 when something was
found, one line for each: the target, the input, and the command that runs it again.
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent / "corpus"
LENGTH = 4096  # bytes of an input; deltas and runs of any kind fit
MEMORY_MB = 16  # of one allocation: what docs/limits.md lets an input of this length cost, see FUZZ_MEMORY
HANG_S = 10
FILES_MAX, BYTES_MAX = 200, 300 * 1024  # of a corpus in the repository
KEPT = ("seed-", "regression-")  # names of inputs that merging leaves alone


class Rig:
    def __init__(self, build, names):
        self.build = pathlib.Path(build)
        programs = sorted(p for p in (self.build / "test/fuzz").glob("fuzz-*") if p.is_file())
        known = {p.name[len("fuzz-"):]: p for p in programs}
        for name in names:
            if name not in known:
                sys.exit(f"fuzz: there is no target {name}; there are {' '.join(known)}")
        self.targets = {name: known[name].resolve() for name in (names or known)}
        shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.temporary = tempfile.TemporaryDirectory(prefix="dunlin-fuzz-", dir=shm)
        for folder in ("log", "findings"):
            (self.build / folder).mkdir(exist_ok=True)

    def corpus(self, name):
        """The growing corpus; it begins with the target's own seeds."""
        folder = self.build / "corpus" / name
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([self.build / "test/fuzz" / f"replay-{name}", "--seeds", folder], check=True, env=self.env(name))
        return folder

    @staticmethod
    def dictionary(name, option):
        path = REPOSITORY.parent / "dict" / f"{name}.dict"
        return [option + str(path)] if path.exists() else []

    def env(self, name, **more):
        own = pathlib.Path(self.temporary.name) / name
        own.mkdir(exist_ok=True)
        return dict(os.environ, TMPDIR=str(own), UBSAN_OPTIONS="print_stacktrace=1", **more)

    def share(self, seconds):
        """Seconds for each target, when as many run at a time as there are processors."""
        at_once = min(len(self.targets), os.cpu_count() or 1)
        return at_once, max(1, seconds * at_once // len(self.targets))

    def each(self, work, seconds):
        at_once, share = self.share(seconds)
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            results = list(pool.map(lambda name: work(self, name, share), self.targets))
        print(f"{sum(done for done, _ in results)} executions of {len(results)} targets")
        findings = [line for _, found in results for line in found]
        for line in findings:
            print(line)
        return 1 if findings else 0


# ---- libFuzzer ----------------------------------------------------------------------------------------------------


def libfuzzer(rig, name, seconds):
    prefix = rig.build / "findings" / f"{name}-"
    before = set(prefix.parent.iterdir())
    command = [rig.targets[name], f"-max_total_time={seconds}", f"-timeout={HANG_S}", f"-max_len={LENGTH}",
               f"-malloc_limit_mb={MEMORY_MB}", "-rss_limit_mb=2048", "-print_final_stats=1", "-reload=0",
               f"-artifact_prefix={prefix}", *rig.dictionary(name, "-dict="), rig.corpus(name), REPOSITORY / name]
    log = rig.build / "log" / f"{name}.txt"
    with open(log, "wb") as out:
        status = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env=rig.env(name), check=False).returncode
    text = log.read_text(errors="replace")
    done = sum(map(int, re.findall(r"^stat::number_of_executed_units:\s*(\d+)", text, re.M)))
    coverage = re.findall(r"cov: (\d+)", text)
    print(f"{name:10} {done:9} executions, {done // seconds:6} a second, coverage {coverage[-1] if coverage else 0}",
          flush=True)
    found = sorted(p for p in set(prefix.parent.iterdir()) - before
                   if p.name.startswith(prefix.name) and "slow-unit" not in p.name)
    lines = [f"FOUND {name}: {p}: {rig.targets[name]} {p}" for p in found]
    if status and not lines:
        lines = [f"FOUND {name}: it ended with {status} and left no input: see {log}"]
    return done, lines


# ---- AFL++ --------------------------------------------------------------------------------------------------------


def afl(rig, name, seconds):
    out = rig.build / "afl" / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    corpus = rig.corpus(name)
    for p in (REPOSITORY / name).glob("*"):
        shutil.copy(p, corpus)
    env = rig.env(name, AFL_SKIP_CPUFREQ="1", AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES="1", AFL_NO_UI="1", AFL_NO_AFFINITY="1",
                  AFL_SKIP_CRASHES="1", AFL_FAST_CAL="1")
    log = rig.build / "log" / f"{name}.txt"
    command = ["afl-fuzz", "-V", str(seconds), "-t", f"{HANG_S * 1000}", "-G", str(LENGTH), *rig.dictionary(name, "-x"),
               "-i", corpus, "-o", out, "--", rig.targets[name]]
    with open(log, "wb") as text:
        status = subprocess.run(command, stdout=text, stderr=subprocess.STDOUT, env=env, check=False).returncode
    stats = out / "default/fuzzer_stats"
    numbers = dict(re.findall(r"^(\w+)\s*: (.*)$", stats.read_text(), re.M)) if stats.exists() else {}
    done = int(numbers.get("execs_done", 0))
    print(f"{name:10} {done:9} executions, {done // seconds:6} a second, edges {numbers.get('edges_found', 0)}", flush=True)
    found = sorted((out / "default").glob("crashes*/id*")) + sorted((out / "default").glob("hangs*/id*"))
    lines = [f"FOUND {name}: {p}: {rig.targets[name]} {p}" for p in found]
    if not lines and (status or not done):
        lines = [f"FOUND {name}: AFL++ did not run it: see {log}"]
    return done, lines


# ---- The repository's corpora -------------------------------------------------------------------------------------


def merge(rig, name):
    """The fewest inputs with all the coverage, then the smallest of them that fit the limits."""
    target, folder = rig.targets[name], REPOSITORY / name
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([rig.build / "test/fuzz" / f"replay-{name}", "--seeds", folder], check=True, env=rig.env(name))
    kept = [p for p in folder.iterdir() if p.name.startswith(KEPT)]
    with tempfile.TemporaryDirectory(dir=rig.temporary.name) as small:
        for p in kept:
            shutil.copy(p, small)
        subprocess.run([target, "-set_cover_merge=1", f"-timeout={HANG_S}", f"-max_len={LENGTH}", "-rss_limit_mb=2048", small,
                        rig.corpus(name), folder], check=True, env=rig.env(name), stdout=subprocess.DEVNULL,
                       stderr=open(rig.build / "log" / f"{name}-merge.txt", "wb"))
        new = sorted((p for p in pathlib.Path(small).iterdir() if not p.name.startswith(KEPT)),
                     key=lambda p: (p.stat().st_size, p.name))
        for p in folder.iterdir():
            if p not in kept:
                p.unlink()
        size, count = sum(p.stat().st_size for p in kept), len(kept)
        for p in new:
            if count >= FILES_MAX or size + p.stat().st_size > BYTES_MAX:
                break
            shutil.copy(p, folder)
            size, count = size + p.stat().st_size, count + 1
    print(f"{name:10} {count:4} inputs, {size:7} bytes, of {len(kept) + len(new)}", flush=True)


def main(build, verb, *rest):
    if verb == "merge":
        rig = Rig(build, rest)
        for name in rig.targets:
            merge(rig, name)
        return 0
    if not rest or not rest[0].isdigit() or int(rest[0]) < 1:
        sys.exit("fuzz: how many seconds?")
    return Rig(build, rest[1:]).each(afl if verb == "afl" else libfuzzer, int(rest[0]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
