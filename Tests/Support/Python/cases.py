"""What the end-to-end tests share: a test case with its own repository, trees, and a watchdog against hangs.

Run all of them with

    YESTER_BIN=.build/release Scripts/end-to-end

They need root, /dev/fuse and a few tools, and fail loudly where one is missing.
"""

import errno
import hashlib
import os
import pathlib
import random
import stat
import sys
import tempfile
import threading
import time
import unittest

from support.machine import (COMPARE, DONE, MIB, mounts_below, require_machine, run, run_measured, start, TEST_LIMIT,
                             TIMEOUT, YESTER)


BLOCK = 1 << 16


def settle():
    """What changed in the moment in which a backup begins is read again by the next one."""
    time.sleep(0.05)


def make_tree(top, seed=1, files=40, size=8000, big=0):
    """A small tree with a bit of everything, the same for the same arguments; some `big` files of 1 to 3 MiB."""
    rng = random.Random(f"tree {seed}")
    top = pathlib.Path(top)
    top.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        folder = top / f"dir{number % 5}" / (f"sub{number % 3}" if number % 2 else "")
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"file-{number:03d}"
        file.write_bytes(rng.randbytes(rng.randrange(size)) if number % 4 else b"text %d\n" % number * (number * 20))
        file.chmod(rng.choice([0o644, 0o600, 0o755, 0o440]))
        os.utime(file, ns=(0, rng.randrange(10**18, 17 * 10**17)))
    for number in range(big):
        (top / f"big-{number}").write_bytes(rng.randbytes(rng.randrange(MIB, 3 * MIB)))
    (top / "link").symlink_to("dir0/nowhere")
    os.link(top / "dir0" / "file-000", top / "dir1" / "hard")
    (top / "empty").mkdir()
    os.mkfifo(top / "fifo")
    settle()
    return top


def tree_state(top):
    """What a tree holds, comparable: path below the top -> mode, time, owner, content. Directories count too."""
    state = {}
    top = os.fsencode(top)
    for folder, directories, files in os.walk(top):
        for name in [b"."] + directories + files:
            path = os.path.join(folder, name)
            if name == b"." and folder != top:
                continue
            status = os.lstat(path)
            content = None
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            state[os.path.relpath(path, top)] = (status.st_mode, status.st_mtime_ns, status.st_uid, content)
    return state


def unprotected(test):
    """Marks a test whose repository has nothing that makes damage good."""
    test.protection = "none"
    return test


