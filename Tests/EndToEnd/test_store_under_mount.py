"""A repository that changes for the worse, or for good, while a mount of it stands: damage, lost disks, rotation."""

import errno
import json
import os
import random
import time
import unittest

from support.cases import BLOCK, EndToEndTest, make_tree
from support.machine import MIB, run, start, wait_until, YESTERFS


class MountedStore(EndToEndTest):
    """A driver in the foreground, whose log can be read."""

    def drive(self, *options):
        point = self.temp / "mnt"
        point.mkdir(exist_ok=True)
        self.log = self.temp / "driver.log"
        with open(self.log, "ab") as log:
            words = ["-f", "-o", ",".join((f"key_file={self.key}", "cache_size=1", *options))]
            self.driver = start([YESTERFS, self.repository, point, *words], env=self.environment(), stderr=log)
        self.processes.append(self.driver)
        wait_until(lambda: os.path.ismount(point) or self.driver.poll() is not None, 10, "no mount")
        self.assertIsNone(self.driver.poll(), self.log.read_text())
        return point

    def health(self, point):
        return json.loads((point / ".yester" / "health").read_text())

    def forget(self):
        run(["sync", "-f", self.temp])
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3")


class DamageUnderAMount(MountedStore):
    protection = "none"

    def setUp(self):
        super().setUp()
        make_tree(self.source)
        self.init()
        self.backup("-d", "small")
        self.packs_of = {}
        for number in range(2):
            known = set(self.objects("packs"))
            self.write(f"big-{number}", number)
            self.backup("-d", f"big {number}")
            [self.packs_of[number]] = [pack for pack in self.packs(1) if pack not in known]
        # All that the driver keeps of big-0 by itself is pushed out by reading big-1.
        self.point = self.drive()
        self.mounted = self.in_mount(self.point)

    def write(self, name, seed):
        (self.source / name).write_bytes(random.Random(seed).randbytes(6 * MIB))

    def wanted(self, number):
        return (self.source / f"big-{number}").read_bytes()

    def assert_rest_goes_on(self):
        self.assertEqual(self.bad_blocks(self.mounted / "big-1", self.wanted(1)), [])
        self.assert_same_tree(self.source, self.mounted, "--skip", "big-0", ".")
        made = self.backup("-d", "goes on")
        wait_until(lambda: made["name"] in os.listdir(self.point), 2, "a new snapshot is not listed")

    def assert_told(self, *words):
        health = self.health(self.point)
        self.assertIs(health["healthy"], False)
        for where, text in (("health", " ".join(health["recent_errors"])), ("the log", self.log.read_text())):
            for word in words:
                self.assertIn(word, text, f"not in {where}")

    def damaged_pack(self, damage, words, at_most, was_read=True):
        pack = self.packs_of[0]
        if was_read:
            self.assertEqual(self.bad_blocks(self.mounted / "big-0", self.wanted(0)), [])
        self.assertEqual(self.bad_blocks(self.mounted / "big-1", self.wanted(1)), [])
        self.assertIs(self.health(self.point)["healthy"], True)
        sound = pack.read_bytes()
        pack.chmod(0o600)
        damage(pack)
        self.forget()
        bad = self.bad_blocks(self.mounted / "big-0", self.wanted(0))
        self.assertTrue(bad, "damage was not noticed")
        self.assertLessEqual(len(bad) * BLOCK, at_most, "more than the damaged range is lost")
        self.assert_told("big-0", pack.name[:8], *words)
        self.assert_rest_goes_on()
        # Put back, it is used again by the same mount.
        pack.write_bytes(sound)
        self.forget()
        self.assertEqual(self.bad_blocks(self.mounted / "big-0", self.wanted(0)), [])
        return bad

    def test_a_flipped_byte(self):
        # One chunk and its neighbours in the block that holds the byte.
        self.damaged_pack(lambda pack: self.flip(pack, 3 * MIB), ["lock"], 4 * MIB)

    def test_a_truncated_pack(self):
        bad = self.damaged_pack(lambda pack: os.truncate(pack, 4 * MIB), [], 6 * MIB)
        self.assertGreater(bad[0], 0, "what lies before the end can be read")

    def test_a_deleted_pack(self):
        # Had it been read before, the driver would still have it open, and nothing would be lost yet.
        self.damaged_pack(lambda pack: pack.unlink(), [], 6 * MIB, was_read=False)

    def test_tree_packs(self):
        folder = self.source / "fresh"
        known = set(self.packs(2))
        make_tree(folder, seed="fresh")
        made = self.backup("-d", "trees")
        trees = [pack for pack in self.packs(2) if pack not in known]
        wait_until(lambda: made["name"] in os.listdir(self.point), 2, "the new snapshot is not listed")
        for pack in trees:
            self.flip(pack, 300)
        self.forget()
        unseen = self.in_mount(self.point, made["name"])
        with self.assertRaises(OSError) as caught:
            os.listdir(unseen / "fresh" / "dir0")
        self.assertEqual(caught.exception.errno, errno.EIO)
        self.assert_told(trees[0].name[:8])
        # The snapshots before are not touched by it.
        before = self.in_mount(self.point, self.snapshots()[2]["name"])
        self.assert_same_tree(self.source, before, "--skip", "fresh", ".")
        # What is put back is used, though the error was told before.
        for pack in trees:
            self.flip(pack, 300)
        self.forget()
        self.assert_same_tree(self.source, unseen)

    def test_what_a_mount_does_not_need_again(self):
        """Index, key slots, leases and records: whatever becomes of them, what is shown can be read."""
        inode = (self.mounted / "big-0").lstat().st_ino
        for folder in ("index", "keys", "leases"):
            for path in self.objects(folder):
                path.unlink()
        self.forget()
        time.sleep(1)
        self.assert_same_tree(self.source, self.mounted)
        self.assertEqual((self.mounted / "big-0").lstat().st_ino, inode)
        self.unmount(self.point)
        self.driver.communicate(timeout=10)
        self.assertEqual(self.driver.returncode, 0, self.log.read_text())

    def test_damaged_index_segments(self):
        for path in self.objects("index"):
            self.flip(path, path.stat().st_size // 2)
        self.forget()
        self.assert_same_tree(self.source, self.mounted)
        self.assert_rest_goes_on()

    def test_a_snapshot_record(self):
        first, second, third = self.snapshots()
        record = self.repository / "snapshots" / second["id"]
        sound = record.read_bytes()
        with open(self.in_mount(self.point, second["name"]) / "big-0", "rb") as file:
            self.flip(record, -100)
            # The record was read and found right when it was new; what is shown does not change.
            time.sleep(2)
            self.assertIn(third["name"], os.listdir(self.point))
            self.assertEqual(file.read(), self.wanted(0))
            record.unlink()
            wait_until(lambda: second["name"] not in os.listdir(self.point), 3, "a deleted snapshot is still listed")
            self.assertLessEqual({first["name"], third["name"]}, set(os.listdir(self.point)))
            file.seek(0)
            self.forget()
            self.assertEqual(file.read(), self.wanted(0))
        record.write_bytes(sound)
        wait_until(lambda: second["name"] in os.listdir(self.point), 3, "the snapshot does not come back")
        self.assertEqual(self.bad_blocks(self.in_mount(self.point, second["name"]) / "big-0", self.wanted(0)), [])

    def test_a_damaged_record_that_is_new(self):
        """One that cannot be read is named; all others are there."""
        names = set(os.listdir(self.point))
        (self.repository / "snapshots" / ("ab" * 32)).write_bytes(b"rubbish" * 100)
        wait_until(lambda: not self.health(self.point)["healthy"], 3, "nobody is told of the damaged record")
        self.assert_told("abababab")
        self.assertEqual(set(os.listdir(self.point)), names)
        self.assert_rest_goes_on()


class LostDisk(MountedStore):
    """The file system that holds the repository is taken away under a mount, and comes back."""

    def setUp(self):
        super().setUp()
        self.disk, self.behind = self.temp / "disk", self.temp / "behind"
        self.disk.mkdir()
        self.behind.mkdir()
        self.repository = self.disk / "repository"
        make_tree(self.source)

    def lost_and_found(self, attach, detach):
        attach()
        self.init()
        for number in range(4):
            (self.source / f"big-{number}").write_bytes(random.Random(number).randbytes(3 * MIB))
            # As much as a driver opens ahead of a reader, so that it has not opened the next one's pack.
            (self.source / f"big-{number}-gap").write_bytes(random.Random(-1 - number).randbytes(14 * MIB))
            self.backup("-d", f"number {number}")
        point = self.drive()
        mounted = self.in_mount(point)
        names = os.listdir(point)
        self.assertEqual(self.bad_blocks(mounted / "big-0", (self.source / "big-0").read_bytes()), [])
        for round in range(2):
            detach()
            self.forget()
            # One whose pack the driver does not hold open.
            unseen = f"big-{round + 2}"
            ran = run(["cat", mounted / unseen], timeout=20)
            self.assertIn("Input/output error", ran.err, "the driver had it already")
            self.assertEqual(run(["ls", "-A", point], timeout=10).out.split(), sorted(names), "names are lost")
            health = self.health(point)
            self.assertIs(health["healthy"], False)
            self.assertIn(str(self.repository), " ".join(health["recent_errors"]) + str(health["repository"]))
            self.assertIn(unseen, self.log.read_text())
            attach()
            # The same mount goes on, and follows.
            for number in range(round + 3):
                wanted = (self.source / f"big-{number}").read_bytes()
                self.assertEqual(self.bad_blocks(mounted / f"big-{number}", wanted), [])
            (self.source / "fresh").write_bytes(b"round %d" % round)
            made = self.backup("-d", f"after round {round}")
            names.append(made["name"])
            wait_until(lambda: made["name"] in os.listdir(point), 2, "a new snapshot is not listed")
            # All but what the next round finds unread.
            self.assert_same_tree(self.source, self.in_mount(point, made["name"]), "--skip", "big-2-gap", "big-3", "big-3-gap")
            mounted = self.in_mount(point, made["name"])
        self.unmount(point)
        self.driver.communicate(timeout=10)
        self.assertEqual(self.driver.returncode, 0)
        self.assertEqual(self.objects("leases"), [])
        self.verify()

    def check(self, *command):
        ran = run(command)
        self.assertEqual(ran.status, 0, ran)

    def test_a_directory_that_is_bound(self):
        self.lost_and_found(lambda: self.check("mount", "--bind", self.behind, self.disk),
                            lambda: self.check("umount", "-l", self.disk))


class RotationUnderReaders(MountedStore):
    def test_copies_under_way_while_their_snapshot_is_rotated_away(self):
        make_tree(self.source, files=300)
        for number in range(12):
            (self.source / f"big-{number:02d}").write_bytes(random.Random(number).randbytes(2 * MIB))
        self.init()
        first = self.backup("-d", "first")
        kept = self.temp / "kept"
        self.assertEqual(run(["cp", "-a", self.source, kept]).status, 0)
        point = self.drive()
        # From the inside: the copies begin at a directory that they hold, so its name may go.
        folder = os.open(self.in_mount(point, first["name"]), os.O_RDONLY | os.O_DIRECTORY)
        copies = [start(["sh", "-c", f"cd /proc/self/fd/{folder} && exec cp -a . '{self.temp}/copy-{number}'"],
                        pass_fds=[folder]) for number in range(2)]
        self.processes += copies
        for number in range(12):
            (self.source / f"big-{number:02d}").unlink()
        second = self.backup("-d", "second")
        self.yester("rotate", "--keep-last", "1", "--max-unused", "0", "--minimum-age", "0")
        self.yester("prune", "--max-unused", "0", "--minimum-age", "0")
        wait_until(lambda: first["name"] not in os.listdir(point), 2, "the removed snapshot is still listed")
        self.assertIn(second["name"], os.listdir(point))
        self.forget()
        for copy in copies:
            _, err = copy.communicate(timeout=60)
            self.assertEqual(copy.returncode, 0, err)
        os.close(folder)
        for number in range(2):
            self.assert_same_tree(kept, self.temp / f"copy-{number}")
        self.assertIs(self.health(point)["healthy"], True)
        self.unmount(point)
        self.driver.communicate(timeout=10)
        # Without the mount nobody needs it any more.
        before = self.disk_usage(self.repository / "packs")
        self.yester("prune", "--max-unused", "0", "--minimum-age", "0")
        self.assertLess(self.disk_usage(self.repository / "packs"), before - 20 * MIB)
        self.assert_same_tree(self.source, self.restored())


if __name__ == "__main__":
    unittest.main()
