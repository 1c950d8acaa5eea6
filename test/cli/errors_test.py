"""Stores that are absent, foreign, locked or damaged, keys, and wrong usage: each says what it is, none changes anything."""

import hashlib
import struct

from support import *


class Usage(Case):
    def setUp(self):
        super().setUp()
        self.a = Device(self.root, "a")

    def test_wrong_usage(self):
        for args, words in [
            ([], ["command is missing"]),
            (["fly"], ["'fly'"]),
            (["space"], ["second word"]),
            (["space", "fly"], ["'space fly'"]),
            (["get"], ["SPACE/DOC"]),
            (["get", "s/d", "/a", "b"], ["'b'"]),
            (["put", "s/d", "/a"], ["JSON"]),
            (["get", "--fly", "s/d"], ["--fly"]),
            (["--once", "get", "s/d"], ["--once"]),
            (["get", "--once", "s/d"], ["--once"]),
            (["get", "s/d", "--store"], ["--store"]),
            (["sync"], ["--listen or --peer"]),
            (["invite", "s", "--expires", "0"], ["--expires"]),
            (["invite", "s", "--expires", "soon"], ["soon"]),
            (["invite", "s", "--listen", "0.0.0.0:0"], ["--address"]),
        ]:
            with self.subTest(args):
                self.wrong_usage(self.a, args, *words)

    def test_help_and_version(self):
        text = self.ok(self.a, "--help").out
        for command in ("init", "space new NAME", "space list", "doc list SPACE", "invite SPACE", "join INVITATION", "put SPACE/DOC",
                        "get SPACE/DOC", "del ", "add ", "edit ", "move ", "watch ", "conflicts ", "log ", "sync ", "status",
                        "verify", "passwd", "import ", "export "):
            self.assertIn("\n  " + command, text)
            words = command.split()
            one = self.ok(self.a, *[w for w in words if w.islower()], "--help").out
            self.assertTrue(one.startswith("usage: dunlin [OPTIONS] " + words[0]), one)
            self.assertTrue(all(len(line) <= 112 for line in one.splitlines()), one)
        self.assertRegex(self.ok(self.a, "--version").out, r"\Adunlin \d+\.\d+\.\d+\n\Z")
        self.assertIn("usage", self.ok(self.a, "put", "s/d", "--help").out)

    def test_documents_are_named_by_space_and_name(self):
        self.ok(self.a, "init")
        for name in ("home", "/x", "home/", ""):
            self.wrong_usage(self.a, ["get", name], "SPACE/DOC")
        self.fails(self.a, ["get", "nowhere/x"], "DUNLIN_ENOENT", "'nowhere'")
        self.fails(self.a, ["doc", "list", "nowhere"], "DUNLIN_ENOENT", "'nowhere'")
        self.fails(self.a, ["invite", "nowhere"], "DUNLIN_ENOENT", "'nowhere'")
        self.fails(self.a, ["get", "n" * 300 + "/x"], "DUNLIN_ELIMIT")


