"""A model test of the mount: many processes read at random, in every way that Linux has, while snapshots come and go.

What a file holds follows from a few numbers (`Node`), so every byte that is read is compared with what it has to be,
and nothing is kept to compare with. `Stress` makes a tree, backs it up, mounts, starts readers, and then changes the
tree, backs up, rotates and remounts until the time is over. `Scripts/stress-mount` runs it for as long as one likes;
`test_random_readers.py` is the short form.
"""

import collections
import ctypes
import dataclasses
import errno
import fcntl
import itertools
import json
import mmap
import os
import pathlib
import pickle
import random
import signal
import stat
import statistics
import struct
import sys
import threading
import time
import traceback

from support import machine

PAGE, KIB, MIB = 4096, 1 << 10, 1 << 20
CACHE_MIB = 16           # of the driver
KEPT = 3                 # snapshots that rotation leaves
REMOUNT_SECONDS = 90     # a driver's lease keeps packs, so a long run needs new drivers to give space back
GONE = (errno.ENOENT, errno.ESTALE)
HEADER = struct.Struct("<QQ")
BORDER_SIZES = sorted({size + more for size in (0, 512, PAGE, 64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB, MIB, 2 * MIB)
                       for more in (-1, 0, 1) if size + more >= 0})
ODD_NAMES = [b"new\nline", b"\xff\xfe not text", b"back\\slash", b"-rf", b" ", b"...", b"\xc3\xa9", b"e\xcc\x81",
             b"L" * 255, b"\x01\x7f", b"latest", b".yester", b"*", b"%s"]


class Mismatch(Exception):
    """The mount does not show what it has to."""


# The model

@dataclasses.dataclass(slots=True, eq=False)
class Node:
    """A file of any kind. Hard links are several paths with one node."""
    kind: str                     # f, d, l, p (fifo)
    seed: int = 0
    flavour: int = 0              # which pool the content comes from
    size: int = 0
    islands: tuple | None = None  # the data of a sparse file, as (start, end)
    target: bytes = b""
    xattrs: dict = dataclasses.field(default_factory=dict)
    holes: tuple | None = None    # the borders of data as the source's file system tells them
    status: tuple = ()            # mode, uid, gid, mtime, nlink, size


def make_pools():
    """Content is cut from these; the first does not compress, the second does, the third is the same all over."""
    rng = random.Random("pools")
    words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=rng.randrange(2, 9))) for _ in range(500)]
    return rng.randbytes(2 * MIB), b" ".join(rng.choices(words, k=150_000)), b"A" * (64 * KIB)


POOLS = make_pools()


