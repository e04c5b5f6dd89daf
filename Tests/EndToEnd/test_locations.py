"""Where a repository lies: a path, or a kind of store and what it is called there."""

import os
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import NO_REPOSITORY, USAGE, YESTERFS, run


class Locations(EndToEndTest):
    def at(self, location, *arguments, **options):
        return self.yester(*arguments, "--repository", location, cwd=self.temp, **options)

    def test_a_repository_by_all_names_of_its_directory(self):
        make_tree(self.source, files=3)
        self.at("file:repository", "init", "--key-file", self.key)
        self.assertTrue((self.repository / "config").is_file())
        locations = ("repository", "./repository", "file:repository", f"file:{self.repository}", self.repository)
        for location in locations:
            with self.subTest(location):
                self.at(location, "backup", self.source)
                point = self.temp / "mnt"
                point.mkdir(exist_ok=True)
                self.at(location, "mount", point)
                self.assert_same_tree(self.in_mount(point), self.source)
                # The driver has left the directory from which the name was good.
                self.assertIn(f"{self.repository} {point} fuse.yesterfs", run(["cat", "/proc/mounts"]).out)
                self.unmount(point)
        status = self.at("file:repository", "status", "--json").json
        self.assertEqual(status["repository"], str(self.repository))

    def test_a_mount_of_the_repository_is_known_by_any_name(self):
        make_tree(self.source, files=3)
        self.init()
        self.backup()
        point = self.source / "mnt"
        point.mkdir()
        self.at("file:repository", "mount", point)
        ran = self.at("./repository", "backup", self.source)
        self.assertIn(f"{point}: not entered, since it shows the snapshots of this repository", ran.err)

    def test_the_repository_stays_out_of_its_own_backups_by_any_name(self):
        make_tree(self.source, files=3)
        self.at("file:source/repository", "init", "--key-file", self.key)
        self.at("file:source/repository", "backup", self.source)
        self.assertEqual(self.at("source/repository", "ls", f"latest:{self.source}/repository").out, "")

    def test_a_path_with_a_colon(self):
        self.at("./s3:box", "init", "--key-file", self.key)
        self.assertTrue((self.temp / "s3:box" / "config").is_file())
        self.at("./s3:box", "status")
        self.at(self.temp / "s3:box", "status")
        ran = self.at("s3:box", "status", status=USAGE)
        self.assertIn('written with "./" in front', ran.err)

    def test_a_kind_that_there_is_not(self):
        for location in ("s3:bucket/path", "sftp:user@host:/path", "user@host:/path"):
            for command in (("init", "--key-file", self.key), ("status",), ("backup", "/etc"),
                            ("verify", "--level", "packs")):
                with self.subTest(location=location, command=command[0]):
                    ran = self.at(location, *command, status=USAGE)
                    self.assertIn("The repository is of a kind that this program does not know", ran.err)
                    self.assertIn("PATH or file:PATH (a directory)", ran.err)
                    # There may be a password in it.
                    self.assertNotIn(location, ran.err)
            point = self.temp / "mnt"
            point.mkdir(exist_ok=True)
            ran = run([YESTERFS, location, point], env=self.environment())
            self.assertEqual(ran.status, USAGE)
            self.assertIn("is of a kind that this program does not know", ran.err)
            self.assertFalse(os.path.ismount(point))
        self.assertFalse(self.key.exists())
        self.assertEqual([name for name in os.listdir(self.temp) if ":" in name], [])

    def test_a_directory_that_is_not_there(self):
        self.init()
        ran = self.at("file:elsewhere", "status", status=NO_REPOSITORY)
        self.assertIn("There is no directory elsewhere", ran.err)


if __name__ == "__main__":
    unittest.main()
