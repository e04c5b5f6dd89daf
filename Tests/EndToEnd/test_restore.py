"""restore: into what is there already, with and without deletion, against links that lead astray, after a kill."""

import os
import random
import shutil
import signal
import unittest

from support.cases import EndToEndTest, make_tree, tree_state
from support.machine import FAILED, MIB, run, USAGE, wait_until


class Restore(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, big=1)
        self.init()
        self.backup()
        self.target = self.temp / "target"

    def restore(self, *arguments, path=None, to=None, **options):
        what = f"latest:{path or self.source}"
        return self.yester("restore", what, "--to", to or self.target, *arguments, **options)

    def make_different(self, top):
        """All kinds of differences, and what a restore without --delete leaves alone."""
        (top / "dir0" / "file-000").write_bytes(b"changed")
        (top / "dir1" / "hard").unlink()
        (top / "dir1" / "hard").write_bytes(b"no link any more")
        shutil.rmtree(top / "dir2")
        (top / "dir2").write_bytes(b"a file in place of a directory")
        (top / "link").unlink()
        (top / "link").mkdir()
        (top / "link" / "inside").write_bytes(b"x")
        (top / "fifo").unlink()
        (top / "dir3").chmod(0o700)
        next(path for path in (top / "dir4").rglob("*") if path.is_file()).chmod(0o777)
        (top / "big-0").unlink()
        (top / "big-0").symlink_to("dir0/file-000")
        (top / "extra").write_bytes(b"extra")
        (top / "extra-dir" / "deep").mkdir(parents=True)
        (top / "extra-dir" / "deep" / "file").write_bytes(b"deep")
        (top / "dir4" / "extra").write_bytes(b"extra")

    def test_onto_a_tree_with_differences(self):
        run(["cp", "-a", self.source, self.target])
        self.make_different(self.target)
        self.restore()
        for name in ("extra", "extra-dir/deep/file", "dir4/extra"):
            self.assertTrue((self.target / name).exists(), f"{name} was deleted without --delete")
        self.assert_same_tree(self.source, self.target, "--skip", "extra", "extra-dir", "--no-dir-nlink")
        self.restore("--delete")
        self.assert_same_tree(self.source, self.target)
        done = self.restore("--delete", "--json").json
        self.assertEqual((done["created"], done["replaced"], done["deleted"], done["metadata"]), (0, 0, 0, 0))

    def test_neighbours_are_never_deleted(self):
        """restic 21770: a deletion that reached beside the restored directory."""
        self.target.mkdir()
        place = self.target / str(self.source)[1:]
        neighbours = [self.target / "home" / "precious", place.parent / "beside", place.with_name("source2") / "file"]
        for file in neighbours:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"precious")
        place.mkdir(exist_ok=True)
        (place / "stale").write_bytes(b"stale")
        self.yester("restore", "latest", "--to", self.target, "--delete")
        self.assert_same_tree(self.source, place)
        for file in neighbours:
            self.assertEqual(file.read_bytes(), b"precious", f"{file} was touched")
        # One directory, one file: what lies beside them stays.
        other = self.temp / "other"
        other.mkdir()
        (other / "beside").write_bytes(b"precious")
        self.restore("--delete", path=self.source / "big-0", to=other)
        self.assertEqual(sorted(os.listdir(other)), ["beside", "big-0"])
        self.assertEqual((other / "big-0").read_bytes(), (self.source / "big-0").read_bytes())

    def test_other_file_systems_in_the_destination_stay(self):
        run(["cp", "-a", self.source, self.target])
        mounted = self.target / "mounted"
        mounted.mkdir()
        self.assertEqual(run(["mount", "-t", "tmpfs", "-o", "size=1m", "yester-test", mounted]).status, 0)
        (mounted / "precious").write_bytes(b"precious")
        self.restore("--delete")
        self.assertEqual((mounted / "precious").read_bytes(), b"precious")

    def test_a_dry_run_says_what_happens(self):
        run(["cp", "-a", self.source, self.target])
        self.make_different(self.target)
        before = tree_state(self.target)
        planned = self.restore("--dry-run", "--delete", "--json").json
        self.assertEqual(tree_state(self.target), before, "a dry run changed something")
        self.assertIs(planned["dry_run"], True)
        steps = {(step["step"], step["path"].lstrip("/")) for step in planned["steps"]}
        self.assertLessEqual({("delete", "extra"), ("delete", "extra-dir"), ("delete", "dir4/extra"),
                              ("replace", "dir0/file-000"), ("replace", "dir2"), ("create", "fifo")}, steps)
        text = self.restore("--dry-run", "--delete").out
        self.assertIn("delete   extra-dir", text)
        self.assertNotIn("delete", self.restore("--dry-run").out.replace("0 deleted", ""))
        done = self.restore("--delete", "--json").json
        self.assertEqual(done["steps"], planned["steps"])
        for name in ("created", "replaced", "metadata", "deleted", "unchanged", "bytes"):
            self.assertEqual(done[name], planned[name], name)
        self.assertEqual(done["failed"], 0)

    def test_a_dry_run_does_not_make_the_destination(self):
        self.restore("--dry-run")
        self.assertFalse(self.target.exists())
        self.restore("--dry-run", to=self.temp / "several" / "levels")
        self.assertFalse((self.temp / "several").exists())

    def test_links_in_the_destination_are_not_followed(self):
        """An attacker's link in the destination must not lead a restore of root elsewhere."""
        elsewhere = self.temp / "elsewhere"
        make_tree(elsewhere / "sub", seed=9)
        (elsewhere / "sub" / "sub1").mkdir(exist_ok=True)
        before = tree_state(elsewhere)
        self.target.mkdir()
        (self.target / "dir1").symlink_to(elsewhere / "sub")
        (self.target / "dir0").symlink_to(elsewhere)
        (self.target / "big-0").symlink_to(elsewhere / "sub" / "big-0")
        (self.target / "empty").symlink_to("/")
        os.link(elsewhere / "sub" / "dir0" / "file-000", self.target / "dir3")
        before = tree_state(elsewhere)
        self.restore("--delete")
        self.assertEqual(tree_state(elsewhere), before, "the restore went through a link")
        self.assert_same_tree(self.source, self.target)
        self.assertFalse((self.target / "dir1").is_symlink())

    def test_a_link_as_the_destination_itself_is_followed(self):
        self.target.mkdir()
        link = self.temp / "link-to-target"
        link.symlink_to("target")
        self.restore(to=link)
        self.assert_same_tree(self.source, self.target)
        self.assertTrue(link.is_symlink())

    def test_a_link_that_appears_during_the_restore(self):
        """Somebody exchanges directories for links while the restore runs."""
        elsewhere = self.temp / "elsewhere"
        elsewhere.mkdir()
        for number in range(300):
            (self.source / f"many-{number}").mkdir()
            (self.source / f"many-{number}" / "file").write_bytes(b"x" * 100)
        self.backup()
        process = self.start_yester("restore", f"latest:{self.source}", "--to", self.target)
        attempts = 0
        while process.poll() is None:
            for number in range(299, 0, -17):
                victim = self.target / f"many-{number}"
                try:
                    victim.rename(self.target / f"stolen-{number}-{attempts}")
                    victim.symlink_to(elsewhere)
                except OSError:
                    pass
            attempts += 1
        process.communicate(timeout=60)
        self.assertEqual(os.listdir(elsewhere), [], "the restore wrote through a link")

    def test_an_interrupted_restore_goes_on(self):
        rng = random.Random("restore")
        for number in range(40):
            (self.source / f"bulk-{number}").write_bytes(rng.randbytes(3 * MIB))
        self.backup()
        for number in (signal.SIGKILL, signal.SIGTERM):
            process = self.start_yester("restore", f"latest:{self.source}", "--to", self.target)
            wait_until(lambda: self.target.exists() and len(os.listdir(self.target)) > 3 or process.poll() is not None,
                       30, "nothing was restored")
            process.send_signal(number)
            process.communicate(timeout=30)
            self.assertNotEqual(process.returncode, 0, "the restore was too fast: the test proves nothing")
            for path in self.target.glob("bulk-*"):
                whole = path.read_bytes() == (self.source / path.name).read_bytes()
                self.assertTrue(whole or path.stat().st_mtime_ns != (self.source / path.name).stat().st_mtime_ns,
                                f"half of {path.name} looks like the whole")
        done = self.restore("--json", "--delete").json
        self.assertLess(done["bytes"], 120 * MIB, "what was finished is restored again")
        self.assert_same_tree(self.source, self.target)

    def test_a_killed_restore_over_other_files_leaves_no_rubbish(self):
        rng = random.Random("over")
        self.target.mkdir()
        for number in range(40):
            (self.source / f"bulk-{number}").write_bytes(rng.randbytes(3 * MIB))
            (self.target / f"bulk-{number}").write_bytes(b"old")
        self.backup()
        process = self.start_yester("restore", f"latest:{self.source}", "--to", self.target)
        wait_until(lambda: [name for name in os.listdir(self.target) if name.startswith(".yester-")]
                   or process.poll() is not None, 30, "nothing was replaced")
        process.kill()
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, -signal.SIGKILL, "the restore was too fast: the test proves nothing")
        # At every moment the old or the new file is there, whole.
        for number in range(40):
            name = f"bulk-{number}"
            self.assertIn((self.target / name).read_bytes(), (b"old", (self.source / name).read_bytes()))
        self.restore()
        self.assert_same_tree(self.source, self.target)

    def test_names_that_are_missing_become_links_of_those_that_are_there(self):
        (self.source / "one").write_text("the same file")
        for name in ("two", "dir0/three", "zz"):
            os.link(self.source / "one", self.source / name)
        self.backup()
        for kept in ("one", "two", "dir0/three", "zz"):
            to = self.temp / f"kept-{kept.replace('/', '-')}"
            self.restore(to=to)
            for name in {"one", "two", "dir0/three", "zz"} - {kept}:
                (to / name).unlink()
            self.restore(to=to)
            self.assert_same_tree(self.source, to)

    def test_what_is_named_by_a_selector(self):
        made = self.snapshots()[0]
        for selector in ("latest", made["name"], made["name"][:8], made["id"], made["id"][:10]):
            target = self.restored(selector, to=f"by-{selector}")
            self.assert_same_tree(self.source, target)
        for wrong in ("20200101", "nonsense", "ffffffffff", made["id"][:3]):
            ran = self.yester("restore", f"{wrong}:{self.source}", "--to", self.target, status=FAILED)
            self.assertIn(wrong, ran.err)
        ran = self.yester("restore", f"latest:{self.source}/not/there", "--to", self.target, status=FAILED)
        self.assertIn("not/there", ran.err)
        self.yester("restore", "latest", status=USAGE)
        self.assertFalse(self.target.exists(), "a failed restore made its destination")


if __name__ == "__main__":
    unittest.main()
