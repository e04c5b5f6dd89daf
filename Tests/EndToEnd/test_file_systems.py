"""Repositories, and restores, on the file systems of the disks that people own."""

import os
import random
import shutil
import time
import unittest

from support.cases import EndToEndTest, make_tree
from support.disks import Disk, kinds_of_this_machine, Share
from support.machine import DAMAGED, DONE, FAILED, MIB, NO_REPOSITORY, run, wait_until, WRONG_KEY, YESTER

DISK_IS_GONE = "see whether it is connected"


class OnDisk(EndToEndTest):
    def attach(self, kind, *options):
        """A new disk, with the repository on it."""
        folder = self.temp / f"{kind}{'-'.join(options)}"
        self.disk = Share(folder, *options) if kind == "sshfs" else Disk(kind, folder)
        self.addCleanup(self.disk.remove)
        self.repository = self.disk.point / "repository"
        return self.disk


class WholeLife(OnDisk):
    """Everything that is ever done with a repository."""

    def life(self, kind, *options):
        self.attach(kind, *options)
        make_tree(self.source, big=2)
        self.init()
        self.assertNotEqual(self.yester("init", "--key-file", self.key, status=FAILED).err, "")
        self.backup()
        (self.source / "more").write_bytes(random.Random(kind).randbytes(2 * MIB))
        self.backup()
        self.verify("--level", "packs")
        point = self.mount()
        self.assert_same_tree(self.source, self.in_mount(point))
        self.assert_same_tree(self.source, self.restored())
        self.unmount(point)
        self.change_keys()
        # fusefat gives zero bytes to one of two programs that read a file at the same moment.
        if kind != "fat-fuse":
            self.several_at_once()
        self.yester("rotate", "--keep-last", "1", "--max-unused", "0", "--minimum-age", "0")
        self.yester("prune", "--max-unused", "0", "--minimum-age", "0")
        self.disk.eject()
        self.yester("list", status=NO_REPOSITORY)
        self.disk.plug_in()
        self.verify()
        self.assert_same_tree(self.source, self.restored(to="after"))
        self.assertEqual(os.listdir(self.repository / "tmp"), [])
        self.assertEqual(os.listdir(self.repository / "leases"), [])
        self.carried_about()

    def change_keys(self):
        """Key files, for which nobody has to wait as for passwords."""
        first, second = self.temp / "first", self.temp / "second"
        self.yester("key", "add", "--new-key-file", first)
        self.yester("key", "change-password", "--new-key-file", second, env={"YESTER_KEY_FILE": first})
        self.yester("list", env={"YESTER_KEY_FILE": first}, status=WRONG_KEY)
        self.yester("list", env={"YESTER_KEY_FILE": second})

    def several_at_once(self):
        """Two backups and a reader. The names of the snapshots differ."""
        (self.source / "more").write_bytes(os.urandom(MIB))
        running = [self.start_yester("backup", "--quiet", self.source) for _ in range(2)]
        self.verify("--level", "data")
        for process in running:
            _, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, DONE, err)
        names = [one["name"] for one in self.snapshots()]
        self.assertEqual(len(names), 4)
        self.assertEqual(len(set(names)), 4, names)

    def carried_about(self):
        """A copy elsewhere is a repository, and so is a copy of that on the disk."""
        names, original = [one["name"] for one in self.snapshots()], self.repository
        for place in (self.temp / "elsewhere", self.disk.point / "back"):
            self.assertEqual(run(["cp", "-r", self.repository, place]).status, 0)
            shutil.rmtree(self.cache)
            self.repository = place
            self.assertEqual([one["name"] for one in self.snapshots()], names)
            names.append(self.backup()["name"])
            self.verify()
        self.repository = original

    def test_ext4(self):
        self.life("ext4")

    def test_xfs(self):
        self.life("xfs")

    def test_btrfs(self):
        self.life("btrfs")

    def test_exfat_through_fuse(self):
        self.life("exfat-fuse")

    def test_fat_through_fuse(self):
        self.life("fat-fuse")

    def test_ntfs_through_fuse(self):
        self.life("ntfs-3g")

    def test_drivers_of_the_kernel(self):
        """Those that this kernel has; the others are tried through FUSE alone."""
        for kind in {"exfat", "vfat", "ntfs3"} & set(kinds_of_this_machine()):
            with self.subTest(kind):
                for path in (self.source, self.cache, self.temp / "restored", self.temp / "after",
                             self.temp / "elsewhere"):
                    shutil.rmtree(path, ignore_errors=True)
                self.key.unlink(missing_ok=True)
                self.life(kind)

    def test_sshfs(self):
        self.life("sshfs")

    def test_sshfs_without_links(self):
        self.life("sshfs", "disable_hardlink")


