"""rollback: the preview is the plan, a restore point is made first, and nothing beside the path is touched."""

import os
import shutil
import unittest

from support.cases import EndToEndTest, make_tree, tree_state, unprotected
from support.machine import DAMAGED, FAILED, MIB, run, USAGE


class Rollback(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.live = self.source / "live"
        make_tree(self.live, big=1)
        make_tree(self.source / "neighbour", seed=2)
        (self.source / "live2").mkdir()
        (self.source / "live2" / "file").write_bytes(b"similar name")
        self.init()
        self.made = self.backup()
        self.good = tree_state(self.live)

    def spoil(self):
        (self.live / "dir0" / "file-000").write_bytes(b"ransom")
        shutil.rmtree(self.live / "dir1")
        (self.live / "extra").mkdir()
        (self.live / "extra" / "file").write_bytes(b"made since")
        (self.live / "big-0").write_bytes(b"y" * MIB)
        (self.live / "dir2").chmod(0o711)
        return tree_state(self.live)

    def others(self):
        return {name: tree_state(self.source / name) for name in ("neighbour", "live2")}

    def roll_back(self, snapshot="latest", path=None, *arguments, **options):
        return self.yester("rollback", snapshot, path or self.live, "--yes", "--json", *arguments, **options)

    def test_there_and_back(self):
        spoiled, others = self.spoil(), self.others()
        preview = self.yester("rollback", "latest", self.live, "--dry-run", "--json").json
        self.assertEqual(tree_state(self.live), spoiled, "the preview changed something")
        self.assertEqual(len(self.snapshots()), 1)
        done = self.roll_back().json
        self.assertEqual(done["steps"], preview["steps"])
        self.assertTrue(any(step["step"] == "delete" and step["path"].endswith("extra") for step in done["steps"]))
        self.assertEqual(tree_state(self.live), self.good)
        self.assertEqual(self.others(), others, "a neighbour was touched")
        points = [one for one in self.snapshots() if one["kind"] == "restore-point"]
        self.assertEqual([one["name"] for one in points], [done["restore_point"]])
        # Undo: back to the restore point.
        undone = self.roll_back(done["restore_point"]).json
        self.assertEqual(tree_state(self.live), spoiled)
        self.assertEqual(self.others(), others)
        # And forth once more: the point of the undoing holds what it replaced.
        self.roll_back(undone["restore_point"])
        self.assertEqual(tree_state(self.live), self.good)
        self.verify()

    def test_a_single_file(self):
        file = self.live / "dir0" / "file-000"
        wanted = file.read_bytes()
        self.spoil()
        before = tree_state(self.live)
        self.roll_back(path=file)
        self.assertEqual(file.read_bytes(), wanted)
        after = tree_state(self.live)
        for name in (b"dir0/file-000", b"dir0"):
            before.pop(name), after.pop(name)
        self.assertEqual(after, before, "more than the file was touched")

    def test_what_vanished_comes_back(self):
        shutil.rmtree(self.live)
        done = self.roll_back().json
        self.assertIsNone(done["restore_point"])
        self.assertEqual(tree_state(self.live), self.good)

    def test_nothing_to_do(self):
        done = self.roll_back().json
        self.assertEqual((done["created"], done["replaced"], done["deleted"]), (0, 0, 0))
        self.assertEqual(len(self.snapshots()), 1, "a restore point for nothing")

    def test_a_path_through_a_link(self):
        link = self.temp / "link"
        link.symlink_to(self.source)
        self.spoil()
        self.roll_back(path=link / "live")
        self.assertEqual(tree_state(self.live), self.good)
        self.assertTrue(link.is_symlink())

    def test_what_cannot_be_rolled_back(self):
        spoiled = self.spoil()
        ran = self.roll_back(path=self.source / "never", status=FAILED)
        self.assertIn("never", ran.err)
        # Only the way to the source is in the snapshot: rolling back /tmp would delete all the rest of it.
        ran = self.roll_back(path=self.temp, status=FAILED)
        self.assertIn("parts", ran.err)
        self.roll_back(path="/", status=(FAILED, USAGE))
        self.roll_back("no-such-snapshot", status=FAILED)
        self.assertEqual(tree_state(self.live), spoiled)
        self.assertEqual(len(self.snapshots()), 1)

    @unprotected
    def test_a_damaged_repository_changes_nothing(self):
        spoiled = self.spoil()
        for pack in self.packs(1):
            self.flip(pack, pack.stat().st_size // 2)
        self.roll_back(status=DAMAGED)
        self.assertEqual(tree_state(self.live), spoiled, "something was touched before all was proven sound")
        self.assertEqual(len(self.snapshots()), 1)
        for pack in self.packs(1):
            pack.unlink()
        self.roll_back(status=DAMAGED)
        self.assertEqual(tree_state(self.live), spoiled)

    def test_without_space_for_the_restore_point_nothing_happens(self):
        hold = self.temp / "small"
        hold.mkdir()
        self.assertEqual(run(["mount", "-t", "tmpfs", "-o", "size=8m", "yester-test", hold]).status, 0)
        run(["cp", "-a", self.repository, hold])
        self.repository = hold / "repository"
        (self.live / "unsaved").write_bytes(os.urandom(12 * MIB))
        before = tree_state(self.live)
        ran = self.roll_back(status=FAILED)
        self.assertIn("space", ran.err)
        self.assertEqual(tree_state(self.live), before)

    def test_rotation_keeps_restore_points(self):
        self.spoil()
        point = self.roll_back().json["restore_point"]
        self.backup()
        self.yester("rotate", "--keep-last", "1")
        self.assertIn(point, [one["name"] for one in self.snapshots()])
        # It is no day's tree and not the latest.
        mounted = self.mount()
        self.assertNotEqual(os.readlink(mounted / "latest"), point)
        self.assertIn(point, os.listdir(mounted))


if __name__ == "__main__":
    unittest.main()
