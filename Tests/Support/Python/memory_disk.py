"""A file system in memory that remembers, in order, all that was done to it, and fails where it is told to.

It knows files and directories, links and renames: what objects of a repository are made of. `fuse_server` shows it to
programs; `power_cuts` makes of its log what a disk may hold after the power went.
"""

import dataclasses
import errno
import os
import pathlib
import stat
import time

ROOT = 1
NO_REPLACE = 1


class Fails(Exception):
    """What a call is answered with instead of a result."""

    def __init__(self, number):
        super().__init__(os.strerror(number))
        self.number = number


@dataclasses.dataclass
class Node:
    number: int
    mode: int
    # Of a file its bytes, of a directory the numbers of what is in it, by name.
    data: bytearray = dataclasses.field(default_factory=bytearray)
    entries: dict = dataclasses.field(default_factory=dict)
    # The name at the top of the disk below which it was made.
    part: bytes = b""
    links: int = 1
    changed: int = dataclasses.field(default_factory=time.time_ns)
    # What a power cut leaves of a file for certain.
    synced: bytes = b""

    @property
    def is_directory(self):
        return stat.S_ISDIR(self.mode)


@dataclasses.dataclass
class Fault:
    """Which calls fail: those of some kinds in a part of the disk, from the `first` on (counted from 1), `count` of
    them (None: all)."""
    part: bytes
    kinds: tuple
    first: int
    number: int = errno.EIO
    count: int | None = 1
    # When writing to the disk fails, what was not there yet is lost, as Linux loses it: the next attempt "succeeds".
    loses: bool = False