class WhatItCannotDo(OnDisk):
    """`init` tries the file system out."""

    def setUp(self):
        super().setUp()
        self.key.write_text("01" * 32)
        self.key.chmod(0o600)

    def inject(self, *faults, status=DONE):
        words = [word for fault in faults for word in ("-e", f"inject={fault}")]
        names = ",".join(fault.partition(":")[0] for fault in faults)
        ran = run(["strace", "-f", "-o", os.devnull, "-e", f"trace={names}", *words,
                   YESTER, "init", "--key-file", self.key], env=self.environment())
        self.assertEqual(ran.status, status, ran)
        return ran

    def test_no_writing_to_the_disk(self):
        for error in ("EINVAL", "EOPNOTSUPP"):
            ran = self.inject(f"fsync:error={error}")
            self.assertIn("cannot be told to bring a file to the disk", ran.err)
            self.assertIn("cannot be told to bring a directory to the disk", ran.err)
            self.assertEqual(len(ran.err.splitlines()), 2, "each is told once")
            shutil.rmtree(self.repository)

    def test_an_error_of_writing_is_none_of_ability(self):
        ran = self.inject("fsync:error=EIO", status=FAILED)
        self.assertIn("Input/output error", ran.err)
        self.assertIn(DISK_IS_GONE, ran.err)
        self.assertFalse(self.repository.exists(), "something was left behind")

    def test_no_renaming(self):
        ran = self.inject("renameat2,renameat,rename:error=EOPNOTSUPP", status=FAILED)
        self.assertIn("cannot rename a file over another", ran.err)
        self.assertFalse(self.repository.exists(), "something was left behind")

    def test_no_links(self):
        """No reason to say anything."""
        self.assertEqual(self.inject("linkat:error=EPERM").err, "")
        self.assertEqual(self.yester("list", "--json").json, [])

    def test_a_read_only_and_a_full_disk(self):
        point = self.temp / "small"
        point.mkdir()
        self.repository = point / "repository"
        for options, words in (("ro", "[Rr]ead-only"), ("nr_inodes=9", "space"), ("size=16k", "space")):
            self.assertEqual(run(["mount", "-t", "tmpfs", "-o", options, "yester-test", point]).status, 0)
            ran = self.yester("init", "--key-file", self.key, status=FAILED)
            self.assertRegex(ran.err, words)
            self.assertFalse(self.repository.exists(), "something was left behind")
            self.assertEqual(run(["umount", point]).status, 0)


class WithoutLinks(OnDisk):
    """A file system that has neither links nor a rename that spares what is there, and on which a rename goes wrong: for
    each rename of a backup, in turn."""

    def backup_with(self, fault):
        faults = ["linkat:error=EPERM", "renameat2:error=EINVAL", f"renameat:{fault}"]
        return run(["strace", "-f", "-o", os.devnull, "-e", "trace=linkat,renameat2,renameat",
                    *[word for each in faults for word in ("-e", f"inject={each}")],
                    YESTER, "backup", "--quiet", self.source], env=self.environment())

    def goes_wrong(self, fault, statuses):
        make_tree(self.source, files=5)
        self.init()
        self.backup()
        for place in range(1, 30):
            (self.source / "new").write_text(f"{place}")
            before = [one["id"] for one in self.snapshots()]
            ran = self.backup_with(f"{fault}:when={place}")
            after = [one["id"] for one in self.snapshots()]
            self.assertEqual(after[:len(before)], before)
            self.verify("--level", "packs")
            self.assertEqual(len(after) - len(before), 1 if ran.status == 0 else 0, f"rename {place}: {ran}")
            if ran.status == 0:
                break
            self.assertIn(ran.status, statuses, f"rename {place}: {ran}")
        # Each thread counts its own renames. That of the run itself names the lease, a claim and the record.
        self.assertGreater(place, 3)
        self.verify()
        self.yester("prune", "--max-unused", "0", "--minimum-age", "0")
        self.assertEqual(os.listdir(self.repository / "leases"), [])
        self.verify("--level", "packs")

    def test_an_error(self):
        self.goes_wrong("error=EIO", {FAILED})

    def test_a_crash(self):
        """Between the claim of a name and the rename, too."""
        self.goes_wrong("signal=SIGKILL", {-9, 137})


