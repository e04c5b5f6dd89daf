"""The disk answers with an error to any call of any run: it is told, earlier snapshots are whole, and the next runs
succeed.

Each kind of call at each of its places, and a disk that is full from there on. Every day some of them are tried, the
same ones; YESTER_SEED=NUMBER tries others, YESTER_FAULTS=NUMBER so many of each run, and YESTER_FAULTS=all every one.
"""

import errno
import os
import shutil
import unittest

from support.crash_runs import CrashTest
from support.machine import DAMAGED, DONE, FAILED, INCOMPLETE
from support.memory_disk import Fault, MemoryDisk, write_tree

WANTED = os.environ.get("YESTER_FAULTS", "5")
# What there is no room for on a full disk.
FILLING = ("write", "create", "mkdir", "link")
# The source is no part of the disk.
PARTS = (b"repository", b"client", b"keys")


class DiskErrors(CrashTest):
    def setUp(self):
        super().setUp()
        self.hits = 0

    def calls(self, one):
        """How many calls of each kind a run makes in each part of the disk. Threads make it differ a little."""
        disk = MemoryDisk(self.worlds.folder_of(one))
        ran = self.run_on(disk, one)
        self.assertEqual(ran.status, DONE, f"{one.name}: {ran}")
        return {key: count for key, count in sorted(disk.calls.items()) if key[0] in PARTS}

    def faults(self, one):
        """What there is to be tried of a run, by part and kind."""
        found, calls = {}, self.calls(one)
        for (part, kind), count in calls.items():
            found[part, kind] = [Fault(part, (kind,), place) for place in range(1, count + 1)]
            if kind == "fsync":
                found[part, kind] += [Fault(part, (kind,), place, loses=True) for place in range(1, count + 1)]
        for part in PARTS:
            count = sum(calls.get((part, kind), 0) for kind in FILLING)
            if count:
                found[part, "full"] = [Fault(part, FILLING, place, errno.ENOSPC, None) for place in range(1, count + 1)]
        return found

    def chosen(self, one):
        found = self.faults(one)
        if WANTED == "all":
            return [fault for faults in found.values() for fault in faults]
        # Kinds with few calls count as much as those with many.
        kinds = sorted(found)
        self.rng.shuffle(kinds)
        return [self.rng.choice(found[kinds[number % len(kinds)]]) for number in range(int(WANTED))]

    def try_fault(self, one, fault):
        disk = MemoryDisk(self.worlds.folder_of(one))
        disk.fault = fault
        ran = self.run_on(disk, one)
        self.hits += bool(disk.faults)
        folder = self.new_folder()
        try:
            self.look_at_end(ran, fault, disk.faults)
            write_tree(disk.paths(), folder)
            self.worlds.check(one, folder, ran.status == DONE)
        except AssertionError as error:
            return f"{one.name}, {fault}:\n{error}\n--- the run itself: {ran}"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return None

    def look_at_end(self, ran, fault, hits):
        """Of what does not matter nothing need be said. Whatever fails says what happened, and takes no error of the
        disk for something else, such as a repository that is not there."""
        if ran.status == DONE:
            return
        if not hits:
            raise AssertionError("it failed without an error of the disk")
        if ran.status not in (FAILED, INCOMPLETE, DAMAGED) or os.strerror(fault.number) not in ran.err:
            raise AssertionError("it does not say what happened")

    def test_anywhere(self):
        jobs = [(self.try_fault, one, fault)
                for one in self.worlds.runs() + self.worlds.readers() for fault in self.chosen(one)]
        self.do_all(jobs)
        self.assertGreater(self.hits, len(jobs) // 3, "too few calls were met: the test proves nothing")


if __name__ == "__main__":
    unittest.main()
