"""A full, read-only or vanished file system under the repository."""

import os
import random
import time
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import driver_of, FAILED, is_gone, MIB, NO_REPOSITORY, run, wait_until


class DiskTrouble(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.disk = self.temp / "disk"
        self.disk.mkdir()
        self.repository = self.disk / "repository"
        make_tree(self.source)

    def attach(self, megabytes):
        ran = run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "yester-test", self.disk])
        self.assertEqual(ran.status, 0, ran)

    def test_a_full_disk(self):
        self.attach(20)
        self.init()
        made = self.backup("-d", "small")
        big = self.source / "big"
        big.write_bytes(random.Random(1).randbytes(40 * MIB))
        for _ in range(2):
            ran = self.yester("backup", self.source, status=FAILED)
            self.assertIn("space", ran.err)
        self.assertEqual([one["id"] for one in self.snapshots()], [made["id"]])
        self.verify(status={0, FAILED})
        self.yester("verify", "--level", "structure")
        kept = big.rename(self.temp / "big")
        self.assert_same_tree(self.source, self.restored(made["name"]), "--skip", ".")
        # More space: everything works again, with what was stored so far.
        self.assertEqual(run(["mount", "-o", "remount,size=80m", self.disk]).status, 0)
        kept.rename(big)
        self.backup()
        self.verify()
        self.assert_same_tree(self.source, self.restored(to="after"))

    def test_space_can_be_freed_on_a_full_disk(self):
        self.attach(24)
        self.init()
        for seed in range(2):
            (self.source / "big").write_bytes(random.Random(seed).randbytes(9 * MIB))
            self.backup("-d", str(seed))
        (self.source / "big").write_bytes(random.Random(2).randbytes(9 * MIB))
        self.yester("backup", self.source, status=FAILED)
        self.yester("rotate", "--keep-last", "1", "--max-unused", "0", "--minimum-age", "0")
        self.backup()
        self.verify()
        self.assert_same_tree(self.source, self.restored())

    def test_space_can_be_freed_with_not_a_byte_free(self):
        """Removing takes a note, and condemning a list: there is a reserve for both."""
        self.attach(32)
        self.init()
        for seed in range(2):
            (self.source / "big").write_bytes(random.Random(seed).randbytes(9 * MIB))
            self.backup("-d", str(seed))
        self.assertTrue((self.repository / "reserve").exists())
        filler = self.disk / "filler"
        self.fill(filler)
        self.yester("backup", self.source, status=FAILED)
        # In two runs, as they come day by day; the first frees nothing.
        self.yester("rotate", "--keep-last", "1", "--max-unused", "0")
        self.assertFalse((self.repository / "reserve").exists())
        self.fill(self.disk / "more")
        done = self.yester("prune", "--max-unused", "0", "--minimum-age", "0", "--json").json
        self.assertGreater(done["bytes_freed"], 8 * MIB)
        self.verify()
        (self.disk / "more").unlink()
        filler.unlink()
        self.backup()
        self.assertTrue((self.repository / "reserve").exists(), "there is room again")
        self.assert_same_tree(self.source, self.restored())

    def fill(self, path):
        with open(path, "wb", buffering=0) as file:
            for size in (MIB, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass
        self.assertEqual(os.statvfs(self.disk).f_bavail, 0)

    def test_a_full_disk_under_a_restore(self):
        self.repository = self.temp / "repository"
        self.init()
        (self.source / "big").write_bytes(random.Random(3).randbytes(8 * MIB))
        self.backup()
        self.attach(4)
        ran = self.yester("restore", f"latest:{self.source}", "--to", self.disk / "to", status=FAILED)
        self.assertIn("space", ran.err)
        self.assertFalse((self.disk / "to" / "big").exists() and
                         (self.disk / "to" / "big").stat().st_size == 8 * MIB, "half a file looks whole")
        self.assertEqual(run(["mount", "-o", "remount,size=40m", self.disk]).status, 0)
        self.yester("restore", f"latest:{self.source}", "--to", self.disk / "to")
        self.assert_same_tree(self.source, self.disk / "to")

    def test_a_full_disk_under_the_cache(self):
        self.repository = self.temp / "repository"
        self.attach(1)
        self.cache = self.disk / "cache"
        self.init()
        self.backup()
        (self.disk / "fill").write_bytes(b"")
        with open(self.disk / "fill", "wb", buffering=0) as file:
            with self.assertRaises(OSError):
                while True:
                    file.write(bytes(4096))
        for number in range(3):
            (self.source / f"more-{number}").write_bytes(os.urandom(1000))
            self.backup()
        self.assert_same_tree(self.source, self.restored())
        self.verify()

    def test_a_read_only_repository(self):
        self.attach(40)
        self.init()
        made = self.backup()
        self.assertEqual(run(["mount", "-o", "remount,ro", self.disk]).status, 0)
        self.assertEqual([one["id"] for one in self.snapshots()], [made["id"]])
        self.verify()
        self.verify("--level", "packs")
        self.assert_same_tree(self.source, self.restored())
        point = self.mount()
        self.assert_same_tree(self.source, self.in_mount(point))
        self.unmount(point)
        for command in (["backup", self.source], ["prune"], ["rotate", "--keep-last", "1"]):
            ran = self.yester(*command, status=FAILED)
            self.assertRegex(ran.err, "[Rr]ead-only")
        self.assertEqual(run(["mount", "-o", "remount,rw", self.disk]).status, 0)
        self.backup()

    def read_through(self, path):
        """Read a file in another process, as the kernel may let us wait."""
        return run(["cat", path], timeout=20)

    def vanished(self, take_away, bring_back):
        self.init()
        for number in range(4):
            # A pack for each: what the driver holds open could still be read.
            (self.source / f"big-{number}").write_bytes(random.Random(number).randbytes(3 * MIB))
            self.backup()
        point = self.mount("--cache-size", "1")
        mounted = self.in_mount(point)
        self.assertEqual(len(os.listdir(mounted)), len(os.listdir(self.source)))
        self.assertEqual(self.read_through(mounted / "big-0").status, 0)
        take_away()
        ran = self.read_through(mounted / "big-3")
        self.assertNotEqual(ran.status, 0)
        self.assertIn("Input/output error", ran.err)
        ran = run(["find", f"{mounted}/"], timeout=20)
        self.assertIn("big-3", ran.out)
        self.yester("list", status=NO_REPOSITORY, timeout=20)
        if bring_back:
            bring_back()
            wait_until(lambda: self.read_through(mounted / "big-3").status == 0, 20, "the mount stays broken")
            self.assertEqual((mounted / "big-3").read_bytes(), (self.source / "big-3").read_bytes())
            take_away()
        driver = driver_of(point)
        started = time.monotonic()
        self.yester("unmount", point, timeout=20)
        self.assertLess(time.monotonic() - started, 10)
        self.assertFalse(os.path.ismount(point))
        wait_until(lambda: is_gone(driver), 15, "the driver hangs")

    def test_the_repository_moved_away_and_back(self):
        self.vanished(lambda: self.repository.rename(self.disk / "away"),
                      lambda: (self.disk / "away").rename(self.repository))

    def test_the_file_system_of_the_repository_unmounted(self):
        self.attach(60)
        self.vanished(lambda: self.assertEqual(run(["umount", "-l", self.disk]).status, 0), None)


if __name__ == "__main__":
    unittest.main()