class MemoryDisk:
    """Its methods are the calls of a kernel. `log` has a tuple for each change and each call that waits for the disk:

    ("name", changes, node)     names were given or taken away: (directory, name, node or None) each, all at once
    ("write", node, offset, bytes), ("truncate", node, size)
    ("sync", node)              what was done to this file or directory before is on the disk
    """

    def __init__(self, folder=None, can_link=True, can_spare=True):
        """With what is in a folder. `can_link` and `can_spare`: whether there are hard links, and a rename that fails
        where the new name is taken."""
        self.can_link, self.can_spare = can_link, can_spare
        self.nodes = {ROOT: Node(ROOT, stat.S_IFDIR | 0o755)}
        self.last = ROOT
        self.log = []
        # How many calls there were, by part and kind; what shall fail of them, and how often it did.
        self.calls, self.fault, self.faults = {}, None, 0
        if folder:
            self.load(pathlib.Path(folder), self.nodes[ROOT])
        self.start = {number: (node.is_directory, bytes(node.data), dict(node.entries))
                      for number, node in self.nodes.items()}

    def load(self, folder, into):
        for path in sorted(folder.iterdir()):
            node = self.new(path.lstat().st_mode, into, os.fsencode(path.name))
            into.entries[os.fsencode(path.name)] = node.number
            if node.is_directory:
                self.load(path, node)
            else:
                node.data += path.read_bytes()
                node.synced = bytes(node.data)
                node.changed = path.lstat().st_mtime_ns

    def new(self, mode, parent, name):
        self.last += 1
        node = self.nodes[self.last] = Node(self.last, mode, part=parent.part or name)
        return node

    # Faults

    def call(self, kind, number, name=b""):
        """Counts a call for a node, or for a name in it, and fails where one is to fail."""
        part = self.nodes[number].part or name
        self.calls[part, kind] = self.calls.get((part, kind), 0) + 1
        fault = self.fault
        if not fault or part != fault.part or kind not in fault.kinds:
            return
        count = sum(self.calls.get((part, each), 0) for each in fault.kinds)
        if count < fault.first or fault.count is not None and count >= fault.first + fault.count:
            return
        self.faults += 1
        raise Fails(fault.number)

    # Looking

    def directory(self, number):
        node = self.nodes[number]
        if not node.is_directory:
            raise Fails(errno.ENOTDIR)
        return node

    def find(self, parent, name):
        number = self.directory(parent).entries.get(name)
        if number is None:
            raise Fails(errno.ENOENT)
        return self.nodes[number]

    def lookup(self, parent, name):
        self.call("lookup", parent, name)
        return self.find(parent, name)

    def attributes(self, number):
        self.call("getattr", number)
        return self.nodes[number]

    def open(self, number):
        self.call("open", number)
        return self.nodes[number]

    def read(self, number, offset, size):
        self.call("read", number)
        return bytes(self.nodes[number].data[offset:offset + size])

    def names(self, number):
        self.call("readdir", number)
        return [(name, self.nodes[entry]) for name, entry in self.directory(number).entries.items()]

    # Changing

    def change(self, node, *entries):
        for parent, name, number in entries:
            directory = self.directory(parent)
            if number is None:
                self.nodes[directory.entries.pop(name)].links -= 1
            else:
                if (old := directory.entries.get(name)) is not None:
                    self.nodes[old].links -= 1
                directory.entries[name] = number
                self.nodes[number].links += 1
            directory.changed = time.time_ns()
        self.log.append(("name", entries, node))

    def make(self, parent, name, mode):
        self.call("mkdir" if stat.S_ISDIR(mode) else "create", parent, name)
        if name in self.directory(parent).entries:
            raise Fails(errno.EEXIST)
        node = self.new(mode, self.nodes[parent], name)
        node.links = 0
        self.change(node.number, (parent, name, node.number))
        return node

    def link(self, number, parent, name):
        self.call("link", parent, name)
        if not self.can_link:
            raise Fails(errno.EPERM)
        if name in self.directory(parent).entries:
            raise Fails(errno.EEXIST)
        self.change(number, (parent, name, number))
        return self.nodes[number]

    def rename(self, parent, name, to_parent, to_name, flags):
        self.call("rename", parent, name)
        node = self.find(parent, name)
        if flags and (flags != NO_REPLACE or not self.can_spare):
            raise Fails(errno.EINVAL)
        there = self.directory(to_parent).entries.get(to_name)
        if there is not None:
            if flags == NO_REPLACE:
                raise Fails(errno.EEXIST)
            if self.nodes[there].is_directory or node.is_directory:
                raise Fails(errno.EISDIR)
        if there != node.number:
            self.change(node.number, (parent, name, None), (to_parent, to_name, node.number))

    def remove(self, parent, name, is_directory):
        self.call("rmdir" if is_directory else "unlink", parent, name)
        node = self.find(parent, name)
        if is_directory and not node.is_directory:
            raise Fails(errno.ENOTDIR)
        if not is_directory and node.is_directory:
            raise Fails(errno.EISDIR)
        if node.entries:
            raise Fails(errno.ENOTEMPTY)
        self.change(node.number, (parent, name, None))

    def write(self, number, offset, data):
        self.call("write", number)
        node = self.nodes[number]
        apply_write(node.data, offset, data)
        node.changed = time.time_ns()
        self.log.append(("write", number, offset, data))
        return len(data)

    def truncate(self, number, size):
        self.call("truncate", number)
        node = self.nodes[number]
        apply_truncate(node.data, size)
        node.changed = time.time_ns()
        self.log.append(("truncate", number, size))

    def change_mode(self, number, mode):
        node = self.nodes[number]
        node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)

    def sync(self, number):
        node = self.nodes[number]
        try:
            self.call("syncdir" if node.is_directory else "fsync", number)
        except Fails:
            if self.fault.loses and not node.is_directory:
                node.data[:] = node.synced + bytes(max(0, len(node.data) - len(node.synced)))
            raise
        node.synced = bytes(node.data)
        self.log.append(("sync", number))

    def close(self, number):
        self.call("close", number)

    def space(self, number):
        self.call("statfs", number)

    # As a whole

    def paths(self):
        """All that is there now: path -> bytes, or None for a directory."""
        return tree_of({number: node.entries for number, node in self.nodes.items() if node.is_directory},
                       {number: bytes(node.data) for number, node in self.nodes.items()})


def apply_write(data, offset, more):
    if offset > len(data):
        data += bytes(offset - len(data))
    data[offset:offset + len(more)] = more


def apply_truncate(data, size):
    if size < len(data):
        del data[size:]
    else:
        data += bytes(size - len(data))


def tree_of(entries, data):
    """Path -> bytes or None, of directories (number -> names) and contents (number -> bytes). What no name leads to is
    not there."""
    found = {}

    def descend(number, path):
        for name, child in entries[number].items():
            below = os.path.join(path, name)
            found[below] = None if child in entries else data[child]
            if child in entries:
                descend(child, below)

    descend(ROOT, b"")
    return found


def write_tree(tree, folder):
    """Makes real files of such a tree, in a folder that is not there yet."""
    folder = os.fsencode(folder)
    os.mkdir(folder, 0o700)
    for path in sorted(tree):
        place = os.path.join(folder, path)
        if tree[path] is None:
            os.mkdir(place, 0o700)
            continue
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb", buffering=0) as file:
            file.write(tree[path])
