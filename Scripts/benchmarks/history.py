"""The work `history` of the subject `write`: many snapshots of a tree that changes from one to the next."""

import os
import shutil
import statistics
import sys

from .report import Metric, mebibytes, print_complaints, table
from .restoring import restore
from .system import Failure, say, totals, warm_up
from .trees import change

SNAPSHOTS = 100
SECONDS, GROWTH = Metric("time", "s"), Metric("growth", "KiB")
# Changes of its own, so that they are the same whatever was measured before.
FIRST_CHANGE = 1000


def add_options(parser):
    parser.add_argument("--history", metavar="N", type=int, default=SNAPSHOTS,
                        help=f"how many snapshots the work history makes (default {SNAPSHOTS}); 0 leaves it out")
    parser.add_argument("--history-tree", metavar="DIR", help="what it makes them of (default: the small tree)")


def check(options):
    if options.history < 0:
        raise Failure("--history wants 0 or more")


class Past:
    """A repository with its snapshots."""

    def __init__(self, peer, folder):
        self.peer, self.folder = peer, folder
        self.seconds, self.growth, self.peak = [], [], 0
        self.name = None

    def begin(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.peer.create(self.folder)

    @property
    def stored(self):
        return totals(self.folder / "repository")["bytes"]

    def add(self, tree, number):
        self.name = f"snapshot-{number}"
        before = self.stored
        os.sync()
        usage = self.peer.backup_command(self.folder, tree, self.name).measure()
        self.seconds.append(usage.seconds)
        self.growth.append((self.stored - before) / (1 << 10))
        self.peak = max(self.peak, usage.peak)

    def restore(self, tree, copies, complaints):
        """The seconds that bringing the last one back takes."""
        warm_up(self.folder)
        return restore(self.peer, self.folder, tree, self.name, copies / "restored", complaints).seconds


def measure(tree, peers, work, copies, options):
    peers = [peer for peer in peers if peer.is_incremental]
    pasts = {peer.name: Past(peer, work / f"history-{peer.name}") for peer in peers}
    # The same tree without a past.
    fresh = {peer.name: Past(peer, work / f"fresh-{peer.name}") for peer in peers}
    result = {**totals(tree), "snapshots": options.history, "peers": {}, "complaints": []}
    try:
        make_snapshots(tree, pasts.values(), options.history)
        make_snapshots(tree, fresh.values(), 1)
        for name, past in pasts.items():
            say(f"history: restoring with {name}")
            # In turns.
            times = [(past.restore(tree, copies, result["complaints"]),
                      fresh[name].restore(tree, copies, result["complaints"])) for _ in range(options.runs)]
            result["peers"][name] = {"seconds": past.seconds, "growth_kib": past.growth, "peak": past.peak,
                                     "stored": past.stored, "stored_fresh": fresh[name].stored,
                                     "restore": {"last": [last for last, _ in times],
                                                 "fresh": [other for _, other in times]}}
    finally:
        for past in (*pasts.values(), *fresh.values()):
            shutil.rmtree(past.folder, ignore_errors=True)
    return result


def make_snapshots(tree, pasts, count):
    """The first one is of the tree as it is; before each further one it changes."""
    for past in pasts:
        past.begin()
    for number in range(count):
        if number % 10 == 0:
            say(f"history: snapshot {number + 1} of {count}")
        if number:
            change(tree, FIRST_CHANGE + number)
        warm_up(tree)
        for past in pasts:
            past.add(tree, number)


def print_result(result):
    found = result["peers"]
    print(f"### {result['snapshots']} snapshots, 1 % changed before each: {result['entries']:,} entries, "
          f"{mebibytes(result['bytes'])}\n")
    rows = []
    for key, metric in (("seconds", SECONDS), ("growth_kib", GROWTH)):
        shown = {"the first, of all": lambda values: values[0]}
        if result["snapshots"] > 1:
            shown |= {"the second": lambda values: values[1],
                      "median of those after the first": lambda values: statistics.median(values[1:]),
                      "the last": lambda values: values[-1],
                      "the largest after the first": lambda values: max(values[1:])}
        rows += [[f"{metric.label}, {metric.unit}: {label}"] + [metric.show(pick(one[key])) for one in found.values()]
                 for label, pick in shown.items()]
    rows.append(["largest memory of a backup"] + [mebibytes(one["peak"]) for one in found.values()])
    rows.append(["stored in the end"] + [mebibytes(one["stored"]) for one in found.values()])
    rows.append(["stored by a fresh repository"] + [mebibytes(one["stored_fresh"]) for one in found.values()])
    best = {name: {kind: min(values) for kind, values in one["restore"].items()} for name, one in found.items()}
    for kind, label in (("last", "restoring the last one"), ("fresh", "restoring the same from a fresh repository")):
        rows.append([f"{label}, s"] + [SECONDS.show(one[kind]) for one in best.values()])
    rows.append(["how many times as long"] + [f"{one['last'] / one['fresh']:.2f}" for one in best.values()])
    print(table(["history", *found], rows))
    print_complaints(result["complaints"])
    sys.stdout.flush()
