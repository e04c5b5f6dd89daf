"""Which snapshots rotate keeps, and what becomes of the space."""

import random
import shutil
import time
import unittest

from support import DONE, EndToEndTest, MIB, USAGE, make_tree, tree_state, wait_until


class Rules(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, files=10)
        self.init()

    def make(self, count, *arguments):
        return [self.backup(*arguments, "-d", f"n{number}")["name"] for number in range(count)]

    def kept(self, *arguments, status=DONE):
        """Names that these rules would keep, with the rules that keep them."""
        table = self.yester("rotate", "--dry-run", "--json", *arguments, status=status).json
        self.assertIs(table["dry_run"], True)
        return {one["name"]: one["rules"] for one in table["snapshots"] if one["kept"]}

    def test_the_table_of_rules(self):
        names = self.make(5)
        before = self.yester("list", "--json").out
        kept = self.kept("--keep-last", "2")
        self.assertEqual(list(kept), names[-2:])
        self.assertEqual(kept[names[-2]], ["last"])
        self.assertEqual(list(self.kept("--keep-last", "99")), names)
        # All in one hour (or two, should one begin meanwhile): only the newest of each stays.
        for rule in ("hourly", "daily", "weekly", "monthly", "yearly"):
            kept = self.kept(f"--keep-{rule}", "3")
            self.assertIn(len(kept), (1, 2), rule)
            self.assertIn(rule, kept[names[-1]])
        self.assertEqual(list(self.kept("--keep-within", "1d")), names)
        self.assertIn(names[-1], self.kept("--keep-daily", "1"))
        self.assertEqual(self.yester("list", "--json").out, before, "a dry run changed something")
        table = self.yester("rotate", "-n", "--keep-last", "2").out
        self.assertEqual(sum(line.startswith("remove") for line in table.splitlines()), 3)
        self.assertEqual(sum(line.startswith("keep") for line in table.splitlines()), 2)
        self.assertIn("2 kept, 3 removed", table)

    def test_tags_plans_hosts_and_defaults(self):
        tagged = self.make(1, "--tag", "forever")
        other = self.make(3, "--plan", "other")
        mine = self.make(3)
        away = [self.backup("--host", "away.example", "-d", "x")["name"]]
        kept = self.kept("--keep-last", "1", "--keep-tag", "forever")
        self.assertEqual(set(kept), {*tagged, other[-1], mine[-1], *away})
        kept = self.kept("--keep-last", "1", "--plan", "other")
        self.assertEqual(set(kept), {other[-1]})
        removed = self.yester("rotate", "--json", "--keep-last", "1", "--plan", "other").json
        self.assertEqual({one["name"] for one in removed["snapshots"]}, set(other))
        left = {one["name"] for one in self.snapshots()}
        self.assertEqual(left, {*tagged, other[-1], *mine, *away})
        self.assertIn(mine[-1], self.kept())

    def test_special_kinds(self):
        change = self.backup("--kind", "pre-change", "-d", "change")["name"]
        manual = self.backup("--kind", "manual", "-d", "manual")["name"]
        names = self.make(3)
        kept = self.kept("--keep-last", "1")
        self.assertIn(change, kept)
        self.assertIn(names[-1], kept)
        self.assertIn(manual if manual in kept else names[-1], kept)
        # Verified, a pre-change snapshot is as mortal as others; but the last verified of a plan stays.
        self.verify()
        self.assertNotIn(change, self.kept("--keep-last", "1"))

    def test_the_last_verified_snapshot_stays(self):
        names = self.make(2)
        self.verify()
        names += self.make(3)
        kept = self.kept("--keep-last", "1")
        self.assertEqual(set(kept), {names[1], names[-1]})
        self.yester("rotate", "--keep-last", "1")
        self.assertEqual([one["name"] for one in self.snapshots()], [names[1], names[-1]])

    def test_a_suspicious_newest_removes_nothing(self):
        names = self.make(3)
        hold = self.source.rename(self.temp / "hold")
        self.source.mkdir()  # as when the file system was not mounted
        names += self.make(1)
        for rule in ("--keep-last", "--keep-daily"):
            self.assertEqual(set(self.kept(rule, "1")), set(names))
        self.yester("rotate", "--keep-last", "1")
        self.assertEqual(len(self.snapshots()), 4)
        self.source.rmdir()
        hold.rename(self.source)
        names += self.make(1)
        self.assertEqual(set(self.kept("--keep-last", "1")), {names[-1]})
        # Forced, only the rules count.
        shutil.rmtree(self.source)
        self.source.mkdir()
        names += self.make(1)
        self.assertEqual(set(self.kept("--keep-last", "1")), set(names))
        self.yester("rotate", "--keep-last", "1", "--force")
        self.assertEqual([one["name"] for one in self.snapshots()], names[-1:])

    def test_wrong_rules(self):
        self.make(1)
        self.yester("rotate", "--keep-last", "0", status=USAGE)
        self.yester("rotate", "--keep-last", "-3", status=USAGE)
        self.yester("rotate", "--keep-within", "soon", status=USAGE)
        self.yester("rotate", "--max-unused", "101", "--keep-last", "1", status=USAGE)
        self.assertEqual(len(self.snapshots()), 1)


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
        done = self.yester("prune", "--json").json
        self.assertGreaterEqual(done["bytes_freed"], 18 * MIB)
        self.assertEqual(planned["packs_condemned"] > 0, True)
        self.assertLess(self.used(), 8 * MIB)
        self.verify()
        self.assert_same_tree(self.source, self.restored())
        again = self.yester("prune", "--json").json
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
        self.yester("prune", "--max-unused", "0")
        self.assertLess(self.used(), 6 * MIB)
        self.verify()
        self.assert_same_tree(self.source, self.restored())

    def test_many_small_packs_are_gathered(self):
        for number in range(30):
            self.renew(f"small-{number}", 3000)
            self.backup()
        before = len(self.objects("packs"))
        self.yester("prune")
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
            result = self.yester("rotate", "--keep-last", "1", "--json", "--max-unused", "0").json["space"]
            self.assertGreater(result["packs_waiting"], 0)
            self.assertTrue(any("mount" in other for other in result["waiting_for"]), result)
            self.assertEqual(file.read(), wanted)
        self.unmount(point)
        result = self.yester("prune", "--json").json
        self.assertGreater(result["packs_deleted"], 0)
        self.assertLess(self.used(), 8 * MIB)
        self.verify()

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
            self.yester("rotate", "--keep-last", "1", "--max-unused", "0")
            self.assertIsNone(process.poll(), "the backup was too fast: the test proves nothing")
            while process.poll() is None:
                self.yester("rotate", "--keep-last", "1", "--max-unused", "0")
            _, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, err)
            self.verify()
            self.assert_same_tree(self.source, self.restored(to=f"round-{round_number}"))
        self.yester("rotate", "--keep-last", "1", "--max-unused", "0")
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
            self.yester("prune", "--max-unused", "0")
            pruned += 1
        self.assertGreater(min(made, pruned), 10, "too slow: the test proves nothing")
        self.verify()

    def test_two_prunes_at_once(self):
        for _ in range(3):
            self.renew(size=3 * MIB)
            self.backup()
        self.yester("rotate", "--keep-last", "1", "--no-prune")
        running = [self.start_yester("prune", "--max-unused", "0") for _ in range(4)]
        for process in running:
            _, err = process.communicate(timeout=60)
            self.assertIn(process.returncode, (0, 12), err)
        self.yester("prune")
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
            self.yester("rotate", "--keep-last", str(keep), "--max-unused", unused)
            left = [one["name"] for one in self.snapshots()]
            self.assertLessEqual(set(left), set(model))
            self.assertGreaterEqual(len(left), min(keep, len(model)))
            model = {name: model[name] for name in left}
            self.verify("--level", self.rng.choice(["structure", "data"]))
            point = self.mount()
            for name, state in model.items():
                self.assertEqual(tree_state(self.in_mount(point, name)), state, name)
            self.unmount(point)
        self.yester("prune", "--max-unused", "0")
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
