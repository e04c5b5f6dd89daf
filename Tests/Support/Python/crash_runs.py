"""Everything that is done with a repository, to be cut off or to fail anywhere; and what has to hold afterwards.

A *world* is a folder with a repository and, beside it, what the client keeps: its key files, its cache, what it
remembers.
All of it is on the disk that suffers.
"""

import concurrent.futures
import dataclasses
import itertools
import os
import pathlib
import random
import shutil

from support.cases import EndToEndTest, make_tree, tree_state
from support.fuse_server import Mounted
from support.machine import DONE, run, WRONG_KEY, YESTER

FIRST, SECOND = "keys/first", "keys/second"


@dataclasses.dataclass
class Run:
    """A command whose every step is a case."""
    name: str
    world: str
    arguments: list
    key: str = FIRST
    # The snapshots that it removes, by their place in the world.
    removes: tuple = ()
    # The keys of which one has to open the repository whenever it ends, and those that do when it has succeeded.
    opened_by: tuple = (FIRST,)
    opened_then: tuple = (FIRST,)
    closed_then: tuple = ()
    # Whether it makes a snapshot of the source.
    adds: bool = False
    # Where there is a repository only when it has succeeded.
    is_init: bool = False
    # What is damaged stays so until it has succeeded: it is begun again.
    mends: bool = False


@dataclasses.dataclass
class World:
    folder: pathlib.Path
    # Of each snapshot: its id, and what its source was like.
    snapshots: list = dataclasses.field(default_factory=list)


