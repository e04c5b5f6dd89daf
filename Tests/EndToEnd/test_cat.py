"""Files of snapshots on standard output."""

import hashlib
import os
import re
import signal
import socket
import unittest

from support.cases import EndToEndTest, unprotected
from support.machine import DAMAGED, DONE, FAILED, INTERRUPTED, MIB, run_measured, USAGE, WRONG_KEY, YESTER

GIB = 1 << 30


class Cat(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.source.mkdir()
        self.init()

    def place(self, name, snapshot="latest"):
        return os.fsencode(f"{snapshot}:{self.source}/") + os.fsencode(name)

    def digest(self, *places, status=DONE):
        """SHA-256 of what comes out, how much that is, and what was said."""
        process = self.start_yester("cat", *places)
        hash_, size = hashlib.sha256(), 0
        while data := process.stdout.read(MIB):
            hash_.update(data)
            size += len(data)
        err = process.stderr.read().decode(errors="backslashreplace")
        self.assertEqual(process.wait(timeout=20), status, err)
        return hash_.hexdigest(), size, err

    def test_bytes_are_those_of_the_source(self):
        contents = {"empty": b"", "text": b"hello\n", "binary": os.urandom(700_000), "big": os.urandom(20 * MIB),
                    b"odd \xff\nname": b"odd"}
        for name, data in contents.items():
            (self.source / os.fsdecode(name)).write_bytes(data)
        self.backup()
        for name, data in contents.items():
            self.assertEqual(self.digest(self.place(name))[:2], (hashlib.sha256(data).hexdigest(), len(data)), name)
        together = contents["text"] + contents["big"] + contents["text"]
        self.assertEqual(self.digest(self.place("text"), self.place("big"), self.place("text"))[0],
                         hashlib.sha256(together).hexdigest())
        name = self.snapshots()[0]["name"]
        self.assertEqual(self.yester("cat", self.place("text", name)).out, "hello\n")

    def test_a_very_large_file_with_holes_takes_little_memory(self):
        path, size = self.source / "sparse", 5 * GIB + 12345
        with open(path, "wb") as file:
            file.truncate(size)
            for offset in (0, 700 * MIB + 1, 3 * GIB, size - 9):
                file.seek(offset)
                file.write(b"some data")
        self.backup()
        with open(path, "rb") as file:
            wanted = hashlib.file_digest(file, "sha256").hexdigest()
        self.assertEqual(self.digest(self.place("sparse"))[:2], (wanted, size))
        with open(self.source / "full", "wb") as file:
            for _ in range(150):
                file.write(os.urandom(MIB))
        self.backup()
        # Through a shell, so that what is written is kept by nobody.
        ran = run_measured(["sh", "-c", 'exec "$0" cat "$@" >/dev/null', YESTER, self.place("full"),
                            self.place("sparse")], env=self.environment())
        self.assertEqual(ran.status, DONE, ran)
        self.assertLess(ran.peak, 120 * MIB)

    def test_links_are_followed_inside_of_the_snapshot(self):
        (self.source / "sub").mkdir()
        (self.source / "sub" / "file").write_bytes(b"inside")
        for name, target in (("relative", "sub/file"), ("absolute", self.source / "sub" / "file"), ("folder", "sub"),
                             ("up", "sub/../sub/./file"), ("dangling", "/etc/hostname"), ("loop", "loop"),
                             ("chain", "relative"), ("top", "/../../" + str(self.source)[1:] + "/sub/file")):
            (self.source / name).symlink_to(target)
        self.backup()
        for name in ("relative", "absolute", "folder/file", "up", "chain", "top", "folder/../sub/file"):
            self.assertEqual(self.yester("cat", self.place(name)).out, "inside", name)
        self.assertIn("/etc/hostname", self.yester("cat", self.place("dangling"), status=FAILED).err)
        self.assertIn("symbolic links", self.yester("cat", self.place("loop"), status=FAILED).err)

    def test_what_is_no_file_is_refused_before_anything_is_written(self):
        (self.source / "file").write_bytes(b"hello")
        os.mkfifo(self.source / "fifo")
        os.mknod(self.source / "device", 0o20600, os.makedev(1, 3))
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(self.source / "socket"))
        self.backup()
        for name, word in (("", "a directory"), ("fifo", "a FIFO"), ("device", "a device"), ("socket", "a socket"),
                           ("none", "not in the snapshot"), ("file/below", "not in the snapshot")):
            ran = self.yester("cat", self.place("file"), self.place(name), status=FAILED)
            self.assertEqual(ran.out, "", name)
            self.assertIn(word, ran.err, name)
        for place in ("latest", "latest:", "latest:/"):
            self.yester("cat", place, status=USAGE)
        self.yester("cat", status=USAGE)
        self.yester("cat", "nothing:/etc", status=FAILED)
        self.yester("cat", self.place("file"), "--host", "typo", status=FAILED)

    @unprotected
    def test_damage_ends_it_and_is_told_with_its_place(self):
        data = os.urandom(12 * MIB)
        (self.source / "big").write_bytes(data)
        (self.source / "after").write_bytes(b"after")
        self.backup()
        [pack] = self.packs(1)
        self.flip(pack, pack.stat().st_size // 2)
        process = self.start_yester("cat", self.place("big"), self.place("after"))
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, DAMAGED, err)
        [byte] = re.findall(r"/big cannot be read from byte (\d+) on", err.decode())
        self.assertGreater(int(byte), 0)
        self.assertEqual(int(byte), len(out))
        self.assertEqual(out, data[:len(out)])

    def test_who_reads_may_go_and_who_writes_may_fail(self):
        (self.source / "big").write_bytes(os.urandom(8 * MIB))
        self.backup()
        process = self.start_yester("cat", self.place("big"))
        process.stdout.read(10)
        process.stdout.close()
        self.assertEqual((process.wait(timeout=20), process.stderr.read()), (DONE, b""))
        with open("/dev/full", "wb") as full:
            process = self.start_yester("cat", self.place("big"), stdout=full)
            self.assertIn(b"No space left", process.communicate(timeout=20)[1])
            self.assertEqual(process.returncode, FAILED)
        # Nobody reads, and then it is interrupted.
        process = self.start_yester("cat", self.place("big"))
        process.stdout.read(10)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=20), INTERRUPTED)

    def test_a_write_only_key_reads_nothing(self):
        (self.source / "file").write_bytes(b"hello")
        self.yester("key", "add", "--write-only", "--new-key-file", self.temp / "weak")
        self.backup()
        self.yester("cat", self.place("file"), env={"YESTER_KEY_FILE": self.temp / "weak"}, status=WRONG_KEY)


if __name__ == "__main__":
    unittest.main()
