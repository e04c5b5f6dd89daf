"""Backups of what lies in a mount of yester's own: of another repository, and of the very one that is written to."""

import os
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import FAILED, INCOMPLETE, run


class MountsAsSources(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.init()
        make_tree(self.source, big=1)
        os.setxattr(self.source / "dir0", "user.kept", b"yes")
        self.backup()
        # Blanks and commas in the name of the other repository must not confuse anybody.
        self.other = self.temp / "an other, with blanks"
        self.other_key = self.temp / "other-key"
        self.access = ("--repository", self.other, "--key-file", self.other_key)
        self.yester("init", "--repository", self.other, "--key-file", self.other_key)

    def test_a_snapshot_is_copied_to_another_repository(self):
        place = self.in_mount(self.mount()).resolve()
        self.yester("backup", *self.access, "--strict", place)
        to = self.temp / "back"
        self.yester("restore", *self.access, f"latest:{place}", "--to", to)
        self.assert_same_tree(self.source, to)
        self.assertEqual(os.getxattr(to / "dir0", "user.kept"), b"yes")
        self.assertEqual(os.listxattr(to / "dir1" / "hard"), [])
        # Nothing is read a second time.
        again = self.yester("backup", "--json", *self.access, place).json
        self.assertEqual(again["counts"]["bytes_read"], 0)

    def test_a_mount_met_on_the_way(self):
        inside = self.source / "mnt"
        inside.mkdir()
        self.yester("mount", inside)
        ran = self.yester("backup", self.source)
        self.assertIn(f"{inside}: not entered, since it shows the snapshots of this repository", ran.err)
        self.assertEqual(os.listdir(self.restored() / "mnt"), [])
        self.assertNotIn("could not", ran.err)
        # For another repository it is a directory like others, and said to be one.
        ran = self.yester("backup", *self.access, "--strict", self.source)
        self.assertIn(f"{inside}: the snapshots of the repository {self.repository} are backed up", ran.err)
        listed = self.yester("ls", *self.access, f"latest:{inside}").out.split()
        self.assertEqual(set(listed), set(os.listdir(inside)))
        # What yester says of the snapshots is no file of the user's, and never the same twice.
        self.assertEqual(self.yester("ls", *self.access, f"latest:{inside}/.yester").out, "")
        to = self.temp / "back"
        self.yester("restore", *self.access, f"latest:{inside}/{self.snapshots()[0]['name'][:8]}{self.source}", "--to", to)
        self.assertTrue((to / "dir0" / "file-000").exists())

    def test_a_snapshot_of_the_very_repository(self):
        point = self.mount()
        place = self.in_mount(point).resolve()
        self.yester("backup", "--strict", place, timeout=60)
        to = self.restored(path=place)
        self.assert_same_tree(self.source, to)
        # A single file, and through a second name of the mount.
        self.yester("backup", place / "dir0" / "file-000")
        second = self.temp / "second"
        second.mkdir()
        self.assertEqual(run(["mount", "--bind", point, second]).status, 0)
        ran = self.yester("backup", second, status=FAILED)
        self.assertIn("name one of them", ran.err)

    def test_all_of_the_very_repository_is_refused(self):
        point = self.mount()
        ran = self.yester("backup", point, status=FAILED)
        self.assertIn(f"{point}: all snapshots of this repository", ran.err)
        ran = self.yester("backup", self.source, point, status=INCOMPLETE)
        self.assertIn(f"{point}: all snapshots of this repository", ran.err)

    def test_the_repository_by_another_path(self):
        renamed = self.temp / "renamed"
        renamed.mkdir()
        self.assertEqual(run(["mount", "--bind", self.repository, renamed]).status, 0)
        inside = self.source / "mnt"
        inside.mkdir()
        self.yester("mount", inside, "--repository", renamed)
        ran = self.yester("backup", self.source)
        self.assertIn(f"{inside}: not entered", ran.err)


if __name__ == "__main__":
    unittest.main()
