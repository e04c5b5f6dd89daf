#!/usr/bin/env python3
"""Compare two trees byte for byte and field for field.

    compare_trees.py A B [--no-owner] [--no-special] [--no-nlink] [--no-dir-nlink]
                         [--holes] [--skip GLOB...]

Compares names, types, permission bits, owners, sizes, mtime, symlink targets,
device numbers, link counts, hard link groups, extended attributes (all but
user.yester.*) and content. Never ctime or atime; nor the size of directories,
which says more about the file system than about the tree.

--skip GLOB matches a whole path below the top or a bare name; * also matches
slashes. A skipped directory is skipped with all below it, but `--skip .` means
only the attributes of the top itself. Give it after A and B.

Where a side cannot tell its holes (SEEK_DATA unsupported), all of a file is read.

Exit status: 0 equal, 1 different, 2 usage.
"""

import argparse
import errno
import fnmatch
import itertools
import os
import resource
import stat
import sys

SHOWN = 50
BLOCK = 4096
CHUNK = 1 << 20
IGNORED_XATTRS = "user.yester."

KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket", stat.S_IFCHR: "character device", stat.S_IFBLK: "block device",
}
SPECIAL = (stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK)
DEVICES = (stat.S_IFCHR, stat.S_IFBLK)


def shown(raw, most=300):
    """Bytes as one printable line; the middle of long ones is left out."""
    text = repr(raw)[1:]
    if len(text) <= most:
        return text
    return f"{text[:most // 2]}...{text[-most // 2:]} ({len(raw)} bytes)"


def timestamp(nanoseconds):
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"


class Side:
    """One entry of one tree: its directory's descriptor and its name. Paths are never used, as they may be too long."""

    def __init__(self, fd, name):
        self.fd, self.name = fd, name
        self.status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        self.kind = stat.S_IFMT(self.status.st_mode)

    @property
    def inode(self):
        return self.status.st_dev, self.status.st_ino

    def target(self):
        return os.readlink(self.name, dir_fd=self.fd)

    def open(self):
        # Without blocking, should a fifo have taken the file's place meanwhile.
        kind = os.O_DIRECTORY if self.kind == stat.S_IFDIR else os.O_NONBLOCK
        return os.open(self.name, os.O_RDONLY | os.O_NOFOLLOW | kind, dir_fd=self.fd)

    def xattrs(self):
        """All attributes, through a short path, as neither system call takes a directory descriptor."""
        path = b"/proc/self/fd/%d/" % self.fd + self.name
        try:
            names = os.listxattr(path, follow_symlinks=False)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                return {}
            raise
        return {os.fsencode(name): os.getxattr(path, name, follow_symlinks=False)
                for name in names if not name.startswith(IGNORED_XATTRS)}


class Report:
    """Prints differences up to a limit and counts all."""

    def __init__(self):
        self.entries = self.differences = self.unreadable = self.skipped = 0

    def add(self, path, text):
        self.differences += 1
        if self.differences <= SHOWN:
            print(f"{shown(path or b'.')}: {text}")

    def summary(self):
        extras = [f"{count} {what}" for count, what in (
            (self.unreadable, "unreadable on both sides"), (self.skipped, "skipped")) if count]
        verdict = f"{self.differences} difference{'s' * (self.differences > 1)}" if self.differences else "equal"
        if self.differences > SHOWN:
            verdict += f" (first {SHOWN} shown)"
        return f"compared {self.entries} entries: {verdict}" + (f" ({', '.join(extras)})" if extras else "")


# Content

def next_data(fd, position, size):
    """The next range of data at or after position; (size, size) when only a hole is left."""
    try:
        start = os.lseek(fd, position, os.SEEK_DATA)
        end = os.lseek(fd, start, os.SEEK_HOLE)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size, size
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            return position, size
        raise
    return min(start, size), min(end, size)


