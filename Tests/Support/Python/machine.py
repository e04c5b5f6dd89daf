"""Programs, processes and mounts: what the tests run, and how they look at it from outside."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
TESTS = ROOT / "Tests" / "EndToEnd"
SUPPORT = ROOT / "Tests" / "Support" / "Python"
BIN = pathlib.Path(os.environ.get("YESTER_BIN") or ROOT / ".build" / "release").resolve()
YESTER, YESTERFS = BIN / "yester", BIN / "yesterfs"
COMPARE = SUPPORT / "compare_trees.py"
HOSTILE = SUPPORT / "hostile_tree.py"
RECOVER = ROOT / "Scripts" / "recover.py"

# Exit statuses that scripts rely on.
DONE, FAILED, USAGE, INCOMPLETE, NO_REPOSITORY, WRONG_KEY, BUSY, DAMAGED, INTERRUPTED = 0, 1, 2, 3, 10, 11, 12, 13, 130

TIMEOUT = 90       # of a subprocess, in seconds: only against hangs
TEST_LIMIT = 240   # of a test; then all its mounts are taken away by force
MIB = 1 << 20
TOOLS = ("rsync", "setfacl", "getfacl", "getfattr", "fusermount3", "diff", "sha256sum", "cp", "mount", "umount", "du",
         "df", "find", "tar", "rm")


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


def run(command, timeout=TIMEOUT, input=None, **options):
    """Run a program to its end, with `input` (bytes) coming through a pipe. It is killed when it takes too long, and
    that is an error."""
    if input is not None:
        options["stdin"] = subprocess.PIPE
    process = start(command, start_new_session=True, **options)
    try:
        out, err = process.communicate(input, timeout=timeout)
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
        time.sleep(0.005)


def recover_python():
    """A Python that has what recover.py needs."""
    tried = [os.environ.get("YESTER_PYTHON"), sys.executable, "/usr/bin/python3"]
    for python in filter(None, tried):
        if run([python, "-c", "import cryptography, zstandard"]).status == 0:
            return python
    raise Broken(f"none of {tried} has the packages cryptography and zstandard: set YESTER_PYTHON")
