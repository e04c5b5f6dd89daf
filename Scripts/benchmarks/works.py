"""What is done in a mounted tree, and what is measured in doing it.

A work is a function that gets where the tree is and a `Scene`, and gives its numbers by the names in METRICS.
"""

import contextlib
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import tempfile
import time

from .report import Metric
from .system import Failure, files_below, seconds_of, shell, started, totals
from .trees import SEED

MIB = 1 << 20
RANDOM_READS = 2000
RANDOM_READ_BYTES = 4096
READERS = 4


METRICS = {
    "find": Metric("`find -ls`", "s"),
    "cat": Metric("`cat` of all files", "s"),
    "cp": Metric("`cp -a` of all", "s"),
    "random_median": Metric("random read of 4 KiB, median", "µs"),
    "random_p99": Metric("random read of 4 KiB, 99th percentile", "µs"),
    "one_reader": Metric("one reader of all files", "MiB/s", is_rate=True),
    "four_readers": Metric("four readers, a quarter each", "MiB/s", is_rate=True),
    "first_ls": Metric("mount until the first `ls`", "s"),
}


class Scene:
    """What works need to know of the source tree, looked up once and before anything is measured."""

    def __init__(self, source, copies):
        self.source, self.copies = source, pathlib.Path(copies)
        self.totals = totals(source)
        self._files = None
        # What a peer showed wrongly; it may be fast because it shows less.
        self.complaints = []

    @property
    def files(self):
        if self._files is None:
            self._files = files_below(self.source)
        return self._files

    def quarters(self):
        """The files in as many lists as there are readers, each a stretch of the tree with as many bytes."""
        share = sum(size for _, size in self.files) / READERS + 1
        lists, before = [[] for _ in range(READERS)], 0
        for path, size in self.files:
            lists[int(before / share)].append(path)
            before += size
        return lists

    def random_reads(self):
        """Places for random reads in files over 1 MiB, or in the largest ones of a small tree; always the same."""
        rng = random.Random(SEED)
        large = [one for one in self.files if one[1] > MIB] or sorted(self.files, key=lambda one: -one[1])[:10]
        chosen = [rng.choice(large) for _ in range(RANDOM_READS)]
        return [(path, rng.randrange(max(1, size // RANDOM_READ_BYTES)) * RANDOM_READ_BYTES) for path, size in chosen]


def find(tree, scene):
    # Through a pipe, so that nobody notices that nobody reads it.
    return {"find": seconds_of(lambda: shell('find "$1" -ls | cat > /dev/null', tree))}


def cat(tree, scene):
    return {"cat": seconds_of(lambda: shell('find "$1" -type f -print0 | xargs -0 cat > /dev/null', tree))}


def copy(tree, scene):
    target = scene.copies / "copy"
    try:
        taken = seconds_of(lambda: shell('cp -a -- "$1" "$2"', tree, target))
        copied = totals(target)
        if copied != scene.totals:
            scene.complaints.append(f"the copy from {tree} has {copied}, and the source has {scene.totals}")
    finally:
        shutil.rmtree(target, ignore_errors=True)
    return {"cp": taken}


def random_reads(tree, scene):
    places = scene.random_reads()
    taken = []
    for path, offset in places:
        begin = time.perf_counter_ns()
        fd = os.open(os.path.join(tree, path), os.O_RDONLY)
        os.pread(fd, RANDOM_READ_BYTES, offset)
        os.close(fd)
        taken.append((time.perf_counter_ns() - begin) / 1000)
    taken.sort()
    return {"random_median": statistics.median(taken), "random_p99": taken[len(taken) * 99 // 100]}


def read_lists(tree, lists, scene):
    """Reads lists of files at the same time and gives MiB per second."""
    with contextlib.ExitStack() as stack:
        # In files: through a pipe, one reader would wait until another one has got its list.
        inputs = []
        for paths in lists:
            file = stack.enter_context(tempfile.TemporaryFile())
            file.write(b"".join(os.fsencode(path) + b"\0" for path in paths))
            file.seek(0)
            inputs.append(file)

        def read_all():
            readers = [stack.enter_context(started(["xargs", "-0", "-r", "cat", "--"], cwd=tree, stdin=file,
                                                   stdout=subprocess.DEVNULL)) for file in inputs]
            if any([reader.wait() for reader in readers]):
                raise Failure(f"reading below {tree} failed")
        return scene.totals["bytes"] / MIB / seconds_of(read_all)


def one_reader(tree, scene):
    return {"one_reader": read_lists(tree, [sum(scene.quarters(), [])], scene)}


def four_readers(tree, scene):
    return {"four_readers": read_lists(tree, scene.quarters(), scene)}


# Names of works are those of their main metric, where they have one.
SMALL_TREE = {"find": find, "cat": cat, "cp": copy, "random": random_reads, "one_reader": one_reader,
              "four_readers": four_readers}
BIG_TREE = {"cat": cat, "cp": copy}
