"""Runs the program as a user would, each device with a home of its own.  The first argument of a test is the program."""

import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
PATIENCE = 60  # seconds that anything may take, under sanitizers on a busy machine too


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def json(self):
        return json.loads(self.out)


class Running:
    """A program that goes on: its lines come in as they are printed."""

    def __init__(self, process):
        self.process, self.lines = process, {"out": [], "err": []}
        self.changed = threading.Condition()
        self.threads = []
        for name, pipe in (("out", process.stdout), ("err", process.stderr)):
            thread = threading.Thread(target=self._read, args=(name, pipe), daemon=True)
            thread.start()
            self.threads.append(thread)

    def _read(self, name, pipe):
        for line in pipe:
            with self.changed:
                self.lines[name].append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_line(self, pattern, name="out", count=1):
        """The `count`-th line that matches."""
        end = time.monotonic() + PATIENCE
        with self.changed:
            while True:
                found = [line for line in self.lines[name] if re.search(pattern, line)]
                if len(found) >= count:
                    return found[count - 1]
                if time.monotonic() > end or not any(t.is_alive() for t in self.threads):
                    raise AssertionError(f"no line {count} like {pattern!r} in {self.lines}")
                self.changed.wait(0.2)

    def finish(self, with_signal=None):
        if with_signal:
            self.process.send_signal(with_signal)
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"did not end: {self.lines}")
        for thread in self.threads:
            thread.join(PATIENCE)
        self.process.stdout.close()
        self.process.stderr.close()
        return Result(status, "".join(l + "\n" for l in self.lines["out"]), "".join(l + "\n" for l in self.lines["err"]))


class Device:
    def __init__(self, root, name):
        self.home = os.path.join(root, name)
        self.store = os.path.join(self.home, ".local/share/dunlin")
        self.key_folder = os.path.join(self.home, ".config/dunlin")
        self.name = name
        os.mkdir(self.home)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("DUNLIN_", "XDG_"))}
        self.env["HOME"] = self.home

    def run(self, *args, input=None, env=None):
        data = input if isinstance(input, bytes) or input is None else input.encode()
        done = subprocess.run([PROGRAM, *args], input=data, stdin=None if data is not None else subprocess.DEVNULL,
                              capture_output=True, env={**self.env, **(env or {})}, timeout=PATIENCE, cwd=self.home,
                              start_new_session=True)  # no terminal to ask on
        return Result(done.returncode, done.stdout.decode("utf-8", "surrogateescape"),
                      done.stderr.decode("utf-8", "surrogateescape"))

    def start(self, *args, env=None):
        return Running(subprocess.Popen([PROGRAM, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env={**self.env, **(env or {})}, cwd=self.home,
                                        start_new_session=True))


class Terminal:
    """The program with a terminal of its own."""

    def __init__(self, device, *args):
        try:
            self.pid, self.fd = pty.fork()
        except OSError as error:  # a chroot without /dev/pts
            raise unittest.SkipTest(f"no pseudo-terminal: {error}") from error
        if self.pid == 0:
            os.chdir(device.home)
            os.execve(PROGRAM, [PROGRAM, *args], device.env)
        self.seen = ""

    def wait_for(self, text):
        end = time.monotonic() + PATIENCE
        while text not in self.seen:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise AssertionError(f"no {text!r} in {self.seen!r}")
            self.seen += os.read(self.fd, 4096).decode()
        before, _, self.seen = self.seen.partition(text)
        return before

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def write(self, text):
        os.write(self.fd, text.encode())

    def finish(self):
        """The exit status (negative: a signal), and what was printed last."""
        try:
            while data := os.read(self.fd, 4096):
                self.seen += data.decode()
        except OSError:
            pass  # Linux gives EIO when the other side of a terminal has gone
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), self.seen


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="dunlin-cli-")
        self.running = []
        self.addCleanup(shutil.rmtree, self.root)
        self.addCleanup(self._end_running)

    def _end_running(self):
        for running in self.running:
            if running.process.poll() is None:
                running.process.kill()
                running.process.wait()
            running.process.stdout.close()
            running.process.stderr.close()

    def device(self, name, init=True):
        device = Device(self.root, name)
        if init:
            self.ok(device, "init", "--name", name)
        return device

    def start(self, device, *args, **kwargs):
        running = device.start(*args, **kwargs)
        self.running.append(running)
        return running

    def ok(self, device, *args, **kwargs):
        result = device.run(*args, **kwargs)
        self.assertEqual((result.status, result.err), (0, ""), args)
        return result

    def get(self, device, *args):
        return self.ok(device, "get", *args).json()

    def fails(self, device, args, error, *words, status=1, **kwargs):
        """Fails with one line that holds `words` and says what to do, and under --json with the error's name."""
        plain = device.run(*args, **kwargs)
        self.assertEqual((plain.status, plain.out), (status, ""), (args, plain.err))
        self.assertRegex(plain.err, r"\Adunlin: [^\n]+; [^\n]+\n\Z", args)
        for word in words:
            self.assertIn(word, plain.err, args)
        wrapped = device.run("--json", *args, **kwargs)
        report = json.loads(wrapped.err)
        self.assertEqual((wrapped.status, report["error"], wrapped.out), (status, error, ""), args)
        self.assertEqual(sorted(report), ["error", "message"], args)
        return plain

    def wrong_usage(self, device, args, *words):
        return self.fails(device, args, "DUNLIN_EINVAL", "--help", *words, status=2)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def digest(folder):
    """Every file's content, to see that nothing was changed."""
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), "rb") as f:
                found[os.path.join(path, name)] = f.read()
    return found


def invite(case, host, guest, space="home", invite_args=()):
    """Joins the guest to the host's space; both commands must succeed."""
    inviting = case.start(host, "invite", space, *invite_args)
    line = inviting.wait_line(".")
    joined = guest.run("join", line)
    case.assertEqual(joined.status, 0, joined.err)
    ended = inviting.finish()
    case.assertEqual(ended.status, 0, ended.err)
    return line, joined, ended


__all__ = ["Case", "Device", "PATIENCE", "PROGRAM", "Terminal", "digest", "free_port", "invite", "json", "os", "re", "signal", "socket",
           "subprocess", "threading", "time", "unittest"]
