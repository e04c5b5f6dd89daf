"""What people say of a snapshot is checked against the limits of the format before all else, and so are words that
are empty because a variable was."""

import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import FAILED, run, USAGE, YESTER


class Words(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source)
        self.init()

    def refused(self, *arguments, says):
        ran = self.yester(*arguments, status=USAGE)
        self.assertIn(says, ran.err)
        self.assertEqual(ran.out, "", ran)
        return ran.err

    def test_what_cannot_be_recorded_makes_no_snapshot(self):
        long = "x" * 70000
        for option in ("--notes", "--purpose", "--creator", "--description", "--change-ticket"):
            with self.subTest(option):
                self.refused("backup", option, long, self.source, says="is too long")
        for tag in ("", "x" * 256, long):
            with self.subTest(tag=len(tag)):
                self.refused("backup", "--tag", tag, self.source, says="A tag has 1 to 255 bytes")
        self.refused("backup", *(word for n in range(1025) for word in ("--tag", n)), self.source, says="too many tags")
        patterns = self.temp / "patterns"
        patterns.write_text("".join(f"/{number:x>4000}\n" for number in range(2200)))
        self.refused("backup", "--exclude-from", patterns, self.source, says="too much to be recorded")
        self.assertEqual(self.snapshots(), [])
        self.assertEqual(self.objects("packs"), [], "something was read before the words were looked at")
        self.verify()

    def test_what_can_just_be_recorded_can_be_read(self):
        made = self.backup("--notes", "n" * 65536, "--tag", "t" * 255, *(w for n in range(1023) for w in ("--tag", n)))
        self.assertEqual(len(self.snapshots()[0]["notes"]), 65536)
        self.assertEqual(len(self.snapshots()[0]["tags"]), 1024)
        self.assertEqual(self.snapshots()[0]["id"], made["id"])
        self.verify()

    def test_empty_words(self):
        self.backup()
        for arguments in (["restore", "latest", "--to", ""], ["rollback", "latest", ""], ["mount", ""], ["unmount", ""],
                          ["backup", "--files-from", ""], ["find", ""], ["versions", ""], ["backup", ""],
                          ["backup", "--exclude", "", self.source]):
            with self.subTest(arguments):
                self.assertRegex(self.refused(*arguments, says="yester: "), r"\Ayester: .*(is empty|empty path|was given no)")
        self.assertEqual(len(self.snapshots()), 1)

    def test_a_working_directory_that_is_gone(self):
        self.backup()
        gone = self.temp / "gone"
        for arguments in (["restore", "latest", "--to", "x/y"], ["restore", "-n", "latest", "--to", "x"],
                          ["rollback", "latest", "x"], ["backup", "x"], ["versions", "x"], ["mount", "x"]):
            with self.subTest(arguments):
                gone.mkdir()
                words = " ".join([str(YESTER), *arguments])
                ran = run(["sh", "-c", f"cd '{gone}' && rmdir '{gone}' && exec timeout -s KILL 20 {words}"],
                          env=self.environment())
                self.assertEqual(ran.status, FAILED, ran)
                self.assertRegex(ran.err, r"\Ayester")

    def test_markers_are_names(self):
        for marker in ("", "a/b"):
            self.refused("backup", "--exclude-if-present", marker, self.source, says="takes one without a slash")

    def test_usage_is_that_of_the_command(self):
        self.assertIn("Usage: yester verify ", self.refused("verify", "--level", "packs", "latest", says="all objects"))

    def test_one_is_not_many(self):
        (self.temp / "one").mkdir()
        (self.temp / "one" / "file").write_text("1")
        said = self.yester("backup", self.temp / "one" / "file").out
        self.assertIn(" in 1 file\n", said)
        self.assertIn("with 1 entry\n", self.yester("versions", self.temp / "one").out)
        self.assertRegex(self.yester("show", "latest").out, r"entries: 1 file, [0-9]+ directories, 0 symbolic links")
        self.assertIn(": 1 snapshot, ", self.yester("verify").out)

    def test_quiet_says_nothing_when_nothing_is_to_be_done(self):
        self.backup()
        self.assertEqual(self.yester("rollback", "-q", "latest", self.source).out, "")
        self.assertIn("Plan: ", self.yester("rollback", "latest", self.source).out)
        self.assertEqual(self.yester("rollback", "-q", "--json", "latest", self.source).json["steps"], [])


if __name__ == "__main__":
    unittest.main()
