"""Where one can mount, how a mount ends, and the ways to start one."""

import contextlib
import os
import pathlib
import signal
import time
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import (BUSY, driver_of, FAILED, is_gone, NO_REPOSITORY, run, start, USAGE, wait_until, YESTER,
                             YESTERFS)


class MountPoints(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source)
        self.init()
        self.made = self.backup()

    def refused(self, point, *words, status=FAILED, arguments=()):
        ran = self.yester("mount", point, *arguments, status=status, timeout=30)
        for word in words:
            self.assertIn(word, ran.err)
        self.assertFalse(os.path.ismount(point))

    def test_names_that_are_no_text_in_messages(self):
        folder = os.fsdecode(os.fsencode(self.temp) + b"/n\xff\x1b")
        os.mkdir(folder)
        for arguments in (("unmount", folder), ("mount", folder + "x")):
            ran = self.yester(*arguments, status=FAILED, timeout=30)
            self.assertIn("/n\\xff\\x1b", ran.err)
        ran = self.yester("list", "--repository", folder, status=NO_REPOSITORY)
        self.assertIn("/n\\xff\\x1b", ran.err)

    def test_unsuitable_mount_points(self):
        full = self.temp / "full"
        full.mkdir()
        (full / "file").write_text("x")
        self.refused(full, "not empty", str(full))
        self.refused(self.temp / "missing", "does not exist")
        self.refused(full / "file", "not a directory")
        (self.repository / "inside").mkdir()
        self.refused(self.repository / "inside", "inside the repository")
        link = self.temp / "link"
        link.symlink_to(self.repository / "inside")
        self.refused(link, "inside the repository")
        self.refused(self.repository, "repository", arguments=("-o", "nonempty"))
        self.refused(self.temp, "inside the mount point", arguments=("-o", "nonempty"))
        self.assertEqual((full / "file").read_text(), "x")
        self.yester("mount", status=USAGE)
        self.refused(full, "nonsense", status=USAGE, arguments=("-o", "nonsense=1"))

    def test_a_mount_over_content_when_asked_for(self):
        full = self.temp / "full"
        full.mkdir()
        (full / "file").write_text("x")
        self.yester("mount", full, "-o", "nonempty")
        self.assertIn("latest", os.listdir(full))
        self.unmount(full)
        self.assertEqual(os.listdir(full), ["file"])

    def test_mounting_twice(self):
        point = self.mount()
        ran = self.yester("mount", point, status=BUSY)
        self.assertIn("mounted already", ran.err)
        self.assertIn("latest", os.listdir(point))
        second = self.mount(at="second")
        self.unmount(point)
        self.assert_same_tree(self.source, self.in_mount(second))
        ran = self.yester("unmount", point, status=FAILED)
        self.assertIn(str(point), ran.err)

    def test_no_repository_to_mount(self):
        point = self.temp / "mnt"
        point.mkdir()
        ran = run([YESTERFS, self.temp / "nowhere", point], env=self.environment())
        self.assertEqual(ran.status, NO_REPOSITORY, ran)
        self.assertFalse(os.path.ismount(point))

    def test_odd_names_of_mount_point_and_repository(self):
        odd = self.temp / "with space, comma\tand \\ bäckslash"
        self.repository = self.repository.rename(odd)
        point = self.mount(at="mnt with, \\odd\nname")
        self.assert_same_tree(self.source, self.in_mount(point))
        self.unmount(point)

    def test_unmount_while_a_file_is_open(self):
        point = self.mount()
        driver = driver_of(point)
        path = self.in_mount(point, path=self.source / "dir0" / "file-000")
        with open(path, "rb") as file:
            self.assertEqual(file.read(3), (self.source / "dir0" / "file-000").read_bytes()[:3])
            self.unmount(point)
            self.assertEqual(os.listdir(point), [])
        wait_until(lambda: is_gone(driver), 10, "the driver goes on after the last file was closed")
        self.assertEqual(self.objects("leases"), [])

    def test_sigterm_with_open_files(self):
        point = self.mount()
        driver = driver_of(point)
        file = os.open(self.in_mount(point, path=self.source / "dir0" / "file-000"), os.O_RDONLY)
        try:
            os.kill(driver, signal.SIGTERM)
            wait_until(lambda: is_gone(driver), 10, "the driver hangs")
            self.assertFalse(os.path.ismount(point))
        finally:
            with contextlib.suppress(OSError):  # nobody is there to be told of the close
                os.close(file)
        self.assertEqual(os.listdir(point), [])
        self.assertEqual(self.objects("leases"), [])

    def test_unmount_under_load(self):
        point = self.mount()
        driver = driver_of(point)
        readers = [start(["sh", "-c", f"while cat {point}/latest{self.source}/dir*/file* >/dev/null 2>&1; do :; done"])
                   for _ in range(3)]
        self.processes += readers
        time.sleep(0.3)
        self.unmount(point)
        for reader in readers:
            reader.communicate(timeout=20)
        wait_until(lambda: is_gone(driver), 10, "the driver hangs")

    def test_foreground(self):
        point = self.temp / "mnt"
        point.mkdir()
        process = self.start_yester("mount", "-f", point)
        wait_until(lambda: os.path.ismount(point), 10, "no mount")
        self.assert_same_tree(self.source, self.in_mount(point))
        self.assertIsNone(process.poll())
        self.unmount(point)
        _, err = process.communicate(timeout=10)
        self.assertEqual(process.returncode, 0, err)
        process = self.start_yester("mount", "--foreground", point)
        wait_until(lambda: os.path.ismount(point), 10, "no mount")
        os.listdir(point)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        self.assertEqual(process.returncode, 0, err)
        self.assertFalse(os.path.ismount(point))

    def test_an_interruption_before_the_first_answer(self):
        """The driver asks its own mount something at first: its workers must not go home before that is answered."""
        point = self.temp / "mnt"
        point.mkdir()
        tracer = start(["strace", "-f", "-o", os.devnull, "-e", "trace=statfs", "-e",
                        "inject=statfs:delay_enter=1000000", YESTERFS, self.repository, point, "-f", "-o",
                        f"key_file={self.key}"], env=self.environment())
        self.processes.append(tracer)
        wait_until(lambda: os.path.ismount(point), 10, "no mount")
        os.listdir(point)
        # That it was answered says that the workers are there, and the delay that the driver has not asked yet.
        os.kill(driver_of(point), signal.SIGINT)
        try:
            _, err = tracer.communicate(timeout=10)
        finally:
            run(["umount", "-l", point])
        self.assertEqual(tracer.returncode, 0, err)

    def test_the_driver_leaves_no_descriptors_to_its_parent(self):
        """A script that reads the output of mount must not wait for the driver to end."""
        point = self.temp / "mnt"
        point.mkdir()
        ran = run(["sh", "-c", '"$0" mount "$1" 2>&1 | cat; echo done', YESTER, point], env=self.environment(),
                  timeout=15)
        self.assertEqual(ran.out, "done\n")
        self.assertTrue(os.path.ismount(point))

    def test_options_that_change_what_is_shown(self):
        point = self.mount("-o", "uid=1234,gid=4321,umask=077")
        status = self.in_mount(point, path=self.source / "dir0").lstat()
        self.assertEqual((status.st_uid, status.st_gid, status.st_mode & 0o077), (1234, 4321, 0))
        self.unmount(point)

    def test_statfs_and_mount_table(self):
        point = self.mount()
        self.assertEqual(run(["df", point]).status, 0)
        lines = [line.split(" ") for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
        [line] = [line for line in lines if line[1] == str(point)]
        self.assertEqual((line[0], line[2]), (str(self.repository), "fuse.yesterfs"))
        self.assertLessEqual({"ro", "nosuid", "nodev"}, set(line[3].split(",")))


class Fstab(EndToEndTest):
    """`mount -t fuse.yesterfs`: mount.fuse3 looks for the driver with a shell, on the path that mount(8) leaves it."""

    def setUp(self):
        super().setUp()
        make_tree(self.source)
        self.init()
        self.backup()
        place = pathlib.Path("/usr/local/bin/yesterfs")
        if place.is_symlink() or place.exists():
            hold = place.with_name(f".yesterfs-held-by-test-{os.getpid()}")
            place.rename(hold)
            self.addCleanup(hold.rename, place)
        place.symlink_to(YESTERFS)
        self.addCleanup(place.unlink)
        self.point = self.temp / "mnt"
        self.point.mkdir()

    def test_mount_by_type(self):
        ran = run(["mount", "-t", "fuse.yesterfs", self.repository, self.point, "-o",
                   f"key_file={self.key},ro,noauto,nofail,_netdev,x-systemd.automount"], env=self.environment())
        self.assertEqual(ran.status, 0, ran)
        self.assert_same_tree(self.source, self.in_mount(self.point))
        self.assertEqual(run(["umount", self.point]).status, 0)
        self.assertFalse(os.path.ismount(self.point))

    def test_mount_by_a_line_of_fstab(self):
        table = self.temp / "fstab"
        table.write_text(f"{self.repository} {self.point} fuse.yesterfs noauto,key_file={self.key},allow_other 0 0\n")
        ran = run(["mount", "--fstab", table, self.point], env=self.environment())
        self.assertEqual(ran.status, 0, ran)
        self.assertIn("latest", os.listdir(self.point))
        self.assertEqual(run(["umount", self.point]).status, 0)

    def test_a_wrong_key_makes_mount_fail(self):
        self.key.write_text("0" * 64)
        ran = run(["mount", "-t", "fuse.yesterfs", self.repository, self.point, "-o", f"key_file={self.key}"],
                  env=self.environment())
        self.assertNotEqual(ran.status, 0)
        self.assertFalse(os.path.ismount(self.point))


if __name__ == "__main__":
    unittest.main()
