"""Which snapshots rotate keeps, and which it removes."""

import shutil
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import DONE, FAILED, USAGE


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

    def test_a_tag_that_no_snapshot_has(self):
        self.make(1)
        rotate = ("rotate", "--dry-run", "--keep-last", "1", "--keep-tag", "kepe")
        self.assertEqual(self.yester(*rotate).err, "", "there may be tags one day")
        self.make(1, "--tag", "keep")
        self.assertIn("--keep-tag kepe keeps nothing: no snapshot has that tag. There are the tags: keep.",
                      self.yester(*rotate).err)
        self.assertEqual(self.yester(*rotate[:-1], "keep").err, "")

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
        self.assertIn("2 kept, 3 would be removed", table)

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
            self.assertEqual(set(self.kept(rule, "1", status=FAILED)), set(names))
        ran = self.yester("rotate", "--keep-last", "1", status=FAILED)
        self.assertIn(names[-1], ran.err)
        self.assertIn("--force", ran.err)
        self.assertEqual(len(self.snapshots()), 4)
        self.source.rmdir()
        hold.rename(self.source)
        names += self.make(1)
        self.assertEqual(set(self.kept("--keep-last", "1")), {names[-1]})
        # Forced, only the rules count.
        shutil.rmtree(self.source)
        self.source.mkdir()
        names += self.make(1)
        self.assertEqual(set(self.kept("--keep-last", "1", status=FAILED)), set(names))
        self.yester("rotate", "--keep-last", "1", "--force")
        self.assertEqual([one["name"] for one in self.snapshots()], names[-1:])

    def test_two_paths_in_one_plan(self):
        """Six nights of two sources: each keeps its own, and nothing of one is removed for the other."""
        other = self.temp / "other"
        make_tree(other, seed=2, files=5)
        nights = [(self.backup("-d", f"a{night}")["name"], self.backup(other, "-d", f"b{night}")["name"])
                  for night in range(6)]
        self.yester("rotate", "--keep-last", "1")
        self.assertEqual({one["name"] for one in self.snapshots()}, set(nights[-1]))
        self.verify()

    def test_a_write_only_key_pushes_out_nothing(self):
        names = self.make(3)
        weak = {"YESTER_KEY_FILE": self.temp / "weak", "YESTER_CACHE_DIR": self.temp / "other-cache"}
        self.yester("key", "add", "--write-only", "--new-key-file", self.temp / "weak")
        flood = [self.backup("-d", f"x{number}", env=weak)["name"] for number in range(4)]
        self.yester("rotate", "--keep-last", "3")
        self.assertEqual({one["name"] for one in self.snapshots()}, {*names, *flood[1:]})
        table = self.yester("rotate", "-n", "--keep-last", "1").out
        self.assertIn("WRITER", table.splitlines()[0])
        self.assertEqual(len({line.split()[5] for line in table.splitlines()[1:7]}), 2)

    def test_wrong_rules(self):
        self.make(1)
        self.yester("rotate", "--keep-last", "0", status=USAGE)
        self.yester("rotate", "--keep-last", "-3", status=USAGE)
        self.yester("rotate", "--keep-within", "soon", status=USAGE)
        self.yester("rotate", "--max-unused", "101", "--keep-last", "1", status=USAGE)
        self.assertEqual(len(self.snapshots()), 1)


if __name__ == "__main__":
    unittest.main()
