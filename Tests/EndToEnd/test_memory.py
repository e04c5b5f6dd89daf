"""What a machine remembers of a repository, and what it tells when that is not there any more."""

import shutil
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import DAMAGED, DONE


class Memory(EndToEndTest):
    # What the store gives back has no second copies of what came later.
    protection = "none"

    def setUp(self):
        super().setUp()
        make_tree(self.source, files=5)
        self.init()
        self.first = self.backup("-d", "first")
        self.old = self.temp / "old"
        shutil.copytree(self.repository / "snapshots", self.old)
        self.last = self.backup("-d", "last")

    def set_back(self):
        """The store gives an earlier state."""
        shutil.rmtree(self.repository / "snapshots")
        shutil.copytree(self.old, self.repository / "snapshots")

    def test_every_command_misses_what_was_there(self):
        self.assertEqual(self.yester("list").err, "")
        self.set_back()
        # A machine that has never seen it is told nothing.
        self.assertEqual(self.yester("list", env={"YESTER_STATE_DIR": self.temp / "elsewhere"}).err, "")
        for words, status in ((["list"], DONE), (["show", "latest"], DONE), (["ls", "latest:/"], DONE),
                              (["find", "*"], DONE), (["status"], DONE), (["verify"], DAMAGED),
                              (["prune"], DAMAGED), (["rotate", "--keep-last", "1"], DAMAGED),
                              (["remove", self.first["name"]], DAMAGED)):
            ran = self.yester(*words, status=status)
            self.assertIn(self.last["id"][:8], ran.err + ran.out, words)
        # The next backup does not stand in for what is gone.
        self.backup("-d", "next")
        self.assertIn(self.last["id"][:8], self.yester("list", env={"YESTER_STATE_DIR": self.temp / "new"}).err)
        self.assertIn("--accept-missing-snapshots", self.yester("prune", status=DAMAGED).err)
        self.yester("prune", "--accept-missing-snapshots")
        self.assertEqual(self.yester("list").err, "")
        self.verify()

    def test_the_file(self):
        files = list(self.state.iterdir())
        self.assertEqual(len(files), 1)
        self.assertEqual(files[0].stat().st_mode & 0o777, 0o600)
        self.assertLess(files[0].stat().st_size, 1000)
        files[0].write_bytes(b"nothing of the kind")
        ran = self.yester("list")
        self.assertIn(str(files[0]), ran.err)
        self.backup()
        self.assertEqual(self.yester("list").err, "")

    def test_a_repository_that_is_restored_properly(self):
        self.set_back()
        self.assertIn("missing", self.yester("list").err)
        shutil.rmtree(self.state)
        self.assertEqual(self.yester("list").err, "")


if __name__ == "__main__":
    unittest.main()
