"""Lists of entries as they are done: `-v` and `-vv` of backup and restore."""

import json
import os
import pathlib
import unittest

from support.cases import EndToEndTest
from support.machine import DONE, FAILED, INCOMPLETE, MIB, run, USAGE, YESTER


class Listing(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.init()
        (self.source / "folder").mkdir(parents=True)
        (self.source / "folder" / "deep").write_text("deep")
        (self.source / "file").write_text("file")
        (self.source / "link").symlink_to("file")
        os.link(self.source / "file", self.source / "other name")
        os.mkfifo(self.source / "pipe")
        (self.source / "left out").mkdir()
        (self.source / "left out" / "x").write_text("x")

    def lines(self, text):
        """The kind of each listed path below the source; kinds of what is above it aside."""
        found = {}
        for line in text.splitlines():
            kind, path = line[:10].rstrip(), line[10:]
            if path.startswith(f"{self.source}/"):
                self.assertNotIn(path, found)
                found[path.removeprefix(f"{self.source}/")] = kind
        return found

    def listed(self, *options, status=DONE):
        return self.lines(self.yester("backup", *options, "-e", "left out/", self.source, status=status).out)

    def test_a_backup(self):
        ran = self.yester("backup", "-v", "-e", "left out/", self.source)
        everything = {"": "added", "folder/": "added", "folder/deep": "added", "file": "added", "link": "added",
                      "other name": "added", "pipe": "added"}
        self.assertEqual(self.lines(ran.out), everything)
        self.assertEqual(sum(line.startswith("added ") for line in ran.out.splitlines()), self.snapshots()[-1]["counts"]["added"])
        # In the order of the walk, a directory behind its content.
        places = [ran.out.index(f"{self.source}/{name}\n") for name in
                  ("file", "folder/deep", "folder/", "link", "other name", "pipe", "")]
        self.assertEqual(places, sorted(places))

        self.assertEqual(self.listed("-v"), {})
        unchanged = {path: "unchanged" for path in everything}
        self.assertEqual(self.listed("-vv"), unchanged | {"left out": "excluded"})

        (self.source / "folder" / "deep").write_text("deeper")
        (self.source / "link").unlink()
        (self.source / "link").mkdir()
        (self.source / "new").write_text("new")
        changes = {"": "modified", "folder/deep": "modified", "link/": "added", "new": "added"}
        self.assertEqual(self.listed("-v", "--dry-run"), changes)
        self.assertEqual(self.listed("--verbose"), changes)

    def test_what_cannot_be_read_is_named_on_stderr_alone(self):
        (self.source / "file").chmod(0)
        (self.source / "folder").chmod(0)
        drop = "cap_dac_override,cap_dac_read_search"
        ran = run(["capsh", f"--drop={drop}", "--", "-c", f"{YESTER} backup -vv '{self.source}'"], env=self.environment())
        self.assertEqual(ran.status, INCOMPLETE, ran)
        found = self.lines(ran.out)
        self.assertNotIn("file", found)
        self.assertNotIn("folder/deep", found)
        self.assertEqual(found["link"], "added")
        self.assertIn(f"{self.source}/file: ", ran.err)
        self.assertIn(f"{self.source}/folder: ", ran.err)

    def test_a_file_system_that_is_not_entered(self):
        (self.source / "proc").mkdir()
        self.assertEqual(run(["mount", "-t", "proc", "proc", self.source / "proc"]).status, 0)
        self.addCleanup(run, ["umount", "-l", self.source / "proc"])
        ran = self.yester("backup", "-vv", self.source)
        self.assertRegex(ran.out, rf"(?m)^skipped   {self.source}/proc/ \(.+\)$")
        self.assertNotIn("skipped", self.yester("backup", "-v", self.source).out)

    def test_names_stay_on_their_lines(self):
        odd = os.fsencode(self.source) + b"/a\nadded     etc"
        raw = os.fsencode(self.source) + b"/raw\xff"
        for path in (odd, raw):
            with open(path, "wb"):
                pass
        out = self.temp / "out"
        with open(out, "wb") as file:
            process = self.start_yester("backup", "-v", self.source, stdout=file)
            process.communicate(timeout=60)
        lines = out.read_bytes().split(b"\n")
        self.assertIn(b"added     " + os.fsencode(self.source) + b"/a\\x0aadded     etc", lines)
        self.assertIn(b"added     " + raw, lines)
        self.assertNotIn(b"added     etc", lines)

    def test_json(self):
        raw = os.fsencode(self.source) + b"/raw\xff"
        with open(raw, "wb") as file:
            file.write(b"12345")
        ran = self.yester("backup", "--json", "-vv", "-e", "left out/", self.source)
        self.assertEqual(ran.json["counts"]["added"], sum('"added"' in line for line in ran.err.splitlines()))
        told = [json.loads(line) for line in ran.err.splitlines()]
        entries = {one["path"]: one for one in told if "entry" in one}
        self.assertEqual(entries[f"{self.source}/file"], {
            "entry": "added", "type": "file", "path": f"{self.source}/file", "size": 4})
        self.assertEqual(entries[f"{self.source}/link"], {
            "entry": "added", "type": "symlink", "path": f"{self.source}/link"})
        self.assertEqual(entries[f"{self.source}/left out"], {
            "entry": "excluded", "path": f"{self.source}/left out"})
        self.assertEqual(entries[f"{self.source}/raw\ufffd"]["path_hex"], raw.hex())
        ran = self.yester("restore", f"latest:{self.source}", "--to", self.temp / "to", "-v", "--json")
        entries = [one for one in map(json.loads, ran.err.splitlines()) if "entry" in one]
        self.assertEqual(sum(one["entry"] == "created" for one in entries), ran.json["created"])
        self.assertIn({"entry": "created", "type": "file", "path": "/folder/deep", "size": 4}, entries)

    def test_a_restore(self):
        self.backup("-e", "nothing", self.source)
        target = self.temp / "to"
        place = f"latest:{self.source}"

        def restore(*options):
            ran = self.yester("restore", place, "--to", target, *options)
            return {line[10:]: line[:10].rstrip() for line in ran.out.splitlines()[:-1]}

        everything = {"folder/", "folder/deep", "file", "link", "other name", "pipe", "left out/", "left out/x"}
        self.assertEqual(restore("-v"), {path: "created" for path in everything} | {"./": "metadata"})
        self.assertEqual(restore("-v"), {})
        self.assertEqual(restore("-vv"), {path: "unchanged" for path in everything if not path.endswith("/")})

        (target / "folder" / "deep").write_text("something else")
        (target / "pipe").unlink()
        (target / "more").write_text("more")
        (target / "left out" / "x").unlink()
        (target / "left out").rmdir()
        (target / "left out").write_text("a file in the place of a directory")
        os.utime(target / "link", (0, 0), follow_symlinks=False)
        self.assertEqual(restore("-v", "--delete"), {
            "folder/deep": "replaced", "pipe": "created", "more": "deleted", "left out/": "replaced",
            "left out/x": "created", "link": "metadata", "./": "metadata"})
        self.assert_same_tree(self.source, target)

    def test_a_list_that_nobody_reads_ends_and_the_run_goes_on(self):
        for number in range(3000):
            (self.source / f"file {number:05d} {'x' * 60}").write_text("")
        command = f"{YESTER} backup -v '{self.source}' | head -n 1"
        ran = run(["bash", "-c", f"set -o pipefail; {command}"], env=self.environment())
        self.assertEqual(ran.status, DONE, ran)
        self.assertEqual(self.snapshots()[-1]["counts"]["files"], 3000 + 4)
        with open("/dev/full", "wb") as full:
            process = self.start_yester("backup", "-vv", self.source, stdout=full)
            _, err = process.communicate(timeout=60)
        self.assertIn("could not be written to standard output", err if isinstance(err, str) else err.decode())
        self.assertEqual(process.returncode, FAILED)
        self.assertEqual(len(self.snapshots()), 2)

    def test_it_contradicts_quiet(self):
        self.yester("backup", "-v", "-q", self.source, status=USAGE)
        self.yester("restore", "latest", "--to", self.temp / "to", "-v", "-q", status=USAGE)
        self.assertEqual(self.snapshots(), [])


if __name__ == "__main__":
    unittest.main()