def read_exactly(fd, length, offset):
    """pread until length or the end of the file: FUSE may return less at a time."""
    data = os.pread(fd, length, offset)
    while 0 < len(data) < length:
        more = os.pread(fd, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def first_difference_in(fd_a, fd_b, start, end):
    for offset in range(start, end, CHUNK):
        length = min(CHUNK, end - offset)
        a, b = read_exactly(fd_a, length, offset), read_exactly(fd_b, length, offset)
        if len(a) != length or len(b) != length:
            return offset + min(len(a), len(b))
        if a != b:
            return offset + common_prefix(a, b)
    return None


def first_difference(fd_a, fd_b, size):
    """The offset of the first differing byte, reading only where either side has data."""
    position = 0
    while position < size:
        start, end = min(next_data(fd_a, position, size), next_data(fd_b, position, size))
        found = first_difference_in(fd_a, fd_b, start, end)
        if found is not None:
            return found
        position = end
    return None


def common_prefix(a, b):
    """The number of leading bytes that a and b have in common."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def data_ranges(fd, size):
    """Ranges of data, rounded out to blocks and joined where they touch."""
    position, held = 0, None
    while position < size:
        start, end = next_data(fd, position, size)
        if start == size:
            break
        position = end
        start, end = start // BLOCK * BLOCK, -(-end // BLOCK) * BLOCK
        if held and start <= held[1]:
            held = held[0], end
            continue
        if held:
            yield held
        held = start, end
    if held:
        yield held


class Comparison:
    def __init__(self, options):
        self.options = options
        self.skips = [os.fsencode(glob) for glob in itertools.chain.from_iterable(options.skip)]
        self.report = Report()
        # For each inode with several links the inode on the other side, and the path where they met.
        self.a_to_b, self.b_to_a = {}, {}

    # Walking

    def run(self, top_a, top_b):
        """Compare below two open directories, with two open descriptors per level."""
        if not self.skips_path(b".", b"."):
            self.compare_entry(b"", Side(top_a, b"."), Side(top_b, b"."))
        stack = [(top_a, top_b, b"", self.common_names(top_a, top_b, b""))]
        while stack:
            fd_a, fd_b, path, names = stack[-1]
            name = next(names, None)
            if name is None:
                os.close(fd_a)
                os.close(fd_b)
                stack.pop()
                continue
            inner = join(path, name)
            opened = self.visit(inner, name, fd_a, fd_b)
            if opened:
                stack.append((*opened, inner, self.common_names(*opened, inner)))

    def common_names(self, fd_a, fd_b, path):
        """Report the names only one side has, and return an iterator over the others."""
        try:
            names_a, names_b = (set(map(os.fsencode, os.listdir(fd))) for fd in (fd_a, fd_b))
        except OSError as error:
            self.report.add(path, f"cannot list: {error.strerror}")
            return iter(())
        for names, fd, side in ((names_a - names_b, fd_a, "A"), (names_b - names_a, fd_b, "B")):
            for name in sorted(names):
                self.report_missing(join(path, name), name, fd, side)
        return iter(sorted(names_a & names_b))

    def report_missing(self, path, name, fd, side):
        if self.skips_path(path, name):
            self.report.skipped += 1
            return
        kind = stat.S_IFMT(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
        if self.options.special or kind not in SPECIAL:
            self.report.add(path, f"only in {side} ({KINDS[kind]})")

    def visit(self, path, name, fd_a, fd_b):
        """Compare one entry; returns two descriptors when it is a directory to descend into."""
        if self.skips_path(path, name):
            self.report.skipped += 1
            return None
        try:
            a, b = Side(fd_a, name), Side(fd_b, name)
            return self.compare_entry(path, a, b)
        except OSError as error:
            self.report.add(path, f"cannot compare: {error.strerror}")
            return None

    def skips_path(self, path, name):
        return any(fnmatch.fnmatchcase(path, glob) or fnmatch.fnmatchcase(name, glob)
                   for glob in self.skips)

    # One entry

    def compare_entry(self, path, a, b):
        if not self.options.special and a.kind in SPECIAL and b.kind in SPECIAL:
            self.report.skipped += 1
            return None
        self.report.entries += 1
        if a.kind != b.kind:
            self.report.add(path, f"type: A {KINDS[a.kind]}, B {KINDS[b.kind]}")
            return None
        for what, value_a, value_b in self.fields(a, b):
            if value_a != value_b:
                self.report.add(path, f"{what}: A {value_a}, B {value_b}")
        self.compare_xattrs(path, a.xattrs(), b.xattrs())
        if a.kind != stat.S_IFDIR:
            self.compare_link_group(path, a, b)
        if a.kind == stat.S_IFREG and a.status.st_size == b.status.st_size:
            self.compare_content(path, a, b)
        if a.kind == stat.S_IFDIR and path:
            return self.open_both(path, a, b)
        return None

    def fields(self, a, b):
        sa, sb = a.status, b.status
        yield "mode", f"{stat.S_IMODE(sa.st_mode):04o}", f"{stat.S_IMODE(sb.st_mode):04o}"
        yield "mtime", timestamp(sa.st_mtime_ns), timestamp(sb.st_mtime_ns)
        if self.options.owner:
            yield "uid", sa.st_uid, sb.st_uid
            yield "gid", sa.st_gid, sb.st_gid
        if a.kind in (stat.S_IFREG, stat.S_IFLNK):
            yield "size", sa.st_size, sb.st_size
        if a.kind == stat.S_IFLNK:
            yield "target", shown(a.target()), shown(b.target())
        if a.kind in DEVICES:
            yield "device", *(f"{os.major(s.st_rdev)}:{os.minor(s.st_rdev)}" for s in (sa, sb))
        if self.options.nlink and (self.options.dir_nlink or a.kind != stat.S_IFDIR):
            yield "nlink", sa.st_nlink, sb.st_nlink

    def compare_xattrs(self, path, a, b):
        for name in sorted(a.keys() | b.keys()):
            what = f"attribute {shown(name)}"
            if name not in a:
                self.report.add(path, f"{what} only in B")
            elif name not in b:
                self.report.add(path, f"{what} only in A")
            elif a[name] != b[name]:
                self.report.add(path, f"{what}: A {shown(a[name], 80)}, B {shown(b[name], 80)}, "
                                      f"from byte {common_prefix(a[name], b[name])}")

    def compare_link_group(self, path, a, b):
        """Both sides must join the same paths: the inodes have to map one to one."""
        if a.status.st_nlink < 2 and b.status.st_nlink < 2:
            return
        for mapping, key, value, here, there in (
            (self.a_to_b, a.inode, b.inode, "A", "B"), (self.b_to_a, b.inode, a.inode, "B", "A"),
        ):
            met, other = mapping.setdefault(key, (value, path))
            if met != value:
                self.report.add(path, f"hard link to {shown(other)} in {here}, not in {there}")

    def open_both(self, path, a, b):
        """Descriptors of both sides, or None; what neither side lets us read is only counted."""
        opened, refusals = [], {}
        for label, side in (("A", a), ("B", b)):
            try:
                opened.append(side.open())
            except OSError as error:
                refusals[label] = error
        if not refusals:
            return opened
        for fd in opened:
            os.close(fd)
        if len(refusals) == 2 and all(isinstance(error, PermissionError) for error in refusals.values()):
            self.report.unreadable += 1
            return None
        for label, error in refusals.items():
            self.report.add(path, f"cannot open in {label}: {error.strerror}")
        return None

    def compare_content(self, path, a, b):
        size = a.status.st_size
        opened = self.open_both(path, a, b) if size else None
        if not opened:
            return
        try:
            offset = first_difference(*opened, size)
            if offset is not None:
                self.report.add(path, f"content differs from byte {offset}")
            if self.options.holes:
                self.compare_holes(path, *opened, size)
        finally:
            for fd in opened:
                os.close(fd)

    def compare_holes(self, path, fd_a, fd_b, size):
        for a, b in itertools.zip_longest(data_ranges(fd_a, size), data_ranges(fd_b, size)):
            if a != b:
                return self.report.add(path, f"holes: data in A at {a}, in B at {b}")


def join(path, name):
    return path + b"/" + name if path else name


def parse_arguments():
    parser = argparse.ArgumentParser(description="Compare two trees byte for byte and field for field.")
    parser.add_argument("a", metavar="A")
    parser.add_argument("b", metavar="B")
    parser.add_argument("--ignore-ctime", choices=["always"], default="always", help="for clarity: ctime never counts")
    parser.add_argument("--no-owner", dest="owner", action="store_false", help="leave out uid and gid")
    parser.add_argument("--no-special", dest="special", action="store_false",
                        help="leave out sockets, fifos and devices, even where one side lacks them")
    parser.add_argument("--no-nlink", dest="nlink", action="store_false",
                        help="leave out link counts (hard link groups still count)")
    parser.add_argument("--no-dir-nlink", dest="dir_nlink", action="store_false",
                        help="leave out the link counts of directories")
    parser.add_argument("--holes", action="store_true", help="compare where the holes are, too")
    parser.add_argument("--skip", metavar="GLOB", nargs="+", action="append", default=[],
                        help="leave out paths or names; after A and B")
    return parser, parser.parse_args()


def raise_file_limit():
    """The walk holds two descriptors per level."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main():
    parser, options = parse_arguments()
    raise_file_limit()
    try:
        tops = [os.open(top, os.O_RDONLY | os.O_DIRECTORY) for top in (options.a, options.b)]
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    comparison = Comparison(options)
    comparison.run(*tops)
    print(comparison.report.summary())
    return 1 if comparison.report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
