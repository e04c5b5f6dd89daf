"""What a backup does with its sources: missing ones, closed ones, attributes that cannot be read."""

import os
import unittest

from support.cases import EndToEndTest, make_tree, settle
from support.machine import FAILED, INCOMPLETE, run, YESTER
from test_ordinary_user import OrdinaryUserTest, USER


class MissingSources(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.init()
        self.source.mkdir()
        (self.source / "file").write_text("here")
        settle()

    def test_the_others_are_backed_up(self):
        gone, below = self.temp / "gone", self.temp / "no" / "such" / "place"
        ran = self.yester("backup", "--json", gone, self.source, below, status=INCOMPLETE)
        self.assertIn(f"{gone}: ", ran.err)
        self.assertIn(f"{below}: ", ran.err)
        self.assertIn("2 sources could not be backed up", ran.err)
        self.assertEqual((ran.json["problems"], ran.json["missing_sources"]), (2, 2))
        self.assertEqual((self.restored() / "file").read_text(), "here")
        # The next run compares with it as usual.
        self.assertEqual(self.backup(gone, self.source, status=INCOMPLETE)["counts"]["bytes_read"], 0)

    def test_nothing_is_no_snapshot(self):
        for sources in ([self.temp / "gone"], [self.temp / "a", self.temp / "b/c"]):
            ran = self.yester("backup", *sources, status=FAILED)
            for path in sources:
                self.assertIn(f"{path}: ", ran.err)
            self.assertIn("No snapshot was made", ran.err)
        self.assertEqual(self.snapshots(), [])

    def test_strict_stores_nothing(self):
        ran = self.yester("backup", "--strict", self.source, self.temp / "gone", status=FAILED)
        self.assertIn(f"{self.temp / 'gone'}: ", ran.err)
        self.assertIn("--strict", ran.err)
        self.assertEqual(self.snapshots(), [])
        self.assertEqual(self.objects("packs"), [])
        self.yester("backup", "--strict", self.source)

    def test_what_the_kernel_makes_up_is_refused_by_name(self):
        ran = self.yester("backup", "/proc", status=FAILED)
        self.assertIn("/proc: a proc file system", ran.err)
        # A file there would be empty, or cut off: its size is made up as well.
        ran = self.yester("backup", "/proc/version", status=FAILED)
        self.assertIn("/proc/version: a proc file system", ran.err)
        ran = self.yester("backup", self.source, self.repository, status=INCOMPLETE)
        self.assertIn(f"{self.repository}: it belongs to the repository", ran.err)
        self.assertEqual(len(self.snapshots()), 1)

    def test_all_of_it_excluded(self):
        ran = self.yester("backup", self.source, "--exclude", self.source, status=FAILED)
        self.assertIn("excluded", ran.err)
        self.assertEqual(self.snapshots(), [])


class SparseSources(EndToEndTest):
    def test_sizes_that_no_number_holds_together(self):
        """Such files cost nothing, so that anybody can make them: the backup of all others must not end with them."""
        self.init()
        self.source.mkdir()
        run(["mount", "-t", "tmpfs", "none", self.source])
        self.addCleanup(run, ["umount", self.source])
        for number in range(3):
            with open(self.source / str(number), "wb") as file:
                file.truncate(2**63 - 1)
        self.assertEqual(self.backup()["counts"]["bytes"], 2**64 - 1)
        again = self.backup()["counts"]
        self.assertEqual((again["bytes"], again["bytes_read"]), (2**64 - 1, 0))
        self.verify("--level", "data")
        self.verify("latest", "--level", "data")
        to = self.source / "restored"
        self.yester("restore", f"latest:{self.source}", "--to", to)
        self.assertEqual([path.stat().st_size for path in sorted(to.iterdir())], [2**63 - 1] * 3)
        self.yester("restore", f"latest:{self.source}", "--to", to)
        self.yester("prune")


class ClosedParents(OrdinaryUserTest):
    """Directories that one may pass through and not list."""

    def setUp(self):
        super().setUp()
        self.passage = self.temp / "passage"
        self.home = self.passage / "home"
        self.home.mkdir(parents=True)
        make_tree(self.home / "tree")
        for path in [self.home, *self.home.rglob("*")]:
            os.chown(path, USER, USER, follow_symlinks=False)
        os.setxattr(self.passage, "user.closed", b"for those who may read the directory")
        self.passage.chmod(0o711)

    def test_backup_and_everything_else_below(self):
        self.as_user(["ls", self.passage], status=2)
        self.as_user(["mkdir", self.home / "repository"])
        repository = ("--repository", self.home / "repository")
        self.user_yester("init", *repository, "--key-file", self.home / "key")
        access = (*repository, "--key-file", self.home / "key")
        self.user_yester("backup", *access, "--strict", self.home / "tree")
        self.user_yester("backup", *access, "--strict", self.home / "tree")
        self.user_yester("restore", *access, f"latest:{self.home}/tree", "--to", self.home / "back")
        self.assert_same_tree(self.home / "tree", self.home / "back")

        changed = self.home / "tree" / "dir0" / "file-000"
        content = changed.read_bytes()
        changed.write_text("changed")
        ran = self.as_user([self.programs / "yester", "diff", *access, "latest", "live"])
        self.assertIn("dir0/file-000", ran.out)
        self.assertNotIn("could not be read", ran.err)
        self.user_yester("rollback", *access, "--yes", "latest", self.home / "tree")
        self.assertEqual(changed.read_bytes(), content)
        # The parent itself belongs to somebody else, but what is below is the user's.
        changed.unlink()
        self.user_yester("rollback", *access, "--yes", "latest", changed)
        self.assertEqual(changed.read_bytes(), content)

        self.as_user(["mkdir", self.home / "mnt"])
        self.user_yester("mount", *access, self.home / "mnt")
        self.as_user(["diff", "-r", "--no-dereference", "--exclude=fifo", self.home / "tree",
                      self.in_mount(self.home / "mnt", path=self.home / "tree")])
        self.user_yester("unmount", self.home / "mnt")

    def test_a_source_that_cannot_be_opened_is_no_file(self):
        closed = self.temp / "closed"
        closed.mkdir(mode=0o700)
        ran = self.user_yester("backup", self.home, closed / "inside", status=INCOMPLETE)
        self.assertIn("1 source could not be backed up", ran.err)
        ran = self.user_yester("backup", closed, status=FAILED)
        self.assertIn(f"{closed}: opening the directory failed", ran.err)
        self.assertNotIn("1 file", ran.err)


class LostAttributes(EndToEndTest):
    """Faults injected by strace into the calls that read attributes."""

    def setUp(self):
        super().setUp()
        self.init()
        self.source.mkdir()
        self.file = self.source / "file"
        self.file.write_text("content")
        os.setxattr(self.file, "user.first", b"1")
        os.setxattr(self.file, "user.second", b"2")
        (self.source / "link").symlink_to("file")
        (self.source / "folder").mkdir()
        os.setxattr(self.source / "folder", "user.folder", b"f")
        os.setxattr(self.source / "link", "trusted.link", b"l", follow_symlinks=False)

    def injected(self, fault, status=INCOMPLETE):
        calls = fault.split(":")[0]
        command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={fault}",
                   YESTER, "backup", "--json", self.source]
        ran = run(command, env=self.environment())
        self.assertEqual(ran.status, status, ran)
        return ran

    def test_each_call_and_error(self):
        for call, path in (("flistxattr", self.file), ("fgetxattr", self.file), ("llistxattr", self.source / "link"),
                           ("lgetxattr", self.source / "link"), ("flistxattr", self.source / "folder")):
            for error in ("EACCES", "EIO", "E2BIG", "ERANGE", "EPERM"):
                with self.subTest(call=call, error=error):
                    ran = self.injected(f"{call}:error={error}")
                    self.assertIn(f"{path}: ", ran.err)
                    self.assertIn("attribute", ran.err)
                    self.assertGreaterEqual(ran.json["problems"], 1)
        # What was lost is read again, though the file has not changed since.
        self.backup()
        restored = self.restored()
        self.assertEqual(os.getxattr(restored / "file", "user.first"), b"1")
        self.assertEqual(os.getxattr(restored / "file", "user.second"), b"2")
        self.assertEqual(os.getxattr(restored / "link", "trusted.link", follow_symlinks=False), b"l")

    def test_one_lost_attribute_leaves_the_others(self):
        ran = self.injected("fgetxattr:error=EIO:when=2+2")
        self.assertIn("user.second", ran.err)
        self.assertEqual(os.getxattr(self.restored() / "file", "user.first"), b"1")

    def test_what_is_no_error(self):
        self.injected("fgetxattr,lgetxattr:error=ENODATA", status=0)
        self.injected("flistxattr,llistxattr:error=EOPNOTSUPP", status=0)


if __name__ == "__main__":
    unittest.main()
