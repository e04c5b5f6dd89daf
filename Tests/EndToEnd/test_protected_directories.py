"""What a restore must leave alone: what a snapshot left out on purpose, the repository, and other file systems."""
import os
import subprocess
import unittest

from support.cases import EndToEndTest, make_tree


class ProtectedDirectories(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source)
        self.init()

    def test_a_rollback_does_not_delete_the_repository(self):
        self.backup(self.temp)
        (self.source / "new").write_text("later\n")
        ran = self.yester("rollback", "--yes", "latest", self.temp)
        self.assertIn("stays as it is", ran.out + ran.err)
        self.assertFalse((self.source / "new").exists())
        self.verify()

    def test_a_restore_into_the_repository_is_refused(self):
        self.backup()
        for destination in (self.repository, self.repository / "packs", self.repository / "not" / "there"):
            self.yester("restore", f"latest:{self.source}", "--delete", "--to", destination, status=1)
        self.verify()

    def test_what_was_left_out_is_not_deleted(self):
        (self.source / "keep.log").write_text("excluded\n")
        cache = self.source / "cache"
        cache.mkdir()
        (cache / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
        (cache / "data").write_text("cached\n")
        mounted = self.source / "mounted"
        mounted.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mounted], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", mounted])
        (mounted / "file").write_text("on another file system\n")
        self.backup(self.source, "--exclude", "*.log", "--exclude-caches", "--one-file-system")
        self.yester("rollback", "--yes", "latest", self.source)
        self.assertTrue((self.source / "keep.log").exists())
        self.assertTrue((cache / "data").exists())
        self.assertTrue((mounted / "file").exists())

    def test_a_directory_with_other_permissions_only(self):
        directory = self.source / "private"
        directory.mkdir(mode=0o700)
        self.backup()
        directory.chmod(0o777)
        self.yester("rollback", "--yes", "latest", self.source)
        self.assertEqual(directory.stat().st_mode & 0o7777, 0o700)

    def test_hard_links_in_a_directory_that_takes_a_files_place(self):
        directory = self.source / "d"
        directory.mkdir()
        (directory / "a").write_text("linked\n")
        os.link(directory / "a", directory / "b")
        self.backup()
        os.unlink(directory / "a")
        os.unlink(directory / "b")
        directory.rmdir()
        directory.write_text("a file now\n")
        self.yester("rollback", "--yes", "latest", self.source)
        self.assertEqual((directory / "a").stat().st_ino, (directory / "b").stat().st_ino)
        self.assertEqual((directory / "b").read_text(), "linked\n")


if __name__ == "__main__":
    unittest.main()
