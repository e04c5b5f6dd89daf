"""Paths without a slash in front are taken from the working directory, in every command."""

import os
import unittest

from support.cases import EndToEndTest
from support.machine import FAILED, run, USAGE, YESTER


class RelativePaths(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.init()
        (self.source / "etc").mkdir(parents=True)
        (self.source / "etc" / "hosts").write_text("one\n")
        (self.source / "other").write_text("other\n")
        self.link = self.temp / "link"
        self.link.symlink_to(self.source / "etc")

    def at(self, folder, *arguments, **options):
        return self.yester(*arguments, cwd=folder, env={"PWD": folder}, **options)

    def test_every_command_from_a_directory_below(self):
        self.assertEqual(self.at(self.source, "backup", "--json", "etc", "./other", "etc/..").json["sources"],
                         [str(self.source), str(self.source / "etc"), str(self.source / "other")])
        for folder, path in ((self.source, "etc/hosts"), (self.source / "etc", "hosts"), (self.link, "hosts"),
                             (self.link, "../etc/./hosts"), (self.source / "etc", "../../source/etc/hosts")):
            with self.subTest(folder=folder, path=path):
                self.assertEqual(self.at(folder, "ls", f"latest:{path}").out, f"{self.source}/etc/hosts\n")
                self.assertIn(f"{self.source}/etc/hosts\n", self.at(folder, "versions", path).out)
                self.assertIn("No differences", self.at(folder, "diff", f"latest:{path}", f"live:{path}").out)
                self.assertIn("No differences", self.at(folder, "diff", "latest", "./" + path).out)
                self.assertIn("1 already right", self.at(folder, "rollback", "--dry-run", "latest", path).out)
                self.assertIn("hosts", self.at(folder, "find", "--snapshot", f"latest:{path}", "hosts").out)
                back = self.temp / "back"
                self.at(folder, "restore", f"latest:{path}", "--to", os.path.relpath(back, os.path.realpath(folder)))
                self.assertEqual((back / "hosts").read_text(), "one\n")
        self.assertEqual(self.at(self.source, "ls", "latest:.").out, "etc\nother\n")
        self.assertEqual(self.at(self.source / "etc", "ls", "latest:/").out, self.at("/", "ls", "latest").out)
        self.assertEqual(self.at(self.source, "ls", "latest:/../" + str(self.source)).out, "etc\nother\n")
        ran = self.at(self.source, "ls", "latest:tmp", status=FAILED)
        self.assertIn(f"holds no {self.source}/tmp", ran.err)
        ran = self.at(self.source, "diff", "etc/hosts", "latest", status=USAGE)
        self.assertIn("second", ran.err)

    def test_latest_looks_past_backups_of_something_else(self):
        """A dump that was stored later says nothing of /etc, so that "latest:/etc" means the last backup of /etc."""
        hosts = self.source / "etc" / "hosts"
        self.yester("backup", self.source)
        hosts.write_text("two\n")
        self.yester("backup", self.source)
        self.yester("backup", "--stdin-name", "dump", "--stdin-from-command", "--", "date")
        day = self.snapshots()[-1]["name"][:8]
        for name in ("latest", day):
            with self.subTest(name):
                self.assertEqual(self.yester("cat", f"{name}:{hosts}").out, "two\n")
                self.assertEqual(self.yester("ls", f"{name}:{hosts}").out, f"{hosts}\n")
                self.assertIn("hosts", self.yester("find", "--snapshot", f"{name}:{self.source}", "hosts").out)
                self.assertIn("No differences", self.yester("diff", name, f"live:{hosts}").out)
                self.assertIn("No differences", self.yester("diff", f"{name}:{hosts}", name).out)
                self.assertIn("1 already right", self.yester("rollback", "--dry-run", name, hosts).out)
                back = self.temp / f"back-{name}"
                self.yester("restore", f"{name}:{hosts}", "--to", back)
                self.assertEqual((back / "hosts").read_text(), "two\n")
                # Without a path, and where both hold something, it is the very last.
                self.assertEqual(self.yester("ls", name).out, "dump\n")
                self.assertEqual(self.yester("ls", f"{name}:/").out, "dump\n")
        # What the last backup of that source lacks is not looked for in older ones.
        hosts.unlink()
        self.yester("backup", self.source)
        self.yester("backup", "--stdin-name", "dump", "--stdin-from-command", "--", "date")
        self.assertIn(f"holds no {hosts}", self.yester("ls", f"latest:{hosts}", status=FAILED).err)
        self.assertIn("holds no /nowhere", self.yester("ls", "latest:/nowhere", status=FAILED).err)

    def test_repository_key_and_mount_point(self):
        self.backup()
        key = ("--repository", "repository", "--key-file", "key")
        (self.temp / "mnt").mkdir()
        self.at(self.temp, "mount", *key, "mnt")
        self.assertTrue((self.in_mount(self.temp / "mnt") / "etc" / "hosts").exists())
        self.at(self.temp, "unmount", "mnt")

    def test_a_working_directory_that_is_gone(self):
        self.backup()
        gone = self.temp / "gone"
        gone.mkdir()
        script = f'rmdir "{gone}"; exec "$0" "$@"'
        ran = run(["sh", "-c", script, YESTER, "ls", "latest:etc"], env=self.environment(), cwd=gone)
        self.assertEqual(ran.status, FAILED, ran)
        self.assertIn("working directory", ran.err)


if __name__ == "__main__":
    unittest.main()
