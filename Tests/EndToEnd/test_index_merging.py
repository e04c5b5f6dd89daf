"""Backups join small segments of the index; nothing may get lost on the way."""

import os
import unittest

from support.cases import EndToEndTest


class Merging(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.source.mkdir(exist_ok=True)
        self.init()

    def back_up_often(self, times, start=0):
        for number in range(start, start + times):
            (self.source / f"file-{number}").write_bytes(os.urandom(2000))
            self.backup("-d", f"number {number}")

    def test_many_backups_have_few_segments(self):
        self.back_up_often(20)
        self.assertLess(len(self.objects("index")), 9)
        self.verify()
        self.assert_same_tree(self.source, self.restored())

    def test_a_damaged_local_copy_does_not_get_into_the_repository(self):
        """The local copies of segments have no sums: a merge must not take its content from there."""
        self.back_up_often(7)
        copies = [path for path in self.temp.rglob("index/*") if self.repository not in path.parents]
        self.assertGreaterEqual(len(copies), 7, "the local copies are not where they were")
        # Those that the next backups look nothing up in but what they would store again.
        for copy in sorted(copies, key=os.path.getmtime)[:5]:
            content = bytearray(copy.read_bytes())
            # The last chunks' ids (docs/format.md): of 32 bytes each, the first 20.
            for record in range(len(content) - 3 * 32, len(content), 32):
                for place in range(record + 2, record + 20):
                    content[place] ^= 0x10
            copy.write_bytes(content)
        self.back_up_often(3, start=7)
        for copy in self.temp.rglob("index/*"):
            if self.repository not in copy.parents:
                copy.unlink()
        self.verify()
        self.assert_same_tree(self.source, self.restored())

    def test_a_lease_that_a_power_failure_emptied(self):
        self.back_up_often(1)
        empty = self.repository / "leases" / ("ab" * 16)
        empty.write_bytes(b"")
        self.backup("-d", "beside it")
        self.yester("prune")
        self.assertFalse(empty.exists())


if __name__ == "__main__":
    unittest.main()
