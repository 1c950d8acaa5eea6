"""invite, join, sync between devices, and peers and invitations that are not what they should be."""

from support import *


class Joining(Case):
    def test_invite_and_join(self):
        a, b = self.device("a"), self.device("b")
        self.ok(a, "space", "new", "home")
        self.ok(a, "put", "home/trip", "", '{"title": "Lisbon", "days": [1, 2]}')
        line, joined, invited = invite(self, a, b)
        self.assertEqual(joined.out, "home\n")
        self.assertEqual(invited.out, line + "\n")
        self.assertIn("b has joined home", invited.err)
        self.assertEqual(self.get(b, "home/trip"), {"title": "Lisbon", "days": [1, 2]})
        self.assertEqual([s["members"] for s in self.ok(b, "--json", "space", "list").json()], [2])

    def test_join_makes_the_store_and_names_the_space(self):
        a, b = self.device("a"), self.device("b", init=False)
        self.ok(a, "space", "new", "home")
        self.ok(a, "put", "home/trip", "/x", "1")
        inviting = self.start(a, "--json", "invite", "home")
        line = json.loads(inviting.wait_line("."))["invitation"]
        joined = b.run("join", "-", "--name", "phone", "--as", "familie", input=line + "\n")
        self.assertEqual((joined.status, joined.out), (0, "familie\n"), joined.err)
        self.assertEqual(inviting.finish().status, 0)
        self.assertEqual(self.get(b, "familie/trip"), {"x": 1})
        self.assertEqual(self.ok(b, "--json", "status").json()["device"]["name"], "phone")

    def test_join_with_the_passphrase_from_stdin(self):
        a, b = self.device("a"), self.device("b", init=False)
        self.ok(a, "space", "new", "home")
        inviting = self.start(a, "invite", "home")
        joined = b.run("--passphrase-file", "-", "join", inviting.wait_line("."), input="secret\n")
        self.assertEqual(joined.status, 0, joined.err)
        inviting.finish()
        self.ok(b, "space", "list", env={"DUNLIN_PASSPHRASE": "secret"})

    def test_an_invitation_is_good_once(self):
        a, b, c = self.device("a"), self.device("b"), self.device("c")
        self.ok(a, "space", "new", "home")
        address = f"127.0.0.1:{free_port()}"
        line, _, _ = invite(self, a, b, invite_args=["--listen", address])
        listening = self.start(a, "sync", "--listen", address)
        listening.wait_line("listening", "err")
        refused = c.run("join", line)
        self.assertEqual((refused.status, refused.out), (1, ""), refused.err)
        self.assertRegex(refused.err, r"\Adunlin: [^\n]+\n\Z")
        self.assertIn("DUNLIN_EUSED", c.run("--json", "join", line).err)
        self.assertEqual(self.ok(c, "space", "list").out, "")
        self.assertEqual(listening.finish(signal.SIGTERM).status, 0)

    def test_an_invitation_that_expires(self):
        a, b = self.device("a"), self.device("b")
        self.ok(a, "space", "new", "home")
        inviting = self.start(a, "invite", "home", "--expires", "0.03")
        line = inviting.wait_line(".")
        ended = inviting.finish()
        self.assertEqual(ended.status, 1)
        self.assertIn("expired", ended.err.splitlines()[-1])
        self.fails(b, ["join", line], "DUNLIN_EEXPIRED", "expired")

    def test_garbled_invitations(self):
        a, b = self.device("a"), self.device("b", init=False)
        self.ok(a, "space", "new", "home")
        inviting = self.start(a, "invite", "home")
        line = inviting.wait_line(".")
        middle = len(line) // 2
        flipped = line[:middle] + ("A" if line[middle] != "A" else "B") + line[middle + 1:]
        for bad in (line[:-1], line[1:], flipped, "", "hello", "x" * 5000, line + "\n" + line):
            with self.subTest(bad[:20]):
                self.fails(b, ["join", bad], "DUNLIN_EINVITE", "invitation")
        self.fails(b, ["join", "-"], "DUNLIN_EINVITE", input="")
        self.assertEqual(os.listdir(b.home), [], "a bad invitation makes no store")
        self.assertEqual(b.run("join", f"  {line}\n").status, 0)
        self.assertEqual(inviting.finish().status, 0)

    def test_a_device_does_not_join_itself(self):
        a = self.device("a")
        self.ok(a, "space", "new", "home")
        inviting = self.start(a, "invite", "home")
        line = inviting.wait_line(".")
        self.fails(a, ["join", line], "DUNLIN_EINVAL", "itself")
        inviting.finish(signal.SIGTERM)

    def test_names_of_spaces(self):
        a, b = self.device("a"), self.device("b")
        for name in ("a/b", "", "a\nb", b"\xff", "n" * 256):
            self.fails(a, ["space", "new", name], "DUNLIN_EINVAL", "1 to 255")
            self.fails(b, ["join", "x", "--as", name], "DUNLIN_EINVAL", "1 to 255")
        self.ok(a, "space", "new", "n" * 255)
        self.ok(a, "space", "new", "home")
        self.ok(b, "space", "new", "home")
        _, joined, _ = invite(self, a, b)
        other = joined.out.strip()
        self.assertNotEqual(other, "home", "the alias is taken there")
        self.assertEqual([s["space"] for s in self.ok(b, "--json", "space", "list").json()], ["home", other])

    def test_joining_again_changes_nothing(self):
        a, b = self.device("a"), self.device("b")
        self.ok(a, "space", "new", "home")
        for _ in range(2):
            _, joined, _ = invite(self, a, b)
            self.assertEqual(joined.out, "home\n")
            for device in (a, b):
                self.assertEqual([s["members"] for s in self.ok(device, "--json", "space", "list").json()], [2])

    def test_only_the_owner_invites(self):
        a, b = self.device("a"), self.device("b")
        self.ok(a, "space", "new", "home")
        invite(self, a, b)
        self.fails(b, ["invite", "home"], "DUNLIN_EPERM", "'home'")

    def test_invite_is_interrupted(self):
        a = self.device("a")
        self.ok(a, "space", "new", "home")
        for number in (signal.SIGINT, signal.SIGTERM):
            inviting = self.start(a, "invite", "home")
            inviting.wait_line(".")
            self.assertEqual(inviting.finish(number).status, 1)


