"""Which names a mount lists, the times and numbers that it shows, and what programs make of them."""

import datetime
import errno
import json
import os
import pathlib
import shutil
import subprocess
import time
import unittest

from support.cases import EndToEndTest, make_tree, tree_state
from support.machine import run, wait_until, YESTER


def made_at(made):
    """When a snapshot was made, in seconds, as its record says."""
    return int(datetime.datetime.fromisoformat(made["created"]).timestamp())


def top_names(point):
    return [name for name in sorted(os.listdir(point)) if name not in (".yester", "latest")]


class Names(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, files=12)
        self.init()

    def test_each_tree_is_listed_once(self):
        first = self.backup()
        day, point = first["name"][:8], self.mount()
        everything = self.mount("-o", "names=all", at="all")
        self.assertEqual(top_names(point), [day])
        self.assertEqual(top_names(everything), [day, first["name"]])
        # Its own name leads to it all the same.
        self.assertEqual(os.readlink(point / "latest"), first["name"])
        self.assert_same_tree(self.source, self.in_mount(point, first["name"]))
        self.assert_same_tree(self.source, self.in_mount(point, "latest"))
        held = os.open(self.in_mount(point, day), os.O_RDONLY)
        self.addCleanup(os.close, held)
        # A second one: both are listed beside the day, which is the second from now on.
        (self.source / "fresh").write_bytes(b"fresh")
        second = self.backup()
        for place in (point, everything):
            wait_until(lambda: top_names(place) == [day, first["name"], second["name"]], 3, "the names are stale")
        self.assertTrue((self.in_mount(point, day) / "fresh").exists())
        self.assertFalse((self.in_mount(point, first["name"]) / "fresh").exists())
        self.assertNotIn("fresh", os.listdir(held), "what is open stays what it was")
        self.yester("rotate", "--keep-last", "1")
        wait_until(lambda: top_names(point) == [day], 3, "the names are stale")
        self.assert_same_tree(self.source, self.in_mount(point, second["name"]))

    def test_a_description_is_always_listed(self):
        made = self.backup("-d", "before upgrade")
        point = self.mount()
        self.assertEqual(top_names(point), [made["name"][:8], made["name"]])

    def test_the_service_takes_no_other_word(self):
        ran = self.yester("mount", self.temp, "-o", "names=some", status=2)
        self.assertIn("names=some is neither all nor once", ran.err)

    def test_names_that_are_too_long(self):
        self.backup()
        point = self.mount()
        for folder in (point, self.in_mount(point), point / ".yester", point / ".yester" / "versions"):
            for length, wanted in ((255, errno.ENOENT), (256, errno.ENAMETOOLONG), (1023, errno.ENAMETOOLONG),
                                   (2000, errno.ENAMETOOLONG)):
                for attempt in (os.stat, os.listdir, os.readlink):
                    with self.assertRaises(OSError) as caught:
                        attempt(folder / ("n" * length))
                    self.assertEqual(caught.exception.errno, wanted, (folder, length))
            with self.assertRaises(OSError) as caught:
                os.stat(os.path.join(folder, *["n" * 200] * 30))
            self.assertEqual(caught.exception.errno, errno.ENAMETOOLONG)

    def test_links_to_versions_of_directories_with_too_long_paths(self):
        """No link can hold more than 4095 bytes. The directories can be walked into all the same."""
        here = os.open(".", os.O_PATH)
        self.addCleanup(os.close, here)
        self.addCleanup(os.fchdir, here)
        os.chdir(self.source)
        for _ in range(45):
            os.mkdir("d" * 100)
            os.chdir("d" * 100)
        made = self.backup()
        os.chdir(str(self.mount()) + "/.yester/versions" + str(self.source))
        for depth in range(46):
            self.assertIn(made["name"], os.listdir("."))
            self.assertGreater(os.lstat(made["name"]).st_size, 0)
            try:
                self.assertEqual(len(os.readlink(made["name"])), os.lstat(made["name"]).st_size)
            except OSError as error:
                self.assertEqual(error.errno, errno.ENAMETOOLONG, depth)
                self.assertGreater(depth, 30)
            if depth < 45:
                os.chdir("d" * 100)

    def test_remounted_for_writing(self):
        """Opening for writing can only be refused by the kernel: the driver sees to it that it does, and refuses all that
        writes until then."""
        self.backup()
        point = self.mount()
        before = tree_state(self.in_mount(point))
        def is_read_only():
            return bool(os.statvfs(point).f_flag & os.ST_RDONLY)

        def remount():
            ran = run(["mount", "-i", "-o", "remount,rw", point])
            self.assertEqual(ran.status, 0, ran)

        remount()
        wait_until(is_read_only, 3, "the mount stays writable")
        flags = os.statvfs(point).f_flag
        self.assertTrue(flags & os.ST_NOSUID and flags & os.ST_NODEV)
        file, folder = self.in_mount(point) / "dir0" / "file-000", self.in_mount(point) / "dir0"

        def write_to(flags):
            opened = os.open(file, flags)
            try:
                os.write(opened, b"changed")
            finally:
                os.close(opened)

        attempts = [
            lambda: write_to(os.O_WRONLY), lambda: write_to(os.O_RDWR | os.O_APPEND), lambda: os.truncate(file, 1),
            lambda: os.open(file, os.O_WRONLY | os.O_TRUNC), lambda: os.open(folder / "new", os.O_WRONLY | os.O_CREAT),
            lambda: os.open(folder, os.O_WRONLY | os.O_TMPFILE), lambda: os.mkdir(folder / "new"),
            lambda: os.mkfifo(folder / "new"), lambda: os.symlink("x", folder / "new"), lambda: os.unlink(file),
            lambda: os.link(file, folder / "new"), lambda: os.rename(file, folder / "new"), lambda: os.rmdir(folder),
            lambda: os.chmod(file, 0o777), lambda: os.chown(file, 1, 1), lambda: os.utime(file, (1, 1)),
            lambda: os.setxattr(file, "user.x", b"x"), lambda: os.removexattr(file, "user.x"),
        ]
        for number, attempt in enumerate(attempts):
            remount()
            with self.subTest(number=number), self.assertRaises(OSError) as caught:
                attempt()
            self.assertIn(caught.exception.errno, (errno.EROFS, errno.EOPNOTSUPP))
        self.assertEqual(tree_state(self.in_mount(point)), before)
        with open("/proc/sys/vm/drop_caches", "w") as caches:
            caches.write("3")
        self.assertEqual(tree_state(self.in_mount(point)), before)

    def test_remounted_for_writing_where_the_driver_is_not_told(self):
        """The driver hears of a remount only in its own mount namespace. What a mapping changed of the kernel's memory of a
        file in another one has to be gone when the driver has refused to write it, and the mount read-only again."""
        self.backup()
        point = self.mount()
        file = self.in_mount(point) / "dir0" / "file-010"
        before = file.read_bytes()
        program = """if True:
            import ctypes, mmap, os, sys
            libc = ctypes.CDLL(None, use_errno=True)
            remount, private = 0x20, 0x44000
            assert libc.unshare(0x20000) == 0 and libc.mount(b"none", b"/", None, private, None) == 0
            assert libc.mount(b"none", os.fsencode(sys.argv[1]), None, remount, None) == 0
            opened = os.open(sys.argv[2], os.O_RDWR)
            mapped = mmap.mmap(opened, 4)
            mapped[:4] = b"EVIL"
            mapped.close()
            try:
                os.close(opened)
            except OSError:
                pass
            """
        ran = run(["python3", "-c", program, point, file])
        self.assertEqual(ran.status, 0, ran)

        def is_read_only():
            with open("/proc/self/mountinfo") as table:
                options = [line.split()[-1] for line in table if line.split()[4] == str(point)]
            return all("ro" in words.split(",") for words in options)

        wait_until(is_read_only, 3, "the file system stays writable")
        wait_until(lambda: file.read_bytes() == before, 3, "a file shows what was written to it")