def dense(node, offset, length):
    """Each page begins with the file's number and its own, so that no piece can stand for another."""
    pool, seed = POOLS[node.flavour], node.seed
    room, first = len(pool) - PAGE, offset // PAGE
    parts = []
    for page in range(first, (offset + length - 1) // PAGE + 1):
        place = (seed * 7919 + page * 4093) % room
        parts.append(HEADER.pack(seed, page))
        parts.append(pool[place:place + PAGE - 16])
    return b"".join(parts)[offset - first * PAGE:][:length]


def content(node, offset=0, length=None):
    """What a read of a file has to give."""
    length = max(0, min(node.size if length is None else length, node.size - offset))
    if length == 0:
        return b""
    if node.islands is None:
        return dense(node, offset, length)
    out = bytearray(length)
    for start, end in node.islands:
        low, high = max(start, offset), min(end, offset + length)
        if low < high:
            out[low - offset:high - offset] = dense(node, low, high - low)
    return bytes(out)


def data_borders(descriptor, size):
    """Where data begins and ends, alternating."""
    out, offset = [], 0
    while offset < size:
        try:
            start = os.lseek(descriptor, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break
        offset = os.lseek(descriptor, start, os.SEEK_HOLE)
        out += [start, offset]
    return tuple(out)


class Tree:
    """The source, and the model that is kept in step with it. Paths are bytes below the top; the top is empty."""

    def __init__(self, top, seed, bulk):
        self.top, self.rng = os.fsencode(top), random.Random(f"tree {seed}")
        self.nodes = {b"": Node("d")}
        self.numbers = itertools.count(seed % 1000 * 10**6 + 1)
        os.mkdir(self.top)
        self.build(bulk)

    def where(self, path):
        return self.top + b"/" + path if path else self.top

    # Making

    def directory(self, path):
        os.mkdir(self.where(path))
        self.nodes[path] = Node("d")
        return path

    def write(self, path, node):
        with open(self.where(path), "wb", buffering=0) as file:
            if node.islands is not None:
                os.ftruncate(file.fileno(), node.size)
            for start, end in node.islands if node.islands is not None else [(0, node.size)]:
                for offset in range(start, end, MIB):
                    os.pwrite(file.fileno(), content(node, offset, min(MIB, end - offset)), offset)
        self.nodes[path] = node

    def file(self, path, size, flavour=None, islands=None):
        flavour = self.rng.choice((0, 0, 1, 2)) if flavour is None else flavour
        self.write(path, Node("f", next(self.numbers), flavour, size, islands))
        return path

    def sparse(self, path):
        size, islands, offset = self.rng.randrange(64 * KIB, 8 * MIB), [], 0
        while (offset := offset + self.rng.randrange(1, 60) * PAGE) < size:
            end = min(size, offset + self.rng.randrange(1, 40) * PAGE)
            islands.append((offset, end))
            offset = end
        self.file(path, size, islands=tuple(islands))

    def attribute(self, path):
        node, key = self.nodes[path], f"user.n{self.rng.randrange(4)}"
        node.xattrs[key] = self.rng.randbytes(self.rng.choice((0, 1, 20, 700)))
        os.setxattr(self.where(path), key, node.xattrs[key], follow_symlinks=False)

    def build(self, bulk):
        rng = self.rng
        sizes = self.directory(b"sizes")
        for size, flavour in itertools.product(BORDER_SIZES, (0, 1)):
            self.file(sizes + b"/%d-%d" % (size, flavour), size, flavour)
        big = self.directory(b"big")
        for number in range(6):
            self.file(big + b"/%d" % number, rng.randrange(MIB, 8 * MIB), number % 3)
        holes = self.directory(b"holes")
        for number in range(8):
            self.sparse(holes + b"/%d" % number)
        self.file(holes + b"/nothing", 3 * MIB + 5, islands=())
        odd = self.directory(b"odd")
        for name in ODD_NAMES:
            self.file(odd + b"/" + name, rng.randrange(100))
            self.file(self.directory(odd + b"/d" + name[:200]) + b"/" + name, rng.randrange(100))
        links = self.directory(b"links")
        for number in range(12):
            self.file(links + b"/%d" % number, rng.randrange(200_000))
            self.link(links + b"/%d" % number, sizes + b"/linked-%d" % number)
            target = b"../\xff%d/" % number * (number + 1)
            os.symlink(target, self.where(links + b"/s%d" % number))
            self.nodes[links + b"/s%d" % number] = Node("l", target=target)
        os.mkfifo(self.where(links + b"/fifo"))
        self.nodes[links + b"/fifo"] = Node("p")
        self.deep()
        self.many(bulk)
        for path in rng.sample([path for path, node in self.nodes.items() if node.kind in "fd" and path], 150):
            self.attribute(path)
        self.look()

    def deep(self):
        path = b"deep"
        self.directory(path)
        for level in range(100):
            path = self.directory(path + b"/d%d" % (level % 3))
            if level % 9 == 0:
                self.file(path + b"/file", level * 10)

    def many(self, count):
        self.directory(b"many")
        for number in range(count):
            self.file(b"many/entry-%06d" % number, number % 3 and number * 37 % 5000, 0 if number % 5 else 1)

    def link(self, path, other):
        os.link(self.where(path), self.where(other), follow_symlinks=False)
        self.nodes[other] = self.nodes[path]

    # Changing

    def change(self):
        """Some of everything that happens between two backups; at most some MiB of new data."""
        for what in self.rng.choices((self.rewrite, self.append, self.add, self.remove, self.rename, self.set_mode,
                                      self.set_attribute, self.add_link, self.new_holes), k=25):
            what()
        self.look()

    def pick(self, kinds="f", most=3 * MIB):
        chosen = [path for path, node in self.nodes.items() if path and node.kind in kinds and node.size <= most]
        return self.rng.choice(chosen)

    def rewrite(self):
        path = self.pick()
        node = self.nodes[path]
        fresh = Node("f", next(self.numbers), node.flavour, node.size, node.islands)
        names = [name for name, other in self.nodes.items() if other is node]
        self.write(path, fresh)
        fresh.xattrs = node.xattrs
        self.nodes |= dict.fromkeys(names, fresh)

    def append(self):
        """The content up to here stays the same, which is for deduplication to find."""
        path = self.pick(most=MIB)
        node = self.nodes[path]
        if node.islands is None:
            more = self.rng.choice((1, 4095, 70_000))
            before, node.size = node.size, node.size + more
            with open(self.where(path), "r+b", buffering=0) as file:
                os.pwrite(file.fileno(), content(node, before), before)

    def add(self):
        self.file(self.pick("d") + b"/n%d" % next(self.numbers), self.rng.choice((0, 1, 300, 5000, 90_000, 600_000)))

    def remove(self):
        path = self.pick()
        if sum(node.kind == "f" for node in self.nodes.values()) > 500:
            os.unlink(self.where(path))
            del self.nodes[path]

    def rename(self):
        path = self.pick("flp")
        to = os.path.dirname(path) + b"/r%d" % next(self.numbers)
        os.rename(self.where(path), self.where(to))
        self.nodes[to] = self.nodes.pop(path)

    def set_mode(self):
        os.chmod(self.where(path := self.pick("fd")), self.rng.choice((0o400, 0o644, 0o755, 0o1777, 0o4711)))
        os.chown(self.where(path), self.rng.randrange(5), 0)

    def set_attribute(self):
        self.attribute(self.pick("fd"))

    def add_link(self):
        self.link(self.pick(), self.pick("d") + b"/h%d" % next(self.numbers))

    def new_holes(self):
        path = b"holes/%d" % self.rng.randrange(8)
        if self.nodes.pop(path, None):
            os.unlink(self.where(path))
        self.sparse(path)

    # Looking

    def look(self):
        """Take from the source what follows from its file system and not from us."""
        seen = set()
        for path, node in self.nodes.items():
            if id(node) in seen:
                continue
            seen.add(id(node))
            found = os.lstat(self.where(path))
            node.status = (found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns, found.st_nlink, found.st_size)
            if node.islands is not None:
                with open(self.where(path), "rb") as file:
                    node.holes = data_borders(file.fileno(), node.size)


class Model:
    """What one snapshot has to show."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.children = collections.defaultdict(set)
        for path in nodes:
            if path:
                self.children[os.path.dirname(path)].add(os.path.basename(path))
        of = lambda kinds: [path for path, node in nodes.items() if node.kind in kinds]
        self.paths, self.directories, self.links, files = list(nodes), of("d"), of("l"), of("f")
        self.many = [path for path in files if path.startswith(b"many/")]
        self.files = [path for path in files if not path.startswith(b"many/")]
        self.big = [path for path in self.files if nodes[path].size > 128 * KIB]
        self.sparse = [path for path in self.files if nodes[path].islands is not None]


# What readers and the maintainer tell each other

class Board:
    """A file that says which snapshots there are and whether the mount is about to go, and a lock against that."""

    def __init__(self, folder):
        self.file, self.folder = folder / "board.json", folder
        self.lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        self.seen, self.state = None, {}

    def write(self, **state):
        self.state = self.state | state
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(self.state))
        new.replace(self.file)

    def read(self):
        found = os.stat(self.file)
        if (found.st_ino, found.st_mtime_ns) != self.seen:
            self.seen = (found.st_ino, found.st_mtime_ns)
            self.state = json.loads(self.file.read_text())
        return self.state


# Readers

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.fdopendir.restype = LIBC.readdir.restype = ctypes.c_void_p
LIBC.telldir.restype = ctypes.c_long
LIBC.telldir.argtypes = LIBC.rewinddir.argtypes = LIBC.closedir.argtypes = LIBC.readdir.argtypes = [ctypes.c_void_p]
LIBC.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
TYPES = {"f": 8, "d": 4, "l": 10, "p": 1}  # DT_*


class DirectoryStream:
    """opendir(3) and its relatives."""

    def __init__(self, path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self.raw = LIBC.fdopendir(descriptor)

    def next(self):
        """Name, type and inode; None at the end."""
        ctypes.set_errno(0)
        if not (entry := LIBC.readdir(self.raw)):
            if code := ctypes.get_errno():
                raise OSError(code, "readdir")
            return None
        inode, _, _, kind = struct.unpack("<QqHB", ctypes.string_at(entry, 19))
        return ctypes.string_at(entry + 19), kind, inode

    def tell(self):
        return LIBC.telldir(self.raw)

    def seek(self, place):
        LIBC.seekdir(self.raw, place)

    def rewind(self):
        LIBC.rewinddir(self.raw)

    def close(self):
        LIBC.closedir(self.raw)


class Reader:
    """One process that reads at random until the time is over."""

    def __init__(self, folder, number, seed):
        self.board, self.rng = Board(pathlib.Path(folder)), random.Random(f"reader {seed} {number}")
        self.models, self.held, self.inodes = collections.OrderedDict(), [], {}
        self.counts, self.bytes, self.tolerated = collections.Counter(), 0, 0
        self.scratch = os.memfd_create("scratch")
        self.buffer = mmap.mmap(-1, 2 * MIB)
        self.doing = ""
        self.epoch = None
        self.ways = {self.small: 14, self.large: 6, self.in_order: 4, self.mapped: 10, self.direct: 6, self.vector: 5,
                     self.sendfile: 4, self.splice: 4, self.copy_range: 3, self.holes: 6, self.list: 3,
                     self.seek_list: 3, self.statuses: 10, self.attributes: 6, self.read_link: 4, self.missing: 5,
                     self.hold: 6, self.use_held: 12, self.forget: 3, self.latest: 2, self.versions: 1,
                     self.small_files: 6}

    def run(self):
        chosen, ways, weights = None, list(self.ways), list(self.ways.values())
        while not (state := self.board.read()).get("over"):
            if state["epoch"] != self.epoch or state["leaving"]:
                # The driver serves files that are open to the end, and the next one waits for that.
                self.let_go()
                self.epoch = state["epoch"]
            way = self.rng.choices(ways, weights)[0]
            # A model takes a while to load, so a reader stays with a snapshot for a while.
            if chosen not in state["snapshots"] or self.rng.random() < 0.01:
                chosen = self.rng.choice(list(state["snapshots"]))
            self.snapshot = chosen
            self.top = os.fsencode(f"{state['point']}/{self.snapshot}{state['source']}")
            try:
                self.model = self.load(state["snapshots"][self.snapshot])
                if self.model:
                    self.doing = f"{way.__name__} in {self.snapshot}"
                    way()
                    self.counts[way.__name__] += 1
            except (OSError, Mismatch) as error:
                if not self.is_allowed(error):
                    raise
                self.tolerated += 1
        self.let_go()
        print(json.dumps({"counts": self.counts, "bytes": self.bytes, "tolerated": self.tolerated}))

    def is_allowed(self, error):
        """What was asked for may have been taken away meanwhile; wrong content never may be shown."""
        code = getattr(error, "errno", None)
        state = self.board.read()
        if code is not None and (state["epoch"] != self.epoch or state["leaving"]):
            return True
        return code in GONE and self.snapshot not in state["snapshots"]

    def load(self, file):
        if file not in self.models:
            try:
                with open(self.board.folder / file, "rb") as stream:
                    self.models[file] = Model(pickle.load(stream))
            except FileNotFoundError:
                return None
            while len(self.models) > 2:
                old, _ = self.models.popitem(last=False)
                self.inodes = {key: value for key, value in self.inodes.items() if key[0] != old}
        self.models.move_to_end(file)
        self.file = file
        return self.models[file]

    def let_go(self):
        for descriptor, *_ in self.held:
            try:
                os.close(descriptor)
            except OSError:
                pass  # the driver is gone
        self.held = []

    # Helpers

    def fail(self, path, text):
        raise Mismatch(f"{self.doing}: {path!r}: {text}")

    def check(self, path, node, offset, got, length=None):
        wanted = content(node, offset, len(got) if length is None else length)
        self.bytes += len(got)
        if got != wanted:
            shorter = min(len(got), len(wanted))
            place = next((place for place in range(shorter) if got[place] != wanted[place]), shorter)
            self.fail(path, f"at {offset} of {node.size}: got {len(got)} bytes, wanted {len(wanted)}, different from "
                            f"byte {offset + place} on: {got[place:place + 24]!r}, not {wanted[place:place + 24]!r}")

    def where(self, path):
        return self.top + b"/" + path if path else self.top

    def any_file(self, *lists):
        path = self.rng.choice(self.rng.choice(lists or (self.model.files, self.model.big, self.model.many)))
        return path, self.model.nodes[path]

    def opened(self, path, flags=0):
        return Opened(self.where(path), flags)

    def place(self, node, lengths):
        """A range, often across the end."""
        return self.rng.randrange(node.size + 2), self.rng.choice(lengths)

    # Ways to read

    def small(self):
        path, node = self.any_file()
        with self.opened(path) as file:
            for _ in range(4):
                offset, length = self.place(node, (1, 7, 100, 4096, 5000))
                self.check(path, node, offset, os.pread(file, length, offset), length)

    def large(self):
        path, node = self.any_file(self.model.big)
        with self.opened(path) as file:
            offset, length = self.place(node, (65_536, 131_073, 700_001, 2 * MIB))
            self.check(path, node, offset, os.pread(file, length, offset), length)

    def in_order(self):
        path, node = self.any_file()
        step, offset = self.rng.choice((509, 4097, 33_333, 131_072, 262_147)), 0
        with self.opened(path) as file:
            while got := os.read(file, step):
                self.check(path, node, offset, got)
                offset += len(got)
                if offset > 400 * step:
                    return
        if offset != node.size:
            self.fail(path, f"ended at {offset} of {node.size}")

    def small_files(self):
        start = self.rng.randrange(len(self.model.many))
        for path in self.model.many[start:start + 40]:
            with self.opened(path) as file:
                self.check(path, self.model.nodes[path], 0, os.read(file, 6000), 6000)

    def mapped(self):
        path, node = self.any_file(self.model.files, self.model.big)
        if node.size == 0:
            return
        # To touch a page of a mount that is gone is death: so nobody takes it away meanwhile.
        try:
            fcntl.flock(self.board.lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # not now: somebody is at it, and waits for the files that are held open here
        try:
            state = self.board.read()
            if state["epoch"] != self.epoch or state["leaving"]:
                return
            with self.opened(path) as file:
                flags = self.rng.choice((mmap.MAP_PRIVATE, mmap.MAP_SHARED))
                with mmap.mmap(file, node.size, flags=flags, prot=mmap.PROT_READ) as pages:
                    if self.rng.random() < 0.3:
                        pages.madvise(self.rng.choice((mmap.MADV_RANDOM, mmap.MADV_SEQUENTIAL, mmap.MADV_WILLNEED)))
                    for _ in range(8):
                        offset = self.rng.randrange(node.size)
                        self.check(path, node, offset, pages[offset:offset + self.rng.choice((1, 5000, 100_000))])
        finally:
            fcntl.flock(self.board.lock, fcntl.LOCK_UN)

    def direct(self):
        path, node = self.any_file(self.model.files, self.model.big)
        with self.opened(path, os.O_DIRECT) as file:
            for _ in range(3):
                offset = self.rng.randrange(node.size // PAGE + 1) * PAGE
                length = self.rng.choice((PAGE, 64 * KIB, MIB, 2 * MIB))
                count = os.preadv(file, [memoryview(self.buffer)[:length]], offset)
                self.check(path, node, offset, self.buffer[:count], length)

    def vector(self):
        path, node = self.any_file()
        parts = [bytearray(self.rng.choice((1, 13, 4096, 50_000))) for _ in range(5)]
        offset = self.rng.randrange(node.size + 1)
        with self.opened(path) as file:
            count = os.preadv(file, parts, offset)
        self.check(path, node, offset, b"".join(parts)[:count], sum(map(len, parts)))

    def sendfile(self):
        path, node = self.any_file()
        offset, length = self.place(node, (100, 70_000, MIB))
        os.ftruncate(self.scratch, 0)
        os.lseek(self.scratch, 0, os.SEEK_SET)
        with self.opened(path) as file:
            sent = 0
            while sent < length and (count := os.sendfile(self.scratch, file, offset + sent, length - sent)):
                sent += count
        self.check(path, node, offset, os.pread(self.scratch, sent, 0), length)

    def splice(self):
        path, node = self.any_file()
        offset, length = self.place(node, (100, 4096, 60_000))
        reading, writing = os.pipe()
        try:
            with self.opened(path) as file:
                count = os.splice(file, writing, length, offset_src=offset)
            got = b""
            while len(got) < count:
                got += os.read(reading, count - len(got))
            self.check(path, node, offset, got)
            if count == 0 and offset < node.size:
                self.fail(path, f"splice gave nothing at {offset} of {node.size}")
        finally:
            os.close(reading)
            os.close(writing)

    def copy_range(self):
        path, node = self.any_file()
        offset, length = self.place(node, (100, 70_000))
        os.ftruncate(self.scratch, 0)
        with self.opened(path) as file:
            try:
                count = os.copy_file_range(file, self.scratch, length, offset, 0)
            except OSError as error:
                # Between file systems the kernel may refuse; programs read and write then.
                if error.errno in (errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL):
                    return
                raise
        self.check(path, node, offset, os.pread(self.scratch, count, 0))

    def holes(self):
        path, node = self.any_file(self.model.sparse)
        with self.opened(path) as file:
            if (found := data_borders(file, node.size)) != node.holes:
                self.fail(path, f"data lies at {found}, not {node.holes}")
            for offset in (node.size, node.size + 1, 1 << 50):
                for whence in (os.SEEK_DATA, os.SEEK_HOLE):
                    try:
                        self.fail(path, f"seeking from {offset} gave {os.lseek(file, offset, whence)}")
                    except OSError as error:
                        if error.errno != errno.ENXIO:
                            raise
            for start, end in node.islands[:3]:
                self.check(path, node, start, os.pread(file, end - start, start))

    def list(self):
        path = self.rng.choice(self.model.directories)
        with os.scandir(self.where(path)) as entries:
            found = {entry.name: entry for entry in entries}
        self.same_names(path, found)
        for name in self.rng.sample(sorted(found), min(5, len(found))):
            self.status(path + b"/" + name if path else name, found[name].inode())

    def same_names(self, path, found):
        wanted = self.model.children[path]
        if set(found) != wanted:
            self.fail(path, f"too many {sorted(set(found) - wanted)[:5]}, too few {sorted(wanted - set(found))[:5]}")

    def seek_list(self):
        path = b"many" if self.rng.random() < 0.5 else self.rng.choice(self.model.directories)
        stream = DirectoryStream(self.where(path))
        try:
            seen, places = [], []
            for _ in range(self.rng.choice((1, 30, 2000))):
                places.append(stream.tell())
                if (entry := stream.next()) is None:
                    places.pop()
                    break
                seen.append(entry)
            for place in self.rng.sample(range(len(seen)), min(4, len(seen))):
                stream.seek(places[place])
                if (again := stream.next()) != seen[place]:
                    self.fail(path, f"seekdir to {places[place]} leads to {again}, not {seen[place]}")
            if self.rng.random() < 0.5:
                stream.rewind()
                everything = list(iter(stream.next, None))
            else:
                stream.seek(places[-1])
                everything = seen[:-1] + list(iter(stream.next, None))
            names = [entry[0] for entry in everything]
            if len(names) != len(set(names)):
                self.fail(path, "a name is listed twice")
            self.same_names(path, set(names) - {b".", b".."})
            for name, kind, _ in everything:
                child = self.model.nodes.get(path + b"/" + name if path else name)
                if child and kind != TYPES[child.kind]:
                    self.fail(path, f"{name!r} is listed with the type {kind}")
        finally:
            stream.close()

    def status(self, path, listed=None):
        node, found = self.model.nodes[path], os.lstat(self.where(path))
        got = (found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns, found.st_nlink, found.st_size)
        wanted = node.status[:-1] + (got[-1],) if node.kind == "d" else node.status
        if got != wanted:
            self.fail(path, f"stat gives {got}, not {wanted}")
        if listed not in (None, found.st_ino):
            self.fail(path, f"listed as inode {listed}, and is {found.st_ino}")
        # Hard links have one node, so they are looked up as one here.
        key = (self.file, id(node))
        if self.inodes.setdefault(key, found.st_ino) != found.st_ino:
            self.fail(path, f"its inode was {self.inodes[key]} and is {found.st_ino}")

    def statuses(self):
        for _ in range(15):
            self.status(self.rng.choice(self.model.paths))

    def attributes(self):
        for _ in range(5):
            path = self.rng.choice(self.model.paths)
            node, where = self.model.nodes[path], self.where(path)
            names = os.listxattr(where, follow_symlinks=False)
            got = {name: os.getxattr(where, name, follow_symlinks=False) for name in names}
            if got != node.xattrs:
                self.fail(path, f"the attributes {got} are not {node.xattrs}")
            try:
                os.getxattr(where, "user.never", follow_symlinks=False)
                self.fail(path, "has an attribute of a name that nobody gave")
            except OSError as error:
                if error.errno != errno.ENODATA:
                    raise

    def read_link(self):
        path = self.rng.choice(self.model.links)
        if (got := os.readlink(self.where(path))) != self.model.nodes[path].target:
            self.fail(path, f"leads to {got!r}")

    def missing(self):
        path = self.rng.choice(self.model.directories)
        name = self.rng.choice((b"never-%d" % self.rng.randrange(50), b"entry-", b"\xff" * 255, b"~", b"D" * 300))
        try:
            os.lstat(self.where(path) + b"/" + name)
            self.fail(path, f"has a {name!r}")
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENAMETOOLONG):
                raise
        os.lstat(self.where(path))  # gone only because the snapshot is?

    def hold(self):
        path, node = self.any_file(self.model.files, self.model.big)
        self.held.append((os.open(self.where(path), os.O_RDONLY), path, node, self.doing))
        if len(self.held) > 20:
            os.close(self.held.pop(self.rng.randrange(10))[0])

    def use_held(self):
        """Files that are open stay readable, whether their snapshot is still there or not."""
        if self.held:
            descriptor, path, node, self.doing = self.rng.choice(self.held)
            self.doing += ", held"
            self.snapshot = None
            if self.rng.random() < 0.5:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            offset, length = self.place(node, (10, 5000, 200_000))
            try:
                self.check(path, node, offset, os.pread(descriptor, length, offset), length)
            except OSError as error:
                state = self.board.read()
                if state["epoch"] == self.epoch and not state["leaving"]:
                    self.fail(path, f"a file that is held open cannot be read at {offset}: {error}")
                raise

    def forget(self):
        for path, _ in (self.any_file(self.model.big) for _ in range(3)):
            with self.opened(path) as file:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)

    def latest(self):
        """Leads to a snapshot; the newest one may be there before the board says so."""
        path, end = self.rng.choice(self.model.files), time.monotonic() + 10
        while (name := os.readlink(f"{self.board.read()['point']}/latest")) not in self.board.state["snapshots"]:
            if time.monotonic() > end:
                self.fail(b"latest", f"leads to {name}")
            time.sleep(0.01)
        self.snapshot = name
        if (model := self.load(self.board.state["snapshots"][name])) and path in model.nodes:
            self.top = os.fsencode(f"{self.board.state['point']}/latest{self.board.state['source']}")
            with self.opened(path) as file:
                got = os.pread(file, 5000, 0)
            if os.readlink(f"{self.board.state['point']}/latest") == name:
                self.check(path, model.nodes[path], 0, got, 5000)

    def versions(self):
        """The names in .yester/versions are snapshots that show the path, each with what it holds."""
        state, (path, node) = self.board.read(), self.any_file(self.model.files)
        folder = os.fsencode(f"{state['point']}/.yester/versions{state['source']}/") + path
        names = os.listdir(folder)
        if not names:
            self.fail(path, "has no versions")
        for name in map(os.fsdecode, names):
            if name in state["snapshots"] and (model := self.load(state["snapshots"][name])):
                if path not in model.nodes:
                    self.fail(path, f"has a version {name}, which does not hold it")
                self.snapshot = name
                with Opened(folder + b"/" + os.fsencode(name)) as file:
                    self.check(path, model.nodes[path], 0, os.pread(file, 100_000, 0), 100_000)


class Opened:
    """A descriptor that is closed at the end, whether the driver is still there or not."""

    def __init__(self, path, flags=0):
        self.path, self.flags = path, os.O_RDONLY | flags

    def __enter__(self):
        self.descriptor = os.open(self.path, self.flags)
        return self.descriptor

    def __exit__(self, *_):
        try:
            os.close(self.descriptor)
        except OSError:
            pass


# The maintainer

@dataclasses.dataclass
class Sample:
    when: float
    anonymous: int  # without the index, which is mapped: the kernel may drop that
    peak: int
    descriptors: int
    threads: int


class Stress:
    """The whole test, in a directory of its own that the caller removes."""

    def __init__(self, folder, seconds, seed, readers=6, bulk=10_000, say=print):
        self.folder, self.seconds, self.seed, self.say = pathlib.Path(folder), seconds, seed, say
        self.count, self.bulk = readers, bulk
        self.point, self.source = self.folder / "mnt", self.folder / "source"
        self.log = self.folder / "driver.log"
        self.samples, self.readers, self.driver = [], [], None
        self.made, self.remounts, self.drops = 0, 0, 0
        self.inodes = {}

    # Running

    def yester(self, *words):
        ran = machine.run([machine.YESTER, *words], env=self.environment())
        if ran.status != 0:
            raise Mismatch(f"yester {' '.join(map(str, words))}: {ran}")
        return ran

    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("YESTER_")}
        return kept | {"YESTER_REPOSITORY": str(self.folder / "repository"),
                       "YESTER_KEY_FILE": str(self.folder / "key"), "YESTER_CACHE_DIR": str(self.folder / "cache"),
                       "YESTER_STATE_DIR": str(self.folder / "state"), "LC_ALL": "C.UTF-8"}

    def mount(self):
        log = open(self.log, "ab")
        self.driver = machine.start(
            [machine.YESTERFS, self.folder / "repository", self.point, "-f", "-o", "names=all", "-o",
             f"key_file={self.folder / 'key'},cache_size={CACHE_MIB}"], env=self.environment(), stdout=log, stderr=log)
        log.close()
        machine.wait_until(lambda: os.path.ismount(self.point) or self.driver.poll() is not None, 20, "no mount")
        if self.driver.poll() is not None:
            raise Mismatch(f"the driver ended with status {self.driver.returncode}: {self.log.read_text()}")

    def unmount(self):
        self.yester("unmount", self.point)
        try:
            status = self.driver.wait(timeout=20)
        except Exception:
            raise Mismatch("the driver is still there 20 s after the mount was taken away") from None
        if status != 0:
            raise Mismatch(f"the driver ended with status {status}: {self.log.read_text()[-2000:]}")

    def check_health(self):
        health = json.loads((self.point / ".yester" / "health").read_text())
        if not health["healthy"]:
            raise Mismatch(f"the mount is not healthy: {health['recent_errors']}")
        json.loads((self.point / ".yester" / "stats").read_text())

    # Steps

    def backup(self):
        made = json.loads(self.yester("backup", "--json", self.source).out)["name"]
        self.made += 1
        file = f"model-{self.made}"
        with open(self.folder / file, "wb") as stream:
            pickle.dump(self.tree.nodes, stream)
        return made, file

    def announce(self, made, file):
        machine.wait_until(lambda: made in os.listdir(self.point), 2, f"the snapshot {made} is not listed")
        self.board.write(snapshots=self.board.state["snapshots"] | {made: file})

    def another_snapshot(self):
        self.tree.change()
        self.announce(*self.backup())

    def rotate(self):
        snapshots = self.board.state["snapshots"]
        kept = dict(list(snapshots.items())[-KEPT:])
        self.board.write(snapshots=kept)
        self.yester("rotate", "--keep-last", str(KEPT), "--max-unused", "0", "--minimum-age", "0")
        for file in set(snapshots.values()) - set(kept.values()):
            (self.folder / file).unlink()
        machine.wait_until(lambda: {name for name in os.listdir(self.point) if "_" in name} == set(kept), 2,
                           "removed snapshots are still listed")

    def note_inodes(self):
        """Numbers of some places, which have to be the same after every remount."""
        rng, found = random.Random(self.seed), {}
        for name in self.board.state["snapshots"]:
            top = os.fsencode(f"{self.point}/{name}{self.source}")
            for path in rng.sample(sorted(self.tree.nodes), 50):
                try:
                    found[name, path] = os.lstat(top + b"/" + path).st_ino
                except FileNotFoundError:
                    pass
        return found

    def remount(self):
        before = self.note_inodes()
        self.check_health()
        # Nobody stops reading: from here on there may be errors, but nothing wrong.
        self.board.write(leaving=True, epoch=self.board.state["epoch"] + 1)
        fcntl.flock(self.board.lock, fcntl.LOCK_EX)
        try:
            self.unmount()
            self.mount()
        finally:
            fcntl.flock(self.board.lock, fcntl.LOCK_UN)
        for (name, path), inode in before.items():
            now = os.lstat(os.fsencode(f"{self.point}/{name}{self.source}") + b"/" + path).st_ino
            if now != inode:
                raise Mismatch(f"{name}: {path!r} was inode {inode} and is {now} after a remount")
        self.board.write(leaving=False, epoch=self.board.state["epoch"] + 1)
        self.remounts += 1

    def start_reader(self, number):
        return machine.start([sys.executable, "-m", __name__, self.folder, number, self.seed], cwd=machine.TESTS)

    def check_readers(self):
        for reader in self.readers:
            if reader.poll() not in (None, 0) or (reader.poll() == 0 and not self.board.state.get("over")):
                out, err = reader.communicate(timeout=10)
                raise Mismatch(f"a reader ended with status {reader.returncode}: {(out + err).decode()[-4000:]}")

    # Watching

    def watch(self):
        """Samples the driver, and now and then takes the kernel's cache away, so that the driver is asked again."""
        began, next_drop = time.monotonic(), 2
        while not self.is_over.wait(0.2):
            if sample := self.sample(time.monotonic() - began):
                self.samples.append(sample)
                if len(self.samples) > 40_000:
                    self.samples = self.samples[::2]
            if time.monotonic() - began > next_drop and os.geteuid() == 0:
                next_drop += 3
                self.drops += 1
                pathlib.Path("/proc/sys/vm/drop_caches").write_text("3" if self.drops % 2 else "1")

    def sample(self, when):
        try:
            proc = pathlib.Path(f"/proc/{self.driver.pid}")
            lines = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
            number = lambda name: int(lines[name].split()[0])
            return Sample(when, number("RssAnon") * KIB, number("VmHWM") * KIB, len(os.listdir(proc / "fd")),
                          number("Threads"))
        except (OSError, KeyError):
            return None  # between two drivers

    def judge_growth(self):
        """The driver takes no more in the last third than in the one before."""
        thirds = [[one for one in self.samples if number <= one.when * 3 / self.seconds < number + 1]
                  for number in range(3)]
        middle = lambda samples, name: statistics.median(getattr(one, name) for one in samples)
        for number, samples in enumerate(thirds):
            if not samples:
                raise Mismatch("too few samples of the driver")
            self.say(f"driver, third {number + 1}: memory {middle(samples, 'anonymous') / MIB:.1f} MiB, peak "
                     f"{max(one.peak for one in samples) / MIB:.1f} MiB, descriptors "
                     f"{middle(samples, 'descriptors'):.0f}, threads {middle(samples, 'threads'):.0f}")
        for name, slack in (("anonymous", 16 * MIB), ("descriptors", 70), ("threads", 1)):
            before, after = middle(thirds[1], name), middle(thirds[2], name)
            if after > before * 1.1 + slack:
                raise Mismatch(f"the driver's {name} grew from {before:.0f} to {after:.0f}")

    # All of it

    def run(self):
        self.say(f"seed {self.seed}, {self.seconds} s, {self.count} readers, in {self.folder}")
        self.is_over = threading.Event()
        self.point.mkdir()
        self.tree = Tree(self.source, self.seed, self.bulk)
        self.yester("init", "--key-file", self.folder / "key")
        self.board = Board(self.folder)
        self.board.write(point=str(self.point), source=str(self.source), epoch=0, leaving=False, snapshots={})
        watcher = threading.Thread(target=self.watch, daemon=True)
        try:
            first = self.backup()
            self.mount()
            self.announce(*first)
            self.another_snapshot()
            self.readers = [self.start_reader(number) for number in range(self.count)]
            watcher.start()
            self.maintain()
            self.finish()
        finally:
            self.is_over.set()
            for process in [*self.readers, self.driver]:
                if process and process.poll() is None:
                    process.kill()
            for point, _ in machine.mounts_below(self.folder):
                machine.run(["umount", "-f", "-l", point])

    def maintain(self):
        began = time.monotonic()
        next_remount = began + min(REMOUNT_SECONDS, self.seconds / 5)
        while (now := time.monotonic()) - began < self.seconds:
            self.check_readers()
            self.another_snapshot()
            if len(self.board.state["snapshots"]) > KEPT + 1:
                self.rotate()
            if now > next_remount:
                self.remount()
                # In a short run the driver is left alone from then on, so that its growth shows.
                next_remount = time.monotonic() + REMOUNT_SECONDS
            time.sleep(self.tree.rng.uniform(0, 0.8))

    def finish(self):
        self.board.write(over=True)
        total, counts, tolerated = 0, collections.Counter(), 0
        for reader in self.readers:
            try:
                out, err = reader.communicate(timeout=60)
            except Exception:
                stack = pathlib.Path(f"/proc/{reader.pid}/wchan").read_text()
                raise Mismatch(f"a reader hangs in {stack}") from None
            if reader.returncode != 0:
                raise Mismatch(f"a reader ended with status {reader.returncode}: {(out + err).decode()[-4000:]}")
            told = json.loads(out)
            total, tolerated = total + told["bytes"], tolerated + told["tolerated"]
            counts.update(told["counts"])
        self.is_over.set()
        self.check_health()
        self.unmount()
        self.yester("verify")
        self.say(f"{self.made} snapshots, {self.remounts} remounts, {total / MIB:.0f} MiB compared, "
                 f"{tolerated} times something was gone")
        self.say("calls: " + ", ".join(f"{name} {count}" for name, count in counts.most_common()))
        missing = {way.__name__ for way in Reader(self.folder, 0, 0).ways} - set(counts)
        if missing:
            raise Mismatch(f"nobody came to try {missing}")
        self.judge_growth()
        bad = [line for line in self.log.read_text(errors="replace").splitlines() if "is unmounted after" not in line]
        if bad:
            raise Mismatch("the driver's log: " + "\n".join(bad[:20]))


def main():
    folder, number, seed = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reader = Reader(folder, number, seed)
    try:
        reader.run()
    except BaseException:
        print(f"reader {number} of seed {seed}, doing {reader.doing}", file=sys.stderr)
        traceback.print_exc()
        sys.exit(1)


if __name__ == "__main__":
    main()