class EndToEndTest(unittest.TestCase):
    """A test with its own directory, repository, key file and cache."""
    # What damage does where nothing makes it good is tried without protection.
    protection = "parity"

    def setUp(self):
        require_machine()
        self.temp = pathlib.Path(tempfile.mkdtemp(prefix="yester-e2e-")).resolve()
        self.addCleanup(self.clean_up)
        self.processes = []
        self.hung = False
        self.watchdog = threading.Timer(TEST_LIMIT, self.break_hang)
        self.watchdog.daemon = True
        self.watchdog.start()
        self.repository, self.key = self.temp / "repository", self.temp / "key"
        self.source, self.cache = self.temp / "source", self.temp / "cache"
        self.state = self.temp / "state"

    def break_hang(self):
        self.hung = True
        for process in self.processes:
            process.kill()
        for point, _ in mounts_below(self.temp):
            run(["umount", "-f", "-l", point])

    def clean_up(self):
        self.watchdog.cancel()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=10)
        for point, kind in mounts_below(self.temp):
            # A driver that hangs must not hold the next test up.
            run(["umount", *(["-f"] if kind.startswith("fuse") else []), "-l", point])
        # rm descends into paths of any length.
        run(["rm", "-rf", "--one-file-system", self.temp])
        if self.hung:
            raise AssertionError(f"the test hung for {TEST_LIMIT} s and was broken off")

    # Running

    def environment(self, **changes):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("YESTER_")}
        environment |= {"YESTER_CACHE_DIR": str(self.cache), "YESTER_STATE_DIR": str(self.state),
                        "YESTER_REPOSITORY": str(self.repository), "YESTER_KEY_FILE": str(self.key),
                        "LC_ALL": "C.UTF-8"}
        if changes.get("YESTER_CACHE_DIR") is not None:
            # Another cache is another machine, or another user of it.
            changes.setdefault("YESTER_STATE_DIR", f"{changes['YESTER_CACHE_DIR']}.state")
        for name, value in changes.items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = str(value)
        return environment

    def yester(self, *arguments, status=DONE, env=None, timeout=TIMEOUT, measured=False, **options):
        """Run yester and check its exit status: a number, or several."""
        runner = run_measured if measured else run
        ran = runner([YESTER, *arguments], env=self.environment(**(env or {})), timeout=timeout, **options)
        allowed = status if isinstance(status, (tuple, set)) else (status,)
        self.assertIn(ran.status, allowed, f"yester {' '.join(map(str, arguments))}: {ran}")
        return ran

    def start_yester(self, *arguments, env=None, **options):
        process = start([YESTER, *arguments], env=self.environment(**(env or {})), **options)
        self.processes.append(process)
        return process

    def init(self):
        test = getattr(self, self._testMethodName)
        self.yester("init", "--key-file", self.key, "--protection", getattr(test, "protection", self.protection))

    def backup(self, *arguments, status=DONE, **options):
        """Make a snapshot (of the source, without arguments that name a path); what --json says of it."""
        if not any(str(word).startswith("/") for word in arguments):
            arguments = (*arguments, self.source)
        return self.yester("backup", "--json", *arguments, status=status, **options).json

    def snapshots(self, *arguments, **options):
        return self.yester("list", "--json", *arguments, **options).json

    def verify(self, *arguments, status=DONE, **options):
        return self.yester("verify", *arguments, status=status, **options)

    # Mounts

    def mount(self, *arguments, at="mnt", status=DONE, **options):
        """Mount, and give the mount point."""
        point = self.temp / at
        point.mkdir(exist_ok=True)
        self.yester("mount", point, *arguments, status=status, **options)
        return point

    def unmount(self, point):
        self.yester("unmount", point, timeout=20)
        self.assertFalse(os.path.ismount(point), "still mounted")

    def in_mount(self, point, snapshot="latest", path=None):
        """Where a path of this machine lies in a mount."""
        return pathlib.Path(point) / snapshot / str(path or self.source).lstrip("/")

    # Checks

    def assert_same_tree(self, a, b, *options):
        ran = run([sys.executable, COMPARE, a, b, *options])
        self.assertEqual(ran.status, 0, f"{a} and {b} differ: {ran}")
        self.assertNotIn("compared 0 entries", ran.out)
        return ran

    def restored(self, snapshot="latest", path=None, to="restored", **options):
        """Restore a directory of a snapshot into a new one, and give that."""
        target = self.temp / to
        self.yester("restore", f"{snapshot}:{path or self.source}", "--to", target, **options)
        return target

    def read_block(self, descriptor, offset):
        """A read that runs into damage may first give what lies before it."""
        data = b""
        while len(data) < BLOCK and (more := os.pread(descriptor, BLOCK - len(data), offset + len(data))):
            data += more
        return data

    def bad_blocks(self, file, wanted):
        """Which blocks of 64 KiB of a mounted file cannot be read; all others have to be right."""
        bad, descriptor = [], os.open(file, os.O_RDONLY)
        try:
            # Each block by a request of its own, and none from the page cache.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
            for offset in range(0, len(wanted), BLOCK):
                try:
                    self.assertTrue(self.read_block(descriptor, offset) == wanted[offset:offset + BLOCK],
                                    f"wrong data at {offset}")
                except OSError as error:
                    self.assertEqual(error.errno, errno.EIO)
                    bad.append(offset)
        finally:
            os.close(descriptor)
        return bad

    # Objects of the repository

    def objects(self, folder, repository=None):
        """Files of one kind of object, in the order of their names."""
        top = (repository or self.repository) / folder
        return sorted(path for path in top.rglob("*") if path.is_file())

    def packs(self, kind, repository=None):
        """Packs of data (1) or trees (2): the kind stands at byte 32."""
        return [path for path in self.objects("packs", repository) if path.read_bytes()[32] == kind]

    def flip(self, path, offset):
        """Damage one byte, counted from the end when negative."""
        path.chmod(0o600)
        data = bytearray(path.read_bytes())
        data[offset] ^= 0x40
        path.write_bytes(data)

    def disk_usage(self, path):
        return int(run(["du", "-s", "--apparent-size", "-B1", path]).out.split()[0])
