"""Programs that are killed or interrupted at any moment: nothing stored is lost, and the next run goes on."""

import errno
import os
import random
import shutil
import signal
import time
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import driver_of, INTERRUPTED, is_gone, MIB, run, wait_until


class Crash(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.rng = random.Random("crash")
        make_tree(self.source)
        self.init()

    def add_data(self, name, size):
        (self.source / name).write_bytes(self.rng.randbytes(size))

    def test_kill_backups_at_random_moments(self):
        made = self.backup("-d", "before")
        before = self.temp / "before"
        run(["cp", "-a", self.source, before])
        killed = 0
        self.add_data("bulk", 60 * MIB)
        for number in range(10):
            self.add_data(f"new-{number}", 6 * MIB)
            for more in range(300):
                (self.source / "dir1" / f"{number}-{more}").write_bytes(self.rng.randbytes(500))
            process = self.start_yester("backup", self.source)
            time.sleep(self.rng.uniform(0.005, 0.12))
            process.kill()
            _, err = process.communicate(timeout=20)
            killed += process.returncode == -signal.SIGKILL
            self.assertIn(process.returncode, (0, -signal.SIGKILL), err)
            self.verify("--level", "structure")
        self.assertGreater(killed, 2, "the backups were too fast to be killed: the test proves nothing")
        self.verify()
        last = self.backup()
        self.verify()
        self.assert_same_tree(self.source, self.restored(last["name"]))
        self.assert_same_tree(before, self.restored(made["name"], to="restored-before"))
        # What the killed runs left behind is cleared away once it is old: a young upload may be another host's.
        for path in self.objects("tmp"):
            os.utime(path, (1e9, 1e9))
        self.yester("prune", "--max-unused", "0", "--minimum-age", "0")
        self.assertEqual(self.objects("tmp"), [])
        self.assertEqual(self.objects("leases"), [])
        self.verify()
        self.assert_same_tree(self.source, self.restored(last["name"], to="restored-again"))

    def test_a_killed_first_backup_resumes(self):
        self.add_data("a-first", 150 * MIB)
        self.add_data("z-last", 60 * MIB)
        process = self.start_yester("backup", self.source)
        wait_until(lambda: len(self.objects("packs")) >= 1 or process.poll() is not None, 60, "no pack was written")
        process.kill()
        process.communicate(timeout=20)
        self.assertEqual(process.returncode, -signal.SIGKILL, "the backup was too fast: the test proves nothing")
        made = self.backup()
        self.assertEqual(self.snapshots()[0]["id"], made["id"])
        self.assert_same_tree(self.source, self.restored())
        self.verify()

    def test_what_a_killed_first_backup_has_stored_is_not_stored_again(self):
        total, pack = 512 * MIB, 64 * MIB
        for number in range(64):
            self.add_data(f"part-{number:02}", total // 64)
        for packs in (4, 6):
            process = self.start_yester("backup", self.source)
            wait_until(lambda: len(self.objects("packs")) >= packs or process.poll() is not None, 60, "no packs")
            process.kill()
            process.communicate(timeout=20)
            self.assertEqual(process.returncode, -signal.SIGKILL, "the backup was too fast: the test proves nothing")
        made = self.backup()["counts"]
        self.assertGreaterEqual(made["bytes_read"], total)
        # Of each of the two runs the last pack may have been on its way to the index.
        self.assertLessEqual(made["bytes_stored"], total - (packs - 2) * pack + 4 * MIB)
        again = self.backup()["counts"]
        self.assertEqual(again["bytes_read"], 0)
        # Nothing but what others may have changed above the source meanwhile: the times of /tmp, say.
        self.assertLess(again["bytes_stored"], 64 << 10)
        self.verify()
        self.assert_same_tree(self.source, self.restored())

    def interrupted(self, number):
        self.add_data("bulk", 200 * MIB)
        process = self.start_yester("backup", self.source)
        wait_until(lambda: len(self.objects("packs")) >= 1 or process.poll() is not None, 60, "no pack was written")
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, INTERRUPTED, err)
        self.assertIn(b"interrupted", err)
        self.assertEqual(self.snapshots(), [])
        self.assertEqual(self.objects("leases"), [])
        self.assertEqual(self.objects("tmp"), [])
        self.verify()
        made = self.backup()
        self.assertLess(made["counts"]["bytes_new"], 190 * MIB, "nothing of the interrupted run was used")
        self.verify()
        self.assert_same_tree(self.source, self.restored())

    def test_sigint(self):
        self.interrupted(signal.SIGINT)

    def test_sigterm(self):
        self.interrupted(signal.SIGTERM)

    def test_killed_rotations(self):
        """Whenever rotate ends, the snapshots that are left are whole."""
        kept = {}
        for number in range(6):
            self.add_data("changing", 3 * MIB)
            self.add_data(f"file-{number}", MIB)
            kept[self.backup("-d", f"number {number}")["name"]] = None
            copy = self.temp / f"copy-{number}"
            shutil.copytree(self.source, copy, symlinks=True, ignore=shutil.ignore_patterns("fifo"))
            kept[self.snapshots()[-1]["name"]] = copy
        for number in range(5, 0, -1):
            process = self.start_yester("rotate", "--keep-last", str(number), "--max-unused", "0", "--minimum-age", "0")
            time.sleep(self.rng.uniform(0.005, 0.12))
            process.kill()
            process.communicate(timeout=20)
            self.verify()
            names = [one["name"] for one in self.snapshots()]
            self.assertIn(len(names), range(number, 7))
            for name in names:
                target = self.restored(name, to=f"{number}-{name}")
                ran = run(["diff", "-r", "--no-dereference", "-x", "fifo", kept[name], target])
                self.assertEqual((ran.status, ran.out), (0, ""))
                shutil.rmtree(target)
        ran = self.yester("rotate", "--keep-last", "1", "--max-unused", "0", "--minimum-age", "0", "--json")
        self.verify()
        self.assertEqual(len(self.snapshots()), 1)
        self.assertLess(self.disk_usage(self.repository / "packs"), 12 * MIB, f"something is left over: {ran}")


class KilledDriver(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source)
        self.init()
        self.backup()

    def test_a_dead_mount_gives_errors_and_no_empty_tree(self):
        point = self.mount()
        mounted = self.in_mount(point)
        self.assertTrue(os.listdir(mounted))
        driver = driver_of(point)
        os.kill(driver, signal.SIGKILL)
        wait_until(lambda: is_gone(driver), 10, "the driver lives on")
        # What the kernel knows already it may still tell; but never that there is nothing.
        dead = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO)
        for folder in (point, mounted, mounted / "dir0", mounted / "dir1" / "sub1", point / ".yester"):
            try:
                self.assertNotEqual(os.listdir(folder), [], f"{folder} looks empty")
            except OSError as error:
                self.assertIn(error.errno, dead)
        for unseen in (mounted / "dir3" / "sub1", point / ".yester" / "versions"):
            with self.assertRaises(OSError) as caught:
                os.listdir(unseen)
            self.assertIn(caught.exception.errno, dead)
        # A mirror job fails instead of emptying its target.
        mirror = self.temp / "mirror"
        mirror.mkdir()
        (mirror / "precious").write_bytes(b"x")
        self.assertNotEqual(run(["rsync", "-a", "--delete", f"{point}/", f"{mirror}/"]).status, 0)
        self.assertTrue((mirror / "precious").exists())
        # The next mount takes the dead one away.
        self.assertEqual(self.mount(), point)
        self.assert_same_tree(self.source, self.in_mount(point))
        self.unmount(point)
        self.assertFalse(os.path.ismount(point))

    def test_a_dead_mount_can_be_unmounted(self):
        point = self.mount()
        os.kill(driver_of(point), signal.SIGKILL)
        time.sleep(0.2)
        self.unmount(point)
        self.assertEqual(os.listdir(point), [])

    def test_the_lease_of_a_dead_driver_holds_nothing_up(self):
        point = self.mount()
        os.kill(driver_of(point), signal.SIGKILL)
        time.sleep(0.2)
        self.assertTrue(self.objects("leases"))
        (self.source / "big").write_bytes(os.urandom(MIB))
        self.backup()
        (self.source / "big").unlink()
        self.backup()
        self.yester("rotate", "--keep-last", "1", "--max-unused", "0", "--minimum-age", "0")
        self.assertEqual(self.objects("leases"), [])
        self.assertLess(self.disk_usage(self.repository / "packs"), MIB // 2)


if __name__ == "__main__":
    unittest.main()
