#!/usr/bin/env python3
"""Makes the golden repository of a format version: make_golden.py YESTER DESTINATION.

Golden repositories are made once for each version of the format and then never again: every later yester must open
them. DESTINATION gets `repository/`, `key` and `write-only-key` (key files), and `password`. What stands in the
repository is written to `expected.txt` beside them by GoldenRepositoryTests with YESTER_WRITE_GOLDEN=1. Run it as root,
so that owners and devices can be made.
"""
import os
import random
import socket
import subprocess
import sys
import tempfile


def make_tree(top: bytes) -> None:
    """A little of everything the format can express."""
    rng = random.Random(1)
    os.makedirs(top + b"/deep/er/est")
    os.mkdir(top + b"/empty", 0o751)
    write(top + b"/hello.txt", b"Hello, yester!\n")
    write(top + b"/nothing", b"")
    write(top + b"/deep/er/est/file", b"at the bottom\n" * 40)
    write(top + b"/two-mebibytes-and-three", rng.randbytes(4096) * 512 + b"end")
    write(top + b"/random", rng.randbytes(70_000))
    write(top + b"/not-utf8-\xff\xfe", b"bytes\n")
    write(top + b"/line\nbreak\\and\ttab", b"odd name\n")
    with open(top + b"/holes", "wb") as file:
        file.seek(1 << 20)
        file.write(b"island")
        file.truncate(3 << 20)
    os.symlink(b"../gone/\xe9", top + b"/dangling")
    os.link(top + b"/hello.txt", top + b"/deep/hello-again.txt")
    os.mkfifo(top + b"/fifo", 0o640)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fsdecode(top + b"/socket"))
    os.mknod(top + b"/device", 0o600 | 0o020000, os.makedev(1, 3))
    os.setxattr(top + b"/hello.txt", b"user.empty", b"")
    os.setxattr(top + b"/hello.txt", b"user.binary", bytes(range(256)))
    os.chown(top + b"/nothing", 12345, 54321)
    os.chmod(top + b"/random", 0o4711)
    os.mkdir(top + b"/many")
    for number in range(1500):
        write(top + b"/many/%04d" % number, b"")
    stamp(top)


def write(path: bytes, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def stamp(top: bytes) -> None:
    """Fixed times, from before 1970 to after 2262, with odd nanoseconds."""
    number = 0
    for directory, names, files in os.walk(top, topdown=False):
        for name in sorted(names + files) + [b"."]:
            number += 1
            seconds = [-1, 0, 1_700_000_000, 4_102_444_800, 13_569_465_600][number % 5]
            time = seconds * 10**9 + number % 10**9
            os.utime(os.path.join(directory, name), ns=(time, time), follow_symlinks=False)


def main() -> None:
    yester, destination = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    os.makedirs(destination)
    repository, key = destination + "/repository", destination + "/key"
    password = destination + "/password"
    write(os.fsencode(password), b"correct horse battery staple\n")
    with tempfile.TemporaryDirectory() as work:
        environment = dict(os.environ, YESTER_CACHE_DIR=work + "/cache", YESTER_STATE_DIR=work + "/state",
                           TZ="UTC")

        def run(*arguments: str) -> None:
            subprocess.run(
                [yester, *arguments, "--repository", repository, "--key-file", key], check=True, env=environment)

        tree = os.fsencode(work) + b"/tree"
        make_tree(tree)
        run("init")
        run("key", "add", "--label", "by password", "--new-password-file", password)
        run("key", "add", "--write-only", "--label", "write-only", "--new-key-file", destination + "/write-only-key")
        run("backup", os.fsdecode(tree), "--host", "golden", "--tag", "first", "--exclude", "*.tmp")
        write(tree + b"/hello.txt", b"Hello again, yester!\n")
        os.unlink(tree + b"/nothing")
        stamp(tree)
        run("backup", os.fsdecode(tree), "--host", "golden", "--kind", "pre-change", "--description", "second one",
            "--change-ticket", "C-42", "--purpose", "a golden repository")
        run("verify")


if __name__ == "__main__":
    main()
