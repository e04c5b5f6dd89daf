"""The index says nothing that the packs do not say: whatever has happened to it, it is made anew from them."""

import unittest

from support.cases import EndToEndTest, make_tree, settle
from support.machine import DAMAGED, DONE, FAILED, INCOMPLETE, USAGE, WRONG_KEY


class RebuiltIndex(EndToEndTest):
    # What is damaged is not to be made good here.
    protection = "none"

    def setUp(self):
        super().setUp()
        make_tree(self.source)
        self.init()
        self.backup("-d", "first")
        (self.source / "later").write_bytes(b"later")
        settle()
        self.backup("-d", "second")

    def rebuild(self, *options, status=DONE):
        return self.yester("repair", "--rebuild-index", "--json", *options, status=status)

    def assert_whole(self):
        self.verify("--level", "data")
        self.assert_same_tree(self.source, self.restored())

    def test_every_segment_is_lost(self):
        for segment in self.objects("index"):
            segment.unlink()
        self.verify(status=DAMAGED)
        before = self.rebuild("--dry-run").json
        self.assertEqual(self.objects("index"), [])
        done = self.rebuild().json
        self.assertEqual((done["packs"], done["packs_found"], done["chunks"]),
                         (len(self.objects("packs")), len(self.objects("packs")), before["chunks"]))
        self.assert_whole()
        # Nothing is stored again that is there.
        packs = self.objects("packs")
        self.backup()
        self.assertEqual([path for path in packs if not path.exists()], [])
        self.assertLessEqual(len(self.packs(1)), 2)

    def test_a_damaged_segment_is_told_and_replaced(self):
        segment = self.objects("index")[0]
        self.flip(segment, -70)
        ran = self.verify(status=DAMAGED)
        self.assertIn(segment.name, ran.err)
        self.assertIn("yester repair --rebuild-index", ran.err)
        ran = self.yester("prune", status=DAMAGED)
        self.assertIn("yester repair --rebuild-index", ran.err)
        # A backup goes on, stores what it does not find, and says so.
        ran = self.yester("backup", self.source, status=INCOMPLETE)
        self.assertIn("yester repair --rebuild-index", ran.err)
        done = self.rebuild().json
        self.assertEqual(done["segments_unusable"], 1)
        self.assertFalse(segment.exists())
        self.assert_whole()
        self.yester("prune")
        self.backup()

    def test_a_pack_that_cannot_be_read_keeps_what_the_index_says_of_it(self):
        pack = self.packs(1)[0]
        self.flip(pack, -40)
        done = self.rebuild(status=DAMAGED).json
        self.assertEqual([one["pack"] for one in done["unreadable"]], [pack.name])
        # Its directory is gone, its blocks are not.
        self.assert_same_tree(self.source, self.restored())

    def test_it_changes_nothing_in_a_sound_repository(self):
        before = self.rebuild("--dry-run").json
        self.assertEqual((before["packs_found"], before["packs_missing"], before["unreadable"]), (0, 0, []))
        for _ in range(2):
            self.rebuild()
            self.assert_whole()
        self.assertEqual(len(self.objects("index")), 1)

    def test_who_may_and_what_has_to_be_said(self):
        self.yester("repair", status=USAGE)
        key = self.temp / "write-only"
        self.yester("key", "add", "--write-only", "--new-key-file", key)
        self.yester("repair", "--rebuild-index", "--key-file", key, status=(WRONG_KEY, FAILED))


if __name__ == "__main__":
    unittest.main()
