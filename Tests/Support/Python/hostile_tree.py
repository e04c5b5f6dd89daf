#!/usr/bin/env python3
"""Generate a deterministic tree of everything a backup program stumbles over.

    hostile_tree.py DEST [--entries N] [--no-sparse] [--as-user]
                         [--no-long-paths] [--seed S]

DEST must not exist or be empty. The same arguments on the same file system
give the same tree (all but inode numbers, ctime and atime). What the file
system or the kernel refuses is said on stderr and left out.

`rm -rf DEST` removes the tree: GNU rm descends with openat, so the paths
beyond PATH_MAX under `long/` are no obstacle. Tools that use whole paths
(`cp -a`, `find -exec`, shell globs) fail there; pass --no-long-paths for them.

With --as-user, which is implied for anyone but root, nothing is made that needs root, and no directory that its
owner could not remove. Files the owner cannot read are in `modes/unreadable/`.
"""

import argparse
import contextlib
import errno
import hashlib
import os
import random
import resource
import socket
import stat
import struct
import sys

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
SECOND = 10**9
NAMELESS_UID, NAMELESS_GID = 54321, 54322

BOUNDARY_SIZES = [
    0, 1, 511, 512, 513, 4095, 4096, 4097, 65535, 65536, 65537,
    131071, 131072, 131073, 262143, 262144, 262145, 524287, 524288, 524289,
    MIB - 1, MIB, MIB + 1, 4 * MIB + 3,
]

ODD_NAMES = [
    b"line\nbreak", b"\n", b"trailing newline\n", b"carriage\rreturn", b"tab\there",
    b'double"quote', b"single'quote", b"back`tick`", b"back\\slash", b"\\", b"ends in \\",
    b"-", b"--", b"-rf", b"--help", b" ", b"  ", b" leading space", b"trailing space ",
    b"...", b"..hidden", b".hidden", b"dot at end.", b"~", b"~root", b"*", b"?", b"[a-z]", b"{a,b}",
    b"$HOME", b"$(touch pwned)", b";reboot", b"|cat", b"&", b"!history", b"#comment", b"%s%n%d",
    b"%2e%2e%2f", b"a:b", b"C:\\Windows", b"CON", b"<tag>", b"key=value", b"null", b"\\x00", b"\\n",
    b"bell\x07escape\x1b[31mred", b"\x01\x02\x03", b"del\x7f", b"c1\xc2\x9bcontrol",
    # Bytes that are no UTF-8. The first pair reads alike once decoded with replacement.
    b"invalid \xff", b"invalid \xfe", b"\xc0\xaf overlong", b"\xed\xa0\x80 surrogate",
    b"\xf4\x90\x80\x80 beyond unicode", b"cut \xe2\x82", b"latin1 \xe9t\xe9",
    # The same text composed and decomposed: two files, equal under Unicode equivalence.
    b"caf\xc3\xa9", b"cafe\xcc\x81",
    # Also equal under canonical equivalence: Angstrom sign and A with ring.
    b"\xe2\x84\xab", b"\xc3\x85",
    b"case", b"CASE", b"Case", "right-to-left \u202etxt.exe".encode(), "\ufeffbom".encode(),
    "zero\u200bwidth".encode(), "emoji \U0001f469\u200d\U0001f4bb".encode(), "\u3000".encode(),
    b"L" * 255, b"\xff" * 255, b"\n" * 255, "\u20ac".encode() * 85,
]

SNAPSHOT_NAMES = [
    b"latest", b"current", b"snapshots", b".snapshots", b".snapshot", b".zfs", b"@snapshot",
    b"2024-01-01", b"2024-01-01T00:00:00Z", b"2024-01-01T00:00:00.123456789Z",
    b"2024-01-01T00-00-00", b"2024-01-01_000000", b"20240101T000000Z", b"1704067200",
    b"snapshot-1", b"snap.0", b"daily.0", b"a1b2c3d4", b"0" * 64, b"deadbeef" * 8,
    b".yester", b".yester-mount", b"repository", b"config", b"index", b"packs", b"lock", b"keys",
    b"file~", b"file.tmp", b"file.partial", b".#file", b".nfs000000000000000100000001",
    b".fuse_hidden0000000100000001", b"lost+found",
]