class Syncing(Case):
    def setUp(self):
        super().setUp()
        self.a, self.b = self.device("a"), self.device("b")
        self.ok(self.a, "space", "new", "home")
        self.ok(self.a, "put", "home/d", "", '{"n": 0, "l": [1, 2, 3]}')
        invite(self, self.a, self.b)

    def once(self):
        listening = self.start(self.a, "sync", "--listen", "127.0.0.1:0", "--once")
        address = listening.wait_line("^listening on ", "err").split()[-1]
        calling = self.b.run("sync", "--peer", address, "--once")
        self.assertEqual(calling.status, 0, calling.err)
        ended = listening.finish()
        self.assertEqual(ended.status, 0, ended.err)
        return calling, ended

    def test_once_brings_both_to_the_same(self):
        self.ok(self.a, "put", "home/d", "/title", '"from a"')
        self.ok(self.b, "put", "home/d", "/title", '"from b"')
        self.ok(self.a, "add", "home/d", "/c", "2")
        self.ok(self.b, "add", "home/d", "/c", "3")
        self.ok(self.a, "edit", "home/d", "/t", "0", "0", "aaa")
        self.ok(self.b, "edit", "home/d", "/t", "0", "0", "bbb")
        self.ok(self.b, "move", "home/d", "/l", "0", "2")
        self.ok(self.a, "put", "home/d", "/l/0", '"one"')
        calling, ended = self.once()
        self.assertRegex(calling.err, r"in sync with a \(127\.0\.0\.1:\d+\), received 4 changes\n")
        self.assertRegex(ended.err, r"in sync with b \(127\.0\.0\.1:\d+\), received 4 changes\n")
        state = self.get(self.a, "home/d")
        self.assertEqual(self.get(self.b, "home/d"), state)
        self.assertEqual((state["c"], state["l"]), (5, [2, 3, "one"]))
        self.assertIn(state["t"], ("aaabbb", "bbbaaa"))
        conflicts = self.ok(self.a, "--json", "conflicts", "home/d").json()
        self.assertEqual(self.ok(self.b, "--json", "conflicts", "home/d").json(), conflicts)
        [title] = conflicts
        self.assertEqual((title["path"], title["values"][0], sorted(title["values"])),
                         ("/title", state["title"], ["from a", "from b"]))
        self.assertEqual(self.ok(self.a, "conflicts", "home/d").out, "/title  " + "  ".join(json.dumps(v) for v in title["values"]) + "\n")
        self.ok(self.a, "put", "home/d", "/title", '"settled"')
        self.assertEqual(self.ok(self.a, "conflicts", "home/d").out, "")
        self.once()
        self.assertEqual(self.ok(self.b, "conflicts", "home/d").out, "")

    def test_what_others_write_while_syncing_is_seen_at_once(self):
        watching = self.start(self.b, "watch", "home/d")
        watching.wait_line("ready")
        listening = self.start(self.a, "sync", "--listen", "127.0.0.1:0")
        address = listening.wait_line("^listening on ", "err").split()[-1]
        calling = self.start(self.b, "--json", "sync", "--peer", address)
        calling.wait_line('"in sync"')
        self.ok(self.a, "put", "home/d", "/n", "1")
        self.assertEqual(json.loads(watching.wait_line(".", count=2)), {"path": "/n", "old": 0, "new": 1})
        self.ok(self.b, "put", "home/e", "/x", '"new document"')
        end = time.monotonic() + PATIENCE
        while self.a.run("get", "home/e", "/x").status and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(self.get(self.a, "home/e", "/x"), "new document")
        for running in (watching, calling, listening):
            ended = running.finish(signal.SIGTERM)
            self.assertEqual(ended.status, 0, ended.err)
        self.assertNotIn("dunlin:", calling.lines["err"])

    def test_status_says_what_a_peer_does_not_have(self):
        def unsent():
            [peer] = self.ok(self.a, "--json", "status").json()["peers"]
            self.assertRegex(self.ok(self.a, "status").out, rf"(?m)^peer     b  {peer['id'][:8]}  {peer['unsent']} changes? not")
            return peer["unsent"]

        self.assertEqual(unsent(), 0)
        self.ok(self.a, "put", "home/d", "/n", "1")
        self.ok(self.a, "put", "home/d", "/n", "2")
        self.assertEqual(unsent(), 2)
        self.once()
        self.assertEqual(unsent(), 0)

    def test_json_events(self):
        listening = self.start(self.a, "--json", "sync", "--listen", "127.0.0.1:0", "--once")
        address = json.loads(listening.wait_line("listening"))["address"]
        calling = self.b.run("--json", "sync", "--peer", address, "--once")
        events = [json.loads(line) for line in calling.out.splitlines()]
        self.assertEqual([(e["event"], e["name"], e["address"]) for e in events if e["event"] == "in sync"],
                         [("in sync", "a", address)])
        self.assertEqual((calling.status, calling.err, listening.finish().status), (0, "", 0))

    def test_nobody_there(self):
        address = f"127.0.0.1:{free_port()}"
        self.fails(self.b, ["sync", "--peer", address, "--once"], "DUNLIN_ENET", address)

    def test_one_of_two_peers_is_not_there(self):
        listening = self.start(self.a, "sync", "--listen", "127.0.0.1:0", "--once")
        address = listening.wait_line("^listening on ", "err").split()[-1]
        absent = f"127.0.0.1:{free_port()}"
        self.ok(self.a, "put", "home/d", "/n", "7")
        calling = self.b.run("sync", "--peer", absent, "--peer", address, "--once")
        self.assertEqual(calling.status, 1)
        self.assertIn(absent, calling.err)
        self.assertEqual(self.get(self.b, "home/d", "/n"), 7, "the other peer was synced with")
        self.assertEqual(listening.finish().status, 0)

    def test_port_in_use(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            address = "127.0.0.1:%d" % s.getsockname()[1]
            self.fails(self.a, ["sync", "--listen", address], "DUNLIN_EADDR", address)
            self.fails(self.a, ["invite", "home", "--listen", address], "DUNLIN_EADDR", address)

    def test_addresses_that_are_none(self):
        for address in ("nonsense", "127.0.0.1:99999", "127.0.0.1:x", ":"):
            with self.subTest(address):
                self.fails(self.a, ["sync", "--listen", address], "DUNLIN_EADDR")

    def peer_that(self, behave):
        """A server on a port of its own that does something else than dunlin."""
        server = socket.socket()
        server.bind(("127.0.0.1", 0))
        server.listen()
        self.addCleanup(server.close)

        def serve():
            try:
                while True:
                    connection, _ = server.accept()
                    with connection:
                        behave(connection)
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()
        return "127.0.0.1:%d" % server.getsockname()[1]

    def fails_with_peer(self, behave, errors):
        address = self.peer_that(behave)
        before = self.get(self.b, "home/d")
        done = self.b.run("--json", "sync", "--peer", address, "--once")
        self.assertEqual(done.status, 1)
        report = json.loads(done.err.splitlines()[-1])
        self.assertIn(report["error"], errors)
        self.assertIn(address, report["message"])
        self.assertEqual(self.get(self.b, "home/d"), before)

    def test_a_peer_that_speaks_http(self):
        def http(connection):
            connection.recv(1024)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" + b" " * 500)
            time.sleep(0.2)
        self.fails_with_peer(http, ["DUNLIN_EPEER", "DUNLIN_EAUTH"])

    def test_a_peer_that_says_nothing(self):
        self.fails_with_peer(lambda connection: time.sleep(8), ["DUNLIN_ETIMEOUT"])

    def test_a_peer_that_hangs_up(self):
        self.fails_with_peer(lambda connection: connection.recv(10), ["DUNLIN_EPEER", "DUNLIN_ENET", "DUNLIN_ESTRANGER"])

    def test_a_listener_survives_callers_that_are_none(self):
        listening = self.start(self.a, "sync", "--listen", "127.0.0.1:0", "--once")
        address = listening.wait_line("^listening on ", "err").split()[-1]
        host, port = address.split(":")
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(4096), b"", b"\x00" * 70000):
            with socket.create_connection((host, int(port))) as s:
                try:
                    s.sendall(data)
                except OSError:
                    pass
        self.assertEqual(self.b.run("sync", "--peer", address, "--once").status, 0)
        self.assertEqual(listening.finish().status, 0)

    def test_a_stranger_gets_nothing(self):
        c = self.device("c")
        listening = self.start(self.a, "sync", "--listen", "127.0.0.1:0")
        address = listening.wait_line("^listening on ", "err").split()[-1]
        done = c.run("sync", "--peer", address, "--once")
        self.assertEqual(done.status, 1, done.err)
        self.assertEqual(listening.finish(signal.SIGTERM).status, 0)

    def test_sync_is_interrupted(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            listening = self.start(self.a, "sync", "--listen", "127.0.0.1:0")
            listening.wait_line("^listening on ", "err")
            self.assertEqual(listening.finish(number).status, 0)


if __name__ == "__main__":
    unittest.main()
