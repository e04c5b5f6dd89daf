"""The trees that are backed up: which ones, how they change between two backups, and whether a copy is the same."""

import filecmp
import os
import pathlib
import random
import shutil
import stat

from .system import Failure, files_below, find_swift, totals

CHANGED_FILES_SHARE = 100   # one file of so many
CHANGED_BYTES_SHARE = 10    # one byte of so many in such a file
SEED = 20260101


def default_small():
    pythons = pathlib.Path.home() / ".pyenv" / "versions"
    versions = [path for path in pythons.glob("*") if path.is_dir() and not path.is_symlink()]
    return max(versions, key=lambda path: totals(path)["entries"], default="/usr/share")


def default_big():
    try:
        return pathlib.Path(os.path.realpath(find_swift())).parent.parent
    except Failure:
        return None


def tree_at(path):
    tree = os.path.realpath(path)
    if not os.path.isdir(tree):
        raise Failure(f"{path} is no directory")
    return tree


def chosen_trees(options):
    """The trees by the names that they have in the report."""
    trees = {}
    for title, chosen, default in (("small", options.small, default_small), ("big", options.big, default_big)):
        path = chosen or default()
        if path and str(path) != "none":
            trees[title] = tree_at(path)
    return trees


def change(tree, number):
    """Changes one file of a hundred: a tenth of its bytes, in one stretch, become random ones.

    Which ones they are follows from the names and sizes of the files and from the number of the change alone.
    """
    rng = random.Random(f"{SEED} {number}")
    files = [file for file in files_below(tree) if file[1]]
    for path, size in rng.sample(files, min(len(files), max(1, len(files) // CHANGED_FILES_SHARE))):
        length = max(1, size // CHANGED_BYTES_SHARE)
        with open(os.path.join(tree, path), "r+b") as file:
            file.seek(rng.randrange(size - length + 1))
            file.write(rng.randbytes(length))


def first_difference(left, right):
    """The first entry that differs in kind, permissions, size, time to the second, target or content; None if none."""
    pending = [""]
    while pending:
        folder = pending.pop()
        names, others = (sorted(os.listdir(os.path.join(top, folder))) for top in (left, right))
        if names != others:
            return f"{folder or '.'} has other names"
        for name in names:
            path = os.path.join(folder, name)
            one, other = os.path.join(left, path), os.path.join(right, path)
            status, what = os.lstat(one), differing_part(one, other)
            if what:
                return f"{path} has {what}"
            if stat.S_ISDIR(status.st_mode):
                pending.append(path)
    return None


def differing_part(one, other):
    status, found = os.lstat(one), os.lstat(other)
    if status.st_mode != found.st_mode:
        return "another kind or other permissions"
    if stat.S_ISLNK(status.st_mode):
        return None if os.readlink(one) == os.readlink(other) else "another target"
    if not stat.S_ISREG(status.st_mode):
        return None
    if status.st_size != found.st_size:
        return "another size"
    if int(status.st_mtime) != int(found.st_mtime):
        return "another time"
    return None if filecmp.cmp(one, other, shallow=False) else "other content"
