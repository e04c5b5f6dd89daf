"""The subject `write`: how fast backups are made, how much they store, and how fast they are verified."""

import os
import shutil
import sys

from . import history
from . import options as common
from . import peers as programs
from .places import folder_for_copies, work_folder
from .report import Measurements, Metric, header_of, mebibytes, print_header, print_numbers, write_json
from .system import need_tools, run, say, totals, warm_up
from .trees import change, chosen_trees, tree_at

DESCRIPTION = """Compare making backups with other programs.

Works on a copy of each tree, and does with each program that is installed:

  first      the first backup into a new repository
  unchanged  the same again
  changed    the same after one file of a hundred has changed: a tenth of it, at a place that a fixed rule chooses
  verify     opening and checking all data: `yester verify --level data`, `restic check --read-data`,
             `borg check --verify-data`
  history    100 snapshots (--history N) of a tree that changes in this way before each of them: time and growth of
             them, and how long restoring the last one takes beside restoring the same from a fresh repository

For all of them the largest memory is told, too: that of the largest process, and not the sum of them. What is stored
is the sum of the sizes of all files of the repository.

yester has a key file. borg uses lz4 and repokey-blake2. "tar" is `tar | zstd -1 -T2 | openssl enc -aes-256-ctr`,
"squashfs" is mksquashfs with zstd at level 1. Neither of these can build on an earlier backup, so that the times for an
unchanged and a changed tree are those of a whole one. Neither waits for the disk, as backup programs do, and squashfs
encrypts nothing.

The programs take turns, and the source is in the page cache; before each measured run all that was written before is
brought to disk. Repositories are made in the folder of --work, the copies in memory where there is enough of it. Give
--runs 3 or more on a machine that others use, too. The tables go to the standard output as Markdown, and progress to
the standard error.
"""

LABELS = {"first": "first backup", "unchanged": "unchanged", "changed": "1 % changed", "verify": "verify all data"}
WORKS = (*LABELS, "history")
METRICS = {
    **{work: Metric(label, "s") for work, label in LABELS.items()},
    **{f"{work}_memory": Metric(f"{label}: largest memory", "MiB") for work, label in LABELS.items()},
    "stored": Metric("stored after the first backup", "MiB"),
    "growth_unchanged": Metric("growth by an unchanged one", "KiB"),
    "growth_changed": Metric("growth by 1 % changed", "KiB"),
}


def add_options(parser):
    common.add_trees(parser)
    common.add_peers(parser, programs.WRITING)
    common.add_works(parser, WORKS)
    history.add_options(parser)
    common.add_running(parser)


class Bench:
    """Measurements of several peers with one tree, of which this has a copy of its own."""

    def __init__(self, title, tree, works, peers, work, runs):
        self.title, self.tree, self.works, self.peers, self.runs = title, tree, works, peers, runs
        self.folders = {peer.name: work / f"write-{peer.name}" for peer in peers}
        self.measured = Measurements(METRICS)
        self.changes = 0

    def measure(self):
        try:
            for number in range(self.runs):
                self.measure_run(number)
        finally:
            for folder in self.folders.values():
                shutil.rmtree(folder, ignore_errors=True)

    def measure_run(self, number):
        """One work after the other with fresh repositories, as far as the last one that is wanted."""
        for peer in self.peers:
            folder = self.folders[peer.name]
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            peer.create(folder)
        last = max(list(LABELS).index(work) for work in self.works)
        for work in list(LABELS)[:last + 1]:
            if work not in self.works and work not in ("first", "changed"):
                continue
            if work == "changed":
                # Every peer finds the same change.
                self.changes += 1
                change(self.tree, self.changes)
            for peer in self.peers:
                say(f"{self.title}: {work} with {peer.name}, run {number + 1} of {self.runs}")
                self.measure_work(work, peer)

    def measure_work(self, work, peer):
        folder = self.folders[peer.name]
        if work == "verify":
            command = peer.verify_command(folder)
        else:
            command = peer.backup_command(folder, self.tree, work)
        if not command:
            return
        before = totals(folder / "repository")["bytes"]
        warm_up(self.tree, folder)
        os.sync()
        usage = command.measure()
        if work not in self.works:
            return
        self.measured.note(work, peer, usage.seconds)
        self.measured.note(f"{work}_memory", peer, usage.peak / (1 << 20))
        size = totals(folder / "repository")["bytes"]
        if work == "first":
            self.measured.note("stored", peer, size / (1 << 20))
        elif work != "verify":
            self.measured.note(f"growth_{work}", peer, (size - before) / (1 << 10))


def print_result(title, names, result):
    print(f"### The {title} tree: {result['entries']:,} entries, {mebibytes(result['bytes'])}\n")
    print_numbers(names, result["measured"], METRICS, of="long as with yester it takes, or as much")
    whole = [name for name in ("tar", "squashfs") if name in names]
    if whole:
        print(f"{' and '.join(whole)}: a whole backup every time.\n")
    sys.stdout.flush()


def copy_of(tree, copies):
    """A copy that may be changed."""
    say(f"copying {tree}")
    copy = copies / "source"
    shutil.rmtree(copy, ignore_errors=True)
    run(["cp", "-a", "--", tree, copy])
    return str(copy)


def measure_in(work, copies, trees, wanted, options):
    found = programs.chosen_peers(programs.WRITING, options, work)
    header = header_of(found, options.runs, work, copies)
    print_header("Making backups", header, "The source was in the page cache, and all that was written before on disk.")
    works = [name for name in wanted if name != "history"]
    names, results = list(header["versions"]), {"trees": {}}
    for title, tree in trees.items() if works else ():
        copy = copy_of(tree, copies)
        bench = Bench(title, copy, works, found, work, options.runs)
        size = totals(copy)
        bench.measure()
        results["trees"][title] = {"tree": tree, **size, "measured": bench.measured.result()}
        print_result(title, names, results["trees"][title])
        write_json(options, header, results)
    tree = history_tree(options, trees)
    if "history" in wanted and tree:
        copy = copy_of(tree, copies)
        results["history"] = {"tree": tree, **history.measure(copy, found, work, copies, options)}
        history.print_result(results["history"])
        write_json(options, header, results)


def history_tree(options, trees):
    if not options.history:
        return None
    return tree_at(options.history_tree) if options.history_tree else trees.get("small")


def main(options):
    common.check_runs(options)
    history.check(options)
    wanted = common.wanted_works(options, WORKS)
    need_tools("find", "xargs", "cat", "cp", "stat", "bash")
    trees = chosen_trees(options)
    every = [tree for tree in (*trees.values(), history_tree(options, trees)) if tree]
    largest = max((totals(tree)["bytes"] for tree in every), default=0)
    # The history restores beside the copy.
    with work_folder(options) as work, folder_for_copies(work, 2 * largest) as copies:
        measure_in(work, copies, trees, wanted, options)