IGNORE_FILES = {
    b".gitignore": b"*\n!keep\n/build/\n",
    b".ignore": b"*\n",
    b".nobackup": b"",
    b".stignore": b"*\n",
    b".dockerignore": b"**\n",
    b".rsync-filter": b"- *\n",
    b"CACHEDIR.TAG": b"Signature: 8a477f597d28d172789f06886806bc55\n",
    b"keep": b"kept\n",
    b"core": b"no core dump\n",
    b"x.tmp": b"t", b"x.bak": b"b", b"x.swp": b"s", b"x.o": b"o", b".DS_Store": b"d",
    b"!negated": b"n", b"**": b"stars", b"a[b]c": b"class", b"a\\*b": b"escaped",
}

TIMES = {
    # One second later than the first that ext4 stores, which loses its nanoseconds.
    b"1901": -(2**31 - 1) * SECOND + 1,
    b"1965": -157_766_400 * SECOND + 123_456_789,
    b"minus-one-second": -SECOND,
    b"minus-one-nanosecond": -1,
    b"epoch": 0,
    b"one-nanosecond": 1,
    b"last-nanosecond": 1_234_567_890 * SECOND + 999_999_999,
    b"2038-last": (2**31 - 1) * SECOND + 999_999_999,
    b"2038-after": 2**31 * SECOND + 1,
    b"2106-after": 2**32 * SECOND + 3,
    # Nanoseconds since 1970 no longer fit a signed 64-bit number from 2262 on.
    b"2262-after": (2**63 // SECOND + 1) * SECOND + 5,
    b"2400": 13_569_465_600 * SECOND + 7,
}


def note(text):
    print(f"hostile_tree: {text}", file=sys.stderr)


@contextlib.contextmanager
def attempt(what):
    """Go on without `what` when the system refuses it."""
    try:
        yield
    except OSError as error:
        note(f"left out {what}: {error.strerror}")


class Plan:
    """What all directories share: the options, and the times to set at the end."""

    def __init__(self, seed, root):
        self.seed = seed
        self.root = root
        self.times = {}

    def random_bytes(self, label, size):
        return random.Random(f"{self.seed}/{label}").randbytes(size)

    def time_of(self, path):
        if path in self.times:
            return self.times[path]
        digest = hashlib.blake2b(path, key=str(self.seed).encode()[:64], digest_size=8).digest()
        seconds, nanoseconds = struct.unpack("<II", digest)
        return (10**9 + seconds % (7 * 10**8)) * SECOND + (nanoseconds % SECOND | 1)


class Dir:
    """An open directory. Everything is made relative to its descriptor, so a path may be of any length."""

    def __init__(self, plan, fd, path):
        self.plan, self.fd, self.path = plan, fd, path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def sub(self, name):
        os.mkdir(name, 0o755, dir_fd=self.fd)
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=self.fd)
        return Dir(self.plan, fd, self.path_of(name))

    def path_of(self, name):
        return self.path + b"/" + name if self.path else name

    def proc_path(self, name):
        """A short path to an entry, for calls that take no directory descriptor."""
        return b"/proc/self/fd/%d/" % self.fd + name

    def create(self, name):
        return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=self.fd)

    def file(self, name, data=b"", mode=None):
        fd = self.create(name)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view):]
        finally:
            os.close(fd)
        if mode is not None:
            self.chmod(name, mode)

    def empty_dir(self, name, mode=0o755):
        os.mkdir(name, 0o755, dir_fd=self.fd)
        self.chmod(name, mode)

    def chmod(self, name, mode):
        os.chmod(name, mode, dir_fd=self.fd)

    def chown(self, name, uid, gid):
        os.chown(name, uid, gid, dir_fd=self.fd, follow_symlinks=False)

    def symlink(self, name, target):
        os.symlink(target, name, dir_fd=self.fd)

    def link(self, name, other, new):
        """Give this directory's entry `name` also the name `new` in the directory `other`."""
        os.link(name, new, src_dir_fd=self.fd, dst_dir_fd=other.fd, follow_symlinks=False)

    def fifo(self, name):
        # os.mkfifo honours the umask, which main() fixes.
        os.mkfifo(name, 0o640, dir_fd=self.fd)

    def socket(self, name):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
            bound.bind(self.proc_path(name))

    def xattr(self, name, key, value):
        os.setxattr(self.proc_path(name), key, value, follow_symlinks=False)

    def when(self, name, nanoseconds):
        self.plan.times[self.path_of(name)] = nanoseconds


