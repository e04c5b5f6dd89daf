"""Damaged, missing, foreign and exchanged objects other than packs. A store may lie; whoever reads must find out."""

import hashlib
import os
import re
import shutil
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import DAMAGED, DONE, FAILED, MIB, NO_REPOSITORY, WRONG_KEY


class Objects(EndToEndTest):
    protection = "none"

    def setUp(self):
        super().setUp()
        make_tree(self.source)
        self.init()
        self.backup("-d", "first")
        (self.source / "later").write_bytes(b"later")
        self.backup("-d", "second")

    def replace_by_own_name(self, path, data):
        """Bytes under the name that fits them, as a lying store would put them."""
        path.unlink()
        new = path.parent / hashlib.sha256(data).hexdigest()
        new.write_bytes(data)
        return new

    def record_of(self, description):
        """The snapshot record with this description; its id is its file's name."""
        [identity] = [one["id"] for one in self.snapshots() if one["description"] == description]
        return self.repository / "snapshots" / identity

    # config

    def test_config_missing_or_damaged(self):
        config = self.repository / "config"
        text = config.read_text()
        config.chmod(0o600)
        config.write_text(text.replace("format 1", "format 2"))
        ran = self.yester("list", status=FAILED)
        self.assertRegex(ran.err, "newer")
        config.write_text(re.sub("id .", "id x", text))
        ran = self.yester("list", status={DAMAGED, NO_REPOSITORY})
        self.assertIn("config", ran.err)
        config.write_text(text.replace("check ", "check 0")[:-2] + "\n")
        self.yester("list", status={DAMAGED, NO_REPOSITORY})
        config.write_text("")
        self.yester("list", status={DAMAGED, NO_REPOSITORY})
        config.unlink()
        for command in (["list"], ["verify"], ["backup", self.source], ["verify", "--level", "packs"], ["prune"],
                        ["restore", "latest", "--to", self.temp / "r"]):
            self.yester(*command, status=NO_REPOSITORY)
        self.mount(status=NO_REPOSITORY)
        config.write_text(text)
        self.verify()

    def test_the_config_of_another_repository(self):
        other = self.temp / "other"
        self.yester("init", "--key-file", self.key, env={"YESTER_REPOSITORY": other})
        shutil.copyfile(other / "config", self.repository / "config.new")
        (self.repository / "config.new").replace(self.repository / "config")
        self.yester("list", status={DAMAGED, WRONG_KEY})
        self.yester("backup", self.source, status={DAMAGED, WRONG_KEY})

    # Keys

    def test_a_damaged_key_slot(self):
        [slot] = self.objects("keys")
        self.flip(slot, -1)
        self.yester("list", status=DAMAGED)
        ran = self.verify("--level", "packs", status=DAMAGED)
        self.assertIn(slot.name, ran.err)
        # A slot that was changed and renamed to fit: no epoch names it.
        self.replace_by_own_name(slot, slot.read_bytes())
        self.yester("list", status=DAMAGED)

    def test_one_damaged_slot_does_not_lock_the_others_out(self):
        (self.repository / "keys" / ("0" * 64)).write_bytes(b"rubbish")
        (self.repository / "keys" / "no-id").write_bytes(b"rubbish")
        self.assertEqual(len(self.snapshots()), 2)

    # Index

    def test_a_damaged_index_segment(self):
        segment = self.objects("index")[0]
        self.flip(segment, segment.stat().st_size // 2)
        ran = self.verify("--level", "packs", status=DAMAGED)
        self.assertIn(segment.name, ran.err)
        shutil.rmtree(self.cache)
        ran = self.verify(status=DAMAGED)
        self.assertIn(segment.name[:8], ran.err)

    def test_a_damaged_index_segment_is_no_matter_where_it_is_cached(self):
        for segment in self.objects("index"):
            self.flip(segment, segment.stat().st_size // 2)
        self.assert_same_tree(self.source, self.restored())

    def test_a_foreign_index_segment(self):
        other = self.other_repository()
        for segment in self.objects("index", other):
            shutil.copy(segment, self.repository / "index")
        shutil.rmtree(self.cache)
        self.verify(status=DAMAGED)
        for segment in self.objects("index", other):
            (self.repository / "index" / segment.name).unlink()
        self.verify()

    def other_repository(self):
        other = self.temp / "other"
        env = {"YESTER_REPOSITORY": other}
        self.yester("init", "--key-file", self.key, env=env)
        self.backup("-d", "foreign", env=env)
        return other

    # Snapshot records

    def test_a_damaged_record(self):
        record = self.record_of("first")
        self.flip(record, -100)
        ran = self.yester("list", "--json", status=DAMAGED)
        self.assertIn(record.name, ran.err)
        self.assertIn('"second"', ran.out)
        self.assertNotIn('"first"', ran.out)
        ran = self.verify(status=DAMAGED)
        self.assertIn(record.name[:8], ran.err)
        ran = self.verify("--level", "packs", status=DAMAGED)
        self.assertIn(record.name, ran.err)
        # What the others hold is not touched by it; and nothing is deleted that it may need.
        self.assert_same_tree(self.source, self.restored())
        point = self.mount()
        self.assertEqual(self.in_mount(point, path=self.source / "later").read_bytes(), b"later")
        before = set(self.objects("packs"))
        self.yester("prune", status=DAMAGED)
        self.assertEqual(set(self.objects("packs")), before)
        self.backup()

    def test_a_changed_record_under_a_fitting_name(self):
        record = self.record_of("second")
        for offset in (40, 60, 100, 200, 300, -1):
            with self.subTest(offset=offset):
                original = record.read_bytes()
                data = bytearray(original)
                data[offset] ^= 1
                forged = self.replace_by_own_name(record, bytes(data))
                ran = self.yester("list", "--json", status=(DONE, DAMAGED))
                self.assertNotIn('"second"', ran.out)
                self.verify(status=DAMAGED)
                forged.unlink()
                record.write_bytes(original)
        self.verify()

    def test_two_records_with_each_others_names(self):
        first, second = self.record_of("first"), self.record_of("second")
        hold = self.temp / "hold"
        first.rename(hold)
        second.rename(first)
        hold.rename(second)
        self.yester("list", status=DAMAGED)
        ran = self.verify(status=DAMAGED)
        self.assertIn(first.name[:8], ran.err)
        self.assertIn(second.name[:8], ran.err)
        self.yester("restore", f"latest:{self.source}", "--to", self.temp / "r", status=(FAILED, DAMAGED))

    def test_a_foreign_record_and_its_packs(self):
        """The same user's other repository, opened by the same key file: its snapshots do not belong here."""
        other = self.other_repository()
        for folder in ("snapshots", "packs", "index"):
            for path in self.objects(folder, other):
                target = self.repository / path.relative_to(other)
                target.parent.mkdir(exist_ok=True)
                shutil.copy(path, target)
        ran = self.yester("list", "--json", status=(DONE, DAMAGED))
        self.assertNotIn("foreign", ran.out)
        self.verify(status=DAMAGED)

    def test_a_record_that_was_taken_away(self):
        self.record_of("first").unlink()
        ran = self.verify(status=DAMAGED)
        self.assertIn("gone", ran.err)
        self.assertIn("second", ran.err)

    def test_the_newest_record_taken_away(self):
        """The end of the chain: whoever remembers the last sequence notices (docs/format.md, 8.3)."""
        self.record_of("second").unlink()
        self.backup("-d", "third")
        self.snapshots()
        self.assertEqual([one["description"] for one in self.snapshots()], ["first", "third"])

    def test_a_removal_that_is_undone_by_the_store(self):
        """A record that a note names as removed stays gone when somebody puts it back."""
        record = self.record_of("first")
        kept = record.read_bytes()
        self.yester("rotate", "--keep-last", "1")
        self.assertFalse(record.exists())
        self.verify()
        record.write_bytes(kept)
        self.assertEqual([one["description"] for one in self.snapshots()], ["second"])
        point = self.mount()
        self.assertFalse([name for name in os.listdir(point) if "first" in name])
        self.verify()

    # What does not belong there

    def test_stray_files_are_ignored(self):
        for folder in ("", "keys", "packs", "packs/zz", "index", "snapshots", "leases", "tmp"):
            (self.repository / folder).mkdir(exist_ok=True)
            (self.repository / folder / ".DS_Store").write_bytes(b"x")
            (self.repository / folder / "README").write_bytes(b"x")
        (self.repository / "lost+found").mkdir()
        self.verify()
        self.backup()
        self.yester("prune")
        self.verify()

    # The cache

    def test_a_cache_full_of_garbage(self):
        files = [path for path in self.cache.rglob("*") if path.is_file()]
        self.assertTrue(files, "there is no cache: the test proves nothing")
        for damage in ("garbage", "truncate", "empty", "flip", "directory"):
            with self.subTest(damage=damage):
                for path in [path for path in self.cache.rglob("*") if path.is_file()]:
                    data = path.read_bytes()
                    path.chmod(0o600)
                    if damage == "garbage":
                        path.write_bytes(os.urandom(len(data)))
                    elif damage == "truncate":
                        path.write_bytes(data[:len(data) // 2])
                    elif damage == "empty":
                        path.write_bytes(b"")
                    elif damage == "flip" and data:
                        path.write_bytes(data[:-30] + bytes(byte ^ 0x55 for byte in data[-30:]))
                    elif damage == "directory":
                        path.unlink()
                        path.mkdir()
                target = self.restored(to=f"restored-{damage}")
                self.assert_same_tree(self.source, target)
                counts = self.backup()["counts"]
                self.assertLess(counts["bytes_new"], MIB)
                self.verify()
                for path in [path for path in self.cache.rglob("*") if path.is_dir() and len(path.name) == 64]:
                    path.rmdir()

    def test_no_cache_at_all(self):
        shutil.rmtree(self.cache)
        self.cache.write_text("a file where the cache should be")
        self.assert_same_tree(self.source, self.restored())
        self.backup()
        point = self.mount()
        self.assert_same_tree(self.source, self.in_mount(point))


if __name__ == "__main__":
    unittest.main()
