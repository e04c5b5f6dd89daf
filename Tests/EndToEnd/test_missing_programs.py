"""Programs that yester starts and that are not there: the error names the right one, and says where it was looked for."""

import os
import shutil
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import FAILED, run, YESTER


class MissingDriver(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, files=4)
        self.init()
        # Without its driver beside it, and on no path that has one.
        self.alone = self.temp / "alone"
        self.alone.mkdir()
        shutil.copy(YESTER, self.alone / "yester")
        self.path = ":".join(folder for folder in os.environ["PATH"].split(":")
                             if not os.path.exists(os.path.join(folder, "yesterfs")))

    def yester_alone(self, *arguments):
        return run([self.alone / "yester", *arguments], env=self.environment(PATH=self.path))

    def assert_says_where(self, ran):
        self.assertEqual(ran.status, FAILED, f"{ran}")
        self.assertIn("The driver yesterfs could not be started", ran.err)
        self.assertIn(f"{self.alone}", ran.err)
        self.assertIn("PATH", ran.err)
        self.assertNotIn("fuse3", ran.err)

    def test_mounting_says_that_the_driver_is_missing(self):
        point = self.temp / "mnt"
        point.mkdir()
        self.assert_says_where(self.yester_alone("mount", point))

    def test_a_verification_through_a_mount_says_that_the_driver_is_missing(self):
        ran = self.yester_alone("backup", "--verify", "mount", self.source)
        self.assert_says_where(ran)
        # The snapshot is made by then.
        self.assertEqual(len(self.snapshots()), 1)

    def test_a_driver_that_may_not_be_executed_is_named_with_its_path(self):
        driver = self.alone / "yesterfs"
        driver.write_text("no program\n")
        ran = self.yester_alone("backup", "--verify", "mount", self.source)
        self.assertEqual(ran.status, FAILED, f"{ran}")
        self.assertIn(f"The driver {driver} could not be started: Permission denied", ran.err)
        self.assertNotIn("fuse3", ran.err)


if __name__ == "__main__":
    unittest.main()