# Sections of the tree

def make_names(top):
    with top.sub(b"names") as here:
        with here.sub(b"odd") as odd, here.sub(b"odd-dirs") as dirs:
            for name in ODD_NAMES:
                with attempt(f"the name {name!r}"):
                    odd.file(name, b"named " + name)
                    with dirs.sub(name) as inner:
                        inner.file(name, b"")
        with here.sub(b"single-bytes") as single:
            for byte in set(range(1, 256)) - set(b"./"):
                with attempt(f"the name {byte:#04x}"):
                    single.file(bytes([byte]), bytes([byte]))
        with here.sub(b"snapshot-like") as snapshots:
            for index, name in enumerate(SNAPSHOT_NAMES):
                if index % 2:
                    snapshots.file(name, name)
                else:
                    snapshots.empty_dir(name)
        make_ignored(here)


def make_ignored(parent):
    with parent.sub(b"ignored") as here:
        for name, data in IGNORE_FILES.items():
            here.file(name, data)
        for name in (b".git", b"node_modules", b".cache", b"build", b"tmp", b".Trash-1000"):
            with here.sub(name) as inner:
                inner.file(b"inside", name)


def make_empty(top):
    with top.sub(b"empty") as here:
        here.file(b"file")
        here.empty_dir(b"dir")
        with here.sub(b"nested") as nested:
            nested.empty_dir(b"dir")


def make_many(top, count):
    with top.sub(b"many") as here:
        for index in range(count):
            # Two of three are empty or alike, so that both cases come up in bulk.
            data = (b"", b"tiny", b"%d\n" % index)[index % 3]
            here.file(b"entry-%07d" % index, data)


