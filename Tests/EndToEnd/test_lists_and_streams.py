"""Sources that come as a list of paths, and content that comes through a pipe or from a command."""

import hashlib
import os
import random
import signal
import subprocess
import time
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import FAILED, INCOMPLETE, INTERRUPTED, MIB, USAGE, wait_until, YESTER


class FilesFrom(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.init()
        make_tree(self.source)

    def listed(self, paths, separator=b"\0", status=0, cwd=None, **options):
        """Back up a list that comes through a pipe."""
        text = b"".join(os.fsencode(path) + separator for path in paths)
        return self.yester("backup", "--json", "--files-from", "-", input=text, status=status, cwd=cwd, **options)

    def held(self):
        """All paths of the newest snapshot below the source, and no directories that only lead there."""
        command = [YESTER, "ls", "--recursive", "--null", f"latest:{self.source}"]
        out = subprocess.run(command, env=self.environment(), capture_output=True, check=True).stdout
        return set(out.split(b"\0")[:-1])

    def test_exactly_what_find_prints(self):
        find = ["find", self.source, "-name", "file-0*", "-print0"]
        found = subprocess.run(find, capture_output=True, check=True).stdout
        ran = self.yester("backup", "--json", "--files-from", "-", input=found)
        wanted = {os.fsencode(os.path.relpath(os.fsdecode(path), self.source)) for path in found.split(b"\0")[:-1]}
        self.assertGreater(len(wanted), 20)
        self.assertEqual({path for path in self.held() if b"file-" in path}, wanted)
        self.assertEqual(ran.json["counts"]["files"], len(wanted))
        restored = self.restored()
        some = self.source / "dir0" / "file-000"
        self.assertEqual((restored / "dir0" / "file-000").read_bytes(), some.read_bytes())
        self.assertEqual((restored / "dir0").stat().st_mode, (self.source / "dir0").stat().st_mode)
        # The next run takes them over.
        again = self.yester("backup", "--json", "--files-from", "-", input=found).json
        self.assertEqual(again["counts"]["bytes_read"], 0)

    def test_lines_directories_duplicates_and_nested_paths(self):
        names = ["dir1/file-001", "dir0", "dir0/file-000", "dir0/", "dir1/file-001", "link", "fifo"]
        existing = [name for name in names if os.path.lexists(self.source / name)] + ["dir1/hard"]
        self.listed(existing, b"\n", cwd=self.source)
        held = self.held()
        self.assertIn(b"dir1/hard", held)
        self.assertIn(b"link", held)
        below = {os.fsencode(os.path.relpath(path, self.source)) for path in (self.source / "dir0").rglob("*")}
        self.assertLessEqual(below, held)
        self.assertFalse([path for path in held if path.startswith(b"dir2")])

    def test_names_are_bytes(self):
        odd = [b"#comment", b"*", b" blank ", b"\xff\xfe", b"tail\r", b"-e", b"[a]", b"a\\nb"]
        for name in odd:
            (self.source / os.fsdecode(name)).write_bytes(name)
        self.listed(odd, b"\n", cwd=self.source)
        self.assertEqual(self.held(), set(odd))
        (self.source / "new\nline").write_text("x")
        self.listed([b"new\nline"], cwd=self.source)
        self.assertEqual(self.held(), {b"new\nline"})

    def test_what_vanished_is_named(self):
        gone = [self.source / "gone", self.source / "no" / "such" / "directory" / "file"]
        ran = self.listed([*gone, self.source / "link"], status=INCOMPLETE)
        for path in gone:
            self.assertIn(f"{path}: it is not there", ran.err)
        self.assertIn("2 sources could not be backed up", ran.err)
        self.assertEqual(self.held(), {b"link"})
        before = len(self.snapshots())
        ran = self.listed(gone, status=FAILED)
        self.assertIn("No snapshot was made", ran.err)
        self.assertEqual(len(self.snapshots()), before)

    def test_empty_and_malformed_lists(self):
        for text in (b"", b"\n\n", b"\0"):
            ran = self.yester("backup", "--files-from", "-", input=text, status=FAILED)
            self.assertIn("is empty", ran.err)
        ran = self.yester("backup", self.source, "--files-from", "-", input=b"", status=FAILED)
        self.assertIn("is empty", ran.err)
        mixed = os.fsencode(self.source / "link") + b"\n"
        ran = self.yester("backup", "--files-from", "-", input=mixed * 70000 + b"/x\0", status=FAILED)
        self.assertIn("both lines and zero bytes", ran.err)
        ran = self.yester("backup", "--files-from", "-", input=b"/" + b"x" * 100_000, status=FAILED)
        self.assertIn("longer than", ran.err)
        ran = self.yester("backup", "--files-from", self.temp / "none", status=FAILED)
        self.assertIn("No such file", ran.err)
        self.assertEqual(self.snapshots(), [])

    def test_a_large_list_in_little_memory(self):
        folder = self.temp / "many"
        folder.mkdir()
        for number in range(20_000):
            (folder / f"{number:06d}").touch()
        small = self.yester("backup", "--files-from", "-", input=os.fsencode(folder / "000000"), measured=True)
        text = b"".join(b"%s/%06d\0" % (os.fsencode(folder), number) for number in range(20_000))
        large = self.yester("backup", "--json", "--plan", "b", "--files-from", "-", input=text, measured=True)
        self.assertEqual(large.json["counts"]["files"], 20_000)
        self.assertLess(large.peak - small.peak, 24 * MIB)
        # The record names the directory that all of them are in.
        self.assertEqual(large.json["sources"], [str(folder)])

    def test_a_list_that_never_comes_can_be_given_up(self):
        fifo = self.temp / "list"
        os.mkfifo(fifo)
        for name in ("-", fifo):
            process = self.start_yester("backup", "--files-from", name, stdin=subprocess.PIPE)
            time.sleep(1)
            self.assertIsNone(process.poll())
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(10), INTERRUPTED)
            process.communicate()

    def test_a_list_through_a_fifo(self):
        fifo = self.temp / "list"
        os.mkfifo(fifo)
        process = self.start_yester("backup", "--json", "--files-from", fifo)
        time.sleep(0.5)
        with open(fifo, "wb", buffering=0) as out:
            for number in range(3):
                time.sleep(0.3)
                out.write(os.fsencode(self.source / f"dir{number}") + b"\n")
        _, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0, err)
        held = self.held()
        self.assertIn(b"dir0/file-000", held)
        self.assertIn(b"dir2", held)


