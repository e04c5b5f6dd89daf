"""Mounts as administrators set them up: options, lines of fstab, bind mounts, other users; and that none can write."""

import contextlib
import ctypes
import errno
import os
import pathlib
import stat
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import run, wait_until, YESTERFS

USER = 65534
LIBC = ctypes.CDLL(None, use_errno=True)

# What fstab(5), mount(8) and systemd.mount(5) know and a file system has no use for.
HARMLESS = "ro,noauto,nofail,_netdev,users,noatime,relatime,lazytime,x-systemd.automount," \
           "x-systemd.idle-timeout=10min,x-systemd.requires=network-online.target,x-systemd.device-timeout=5s," \
           "x-gvfs-show,comment=text,defaults"


class Options(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source)
        self.init()
        self.made = self.backup()
        # A way to the mount for other users.
        self.temp.chmod(0o711)

    def as_user(self, *command, status=0):
        ran = run(command, user=USER, group=USER, extra_groups=[], cwd="/", env={"PATH": os.environ["PATH"]})
        self.assertEqual(ran.status, status, f"{command}: {ran}")
        return ran

    @contextlib.contextmanager
    def by_type(self):
        """mount.fuse3 looks for the driver on the path that mount(8) leaves it."""
        place = pathlib.Path("/usr/local/bin/yesterfs")
        hold = place.with_name(f".yesterfs-held-by-test-{os.getpid()}")
        if place.is_symlink() or place.exists():
            place.rename(hold)
        place.symlink_to(YESTERFS)
        try:
            yield
        finally:
            place.unlink()
            if hold.is_symlink() or hold.exists():
                hold.rename(place)

    def test_options_that_others_understand(self):
        point = self.temp / "mnt"
        point.mkdir()
        table = self.temp / "fstab"
        with self.by_type():
            options = f"{HARMLESS},key_file={self.key}"
            table.write_text(f"{self.repository} {point} fuse.yesterfs {options} 0 0\n")
            for words in (["-t", "fuse.yesterfs", self.repository, point, "-o", options],
                          ["-t", "fuse", f"yesterfs#{self.repository}", point, "-o", options],
                          ["--fstab", table, point]):
                with self.subTest(words):
                    ran = run(["mount", *words], env=self.environment())
                    self.assertEqual((ran.status, ran.out), (0, ""), ran)
                    self.assert_same_tree(self.source, self.in_mount(point))
                    self.assertEqual(run(["umount", point]).status, 0)

    def test_another_user_sees_what_the_snapshot_lets_him(self):
        for path, mode in (("open", 0o644), ("closed", 0o600)):
            (self.source / path).write_text(path)
            (self.source / path).chmod(mode)
        self.source.chmod(0o755)
        self.backup()
        mounted = self.in_mount(point := self.mount())
        self.assertEqual(self.as_user("cat", mounted / "open").out, "open")
        self.assertIn("Permission denied", self.as_user("cat", mounted / "closed", status=1).err)
        self.unmount(point)
        # The whole of root's backup, for a user whom the administrator trusts.
        point = self.mount("-o", f"ro,allow_other,uid={USER},gid={USER},umask=077")
        self.assertEqual(self.as_user("cat", mounted / "closed").out, "closed")
        self.assertEqual(self.as_user("find", mounted, "!", "-uid", USER, "-o", "!", "-gid", USER, "-o", "-perm",
                                      "/077", "!", "-type", "l").out, "")
        self.unmount(point)
        point = self.mount("-o", "no_allow_other")
        self.assertIn("Permission denied", self.as_user("ls", point, status=2).err)

    def test_snapshots_bound_elsewhere(self):
        (self.source / "marker").write_bytes(b"second")
        second = self.backup()
        point, places = self.mount(), []
        for name in (self.made["name"], second["name"]):
            places.append(self.temp / f"bound-{name}")
            places[-1].mkdir()
            ran = run(["mount", "--bind", self.in_mount(point, name), places[-1]])
            self.assertEqual(ran.status, 0, ran)
        self.assertFalse((places[0] / "marker").exists())
        self.assert_same_tree(self.source, places[1])
        third = self.backup("--type", "full")
        self.yester("rotate", "--keep-last", "1", "--max-unused", "0", "--minimum-age", "0")
        # What is bound is in use: it stays when its name is gone.
        wait_until(lambda: self.made["name"] not in os.listdir(point), 3, "the removed snapshot is still listed")
        # It is all of its day now, and listed as that.
        self.assertIn(third["name"][:8], os.listdir(point))
        self.assert_same_tree(self.source, self.in_mount(point, third["name"]))
        self.assertFalse((places[0] / "marker").exists())
        self.assert_same_tree(self.source, places[1])
        with self.assertRaises(OSError) as caught:
            (places[1] / "new").mkdir()
        self.assertEqual(caught.exception.errno, errno.EROFS)
        # The mount can go before what is bound from it.
        self.yester("unmount", point, timeout=20)
        for place in places:
            self.assertEqual(run(["umount", place]).status, 0)

    def writes(self, top):
        """All the ways to change something, by name."""
        file, folder, link, fifo = (os.fspath(top / name) for name in ("dir0/file-000", "dir0", "link", "fifo"))
        new = os.fspath(top / "new")
        outside = self.temp / "outside"
        outside.write_bytes(b"x")

        def opens(path, flags):
            return lambda: os.close(os.open(path, flags))

        def rename(flags):
            def call():
                if LIBC.renameat2(-100, os.fsencode(file), -100, os.fsencode(folder), flags) != 0:
                    raise OSError(ctypes.get_errno(), "renameat2")
            return call

        return {
            "open for writing": opens(file, os.O_WRONLY), "open for both": opens(file, os.O_RDWR),
            "open and cut": opens(file, os.O_RDONLY | os.O_TRUNC), "append": opens(file, os.O_WRONLY | os.O_APPEND),
            "create": opens(new, os.O_WRONLY | os.O_CREAT), "create, exclusively": opens(new, os.O_CREAT | os.O_EXCL),
            "a file without a name": opens(folder, os.O_TMPFILE | os.O_RDWR), "truncate": lambda: os.truncate(file, 0),
            "mkdir": lambda: os.mkdir(new), "rmdir": lambda: os.rmdir(folder), "unlink": lambda: os.unlink(file),
            "unlink a link": lambda: os.unlink(link), "rename": lambda: os.rename(file, new),
            "rename over": lambda: os.rename(file, link), "exchange": rename(2), "rename, no replacing": rename(1),
            "link": lambda: os.link(file, new), "symlink": lambda: os.symlink("x", new),
            "mkfifo": lambda: os.mkfifo(new), "mknod": lambda: os.mknod(new, stat.S_IFCHR | 0o600, os.makedev(1, 3)),
            "chmod": lambda: os.chmod(file, 0o777), "chown": lambda: os.chown(file, 1, 1),
            "chown a link": lambda: os.lchown(link, 1, 1), "utimes": lambda: os.utime(file),
            "utimes of a link": lambda: os.utime(link, follow_symlinks=False),
            "utimes of a directory": lambda: os.utime(folder, ns=(0, 0)),
            "setxattr": lambda: os.setxattr(file, "user.x", b"x"),
            "an access list": lambda: os.setxattr(file, "system.posix_acl_access", b"\2\0\0\0"),
            "removexattr": lambda: os.removexattr(file, "user.x"), "chmod of a fifo": lambda: os.chmod(fifo, 0),
            "rename into": lambda: os.rename(outside, new),
        }

    def assert_refused(self, top, allowed):
        for name, call in self.writes(top).items():
            with self.subTest(name):
                with self.assertRaises(OSError) as caught:
                    call()
                self.assertIn(caught.exception.errno, allowed, caught.exception)

    def test_nothing_can_be_written_in_any_way(self):
        point = self.mount()
        top = self.in_mount(point)
        before = run(["find", f"{top}/", "-ls"]).out
        # From elsewhere it fails in any case, one way or the other.
        self.assert_refused(top, (errno.EROFS, errno.EXDEV))
        for place in (point, point / ".yester", point / ".yester" / "versions"):
            for call in (lambda: (place / "new").mkdir(), lambda: (place / "new").write_text("x"),
                         lambda: place.chmod(0o777), lambda: place.rename(point / "other")):
                with self.assertRaises(OSError) as caught:
                    call()
                self.assertIn(caught.exception.errno, (errno.EROFS, errno.EBUSY, errno.EXDEV))
        # Even when somebody makes the kernel let writes through.
        run(["mount", "-o", "remount,rw", point])
        self.assert_refused(top, (errno.EROFS, errno.EXDEV, errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EEXIST))
        self.assertEqual(run(["find", f"{top}/", "-ls"]).out, before)
        self.assert_same_tree(self.source, top)
        self.verify()


if __name__ == "__main__":
    unittest.main()
