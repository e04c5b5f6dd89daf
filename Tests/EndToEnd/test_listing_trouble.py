"""What a repository's file system fails to look at is there all the same."""

import os
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import FAILED, YESTER, run


class ListingTrouble(EndToEndTest):
    # A second copy would take the place of a record that cannot be read.
    protection = "none"

    def setUp(self):
        super().setUp()
        self.init()
        make_tree(self.source)
        first = self.backup()["name"]
        self.add = self.source / "more"
        self.add.write_bytes(os.urandom(100_000))
        self.second = self.backup()["name"]
        self.point = self.mount()
        self.assertNotEqual(first, self.second)

    def failing(self, path, *arguments, calls="statx,newfstatat"):
        """Runs yester where nothing in a folder of the repository can be looked at, or an object not be opened."""
        command = ["strace", "-f", "-o", os.devnull, "-P", self.repository / path, "-e", f"trace={calls}",
                   "-e", f"inject={calls}:error=EIO", YESTER, *arguments]
        ran = run(command, env=self.environment())
        self.assertEqual(ran.status, FAILED, ran)
        self.assertIn("Input/output error", ran.err)

    def test_nobody_who_is_at_work_is_overlooked(self):
        reading = self.in_mount(self.point, self.second) / "more"
        self.yester("remove", "--yes", "--force", self.second)
        packs = self.objects("packs")
        self.failing("leases", "prune", "--max-unused", "0", "--minimum-age", "0")
        self.assertEqual(self.objects("packs"), packs)
        self.assertEqual(reading.read_bytes(), self.add.read_bytes())
        self.verify()

    def test_no_record_is_overlooked(self):
        self.yester("remove", "--yes", "--force", self.second)
        packs = self.objects("packs")
        for path in [self.repository / "snapshots", *self.objects("snapshots")]:
            self.failing(path, "prune", "--max-unused", "0", "--minimum-age", "0", calls="openat")
            self.assertEqual(self.objects("packs"), packs, path)
        self.verify()


if __name__ == "__main__":
    unittest.main()
