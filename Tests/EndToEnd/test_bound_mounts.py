"""Parts of a mount of yester's own that are bound to other places, as sources of backups into the same repository."""

import os
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import FAILED, run


class BoundMounts(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.init()
        make_tree(self.source)
        # A user may have a directory of this name as well.
        (self.source / ".yester").mkdir()
        (self.source / ".yester" / "notes").write_text("mine")
        self.backup()
        self.point = self.mount()
        self.bound = self.temp / "bound"
        self.bound.mkdir()

    def bind(self, what):
        run(["mount", "--bind", what, self.bound])
        self.addCleanup(lambda: run(["umount", self.bound]))

    def test_a_single_snapshot(self):
        self.bind(self.in_mount(self.point).resolve())
        self.yester("backup", "--strict", self.bound)
        self.assert_same_tree(self.source, self.restored(path=self.bound))
        self.yester("backup", "--strict", self.bound / ".yester")
        self.assertEqual(self.yester("cat", f"latest:{self.bound}/.yester/notes").out, "mine")

    def refused(self, path, words):
        ran = self.yester("backup", path, status=FAILED)
        self.assertIn(words, ran.err)
        self.assertEqual(len(self.snapshots()), 1)

    def test_the_whole_mount(self):
        self.bind(self.point)
        self.refused(self.bound, "all snapshots of this repository")
        self.refused(self.bound / ".yester", "holds no files of yours")

    def test_what_a_mount_shows_beside_the_snapshots(self):
        self.refused(self.point / ".yester", "holds no files of yours")
        self.bind(self.point / ".yester")
        self.refused(self.bound, "holds no files of yours")

    def test_a_host_of_a_mount_of_all(self):
        everything = self.mount("--all-hosts", at="all")
        host = everything / self.snapshots()[0]["host"]
        self.refused(host, "all snapshots of this repository")
        self.bind(host)
        self.refused(self.bound, "all snapshots of this repository")
        self.refused(self.bound / ".yester", "holds no files of yours")
        self.yester("backup", "--strict", self.bound / self.snapshots()[0]["name"])


if __name__ == "__main__":
    unittest.main()
