"""What ordinary tools say of a mount and of the tree that was backed up: it has to be the same, to the last field."""

import collections
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import unittest

from support.cases import EndToEndTest
from support.machine import HOSTILE, run
from support.random_readers import data_borders

ENTRIES = 600
SAME_SPECIAL = re.compile(r"is a (fifo|socket|character special file|block special file) while file .* is a \1$")
# Everything that find can tell but for inode, device, times of access and disk space, which are compared otherwise.
# The size of a directory is its file system's own affair.
FIELDS = r"%y %m %U %G %n %T+ %C+ [%l] %P\0"


class Fidelity(EndToEndTest):
    def setUp(self):
        super().setUp()
        # Paths beyond PATH_MAX and a file of 1 TiB are more than these tools can do.
        ran = run([sys.executable, HOSTILE, self.source, "--entries", ENTRIES, "--no-long-paths"])
        self.assertEqual(ran.status, 0, ran)
        (self.source / "sparse" / "huge").unlink()
        self.init()
        self.made = self.backup()

    def both(self, *command, status=(0,), separator=b"\n", least=ENTRIES):
        """The sorted output of a tool that is run in the source and in the mount."""
        found = []
        for top in (self.source, self.mounted):
            # As bytes: names need not be text.
            ran = subprocess.run(command, cwd=top, capture_output=True, timeout=90)
            self.assertIn(ran.returncode, status, ran.stderr[-2000:])
            self.assertEqual(ran.stderr, b"")
            found.append(sorted(ran.stdout.split(separator)))
        self.assertGreater(len(found[0]), least, "the tool said next to nothing")
        return found

    def assert_both_say(self, *command, **options):
        source, mounted = (set(lines) for lines in self.both(*command, **options))
        self.assertEqual((sorted(source - mounted)[:5], sorted(mounted - source)[:5]), ([], []))

    def inodes(self, top):
        """Path -> inode number, links, kind."""
        command = ["find", ".", "-printf", r"%i %n %y %p\0"]
        out = subprocess.run(command, cwd=top, capture_output=True, check=True).stdout
        found = {}
        for line in out.split(b"\0")[:-1]:
            number, links, kind, path = line.split(b" ", 3)
            found[path] = (int(number), int(links), kind)
        return found

    def link_groups(self, inodes):
        groups = collections.defaultdict(set)
        for path, (number, _, kind) in inodes.items():
            groups[number].add(path)
        return {frozenset(group) for group in groups.values()}

    def test_tools_find_no_difference(self):
        point = self.mount()
        self.mounted = self.in_mount(point)

        with self.subTest("rsync"):
            for a, b in ((self.source, self.mounted), (self.mounted, self.source)):
                ran = run(["rsync", "-aHAXn", "--checksum", "--delete", "--itemize-changes", f"{a}/", f"{b}/"])
                self.assertEqual((ran.status, ran.out, ran.err), (0, "", ""))

        with self.subTest("diff"):
            ran = run(["diff", "-r", "--no-dereference", self.source, self.mounted])
            lines = [line for line in ran.out.splitlines() if not SAME_SPECIAL.search(line)]
            self.assertEqual((lines, ran.err), ([], ""))

        with self.subTest("getfattr"):
            self.assert_both_say("getfattr", "-R", "-P", "-h", "-d", "-m", "-", "-e", "hex", ".", separator=b"\n\n",
                                 least=15)

        with self.subTest("getfacl"):
            self.assert_both_say("getfacl", "-R", "-P", "-n", ".", separator=b"\n\n")

        with self.subTest("find"):
            self.assert_both_say("find", ".", "-printf", FIELDS, separator=b"\0")
            self.assert_both_say("find", ".", "!", "-type", "d", "-printf", r"%s %P\0", separator=b"\0")

        with self.subTest("inodes"):
            source, mounted = self.inodes(self.source), self.inodes(self.mounted)
            self.assertEqual(self.link_groups(source), self.link_groups(mounted))

        with self.subTest("holes and blocks"):
            self.check_blocks()

        with self.subTest("tar"):
            self.check_archives()

        with self.subTest("du and df"):
            self.check_space(point)

    def check_blocks(self):
        for path in self.source.rglob("*"):
            mounted = self.mounted / path.relative_to(self.source)
            if not path.is_file() or path.is_symlink():
                continue
            source, shown = path.lstat(), mounted.lstat()
            with open(path, "rb") as a, open(mounted, "rb") as b:
                borders = data_borders(a.fileno(), source.st_size)
                self.assertEqual(borders, data_borders(b.fileno(), source.st_size), path)
            data = sum(borders[1::2]) - sum(borders[::2])
            self.assertEqual(shown.st_blocks, (data + 511) // 512, path)

    def check_archives(self):
        """Archives hold the same, in the same order."""
        command = ["tar", "--create", "", "--xattrs", "--xattrs-include=*", "--acls", "--sparse", "--numeric-owner",
                   "--sort=name", "--format=posix", "."]
        listed = []
        for name, top in (("a.tar", self.source), ("b.tar", self.mounted)):
            command[2] = f"--file={self.temp / name}"
            ran = run(command, cwd=top)
            self.assertEqual([line for line in ran.err.splitlines() if "socket ignored" not in line], [])
            listed.append(self.members(self.temp / name))
        self.assertGreater(len(listed[0]), ENTRIES)
        self.assertEqual([(a, b) for a, b in zip(*listed) if a != b][:3], [])
        self.assertEqual(len(listed[0]), len(listed[1]))

    def members(self, archive):
        """All that an archive says of each of its members, with extended headers (attributes, lists, exact times)."""
        found = []
        with tarfile.open(archive, "r:", errors="surrogateescape") as file:
            for one in file:
                digest = hashlib.file_digest(file.extractfile(one), "sha256").hexdigest() if one.isreg() else None
                headers = {key: value for key, value in one.pax_headers.items() if key not in ("atime",)}
                found.append((one.name, one.type, one.mode, one.uid, one.gid, one.size, one.mtime, one.linkname,
                              one.devmajor, one.devminor, one.sparse, list(headers.items()), digest))
        return found

    def check_space(self, point):
        # Apart from the last block of each file, and blocks for attributes and long directories, which are ext4's own.
        used = [int(run(["du", "-s", "-B1", top]).out.split()[0]) for top in (self.source, self.mounted)]
        entries = self.made["counts"]["entries"]
        self.assertLess(abs(used[0] - used[1]), entries * 4096)
        sizes = [int(run(["du", "-s", "-B1", "--apparent-size", top]).out.split()[0])
                 for top in (self.source, self.mounted)]
        self.assertLess(abs(sizes[0] - sizes[1]) / sizes[0], 0.02)
        # Neither full, which would be an alarm, nor with room that nobody can use.
        totals = os.statvfs(point)
        self.assertEqual((totals.f_blocks, totals.f_bfree, totals.f_bavail), (0, 0, 0))
        self.assertEqual((totals.f_files, totals.f_ffree, totals.f_favail), (0, 0, 0))
        self.assertEqual(totals.f_namemax, 255)
        for option in ("-h", "-i"):
            ran = run(["df", option, point])
            self.assertEqual((ran.status, ran.err), (0, ""))
            self.assertRegex(ran.out, rf"{self.repository} +0 +0 +0 +- {point}\n")
        stats = json.loads((point / ".yester" / "stats").read_text())
        self.assertEqual((stats["bytes"], stats["entries"]), (self.made["counts"]["bytes"], entries))

    def test_inode_numbers_are_the_same_everywhere_and_belong_to_one_thing(self):
        shutil.rmtree(self.source / "sparse")
        second = self.backup("-d", "second")
        point = self.mount()
        whole = self.inodes(point)
        self.assertGreater(len(whole), 3 * ENTRIES)
        by_number = collections.defaultdict(list)
        for path, (number, links, kind) in whole.items():
            by_number[number].append(path)
        places = {}
        # JavaScript's numbers, and those of others, hold 53 bits.
        self.assertLess(max(by_number), 1 << 53)
        for number, paths in by_number.items():
            # A version of a file is the file in its snapshot.
            versions = [path for path in paths if path.startswith(b"./.yester/versions/")]
            if len(versions) < len(paths):
                self.assertTrue(all(whole[path][2] != b"d" for path in versions), paths)
                paths = [path for path in paths if path not in versions]
            # Names of one file lie in one snapshot, and there are not more of them than it says.
            self.assertEqual(len({path.split(b"/", 2)[:2][-1] for path in paths}), 1, paths)
            if len(paths) > 1:
                self.assertLessEqual(len(paths), whole[paths[0]][1], paths)
                self.assertNotEqual(whole[paths[0]][2], b"d", paths)
            places[number] = paths
        self.unmount(point)
        self.assertEqual(self.inodes(self.mount()), whole)
        self.unmount(point)

        # Another machine: the repository elsewhere, another key, no cache, and looked at in another order.
        other, key = self.temp / "elsewhere", self.temp / "other-key"
        self.yester("key", "add", "--new-key-file", key)
        self.assertEqual(run(["cp", "-a", self.repository, other]).status, 0)
        env = {"YESTER_REPOSITORY": other, "YESTER_KEY_FILE": key, "YESTER_CACHE_DIR": None,
               "HOME": self.temp / "home"}
        point = self.mount(at="other-mnt", env=env)
        self.assertTrue(self.inodes(point / second["name"]))
        self.assertEqual(self.inodes(point), whole)


class SpecialFiles(EndToEndTest):
    """The files in .yester."""

    def setUp(self):
        super().setUp()
        self.source.mkdir()
        (self.source / "other").write_bytes(b"never changes")
        self.init()

    def test_versions_differ_in_content_or_metadata(self):
        path, folder, wanted, folders = self.source / "file", self.source / "folder", [], []
        folder.mkdir()
        (folder / "inside").write_bytes(b"1")
        later = iter(range(10**18, 2 * 10**18, 10**9))

        def write(data):
            path.write_bytes(data)
            os.utime(path, ns=(0, 10**18))

        steps = {
            "first": lambda: write(b"one"), "nothing": lambda: None, "content": lambda: write(b"two"),
            "mode": lambda: path.chmod(0o640), "owner": lambda: os.chown(path, 5, 5),
            "time": lambda: os.utime(path, ns=(next(later), 10**18 + 1)),
            "attribute": lambda: os.setxattr(path, "user.note", b"x"), "a time that does not count":
            lambda: os.utime(path, ns=(5, path.stat().st_mtime_ns)), "gone": lambda: path.unlink(),
            "another, equal": lambda: (path.write_bytes(b"one"), os.utime(path, ns=(0, 10**18)), path.chmod(0o644)),
        }
        changes = {"first", "content", "mode", "owner", "time", "attribute", "another, equal"}
        for step, change in steps.items():
            change()
            if step == "owner":
                (folder / "inside").write_bytes(b"changed")
            name = self.backup("-d", step)["name"]
            if step in changes:
                wanted.append((name, path.read_bytes(), path.stat()))
            if step in ("first", "owner"):
                folders.append(name)
        point = self.mount()
        versions = point / ".yester" / "versions" / str(self.source)[1:]
        shown = [entry.name for entry in os.scandir(versions / "file")]
        self.assertEqual(sorted(shown), sorted(name for name, *_ in wanted))
        for name, content, status in wanted:
            found = (versions / "file" / name).stat()
            self.assertEqual((versions / "file" / name).read_bytes(), content)
            self.assertEqual((found.st_mode, found.st_uid, found.st_mtime_ns),
                             (status.st_mode, status.st_uid, status.st_mtime_ns))
        # A directory's versions are links; what leads on to the paths below it are directories.
        self.assertEqual(sorted(os.listdir(versions / "folder")), sorted([*folders, "inside"]))
        self.assertEqual([entry.name for entry in os.scandir(versions / "folder") if entry.is_dir(follow_symlinks=False)],
                         ["inside"])
        inside = [(versions / "folder" / name / "inside").read_bytes() for name in folders]
        self.assertEqual(inside, [b"1", b"changed"])
        self.assertEqual(len(os.listdir(versions / "other")), 1)
        self.assertEqual(len(os.listdir(versions / "folder" / "inside")), 2)
        # The command says the same.
        told = self.yester("versions", "--json", path).json
        self.assertEqual([one["first"] for one in told["versions"] if one["present"]], [name for name, *_ in wanted])

    def test_stats_health_and_catalog_are_json(self):
        names = [self.backup("-d", str(number))["name"] for number in range(3)]
        point = self.mount()
        special = point / ".yester"
        self.assertEqual(sorted(os.listdir(special)),
                         ["backup_metadata.json", "checksums", "health", "stats", "versions"])
        health, stats = (json.loads((special / name).read_text()) for name in ("health", "stats"))
        self.assertEqual((health["healthy"], health["errors_since_start"], health["recent_errors"]), (True, 0, []))
        self.assertEqual(stats["snapshots"], 3)
        self.assertEqual(stats["repository"], str(self.repository))
        json.loads((special / "backup_metadata.json").read_text())
        sums = {name.removesuffix(".sha256") for name in os.listdir(special / "checksums")}
        self.assertEqual(sums, {*names, names[0][:8], names[-1][:8]})
        # In the root of the mount itself as well as in a restored copy.
        for name in names:
            ran = run(["sha256sum", "-c", "--strict", "--quiet", special / "checksums" / f"{name}.sha256"],
                      cwd=point / name)
            self.assertEqual((ran.status, ran.out, ran.err), (0, "", ""))
        # What they hold has the size that stat says, as copies and archives rely on it.
        for path in (special / "health", special / "stats", special / "backup_metadata.json",
                     special / "checksums" / f"{names[0]}.sha256"):
            self.assertEqual(path.stat().st_size, len(path.read_bytes()), path)


if __name__ == "__main__":
    unittest.main()
