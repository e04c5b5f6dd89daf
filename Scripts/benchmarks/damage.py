"""The subject `damage`: whether a repository survives damage, object by object and region by region."""

import dataclasses
import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import time

from . import peers as programs
from .places import folder_for_copies, work_folder
from .system import Failure, say

DESCRIPTION = """Damage every object of a repository, each region in turn, and look what is lost.

Makes a repository with three snapshots, packs and segments with parity and small objects with second copies. Then, one
after the other, 64 KiB of each object (leases apart) are overwritten by garbage or zeros, at every multiple of 64 KiB
and at random places, and its end is cut off. Each time

  1. all snapshots are restored and compared with what was backed up,
  2. `yester verify --level packs` has to tell of the damage,
  3. `yester verify --level packs --repair` has to mend it, and every byte has to be as it was.

It ends with an error at the first damage that takes something away, is not told, or is not mended. All of it lies in
memory if there is enough of it.
"""

WIDTH = 64 << 10
PARITY_MIN = 256 << 10
DAMAGED = 13


def add_options(parser):
    parser.add_argument("--size", metavar="MIB", type=int, default=24, help="how much is backed up (default 24)")
    parser.add_argument("--every", metavar="N", type=int, default=1, help="try only every Nth damage (default 1: all)")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="for what is random (default 1)")
    parser.add_argument("--work", metavar="DIR", help="where it lies when memory is short (default: in /var/tmp)")


@dataclasses.dataclass(frozen=True)
class Damage:
    path: str
    what: str
    start: int
    # What is there instead, up to the end of the object when it is cut.
    data: bytes
    cuts: bool = False

    def apply(self, file):
        with open(file, "r+b") as out:
            out.seek(self.start)
            out.write(self.data)
            if self.cuts:
                out.truncate()


def damages(objects, rng):
    """All that is tried, in the order of the objects."""
    for path, data in sorted(objects.items()):
        size, width = len(data), min(WIDTH, len(data))
        starts = {min(start, size - width) for start in range(0, size, WIDTH)}
        starts |= {rng.randrange(size - width + 1) for _ in range(1 + size // WIDTH // 4)}
        for number, start in enumerate(sorted(starts)):
            end = start + width
            if number % 2:
                yield Damage(path, f"zeros from {start} to {end}", start, bytes(width))
            else:
                yield Damage(path, f"garbage from {start} to {end}", start, rng.randbytes(width))
            at = rng.randrange(start, end)
            yield Damage(path, f"a flipped bit at {at}", at, bytes([data[at] ^ 1 << rng.randrange(8)]))
        for cut in sorted({1, width, rng.randrange(1, width + 1)}):
            yield Damage(path, f"{cut} bytes cut off", size - cut, b"", cuts=True)


class Place:
    """A repository that is damaged, and what was backed up into it."""

    def __init__(self, program, top, options):
        self.program, self.top, self.rng = program, top, random.Random(options.seed)
        self.repository, self.source, self.cache = top / "repository", top / "source", top / "cache"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("YESTER_")} | {
            "YESTER_REPOSITORY": str(self.repository), "YESTER_KEY_FILE": str(top / "key"),
            "YESTER_CACHE_DIR": str(self.cache), "YESTER_STATE_DIR": str(top / "state"), "LC_ALL": "C.UTF-8"}
        self.states = []  # digests of the source, one for each snapshot
        self.fill(options.size << 20)
        self.names = [snapshot["name"] for snapshot in json.loads(self.yester("list", "--json").stdout)]
        self.objects = self.read()

    def fill(self, size):
        self.yester("init", "--protection", "parity")
        self.source.mkdir()
        for number, share in enumerate((0.8, 0.15, 0.05)):
            (self.source / f"large-{number}").write_bytes(self.rng.randbytes(int(size * share)))
            for small in range(40):
                folder = self.source / f"folder-{small % 7}"
                folder.mkdir(exist_ok=True)
                (folder / f"small-{number}-{small}").write_bytes(self.rng.randbytes(self.rng.randrange(3000)))
            self.yester("backup", self.source)
            self.states.append(digest(self.source))

    def yester(self, *words, status=0):
        done = subprocess.run([self.program, *map(str, words)], env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, check=False)
        if done.returncode != status:
            raise Failure(f"yester {' '.join(map(str, words))} ended with {done.returncode}: "
                          f"{(done.stderr + done.stdout).decode(errors='replace')[-2000:]}")
        return done

    def read(self):
        """All objects but leases; the reserve is none."""
        found = {}
        for folder, _, files in os.walk(self.repository):
            for name in files:
                file = pathlib.Path(folder, name)
                path = str(file.relative_to(self.repository))
                if path.split("/")[0] not in ("leases", "tmp", "reserve"):
                    found[path] = file.read_bytes()
        return found

    def try_one(self, damage):
        (self.repository / damage.path).chmod(0o600)
        damage.apply(self.repository / damage.path)
        # What lies in the cache is not read.
        shutil.rmtree(self.cache, ignore_errors=True)
        for name, state in zip(self.names, self.states, strict=True):
            target = self.top / "restored"
            self.yester("restore", f"{name}:{self.source}", "--to", target)
            if digest(target) != state:
                raise Failure(f"the snapshot {name} is another one")
            shutil.rmtree(target)
        told = self.yester("verify", "--level", "packs", status=DAMAGED).stderr.decode()
        if damage.path.removeprefix("copies/") not in told:
            raise Failure(f"verification tells of something else: {told}")
        self.yester("verify", "--level", "packs", "--repair")
        if self.read() != self.objects:
            raise Failure("it was not mended")


def digest(top):
    """Of all names and contents below a folder."""
    whole = hashlib.sha256()
    for folder, folders, files in os.walk(top):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{os.path.relpath(path, top)} {content}\n".encode())
    return whole.hexdigest()


def main(options):
    if options.size < 1 or options.every < 1:
        raise Failure("--size and --every want at least 1")
    build = programs.usable(programs.builds([]))[0]
    with work_folder(options) as work, folder_for_copies(work, (options.size << 20) * 4) as top:
        place = Place(build.program, top, options)
        wanted = list(damages(place.objects, place.rng))[::options.every]
        large = sum(1 for path, data in place.objects.items() if len(data) >= PARITY_MIN)
        say(f"{len(place.objects)} objects, {large} of them with parity; {len(wanted)} damages")
        begin = time.monotonic()
        for number, damage in enumerate(wanted):
            try:
                place.try_one(damage)
            except Failure as failure:
                raise Failure(f"{damage.path}, {damage.what}: {failure}") from failure
            if number % 100 == 99:
                say(f"{number + 1} of {len(wanted)}, {time.monotonic() - begin:.0f} s")
        print(f"{len(wanted)} damages of {len(place.objects)} objects ({large} with parity): nothing was lost, each was "
              "told, each was mended.")
