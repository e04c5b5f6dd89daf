"""The subject `mount`: how fast files can be looked at and read in a mounted backup."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time

from . import peers as programs
from .report import mebibytes, ratio, table
from .system import (Failure, activity_of, available_memory, describe_machine, file_system_of, memory_of, need_tools,
                     run, say, shell, totals)
from .works import BIG_TREE, METRICS, SMALL_TREE, Scene

DESCRIPTION = """Compare reading a mounted backup with other programs.

Makes a backup of a tree with each program that is installed, mounts it, and measures works such as `find -ls` and
`cp -a` in it. Two more columns show what is possible: "limit" is a file system that holds the tree in memory and does
nothing else, so that it shows what FUSE itself costs; "none" is the source directory without any mount.

Each work is done in a fresh mount, while everything on disk is in the page cache. The programs take turns, so that a
slow moment of the machine does not hit one of them alone; give --runs 3 or more on a machine that others use, too.
The tables go to the standard output as Markdown, and progress to the standard error.

It needs /dev/fuse, gcc with libfuse3-dev for the limit program, and restic, borg, squashfuse and mksquashfs as far as
they are to be compared. Whatever else the machine does meanwhile makes the numbers worse.
"""

IDLE_SECONDS = 5
SHARED_MEMORY = "/dev/shm"


def add_options(parser):
    parser.add_argument("--small", metavar="DIR",
                        help="a tree with many small files (default: the largest Python below ~/.pyenv/versions, "
                             "otherwise /usr/share)")
    parser.add_argument("--big", metavar="DIR",
                        help="a tree with large files, or \"none\" (default: the Swift toolchain)")
    parser.add_argument("--only", metavar="PEERS",
                        help=f"measure only these, separated by commas: {', '.join(programs.NAMES)}")
    parser.add_argument("--works", metavar="WORKS",
                        help="do only these, separated by commas: find, cat, cp, random, one_reader, four_readers")
    parser.add_argument("--also", metavar="NAME=FOLDER", action="append", default=[],
                        help="measure the yester in this folder as well, under this name; can be given several times")
    parser.add_argument("--runs", metavar="N", type=int, default=3, help="how often each work is done (default 3)")
    parser.add_argument("--json", metavar="FILE", help="write all numbers into this file")
    parser.add_argument("--keep", action="store_true", help="keep the backups for the next run with the same --work")
    parser.add_argument("--work", metavar="DIR",
                        help="where backups are made, and used again when they are there (default: a new folder in "
                             "/var/tmp)")


# Trees

def default_small():
    pythons = pathlib.Path.home() / ".pyenv" / "versions"
    versions = [path for path in pythons.glob("*") if path.is_dir() and not path.is_symlink()]
    return max(versions, key=lambda path: totals(path)["entries"], default="/usr/share")


def default_big():
    swift = shutil.which("swift")
    return pathlib.Path(os.path.realpath(swift)).parent.parent if swift else None


def tree_at(path):
    tree = os.path.realpath(path)
    if not os.path.isdir(tree):
        raise Failure(f"{path} is no directory")
    return tree


# Measuring

def wanted_works(works, names):
    """Those of `works` that the option names; all without it."""
    if names is None:
        return works
    wanted = names.split(",")
    unknown = set(wanted) - set(SMALL_TREE) - set(BIG_TREE)
    if unknown:
        raise Failure(f"there is no work named {sorted(unknown)[0]}; there are {', '.join(SMALL_TREE)}")
    return {name: work for name, work in works.items() if name in wanted}


class Bench:
    """Measurements of several peers in one tree."""

    def __init__(self, title, tree, works, peers, work, copies, runs):
        self.title, self.tree, self.works, self.peers, self.runs = title, tree, works, peers, runs
        self.scene = Scene(tree, copies)
        mark = hashlib.sha256(os.fsencode(tree)).hexdigest()[:8]
        self.folders = {peer.name: work / f"{peer.name}-{mark}" for peer in peers}
        self.points = {peer.name: str(work / "mounts" / peer.name) for peer in peers}
        self.values = {name: {} for name in METRICS}      # metric -> peer -> all values
        self.requests = {}                                # work -> peer -> kind -> count
        self.memory = {}                                  # peer -> peak, and the most it had after a work
        self.idle = {}                                    # peer -> processor time and wake-ups of a mount at rest

    def prepare(self, made):
        """Makes the backups that are not there yet; appends to `made` the folders that it makes."""
        for peer in self.peers:
            folder = self.folders[peer.name]
            # Written at the end, so that nobody takes an unfinished backup for one.
            finished = folder / "finished"
            if finished.exists():
                continue
            shutil.rmtree(folder, ignore_errors=True)
            made.append(folder)
            folder.mkdir(parents=True)
            if peer.makes_backups:
                say(f"{self.title}: making a backup with {peer.name}")
            peer.prepare(folder, self.tree)
            finished.touch()

    def warm_up(self, peer):
        """Reads what the peer has on disk, so that the work finds it in the page cache."""
        shell('find "$1" "$2" -type f -print0 | xargs -0 -r cat > /dev/null', self.folders[peer.name],
              self.folders[peer.name] if peer.makes_backups else self.tree)

    def measure(self):
        for number in range(self.runs):
            for name, work in self.works.items():
                for peer in self.peers:
                    say(f"{self.title}: {name} with {peer.name}, run {number + 1} of {self.runs}")
                    self.measure_work(peer, name, work)
        for peer in self.peers:
            if peer.name != "none":
                self.measure_idle(peer)

    def measure_work(self, peer, name, work):
        folder = self.folders[peer.name]
        self.warm_up(peer)
        with peer.mounted(folder, self.tree, self.points[peer.name]) as mounted:
            for metric, value in work(mounted.tree, self.scene).items():
                self.values[metric].setdefault(peer.name, []).append(value)
            # The limit program reads the whole tree into memory first: neither says anything about it.
            if mounted.process and peer.name != "limit":
                self.values["first_ls"].setdefault(peer.name, []).append(mounted.first_ls_s)
                self.note_memory(peer, memory_of(mounted.process))
            counts = peer.requests(folder, mounted.point)
        counts = counts or peer.requests_afterwards(folder)
        if counts:
            self.requests.setdefault(name, {})[peer.name] = counts

    def note_memory(self, peer, found):
        known = self.memory.setdefault(peer.name, {"peak": 0, "now": 0})
        for kind in known:
            known[kind] = max(known[kind], found[kind])

    def measure_idle(self, peer):
        with peer.mounted(self.folders[peer.name], self.tree, self.points[peer.name]) as mounted:
            run(["ls", mounted.tree])
            time.sleep(1)
            time_before, sleeps_before = activity_of(mounted.process)
            time.sleep(IDLE_SECONDS)
            time_after, sleeps_after = activity_of(mounted.process)
        self.idle[peer.name] = {"processor_ms": round((time_after - time_before) * 1000),
                                "sleeps": sleeps_after - sleeps_before}

    # Results

    def result(self):
        measured = {metric: {peer: {"values": values, "best": METRICS[metric].best(values),
                                    "median": statistics.median(values)} for peer, values in by_peer.items()}
                    for metric, by_peer in self.values.items() if by_peer}
        return {"tree": self.tree, **self.scene.totals, "measured": measured, "requests": self.requests,
                "memory": self.memory, "idle": self.idle, "complaints": self.scene.complaints}


# The report

def print_header(header):
    print("## Mount\n")
    machine = header["machine"]
    print(f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB of memory, "
          f"Linux {machine['kernel']}. Backups on {header['backups_on']}, copies to {header['copies_on']}.\n")
    print("Programs: " + "; ".join(f"{name}: {version}" for name, version in header["versions"].items()) + ".\n")
    runs = header["runs"]
    numbers = f"the best of {runs} runs, with the median in brackets where it differs" if runs > 1 else "of one run"
    print(f"Each number is {numbers}. "
          "Each work was done in a fresh mount, with everything on disk in the page cache.\n")


def print_result(title, names, result):
    print(f"### The {title} tree: {result['entries']:,} entries, {mebibytes(result['bytes'])}\n")
    print_numbers(names, result)
    print_drivers(result)
    print_requests(result)
    for complaint in result["complaints"]:
        print(f"Attention: {complaint}\n")
    sys.stdout.flush()


def print_numbers(names, result):
    rows, ratios = [], []
    for key, by_peer in result["measured"].items():
        metric = METRICS[key]
        row = [f"{metric.label}, {metric.unit}"]
        ratio_row = [metric.label]
        for name in names:
            found = by_peer.get(name)
            row.append(metric.show_all(found) if found else "–")
            ratio_row.append(ratio(metric, found and found["best"], by_peer.get("yester", {}).get("best")))
        rows.append(row)
        ratios.append(ratio_row)
    print(table(["work", *names], rows))
    if "yester" in names and len(names) > 1:
        print("How many times as long as with yester it takes (by the best runs):\n")
        print(table(["work", *names], ratios))


def print_drivers(result):
    names = list(result["idle"])
    if not names:
        return
    memory, idle = result["memory"], result["idle"]
    rows = [["largest memory of the driver"] + [mebibytes(memory[n]["peak"]) if n in memory else "–" for n in names],
            ["memory after a work, at most"] + [mebibytes(memory[n]["now"]) if n in memory else "–" for n in names],
            [f"processor time at rest, ms in {IDLE_SECONDS} s"] + [idle[n]["processor_ms"] for n in names],
            [f"wake-ups at rest in {IDLE_SECONDS} s"] + [idle[n]["sleeps"] for n in names]]
    print(table(["driver", *names], rows))


def print_requests(result):
    counted = {(work, peer): counts for work, by_peer in result["requests"].items() for peer, counts in by_peer.items()}
    # What is asked once or twice, such as OPEN, is not worth a column.
    kinds = sorted({kind for counts in counted.values() for kind, count in counts.items() if count > 2})
    if not kinds:
        return
    print("FUSE requests from the mount to the end of the work, in the last run:\n")
    rows = [[f"{work}, {peer}"] + [f"{counts.get(kind, 0):,}" for kind in kinds]
            for (work, peer), counts in counted.items()]
    print(table(["work", *kinds], rows))


# Running

def check(options):
    if options.runs < 1:
        raise Failure("--runs wants at least 1")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise Failure("/dev/fuse is missing or may not be used, and without it nothing can be mounted")
    need_tools("find", "xargs", "cat", "cp", "ls", "stat", "bash", "umount" if os.geteuid() == 0 else "fusermount3")


def place_for_copies(work, trees):
    """Memory where there is plenty of it, since a disk would be measured otherwise; the work folder if not."""
    largest = max(totals(tree)["bytes"] for tree in trees)
    with contextlib.suppress(OSError):
        if min(available_memory(), shutil.disk_usage(SHARED_MEMORY).free) > 4 * largest:
            return SHARED_MEMORY
    return work


def measure_in(work, options):
    trees = {"small": tree_at(options.small or default_small())}
    big = options.big or default_big()
    if big and str(big) != "none":
        trees["big"] = tree_at(big)
    found = programs.all_peers(work, options.only, options.also)
    if not found:
        raise Failure("there is nothing to measure")
    made = []
    copies = pathlib.Path(tempfile.mkdtemp(prefix="yester-bench-", dir=place_for_copies(work, trees.values())))
    try:
        header = {"machine": describe_machine(), "versions": {peer.name: peer.version() for peer in found},
                  "runs": options.runs, "backups_on": file_system_of(work), "copies_on": file_system_of(copies)}
        for name, version in header["versions"].items():
            say(f"{name}: {version}")
        print_header(header)
        results = {}
        for title, tree in trees.items():
            works = wanted_works(SMALL_TREE if title == "small" else BIG_TREE, options.works)
            if not works:
                continue
            bench = Bench(title, tree, works, found, work, copies, options.runs)
            bench.prepare(made)
            bench.measure()
            results[title] = bench.result()
            print_result(title, list(header["versions"]), results[title])
            # After each tree: what was measured stays when the next one is broken off.
            if options.json:
                pathlib.Path(options.json).write_text(json.dumps(header | {"trees": results}, indent=2) + "\n")
    finally:
        shutil.rmtree(copies, ignore_errors=True)
        for folder in made if not options.keep else []:
            shutil.rmtree(folder, ignore_errors=True)


def main(options):
    check(options)
    work = pathlib.Path(options.work or tempfile.mkdtemp(prefix="yester-bench-", dir="/var/tmp")).resolve()
    is_new = not options.work or not work.exists()
    work.mkdir(parents=True, exist_ok=True)
    try:
        measure_in(work, options)
    finally:
        if options.keep:
            say(f"The backups are kept in {work}.")
        else:
            # A folder in which a mount is left must not be emptied.
            with contextlib.suppress(OSError):
                for point in (work / "mounts").glob("*"):
                    point.rmdir()
                (work / "mounts").rmdir()
                (work / "limit").unlink(missing_ok=True)
                if is_new:
                    work.rmdir()
