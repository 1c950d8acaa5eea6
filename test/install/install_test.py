"""Installs into a folder, and builds and runs an example with what pkg-config says, against the shared and the static library."""

import os
import pathlib
import subprocess
import sys
import tempfile


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=100, **more)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


class Installed:
    def __init__(self, build, folder):
        run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", folder])
        [self.pc] = pathlib.Path(folder).rglob("dunlin.pc")
        self.prefix = next(p.parent for p in self.pc.parents if p.name.startswith("lib"))
        self.libraries = self.pc.parent.parent

    def flags(self, *options):
        env = dict(os.environ, PKG_CONFIG_PATH=str(self.pc.parent))
        text = run(["pkg-config", f"--define-variable=prefix={self.prefix}", *options, "dunlin"], env=env)
        return text.split()


def main():
    build, compiler, source, shown = sys.argv[1], sys.argv[2:-2], *sys.argv[-2:]
    with open(shown, encoding="utf-8") as f:
        expected = f.read()
    with tempfile.TemporaryDirectory(prefix="dunlin-install-") as folder:
        installed = Installed(build, os.path.join(folder, "root"))
        program = os.path.join(folder, "program")
        strict = [*compiler, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", source, "-o", program]
        run(strict + installed.flags("--cflags", "--libs"))
        env = dict(os.environ, LD_LIBRARY_PATH=str(installed.libraries))
        assert "libdunlin.so.0" in run(["ldd", program], env=env)
        assert run([program], env=env) == expected
        for library in installed.libraries.glob("libdunlin.so*"):
            library.unlink()
        run(strict + installed.flags("--cflags", "--libs", "--static"))
        assert "libdunlin" not in run(["ldd", program])
        assert run([program]) == expected


main()