class Stores(Case):
    COMMANDS = (["space", "list"], ["space", "new", "x"], ["doc", "list", "x"], ["get", "x/y"], ["put", "x/y", "/a", "1"],
                ["del", "x/y", "/a"], ["add", "x/y", "/a", "1"], ["edit", "x/y", "/a", "0", "0", "t"], ["log", "x/y"],
                ["move", "x/y", "/a", "0", "1"], ["watch", "x/y"], ["conflicts", "x/y"], ["export", "x/y"],
                ["sync", "--listen", "127.0.0.1:0"], ["invite", "x"], ["status"], ["verify"], ["passwd"])

    def test_no_store(self):
        a = Device(self.root, "a")
        for args in self.COMMANDS:
            with self.subTest(args):
                self.fails(a, args, "DUNLIN_ENOSTORE", a.store, "dunlin init")
        self.assertEqual(os.listdir(a.home), [])

    def test_not_a_store(self):
        a = Device(self.root, "a")
        os.makedirs(os.path.join(a.store, "photos"))
        for args in (["get", "x/y"], ["init"], ["status"]):
            self.fails(a, args, "DUNLIN_ENOTSTORE", a.store)
        self.assertEqual(os.listdir(a.store), ["photos"])
        path = os.path.join(a.home, "file")
        with open(path, "w") as f:
            f.write("not a store\n")
        for args in (["get", "x/y"], ["init"]):
            self.assertEqual(a.run("--store", path, *args).status, 1)
        with open(path) as f:
            self.assertEqual(f.read(), "not a store\n")

    def test_a_store_of_another_version(self):
        a = self.device("a")
        path = os.path.join(a.store, "store")
        with open(path, "rb") as f:
            header = bytearray(f.read())
        header[8:12] = struct.pack(">I", 2)
        header[128:160] = hashlib.blake2b(bytes(header[:128]), digest_size=32).digest()
        with open(path, "wb") as f:
            f.write(header)
        before = digest(a.store)
        for args in (["space", "list"], ["status"], ["init"]):
            self.fails(a, args, "DUNLIN_EEXIST" if args == ["init"] else "DUNLIN_EVERSION", a.store)
        self.assertEqual(digest(a.store), before)

    def test_a_damaged_header(self):
        a = self.device("a")
        path = os.path.join(a.store, "store")
        with open(path, "r+b") as f:
            f.seek(90)
            byte = f.read(1)
            f.seek(90)
            f.write(bytes([byte[0] ^ 1]))
        before = digest(a.store)
        self.fails(a, ["status"], "DUNLIN_ECORRUPT", a.store)
        self.assertEqual(digest(a.store), before)

    def test_a_truncated_data_file(self):
        a = self.device("a")
        self.ok(a, "space", "new", "s")
        for i in range(20):
            self.ok(a, "put", "s/d", f"/{i}", json.dumps("x" * 4000))
        data = max(digest(a.store).items(), key=lambda item: len(item[1]))[0]
        with open(data, "r+b") as f:
            f.truncate(os.path.getsize(data) // 2)
        self.fails(a, ["get", "s/d"], "DUNLIN_ECORRUPT", a.store)
        self.fails(a, ["verify"], "DUNLIN_ECORRUPT", a.store)

    def test_init_does_not_touch_a_store(self):
        a = self.device("a")
        before = digest(a.store)
        self.fails(a, ["init"], "DUNLIN_EEXIST", a.store)
        self.assertEqual(digest(a.store), before)

    def test_where_the_store_is(self):
        a = Device(self.root, "a")
        one, two, three = (os.path.join(self.root, n) for n in ("one", "two", "three"))
        self.ok(a, "--store", one, "init", env={"DUNLIN_STORE": two})
        self.ok(a, "init", env={"DUNLIN_STORE": two})
        self.ok(a, "init", env={"XDG_DATA_HOME": three})
        for path in (one, two, os.path.join(three, "dunlin")):
            self.assertTrue(os.path.exists(os.path.join(path, "store")), path)
        self.ok(a, "--store", "deep/er/s", "init")
        self.assertEqual(self.ok(a, "--store", os.path.join(a.home, "deep/er/s"), "space", "list").out, "",
                         "the key file is found however the store is named")
        self.assertEqual(os.stat(one).st_mode & 0o077, 0)

    def test_init_where_nothing_can_be_written(self):
        a = Device(self.root, "a")
        self.fails(a, ["--store", "/dev/null/store", "init"], "DUNLIN_EIO", "/dev/null")

    def test_status_and_verify(self):
        a = self.device("a")
        self.ok(a, "space", "new", "s")
        self.ok(a, "put", "s/d", "/a", "1")
        text = self.ok(a, "status").out
        self.assertRegex(text, r"(?m)^device   a  [0-9a-f]{8}$")
        self.assertRegex(text, rf"(?m)^store    {re.escape(a.store)}$")
        self.assertRegex(text, rf"(?m)^key      {re.escape(a.key_folder)}/[0-9a-f]{{16}}\.key$")
        self.assertRegex(text, r"(?m)^changes  \d+ in \d+ sealed runs, \d+ bytes on disk$")
        self.assertRegex(text, r"(?m)^space    s  [0-9a-f]{8}  owner  1 member  1 document$")
        status = self.ok(a, "--json", "status").json()
        self.assertEqual((status["device"]["name"], status["store"], status["key"]["kind"]), ("a", a.store, "key file"))
        self.assertEqual([(s["space"], s["owner"], s["members"], s["documents"]) for s in status["spaces"]],
                         [("s", True, 1, 1)])
        self.assertRegex(self.ok(a, "verify").out, r"\Ano fault in \d+ changes? in \d+ sealed runs?\n\Z")
        self.assertEqual(self.ok(a, "--json", "verify").json()["faults"], [])

    def test_spaces(self):
        a = self.device("a")
        made = self.ok(a, "--json", "space", "new", "s").json()
        self.assertRegex(self.ok(a, "space", "new", "t").out, r"\At  [0-9a-f]{8}\n\Z")
        self.fails(a, ["space", "new", "s"], "DUNLIN_EEXIST", "'s'")
        self.ok(a, "put", made["id"][:6] + "/by/id", "/x", "1")
        self.assertEqual(self.ok(a, "doc", "list", "s").out, "by/id\n")
        self.assertEqual(self.ok(a, "--json", "doc", "list", "s").json(), ["by/id"])
        self.assertEqual([s["space"] for s in self.ok(a, "--json", "space", "list").json()], ["s", "t"])


class Keys(Case):
    def setUp(self):
        super().setUp()
        self.a = Device(self.root, "a")
        self.file = os.path.join(self.root, "passphrase")
        with open(self.file, "w") as f:
            f.write("correct horse\n")

    def put(self, **kwargs):
        self.ok(self.a, "space", "new", "s", **kwargs)
        self.ok(self.a, "put", "s/d", "/a", "1", **kwargs)

    def test_passphrase_from_everywhere(self):
        self.ok(self.a, "--passphrase-file", "-", "init", input="correct horse\n")
        env = {"DUNLIN_PASSPHRASE": "correct horse"}
        self.put(env=env)
        for args, kwargs in ((["--passphrase-file", self.file], {}), (["--passphrase-file", "-"], {"input": "correct horse"}),
                             ([], {"env": env})):
            self.assertEqual(self.ok(self.a, *args, "get", "s/d", **kwargs).json(), {"a": 1})
        self.assertIn("a passphrase", self.ok(self.a, "status", env=env).out)

    def test_wrong_or_missing_passphrase(self):
        self.ok(self.a, "init", env={"DUNLIN_PASSPHRASE": "correct horse"})
        before = digest(self.a.store)
        self.fails(self.a, ["status"], "DUNLIN_EPASS", self.a.store, env={"DUNLIN_PASSPHRASE": "correct horsf"})
        self.fails(self.a, ["status"], "DUNLIN_ENOKEY", "--passphrase-file")
        self.fails(self.a, ["status"], "DUNLIN_ENOKEY", "empty", env={"DUNLIN_PASSPHRASE": ""})
        self.fails(self.a, ["--passphrase-file", self.file + "x", "status"], "DUNLIN_ENOKEY", self.file + "x")
        self.assertEqual(digest(self.a.store), before)

    def test_key_file(self):
        self.ok(self.a, "init")
        self.put()
        [name] = os.listdir(self.a.key_folder)
        path = os.path.join(self.a.key_folder, name)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.fails(self.a, ["--passphrase-file", self.file, "status"], "DUNLIN_ENOKEY", "key file")
        other = os.path.join(self.root, "other.key")
        os.rename(path, other)
        self.fails(self.a, ["status"], "DUNLIN_ENOKEY", path)
        self.ok(self.a, "--key-file", other, "status")
        self.ok(self.a, "status", env={"DUNLIN_KEY_FILE": other})
        self.ok(self.a, "--store", os.path.join(self.root, "second"), "--key-file", path, "init")
        self.fails(self.a, ["status"], "DUNLIN_EPASS", self.a.store)

    def test_passwd(self):
        self.ok(self.a, "init")
        self.put()
        changed = self.a.run("passwd", "--new-passphrase-file", self.file)
        self.assertEqual(changed.status, 0, changed.err)
        env = {"DUNLIN_PASSPHRASE": "correct horse"}
        self.fails(self.a, ["get", "s/d"], "DUNLIN_ENOKEY")
        self.assertEqual(self.ok(self.a, "get", "s/d", env=env).json(), {"a": 1})
        self.ok(self.a, "passwd", "--to-key-file", env=env)
        self.assertEqual(self.ok(self.a, "get", "s/d").json(), {"a": 1})
        self.fails(self.a, ["passwd", "--to-key-file"], "DUNLIN_EEXIST", "key file")
        self.fails(self.a, ["passwd"], "DUNLIN_ENOKEY", "terminal")

    def test_passphrase_from_the_terminal(self):
        self.ok(self.a, "init")
        self.put()
        changing = Terminal(self.a, "passwd")
        changing.wait_for("New passphrase: ")
        changing.write("correct horse\n")
        changing.wait_for("Again: ")
        changing.write("correct horse\n")
        status, printed = changing.finish()
        self.assertEqual((status, "horse" in printed), (0, False), printed)
        reading = Terminal(self.a, "get", "s/d", "/a")
        reading.wait_for("Passphrase: ")
        self.assertFalse(reading.echoes())
        reading.write("correct horse\n")
        status, printed = reading.finish()
        self.assertEqual((status, printed.split()), (0, ["1"]))

    def test_new_passphrases_that_differ(self):
        self.ok(self.a, "init")
        changing = Terminal(self.a, "passwd")
        changing.wait_for("New passphrase: ")
        changing.write("one\n")
        changing.wait_for("Again: ")
        changing.write("two\n")
        status, printed = changing.finish()
        self.assertEqual(status, 1)
        self.assertIn("differ", printed)
        self.ok(self.a, "status")

    def test_interrupting_the_prompt_brings_the_echo_back(self):
        self.ok(self.a, "init", env={"DUNLIN_PASSPHRASE": "x"})
        for _ in range(20):  # also when it comes between the prompt and the wait for an answer
            asking = Terminal(self.a, "status")
            asking.wait_for("Passphrase: ")
            self.assertFalse(asking.echoes())
            asking.write("\x03")
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(asking.pid, 0)[1]), -signal.SIGINT)
            self.assertTrue(asking.echoes())
            os.close(asking.fd)


if __name__ == "__main__":
    unittest.main()