class Place:
    """A world at a path, and the program run in it. In its arguments, `@` stands for the path."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def environment(self, key=FIRST):
        names = {name: value for name, value in os.environ.items()
                 if not name.startswith(("YESTER_", "XDG_"))}
        client = self.folder / "client"
        return names | {"YESTER_CACHE_DIR": str(client / "cache"), "YESTER_STATE_DIR": str(client / "state"),
                        "HOME": str(client),
                        "YESTER_REPOSITORY": str(self.folder / "repository"),
                        "YESTER_KEY_FILE": str(self.folder / key), "LC_ALL": "C.UTF-8"}

    def words(self, arguments):
        return [str(word).replace("@", str(self.folder) + "/") if str(word).startswith("@") else word
                for word in arguments]

    def run(self, *arguments, key=FIRST):
        return run([YESTER, *self.words(arguments)], env=self.environment(key))

    def yester(self, *arguments, key=FIRST, status=(DONE,)):
        ran = self.run(*arguments, key=key)
        if ran.status not in status:
            raise AssertionError(f"yester {' '.join(map(str, arguments))}: {ran}")
        return ran


class Worlds:
    """The repositories that the runs begin with, made once by the program itself."""

    def __init__(self, rng, folder):
        self.rng, self.folder = rng, pathlib.Path(folder)
        self.folder.mkdir()
        self.source, self.after = self.folder / "source", self.folder / "after"
        self.after.mkdir()
        (self.after / "new").write_bytes(rng.randbytes(30_000))
        self.worlds = {}
        help_of_prune = run([YESTER, "prune", "--help"]).out
        self.without_age = ["--minimum-age", "0"] if "--minimum-age" in help_of_prune else []
        self.prune = ["prune", "--max-unused", "0", *self.without_age]
        self.has_repair = run([YESTER, "repair", "--help"]).status == 0
        self.can_mend = "--repair" in run([YESTER, "verify", "--help"]).out
        self.make()

    def copy(self, name, new):
        world = World(self.folder / new, list(self.worlds[name].snapshots))
        shutil.copytree(self.worlds[name].folder, world.folder)
        self.worlds[new] = world
        return world, Place(world.folder)

    def snapshot(self, world, place):
        made = place.yester("backup", "--json", self.source).json
        world.snapshots.append((made["id"], tree_state(self.source)))

    def add(self, name, size):
        (self.source / name).write_bytes(self.rng.randbytes(size))

    def make(self):
        make_tree(self.source, files=8, size=3000)
        (self.source / "fifo").unlink()
        empty = self.worlds["empty"] = World(self.folder / "empty")
        for folder in ("keys", "client"):
            (empty.folder / folder).mkdir(parents=True)
        made, place = self.copy("empty", "made")
        place.yester("init", "--key-file", "@" + FIRST)
        # A copy that somebody has made without the folders that were empty. (Without that of packs it is none.)
        bare, place = self.copy("made", "bare")
        for path in (bare.folder / "repository").iterdir():
            if path.is_dir() and path.name != "packs" and not any(path.iterdir()):
                path.rmdir()
        # Three snapshots. The second has data that nobody else has, between others' in packs and in a pack alone.
        three, place = self.copy("made", "three")
        self.add("a", 60_000)
        self.snapshot(three, place)
        for name in ("b", "c", "d"):
            self.add(name, 40_000)
        (self.source / "dir1" / "more").write_bytes(self.rng.randbytes(5000))
        self.snapshot(three, place)
        (self.source / "b").unlink()
        (self.source / "d").unlink()
        self.add("a", 50_000)
        self.snapshot(three, place)
        # A snapshot is gone, and its space is not.
        removed, place = self.copy("three", "removed")
        place.yester("remove", "--yes", "--force", removed.snapshots.pop(1)[0])
        rewritten, place = self.copy("removed", "rewritten")
        place.yester(*self.prune)
        two, place = self.copy("three", "two keys")
        self.second_slot = place.yester("key", "add", "--json", "--new-key-file", "@" + SECOND).json["id"]
        many, place = self.copy("three", "many segments")
        for number in range(5):
            self.add("a", 3000 + number)
            self.snapshot(many, place)
        if self.has_repair:
            bare, _ = self.copy("three", "without index")
            shutil.rmtree(bare.folder / "repository" / "index")
            (bare.folder / "repository" / "index").mkdir()
        if self.can_mend:
            damaged, _ = self.copy("three", "damaged")
            self.damage(damaged.folder / "repository")
        self.add("a", 20_000)

    def damage(self, repository):
        """A flipped byte in the middle of each pack."""
        for pack in (repository / "packs").rglob("*"):
            if pack.is_file():
                data = bytearray(pack.read_bytes())
                data[len(data) // 2] ^= 0x40
                pack.chmod(0o600)
                pack.write_bytes(data)

    def runs(self):
        three = self.worlds["three"]
        second = three.snapshots[1][0]
        runs = [
            Run("init", "empty", ["init", "--key-file", "@" + FIRST], is_init=True),
            Run("first backup", "made", ["backup", self.source], adds=True),
            Run("first backup where folders are missing", "bare", ["backup", self.source], adds=True),
            Run("incremental backup", "three", ["backup", self.source], adds=True),
            Run("backup that merges the index", "many segments", ["backup", self.source], adds=True),
            Run("rotate with prune", "three", ["rotate", "--keep-last", "1", "--max-unused", "0", *self.without_age],
                removes=(0, 1)),
            Run("prune that rewrites packs", "removed", self.prune),
            Run("prune that deletes", "rewritten", self.prune),
            Run("remove", "three", ["remove", "--yes", "--force", second], removes=(1,)),
            Run("annotate", "three", ["annotate", "--description", "told", three.snapshots[0][0]]),
            Run("key add", "three", ["key", "add", "--new-key-file", "@" + SECOND], opened_then=(FIRST, SECOND)),
            Run("key change", "three", ["key", "change-password", "--new-key-file", "@" + SECOND],
                opened_by=(FIRST, SECOND), opened_then=(SECOND,), closed_then=(FIRST,)),
            Run("key rotate", "two keys", ["key", "rotate"], opened_by=(FIRST,)),
            Run("key remove", "two keys", ["key", "remove", self.second_slot], closed_then=(SECOND,)),
        ]
        if self.has_repair:
            runs.append(Run("repair of the index", "without index", ["repair", "--rebuild-index"], mends=True))
        if self.can_mend:
            runs.append(Run("verify that mends", "damaged", ["verify", "--repair"], mends=True))
        return runs

    def readers(self):
        """What only reads, but for notes on what it has seen."""
        three = self.worlds["three"]
        return [
            Run("list", "three", ["list"]),
            Run("verify", "three", ["verify"]),
            Run("restore", "three", ["restore", f"{three.snapshots[0][0]}:{self.source}/a", "--to", "@keys/a"]),
        ]

    def folder_of(self, run):
        return self.worlds[run.world].folder

    def check(self, run, folder, is_done):
        """Looks at what a run has left in a folder. `is_done`: whether it had told success."""
        return Aftermath(self, run, folder, is_done).check()


@dataclasses.dataclass
class Aftermath:
    """What has to hold in a world after a run ended in whatever way. Raises AssertionError where it does not."""
    worlds: Worlds
    run: Run
    folder: pathlib.Path
    is_done: bool
    restores: int = 0

    @property
    def place(self):
        return Place(self.folder)

    def expect(self, condition, message):
        if not condition:
            raise AssertionError(message)

    def check(self):
        if self.run.is_init and not self.is_done and not self.is_repository():
            self.begin_again()
        key = self.find_key()
        if self.run.mends and not self.is_done:
            self.place.yester(*self.run.arguments, key=key)
        world = self.worlds.worlds[self.run.world]
        states = dict(world.snapshots)
        earlier = [one for one, _ in world.snapshots]
        gone = {earlier[place] for place in self.run.removes}
        listed = self.list(key)
        for one in earlier:
            self.expect(one in listed or one in gone, f"snapshot {one} is lost")
        if self.is_done:
            self.expect(not gone & set(listed), f"what was removed is there: {gone & set(listed)}")
            self.expect(not self.run.adds or len(listed) == len(earlier) + 1, "the new snapshot is not there")
        new = set(listed) - set(earlier)
        self.expect(len(new) <= self.run.adds, f"there are strange snapshots: {new}")
        states |= {one: tree_state(self.worlds.source) for one in new}
        self.place.yester("verify", key=key)
        for one in listed:
            self.compare(one, states[one], key)
        self.go_on(key, listed, states)

    def list(self, key):
        return [one["id"] for one in self.place.yester("list", "--json", key=key).json]

    def is_repository(self):
        return (self.folder / "repository" / "config").exists()

    def begin_again(self):
        """A repository that is not made is none: what there is of it can be taken away, and made anew."""
        ran = self.place.run("init", "--key-file", "@" + FIRST)
        if ran.status == DONE:
            return
        self.expect("not empty" in ran.err or "key" in ran.err, f"init does not say what is in its way: {ran}")
        shutil.rmtree(self.folder / "repository", ignore_errors=True)
        (self.folder / FIRST).unlink(missing_ok=True)
        self.place.yester("init", "--key-file", "@" + FIRST)

    def find_key(self):
        """One that opens the repository; those that have to, do, and those that must not, do not."""
        opening = []
        for key in (FIRST, SECOND):
            if (self.folder / key).exists():
                ran = self.place.run("list", "--json", key=key)
                self.expect(ran.status in (DONE, WRONG_KEY) or key not in self.run.opened_by, f"{key}: {ran}")
                if ran.status == DONE:
                    opening.append(key)
        usable = [key for key in self.run.opened_by if key in opening]
        if self.is_done:
            for key in self.run.opened_then:
                self.expect(key in opening, f"{key} does not open the repository")
            for key in self.run.closed_then:
                self.expect(key not in opening, f"{key} still opens the repository")
            usable = list(self.run.opened_then)
        self.expect(usable, "no key opens the repository any more")
        return usable[0]

    def compare(self, snapshot, state, key):
        self.restores += 1
        target = self.folder / f"restored-{self.restores}"
        self.place.yester("restore", f"{snapshot}:{self.worlds.source}", "--to", target, key=key)
        found = tree_state(target)
        if found != state:
            differ = sorted(path for path in set(found) | set(state) if found.get(path) != state.get(path))
            raise AssertionError(f"snapshot {snapshot} differs in {differ[:5]}")
        shutil.rmtree(target)

    def go_on(self, key, listed, states):
        """The next backup and prune succeed, and harm nothing."""
        made = self.place.yester("backup", "--json", self.worlds.source, self.worlds.after, key=key).json["id"]
        states[made] = tree_state(self.worlds.source)
        for _ in range(2):
            self.place.yester(*self.worlds.prune, key=key)
        self.place.yester("verify", key=key)
        self.expect(sorted(self.list(key)) == sorted([*listed, made]), "the next runs changed the list of snapshots")
        for one in [*listed, made]:
            self.compare(one, states[one], key)


class CrashTest(EndToEndTest):
    """A test with worlds, in memory, since the program waits for each of its writes."""

    # Of many failures so many are shown.
    SHOWN = 5

    def setUp(self):
        super().setUp()
        # Each program has a limit of its own, and all of them may take long.
        self.watchdog.cancel()
        # The same cases each time, as far as threads make the same calls in the same order.
        self.seed = os.environ.get("YESTER_SEED", "1")
        self.rng = random.Random(self.seed)
        self.numbers = itertools.count()
        self.ram = self.temp / "ram"
        self.ram.mkdir()
        self.assertEqual(run(["mount", "-t", "tmpfs", "-o", "size=4g", "yester-test", self.ram]).status, 0)
        self.worlds = Worlds(self.rng, self.ram / "worlds")

    def new_folder(self):
        """One that is not there yet."""
        return self.ram / f"folder-{next(self.numbers)}"

    def run_on(self, disk, one):
        """A run on a disk that is mounted for it."""
        point = self.new_folder()
        point.mkdir()
        mounted = Mounted(disk, point)
        try:
            return Place(point).run(*one.arguments, key=one.key)
        finally:
            mounted.unmount()
            point.rmdir()

    def do_all(self, jobs):
        """Calls them all, as many at a time as there are processors. What they give is what went wrong."""
        with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            failures = [found for found in pool.map(lambda job: job[0](*job[1:]), jobs) if found]
        self.assertEqual(len(failures), 0, f"of {len(jobs)} cases (YESTER_SEED={self.seed}):\n\n"
                         + "\n\n".join(failures[:self.SHOWN]))
