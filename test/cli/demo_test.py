"""The demo on the history that ships: it converges, and `dunlin export` reads the same from both stores.

usage: demo_test.py DUNLIN_DEMO DUNLIN
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

DEMO, DUNLIN = sys.argv[1:3]
TRACE = '{"endContent": "%s", "txns": [%s]}'


def run(*args, env=None):
    return subprocess.run([DEMO, *args], capture_output=True, text=True, timeout=300, check=False,
                          stdin=subprocess.DEVNULL, env=env)


class DemoTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory(prefix="dunlin-demo-test-")
        self.addCleanup(self.dir.cleanup)

    def path(self, name):
        return os.path.join(self.dir.name, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        return self.path(name)

    def test_converges_and_both_stores_export_the_same(self):
        done = run("--keep", self.path("kept"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = done.stdout.splitlines()
        converged = re.fullmatch(r"converged ([0-9a-f]{64})", lines[-1])
        self.assertTrue(converged, done.stdout)
        self.assertEqual(len(re.findall(r"^device [ab]: hash " + converged[1][:16], done.stdout, re.M)), 2, done.stdout)
        told = re.search(r"DUNLIN_PASSPHRASE=(\S+) dunlin --store (\S+)/a export (\S+)", done.stdout)
        exports = [
            subprocess.run([DUNLIN, "--store", f"{told[2]}/{device}", "export", told[3]], capture_output=True, timeout=60,
                           check=True, env={**os.environ, "DUNLIN_PASSPHRASE": told[1]}).stdout
            for device in "ab"
        ]
        self.assertEqual(exports[0], exports[1])
        marker = told[3].split("/")[0].encode()
        self.assertIn(marker, exports[0])
        self.assertEqual(self.files_with(marker, told[2]), ["a.json", "b.json"])

    def files_with(self, marker, top):
        found = []
        for folder, _, names in os.walk(top):
            for name in names:
                with open(os.path.join(folder, name), "rb") as data:
                    if marker in data.read():
                        found.append(name)
        return sorted(found)

    def test_leaves_nothing_behind(self):
        done = run(env={**os.environ, "TMPDIR": self.dir.name})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(os.listdir(self.dir.name), [])

    def test_a_wrong_end_content_fails(self):
        trace = self.write("t.json", TRACE % ("xyz", '{"patches": [[0, 0, "xy"]]}, {"patches": [[0, 1, "y"]]}'))
        done = run("--trace", trace)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("not the end content", done.stderr)
        self.assertNotIn("converged", done.stdout.splitlines()[-1])

    def test_a_small_sequential_trace(self):
        trace = self.write("t.json", TRACE % ("yy", '{"patches": [[0, 0, "xy"]]}, {"patches": []}, {"patches": [[0, 1, "y"]]}'))
        done = run("--trace", trace)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_more_agents_than_writers_are_dealt_out(self):
        txns = ", ".join(f'{{"parents": [{i - 1 if i else ""}], "agent": {i}, "patches": [[{i}, 0, "x"]]}}' for i in range(200))
        trace = self.write("t.json", '{"kind": "concurrent", "numAgents": 200, "endContent": "%s", "txns": [%s]}'
                           % ("x" * 200, txns))
        done = run("--trace", trace)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_many_branches_at_once(self):
        """30 branches from one version, each with a line of its own, then a merge of all of them."""
        txns = ['{"parents": [], "agent": 0, "patches": [[0, 0, "%s"]]}' % ("\\n" * 30)]
        txns += [f'{{"parents": [0], "agent": {i}, "patches": [[{i}, 0, "<{i}>"]]}}' for i in range(30)]
        txns += [f'{{"parents": {list(range(1, 31))}, "agent": 7, "patches": [[0, 0, "!"]]}}']
        end = "!" + "".join(f"<{i}>\\n" for i in range(30))
        trace = self.write("t.json", '{"kind": "concurrent", "numAgents": 30, "endContent": "%s", "txns": [%s]}'
                           % (end, ", ".join(txns)))
        done = run("--trace", trace)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("by 30 writers", done.stdout)

    def test_bad_input(self):
        done = run("--trace", self.path("absent.json"))
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, "^dunlin-demo: .*absent.json: No such file or directory\n$")
        done = run("--trace", self.write("bad.json", "{"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("line 1, column", done.stderr)
        self.write("full", "")
        done = run("--keep", self.dir.name)
        self.assertEqual(done.returncode, 1)
        self.assertIn("not empty", done.stderr)
        for args in (["--kills", "many"], ["--unknown"], ["word"]):
            done = run(*args)
            self.assertEqual(done.returncode, 2, args)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
