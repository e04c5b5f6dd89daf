"""What a backup can be told about its pace: compression, how many files at a time, how much a second."""

import os
import random
import signal
import time
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import INTERRUPTED, MIB, run, USAGE, YESTER


class Pace(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, big=1)
        self.init()

    def test_levels_of_compression(self):
        (self.source / "text").write_text("".join(f"line {number % 977} of {number}\n" for number in range(300_000)))
        stored = {}
        for level in (None, 1, 19):
            options = [] if level is None else ["--compression", level]
            self.repository = self.temp / f"repository-{level}"
            self.init()
            stored[level] = self.backup(*options)["counts"]["bytes_stored"]
            self.verify()
            self.assert_same_tree(self.source, self.restored(to=f"restored-{level}"))
        self.assertLess(stored[19], stored[1])
        self.assertLess(stored[19], stored[None])
        for wrong in ("0", "20", "x"):
            self.yester("backup", "--compression", wrong, self.source, status=USAGE)

    def test_how_many_files_at_a_time(self):
        for number in range(600):
            (self.source / f"file-{number}").write_bytes(random.Random(number).randbytes(number * 37))
        os.link(self.source / "file-599", self.source / "another name")
        for number in (1, 3, 64):
            self.repository = self.temp / f"repository-{number}"
            self.init()
            self.backup("--read-concurrency", number)
            self.verify()
            self.assert_same_tree(self.source, self.restored(to=f"restored-{number}"))
        for wrong in ("0", "65", "-1"):
            self.yester("backup", f"--read-concurrency={wrong}", self.source, status=USAGE)

    def test_how_much_a_second(self):
        (self.source / "noise").write_bytes(random.Random(1).randbytes(3 * MIB))
        began = time.monotonic()
        self.backup("--limit-upload", 1024)
        took = time.monotonic() - began
        self.assertGreater(took, 2.5, "more than 1 MiB a second was written")
        self.assertLess(took, 20)
        self.verify()
        self.assert_same_tree(self.source, self.restored())
        self.yester("backup", "--limit-upload", "0", self.source, status=USAGE)

    def test_an_interruption_does_not_wait_for_the_pace(self):
        (self.source / "noise").write_bytes(random.Random(2).randbytes(12 * MIB))
        # A block of the noise alone would take two minutes.
        process = self.start_yester("backup", "--limit-upload", "8", self.source)
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        self.assertEqual(process.returncode, INTERRUPTED, err)
        self.verify()
        self.backup()


class SystemCalls(EndToEndTest):
    """What a file costs: measured, so that nobody adds a call by accident."""

    FILES = 1000

    def counts(self, *arguments):
        log = self.temp / "calls"
        ran = run(["strace", "-f", "-c", "-o", log, YESTER, "backup", *arguments, self.source],
                  env=self.environment())
        self.assertEqual(ran.status, 0, ran.err)
        calls = {}
        for line in log.read_text().splitlines():
            parts = line.split()
            if len(parts) >= 5 and parts[3].isdigit():
                calls[parts[-1]] = int(parts[3])
        return calls

    def test_a_file_costs_few(self):
        self.init()
        self.source.mkdir(exist_ok=True)
        for number in range(self.FILES):
            (self.source / f"file-{number}").write_text(f"content {number}")
        time.sleep(3.1)  # until their times are not of this moment any more
        # The folders of packs and of second copies, libraries, and the like.
        slack = 500
        first = self.counts()
        for call in ("openat", "close", "flistxattr"):
            self.assertLess(first[call], self.FILES + slack, first)
        # Of each file once, and of hardly anything else.
        self.assertLess(first["statx"], self.FILES + slack, first)
        self.assertLess(first.get("preadv2", 0) + first.get("pread64", 0), self.FILES + slack, first)
        second = self.counts()
        self.assertLess(second["statx"], self.FILES + slack, second)
        for call in ("openat", "close", "flistxattr", "pread64", "read"):
            self.assertLess(second.get(call, 0), slack, second)
        self.assertEqual(second.get("preadv2", 0), 0, second)


if __name__ == "__main__":
    unittest.main()
