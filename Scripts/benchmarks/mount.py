"""The subject `mount`: how fast files can be looked at and read in a mounted backup."""

import os
import sys
import time

from . import options as common
from . import peers as programs
from .places import folder_for_copies, work_folder
from .report import Measurements, header_of, mebibytes, print_complaints, print_header, print_numbers, table, write_json
from .system import Failure, activity_of, memory_of, need_tools, run, say, totals, warm_up
from .trees import chosen_trees
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


def add_options(parser):
    common.add_trees(parser)
    common.add_peers(parser, programs.MOUNTING)
    common.add_works(parser, SMALL_TREE)
    common.add_running(parser)
    common.add_keep(parser)


# Measuring

class Bench:
    """Measurements of several peers in one tree."""

    def __init__(self, title, tree, works, peers, work, copies, runs):
        self.title, self.tree, self.works, self.peers, self.runs = title, tree, works, peers, runs
        self.scene = Scene(tree, copies)
        self.folders = {peer.name: programs.folder_of(work, peer, tree) for peer in peers}
        self.points = {peer.name: str(work / "mounts" / peer.name) for peer in peers}
        self.measured = Measurements(METRICS)
        self.requests = {}                                # work -> peer -> kind -> count
        self.memory = {}                                  # peer -> peak, and the most it had after a work
        self.idle = {}                                    # peer -> processor time and wake-ups of a mount at rest

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
        # What the peer has on disk.
        warm_up(folder if peer.makes_backups else self.tree)
        with peer.mounted(folder, self.tree, self.points[peer.name]) as mounted:
            for metric, value in work(mounted.tree, self.scene).items():
                self.measured.note(metric, peer, value)
            # The limit program reads the whole tree into memory first: neither says anything about it.
            if mounted.process and peer.name != "limit":
                self.measured.note("first_ls", peer, mounted.first_ls_s)
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
        return {"tree": self.tree, **self.scene.totals, "measured": self.measured.result(), "requests": self.requests,
                "memory": self.memory, "idle": self.idle, "complaints": self.scene.complaints}


# The report

def print_result(title, names, result):
    print(f"### The {title} tree: {result['entries']:,} entries, {mebibytes(result['bytes'])}\n")
    print_numbers(names, result["measured"], METRICS)
    print_drivers(result)
    print_requests(result)
    print_complaints(result["complaints"])
    sys.stdout.flush()


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
    common.check_runs(options)
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise Failure("/dev/fuse is missing or may not be used, and without it nothing can be mounted")
    need_tools("find", "xargs", "cat", "cp", "ls", "stat", "bash", "umount" if os.geteuid() == 0 else "fusermount3")


def measure_in(work, copies, trees, options, made):
    found = programs.chosen_peers(programs.MOUNTING, options, work)
    header = header_of(found, options.runs, work, copies)
    print_header("Mount", header, "Each work was done in a fresh mount, with everything on disk in the page cache.")
    results = {}
    for title, tree in trees.items():
        wanted = common.wanted_works(options, SMALL_TREE)
        works = {name: do for name, do in (SMALL_TREE if title == "small" else BIG_TREE).items() if name in wanted}
        if not works:
            continue
        bench = Bench(title, tree, works, found, work, copies, options.runs)
        programs.prepare(title, tree, found, work, made)
        bench.measure()
        results[title] = bench.result()
        print_result(title, list(header["versions"]), results[title])
        write_json(options, header, {"trees": results})


def main(options):
    check(options)
    trees = chosen_trees(options)
    largest = max((totals(tree)["bytes"] for tree in trees.values()), default=0)
    made = []
    with work_folder(options) as work, folder_for_copies(work, 2 * largest) as copies:
        try:
            measure_in(work, copies, trees, options, made)
        finally:
            (work / "limit").unlink(missing_ok=True)
            programs.give_up(made, work, options.keep)
