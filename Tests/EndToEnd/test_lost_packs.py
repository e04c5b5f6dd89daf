"""A pack that is lost, and comes back by a backup: its chunks lie in another pack then, and the index knows both places.

Whatever is done to the index afterwards, the lost place must never hide the good one, nor count in its stead.
"""

import os
import random
import unittest

from support.cases import EndToEndTest, settle
from support.machine import DAMAGED, MIB


class LostPacks(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.rng = random.Random("lost")
        self.source.mkdir()
        (self.source / "victim").write_bytes(self.rng.randbytes(3 * MIB))
        settle()
        self.init()
        self.backup("-d", "before")
        [lost] = self.packs(1)
        lost.unlink()
        # Where a local copy of the index was, is no matter.
        self.verify(status=DAMAGED)
        self.backup("-d", "heals")
        self.verify("--level", "data")

    def back_up_often(self, times=20):
        for number in range(times):
            (self.source / f"small-{number}").write_bytes(self.rng.randbytes(2000))
            self.backup("-d", f"number {number}")

    def assert_whole(self, to):
        self.verify("--level", "data")
        self.assert_same_tree(self.source, self.restored(to=to))
        point = self.mount(at=f"mount-{to}")
        self.assertEqual(self.in_mount(point, path=self.source / "victim").read_bytes(),
                         (self.source / "victim").read_bytes())
        self.unmount(point)

    def test_the_index_is_merged(self):
        self.back_up_often()
        self.assertLess(len(self.objects("index")), 12, "the segments were not merged")
        self.assert_whole("merged")

    def test_space_is_reclaimed(self):
        self.yester("prune", "--max-unused", "0")
        self.assert_whole("once")
        self.back_up_often()
        for number in range(2):
            self.yester("prune", "--max-unused", "0")
            self.assert_whole(f"merged-{number}")

    def test_packs_are_rewritten(self):
        """What is left of the healed pack is copied into another one."""
        self.back_up_often()
        (self.source / "victim").write_bytes(os.urandom(1000) + (self.source / "victim").read_bytes())
        self.backup("-d", "other")
        self.yester("rotate", "--keep-last", "1", "--max-unused", "0")
        self.yester("prune", "--max-unused", "0")
        self.assert_whole("rewritten")


if __name__ == "__main__":
    unittest.main()
