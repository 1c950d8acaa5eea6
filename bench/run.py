#!/usr/bin/env python3
"""Runs dunlin-bench and the peers in turns, and writes report.json, report.md and charts to bench/out/.

    bench/run.py BENCH [--quick] [--traces DIR] [--n N] [SUITE...]
    bench/run.py --report REPORT.json        writes report.md and charts again from a finished run

Only Python's standard library.  What is missing (node, npm, a package, gnuplot) is skipped with a note in the report.
"""

import argparse
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "out")
PEERS = ["yjs", "loro", "automerge", "json-joy", "diamond-types"]
WITH_PEERS = ["text", "map"]
SUITES = ["limits", "text", "generated", "map", "list", "seal", "store", "sync", "latency", "fanout", "scale"]
CHARTS = [("text", "local_apply"), ("text", "remote_apply_per_delta"), ("text", "save_bytes"), ("text", "load_read"),
          ("map", "set_txn_each")]
NATIVE = os.path.join(HERE, "native-peers.json")


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- Running ------------------------------------------------------------------------------------------------------


def run_dunlin(program, suites, options):
    """One call of dunlin-bench; its report, or an exit when it fails."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        done = subprocess.run([program, *suites, *options, "--json", out.name], stdout=subprocess.DEVNULL)
        if done.returncode:
            sys.exit(f"bench: dunlin-bench {' '.join(suites)} failed; nothing is reported")
        with open(out.name, encoding="utf-8") as file:
            return json.load(file)


def install_peers():
    """Whether the peers can run; a note when they cannot."""
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            return f"peers skipped: there is no {tool}"
    if not os.path.isdir(os.path.join(HERE, "peers", "node_modules")):
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=os.path.join(HERE, "peers"),
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            return f"peers skipped: npm ci failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
    return None


def run_peer(peer, suite, options):
    """Rows, notes and what the peer says of itself."""
    program = os.path.join(HERE, "peers", f"{peer}.mjs")
    if not os.path.exists(program):
        return {"rows": [], "notes": [f"{peer} skipped: there is no {os.path.relpath(program, HERE)}"]}
    try:
        done = subprocess.run(["node", "--expose-gc", program, suite, *options], capture_output=True, text=True, timeout=900)
    except subprocess.TimeoutExpired:
        return {"rows": [], "notes": [f"{peer} {suite}: over 15 minutes, cut"]}
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return {"rows": [], "notes": [f"{peer} {suite} skipped: exit {done.returncode}: {reason}"]}
    return json.loads(done.stdout)


def trace_files(folder):
    return sorted(path for path in glob.glob(os.path.join(folder, "*.json*")) if path.endswith((".json", ".json.gz")))


def peer_turns(suite, traces):
    """What one turn gives a peer: for text one trace, so that all libraries meet each within minutes of each other."""
    if suite != "text":
        return [[]]
    return [["--trace", path] for path in traces]


def collect(args):
    """All rows, we and they in turns."""
    options = ["--quick"] if args.quick else []
    if args.n:
        options += ["--n", str(args.n)]
    history = os.path.join(HERE, os.pardir, "cli", "demo-history.json")
    traces = trace_files(args.traces) if args.traces else [history]
    if args.traces and not traces:
        sys.exit(f"bench: no .json or .json.gz file in '{args.traces}'")
    suites = args.suites or SUITES
    report = {"header": None, "rows": [], "notes": [], "peers": {}}
    wanted = [suite for suite in suites if suite in WITH_PEERS]
    missing = install_peers() if wanted else None
    if missing:
        report["notes"].append(missing)
    for suite in suites:
        say(f"bench: {suite}")
        for turn in peer_turns(suite, traces):
            with tempfile.TemporaryDirectory() as folder:
                own = list(options)
                if turn and args.traces:  # dunlin-bench takes a folder: one that holds just this trace
                    os.symlink(os.path.abspath(turn[1]), os.path.join(folder, os.path.basename(turn[1])))
                    own += ["--traces", folder]
                elif suite == "generated" and args.traces:
                    own += ["--traces", args.traces]
                part = run_dunlin(args.program, [suite], own)
            report["header"] = report["header"] or part["header"]
            report["rows"] += part["rows"]
            report["notes"] += [note for note in part["notes"] if note not in report["notes"]]
            for peer in PEERS if suite in WITH_PEERS and not missing else []:
                say(f"bench: {suite} {peer} {os.path.basename(turn[1]) if turn else ''}")
                part = run_peer(peer, suite, turn + options)
                report["rows"] += part["rows"]
                report["notes"] += [note for note in part["notes"] if note not in report["notes"]]
                if "version" in part:
                    report["peers"][peer] = {"version": part["version"], "kind": part["kind"]}
    return report


# ---- The report ---------------------------------------------------------------------------------------------------


def figure(row):
    def short(value):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    text = short(row["median"])
    return text if row["n"] == 1 else f"{text} ({short(row['min'])}–{short(row['max'])}, n {row['n']})"


def limits_of(rows):
    return {(row["case"], row["metric"]): row["median"] for row in rows if row["suite"] == "limits"}


def physical(row, limits):
    """The figure beside what the machine can do at best, where there is such a thing."""
    best = {
        "durable_commit": ("flush", limits.get(("4KiB", "flush"))),
        "shown_at_peer": ("flush + half a round trip",
                          (limits.get(("4KiB", "flush")) or 0) + (limits.get(("100B", "tcp_round_trip")) or 0) / 2),
        "seal": ("one signature", limits.get(("64B", "ed25519_sign"))),
        "connect_until_in_sync": ("two round trips", 2 * (limits.get(("100B", "tcp_round_trip")) or 0)),
    }.get(row["metric"])
    if not best or not best[1] or row["peer"] != "dunlin" or row["unit"] != "ms":
        return ""
    return f"{row['median'] / best[1]:.1f} × {best[0]}"


def table_with_peers(rows, suite):
    rows = [row for row in rows if row["suite"] == suite]
    peers = ["dunlin"] + [peer for peer in PEERS if any(row["peer"] == peer for row in rows)]
    lines = [f"| Case | Metric | Unit | {' | '.join(peers)} |", f"|---|---|---|{'---|' * len(peers)}"]
    keys = list(dict.fromkeys((row["case"], row["metric"], row["unit"]) for row in rows))
    for case, metric, unit in keys:
        cells = []
        for peer in peers:
            found = [row for row in rows if (row["case"], row["metric"], row["peer"]) == (case, metric, peer)]
            cells.append(figure(found[0]) if found else "–")
        lines.append(f"| {case} | `{metric}` | {unit} | {' | '.join(cells)} |")
    return lines


def table(rows, suite, limits):
    lines = ["| Case | Who | Metric | Unit | Median (min–max) | Of the possible |", "|---|---|---|---|---|---|"]
    for row in rows:
        if row["suite"] == suite:
            lines.append(f"| {row['case']} | {row['peer']} | `{row['metric']}` | {row['unit']} | {figure(row)} "
                         f"| {physical(row, limits)} |")
    return lines


def native_table():
    with open(NATIVE, encoding="utf-8") as file:
        native = json.load(file)
    versions = ", ".join(f"{name} {version}" for name, version in native["versions"].items())
    lines = [f"{native['what']}. Machine: {native['machine']}. {versions}. {native['noise']}.", "",
             "| Suite | Case | Library | Metric | Median |", "|---|---|---|---|---|"]
    lines += [f"| {row['suite']} | {row['case']} | {row['peer']} | `{row['metric']}` | {row['median']:,} |"
              for row in native["rows"]]
    return lines


def losses(rows):
    """Where a peer of the same run has the better median."""
    lines = []
    for row in rows:
        if row["peer"] != "dunlin" or row["suite"] not in WITH_PEERS + ["store"]:
            continue
        better = [other for other in rows if other["peer"] not in ("dunlin", "machine") and other["median"] < row["median"] and
                  (other["suite"], other["case"], other["metric"]) == (row["suite"], row["case"], row["metric"])]
        if better:
            best = min(better, key=lambda other: other["median"])
            lines.append(f"- {row['suite']} {row['case']} `{row['metric']}`: {figure(row)}; {best['peer']} {figure(best)} {row['unit']}")
    return lines or ["- nothing in this run"]


def markdown(report, charts):
    header, rows = report["header"], report["rows"]
    limits = limits_of(rows)
    libraries = ", ".join(f"{name} {version}" for name, version in header["libraries"].items())
    peers = ", ".join(f"{name} {peer['version']} ({peer['kind']})" for name, peer in report["peers"].items()) or "none"
    lines = ["# Benchmark report", "",
             f"{header['date']}; {header['cpu']}, {header['cores']} cores, load {header['load']:.2f}, Linux {header['system']}; "
             f"{header['compiler']}; dunlin {header['version']}; {libraries}.", "",
             f"Peers in the same run: {peers}. They run in Node.js, as JavaScript or WebAssembly; those that also exist as native "
             "builds are several times faster there (see the last table).", "",
             "Times in ms, sizes in bytes; medians, with minimum, maximum and number of runs. Every result was checked before its "
             "figure counted."]
    for suite in dict.fromkeys(row["suite"] for row in rows):
        lines += ["", f"## {suite}", ""]
        lines += table_with_peers(rows, suite) if suite in WITH_PEERS else table(rows, suite, limits)
    lines += ["", "## Where a peer is better", "", *losses(rows)]
    lines += ["", "## Notes", "", *(f"- {note}" for note in report["notes"])]
    if charts:
        lines += ["", "## Charts", "", *(f"![{name}]({name})" for name in charts)]
    lines += ["", "## Native builds of other engines, as quoted", "", *native_table(), ""]
    return "\n".join(lines)


# ---- Charts -------------------------------------------------------------------------------------------------------


def chart(rows, suite, metric, path):
    """Bars of one metric, a group for each case, by gnuplot. False when there is nothing to draw."""
    found = [row for row in rows if row["suite"] == suite and row["metric"] == metric and row["median"] > 0]
    cases = list(dict.fromkeys(row["case"] for row in found))
    peers = list(dict.fromkeys(row["peer"] for row in found))
    if not cases:
        return False
    values = {(row["case"], row["peer"]): row["median"] for row in found}
    data = "\n".join(" ".join([f'"{case}"', *(str(values.get((case, peer), "NaN")) for peer in peers)]) for case in cases)
    plots = ", ".join(f"$data using {i + 2}:xtic(1) title '{peer}'" for i, peer in enumerate(peers))
    unit = found[0]["unit"]
    script = (f"set terminal svg size 900,420 font 'sans,13' background 'white'\nset output '{path}'\nset title '{suite}: {metric} "
              f"({unit}, log scale, less is better)' noenhanced\nset logscale y\nset style data histogram\nset style histogram cluster gap 1\n"
              f"set style fill solid 0.8\nset xtics noenhanced\nset key outside right noenhanced\nset grid ytics\n"
              f"$data << END\n{data}\nEND\nplot {plots}\n")
    subprocess.run(["gnuplot"], input=script, text=True, check=True, stderr=subprocess.DEVNULL)
    return True


def draw(report):
    if not shutil.which("gnuplot"):
        report["notes"].append("charts skipped: there is no gnuplot")
        return []
    names = [(suite, metric, f"{suite}-{metric}.svg") for suite, metric in CHARTS]
    return [name for suite, metric, name in names if chart(report["rows"], suite, metric, os.path.join(OUT, name))]


def write(report):
    os.makedirs(OUT, exist_ok=True)
    charts = draw(report)
    with open(os.path.join(OUT, "report.json"), "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    with open(os.path.join(OUT, "report.md"), "w", encoding="utf-8") as file:
        file.write(markdown(report, charts))
    say(f"bench: {os.path.join(OUT, 'report.md')}")


def main():
    global OUT
    parser = argparse.ArgumentParser(prog="./dev bench", description="Runs the benchmark and writes a report to bench/out/.")
    parser.add_argument("program", help=argparse.SUPPRESS)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {' '.join(SUITES)}; all without one")
    parser.add_argument("--quick", action="store_true", help="three runs a case, smaller sizes")
    parser.add_argument("--traces", default=os.environ.get("DUNLIN_TRACES"), metavar="DIR",
                        help="editing traces; those of https://github.com/josephg/editing-traces fit; else the history that ships")
    parser.add_argument("--n", type=int, metavar="N", help="runs a case")
    parser.add_argument("--out", default=OUT, metavar="DIR", help="instead of bench/out")
    parser.add_argument("--report", metavar="FILE", help="no run: writes the report again from this report.json")
    args = parser.parse_intermixed_args()
    OUT = os.path.abspath(args.out)
    unknown = [suite for suite in args.suites if suite not in SUITES]
    if unknown:
        parser.error(f"unknown suite '{unknown[0]}'")
    if args.report:
        with open(args.report, encoding="utf-8") as file:
            write(json.load(file))
    else:
        write(collect(args))


main()