def make_sizes(top):
    with top.sub(b"sizes") as here:
        for size in BOUNDARY_SIZES:
            here.file(b"%07d-random" % size, top.plan.random_bytes(f"size {size}", size))
            here.file(b"%07d-letter" % size, b"A" * size)
    with top.sub(b"big") as here:
        noise = top.plan.random_bytes("big", 9 * MIB)
        text = (b"the same line over and over again\n" * (9 * MIB // 34 + 1))[:9 * MIB]
        here.file(b"random", noise)
        here.file(b"random-copy", noise)
        here.file(b"random-shifted", b"!" + noise)
        here.file(b"random-changed-in-the-middle", noise[:5 * MIB] + b"!" + noise[5 * MIB + 1:])
        here.file(b"compressible", text)
        here.file(b"compressible-copy", text)
        here.file(b"random-then-compressible", noise + text)


def sparse_file(here, name, size, islands):
    fd = here.create(name)
    try:
        os.ftruncate(fd, size)
        for offset, data in islands:
            os.pwrite(fd, data, offset)
    finally:
        os.close(fd)


def make_huge(here):
    size = TIB
    while size > GIB:
        islands = [
            (12_345, b"odd offset"),
            (size // 1024 + 7, here.plan.random_bytes("island", 10_001)),
            (size // 200 + 4095, b"across a page"),
            (size // 2 - 1, b"x"),
            (size * 3 // 4, b"\0" * 8192),
            (size - 3, b"end"),
        ]
        try:
            return sparse_file(here, b"huge", size, islands)
        except OSError as error:
            if error.errno not in (errno.EFBIG, errno.EINVAL):
                raise
            os.unlink(b"huge", dir_fd=here.fd)
            size //= 2
            note(f"sparse/huge is too big for this file system, trying {size} bytes")


def make_sparse(top):
    page = top.plan.random_bytes("page", 4 * KIB)
    with top.sub(b"sparse") as here:
        with attempt("sparse/huge"):
            make_huge(here)
        sparse_file(here, b"leading-hole", 68 * KIB, [(64 * KIB, page)])
        sparse_file(here, b"trailing-hole", 68 * KIB, [(0, page)])
        sparse_file(here, b"trailing-hole-odd-size", 65_537, [(0, page)])
        sparse_file(here, b"one-page-hole", 12 * KIB, [(0, page), (8 * KIB, page)])
        sparse_file(here, b"data-hole", 512 * KIB, [(i * 8 * KIB, page) for i in range(64)])
        sparse_file(here, b"hole-data", 512 * KIB, [(i * 8 * KIB + 4 * KIB, page) for i in range(64)])
        sparse_file(here, b"many-extents", 8 * MIB, [(i * 8 * KIB, b"x") for i in range(1024)])
        sparse_file(here, b"only-hole", MIB, [])
        sparse_file(here, b"only-hole-1-byte", 1, [])
        sparse_file(here, b"only-hole-odd-size", 5 * MIB + 1, [])
        here.file(b"dense-zeros", b"\0" * (256 * KIB))
        sparse_file(here, b"zeros-in-a-hole", MIB, [(512 * KIB, b"\0" * 4 * KIB)])
        make_preallocated(here)


def make_preallocated(here):
    fd = here.create(b"preallocated")
    try:
        os.write(fd, b"start")
        with attempt("preallocated space"):
            os.posix_fallocate(fd, 0, 256 * KIB)
    finally:
        os.close(fd)


def make_links(top):
    with top.sub(b"hardlinks") as here, here.sub(b"a") as a, here.sub(b"b") as b, here.sub(b"c") as c:
        a.file(b"two", b"two links")
        a.link(b"two", b, b"two-again")
        b.file(b"three", top.plan.random_bytes("three", 300_000))
        b.link(b"three", a, b"three")
        b.link(b"three", c, b"odd\nname \xff")
        c.file(b"same-dir-1", b"")
        c.link(b"same-dir-1", c, b"same-dir-2")
        # Equal to a/two in all but the inode: must not be joined with it.
        c.file(b"two-lookalike", b"two links")
        a.symlink(b"symlink", b"two")
        with attempt("a hard-linked symlink"):
            a.link(b"symlink", b, b"symlink")
        a.fifo(b"fifo")
        with attempt("a hard-linked fifo"):
            a.link(b"fifo", c, b"fifo")


def make_symlinks(top):
    with top.sub(b"symlinks") as here:
        here.file(b"file", b"target")
        here.empty_dir(b"dir")
        for name, target in [
            (b"relative", b"file"), (b"to-dir", b"dir"), (b"trailing-slash", b"dir/"),
            (b"dangling", b"no such file"), (b"absolute", b"/etc/hostname"),
            (b"absolute-dangling", b"/nonexistent/x"), (b"root", b"/"), (b"parent", b".."),
            (b"dot", b"."), (b"self", b"self"), (b"cycle-1", b"cycle-2"), (b"cycle-2", b"cycle-1"),
            (b"escape", b"../" * 40 + b"etc/passwd"), (b"device", b"/dev/zero"),
            (b"odd", b"a\nb\xff\x01 \"'\\ "), (b"space", b" "), (b"dashes", b"--help"),
            (b"not-normal", b".//./dir/../file"),
        ]:
            here.symlink(name, target)
        make_long_symlink(here)


def make_long_symlink(here):
    """The longest target the file system takes; some stop below the 4,095 bytes of Linux."""
    for length in (4095, 3900, 2047, 1023):
        try:
            return here.symlink(b"longest", ((b"t" * 250 + b"/") * 20)[:length])
        except OSError as error:
            note(f"no symlink target of {length} bytes: {error.strerror}")


def make_special(top):
    with top.sub(b"special") as here:
        here.fifo(b"fifo")
        with attempt("a socket"):
            here.socket(b"socket")
        if not top.plan.root:
            return
        for name, kind, major, minor in [
            (b"char-null", stat.S_IFCHR, 1, 3), (b"char-zero-zero", stat.S_IFCHR, 0, 0),
            (b"char-big", stat.S_IFCHR, 4095, 1_048_575),
            (b"block-loop", stat.S_IFBLK, 7, 200), (b"block-big", stat.S_IFBLK, 259, 70_000),
        ]:
            with attempt(f"the device {name.decode()}"):
                os.mknod(name, kind | 0o640, os.makedev(major, minor), dir_fd=here.fd)


def make_modes(top):
    with top.sub(b"modes") as here:
        for mode in (0o444, 0o400, 0o600, 0o644, 0o666, 0o700, 0o755, 0o777, 0o404,
                     0o1644, 0o2644, 0o2755, 0o4644, 0o4755, 0o6755, 0o7777):
            here.file(b"file-%04o" % mode, b"mode", mode)
        for mode in (0o700, 0o755, 0o777, 0o1777, 0o2755, 0o4755, 0o7777, 0o555):
            here.empty_dir(b"dir-%04o" % mode, mode)
        with here.sub(b"unreadable") as unreadable:
            for mode in (0o000, 0o111, 0o222, 0o333, 0o044):
                unreadable.file(b"file-%04o" % mode, b"secret", mode)
                unreadable.empty_dir(b"dir-%04o" % mode, mode)
        if top.plan.root:
            # Its owner could neither list nor remove these without root.
            for mode in (0o000, 0o555, 0o111):
                with here.sub(b"full-dir-%04o" % mode) as full:
                    full.file(b"inside", b"in")
                here.chmod(b"full-dir-%04o" % mode, mode)


def make_owners(top):
    if not top.plan.root:
        return
    with top.sub(b"owners") as here:
        for uid, gid in [(1, 1), (0, 1), (65534, 65534), (NAMELESS_UID, NAMELESS_GID),
                         (2**31, 2**31), (2**32 - 2, 2**32 - 2)]:
            tag = b"-%d-%d" % (uid, gid)
            with attempt(f"the owner {uid}:{gid}"):
                here.file(b"file" + tag, b"owned")
                here.empty_dir(b"dir" + tag)
                here.symlink(b"symlink" + tag, b"nowhere")
                here.fifo(b"fifo" + tag)
                for kind in (b"file", b"dir", b"symlink", b"fifo"):
                    here.chown(kind + tag, uid, gid)
        here.file(b"setuid", b"owned")
        with attempt("a set-uid file of another owner"):
            here.chown(b"setuid", NAMELESS_UID, NAMELESS_GID)
            # Last, for chown clears the bits.
            here.chmod(b"setuid", 0o6755)


def capability(permitted, effective=True):
    """The value of security.capability, version 2."""
    magic = 0x02000000 | int(effective)
    return struct.pack("<5I", magic, permitted & 0xFFFFFFFF, 0, permitted >> 32, 0)


def make_xattrs(top):
    with top.sub(b"xattrs") as here:
        for name in (b"empty", b"binary", b"long-name", b"several", b"many", b"huge", b"utf8"):
            here.file(name, b"with attributes")
        here.empty_dir(b"dir")
        with attempt("user attributes"):
            here.xattr(b"empty", b"user.empty", b"")
            here.xattr(b"binary", b"user.binary", bytes(range(256)) + b"\0")
            here.xattr(b"long-name", b"user." + b"n" * 250, b"v")
            here.xattr(b"utf8", "user.\u00e9 \u20ac".encode() + b"\n\xff", "\u20ac".encode())
            for index in range(9):
                here.xattr(b"several", b"user.key%d" % index, b"value" * index)
            here.xattr(b"dir", b"user.on.dir", b"directory\0")
            here.xattr(b"dir", b"user.empty", b"")
            fill_with_xattrs(here, b"many", 300)
            huge_xattr(here, b"huge", 60 * KIB)
        if top.plan.root:
            make_root_xattrs(here)


def fill_with_xattrs(here, name, count):
    for index in range(count):
        try:
            here.xattr(name, b"user.many.%03d" % index, b"%d" % index)
        except OSError as error:
            return note(f"only {index} attributes on xattrs/many: {error.strerror}")


def huge_xattr(here, name, wanted):
    """An attribute of the wanted size, else of the largest size that fits."""
    value = here.plan.random_bytes("xattr", wanted)

    def fits(size):
        try:
            here.xattr(name, b"user.huge", value[:size])
            return True
        except OSError:
            return False

    low, high = 0, wanted + 1
    if fits(wanted):
        return
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    fits(low)
    note(f"the huge attribute has only {low} bytes")


def make_root_xattrs(here):
    here.file(b"capability", b"#!/bin/true\n", 0o755)
    with attempt("security.capability"):
        here.xattr(b"capability", b"security.capability", capability(1 << 13 | 1 << 10 | 1 << 38))
    here.file(b"trusted", b"")
    here.symlink(b"symlink", b"nowhere")
    here.fifo(b"fifo")
    with attempt("trusted attributes"):
        for name in (b"trusted", b"symlink", b"fifo", b"dir"):
            here.xattr(name, b"trusted.hostile", b"on " + name + b"\0")


ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER = 1, 2, 4, 8, 16, 32


def acl(*entries):
    """The raw value of system.posix_acl_*: (tag, permissions[, id]), in ascending order."""
    raw = struct.pack("<I", 2)
    for tag, permissions, *who in entries:
        raw += struct.pack("<HHI", tag, permissions, who[0] if who else 0xFFFFFFFF)
    return raw


def make_acls(top):
    access = acl((ACL_USER_OBJ, 6), (ACL_USER, 4, 1), (ACL_USER, 7, NAMELESS_UID), (ACL_GROUP_OBJ, 7),
                 (ACL_GROUP, 5, NAMELESS_GID), (ACL_MASK, 5), (ACL_OTHER, 0))
    default = acl((ACL_USER_OBJ, 7), (ACL_USER, 5, NAMELESS_UID), (ACL_GROUP_OBJ, 5),
                  (ACL_MASK, 7), (ACL_OTHER, 1))
    # Without named entries the default list is stored all the same.
    minimal = acl((ACL_USER_OBJ, 7), (ACL_GROUP_OBJ, 0), (ACL_OTHER, 0))
    with top.sub(b"acls") as here:
        here.file(b"file", b"listed", 0o640)
        here.empty_dir(b"minimal-default")
        with here.sub(b"dir") as inner, attempt("access control lists"):
            here.xattr(b"file", b"system.posix_acl_access", access)
            inner.file(b"made-before", b"")
            here.xattr(b"dir", b"system.posix_acl_access", acl(
                (ACL_USER_OBJ, 7), (ACL_USER, 7, 1), (ACL_GROUP_OBJ, 5), (ACL_MASK, 7), (ACL_OTHER, 5)))
            here.xattr(b"dir", b"system.posix_acl_default", default)
            here.xattr(b"minimal-default", b"system.posix_acl_default", minimal)
            inner.file(b"made-after", b"")
            inner.empty_dir(b"dir-after")


def make_times(top):
    with top.sub(b"times") as here:
        for tag, nanoseconds in TIMES.items():
            here.file(b"file-" + tag, tag)
            with here.sub(b"dir-" + tag) as inner:
                inner.file(b"inside")
            here.symlink(b"symlink-" + tag, b"nowhere")
            here.fifo(b"fifo-" + tag)
            for kind in (b"file-", b"dir-", b"symlink-", b"fifo-"):
                here.when(kind + tag, nanoseconds)


def make_deep(top, name, levels, step):
    """Nested directories; every one at a depth divisible by ten holds a file, the last a bit of everything."""
    here = top.sub(name)
    for level in range(levels):
        if level % 10 == 0:
            here.file(b"file", b"level %d" % level)
        with here:
            here = here.sub(step)
    with here:
        here.file(b"bottom", b"at the bottom")
        here.symlink(b"symlink", b"bottom")
        here.empty_dir(b"empty")
        here.fifo(b"fifo")
        with attempt("an attribute at the bottom"):
            here.xattr(b"bottom", b"user.depth", b"%d" % levels)
        here.link(b"bottom", top, name + b"-bottom-linked")


# Times, last of all: making an entry changes its directory's time

def walk(fd, path=b""):
    """Yield (directory descriptor, name, path) of everything below, with one open descriptor per level."""
    stack = [(os.dup(fd), path, iter(list_names(fd)))]
    while stack:
        here, path, names = stack[-1]
        name = next(names, None)
        if name is None:
            os.close(here)
            stack.pop()
            continue
        inner = path + b"/" + name if path else name
        yield here, name, inner
        if stat.S_ISDIR(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
            # A directory its owner may not list is made empty, so nothing is missed.
            with contextlib.suppress(PermissionError):
                child = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
                stack.append((child, inner, iter(list_names(child))))


def list_names(fd):
    return sorted(map(os.fsencode, os.listdir(fd)))


def set_times(top):
    plan = top.plan
    for fd, name, path in walk(top.fd):
        wanted = plan.time_of(path)
        os.utime(name, ns=(wanted, wanted), dir_fd=fd, follow_symlinks=False)
        if path in plan.times:
            got = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mtime_ns
            if got != wanted:
                note(f"{path!r} has the time {got} instead of {wanted}")
    wanted = plan.time_of(b"")
    os.utime(top.fd, ns=(wanted, wanted))


def generate(destination, options):
    plan = Plan(options.seed, root=os.geteuid() == 0 and not options.as_user)
    with Dir(plan, os.open(destination, os.O_RDONLY | os.O_DIRECTORY), b"") as top:
        os.fchmod(top.fd, 0o755)
        for section in (make_names, make_empty, make_sizes, make_links, make_symlinks, make_special,
                        make_modes, make_owners, make_xattrs, make_acls, make_times):
            section(top)
        make_many(top, options.entries)
        make_deep(top, b"deep", 200, b"d")
        if options.sparse:
            make_sparse(top)
        if options.long_paths:
            # 40 levels of 200 bytes: 8,000 bytes, twice PATH_MAX.
            make_deep(top, b"long", 40, b"p" * 200)
        set_times(top)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Generate a tree that is hard to back up.")
    parser.add_argument("destination", metavar="DEST")
    parser.add_argument("--entries", type=int, default=100_000, metavar="N", help="entries of many/ (100000)")
    parser.add_argument("--sparse", action=argparse.BooleanOptionalAction, default=True,
                        help="make sparse/, with a file of 1 TiB")
    parser.add_argument("--as-user", action="store_true", help="make nothing that needs root")
    parser.add_argument("--long-paths", action=argparse.BooleanOptionalAction, default=True,
                        help="make long/, with paths beyond 4,096 bytes")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    options = parser.parse_args()
    os.makedirs(options.destination, exist_ok=True)
    if os.listdir(options.destination):
        parser.error(f"{options.destination} is not empty")
    return options


def raise_file_limit():
    """The walk holds one descriptor per level."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main():
    options = parse_arguments()
    raise_file_limit()
    os.umask(0o022)
    generate(options.destination, options)


if __name__ == "__main__":
    main()
