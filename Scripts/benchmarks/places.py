"""Where backups and copies lie while something is measured."""

import contextlib
import pathlib
import shutil
import tempfile

from .system import available_memory

SHARED_MEMORY = "/dev/shm"


@contextlib.contextmanager
def work_folder(options):
    """The folder for backups. It is removed afterwards if it is made here, and nothing is left in it."""
    work = pathlib.Path(options.work or tempfile.mkdtemp(prefix="yester-bench-", dir="/var/tmp")).resolve()
    is_new = not options.work or not work.exists()
    work.mkdir(parents=True, exist_ok=True)
    try:
        yield work
    finally:
        # A folder in which a mount is left must not be emptied.
        with contextlib.suppress(OSError):
            for point in (work / "mounts").glob("*"):
                point.rmdir()
        with contextlib.suppress(OSError):
            (work / "mounts").rmdir()
        if is_new:
            with contextlib.suppress(OSError):
                work.rmdir()


@contextlib.contextmanager
def folder_for_copies(work, size):
    """A new folder in memory where there is plenty of it, since a disk would be measured otherwise; in the work folder
    if not. `size` is what will lie in it at a time, in bytes."""
    copies = pathlib.Path(tempfile.mkdtemp(prefix="yester-bench-", dir=fitting_place(work, size)))
    try:
        yield copies
    finally:
        shutil.rmtree(copies, ignore_errors=True)


def fitting_place(work, size):
    with contextlib.suppress(OSError):
        # As much again is left for the page cache and the programs.
        if min(available_memory(), shutil.disk_usage(SHARED_MEMORY).free) > 2 * size:
            return SHARED_MEMORY
    return work
