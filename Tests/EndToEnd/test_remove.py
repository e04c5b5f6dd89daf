"""Snapshots are removed by name: what is shown, what is refused, what is left."""

import os
import pty
import select
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import DONE, FAILED, INTERRUPTED, RECOVER, recover_python, run, USAGE, wait_until, WRONG_KEY


class Remove(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, files=10)
        self.init()

    def make(self, count, *arguments):
        return [self.backup(*arguments, "-d", f"n{number}")["name"] for number in range(count)]

    def names(self):
        return [one["name"] for one in self.snapshots()]

    def test_what_is_named_goes_and_nothing_else(self):
        names = self.make(4)
        shown = self.yester("remove", "--dry-run", names[0], names[2]).out
        for word in (names[0], names[2], "n0", "default", "2 snapshots would be removed", os.uname().nodename):
            self.assertIn(word, shown)
        self.assertEqual(self.names(), names)
        gone = self.snapshots()[2]
        removed = self.yester("remove", "--json", names[0], gone["id"][:9], gone["name"]).json
        self.assertEqual([one["name"] for one in removed["snapshots"]], [names[0], names[2]])
        self.assertEqual([one["protected_by"] for one in removed["snapshots"]], [[], []])
        self.assertNotIn("space", removed)
        self.assertEqual(self.names(), [names[1], names[3]])
        # The one that was compared with what is gone is whole.
        self.assert_same_tree(self.source, self.restored(names[3]))
        self.verify()
        ran = self.yester("remove", names[0], status=FAILED)
        self.assertRegex(ran.err, f"The snapshot {names[0]} was removed on .* by .*@")
        self.assertIn("was removed on", self.yester("show", gone["id"], status=FAILED).err)
        ran = run([recover_python(), RECOVER, self.repository, "--list", "--key-file", self.key])
        self.assertEqual((ran.status, names[1] in ran.out, names[0] in ran.out), (DONE, True, False), ran)

    def test_what_is_unclear_removes_nothing(self):
        names = self.make(2)
        self.backup("--host", "elsewhere.example", "-d", "n0")
        day = names[0][:8]
        for arguments, status, words in (
                (["latest"], USAGE, names[1]), ([names[0], "nonesuch"], FAILED, '"nonesuch"'), ([], USAGE, ""),
                ([f"{names[0]}:/etc"], USAGE, "whole snapshots"), ([day], FAILED, "means 3 snapshots"),
                ([names[1], "--host", "typo"], FAILED, "elsewhere.example (1)"), (["--yes", ""], FAILED, "")):
            ran = self.yester("remove", *arguments, status=status)
            self.assertIn(words, ran.err, arguments)
            self.assertEqual(len(self.snapshots()), 3, arguments)

    def test_what_rotation_keeps_goes_by_force_only(self):
        change = self.backup("--kind", "pre-change", "-d", "change")["name"]
        names = self.make(2)
        ran = self.yester("remove", change, names[0], status=FAILED)
        self.assertIn(f"{change} (pre-change, not verified yet)", ran.err)
        self.assertNotIn(f"{names[0]} (", ran.err)
        ran = self.yester("remove", change, *names, status=FAILED)
        self.assertIn("newest of its plan", ran.err)
        self.verify()
        self.assertIn("last verified", self.yester("remove", names[1], status=FAILED).err)
        self.assertEqual(self.names(), [change, *names])
        # By a rollback, a restore point.
        (self.source / "new").write_bytes(b"new")
        self.yester("rollback", "latest", self.source, "--yes")
        [point] = [one["name"] for one in self.snapshots() if one["kind"] == "restore-point"]
        self.assertIn("restore point, not confirmed", self.yester("remove", point, status=FAILED).err)
        self.assertIn("restore point", self.yester("remove", "--dry-run", point, status=FAILED).out)
        self.yester("remove", "--force", point, change, *names)
        self.assertEqual(self.names(), [])
        self.verify()

    def test_space_comes_back_with_prune(self):
        for name in ("big", "stays"):
            (self.source / name).write_bytes(os.urandom(3 << 20))
        first = self.backup()["name"]
        (self.source / "big").unlink()
        second = self.backup()["name"]
        size = self.disk_usage(self.repository)
        self.yester("remove", first)
        self.assertGreater(self.disk_usage(self.repository), size - (1 << 20))
        third = self.backup()["name"]
        freed = self.yester("remove", "--json", "--prune", "--max-unused", "0", "--minimum-age", "0", second).json["space"]["bytes_freed"]
        self.assertGreater(freed, 2 << 20)
        self.assertLess(self.disk_usage(self.repository), size - (2 << 20))
        self.assert_same_tree(self.source, self.restored(third))

    def test_an_empty_newest_one_may_go_and_keeps_the_others(self):
        names = self.make(2)
        hold = self.source.rename(self.temp / "hold")
        self.source.mkdir()  # as when the file system was not mounted
        names += self.make(1)
        self.assertIn("looks suspicious", self.yester("remove", names[0], status=FAILED).err)
        self.yester("remove", names[2])
        self.yester("remove", names[0])
        self.assertEqual(self.names(), names[1:2])
        self.source.rmdir()
        hold.rename(self.source)

    def test_a_mount_notices(self):
        names = self.make(3)
        point = self.mount()
        file = self.in_mount(point, names[0]) / "dir0" / "file-000"
        with open(file, "rb") as held:
            self.yester("remove", names[0])
            wait_until(lambda: names[0] not in os.listdir(point), 3, "the mount still shows it")
            self.yester("prune", "--max-unused", "0", "--minimum-age", "0")
            self.assertEqual(held.read(), (self.source / "dir0" / "file-000").read_bytes())
        self.assertIn(names[1], os.listdir(point))
        self.unmount(point)

    def test_a_write_only_key_removes_nothing(self):
        self.yester("key", "add", "--write-only", "--new-key-file", self.temp / "weak")
        weak = {"YESTER_KEY_FILE": self.temp / "weak", "YESTER_CACHE_DIR": self.temp / "other-cache"}
        names = [self.backup("-d", f"n{number}", env=weak)["name"] for number in range(2)]
        self.yester("remove", "--force", names[0], env=weak, status=WRONG_KEY)
        self.assertEqual(self.names(), names)

    def ask(self, answer, *arguments):
        """Remove at a terminal, which gives the answer; status and what was seen."""
        leader, follower = pty.openpty()
        process = self.start_yester("remove", *arguments, stdin=follower, stdout=follower, stderr=follower)
        os.close(follower)
        seen = b""
        while process.poll() is None or select.select([leader], [], [], 0)[0]:
            if not select.select([leader], [], [], 0.2)[0]:
                continue
            try:
                part = os.read(leader, 4096)
            except OSError:
                break
            seen += part
            if b"[y/N]" in part:
                os.write(leader, answer)
        os.close(leader)
        return process.wait(timeout=20), seen.decode()

    def test_a_terminal_is_asked_when_the_list_was_seen(self):
        names = self.make(3)
        for answer in (b"\n", b"n\n", b"\x04"):
            status, seen = self.ask(answer, names[0])
            self.assertEqual(status, INTERRUPTED, seen)
            self.assertLess(seen.index(names[0]), seen.index("[y/N]"))
            self.assertIn("Nothing was changed", seen)
        self.assertEqual(self.names(), names)
        status, seen = self.ask(b"y\n", names[0])
        self.assertEqual((status, self.names()), (DONE, names[1:]), seen)
        status, seen = self.ask(b"", "--yes", names[1])
        self.assertEqual((status, self.names()), (DONE, names[2:]), seen)
        self.assertNotIn("[y/N]", seen)
        # Also where the list itself goes elsewhere.
        self.make(1)
        status, seen = self.ask(b"n\n", "--json", names[2])
        self.assertEqual(status, INTERRUPTED, seen)
        self.assertLess(seen.index(names[2]), seen.index("[y/N]"))
        self.yester("remove", self.names()[-1])
        # What is refused is not asked about.
        status, seen = self.ask(b"y\n", names[2])
        self.assertEqual((status, self.names()), (FAILED, names[2:]), seen)
        self.assertNotIn("[y/N]", seen)


if __name__ == "__main__":
    unittest.main()