class Pulled(OnDisk):
    """A disk that is taken away in the middle, without having been unmounted."""

    def assert_told(self, process):
        _, err = process.communicate(timeout=30)
        err = err.decode()
        self.assertEqual(process.returncode, FAILED, err)
        self.assertIn(DISK_IS_GONE, err)
        self.assertIn(str(self.disk.point), err)

    def has_begun_to_store(self):
        for file in (self.repository / "tmp").iterdir():
            try:
                if file.stat().st_size > MIB:
                    return True
            except FileNotFoundError:
                pass
        return False

    def pulled(self, kind):
        self.attach(kind)
        make_tree(self.source, big=2)
        self.init()
        made = self.backup()
        before = self.restored()
        # During a backup.
        (self.source / "new").write_bytes(os.urandom(40 * MIB))
        process = self.start_yester("backup", "--quiet", "--limit-upload", "2000", self.source)
        wait_until(self.has_begun_to_store, 20, "the backup stores nothing")
        self.disk.pull()
        self.assert_told(process)
        ran = self.yester("list", status={FAILED, NO_REPOSITORY}, timeout=20)
        self.assertRegex(ran.err, DISK_IS_GONE + "|its disk is connected")
        # What was there is there.
        self.disk.plug_in_again()
        self.assertEqual([one["id"] for one in self.snapshots()], [made["id"]])
        self.verify()
        self.assert_same_tree(before, self.restored(made["name"], to="again"))
        self.backup()
        self.verify()
        self.assert_same_tree(self.source, self.restored(to="after"))
        # During a mount.
        point = self.mount("--cache-size", "1")
        self.assertEqual(len(os.listdir(self.in_mount(point))), len(os.listdir(self.source)))
        self.disk.pull()
        started = time.monotonic()
        ran = run(["cat", self.in_mount(point) / "new"], timeout=20)
        self.assertNotEqual(ran.status, 0)
        self.assertIn("Input/output error", ran.err)
        self.unmount(point)
        self.assertLess(time.monotonic() - started, 15)
        # During a restore from it: before anything of it is read.
        ran = self.yester("restore", f"latest:{self.source}", "--to", self.temp / "none",
                          status={FAILED, NO_REPOSITORY, DAMAGED}, timeout=30)
        self.assertRegex(ran.err, DISK_IS_GONE + "|its disk is connected")
        self.disk.plug_in_again()
        self.verify()

    def test_ext4(self):
        self.pulled("ext4")

    def test_xfs(self):
        self.pulled("xfs")

    def test_exfat(self):
        self.pulled("exfat-fuse")

    def test_fat(self):
        self.pulled("fat-fuse")

    def test_sshfs(self):
        self.pulled("sshfs")

    def back_up_much(self):
        for number in range(40):
            (self.source / str(number)).mkdir(parents=True)
            (self.source / str(number) / "file").write_bytes(random.Random(number).randbytes(MIB))
        self.init()
        self.backup()

    def test_the_repository_of_a_restore(self):
        self.attach("exfat-fuse")
        self.back_up_much()
        # Nothing of it shall be in memory.
        self.disk.eject()
        self.disk.plug_in()
        process = self.start_yester("restore", f"latest:{self.source}", "--to", self.temp / "to")
        wait_until(lambda: list(self.temp.glob("to/*/file")), 20, "the restore makes nothing")
        self.disk.pull()
        self.assert_told(process)
        self.disk.plug_in_again()
        self.yester("restore", f"latest:{self.source}", "--to", self.temp / "to")
        self.assert_same_tree(self.source, self.temp / "to")

    def test_the_destination_of_a_restore(self):
        self.attach("exfat-fuse")
        self.repository = self.temp / "repository"
        self.back_up_much()
        process = self.start_yester("restore", f"latest:{self.source}", "--to", self.disk.point / "to")
        wait_until(lambda: (self.disk.point / "to").exists(), 20, "the restore makes nothing")
        self.disk.pull()
        self.assert_told(process)
        self.disk.plug_in_again()
        shutil.rmtree(self.disk.point / "to", ignore_errors=True)
        self.yester("restore", f"latest:{self.source}", "--to", self.disk.point / "to")
        self.assertEqual(run(["diff", "-r", self.source, self.disk.point / "to"]).status, 0)


