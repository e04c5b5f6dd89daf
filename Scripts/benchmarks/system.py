"""What benchmarks ask of the system: programs, processes, mounts, and a description of the machine."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time


COMMON = pathlib.Path(__file__).resolve().parents[1] / "common.bash"
ENDING_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Failure(Exception):
    """Something that the user has to know; the message says what."""


def say(text):
    """Progress goes to stderr, so that the tables can be redirected into a file."""
    print(text, file=sys.stderr, flush=True)


def turn_signals_into_exceptions():
    """Whatever ends the run passes through every `finally`, so that no mount stays behind."""
    def end(number, _):
        raise SystemExit(128 + number)
    for number in ENDING_SIGNALS - {signal.SIGINT}:
        signal.signal(number, end)


# Programs

@contextlib.contextmanager
def started(command, **options):
    """A process that is gone afterwards, with all that it has started: what lives on would hold the mount."""
    process = subprocess.Popen([str(word) for word in command], start_new_session=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run(command, **options):
    """Runs a program quietly and gives what it printed. Its failure is a Failure with its messages."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    with started(command, **options) as process:
        out, messages = (text.decode(errors="replace") for text in process.communicate())
    if process.returncode != 0:
        words = list(map(str, command))
        if MEASURE in words:
            words = words[words.index(MEASURE) + 2:]
        raise Failure(f"{' '.join(words)} failed with status {process.returncode}:\n"
                      f"{(messages + out).strip()[-2000:]}")
    return out


def shell(script, *arguments, **options):
    """Runs a line of shell, in which the arguments are $1, $2 and so on; a failure anywhere in a pipe counts."""
    return run(["bash", "-o", "pipefail", "-c", script, "bench", *arguments], **options)


@dataclasses.dataclass(frozen=True)
class Usage:
    seconds: float
    # The most memory that one of the processes had at a time, in bytes.
    peak: int


# A small program in between: what wait4 tells of a child begins with the memory of the process that it was forked from.
MEASURE = """
import os, sys, time
begin = time.perf_counter()
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
seconds = time.perf_counter() - begin
with open(sys.argv[1], "w") as file:
    file.write(f"{seconds} {usage.ru_maxrss * 1024}")
os._exit(os.waitstatus_to_exitcode(status) & 255)
"""


def measured(command, **options):
    """Runs a program as `run` does, and tells how long it took and how much memory it had."""
    with tempfile.NamedTemporaryFile("r") as usage:
        run([sys.executable, "-S", "-E", "-c", MEASURE, usage.name, *command], **options)
        seconds, peak = usage.read().split()
    return Usage(float(seconds), int(peak))


def seconds_of(action):
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def warm_up(*folders):
    """Reads all files below the folders, so that they are in the page cache."""
    shell('find "$@" -type f -print0 | xargs -0 -r cat > /dev/null', *folders)


# Processes

def descendants(process):
    """A process and all below it."""
    found = [process]
    for one in found:
        try:
            found += map(int, pathlib.Path(f"/proc/{one}/task/{one}/children").read_text().split())
        except OSError:
            pass
    return found


def memory_of(process):
    """The peak and the present size of a process's memory in bytes."""
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines())
    return {name: int(fields[field].split()[0]) * 1024 for name, field in (("peak", "VmHWM"), ("now", "VmRSS"))}


def activity_of(process):
    """The processor time in seconds that a process has used, and how often its threads went to sleep by themselves."""
    times = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    sleeps = 0
    for status in pathlib.Path(f"/proc/{process}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                sleeps += int(line.split()[1])
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"), sleeps


# Mounts

def is_mounted(point):
    """Reads the table of mounts, which asks the driver nothing, and so does not hang on one that is not ready."""
    wanted = os.fsencode(point).replace(b" ", rb"\040")
    with open("/proc/self/mountinfo", "rb") as table:
        return any(line.split(b" ")[4] == wanted for line in table)


def unmount(point, process):
    """Takes a mount away and waits for its driver to end; by force when that does not help."""
    # A second Ctrl-C must not keep the first one from being tidied up after.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        take_away(point)
        for end in (lambda: None, process.terminate, process.kill):
            end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)
                break
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)


def take_away(point):
    command, lazily = (["umount"], ["-l"]) if os.geteuid() == 0 else (["fusermount3", "-u"], ["-z"])
    for attempt in range(40):
        if not is_mounted(point):
            break
        # Programs of the work may take a moment to close their files.
        subprocess.run([*command, *(lazily if attempt >= 30 else []), point], capture_output=True, check=False)
        if is_mounted(point):
            time.sleep(0.1)


# Trees

def totals(top):
    """How many entries a tree has, and the bytes of its regular files."""
    entries, size, pending = 0, 0, [top]
    while pending:
        with os.scandir(pending.pop()) as listing:
            for entry in listing:
                entries += 1
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    size += entry.stat(follow_symlinks=False).st_size
    return {"entries": entries, "bytes": size}


def files_below(top):
    """Paths below the top and sizes of all regular files, in the order of their names."""
    found = []
    for folder, directories, names in os.walk(top):
        directories.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            if os.path.isfile(path) and not os.path.islink(path):
                found.append((os.path.relpath(path, top), status.st_size))
    return found


# The machine

def first_line(path, prefix, otherwise="unknown"):
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith(prefix):
            return line.split(":", 1)[1].strip()
    return otherwise


def file_system_of(path):
    return run(["stat", "-f", "-c", "%T", path]).strip().replace("ext2/ext3", "ext4")


def available_memory():
    return int(first_line("/proc/meminfo", "MemAvailable").split()[0]) * 1024


def describe_machine():
    memory = int(first_line("/proc/meminfo", "MemTotal").split()[0]) / (1 << 20)
    return {"processor": first_line("/proc/cpuinfo", "model name"), "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(memory, 1), "kernel": os.uname().release}


def find_swift():
    """The compiler that all scripts take."""
    ran = subprocess.run(["bash", "-c", 'source "$0"; find_swift && printf %s "$SWIFT"', COMMON],
                         capture_output=True, text=True)
    if ran.returncode:
        raise Failure("there is no Swift that is new enough")
    return ran.stdout


def need_tools(*tools):
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        raise Failure(f"these programs are missing: {', '.join(missing)}")
