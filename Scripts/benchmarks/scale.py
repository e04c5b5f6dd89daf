"""The subject `scale`: what yester takes for very many files, and for very large ones."""

import dataclasses
import os
import random
import shutil
import sys
import time
from collections.abc import Callable

from . import options as common
from . import peers as programs
from .generated import Generator
from .places import folder_for_copies, work_folder
from .report import Measurements, Metric, header_of, mebibytes, print_header, print_numbers, write_json
from .system import Failure, memory_of, need_tools, say, totals, warm_up
from .trees import SEED

DESCRIPTION = """Measure yester with very many files, and with very large ones.

Makes trees of each kind, one after the other, and takes them away again:

  files      many files of 0 to 7 bytes, 100 of them in a directory
  directory  as many in a single directory
  sparse     one file of 1 TiB that is a hole but for 16 islands of 1 MiB
  large      one large file, which compresses to less than a half

With each of them: the first backup, an unchanged one, `yester list`, the mount from the command to the first `ls` with
the memory of its driver, looking up one path in the fresh mount, and `yester verify --level structure`.

The trees lie in memory if there is enough of it, otherwise in the folder of --work, where the repositories are: a
million files take 5 GiB of memory, and a large file takes its size. The tables go to the standard output as Markdown,
and progress to the standard error. It needs gcc and /dev/fuse.
"""

FILES_OF_A_DIRECTORY = 100
# What an entry and its page take in memory.
BYTES_OF_A_FILE = 5300
LOOK_UPS = 20
WORKS = {"backup": "first backup", "unchanged": "unchanged backup", "list": "`yester list`",
         "verify": "`yester verify --level structure`"}
METRICS = {
    **{work: Metric(label, "s") for work, label in WORKS.items()},
    **{f"{work}_memory": Metric(f"{label}: largest memory", "MiB") for work, label in WORKS.items()},
    "stored": Metric("stored", "MiB"),
    "first_ls": Metric("mount until the first `ls`", "s"),
    "look_up": Metric("first look-up of a path", "ms"),
    "next_look_up": Metric("look-up of another path, median", "ms"),
    "driver_memory": Metric("largest memory of the driver after that", "MiB"),
}


def add_options(parser):
    parser.add_argument("--files", metavar="N", type=int, default=1_000_000,
                        help="how many files the tree of many directories has (default 1,000,000)")
    parser.add_argument("--directory", metavar="N", type=int, default=1_000_000,
                        help="how many files the single directory has (default 1,000,000)")
    parser.add_argument("--sparse", metavar="GIB", type=int, default=1024,
                        help="the size of the file with holes (default 1024)")
    parser.add_argument("--large", metavar="GIB", type=int, default=8, help="the size of the large file (default 8)")
    common.add_builds(parser)
    common.add_running(parser, runs=1)
    parser.epilog = "0 as a number or size leaves that kind of tree out."


# The trees

@dataclasses.dataclass(frozen=True)
class Kind:
    title: str
    # How much room it takes, in bytes.
    room: int
    make: Callable
    # What its title in the report says of it.
    text: str


def kinds(options):
    """The trees that are wanted."""
    gib = 1 << 30
    every = [
        (options.files, Kind("files", options.files * BYTES_OF_A_FILE,
                             lambda make, top: make.files(top, options.files, FILES_OF_A_DIRECTORY),
                             f"{options.files:,} files in directories of {FILES_OF_A_DIRECTORY}")),
        (options.directory, Kind("directory", options.directory * BYTES_OF_A_FILE,
                                 lambda make, top: make.files(top, options.directory, options.directory),
                                 f"{options.directory:,} files in one directory")),
        (options.sparse, Kind("sparse", 1 << 25, lambda make, top: make.sparse(top / "sparse", options.sparse * gib),
                              f"a file of {options.sparse:,} GiB with holes")),
        (options.large, Kind("large", options.large * gib,
                             lambda make, top: make.large(top / "large", options.large * gib),
                             f"a file of {options.large:,} GiB")),
    ]
    if any(number < 0 for number, _ in every):
        raise Failure("numbers and sizes are not negative")
    return [kind for number, kind in every if number]