class RestoredToDisk(OnDisk):
    """What the disk cannot keep is counted, and nothing is overwritten."""

    def test_what_exfat_cannot_keep(self):
        self.attach("exfat-fuse")
        self.repository = self.temp / "repository"
        for number in range(50):
            file = self.source / f"file-{number}"
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"{number}")
            os.chown(file, 1000, 1000)
            os.chmod(file, 0o640)
            os.utime(file, ns=(0, 1_600_000_000_123_456_789))
        os.setxattr(self.source / "file-0", "user.colour", b"red")
        for number in range(3):
            (self.source / f"link-{number}").symlink_to("file-0")
        os.mkfifo(self.source / "pipe")
        os.mknod(self.source / "device", 0o020600, os.makedev(1, 3))
        os.link(self.source / "file-1", self.source / "hard")
        os.chmod(self.source, 0o700)
        self.init()
        self.backup()
        to = self.disk.point / "to"
        ran = self.yester("restore", f"latest:{self.source}", "--to", to, status=FAILED)
        lines = ran.err.splitlines()
        for words in ("3 symbolic links could not be made", "1 named pipe could not", "1 device node could not",
                      "51 entries: the owner", "entries: the permissions", "52 entries: the time of modification",
                      "1 entry: extended attributes", "1 entry: a further name (hard link)",
                      "5 paths could not be restored"):
            self.assertEqual(len([line for line in lines if words in line]), 1, f"{words}: {ran}")
        self.assertEqual(len(lines), 9, ran)
        self.assertEqual(sorted(os.listdir(to)), sorted([f"file-{n}" for n in range(50)] + ["hard"]))
        self.assertEqual((to / "hard").read_text(), "1")
        # Where everything could be made, what lacks something is no failure.
        ran = self.yester("restore", "--json", f"latest:{self.source}/file-2", "--to", self.disk.point / "one")
        self.assertEqual({one["kind"] for one in ran.json["not_kept"]}, {"owner", "permissions", "times"})
        self.assertEqual(ran.json["not_made"], [])
        self.assertEqual((ran.json["failed"], ran.json["created"]), (0, 1))

    def test_names_that_are_one_name_there(self):
        self.attach("exfat-fuse")
        self.repository = self.temp / "repository"
        for name in ("Report", "report", "Folder/a", "folder/b", "odd:name", "what?", "plain"):
            (self.source / name).parent.mkdir(parents=True, exist_ok=True)
            (self.source / name).write_text(name)
        (self.source / os.fsdecode(b"\xff\xfe")).write_text("no UTF-8")
        self.init()
        self.backup()
        to = self.disk.point / "to"
        for round in range(3):
            ran = self.yester("restore", f"latest:{self.source}", "--to", to, status=FAILED)
            self.assertEqual(ran.err.count("is the same as another one's"), 2, ran)
            for name in ("odd:name", "what?", r"\xff\xfe"):
                self.assertEqual(ran.err.count(f"/{name}: "), 1, ran)
            self.assertIn("5 paths could not be restored", ran.err)
            # Whichever of two came first stays, and the other's content never gets under its name.
            self.assertIn(sorted(os.listdir(to)), [sorted([file, folder, "plain"])
                                                   for file in ("Report", "report") for folder in ("Folder", "folder")])
            for name in os.listdir(to):
                if name.lower() == "report":
                    self.assertEqual((to / name).read_text(), name)
                elif name.lower() == "folder":
                    self.assertEqual(os.listdir(to / name), ["a" if name == "Folder" else "b"])
            if round == 1:
                (to / "plain").write_text("changed")
        self.assertEqual((to / "plain").read_text(), "plain")

    def test_things_of_other_types_are_replaced(self):
        """Two names cannot be exchanged in one step there."""
        self.attach("exfat-fuse")
        self.repository = self.temp / "repository"
        (self.source / "folder").mkdir(parents=True)
        (self.source / "folder" / "inside").write_text("inside")
        (self.source / "file").write_text("file")
        self.init()
        self.backup()
        to = self.disk.point / "to"
        (to / "file" / "below").mkdir(parents=True)
        (to / "folder").write_text("no folder")
        self.yester("restore", f"latest:{self.source}", "--to", to)
        self.assertEqual(run(["diff", "-r", self.source, to]).status, 0)
        self.assertEqual(len(os.listdir(to)), 2)


if __name__ == "__main__":
    unittest.main()
