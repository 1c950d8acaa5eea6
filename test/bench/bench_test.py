"""dunlin-bench and its report: every suite yields its figures, bad input is named, what is missing is said."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "bench", "run.py")

EXPECTED = {
    "limits": {"memcpy", "flush", "tcp_round_trip", "blake2b", "chacha20poly1305", "ed25519_sign", "ed25519_verify"},
    "map": {"set_one_txn", "set_txn_each", "save_bytes", "load_read", "merge_concurrent", "heap_bytes", "txn_each"},
    "list": {"insert_10k", "set_10k", "move_10k", "delete_10k"},
    "seal": {"seal", "open", "delta_bytes", "sealed_bytes"},
    "store": {"durable_commit", "group_commit", "disk_bytes", "open_store", "open_document"},
    "sync": {"connect_until_in_sync", "wire_bytes"},
    "latency": {"shown_at_peer", "shown_at_peer_p95", "shown_at_peer_p99", "round_trip"},
    "fanout": {"resident_per_device", "shown_at_all"},
}
SEQUENTIAL = {"startContent": "", "endContent": "héllo", "txns": [
    {"time": "", "patches": [[0, 0, "hello"]]}, {"time": "", "patches": [[1, 1, "é"]]}]}


def bench(*args):
    return subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=300)


class Bench(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="dunlin-bench-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def rows(self, *args):
        path = os.path.join(self.folder, "out.json")
        done = bench(*args, "--quick", "--n", "1", "--dir", self.folder, "--json", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def trace(self, name, content):
        traces = os.path.join(self.folder, "traces")
        os.makedirs(traces, exist_ok=True)
        with open(os.path.join(traces, name), "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return traces

    def test_every_suite_yields_its_figures(self):
        report = self.rows(*EXPECTED)
        for suite, metrics in EXPECTED.items():
            found = [row for row in report["rows"] if row["suite"] == suite]
            self.assertEqual({row["metric"] for row in found}, metrics, suite)
            for row in found:
                self.assertGreater(row["median"], 0, row)
                self.assertTrue(row["min"] <= row["median"] <= row["max"], row)
                self.assertIn(row["unit"], ("ms", "bytes"))
        self.assertIn("cpu", report["header"])
        self.assertEqual(os.listdir(self.folder), ["out.json"], "stores are cleaned up")

    def test_own_trace(self):
        report = self.rows("text", "--traces", self.trace("mine.json", SEQUENTIAL))
        metrics = {row["metric"] for row in report["rows"]}
        self.assertEqual({row["case"] for row in report["rows"]}, {"mine"})
        self.assertLessEqual({"local_apply", "commit_per_edit", "commit_encode_per_edit", "remote_apply_per_delta",
                              "remote_apply_bulk", "save_bytes", "save", "load_read", "load_edit_merge", "heap_bytes",
                              "peak_bytes"}, metrics)

    def test_shipped_history(self):
        metrics = {row["metric"] for row in self.rows("text")["rows"]}
        self.assertIn("rebuild", metrics)

    def test_broken_traces_are_named(self):
        for content in ("{", {"endContent": "x"}, {**SEQUENTIAL, "txns": [{"time": "", "patches": [[9, 0, "x"]]}]}):
            done = bench("text", "--traces", self.trace("broken.json", content))
            self.assertEqual(done.returncode, 1)
            self.assertIn("broken.json", done.stderr)
            self.assertNotIn("local_apply", done.stdout)

    def test_wrong_end_content_gets_no_figure(self):
        done = bench("text", "--traces", self.trace("lie.json", {**SEQUENTIAL, "endContent": "hello"}))
        self.assertEqual(done.returncode, 1)
        self.assertIn("end content", done.stderr)
        self.assertNotIn("local_apply", done.stdout)

    def test_no_traces(self):
        done = bench("text", "--traces", self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn(self.folder, done.stderr)

    def test_wrong_usage(self):
        for args in (["nonsense"], ["--nonsense"], ["--n", "0"], ["--n", "x"], ["map", "--json"]):
            done = bench(*args)
            self.assertEqual(done.returncode, 2, args)
            self.assertEqual(len(done.stderr.splitlines()), 1, args)
        self.assertEqual(bench("--help").returncode, 0)


class Report(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="dunlin-bench-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_without_node_the_peers_are_noted(self):
        python = os.path.dirname(os.path.realpath(sys.executable))
        done = subprocess.run([sys.executable, RUN, PROGRAM, "--quick", "--n", "1", "--out", self.folder, "map", "limits"],
                              env={"PATH": python if not os.path.exists(os.path.join(python, "node")) else self.folder},
                              capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(self.folder, "report.md"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn("peers skipped: there is no node", text)
        self.assertIn("`set_txn_each`", text)
        self.assertIn("diamond-types", text, "the quoted figures")

    def test_every_row_is_in_the_report(self):
        header = {"date": "d", "cpu": "c", "cores": 1, "load": 0.0, "system": "s", "compiler": "k", "version": "v",
                  "libraries": {}}
        rows = [{"suite": suite, "case": "case", "peer": peer, "metric": metric, "unit": "ms", "median": median,
                 "min": median, "max": median, "n": 2}
                for suite, peer, metric, median in (
                    ("map", "dunlin", "set_txn_each", 12.5), ("map", "yjs", "set_txn_each", 3.5),
                    ("store", "lmdb", "durable_commit", 77.0), ("limits", "machine", "flush", 0.25))]
        path = os.path.join(self.folder, "in.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"header": header, "rows": rows, "notes": ["loro skipped: gone"],
                       "peers": {"yjs": {"version": "1", "kind": "js"}}}, file)
        done = subprocess.run([sys.executable, RUN, "-", "--report", path, "--out", self.folder], capture_output=True,
                              text=True, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(self.folder, "report.md"), encoding="utf-8") as file:
            text = file.read()
        for part in ("12.5", "3.5", "77", "0.25", "loro skipped: gone", "yjs 1 (js)", "yjs 3.5"):
            self.assertIn(part, text)


unittest.main()