def some_paths(tree):
    """Paths of files below the tree, spread over it, always the same."""
    rng, found = random.Random(SEED), []
    for _ in range(LOOK_UPS):
        path = tree
        while os.path.isdir(path):
            path = os.path.join(path, rng.choice(sorted(os.listdir(path))))
        found.append(os.path.relpath(path, tree))
    return found


# Measuring

class Bench:
    """Measurements of builds of yester with one tree."""

    def __init__(self, kind, tree, builds, work):
        self.kind, self.tree, self.builds, self.work = kind, tree, builds, work
        self.paths = some_paths(tree)
        self.measured = Measurements(METRICS)

    def measure(self, runs):
        for number in range(runs):
            for build in self.builds:
                say(f"{self.kind.title}: {build.name}, run {number + 1} of {runs}")
                folder = self.work / f"scale-{build.name}"
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                try:
                    self.measure_build(build, folder)
                finally:
                    shutil.rmtree(folder, ignore_errors=True)

    def measure_build(self, build, folder):
        build.create(folder)
        warm_up(*([self.tree] if self.kind.title != "sparse" else []), folder)
        self.measure_command("backup", build, build.backup_command(folder, self.tree, "first"))
        self.measured.note("stored", build, totals(folder / "repository")["bytes"] / (1 << 20))
        self.measure_command("unchanged", build, build.backup_command(folder, self.tree, "second"))
        self.measure_command("list", build, build.command(folder, "list"))
        self.measure_mount(build, folder)
        self.measure_command("verify", build, build.verify_command(folder, "structure"))

    def measure_command(self, work, build, command):
        os.sync()
        usage = command.measure()
        self.measured.note(work, build, usage.seconds)
        self.measured.note(f"{work}_memory", build, usage.peak / (1 << 20))

    def measure_mount(self, build, folder):
        os.sync()
        with build.mounted(folder, self.tree, str(self.work / "mounts" / build.name)) as mounted:
            taken = []
            for path in self.paths:
                begin = time.perf_counter()
                os.lstat(os.path.join(mounted.tree, path))
                taken.append((time.perf_counter() - begin) * 1000)
            peak = memory_of(mounted.process)["peak"]
        self.measured.note("first_ls", build, mounted.first_ls_s)
        self.measured.note("look_up", build, taken[0])
        if len(set(self.paths)) > 1:
            self.measured.note("next_look_up", build, sorted(taken[1:])[len(taken) // 2])
        self.measured.note("driver_memory", build, peak / (1 << 20))


# Running

def measure_kind(kind, generator, builds, work, copies, options):
    tree = copies / kind.title
    tree.mkdir()
    say(f"{kind.title}: making {kind.text}")
    try:
        kind.make(generator, tree)
        bench = Bench(kind, str(tree), builds, work)
        bench.measure(options.runs)
        return {"text": kind.text, **totals(tree), "measured": bench.measured.result()}
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def print_result(names, result):
    text = result["text"]
    print(f"### {text[0].upper()}{text[1:]}: {result['entries']:,} entries, {mebibytes(result['bytes'])}\n")
    print_numbers(names, result["measured"], METRICS, of="long as with yester it takes, or as much")
    sys.stdout.flush()


def main(options):
    common.check_runs(options)
    need_tools("find", "xargs", "cat", "ls", "stat", "bash", "umount" if os.geteuid() == 0 else "fusermount3")
    wanted = kinds(options)
    builds = programs.usable(programs.builds(options.also))
    room = max((kind.room for kind in wanted), default=0)
    with work_folder(options) as work, folder_for_copies(work, room) as copies:
        generator = Generator(copies)
        header = header_of(builds, options.runs, work, copies)
        print_header("Scale", header, "The source was in the page cache, and all that was written before on disk.")
        results = {}
        for kind in wanted:
            results[kind.title] = measure_kind(kind, generator, builds, work, copies, options)
            print_result(list(header["versions"]), results[kind.title])
            write_json(options, header, {"trees": results})
