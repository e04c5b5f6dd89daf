"""What a backup leaves out: by pattern, by marker, by file system, and always."""

import os
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import run


class Excludes(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.source.mkdir()
        self.init()

    def make(self, *names):
        for name in names:
            path = self.source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)

    def stored(self):
        """What the last snapshot holds of the source: paths below it, directories too."""
        top = self.temp / f"listing-{len(self.snapshots())}"
        self.yester("restore", f"latest:{self.source}", "--to", top)
        return {str(path.relative_to(top)) for path in top.rglob("*")}

    def test_gitignore_patterns(self):
        self.make("a.tmp", "keep.tmp", "dir/b.tmp", "dir/c.txt", "build/out.o", "src/build/out.o", "src/main.c",
                  "logs/1.log", "logs/deep/2.log", "x[1]", "x1", "spaced ", "#hash", "!bang", "cache", "sub/cache/f")
        rules = self.temp / "rules"
        rules.write_text("# a comment\n\n*.tmp\n!keep.tmp\n**/logs/**/*.log\nx[0-9]\n\\#hash\n\\!bang\ncache/\n")
        self.backup("--exclude-from", rules, "--exclude", f"{self.source}/build/", self.source)
        self.assertEqual(self.stored(), {
            "keep.tmp", "dir", "dir/c.txt", "src", "src/build", "src/build/out.o", "src/main.c", "logs", "logs/deep",
            "x[1]", "spaced ", "cache", "sub"})

    def test_patterns_are_in_the_record_and_bad_ones_are_named(self):
        self.make("a", "b")
        ran = self.yester("backup", "--exclude", "b", "--exclude", "oops[", self.source)
        self.assertIn("oops[", ran.err)
        self.assertEqual(self.stored(), {"a"})
        ran = self.yester("backup", "--exclude-from", self.temp / "none", self.source, status=1)
        self.assertIn(str(self.temp / "none"), ran.err)

    def test_exclude_caches_and_markers(self):
        self.make("cache/CACHEDIR.TAG", "cache/data", "fake/CACHEDIR.TAG", "fake/data", "no/.nobackup", "no/data",
                  "yes/data")
        (self.source / "cache/CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n# text\n")
        self.backup("--exclude-caches", "--exclude-if-present", ".nobackup")
        stored = self.stored()
        self.assertLessEqual({"cache", "fake/data", "fake/CACHEDIR.TAG", "yes/data", "no"}, stored)
        self.assertFalse({"cache/data", "no/data"} & stored)
        self.backup()
        self.assertLessEqual({"cache/data", "no/data"}, self.stored())

    def test_large_files(self):
        self.make("small")
        (self.source / "large").write_bytes(b"x" * 10_001)
        (self.source / "just").write_bytes(b"x" * 10_000)
        self.backup("--exclude-larger-than", "10000")
        self.assertEqual(self.stored(), {"small", "just"})

    def test_one_file_system(self):
        self.make("here", "other/hidden-below-the-mount")
        self.assertEqual(run(["mount", "-t", "tmpfs", "-o", "size=1m", "yester-test", self.source / "other"]).status, 0)
        self.make("other/inside")
        self.backup("--one-file-system")
        self.assertEqual(self.stored(), {"here", "other"})
        self.backup()
        self.assertEqual(self.stored(), {"here", "other", "other/inside"})

    def test_the_repository_inside_the_source_is_left_out(self):
        self.make("file")
        inner = self.source / "deep" / "repository"
        inner.parent.mkdir()
        env = {"YESTER_REPOSITORY": inner, "YESTER_CACHE_DIR": self.source / "cache"}
        self.yester("init", "--key-file", self.key, env=env)
        for _ in range(3):
            made = self.backup(env=env)
            self.assertLess(made["counts"]["files"], 3)
        target = self.temp / "restored"
        self.yester("restore", f"latest:{self.source}", "--to", target, env=env)
        self.assertEqual((target / "file").read_text(), "file")
        self.assertFalse((target / "deep/repository/packs").exists())
        self.assertFalse((target / "deep/repository/config").exists())
        # Also by another name for it.
        link = self.temp / "by-another-name"
        link.symlink_to(inner)
        made = self.backup(env=env | {"YESTER_REPOSITORY": link})
        self.assertLess(made["counts"]["files"], 3)

    def test_its_own_mounts_are_left_out(self):
        self.make("file")
        self.backup()
        point = self.source / "snapshots"
        point.mkdir()
        self.yester("mount", point)
        made = self.backup(timeout=30)
        self.assertEqual(made["counts"]["files"], 1)
        self.assertNotIn(f"snapshots/{made['name']}", self.stored())
        self.assertFalse([path for path in self.stored() if path.startswith("snapshots/")])

    def test_proc_is_not_entered(self):
        self.make("file", "proc/hidden")
        self.assertEqual(run(["mount", "-t", "proc", "proc", self.source / "proc"]).status, 0)
        made = self.backup(timeout=30)
        self.assertEqual(made["counts"]["files"], 1)
        self.assertLessEqual(self.stored(), {"file", "proc"})

    def test_dry_run_writes_nothing(self):
        make_tree(self.source / "tree")
        def state():
            return sorted((str(path), path.stat().st_size) for path in self.repository.rglob("*"))
        before = state()
        planned = self.backup("--dry-run")
        self.assertEqual(state(), before)
        self.assertIs(planned["dry_run"], True)
        self.assertIsNone(planned["id"])
        self.assertEqual(self.snapshots(), [])
        done = self.backup()
        for name in ("entries", "files", "added", "modified", "deleted", "bytes"):
            self.assertEqual(planned["counts"][name], done["counts"][name], name)
        (self.source / "tree" / "dir0" / "new").write_text("new")
        before = state()
        planned = self.backup("-n")["counts"]
        self.assertEqual(state(), before)
        self.assertEqual((planned["added"], planned["deleted"]), (1, 0))

    def test_a_directory_without_permission_for_root_itself(self):
        # Root may read all: what its owner locked is stored like everything else.
        self.make("locked/secret")
        os.chmod(self.source / "locked", 0)
        self.backup()
        self.assertIn("locked/secret", self.stored())


if __name__ == "__main__":
    unittest.main()
