"""The space of removed snapshots comes back, and nothing that is needed goes, whoever else is at work."""

import os
import random
import shutil
import time
import unittest

from support.cases import EndToEndTest, make_tree, tree_state
from support.machine import MIB, run, wait_until


class Space(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.rng = random.Random("space")
        make_tree(self.source)
        self.init()

    def renew(self, name="big", size=6 * MIB):
        (self.source / name).write_bytes(self.rng.randbytes(size))

    def used(self):
        return self.disk_usage(self.repository)

    def test_removed_snapshots_give_their_space_back(self):
        for _ in range(4):
            self.renew()
            self.backup()
        before = self.used()
        self.assertGreater(before, 24 * MIB)
        planned = self.yester("rotate", "--keep-last", "1", "--dry-run", "--json").json["space"]
        self.assertEqual(self.used(), before)
        self.yester("rotate", "--keep-last", "1", "--no-prune")
        self.assertGreater(self.used(), 24 * MIB)
        done = self.yester("prune", "--minimum-age", "0", "--json").json
        self.assertGreaterEqual(done["bytes_freed"], 18 * MIB)
        self.assertGreater(planned["packs_condemned"], 0)
        self.assertLess(self.used(), 8 * MIB)
        self.verify()
        self.assert_same_tree(self.source, self.restored())
        again = self.yester("prune", "--minimum-age", "0", "--json").json
        self.assertEqual((again["bytes_freed"], again["packs_rewritten"]), (0, 0))

    def test_partly_needed_packs_are_rewritten(self):
        for number in range(8):
            self.renew(f"part-{number}", 2 * MIB)
        self.backup()
        for number in range(6):
            (self.source / f"part-{number}").unlink()
        self.backup("-d", "fewer")
        self.yester("rotate", "--keep-last", "1", "--max-unused", "100")
        self.assertGreater(self.used(), 15 * MIB)
        self.yester("prune", "--max-unused", "0", "--minimum-age", "0")
        self.assertLess(self.used(), 6 * MIB)
        self.verify()
        self.assert_same_tree(self.source, self.restored())

    def test_content_stored_twice_survives_a_rewrite(self):
        """Two backups at the same time store the same: neither copy may go because the other one is there."""
        for number in range(4):
            self.renew(f"part-{number}", 2 * MIB)
        other = self.temp / "other"
        shutil.copytree(self.repository, other)
        self.backup("-d", "here")
        self.backup("-d", "there", env={"YESTER_REPOSITORY": other, "YESTER_CACHE_DIR": self.temp / "other-cache"})
        # What both have stored in one repository, as if they had run at the same moment.
        for path in (path for path in other.rglob("*") if path.is_file()):
            target = self.repository / path.relative_to(other)
            if not target.exists():
                target.parent.mkdir(exist_ok=True)
                shutil.copy(path, target)
        self.assertEqual(len(self.snapshots()), 2)
        self.assertGreater(self.used(), 16 * MIB)
        for number in range(2):
            (self.source / f"part-{number}").unlink()
        self.backup("-d", "fewer")
        self.yester("rotate", "--keep-last", "1", "--max-unused", "0", "--minimum-age", "0")
        self.verify()
        self.assert_same_tree(self.source, self.restored())
        self.yester("prune", "--max-unused", "0", "--minimum-age", "0")
        self.verify()
        self.assertLess(self.used(), 6 * MIB)

    def test_replaced_index_segments_that_were_left_over(self):
        """As a run leaves them that is killed between storing the new index and deleting the old one."""
        for _ in range(3):
            self.renew(size=3 * MIB)
            self.backup()
        old = {path: path.read_bytes() for path in self.objects("index")}
        self.yester("rotate", "--keep-last", "1", "--max-unused", "0", "--minimum-age", "0")
        for path, data in old.items():
            path.write_bytes(data)
        self.verify()
        for _ in range(3):
            self.renew("more", 3 * MIB)
            self.backup()
            self.yester("rotate", "--keep-last", "1", "--max-unused", "0", "--minimum-age", "0")
            self.verify()
            # The last verified snapshot is kept beside the newest.
            self.assertLess(self.used(), 11 * MIB)
        self.assertFalse(set(old) & set(self.objects("index")), "replaced segments stay for ever")
        self.assert_same_tree(self.source, self.restored())

    def test_many_small_packs_are_gathered(self):
        for number in range(30):
            self.renew(f"small-{number}", 3000)
            self.backup()
        before = len(self.objects("packs"))
        self.yester("prune", "--minimum-age", "0")
        self.assertLess(len(self.objects("packs")), before / 4)
        self.assertEqual(len(self.snapshots()), 30)
        self.verify()
        self.assert_same_tree(self.source, self.restored())

    def test_a_mount_holds_what_it_shows(self):
        self.renew()
        first = self.backup()
        wanted = (self.source / "big").read_bytes()
        self.renew()
        self.backup("-d", "second")
        point = self.mount()
        with open(self.in_mount(point, first["name"], self.source / "big"), "rb") as file:
            result = self.yester("rotate", "--keep-last", "1", "--json", "--max-unused", "0", "--minimum-age", "0").json["space"]
            self.assertGreater(result["packs_waiting"], 0)
            self.assertTrue(any("mount" in other for other in result["waiting_for"]), result)
            self.assertEqual(file.read(), wanted)
        self.unmount(point)
        result = self.yester("prune", "--minimum-age", "0", "--json").json
        self.assertGreater(result["packs_deleted"], 0)
        self.assertLess(self.used(), 8 * MIB)
        self.verify()

    def test_a_standing_mount_keeps_no_space(self):
        """Whatever was listed and read in it: the space comes back while the mount stands."""
        self.renew()
        first = self.backup()
        self.renew()
        self.backup("-d", "second")
        point = self.mount()
        run(["find", point, "-ls"])
        run(["cat", self.in_mount(point, first["name"], self.source / "file-0")])
        self.yester("rotate", "--keep-last", "1", "--max-unused", "0")

        def is_freed():
            os.listdir(point)
            self.yester("prune", "--max-unused", "0", "--minimum-age", "0")
            return self.used() < 8 * MIB

        wait_until(is_freed, 20, "the mount holds what nobody has open")
        self.assert_same_tree(self.source, point / "latest" / str(self.source).lstrip("/"))
        self.unmount(point)
        self.verify()

    def test_a_file_that_is_open_in_a_removed_snapshot_stays_readable(self):
        self.renew()
        first = self.backup()
        wanted = (self.source / "big").read_bytes()
        self.renew()
        self.backup("-d", "second")
        point = self.mount()
        with open(self.in_mount(point, first["name"], self.source / "big"), "rb") as file:
            self.assertEqual(file.read(1000), wanted[:1000])
            self.yester("rotate", "--keep-last", "1", "--max-unused", "0")
            for _ in range(3):
                os.listdir(point)
                time.sleep(1)
                held = self.yester("prune", "--max-unused", "0", "--minimum-age", "0", "--json").json
                self.assertEqual(held["packs_deleted"], 0)
                self.assertTrue(any("mount" in other for other in held["waiting_for"]), held)
            self.assertEqual(file.read(), wanted[1000:])
        self.unmount(point)
        self.yester("prune", "--max-unused", "0", "--minimum-age", "0")
        self.assertLess(self.used(), 8 * MIB)

    def test_prune_while_a_backup_runs(self):
        """What a running backup builds on is not deleted under it, though nothing else needs it any more."""
        for round_number in range(3):
            self.renew("kept-by-backup", 8 * MIB)
            self.backup("-d", "old")
            content = (self.source / "kept-by-backup").read_bytes()
            (self.source / "kept-by-backup").unlink()
            self.backup("-d", "without")
            # It comes back, and a long backup finds it stored; meanwhile the only snapshot that held it is removed.
            (self.source / "a-again").write_bytes(content)
            self.renew("z-long", 120 * MIB)
            process = self.start_yester("backup", self.source, "--json")
            wait_until(lambda: self.objects("leases") or process.poll() is not None, 10, "no lease")
            self.yester("rotate", "--force", "--keep-last", "1", "--max-unused", "0", "--minimum-age", "0")
            self.assertIsNone(process.poll(), "the backup was too fast: the test proves nothing")
            while process.poll() is None:
                self.yester("rotate", "--force", "--keep-last", "1", "--max-unused", "0", "--minimum-age", "0")
            _, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, err)
            self.verify()
            self.assert_same_tree(self.source, self.restored(to=f"round-{round_number}"))
        self.yester("rotate", "--force", "--keep-last", "1", "--max-unused", "0", "--minimum-age", "0")
        self.verify()
        self.assertEqual(self.objects("leases"), [])

    def test_prunes_between_many_small_backups(self):
        """Small backups come and go within milliseconds: none of their packs may be taken for a leftover."""
        sources = [self.temp / f"small-{number}" for number in range(2)]
        for source in sources:
            source.mkdir()
        running = {}
        end = time.monotonic() + 8
        made = pruned = 0
        while time.monotonic() < end or running:
            for source in sources:
                process = running.pop(source, None)
                if process:
                    _, err = process.communicate(timeout=30)
                    self.assertEqual(process.returncode, 0, err)
                    made += 1
                if time.monotonic() < end:
                    (source / "file").write_bytes(self.rng.randbytes(2000))
                    running[source] = self.start_yester("backup", "--plan", source.name, source)
            self.yester("prune", "--max-unused", "0", "--minimum-age", "0")
            pruned += 1
        self.assertGreater(min(made, pruned), 10, "too slow: the test proves nothing")
        self.verify()

    def test_two_prunes_at_once(self):
        for _ in range(3):
            self.renew(size=3 * MIB)
            self.backup()
        self.yester("rotate", "--keep-last", "1", "--no-prune")
        running = [self.start_yester("prune", "--max-unused", "0", "--minimum-age", "0") for _ in range(4)]
        for process in running:
            _, err = process.communicate(timeout=60)
            self.assertIn(process.returncode, (0, 12), err)
        self.yester("prune", "--minimum-age", "0")
        self.verify()
        self.assert_same_tree(self.source, self.restored())

    def test_rounds_of_backups_and_rotations_against_a_model(self):
        model = {}
        shutil.rmtree(self.source)
        make_tree(self.source, files=25)
        for number in range(5):
            for _ in range(self.rng.randrange(1, 4)):
                self.change_at_random()
                made = self.backup("-d", f"round {number}", "--type", self.rng.choice(["incremental", "full"]))
                model[made["name"]] = tree_state(self.source)
            keep = self.rng.randrange(1, 4)
            unused = self.rng.choice(["0", "5", "100"])
            self.yester("rotate", "--keep-last", str(keep), "--max-unused", unused, "--minimum-age", "0")
            left = [one["name"] for one in self.snapshots()]
            self.assertLessEqual(set(left), set(model))
            self.assertGreaterEqual(len(left), min(keep, len(model)))
            model = {name: model[name] for name in left}
            self.verify("--level", self.rng.choice(["structure", "data"]))
            point = self.mount()
            for name, state in model.items():
                self.assertEqual(tree_state(self.in_mount(point, name)), state, name)
            self.unmount(point)
        self.yester("prune", "--max-unused", "0", "--minimum-age", "0")
        self.verify()
        for name, state in model.items():
            self.assertEqual(tree_state(self.restored(name, to=f"restored-{name}")), state)

    def change_at_random(self):
        files = sorted(path for path in self.source.rglob("*") if path.is_file() and not path.is_symlink())
        for path in self.rng.sample(files, min(6, len(files))):
            action = self.rng.randrange(4)
            if action == 0:
                path.unlink()
            elif action == 1:
                path.write_bytes(self.rng.randbytes(self.rng.randrange(20_000)))
            elif action == 2:
                path.rename(path.with_name(f"moved-{self.rng.randrange(10**9)}"))
            else:
                path.chmod(self.rng.choice([0o600, 0o644, 0o755]))
        for _ in range(self.rng.randrange(6)):
            self.renew(f"new-{self.rng.randrange(10**9)}", self.rng.choice([10, 3000, 700_000, 2 * MIB]))


if __name__ == "__main__":
    unittest.main()