class Streams(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.init()

    def content(self, snapshot="latest", path="/dump.sql"):
        target = self.temp / f"back-{random.randrange(10**9)}"
        self.yester("restore", f"{snapshot}:{path}", "--to", target)
        return (target / os.path.basename(path)).read_bytes()

    def test_standard_input(self):
        data = random.Random(1).randbytes(9 * MIB + 17)
        made = self.yester("backup", "--json", "--stdin-name", "dump.sql", input=data).json
        self.assertEqual((made["plan"], made["sources"], made["counts"]["files"]), ("dump.sql", ["/dump.sql"], 1))
        self.assertEqual(self.content(), data)
        # Equal parts are stored once, wherever they stand.
        again = self.yester("backup", "--json", "--stdin-name", "dump.sql", input=b"head" + data).json
        self.assertLess(again["counts"]["bytes_new"], 4 * MIB)
        self.assertEqual((again["counts"]["modified"], again["counts"]["added"]), (1, 0))
        self.assertEqual(self.content(), b"head" + data)
        # As a file that is read from a disk.
        self.source.mkdir()
        (self.source / "file").write_bytes(data)
        self.assertLess(self.backup()["counts"]["bytes_new"], MIB)
        self.verify("--level", "data")
        mounted = self.mount() / made["name"] / "dump.sql"
        self.assertEqual(os.getxattr(mounted, "user.yester.sha256"), hashlib.sha256(data).hexdigest().encode())
        self.assertEqual(mounted.stat().st_mode & 0o777, 0o600)

    def test_a_place_of_its_own(self):
        self.yester("backup", "--stdin-name", "/var/no/such/place/db.sql", "--plan", "db", input=b"x")
        self.assertEqual(self.content(path="/var/no/such/place/db.sql"), b"x")
        plans = [self.yester("backup", "--json", "--stdin-name", name, input=b"x").json["plan"]
                 for name in ("a/db.sql", "/c/db.sql", "long/" * 40 + "1", "long/" * 40 + "2")]
        self.assertEqual(plans[:2], ["a/db.sql", "c/db.sql"])
        self.assertEqual(len(set(plans)), 4, "a dump would be rotated with another")
        for name in ("", "/", "a/", "..", "a/../b", "x" * 300):
            self.yester("backup", "--stdin-name", name, input=b"x", status=USAGE)

    def test_memory_is_bounded(self):
        command = ["backup", "--json", "--stdin-name", "big", "--stdin-from-command", "--", "sh", "-c"]
        small = self.yester(*command, "head -c 20000000 /dev/zero", measured=True)
        large = self.yester(*command, "head -c 200000000 /dev/zero", measured=True)
        self.assertEqual(large.json["counts"]["bytes"], 200_000_000)
        self.assertLess(large.peak - small.peak, 16 * MIB)

    def test_what_does_not_count(self):
        ran = self.yester("backup", "--stdin-name", "dump.sql", input=b"", status=FAILED)
        self.assertIn("an empty stream", ran.err)
        command = ("backup", "--stdin-name", "dump.sql", "--stdin-from-command", "--")
        for words, reason in ((["sh", "-c", "echo half; exit 3"], "exit status 3"),
                              (["sh", "-c", "head -c 5000000 /dev/urandom; kill -9 $$"], "signal 9"),
                              (["no-such-command"], "could not be started"), (["true"], "an empty stream")):
            ran = self.yester(*command, *words, status=FAILED)
            self.assertIn(reason, ran.err)
        for arguments in (("--stdin-from-command", "--", "true"), ("--stdin-name", "x", "/etc"),
                          ("--stdin-name", "x", "--stdin-from-command"), ("--stdin-name", "x", "--files-from", "-"),
                          ("--stdin-name", "x", "--dry-run")):
            self.yester("backup", *arguments, input=b"x", status=USAGE)
        self.assertEqual(self.snapshots(), [])

    def test_a_command_that_ends_well(self):
        made = self.yester("backup", "--json", "--stdin-name", "dump.sql", "--stdin-from-command", "--", "sh", "-c",
                           "echo said >&2; cat; printf '%s' -n", input=b"through ")
        self.assertIn("said", made.err)
        self.assertEqual(self.content(), b"through -n")
        # SIGPIPE does there what programs expect.
        self.yester("backup", "--stdin-name", "yes", "--stdin-from-command", "--", "sh", "-c", "yes | head -n 3")
        self.assertEqual(self.content(path="/yes"), b"y\ny\ny\n")

    def test_an_interrupt_ends_the_command(self):
        mark = self.temp / "pid"
        process = self.start_yester("backup", "--stdin-name", "x", "--stdin-from-command", "--", "sh", "-c",
                                    f"echo $$ > {mark}; echo begun; exec sleep 1000")
        wait_until(lambda: mark.exists() and mark.read_text().strip(), 10, "the command did not start")
        child = int(mark.read_text())
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
        self.assertEqual(process.returncode, INTERRUPTED)
        with self.assertRaises(ProcessLookupError):
            os.kill(child, 0)
        self.assertEqual(self.snapshots(), [])

    def test_dumps_and_files_are_rotated_apart(self):
        self.source.mkdir()
        (self.source / "file").write_text("x")
        self.backup()
        self.yester("backup", "--stdin-name", "a.sql", input=b"a")
        self.yester("backup", "--stdin-name", "b.sql", input=b"b")
        self.yester("rotate", "--keep-last", "1")
        self.assertEqual(len(self.snapshots()), 3)
        day = self.mount() / self.snapshots()[0]["name"][:8]
        self.assertTrue((day / "a.sql").exists() and (day / "b.sql").exists())
        self.assertTrue((day / str(self.source / "file").lstrip("/")).exists())


if __name__ == "__main__":
    unittest.main()
