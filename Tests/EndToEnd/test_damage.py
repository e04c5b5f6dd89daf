"""Damaged packs, and what still works then: verify names the paths, reads fail for that range alone, a backup heals."""

import os
import random
import unittest

from support.cases import BLOCK, EndToEndTest, make_tree
from support.machine import DAMAGED, DONE, FAILED, INCOMPLETE, MIB, run


class DamagedPacks(EndToEndTest):
    protection = "none"

    def setUp(self):
        super().setUp()
        make_tree(self.source)
        rng = random.Random("damage")
        self.init()
        self.backup()
        # Each backup makes packs of its own: so each big file is alone in one.
        known = set(self.objects("packs"))
        (self.source / "victim").write_bytes(rng.randbytes(8 * MIB))
        self.backup()
        self.victims = [pack for pack in self.packs(1) if pack not in known]
        known = set(self.objects("packs"))
        (self.source / "bystander").write_bytes(rng.randbytes(2 * MIB))
        self.made = self.backup()
        self.bystanders = [pack for pack in self.packs(1) if pack not in known]
        self.assertEqual((len(self.victims), len(self.bystanders)), (1, 1))
        self.pack = self.victims[0]

    def errors_of(self, file):
        """Which blocks cannot be read of a file that is mounted under its own name."""
        return self.bad_blocks(file, (self.source / file.name).read_bytes())

    def assert_named(self, *words, level="data"):
        ran = self.verify("--level", level, status=DAMAGED)
        for word in words:
            self.assertIn(str(word), ran.err)
        return ran

    def assert_others_go_on(self, names=("bystander", "dir0/file-000")):
        """All that does not touch the victim works as before."""
        self.assertEqual(len(self.snapshots()), 3)
        point = self.mount(at="check")
        mounted = self.in_mount(point)
        for name in names:
            self.assertEqual((mounted / name).read_bytes(), (self.source / name).read_bytes())
        self.assertIn("victim", os.listdir(mounted))
        self.unmount(point)
        target = self.temp / "partly"
        ran = self.yester("restore", f"latest:{self.source}", "--to", target, status=DAMAGED)
        self.assertIn("victim", ran.err)
        self.assert_same_tree(self.source, target, "--skip", "victim", ".")
        self.assertFalse((target / "victim").exists() and
                         (target / "victim").read_bytes() != (self.source / "victim").read_bytes(),
                         "a damaged file was left behind under its own name")

    def assert_healed(self):
        self.verify()
        self.assert_same_tree(self.source, self.restored(to="healed"))
        point = self.mount(at="healed-mount")
        for snapshot in self.snapshots()[1:]:
            self.assertEqual(self.errors_of(self.in_mount(point, snapshot["name"], self.source / "victim")), [])

    def test_a_flipped_byte_in_a_block(self):
        self.flip(self.pack, 4 * MIB)
        ran = self.assert_named("victim")
        self.assertNotIn("bystander", ran.err)
        self.assertNotIn("file-000", ran.err)
        found = self.verify("--json", status=DAMAGED).json
        self.assertIs(found["sound"], False)
        hit = {one["path"] for one in found["findings"] if one["path"]}
        self.assertEqual({os.path.basename(path) for path in hit}, {"victim"})
        self.assert_named(self.pack.name, level="packs")
        point = self.mount()
        bad = self.errors_of(self.in_mount(point, path=self.source / "victim"))
        self.assertTrue(bad, "the damaged range was read")
        self.assertLess(len(bad) * BLOCK, 5 * MIB, "more than the damaged chunk is lost")
        self.unmount(point)
        self.assert_others_go_on()
        # Another backup does not make it worse, and does not read everything.
        (self.source / "new").write_bytes(b"new")
        self.backup()

    def test_the_health_file_tells_of_damage(self):
        self.flip(self.pack, 4 * MIB)
        point = self.mount()
        before = (point / ".yester" / "health").read_text()
        self.assertTrue(self.errors_of(self.in_mount(point, path=self.source / "victim")))
        after = (point / ".yester" / "health").read_text()
        self.assertNotEqual(before, after)
        self.assertIn(self.pack.name[:8], after)

    def test_deleting_the_damaged_pack_and_a_backup_heal(self):
        self.flip(self.pack, 4 * MIB)
        self.pack.unlink()
        made = self.backup("--type", "full")
        self.assertGreaterEqual(made["counts"]["bytes_new"], 8 * MIB)
        self.assert_healed()

    def test_an_incremental_backup_heals_as_well(self):
        self.pack.unlink()
        self.backup()
        self.assert_healed()

    def test_a_missing_pack(self):
        self.pack.unlink()
        self.assert_named("victim", self.pack.name[:8])
        self.assert_named("victim", level="structure")
        self.assert_others_go_on()

    def test_a_truncated_pack(self):
        size = self.pack.stat().st_size
        self.pack.chmod(0o600)
        os.truncate(self.pack, size // 2)
        self.assert_named("victim")
        self.assert_named("victim", level="structure")
        self.assert_named(self.pack.name, level="packs")
        self.assert_others_go_on()
        os.truncate(self.pack, 0)
        self.assert_named("victim")
        self.assert_others_go_on()

    def test_a_pack_that_grew(self):
        self.pack.chmod(0o600)
        with open(self.pack, "ab") as file:
            file.write(b"more")
        self.verify(status=DAMAGED)
        self.assert_named(self.pack.name, level="packs")

    def test_two_packs_with_each_others_names(self):
        other, hold = self.bystanders[0], self.temp / "hold"
        self.pack.rename(hold)
        other.rename(self.pack)
        hold.rename(other)
        self.assert_named("victim", "bystander")
        self.assert_named(self.pack.name, other.name, level="packs")
        point = self.mount()
        for name in ("victim", "bystander"):
            bad = self.errors_of(self.in_mount(point, path=self.source / name))
            self.assertEqual(len(bad) * BLOCK, (self.source / name).stat().st_size)

    def test_two_blocks_of_a_pack_exchanged(self):
        """Well-formed pieces in the wrong place: the number of a block is authenticated with it."""
        data = bytearray(self.pack.read_bytes())
        second, fourth = (slice(224 + n * MIB, 224 + (n + 1) * MIB) for n in (1, 3))
        data[second], data[fourth] = data[fourth], data[second]
        self.pack.chmod(0o600)
        self.pack.write_bytes(data)
        self.assert_named("victim")
        point = self.mount()
        self.assertTrue(self.errors_of(self.in_mount(point, path=self.source / "victim")))

    def test_a_damaged_directory_of_a_pack(self):
        self.flip(self.pack, -40)
        self.assert_named(self.pack.name[:8])
        # The index says the same as the directory: reading goes on.
        self.assert_same_tree(self.source, self.restored())

    def test_a_damaged_header_of_a_pack(self):
        self.flip(self.pack, 100)
        self.assert_named("victim")
        self.assert_others_go_on()

    def test_a_damaged_tree_pack(self):
        oldest = min(self.packs(2), key=lambda path: path.stat().st_mtime_ns)
        self.flip(oldest, 300)
        ran = self.verify(status=DAMAGED)
        self.assertIn("listing", ran.err)
        self.snapshots()
        point = self.mount()
        ran = run(["ls", "-lR", f"{point}/latest/"])
        self.assertNotEqual(ran.status, 0)
        self.assertIn("Input/output error", ran.err)
        self.unmount(point)
        # All is read again: the new snapshot is whole, whatever the old ones have lost. It says what it met.
        oldest.unlink()
        ran = self.yester("backup", "--json", self.source, status=INCOMPLETE)
        made = ran.json
        self.assertIn("cannot be read in full", ran.err)
        self.assertIn("yester verify", ran.err)
        self.assertEqual(made["problems"], 1)
        self.backup("-d", "afterwards")
        self.verify(made["name"])
        self.assert_same_tree(self.source, self.restored())
        ran = self.verify(status=DAMAGED)
        self.assertNotIn(f"{made['name']}:", ran.err)

    def test_prune_and_rotate_delete_nothing_when_something_is_missing(self):
        tree = self.packs(2)
        self.flip(tree[0], 300)
        tree[0].rename(self.temp / "away")
        before = set(self.objects("packs"))
        self.yester("prune", status={FAILED, DAMAGED})
        self.assertEqual(set(self.objects("packs")), before)
        (self.temp / "away").rename(tree[0])
        self.yester("prune", status={FAILED, DAMAGED, DONE})
        self.assertLessEqual(before - {tree[0]}, set(self.objects("packs")))


if __name__ == "__main__":
    unittest.main()
