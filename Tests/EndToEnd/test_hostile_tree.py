"""Everything a backup program stumbles over: odd names, times, attributes, holes, devices, depth and length."""

import os
import sys
import unittest

from support.cases import EndToEndTest
from support.machine import COMPARE, driver_of, HOSTILE, MIB, peak_memory, RECOVER, recover_python, run

MEMORY_MAX = 150 * MIB
ENTRIES = 3000


class HostileTree(EndToEndTest):
    def setUp(self):
        super().setUp()
        ran = run([sys.executable, HOSTILE, self.source, "--entries", ENTRIES])
        self.assertEqual(ran.status, 0, ran)
        self.init()

    def assert_memory(self, peak, what):
        self.assertGreater(peak, MIB, "the measurement is broken")
        self.assertLess(peak, MEMORY_MAX, f"{what} took {peak // MIB} MiB")

    def test_backup_mount_restore_and_the_second_implementation(self):
        ran = self.yester("backup", "--json", self.source, measured=True)
        self.assert_memory(ran.peak, "backup")
        first = ran.json
        self.assertEqual(ran.err.replace("\n", "").count('"progress"'), ran.err.count("\n"), "warnings: " + ran.err)
        self.assertGreater(first["counts"]["entries"], ENTRIES)

        with self.subTest("mount"):
            point = self.mount()
            self.assert_same_tree(self.source, self.in_mount(point), "--holes")
            self.assert_memory(peak_memory(driver_of(point)), "the driver")
            self.unmount(point)

        with self.subTest("second backup"):
            ran = self.yester("backup", "--json", self.source, measured=True)
            self.assert_memory(ran.peak, "the second backup")
            second = ran.json["counts"]
            self.assertEqual((second["added"], second["deleted"], second["bytes_read"]), (0, 0, 0))
            self.assertEqual(second["entries"], first["counts"]["entries"])
            # Nothing but directories on the way to the source: this test makes its files there.
            self.assertLessEqual(second["modified"], len(self.source.parents))

        with self.subTest("restore"):
            target = self.temp / "restored"
            ran = self.yester("restore", f"latest:{self.source}", "--to", target, measured=True)
            self.assert_memory(ran.peak, "restore")
            self.assert_same_tree(self.source, target, "--holes")
            again = self.yester("restore", f"latest:{self.source}", "--to", target, "--dry-run", "--delete", "--json")
            self.assertEqual((again.json["created"], again.json["replaced"], again.json["deleted"]), (0, 0, 0))

        with self.subTest("verify"):
            ran = self.yester("verify", measured=True)
            self.assert_memory(ran.peak, "verify")

        with self.subTest("recover.py"):
            recovered = self.temp / "recovered"
            ran = run([recover_python(), RECOVER, self.repository, recovered, "--snapshot", first["name"],
                       "--key-file", self.key])
            self.assertEqual(ran.status, 0, ran)
            self.assert_same_tree(self.source, recovered / first["name"] / str(self.source)[1:])

    def test_the_comparison_itself_finds_differences(self):
        copy = self.temp / "copy"
        self.backup()
        self.yester("restore", f"latest:{self.source}", "--to", copy)
        changed = copy / "sizes"
        victim = max((path for path in changed.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
        status = victim.stat()
        data = bytearray(victim.read_bytes())
        data[-1] ^= 1
        victim.write_bytes(data)
        os.utime(victim, ns=(status.st_mtime_ns, status.st_mtime_ns))
        ran = run([sys.executable, COMPARE, self.source, copy])
        self.assertEqual(ran.status, 1)
        self.assertIn("content differs", ran.out)
        self.assertIn(": 1 difference", ran.out)


if __name__ == "__main__":
    unittest.main()
