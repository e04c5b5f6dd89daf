"""The power goes at any moment of any run that writes: earlier snapshots are whole, and the next runs succeed.

What a run does to its disk is recorded, and from that are made the states in which the disk may be found afterwards
(`power_cuts` has the rules). Every day some of them are tried, the same ones; YESTER_SEED=NUMBER tries others,
YESTER_CUTS=NUMBER so many of each run, and YESTER_CUTS=all every one.
"""

import os
import shutil
import unittest

from support.crash_runs import CrashTest
from support.machine import DONE
from support.memory_disk import MemoryDisk, write_tree
from support.power_cuts import candidates, fingerprint, KINDS

WANTED = os.environ.get("YESTER_CUTS", "4")


class PowerCuts(CrashTest):
    def record(self, one, **abilities):
        """A run on a disk that remembers."""
        disk = MemoryDisk(self.worlds.folder_of(one), **abilities)
        ran = self.run_on(disk, one)
        self.assertEqual(ran.status, DONE, f"{one.name}: {ran}")
        return disk

    def chosen(self, disk, kinds, name, share):
        """Of all states those that are tried now, each once: one in `share` of those wanted, and always those after the
        end, where success was told."""
        found = candidates(disk, kinds, f"{self.seed} {name}", variants=6 if WANTED == "all" else 3)
        if WANTED != "all":
            last = [one for one in found if one.count == len(disk.log) and not one.is_chance]
            rest = [one for one in found if one not in last]
            found = self.rng.sample(rest, min(len(rest), int(WANTED) // share)) + last
        seen = set()
        for one in found:
            mark = fingerprint(one.tree()), one.count == len(disk.log)
            if mark not in seen:
                seen.add(mark)
                yield one

    def try_state(self, one, state, is_done):
        folder = self.new_folder()
        write_tree(state.tree(), folder)
        try:
            self.worlds.check(one, folder, is_done)
        except AssertionError as error:
            return f"{one.name}, {state.name}:\n{error}"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return None

    def cut(self, kinds, share=1, **abilities):
        jobs = []
        for one in self.worlds.runs():
            disk = self.record(one, **abilities)
            jobs += [(self.try_state, one, state, state.count == len(disk.log))
                     for state in self.chosen(disk, kinds, one.name, share)]
        self.do_all(jobs)

    def test_anywhere(self):
        self.cut(KINDS[:2])

    def test_anywhere_on_a_disk_without_links(self):
        """As FAT and exFAT are."""
        self.cut(KINDS[2:], share=2, can_link=False)

    def test_anywhere_on_a_disk_where_a_rename_spares_nothing(self):
        """As FAT, exFAT and NTFS through FUSE are."""
        self.cut(KINDS[2:], share=2, can_link=False, can_spare=False)


if __name__ == "__main__":
    unittest.main()
