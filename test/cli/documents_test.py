"""put, get, del, add, edit, move, import, export, conflicts, log, watch on one device."""

import base64

from support import *


class Documents(Case):
    def setUp(self):
        super().setUp()
        self.a = self.device("a")
        self.ok(self.a, "space", "new", "s")

    def put(self, path, value, doc="s/d"):
        self.ok(self.a, "put", doc, path, value if isinstance(value, str) else json.dumps(value))

    # ---- put and get

    def test_put_makes_maps_on_the_way(self):
        self.put("/a/b/c", 1)
        self.assertEqual(self.get(self.a, "s/d"), {"a": {"b": {"c": 1}}})
        self.assertEqual(self.get(self.a, "s/d", "/a/b"), {"c": 1})
        self.assertEqual(self.ok(self.a, "get", "s/d", "/a/b/c").out, "1\n")

    def test_get_prints_sorted_keys_indented_by_two(self):
        self.put("", {"b": [1, {"x": True}], "a": None, "e": {}, "f": []})
        self.assertEqual(self.ok(self.a, "get", "s/d").out,
                         '{\n  "a": null,\n  "b": [\n    1,\n    {\n      "x": true\n    }\n  ],\n  "e": {},\n  "f": []\n}\n')

    def test_numbers_keep_their_kind_and_value(self):
        for text in ("3", "3.0", "-0.0", "0.1", "1e300", "-5", "9223372036854775807", "-9223372036854775808",
                     "2.2250738585072014e-308", "0.30000000000000004", "123456789.125"):
            self.put("/n", text)
            self.assertEqual(self.ok(self.a, "get", "s/d", "/n").out.strip().replace("+", ""), text)

    def test_writing_minus_zero_over_zero_is_a_change(self):
        for array in ("[0.0]", "[-0.0]"):
            self.put("/n", array)
            self.assertEqual(self.ok(self.a, "get", "s/d", "/n/0").out.strip(), array[1:-1])

    def test_strings_hold_nul_and_all_of_unicode(self):
        value = "a\0b\u0007é\U0001f426\u2028"
        self.put("/s", json.dumps(value))
        self.assertEqual(self.get(self.a, "s/d", "/s"), value)

    def test_keys_of_all_sorts(self):
        value = {"": 1, "/": 2, "~": 3, "a/b~c": 4, "$": 5, "$$x": 6, "é": 7, " ": 8}
        self.put("", json.dumps({("$" + k if k.startswith("$") else k): v for k, v in value.items()}))
        for key, number in value.items():
            pointer = "/" + key.replace("~", "~0").replace("/", "~1")
            self.assertEqual(self.get(self.a, "s/d", pointer), number)

    def test_list_elements_are_set_and_appended(self):
        self.put("/l", [1, 2, 3])
        self.put("/l/1", "two".join('""'))
        self.put("/l/-", 4)
        self.put("/l/-/deep", 5)
        self.assertEqual(self.get(self.a, "s/d", "/l"), [1, "two", 3, 4, {"deep": 5}])

    def test_put_of_containers_makes_the_place_equal_and_writes_what_differs(self):
        self.put("/m", {"keep": 1, "drop": 2, "list": [1, 2, 3, 4], "sub": {"x": 1}})
        self.ok(self.a, "edit", "s/d", "/m/text", "0", "0", "hello")
        new = {"keep": 1, "list": [1, 9, 4], "sub": {"x": 1, "y": [[]]}, "text": "hello"}
        self.put("/m", new)
        self.assertEqual(self.get(self.a, "s/d", "/m"), new)
        # The text was equal, so it is a text still.
        self.ok(self.a, "edit", "s/d", "/m/text", "5", "0", "!")
        before = self.ok(self.a, "log", "s/d").out
        self.put("/m", {**new, "text": "hello!"})
        self.assertEqual(self.ok(self.a, "log", "s/d").out, before, "writing what is there is no change")

    def test_lists_of_every_shape_become_equal(self):
        shapes = [[], [1], [1, 2, 3], [3, 2, 1], [[1], {"a": 1}], [{"a": 2}, [1]], [1, 2, 3, 4, 5], [5], ["x", None, True]]
        for shape in shapes + shapes[::-1]:
            self.put("/l", shape)
            self.assertEqual(self.get(self.a, "s/d", "/l"), shape)

    def test_a_scalar_takes_the_place_of_anything(self):
        self.ok(self.a, "add", "s/d", "/x", "1")
        for value in ("s", 5, {"a": 1}, [1], None, "t"):
            self.put("/x", json.dumps(value))
            self.assertEqual(self.get(self.a, "s/d", "/x"), value)

    def test_changes_are_reported_under_json(self):
        first = self.ok(self.a, "--json", "put", "s/d", "/a", "1").json()
        self.assertRegex(first["change"], r"\A[0-9a-f]{64}\Z")
        self.assertEqual(self.ok(self.a, "--json", "put", "s/d", "/a", "1").json(), {"change": None})

    def test_a_negative_number_is_a_value_and_not_an_option(self):
        self.put("/n", "-5")
        self.ok(self.a, "add", "s/d", "/c", "-7")
        self.ok(self.a, "edit", "s/d", "/t", "0", "0", "--json")
        self.assertEqual(self.get(self.a, "s/d"), {"n": -5, "c": -7, "t": "--json"})

    # ---- del, add, edit, move

    def test_del(self):
        self.put("", {"a": {"b": 1}, "l": [1, 2, 3]})
        self.ok(self.a, "del", "s/d", "/a/b")
        self.ok(self.a, "del", "s/d", "/l/1")
        self.assertEqual(self.get(self.a, "s/d"), {"a": {}, "l": [1, 3]})
        self.fails(self.a, ["del", "s/d", "/a/b"], "DUNLIN_ENOENT", "/a/b")
        self.fails(self.a, ["del", "s/d", ""], "DUNLIN_EINVAL", "root")

    def test_add(self):
        self.ok(self.a, "add", "s/d", "/n/c", "5")
        self.ok(self.a, "add", "s/d", "/n/c", "-7")
        self.assertEqual(self.get(self.a, "s/d"), {"n": {"c": -2}})
        self.put("/plain", 3)
        self.fails(self.a, ["add", "s/d", "/plain", "1"], "DUNLIN_EKIND", "/plain", "a number")
        self.fails(self.a, ["add", "s/d", "/n/c", "9223372036854775808"], "DUNLIN_ERANGE")
        self.wrong_usage(self.a, ["add", "s/d", "/n/c", "1.5"], "1.5")

    def test_edit_counts_characters(self):
        self.ok(self.a, "edit", "s/d", "/t", "0", "0", "dünlin \U0001f426 fliegt")
        self.ok(self.a, "edit", "s/d", "/t", "7", "1", "ist")
        self.assertEqual(self.get(self.a, "s/d", "/t"), "dünlin ist fliegt")
        self.put("/s", '"plain"')
        self.fails(self.a, ["edit", "s/d", "/s", "0", "0", "x"], "DUNLIN_EKIND", "/s", "a string")
        self.fails(self.a, ["edit", "s/d", "/t", "18", "0", "x"], "DUNLIN_ERANGE", "17", "18")
        self.fails(self.a, ["edit", "s/d", "/t", "10", "8", "x"], "DUNLIN_ERANGE")
        self.fails(self.a, ["edit", "s/d", "/t", "-1", "0", "x"], "DUNLIN_ERANGE", "-1")
        self.wrong_usage(self.a, ["edit", "s/d", "/t", "one", "0", "x"], "POS")
        self.assertEqual(self.get(self.a, "s/d", "/t"), "dünlin ist fliegt")

    def test_move(self):
        self.put("/l", [0, 1, 2, 3])
        self.ok(self.a, "move", "s/d", "/l", "0", "3")
        self.assertEqual(self.get(self.a, "s/d", "/l"), [1, 2, 3, 0])
        self.ok(self.a, "move", "s/d", "/l", "2", "0")
        self.assertEqual(self.get(self.a, "s/d", "/l"), [3, 1, 2, 0])
        self.fails(self.a, ["move", "s/d", "/l", "4", "0"], "DUNLIN_ERANGE", "4")
        self.fails(self.a, ["move", "s/d", "/l", "0", "4"], "DUNLIN_ERANGE", "4")
        self.fails(self.a, ["move", "s/d", "", "0", "1"], "DUNLIN_EKIND", "a map")

    # ---- Places that are not there, or lead nowhere

    def test_bad_places_say_which_part_and_change_nothing(self):
        self.put("", {"a": {"s": "x"}, "l": [1, {}]})
        self.ok(self.a, "edit", "s/d", "/t", "0", "0", "text")
        before = self.ok(self.a, "log", "s/d").out
        for args, error, words in [
            (["put", "s/d", "/a/s/deeper/x", "1"], "DUNLIN_EKIND", ["'/a/s' is a string"]),
            (["put", "s/d", "/t/0", '"x"'], "DUNLIN_EKIND", ["'/t' is a text"]),
            (["get", "s/d", "/a/s/x"], "DUNLIN_EKIND", ["'/a/s' is a string"]),
            (["put", "s/d", "/l/2", "1"], "DUNLIN_ERANGE", ["'/l'", "2 elements"]),
            (["put", "s/d", "/l/99999999999999999999999", "1"], "DUNLIN_ERANGE", ["'/l'"]),
            (["get", "s/d", "/l/7"], "DUNLIN_ERANGE", ["'/l'"]),
            (["put", "s/d", "/l/01", "1"], "DUNLIN_EINVAL", ["'01'"]),
            (["put", "s/d", "/l/x", "1"], "DUNLIN_EINVAL", ["'x'"]),
            (["get", "s/d", "/l/-"], "DUNLIN_ENOENT", ["/l/-"]),
            (["get", "s/d", "/nothing/here"], "DUNLIN_ENOENT", ["'/nothing'"]),
            (["get", "s/d", "a"], "DUNLIN_EINVAL", ["'a'", "begin with /"]),
            (["put", "s/d", "/a~2", "1"], "DUNLIN_EINVAL", ["~"]),
            (["put", "s/d", "/a~", "1"], "DUNLIN_EINVAL", ["~"]),
            (["put", "s/d", "", "1"], "DUNLIN_EKIND", ["root"]),
            (["put", "s/d", "", "[]"], "DUNLIN_EKIND", ["root"]),
            (["put", "s/d", "", '{"$float": "nan"}'], "DUNLIN_EKIND", ["root"]),
        ]:
            with self.subTest(args):
                self.fails(self.a, args, error, *words)
        self.assertEqual(self.ok(self.a, "log", "s/d").out, before)

    def test_bad_json_says_where(self):
        self.put("/a", 1)
        for text, error, words in [
            ("{", "DUNLIN_EFORMAT", ["line 1"]),
            ('[1,\n2,\nx]', "DUNLIN_EFORMAT", ["line 3"]),
            ("", "DUNLIN_EFORMAT", []),
            ("hello", "DUNLIN_EFORMAT", []),
            ("1 2", "DUNLIN_EFORMAT", []),
            ('{"a":1,"a":2}', "DUNLIN_EFORMAT", ["duplicate"]),
            ("9223372036854775808", "DUNLIN_EFORMAT", ["big"]),
            ("1e999", "DUNLIN_EFORMAT", []),
            ("NaN", "DUNLIN_EFORMAT", []),
            ('"\\ud800"', "DUNLIN_EFORMAT", []),
            ('{"$foo": 1}', "DUNLIN_EFORMAT", ["$foo", "$$"]),
            ('{"$bytes": "?"}', "DUNLIN_EFORMAT", ["$bytes"]),
            ('{"$bytes": 1}', "DUNLIN_EFORMAT", ["$bytes"]),
            ('{"$time": "2026-02-30T00:00:00Z"}', "DUNLIN_EFORMAT", ["$time"]),
            ('{"$time": "yesterday"}', "DUNLIN_EFORMAT", ["$time"]),
            ('{"$float": "1"}', "DUNLIN_EFORMAT", ["$float"]),
            ('{"$bytes": "", "x": 1}', "DUNLIN_EFORMAT", ["$bytes"]),
            ("[" * 40 + "]" * 40, "DUNLIN_ELIMIT", ["32"]),
            ("[" * 3000, "DUNLIN_EFORMAT", []),
        ]:
            with self.subTest(text[:30]):
                self.fails(self.a, ["put", "s/d", "/b", text], error, *words)
        self.assertEqual(self.get(self.a, "s/d"), {"a": 1})

    def test_invalid_utf8_is_refused_everywhere(self):
        bad = b"\xff\xfe"
        self.fails(self.a, ["put", "s/d", "/a", b'"' + bad + b'"'], "DUNLIN_EUTF8")
        self.fails(self.a, ["put", "s/d", b"/" + bad, "1"], "DUNLIN_EUTF8")
        self.fails(self.a, ["edit", "s/d", "/t", "0", "0", bad], "DUNLIN_EUTF8")
        self.fails(self.a, ["edit", "s/d", "/t", "0", "0", b"\xed\xa0\x80"], "DUNLIN_EUTF8")
        self.assertEqual(self.ok(self.a, "doc", "list", "s").out, "")

    def test_a_command_that_fails_makes_no_document(self):
        for args in (["put", "s/new", "", "1"], ["edit", "s/new", "/t", "3", "0", "x"], ["del", "s/new", "/a"],
                     ["move", "s/new", "/l", "0", "1"], ["get", "s/new"], ["log", "s/new"], ["watch", "s/new"],
                     ["conflicts", "s/new"], ["export", "s/new"]):
            with self.subTest(args):
                self.assertEqual(self.a.run(*args).status, 1)
                self.assertEqual(self.ok(self.a, "doc", "list", "s").out, "")
        self.fails(self.a, ["get", "s/new"], "DUNLIN_ENOENT", "s/new")

    def test_limits(self):
        self.fails(self.a, ["put", "s/d", "/" + "k" * 1025, "1"], "DUNLIN_ELIMIT")
        self.put("/" + "k" * 1024, 1)
        path = os.path.join(self.root, "big")
        with open(path, "w") as f:
            json.dump({"v": "x" * (768 * 1024 + 1)}, f)
        self.fails(self.a, ["import", "s/d", path], "DUNLIN_ELIMIT")
        self.assertEqual(self.get(self.a, "s/d"), {"k" * 1024: 1})

    # ---- import and export

    def test_export_then_import_is_equal(self):
        value = {"bytes": {"$bytes": base64.b64encode(bytes(range(256))).decode()}, "none": {"$bytes": ""},
                 "time": {"$time": "2026-11-21T01:02:03.000004Z"}, "old": {"$time": "1969-12-31T23:59:59.999999Z"},
                 "year": {"$time": "0001-01-01T00:00:00Z"}, "far": {"$time": -9223372036854775808},
                 "nan": {"$float": "nan"}, "inf": {"$float": "inf"}, "-inf": {"$float": "-inf"}, "zero": -0.0,
                 "$$bytes": "not bytes", "nested": {"$$": [{"$$time": 1}, {"$bytes": "AAEC"}]},
                 "$key:" + base64.b64encode(b"with\0nul").decode(): [1, 2.5, "three", None, True, False, [], {}]}
        path = os.path.join(self.root, "in.json")
        with open(path, "w") as f:
            json.dump(value, f)
        self.ok(self.a, "import", "s/d", path)
        first = self.ok(self.a, "export", "s/d").out
        self.assertEqual(json.loads(first), value)
        self.assertIn('"zero": -0.0', first)
        self.ok(self.a, "import", "s/copy", "-", input=first)
        self.assertEqual(self.ok(self.a, "export", "s/copy").out, first)

    def test_import_is_one_change_and_removes_what_is_not_in_the_file(self):
        self.put("/gone", 1)
        self.ok(self.a, "import", "s/d", "-", input='{"a": [1, {"b": 2}], "c": {}}')
        self.assertEqual(self.get(self.a, "s/d"), {"a": [1, {"b": 2}], "c": {}})
        self.assertEqual(len(self.ok(self.a, "log", "s/d").out.splitlines()), 2)

    def test_import_of_bad_files(self):
        self.put("/a", 1)
        path = os.path.join(self.root, "bad.json")
        with open(path, "w") as f:
            f.write('{\n  "a": 1,\n  "b": oops\n}\n')
        self.fails(self.a, ["import", "s/d", path], "DUNLIN_EFORMAT", "line 3", "column", path)
        self.fails(self.a, ["import", "s/d", path + "x"], "DUNLIN_ENOENT", path + "x")
        self.fails(self.a, ["import", "s/d", self.root], "DUNLIN_EIO", self.root)
        self.fails(self.a, ["import", "s/d", "-"], "DUNLIN_EKIND", "root", input="[1]")
        self.fails(self.a, ["import", "s/d", "-"], "DUNLIN_EUTF8", input=b'{"a": "\xff"}')
        self.assertEqual(self.get(self.a, "s/d"), {"a": 1})

    # ---- log, conflicts, watch

    def test_log_is_newest_first(self):
        for i in range(3):
            self.put("/a", i)
        lines = self.ok(self.a, "log", "s/d").out.splitlines()
        self.assertEqual(len(lines), 3)
        for line in lines:
            self.assertRegex(line, r"\A[0-9a-f]{8}  2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z +actor [0-9a-f]{8} #\d+  "
                                   r"parents [01]  operations 1\Z")
        log = self.ok(self.a, "--json", "log", "s/d").json()
        self.assertEqual([e["change"][:8] for e in log], [l[:8] for l in lines])
        self.assertEqual([e["parents"] for e in log], [[log[1]["change"]], [log[2]["change"]], []])

    def test_no_conflicts_on_one_device(self):
        self.put("/a", 1)
        self.assertEqual(self.ok(self.a, "conflicts", "s/d").out, "")
        self.assertEqual(self.ok(self.a, "--json", "conflicts", "s/d").json(), [])

    def test_watch_tells_what_other_processes_do(self):
        self.put("", {"m": {"x": 1}, "l": [1, 2, 3]})
        self.ok(self.a, "edit", "s/d", "/t", "0", "0", "dünlin")
        watching = self.start(self.a, "watch", "s/d")
        self.assertEqual(json.loads(watching.wait_line(".")), {"ready": True})
        expected = []

        def after(args, *events):
            self.ok(self.a, *args)
            expected.extend(events)
            watching.wait_line(".", count=1 + len(expected))
            self.assertEqual([json.loads(l) for l in watching.lines["out"][1:]], expected)

        after(["put", "s/d", "/m/x", "2"], {"path": "/m/x", "old": 1, "new": 2})
        after(["put", "s/d", "/m/a~1b", '{"y": [1]}'], {"path": "/m/a~1b", "new": {"y": [1]}})
        after(["del", "s/d", "/m/x"], {"path": "/m/x", "old": 2})
        after(["add", "s/d", "/c", "2"], {"path": "/c", "new": 2})
        after(["add", "s/d", "/c", "3"], {"path": "/c", "old": 2, "new": 5})
        after(["edit", "s/d", "/t", "1", "1", "uü"], {"path": "/t", "at": 1, "delete": 0, "insert": "u"})
        after(["edit", "s/d", "/t", "2", "2", ""], {"path": "/t", "at": 2, "delete": 2, "insert": ""})
        after(["put", "s/d", "/l/1", "9"], {"path": "/l", "at": 1, "delete": 1, "insert": [9]})
        after(["put", "s/d", "/l/-", '{"z": 1}'], {"path": "/l", "at": 3, "delete": 0, "insert": [{"z": 1}]})
        after(["put", "s/d", "/l/3/z", "2"], {"path": "/l/3/z", "old": 1, "new": 2})
        after(["del", "s/d", "/t"], {"path": "/t", "old": "dulin"})
        ended = watching.finish(signal.SIGTERM)
        self.assertEqual((ended.status, ended.err), (0, ""))

    def test_watch_of_a_path_sees_nothing_else(self):
        self.put("", {"a": {"x": 1}, "b": 1})
        watching = self.start(self.a, "watch", "s/d", "/a/y")
        watching.wait_line("ready")
        self.put("/b", 2)
        self.put("/a/y", 3)
        self.assertEqual(json.loads(watching.wait_line(".", count=2)), {"path": "/a/y", "new": 3})
        self.assertEqual(watching.finish(signal.SIGINT).status, 0)

    def test_watch_ends_quietly_when_nobody_reads(self):
        self.put("/a", 0)
        process = subprocess.Popen([PROGRAM, "watch", "s/d"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.a.env)
        process.stdout.readline()
        process.stdout.close()
        self.put("/a", 1)
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertEqual(process.stderr.read(), b"")
        process.stderr.close()

    def test_a_closed_pipe_is_quiet(self):
        self.ok(self.a, "import", "s/d", "-", input=json.dumps({"a": list(range(60000))}))
        for command in ("export s/d", "get s/d", "--json log s/d"):
            done = subprocess.run(["bash", "-c", f"set -o pipefail; '{PROGRAM}' {command} | head -c 10"], env=self.a.env,
                                  capture_output=True, timeout=PATIENCE)
            self.assertEqual((done.returncode, done.stderr), (0, b""), command)

    def test_a_full_disk_behind_stdout_is_an_error(self):
        self.put("/a", 1)
        done = subprocess.run(["bash", "-c", f"'{PROGRAM}' get s/d > /dev/full"], env=self.a.env, capture_output=True,
                              text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 1)
        self.assertIn("could not be written", done.stderr)


if __name__ == "__main__":
    unittest.main()
