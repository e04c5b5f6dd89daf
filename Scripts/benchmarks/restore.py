"""The subject `restore`: how fast a whole tree is brought back."""

import sys

from . import options as common
from . import peers as programs
from .places import folder_for_copies, work_folder
from .report import (Measurements, Metric, header_of, mebibytes, print_complaints, print_header, print_numbers,
                     write_json)
from .restoring import restore
from .system import need_tools, say, totals, warm_up
from .trees import chosen_trees

DESCRIPTION = """Compare restoring a whole tree with other programs.

Makes a backup of a tree with each program that is installed, and restores it into an empty directory: `yester restore`,
`restic restore`, `borg extract`, `unsquashfs`, and "tar", which is `openssl enc -d | zstd -d | tar -x`. After each run
the number of entries and bytes are compared with the source, and after the last one every entry with its content. The
largest memory is that of the largest process, and not the sum of them.

Repositories are in the folder of --work and in the page cache, and what is restored goes to memory where there is
enough of it. The programs take turns; give --runs 3 or more on a machine that others use, too. The tables go to the
standard output as Markdown, and progress to the standard error.
"""

METRICS = {"restore": Metric("restore all", "s"), "restore_memory": Metric("restore all: largest memory", "MiB")}


def add_options(parser):
    common.add_trees(parser)
    common.add_peers(parser, programs.WRITING)
    common.add_running(parser)
    common.add_keep(parser)


def measure_tree(title, tree, peers, work, copies, runs):
    measured, complaints = Measurements(METRICS), []
    for number in range(runs):
        for peer in peers:
            say(f"{title}: restore with {peer.name}, run {number + 1} of {runs}")
            folder = programs.folder_of(work, peer, tree)
            warm_up(folder)
            usage = restore(peer, folder, tree, programs.BACKUP, copies / "restored", complaints,
                            is_compared=number + 1 == runs)
            measured.note("restore", peer, usage.seconds)
            measured.note("restore_memory", peer, usage.peak / (1 << 20))
    return {"tree": tree, **totals(tree), "measured": measured.result(), "complaints": complaints}


def print_result(title, names, result):
    print(f"### The {title} tree: {result['entries']:,} entries, {mebibytes(result['bytes'])}\n")
    print_numbers(names, result["measured"], METRICS, of="long as with yester it takes, or as much")
    print_complaints(result["complaints"])
    sys.stdout.flush()


def measure_in(work, copies, trees, options, made):
    found = programs.chosen_peers(programs.WRITING, options, work)
    header = header_of(found, options.runs, work, copies)
    print_header("Restoring", header, "The repository was in the page cache, and the directory to restore to empty.")
    results = {}
    for title, tree in trees.items():
        programs.prepare(title, tree, found, work, made)
        results[title] = measure_tree(title, tree, found, work, copies, options.runs)
        print_result(title, list(header["versions"]), results[title])
        write_json(options, header, {"trees": results})


def main(options):
    common.check_runs(options)
    need_tools("find", "xargs", "cat", "stat", "bash")
    trees = chosen_trees(options)
    largest = max((totals(tree)["bytes"] for tree in trees.values()), default=0)
    made = []
    with work_folder(options) as work, folder_for_copies(work, largest) as copies:
        try:
            measure_in(work, copies, trees, options, made)
        finally:
            programs.give_up(made, work, options.keep)
