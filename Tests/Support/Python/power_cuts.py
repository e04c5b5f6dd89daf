"""What a disk may hold after the power went, made of the log of a `MemoryDisk`.

POSIX promises little, and file systems differ; so there are three kinds, each as mean as one that people use:

- "ordered" (ext4, xfs): names are given and taken in one journal, in order. Waiting for a file or directory brings the
  journal to the disk up to what was last done to it. So the names after a cut are those of some moment.
- "loose" (btrfs, and what POSIX says): waiting for a file says nothing of its name; waiting for a directory brings the
  names in it, and no others. Of what nobody waited for, each may have happened or not; a rename happens as a whole.
- "fat": as loose, but a rename is two steps, of which one may be lost; waiting for a file brings its names too.

The bytes of a file are there as they were when it was last waited for. What was written since is there, or is not, or
in part, or reads as zeros: on every kind of file system, and whether its name is there or not.
"""

import dataclasses
import functools
import hashlib
import random
import typing

from support.memory_disk import apply_truncate, apply_write, tree_of

KINDS = ("ordered", "loose", "fat")
SECTOR = 512


class Cut:
    """The disk after the first `count` operations of a log."""

    def __init__(self, disk, count):
        self.disk, self.log = disk, disk.log[:count]

    def everything(self):
        """As if all had been written at once: a program that is killed leaves this."""
        return self.state(lambda: True, lambda pending: pending, "ordered", parts=())

    def synced(self, kind):
        """Nothing but what was waited for."""
        return self.state(lambda: False, lambda pending: [], kind)

    def some(self, kind, seed):
        """What was waited for, and chance decides on the rest."""
        rng = random.Random(seed)
        likely = rng.choice((0.2, 0.5, 0.8, 1))
        how = rng.choice(("nothing", "all", "zeros", "torn", "some"))

        def keep(pending):
            if how == "all" or rng.random() < 0.2:
                return pending
            if how == "zeros":
                return [(kind, place, bytes(len(what)) if kind == "write" else what) for kind, place, what in pending]
            if how == "some":
                return [change for change in pending if rng.random() < 0.5]
            return torn(pending, rng) if how == "torn" else []

        # The client's disk may be another one, which nothing happens to.
        parts = rng.choice((None, None, (b"repository",)))
        return self.state(lambda: rng.random() < likely, keep, kind, parts)

    def state(self, has_happened, kept_of, kind, parts=None):
        """The tree. `has_happened` decides on names, `kept_of` on what was written to a file, where neither was waited
        for: in these parts of the disk (all of them without `parts`); in others everything is there."""

        def is_safe(number):
            return parts is not None and self.disk.nodes[number].part not in parts

        contents = self.contents(lambda number, pending: pending if is_safe(number) else kept_of(pending))
        names = self.names(has_happened, kind, is_safe)
        entries = {number: dict(known) for number, (is_directory, _, known) in self.disk.start.items() if is_directory}
        for operation in self.log:
            if operation[0] == "name" and self.disk.nodes[operation[2]].is_directory:
                entries.setdefault(operation[2], {})
        for parent, name, number in names:
            if number is None:
                entries[parent].pop(name, None)
            else:
                entries[parent][name] = number
        return tree_of(entries, contents)

    def contents(self, kept_of):
        stable = {number: data for number, (is_directory, data, _) in self.disk.start.items() if not is_directory}
        pending = {}
        for operation in self.log:
            what, number = operation[:2]
            if what == "write":
                pending.setdefault(number, []).append(("write", operation[2], operation[3]))
            elif what == "truncate":
                pending.setdefault(number, []).append(("truncate", operation[2], b""))
            elif what == "sync":
                stable[number] = applied(stable.get(number, b""), pending.pop(number, []))
        for number, changes in sorted(pending.items()):
            stable[number] = applied(stable.get(number, b""), kept_of(number, changes))
        for number in self.disk.nodes:
            stable.setdefault(number, b"")
        return stable

    def names(self, has_happened, kind, is_safe):
        """The changes of names that are on the disk, in order."""
        changes, certain = [], []
        for operation in self.log:
            if operation[0] == "name":
                entries, node = operation[1], operation[2]
                halves = [(entry,) for entry in entries] if kind == "fat" else [entries]
                changes += [(half, node) for half in halves]
                certain += [False] * len(halves)
            elif operation[0] == "sync":
                self.settle(changes, certain, operation[1], kind)
        there, is_over = [], False
        for (entries, node), is_certain in zip(changes, certain):
            if is_certain or is_safe(node) or not is_over and has_happened():
                there += entries
            else:
                # In a journal nothing comes after what has not happened.
                is_over = kind == "ordered"
        return there

    @staticmethod
    def settle(changes, certain, number, kind):
        """Somebody has waited for a file or directory."""
        last = -1
        for place, (entries, node) in enumerate(changes):
            in_directory = any(parent == number for parent, _, _ in entries)
            is_own = node == number and any(entry is not None for _, _, entry in entries)
            if kind == "ordered" and (in_directory or node == number):
                last = place
            elif in_directory or kind == "fat" and is_own:
                certain[place] = True
        certain[:last + 1] = [True] * (last + 1)


def applied(data, changes):
    data = bytearray(data)
    for kind, place, what in changes:
        if kind == "write":
            apply_write(data, place, what)
        else:
            apply_truncate(data, place)
    return bytes(data)


def torn(pending, rng):
    """All up to some byte, or some sector; what follows it is missing."""
    kept = pending[:rng.randrange(len(pending)) + 1]
    kind, place, what = kept[-1]
    if kind == "write":
        end = rng.randrange(len(what) + 1)
        if rng.random() < 0.5:
            end -= (place + end) % SECTOR
        kept = kept[:-1] + [(kind, place, what[:max(0, end)])]
    return kept


def fingerprint(tree):
    digest = hashlib.sha256()
    for path in sorted(tree):
        data = tree[path]
        digest.update(b"%d %s %d " % (len(path), path, -1 if data is None else len(data)) + (data or b""))
    return digest.digest()


@dataclasses.dataclass(frozen=True)
class State:
    """One that a disk may be found in."""
    name: str
    # After so many operations.
    count: int
    # Whether chance has decided on something.
    is_chance: bool
    tree: typing.Callable


def candidates(disk, kinds, seed, variants):
    """All that may be there after a power cut somewhere in a log. `variants` for each place are left to chance, which
    is the same for the same seed."""
    found = []
    for count in range(len(disk.log) + 1):
        cut = Cut(disk, count)
        where = f"after {count} of {len(disk.log)} operations"
        found.append(State(f"{where}, all written", count, False, cut.everything))
        for kind in kinds:
            found.append(State(f"{where}, only what was waited for, {kind}", count, False,
                               functools.partial(cut.synced, kind)))
            for number in range(variants):
                key = f"{seed} {count} {kind} {number}"
                found.append(State(f"{where}, some {number}, {kind}", count, True,
                                   functools.partial(cut.some, kind, key)))
    return found
