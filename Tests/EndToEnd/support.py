"""What the end-to-end tests share: programs, repositories, mounts, and a watchdog against hangs.

Run all of them with

    YESTER_BIN=.build/release python3 -m unittest discover -v -s Tests/EndToEnd

They need root, /dev/fuse and a few tools, and fail loudly where one is missing.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("YESTER_BIN") or ROOT / ".build" / "release").resolve()
YESTER, YESTERFS = BIN / "yester", BIN / "yesterfs"
COMPARE = ROOT / "Tests" / "Support" / "compare_trees.py"
HOSTILE = ROOT / "Tests" / "Support" / "hostile_tree.py"
RECOVER = ROOT / "Scripts" / "recover.py"

# Exit statuses that scripts rely on.
DONE, FAILED, USAGE, INCOMPLETE, NO_REPOSITORY, WRONG_KEY, BUSY, DAMAGED, INTERRUPTED = 0, 1, 2, 3, 10, 11, 12, 13, 130

TIMEOUT = 90       # of a subprocess, in seconds: only against hangs
TEST_LIMIT = 240   # of a test; then all its mounts are taken away by force
MIB = 1 << 20
TOOLS = ("rsync", "setfacl", "getfattr", "fusermount3", "diff", "sha256sum", "cp", "mount", "umount", "du", "rm")


class Broken(Exception):
    """The machine lacks something that the tests need."""


def require_machine():
    if os.geteuid() != 0:
        raise Broken("the end-to-end tests mount file systems: run them as root")
    if not os.path.exists("/dev/fuse"):
        raise Broken("there is no /dev/fuse: modprobe fuse")
    for program in (YESTER, YESTERFS):
        if not os.access(program, os.X_OK):
            raise Broken(f"there is no program {program}: build first, or set YESTER_BIN")
    for tool in TOOLS:
        if not shutil.which(tool):
            raise Broken(f"the tool {tool} is missing")


@dataclasses.dataclass
class Ran:
    """What a finished program left behind."""
    status: int
    out: str
    err: str
    peak: int  # bytes of memory, 0 when it was not measured

    @property
    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"exit status {self.status}\n--- stdout\n{self.out[-3000:]}\n--- stderr\n{self.err[-3000:]}"


def start(command, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen([part if isinstance(part, bytes) else str(part) for part in command], **options)


def run(command, timeout=TIMEOUT, **options):
    """Run a program to its end. It is killed when it takes too long, and that is an error."""
    process = start(command, start_new_session=True, **options)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
        raise AssertionError(f"{' '.join(map(str, command))} hung for {timeout} s") from None
    return Ran(process.returncode, out.decode(errors="backslashreplace"), err.decode(errors="backslashreplace"), 0)


# The peak that wait4 tells of a child begins with that of the process it was forked from: so a small one in between.
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
open(sys.argv[1], "w").write(str(usage.ru_maxrss * 1024))
os._exit(os.waitstatus_to_exitcode(status) & 255)
"""


def run_measured(command, timeout=TIMEOUT, **options):
    """As `run`, and tells the peak of memory."""
    with tempfile.NamedTemporaryFile("r") as peak:
        ran = run([sys.executable, "-S", "-c", MEASURE, peak.name, *command], timeout, **options)
        return dataclasses.replace(ran, peak=int(peak.read()))


def mounts_below(path):
    """Mount points at or below a path, the last mounted first, with their types."""
    found = []
    for line in pathlib.Path("/proc/self/mountinfo").read_bytes().splitlines():
        fields = line.split(b" ")
        point = os.fsdecode(fields[4].decode("unicode_escape").encode("latin-1"))
        if point == str(path) or point.startswith(f"{path}/"):
            found.append((point, fields[fields.index(b"-") + 1].decode()))
    return found[::-1]


def driver_of(mount_point):
    """The process number of the driver behind a mount point."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            where = os.readlink(entry / "exe")
        except OSError:
            continue
        if pathlib.Path(where.removesuffix(" (deleted)")).name == "yesterfs" and os.fsencode(mount_point) in words:
            return int(entry.name)
    raise AssertionError(f"no driver serves {mount_point}")


def peak_memory(process):
    """VmHWM of a running process, in bytes."""
    for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"/proc/{process}/status has no VmHWM")


def is_gone(process):
    """A process that ended, though nobody may have asked for its exit status yet."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s: {what}")
        time.sleep(0.05)


def recover_python():
    """A Python that has what recover.py needs."""
    tried = [os.environ.get("YESTER_PYTHON"), sys.executable, "/usr/bin/python3"]
    for python in filter(None, tried):
        if run([python, "-c", "import cryptography, zstandard"]).status == 0:
            return python
    raise Broken(f"none of {tried} has the packages cryptography and zstandard: set YESTER_PYTHON")


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
    return top


def tree_state(top):
    """What a tree holds, comparable: path below the top -> type, mode, time, content. Times of directories count too."""
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


class EndToEndTest(unittest.TestCase):
    """A test with its own directory, repository, key file and cache."""

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
        environment |= {"YESTER_CACHE_DIR": str(self.cache), "YESTER_REPOSITORY": str(self.repository),
                        "YESTER_KEY_FILE": str(self.key), "LC_ALL": "C.UTF-8"}
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
        self.yester("init", "--key-file", self.key)

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
