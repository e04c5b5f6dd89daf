"""Damage that heals: whoever reads goes on and says so, and `verify --repair` mends it for good."""

import os
import random
import shutil
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import BIN, DAMAGED, MIB, RECOVER, ROOT, recover_python, run

BENCH = ROOT / "Scripts" / "bench"
WIDTH = 64 << 10


class Healing(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, big=2)
        self.init()
        self.backup()
        (self.source / "more").write_bytes(random.Random("more").randbytes(100_000))
        self.backup()
        self.rng = random.Random("damage")
        self.before = self.all_objects()

    def all_objects(self):
        return {path: path.read_bytes() for path in self.objects(".")
                if path.parent.name not in ("leases", "tmp") and path.name != "reserve"}

    def large_pack(self):
        return max(self.packs(1), key=lambda path: path.stat().st_size)

    def damage(self, path, start, data):
        path.chmod(0o600)
        with open(path, "r+b") as file:
            file.seek(start)
            file.write(data)

    def damage_all(self):
        """Something in each object, first copies only: in the content of those that have more."""
        for path, data in self.before.items():
            if "copies" not in path.relative_to(self.repository).parts:
                at = self.rng.randrange(min(len(data), MIB // 4))
                self.damage(path, at, self.rng.randbytes(min(WIDTH, len(data) - at)))
        shutil.rmtree(self.cache)

    def assert_whole(self):
        now = self.all_objects()
        self.assertEqual([path for path, data in self.before.items() if now.get(path) != data], [])

    def test_every_damage_of_an_object_heals(self):
        """A sample; without --every the bench tries all of them."""
        ran = run([BENCH, "damage", "--size", "3", "--every", "9", "--work", self.temp / "work"],
                  env=self.environment(YESTER_BIN=BIN), timeout=900)
        self.assertEqual(ran.status, 0, ran)
        self.assertIn("nothing was lost", ran.out)

    def test_a_mount_a_restore_and_a_backup_go_on(self):
        self.damage_all()
        self.assert_same_tree(self.source, self.restored())
        point = self.mount()
        self.assert_same_tree(self.source, self.in_mount(point))
        self.unmount(point)
        made = self.backup()
        self.assertLess(made["counts"]["bytes_new"], 5000, "what is stored is known in spite of the damage")

    def test_it_is_told_where_it_is_met(self):
        pack = self.large_pack()
        self.damage(pack, 300, self.rng.randbytes(WIDTH))
        ran = self.yester("restore", f"latest:{self.source}", "--to", self.temp / "restored")
        self.assertEqual(ran.err.count(pack.name), 1)
        self.assertIn("verify --repair", ran.err)
        ran = self.verify(status=DAMAGED)
        self.assertIn(pack.name, ran.err)
        self.assertNotIn("in a damaged pack", ran.err)
        self.assertEqual(pack.read_bytes()[300:300 + WIDTH] == self.before[pack][300:300 + WIDTH], False)

    def test_a_missing_config_is_told_as_missing(self):
        (self.repository / "config").unlink()
        ran = self.yester("verify", "--level", "packs", status=DAMAGED)
        self.assertIn("the object config is missing", ran.err)
        self.verify("--repair")
        self.assert_whole()

    def test_verify_mends_all_at_once_without_a_key(self):
        self.damage_all()
        found = self.verify("--level", "packs", "--json", "--repair", env={"YESTER_KEY_FILE": None}).json
        self.assertTrue(found["sound"])
        self.assertEqual(found["finding_count"], 0)
        self.assertEqual(found["mended"], len(found["findings"]))
        self.assertTrue(all(one["mended"] for one in found["findings"]))
        self.assert_whole()
        self.verify()
        self.verify("--level", "packs")

    def test_verify_mends_what_it_reads_at_the_level_of_data(self):
        self.damage(self.large_pack(), 5000, b"damaged")
        ran = self.verify("--repair")
        self.assertIn("it was mended", ran.err)
        self.assertIn("Mended: 1 object.", ran.out)
        self.assert_whole()

    def test_a_missing_record_comes_back(self):
        record = self.objects("snapshots")[0]
        record.unlink()
        self.verify("--level", "packs", status=DAMAGED)
        self.verify("--level", "packs", "--repair")
        self.assert_whole()

    def test_a_removed_snapshot_does_not_come_back(self):
        first, second = self.snapshots()
        self.yester("remove", first["name"], "--force")
        self.verify("--level", "packs", "--repair")
        self.assertEqual([one["name"] for one in self.snapshots()], [second["name"]])
        for path in self.objects("copies/snapshots"):
            self.assertTrue((self.repository / "snapshots" / path.name).exists())

    def test_without_protection_damage_is_damage(self):
        shutil.rmtree(self.repository)
        self.yester("init", "--protection", "none", "--key-file", self.temp / "other")
        other = {"YESTER_KEY_FILE": self.temp / "other"}
        self.backup(env=other)
        self.assertFalse((self.repository / "copies").exists())
        pack = self.large_pack()
        self.flip(pack, 5000)
        self.verify("--repair", status=DAMAGED, env=other)
        self.verify("--repair", "--level", "packs", status=DAMAGED, env=other)

    def test_the_other_reader_heals_as_well(self):
        self.damage_all()
        target = self.temp / "recovered"
        ran = run([recover_python(), RECOVER, self.repository, target, "--key-file", self.key])
        self.assertEqual(ran.status, 0, ran)
        self.assertIn("made good", ran.err)
        name = self.snapshots()[-1]["name"]
        self.assert_same_tree(self.source, target / name / str(self.source).lstrip("/"))

    def test_the_other_reader_finds_the_tables_of_a_pack_that_is_cut(self):
        pack = self.large_pack()
        for cut in (1, 20_000, WIDTH):
            pack.chmod(0o600)
            pack.write_bytes(self.before[pack][:-cut])
            target = self.temp / f"recovered-{cut}"
            ran = run([recover_python(), RECOVER, self.repository, target, "--key-file", self.key])
            self.assertEqual(ran.status, 0, ran)
        os.truncate(pack, MIB // 8)
        ran = run([recover_python(), RECOVER, self.repository, self.temp / "less", "--key-file", self.key])
        self.assertEqual(ran.status, 1, ran)


if __name__ == "__main__":
    unittest.main()
