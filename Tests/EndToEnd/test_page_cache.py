"""A backup leaves the page cache as it was: what nobody else has read does not stay in it, and what was in it does."""

import ctypes
import mmap
import os
import pathlib
import random
import shutil
import tempfile
import unittest

from support.cases import EndToEndTest
from support.machine import MIB

libc = ctypes.CDLL(None, use_errno=True)


def cached(path):
    """How many bytes of a file are in the page cache (mincore(2))."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        view = mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        try:
            pages = (ctypes.c_ubyte * (-(-size // mmap.PAGESIZE)))()
            start = ctypes.addressof(ctypes.c_char.from_buffer(view))
            if libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(size), pages):
                raise OSError(ctypes.get_errno(), "mincore")
            return sum(page & 1 for page in pages) * mmap.PAGESIZE
        finally:
            del start
            view.close()


def drop(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class PageCache(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.init()
        # On a disk: files of a file system in memory are always in memory.
        self.disk = pathlib.Path(tempfile.mkdtemp(prefix="yester-e2e-", dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, self.disk)
        self.large = self.disk / "large"
        self.large.write_bytes(random.Random(9).randbytes(96 * MIB))

    def test_what_nobody_used_does_not_stay(self):
        drop(self.large)
        self.assertLess(cached(self.large), 10 * MIB, "the file could not be brought out of the page cache")
        self.backup(self.disk)
        self.assertLess(cached(self.large), 10 * MIB)

    def test_what_was_in_use_stays(self):
        self.large.read_bytes()
        before = cached(self.large)
        self.assertGreater(before, 80 * MIB)
        self.backup(self.disk)
        self.assertGreater(cached(self.large), before / 2)


if __name__ == "__main__":
    unittest.main()
