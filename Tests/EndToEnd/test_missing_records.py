"""Records of snapshots that are out of sight: nothing is deleted for want of them."""

import random
import shutil
import unittest

from support.cases import EndToEndTest
from support.machine import DAMAGED, FAILED, WRONG_KEY


class SecondCopies(EndToEndTest):
    def test_what_can_be_put_back_is_not_lost(self):
        self.source.mkdir()
        self.init()
        for number in range(3):
            (self.source / "file").write_bytes(random.Random(number).randbytes(100_000))
            self.backup()
        before = set(self.objects("packs")) | set(self.objects("snapshots"))
        (self.repository / "snapshots").rename(self.temp / "aside")
        for options in ([], ["--accept-missing-snapshots"], ["--accept-missing-snapshots", "--dry-run"]):
            ran = self.yester("prune", "--minimum-age", "0", *options, status=DAMAGED)
            self.assertIn("yester verify --repair", ran.err)
        # Nobody has to remember them for that.
        shutil.rmtree(self.state)
        self.yester("prune", "--minimum-age", "0", "--accept-missing-snapshots", status=DAMAGED)
        self.verify("--repair")
        # All is there again; the verification has added its note.
        self.assertLessEqual(before, set(self.objects("packs")) | set(self.objects("snapshots")))
        self.yester("prune", "--minimum-age", "0")
        self.verify()
        self.assert_same_tree(self.source, self.restored())


class MissingRecords(EndToEndTest):
    protection = "none"

    def setUp(self):
        super().setUp()
        self.rng = random.Random("missing records")
        self.source.mkdir()
        self.init()

    def make(self, count):
        names = []
        for _ in range(count):
            (self.source / "file").write_bytes(self.rng.randbytes(100_000))
            names.append(self.backup()["name"])
        return names

    def stored(self):
        return {folder: set(self.objects(folder)) for folder in ("packs", "index", "snapshots")}

    def refused(self, *arguments, status):
        before = self.stored()
        ran = self.yester(*arguments, status=status)
        self.assertIn("Nothing was deleted", ran.err)
        self.assertIn("yester prune --accept-missing-snapshots", ran.err)
        self.assertEqual(self.stored(), before)
        return ran

    def test_the_folder_of_records_was_moved_aside(self):
        self.make(3)
        folder = self.repository / "snapshots"
        for is_there in (False, True):
            folder.rename(self.temp / "aside")
            if is_there:
                folder.mkdir()
            self.refused("prune", status=DAMAGED)
            self.refused("prune", "--dry-run", status=DAMAGED)
            self.refused("rotate", "--keep-last", "1", status=DAMAGED)
            # A machine that has never seen them cannot say that they are missing, and deletes nothing either.
            self.state.rename(self.temp / "state-aside")
            self.refused("prune", status=FAILED)
            self.refused("rotate", "--keep-last", "1", status=FAILED)
            shutil.rmtree(self.state, ignore_errors=True)
            (self.temp / "state-aside").rename(self.state)
            if folder.exists():
                folder.rmdir()
            (self.temp / "aside").rename(folder)
        self.yester("prune")
        self.verify()
        self.assert_same_tree(self.source, self.restored())

    def test_one_record_is_lost(self):
        names = self.make(4)
        path = self.repository / "snapshots" / self.snapshots()[1]["id"]
        path.rename(self.temp / "aside")
        self.assertIn(path.name[:8], self.verify(status=DAMAGED).err)
        self.refused("prune", status=DAMAGED)
        self.refused("prune", "--dry-run", status=DAMAGED)
        self.refused("rotate", "--keep-last", "1", status=DAMAGED)
        self.refused("rotate", "--keep-last", "1", "--no-prune", status=DAMAGED)
        self.refused("remove", names[0], "--prune", status=DAMAGED)
        # It is found again: all is as it was.
        (self.temp / "aside").rename(path)
        self.verify()
        self.yester("rotate", "--keep-last", "2")
        self.verify()
        self.assertIn(names[3], [one["name"] for one in self.snapshots()])

    def test_a_loss_can_be_accepted(self):
        names = self.make(4)
        (self.repository / "snapshots" / self.snapshots()[1]["id"]).unlink()
        packs = set(self.objects("packs"))
        self.yester("prune", "--max-unused", "0", "--minimum-age", "0", "--accept-missing-snapshots")
        self.assertLess(len(self.objects("packs")), len(packs))
        self.verify()
        self.yester("prune")
        self.yester("rotate", "--keep-last", "1")
        self.assertIn(names[3], [one["name"] for one in self.snapshots()])
        self.assert_same_tree(self.source, self.restored())

    def test_only_a_full_key_accepts_a_loss(self):
        self.make(1)
        key = self.temp / "write-only"
        self.yester("key", "add", "--write-only", "--new-key-file", key)
        (self.repository / "snapshots").rename(self.temp / "aside")
        before = self.stored()
        self.yester("prune", "--accept-missing-snapshots", "--key-file", key, status=WRONG_KEY)
        self.assertEqual(self.stored(), before)

    def test_all_snapshots_were_removed_properly(self):
        names = self.make(2)
        self.yester("remove", "--force", *names)
        self.yester("prune", "--max-unused", "0", "--minimum-age", "0")
        self.assertEqual(self.objects("packs"), [])
        self.yester("rotate", "--keep-last", "1")
        self.make(1)
        self.verify()

    def test_a_first_backup_that_left_no_record(self):
        """It looks like a lost folder of records; the next backup uses what is there, and then space comes back."""
        self.make(1)
        for path in self.objects("snapshots"):
            path.unlink()
        # It was killed before: nobody has seen a record.
        shutil.rmtree(self.state)
        self.refused("prune", status=FAILED)
        self.make(1)
        self.yester("prune", "--max-unused", "0", "--minimum-age", "0")
        self.verify()
        self.assert_same_tree(self.source, self.restored())


if __name__ == "__main__":
    unittest.main()
