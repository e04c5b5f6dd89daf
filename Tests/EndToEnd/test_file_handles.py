"""File handles, as an NFS server gives them out: valid after caches were dropped, and after a remount."""

import ctypes
import errno
import os
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import run, wait_until

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
# Directories above can be found from the handle (AT_HANDLE_CONNECTABLE, Linux 6.13), as NFS's subtree_check wants.
CONNECTABLE = 0x002


class Handle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]


def handle_of(path, flags=0):
    handle, mount = Handle(bytes=128), ctypes.c_int()
    if LIBC.name_to_handle_at(AT_FDCWD, os.fsencode(path), ctypes.byref(handle), ctypes.byref(mount), flags):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    return handle


def open_handle(point, handle, flags=os.O_RDONLY):
    top = os.open(point, os.O_RDONLY)
    try:
        opened = LIBC.open_by_handle_at(top, ctypes.byref(handle), flags)
        if opened < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return opened
    finally:
        os.close(top)


def drop_caches():
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("2")


class FileHandles(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.init()

    def paths(self, point):
        """Things of every kind in every part of the mount, some of them deep."""
        snapshots = [name for name in os.listdir(point) if name[0] == "2"] + [os.readlink(point / "latest")]
        found = [point / name for name in snapshots] + [point / ".yester", point / ".yester" / "health"]
        found += [path for path in (point / ".yester" / "checksums").iterdir()]
        for name in snapshots:
            top = self.in_mount(point, name)
            found += [path for path in top.rglob("*") if not path.is_symlink()][:60] + list(top.parents)[:3]
        versions = point / ".yester" / "versions"
        source = str(self.source)[1:]
        found += [versions, versions / source, versions / source / "dir0", versions / source / "dir0" / "file-000"]
        found += list((versions / source / "dir0" / "file-000").iterdir())
        return [path for path in dict.fromkeys(found) if point in path.parents]

    def seen(self, opened):
        status = os.fstat(opened)
        content = os.read(opened, 100) if status.st_mode & 0o170000 == 0o100000 else None
        return status.st_ino, status.st_mode, status.st_nlink, content

    def check(self, point, handles):
        for path, (handle, wanted) in handles.items():
            with self.subTest(path=path):
                fifo = wanted[1] & 0o170000 == 0o010000
                opened = open_handle(point, handle, os.O_PATH if fifo else os.O_RDONLY | os.O_NONBLOCK)
                try:
                    # What the mount says of itself may change between two looks.
                    if path.name == "health":
                        self.assertEqual(self.seen(opened)[:3], wanted[:3])
                    else:
                        self.assertEqual(self.seen(opened), wanted)
                finally:
                    os.close(opened)

    def take(self, point, flags=0):
        handles = {}
        for path in self.paths(point):
            kind = path.lstat().st_mode & 0o170000
            opened = os.open(path, os.O_PATH if kind == 0o010000 else os.O_RDONLY)
            try:
                handles[path] = (handle_of(path, flags), self.seen(opened))
            finally:
                os.close(opened)
        self.assertGreater(len(handles), 60)
        return handles

    def make_days(self):
        """Two plans of one day, one of them twice; a deep directory, hard links."""
        make_tree(self.source)
        deep = self.source.joinpath(*[f"level-{number}" for number in range(40)])
        deep.mkdir(parents=True)
        (deep / "bottom").write_bytes(b"bottom")
        for name in ("one", "two"):
            make_tree(self.temp / "more" / name, seed=name, files=6)
        self.backup()
        (self.source / "dir0" / "file-000").write_bytes(b"another version")
        self.backup()
        self.backup("--plan", "more", self.temp / "more" / "one", self.temp / "more" / "two")

    def test_they_are_valid_at_any_time(self):
        self.make_days()
        point = self.mount()
        handles = self.take(point)
        drop_caches()
        self.check(point, handles)
        self.unmount(point)
        self.mount()
        self.check(point, handles)

    def test_they_lead_to_the_directories_above(self):
        self.make_days()
        point = self.mount()
        try:
            handles = self.take(point, CONNECTABLE)
        except OSError as error:
            # Before Linux 6.13: directories are always connected, and that is what is tested then.
            self.assertEqual(error.errno, errno.EINVAL)
            handles = {path: handle for path, handle in self.take(point).items() if path.is_dir()}
        self.unmount(point)
        self.mount()
        self.check(point, handles)
        versions = point / ".yester" / "versions"
        below = [path for path in handles if versions in path.parents and path.name == "file-000"]
        for path, (handle, _) in handles.items():
            opened = open_handle(point, handle, os.O_PATH)
            try:
                # A version of a file is that file, at its place in its snapshot.
                wanted = point / path.name / path.parent.relative_to(versions) if path.parent in below else path
                self.assertEqual(os.readlink(f"/proc/self/fd/{opened}"), str(wanted))
            finally:
                os.close(opened)

    def test_what_was_removed_is_stale(self):
        make_tree(self.source)
        first = self.backup("-d", "first")
        self.backup("-d", "second")
        point = self.mount()
        gone = [handle_of(path) for path in (point / first["name"], self.in_mount(point, first["name"]) / "dir0",
                                             self.in_mount(point, first["name"]) / "dir0" / "file-000")]
        kept = self.in_mount(point, "latest") / "dir0" / "file-000"
        handle = handle_of(kept)
        self.yester("rotate", "--keep-last", "1")
        wait_until(lambda: first["name"] not in os.listdir(point), 3, "the removed snapshot is still listed")
        for _ in range(2):
            drop_caches()
            for one in gone:
                with self.assertRaises(OSError) as caught:
                    os.close(open_handle(point, one))
                self.assertEqual(caught.exception.errno, errno.ESTALE)
            os.close(open_handle(point, handle))
            self.unmount(point)
            self.mount()


if __name__ == "__main__":
    unittest.main()
