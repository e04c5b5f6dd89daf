"""Sources that change while they are read, and sources of odd shapes."""

import os
import random
import threading
import time
import unittest

from support.cases import EndToEndTest, make_tree, settle
from support.machine import DONE, INCOMPLETE


class Hammer:
    """Threads that change files as long as the block runs."""

    def __init__(self, *jobs):
        self.stop = threading.Event()
        self.errors = []
        self.rounds = 0
        self.threads = [threading.Thread(target=self.work, args=(job,)) for job in jobs]

    def work(self, job):
        try:
            while not self.stop.is_set():
                job()
                self.rounds += 1
        except Exception as error:  # told at the end of the block
            self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(timeout=30)
        if self.errors:
            raise self.errors[0]
        assert self.rounds > 0, "nothing changed during the block"


class ChangingSources(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.source.mkdir()
        self.init()

    def assert_sound_with(self, names):
        self.verify()
        restored = self.restored(to=f"restored-{random.random()}")
        self.assertLessEqual(set(names), set(os.listdir(restored)))
        return restored

    def backup_under_fire(self, rounds=4):
        """Back up several times while a hammer is at work: each must end with 0 or 3, never otherwise."""
        return [self.backup(status=(DONE, INCOMPLETE), timeout=60) for _ in range(rounds)]

    def test_a_growing_file(self):
        (self.source / "steady").write_bytes(b"steady")
        log = self.source / "log"
        log.write_bytes(b"")

        def append():
            with open(log, "ab") as file:
                file.write(b"0123456789abcdef" * 4096)
            if log.stat().st_size > 40 << 20:
                log.write_bytes(b"")

        with Hammer(append):
            self.backup_under_fire()
        restored = self.assert_sound_with(["steady", "log"])
        self.assertEqual((restored / "steady").read_bytes(), b"steady")
        content = (restored / "log").read_bytes()
        self.assertEqual(content, (b"0123456789abcdef" * (len(content) // 16 + 1))[:len(content)])

    def test_a_shrinking_file(self):
        target = self.source / "file"
        big = random.Random(5).randbytes(6 << 20)
        target.write_bytes(big)

        def shrink():
            os.truncate(target, random.randrange(len(big)))
            with open(target, "r+b") as file:
                file.write(big)

        with Hammer(shrink, shrink):
            self.backup_under_fire()
        restored = self.assert_sound_with(["file"])
        # What was cut off and came back reads as it was, or as zeros in between.
        content = (restored / "file").read_bytes()
        self.assertLessEqual(len(content), len(big))

    def test_vanishing_files(self):
        make_tree(self.source / "kept")

        def churn():
            folder = self.source / f"come-and-go-{threading.get_ident()}"
            folder.mkdir(exist_ok=True)
            for number in range(200):
                (folder / f"{number}").write_bytes(b"x" * 3000)
            for number in range(200):
                (folder / f"{number}").unlink()
            folder.rmdir()

        with Hammer(churn, churn):
            made = self.backup_under_fire(8)
        restored = self.assert_sound_with(["kept"])
        self.assert_same_tree(self.source / "kept", restored / "kept")
        self.assertGreater(made[-1]["counts"]["unchanged"], 30)

    def test_a_file_turns_into_a_directory_and_back(self):
        flip = self.source / "flip"

        def turn():
            flip.write_bytes(b"file" * 1000)
            flip.unlink()
            flip.mkdir()
            (flip / "inside").write_bytes(b"inside")
            (flip / "inside").unlink()
            flip.rmdir()
            flip.symlink_to("/etc/passwd")
            flip.unlink()

        make_tree(self.source / "kept", files=10)
        with Hammer(turn):
            self.backup_under_fire(10)
        self.assert_sound_with(["kept"])

    def test_same_size_and_time_but_other_content(self):
        file = self.source / "sly"
        file.write_bytes(b"a" * 5000)
        os.utime(file, ns=(10**18, 10**18))
        self.backup()
        file.write_bytes(b"b" * 5000)
        os.utime(file, ns=(10**18, 10**18))
        counts = self.backup()["counts"]
        self.assertEqual(counts["bytes_read"], 5000, "the time of change gives the change away")
        self.assertEqual((self.restored() / "sly").read_bytes(), b"b" * 5000)

    def test_ignoring_ctime_and_inode(self):
        file = self.source / "copy"
        file.write_bytes(b"a" * 5000)
        os.utime(file, ns=(10**18, 10**18))
        settle()
        self.backup()
        again = self.source / "again"
        again.write_bytes(b"a" * 5000)
        os.utime(again, ns=(10**18, 10**18))
        again.rename(file)  # another inode, another time of change
        self.assertEqual(self.backup("--dry-run", "--ignore-ctime")["counts"]["bytes_read"], 0)
        self.assertEqual(self.backup("--ignore-ctime", "--ignore-inode")["counts"]["bytes_read"], 0)
        (self.source / "copy").write_bytes(b"A" * 5000)
        self.assertEqual(self.backup()["counts"]["bytes_read"], 5000)

    def test_full_and_differential(self):
        content = random.Random(1).randbytes(100_000)
        (self.source / "steady").write_bytes(content)
        settle()
        first = self.backup()
        self.assertEqual(first["type"], "full")
        (self.source / "second").write_bytes(b"second")
        settle()
        second = self.backup()
        self.assertEqual((second["type"], second["base"], second["counts"]["bytes_read"]),
                         ("incremental", first["id"], 6))
        (self.source / "third").write_bytes(b"third!!")
        settle()
        third = self.backup("--type", "differential")
        self.assertEqual((third["type"], third["base"]), ("differential", first["id"]))
        self.assertEqual(third["counts"]["added"], 2)
        self.assertEqual(third["counts"]["bytes_read"], 13)
        full = self.backup("--type", "full")
        self.assertEqual(full["type"], "full")
        self.assertEqual(full["counts"]["bytes_read"], 100_013)
        # The way to the source may have changed meanwhile: a few bytes of listing.
        self.assertLess(full["counts"]["bytes_new"], 4096)
        last = self.backup("--type", "differential")
        self.assertEqual(last["base"], full["id"])
        for made in (first, second, third, full, last):
            mounted = self.restored(made["name"], to=made["name"])
            self.assertEqual((mounted / "steady").read_bytes(), content)

    def test_hard_links_across_directories_and_snapshots(self):
        for name in ("a/x", "b/y", "b/c/z"):
            (self.source / name).parent.mkdir(parents=True, exist_ok=True)
        (self.source / "a/x").write_bytes(b"shared" * 100)
        os.link(self.source / "a/x", self.source / "b/y")
        os.link(self.source / "b/y", self.temp / "outside")
        self.backup()
        os.link(self.source / "a/x", self.source / "b/c/z")
        self.backup()
        point = self.mount()
        mounted = self.in_mount(point)
        self.assertEqual({(mounted / name).stat().st_ino for name in ("a/x", "b/y", "b/c/z")},
                         {(mounted / "a/x").stat().st_ino})
        self.assert_same_tree(self.source, mounted)
        restored = self.restored()
        self.assertEqual((restored / "a/x").stat().st_ino, (restored / "b/c/z").stat().st_ino)
        self.assertEqual((restored / "a/x").stat().st_nlink, 3, "the link outside of the source is not restored")

    def test_links_and_files_as_sources(self):
        make_tree(self.source / "real")
        link, file = self.source / "link", self.source / "file"
        link.symlink_to("real")
        file.write_bytes(b"single")
        made = self.backup(link)
        self.assertEqual(made["sources"], [str(link)])
        self.assertEqual((made["counts"]["links"], made["counts"]["files"]), (1, 0))
        made = self.backup(f"{link}/")
        self.assertEqual(made["sources"], [str(self.source / "real")])
        self.assertGreater(made["counts"]["files"], 30)
        self.backup(file, link)
        point = self.mount()
        self.assertEqual(self.in_mount(point, path=file).read_bytes(), b"single")
        self.assertEqual(os.readlink(self.in_mount(point, path=link)), "real")
        self.assertEqual(sorted(os.listdir(self.in_mount(point))), ["file", "link"])
        ran = self.yester("backup", self.source / "not there", status=1)
        self.assertIn("not there", ran.err)

    def test_a_fifo_is_stored_but_never_waited_for(self):
        os.mkfifo(self.source / "fifo")
        self.backup(timeout=20)
        self.backup(self.source / "fifo", timeout=20)
        self.assertTrue(self.in_mount(self.mount(), path=self.source / "fifo").is_fifo())

    def test_two_backups_at_once(self):
        make_tree(self.source / "tree", big=6)
        running = [self.start_yester("backup", "--json", "--plan", plan, self.source) for plan in ("a", "b", "a")]
        for process in running:
            _, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, err)
        self.assertEqual(len(self.snapshots()), 3)
        self.assertEqual(len({one["name"] for one in self.snapshots()}), 3)
        self.verify()
        self.assert_same_tree(self.source, self.restored())


class Inodes(EndToEndTest):
    """Inode numbers and names of hard-linked files that change while a run, held up by its pace, is on the way."""

    COUNT = 100

    def setUp(self):
        super().setUp()
        self.init()
        for name in ("a", "m", "z"):
            (self.source / name).mkdir(parents=True)
        rng = random.Random("inodes")
        for number in range(self.COUNT):
            (self.source / "a" / f"x{number}").write_text(f"the old file {number}")
        # More directories than are looked at ahead.
        for number in range(160):
            (self.source / "m" / f"{number:03}").mkdir()
            (self.source / "m" / f"{number:03}" / "data").write_bytes(rng.randbytes(100_000))

    def during_a_backup(self, change, status=DONE):
        """The walk has read the first directory and not listed the last when `change` is called."""
        process = self.start_yester("backup", "--read-concurrency", "1", "--limit-upload", "4096", self.source)
        time.sleep(1)
        self.assertIsNone(process.poll(), "the backup was too fast: the test proves nothing")
        change()
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, status, err)
        return self.restored()

    def test_a_number_that_is_used_again(self):
        outside = self.temp / "outside"
        outside.mkdir()
        for number in range(self.COUNT):
            os.link(self.source / "a" / f"x{number}", outside / f"x{number}")

        def change():
            for number in range(self.COUNT):
                (self.source / "a" / f"x{number}").unlink()
                (outside / f"x{number}").unlink()
            for number in range(self.COUNT):
                (self.source / "z" / f"y{number}").write_text(f"quite another file {number}")
                os.link(self.source / "z" / f"y{number}", self.source / "z" / f"yy{number}")

        restored = self.during_a_backup(change)
        self.assertEqual(len(os.listdir(restored / "z")), 2 * self.COUNT, "the last directory was listed too early")
        self.assert_same_tree(self.source / "z", restored / "z")

    def test_directories_that_change_after_they_were_seen(self):
        """They are looked at ahead of the walk, which is held up; what it finds when it gets there is what counts."""
        for number in range(160):
            (self.source / "m" / f"{number:03}").rename(self.source / "a" / f"{number:03}")
        for name, file in (("zb", "f"), ("zc", "one")):
            (self.source / name).mkdir()
            (self.source / name / file).write_text("old")

        def change():
            fresh = self.source / "zb.fresh"
            fresh.mkdir()
            (fresh / "f").write_text("new")
            (fresh / "g").write_text("new")
            (self.source / "zb").rename(self.temp / "gone")
            fresh.rename(self.source / "zb")
            (self.source / "zc" / "two").write_text("new")
            (self.source / "zc" / "one").unlink()

        restored = self.during_a_backup(change)
        for name in ("zb", "zc"):
            self.assert_same_tree(self.source / name, restored / name)

    def test_links_that_are_replaced_after_they_were_seen(self):
        place = self.source / "a"
        for number in range(160):
            (self.source / "m" / f"{number:03}" / "data").rename(place / f"f{number}")
        (place / "zlink").symlink_to("old")
        (place / "zother").symlink_to("old")

        def change():
            (self.temp / "file").write_text("new")
            (self.temp / "file").rename(place / "zlink")
            (self.temp / "link").symlink_to("new")
            os.chown(self.temp / "link", 7, 7, follow_symlinks=False)
            (self.temp / "link").rename(place / "zother")

        restored = self.during_a_backup(change) / "a"
        if (restored / "zlink").is_symlink():
            self.assertEqual(os.readlink(restored / "zlink"), "old")
        else:
            self.assertEqual((restored / "zlink").read_text(), "new")
        found = (os.readlink(restored / "zother"), (restored / "zother").lstat().st_uid)
        self.assertIn(found, (("old", 0), ("new", 7)), "it is of two moments")

    def test_a_name_that_moves_on(self):
        for number in range(self.COUNT):
            os.link(self.source / "a" / f"x{number}", self.source / "a" / f"xx{number}")

        def change():
            for number in range(self.COUNT):
                (self.source / "a" / f"xx{number}").rename(self.source / "z" / f"xx{number}")

        restored = self.during_a_backup(change)
        for number in range(self.COUNT):
            self.assertEqual((restored / "z" / f"xx{number}").read_text(), f"the old file {number}")


if __name__ == "__main__":
    unittest.main()