class Times(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, files=12)
        self.init()

    def all_but_the_device(self, point):
        """Each mount is a device of its own."""
        return {name: (*(status := os.stat(point / name))[:2], *status[3:9]) for name in top_names(point)}

    def test_the_top_shows_when_snapshots_were_made(self):
        made = [self.backup("-d", "first")]
        point = self.mount()
        seen = {name: os.stat(point / name) for name in top_names(point)}
        time.sleep(1.1)
        made.append(self.backup("-d", "second"))
        wait_until(lambda: made[1]["name"] in os.listdir(point), 3, "the new snapshot is not listed")
        for one in made:
            status = os.stat(point / one["name"])
            self.assertEqual((int(status.st_mtime), int(status.st_ctime)), (made_at(one), made_at(one)))
        # It does not move: neither by looking, nor by what comes, nor by a remount.
        self.assertEqual(os.stat(point / made[0]["name"]), seen[made[0]["name"]])
        self.assertEqual(int(os.stat(point / made[1]["name"][:8]).st_mtime), made_at(made[1]))
        self.assertEqual(int(os.lstat(point / "latest").st_mtime), made_at(made[1]))
        listed = run(["ls", "-1t", point]).out.split()
        self.assertLess(listed.index(made[1]["name"]), listed.index(made[0]["name"]))
        whole = self.all_but_the_device(point)
        time.sleep(1.1)
        self.unmount(point)
        point = self.mount()
        self.assertEqual(self.all_but_the_device(point), whole)
        # Another mode and owner than that of / would be made up.
        top, root = os.stat(point / made[0]["name"]), os.stat("/")
        self.assertEqual((top.st_mode, top.st_uid, top.st_gid), (root.st_mode, root.st_uid, root.st_gid))

    def test_a_day_of_several_plans(self):
        self.backup("--plan", "one", self.source / "dir0")
        point = self.mount()
        second = self.backup("--plan", "two", self.source / "dir1")
        day = self.in_mount(point, second["name"][:8])
        wait_until(lambda: (day / "dir1").exists() and (day / "dir0").exists(), 3, "the day is stale")
        self.assertEqual(int(os.stat(point / second["name"][:8]).st_mtime), made_at(second))
        held = os.open(day, os.O_RDONLY)
        self.addCleanup(os.close, held)
        time.sleep(1.1)
        self.backup("--plan", "three", self.source / "dir2")
        wait_until(lambda: "dir2" in os.listdir(day), 3, "the day is stale")
        self.assertEqual(sorted(os.listdir(held)), ["dir0", "dir1"])
        # Directories on the way are what they were.
        self.assertEqual(os.stat(day).st_mtime_ns, os.stat(self.source).st_mtime_ns)

    def test_the_root_of_a_machine_that_was_a_source(self):
        """Where / itself was backed up, its metadata are shown, so that `rsync -a mnt/latest/ /` restores them."""
        root = self.temp / "root"
        work = root / "inside"
        for folder in (work, root / "proc", root / "etc"):
            folder.mkdir(parents=True)
        (root / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
        # Libraries are copied: what is bound into a folder that a test removes could be removed with it.
        for line in run(["ldd", YESTER]).out.split("\n"):
            for word in line.split():
                if word.startswith("/"):
                    (root / word[1:]).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(word, root / word[1:])
        shutil.copy(YESTER, work / "yester")
        shutil.copy(self.key, work / "key")
        shutil.copytree(self.repository, work / "repository")
        self.assertEqual(run(["mount", "-t", "proc", "proc", root / "proc"]).status, 0)
        os.chmod(root, 0o711)
        os.chown(root, 12, 13)
        os.setxattr(root, "user.of-root", b"value")
        os.utime(root, ns=(0, 1_234_567_890_123_456_789))
        arguments = ["/inside/yester", "backup", "--json", "/", "--one-file-system", "-e", "/inside"]
        ran = subprocess.run(["chroot", root, *arguments], capture_output=True, text=True,
                             env=self.environment(YESTER_REPOSITORY="/inside/repository", YESTER_KEY_FILE="/inside/key",
                                                  YESTER_CACHE_DIR="/inside/cache"))
        self.assertIn(ran.returncode, (0, 3), ran.stderr)
        made = json.loads(ran.stdout)
        self.assertEqual(made["sources"], ["/"])
        self.repository = work / "repository"
        point = self.mount()
        status, wanted = os.stat(point / made["name"]), os.stat(root)
        for field in ("st_mode", "st_uid", "st_gid", "st_mtime_ns"):
            self.assertEqual(getattr(status, field), getattr(wanted, field), field)
        self.assertEqual(int(status.st_ctime), made_at(made))
        self.assertEqual(os.getxattr(point / made["name"], "user.of-root"), b"value")
        copy = self.temp / "copy"
        self.assertEqual(run(["rsync", "-aAX", "--exclude=/*", f"{point}/latest/", copy]).status, 0)
        self.assertEqual(os.stat(copy).st_mtime_ns, wanted.st_mtime_ns)
        self.assertEqual(os.getxattr(copy, "user.of-root"), b"value")


class Numbers(EndToEndTest):
    """Inode numbers as programs see them that hold numbers as `double`."""

    LOOK = r"""
        const fs = require("fs"), path = require("path")
        const seen = {}
        function walk(folder) {
          for (const entry of fs.readdirSync(folder, {withFileTypes: true})) {
            const at = path.join(folder, entry.name), status = fs.lstatSync(at)
            if (status.ino > Number.MAX_SAFE_INTEGER) throw new Error(at + " has the number " + status.ino)
            ;(seen[status.ino] ||= []).push(at)
            if (status.isDirectory()) walk(at)
          }
        }
        process.argv.slice(1).forEach(walk)
        console.log(JSON.stringify(seen))
    """

    def test_hard_links_and_different_files(self):
        make_tree(self.source, files=30)
        for number in range(0, 300, 3):
            (self.source / f"linked-{number}").write_bytes(b"%d" % number)
            os.link(self.source / f"linked-{number}", self.source / f"linked-{number + 1}")
            (self.source / f"linked-{number + 2}").write_bytes(b"alone")
        self.init()
        names = []
        for number in range(3):
            (self.source / f"more-{number}").write_bytes(b"more")
            names.append(self.backup("-d", str(number))["name"])
        names.append(names[-1][:8])
        wanted = {}
        for path in self.source.rglob("*"):
            wanted.setdefault(path.lstat().st_ino, set()).add(str(path))
        point, seen = self.mount(), []
        for _ in range(2):
            tops = [self.in_mount(point, name) for name in names] + [point / ".yester"]
            ran = run(["node", "-e", self.LOOK, *tops])
            self.assertEqual(ran.status, 0, ran.err)
            seen.append(json.loads(ran.out))
            self.unmount(point)
            self.mount()
        self.assertEqual(seen[0], seen[1])
        groups = [set(paths) for paths in seen[0].values()]
        for name in names[2:]:
            top = self.in_mount(point, name)
            of_this = [{str(self.source / pathlib.Path(path).relative_to(top)) for path in group
                        if top in pathlib.Path(path).parents} for group in groups]
            self.assertEqual(sorted(map(sorted, filter(None, of_this))), sorted(map(sorted, wanted.values())))
        for group in groups:
            tops = {path.removeprefix(str(point)).split("/")[1] for path in group} - {".yester"}
            self.assertLessEqual(len(tops), 1, group)
        # An archive of all of it together takes nothing for a link that is none.
        copy = self.temp / "copy"
        copy.mkdir()
        ran = run(["sh", "-c", f"tar -C '{point}' --format=posix -cf - {' '.join(names)} | tar -C '{copy}' -xf -"])
        self.assertEqual(ran.status, 0, ran.err)
        for name in names:
            self.assert_same_tree(self.in_mount(point, name), self.in_mount(copy, name), "--skip", "fifo")


if __name__ == "__main__":
    unittest.main()
