"""The main job: make snapshots, look at them as directories, copy files back."""

import json
import os
import re
import unittest

from support.cases import EndToEndTest, make_tree, tree_state
from support.machine import NO_REPOSITORY, run, USAGE, WRONG_KEY


class MainJob(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, big=2)
        run(["setfacl", "-m", "u:1234:rw", self.source / "dir0" / "file-000"])
        os.setxattr(self.source / "dir1", "user.note", b"kept \0 bytes")
        self.init()

    def change_source(self):
        (self.source / "dir0" / "file-000").write_bytes(b"other content\n")
        (self.source / "dir1" / "added").write_bytes(b"new\n")
        (self.source / "dir2" / "file-002").unlink()
        (self.source / "link").unlink()
        (self.source / "link").symlink_to("dir1/added")

    def test_two_snapshots_as_directories(self):
        before = self.temp / "before"
        run(["cp", "-a", self.source, before])
        first = self.backup()
        self.change_source()
        second = self.backup("--description", "before upgrade")

        point = self.mount()
        for snapshot, wanted in ((first, before), (second, self.source)):
            mounted = self.in_mount(point, snapshot["name"])
            self.assert_same_tree(wanted, mounted, "--holes")
            ran = run(["diff", "-r", "--no-dereference", "--exclude=fifo", wanted, mounted])
            self.assertEqual((ran.status, ran.out, ran.err), (0, "", ""))
            ran = run(["rsync", "-aHAXn", "--checksum", "--delete", "--itemize-changes", f"{mounted}/", f"{wanted}/"])
            self.assertEqual((ran.status, ran.out, ran.err), (0, "", ""))
        copied = self.temp / "copied"
        self.assertEqual(run(["cp", "-a", self.in_mount(point), copied]).status, 0)
        self.assert_same_tree(self.source, copied)
        self.assertIn("file-000", run(["ls", "-laR", self.in_mount(point)]).out)
        self.unmount(point)
        self.verify()

    def test_a_copied_tree_equals_the_restored_one(self):
        self.backup()
        self.assert_same_tree(self.source, self.restored())
        everything = self.temp / "everything"
        self.yester("restore", "latest", "--to", everything)
        self.assert_same_tree(self.source, everything / str(self.source)[1:])

    def test_names_tell_time_and_description(self):
        # The first minute may end between two backups: so the seconds decide what may be there.
        names = [self.backup()["name"] for _ in range(4)]
        self.assertRegex(names[0], r"^\d{8}_\d{4}$")
        for name in names[1:]:
            self.assertRegex(name, r"^\d{8}_\d{4}(\d\d)?(-\d+)?$")
        self.assertEqual(len(set(names)), 4, names)
        described = self.backup("-d", "before upgrade")
        self.assertRegex(described["name"], r"^\d{8}_\d{4}_before-upgrade$")
        self.assertEqual(described["description"], "before upgrade")
        odd = self.backup("-d", "../../etc/passwd\n$(x)")
        self.assertNotIn("/", odd["name"])
        self.assertTrue(re.fullmatch(r"\d{8}_\d{4}(\d\d)?_[\w.-]+", odd["name"]), odd["name"])
        point = self.mount()
        shown = set(os.listdir(point))
        self.assertLessEqual({*names, described["name"], odd["name"]}, shown)

    def test_a_name_keeps_the_time_zone_of_its_making(self):
        far = self.backup(env={"TZ": "Pacific/Kiritimati"})
        near = self.backup(env={"TZ": "UTC"})
        self.assertTrue(far["created"].endswith("+14:00"), far["created"])
        stamp = far["created"]
        self.assertEqual(far["name"][:13], stamp[:16].replace("-", "").replace("T", "_").replace(":", ""))
        point = self.mount(env={"TZ": "America/New_York"})
        self.assertTrue((point / far["name"]).is_dir())
        self.assertEqual(os.readlink(point / "latest"), near["name"])

    def test_list_as_text_and_json(self):
        self.assertIn("no snapshots", self.yester("list").out)
        self.assertEqual(self.snapshots(), [])
        notes = "näh \"quoted\" \u2603"
        first = self.backup("--tag", "alpha", "--purpose", "test", "--notes", notes, "--kind", "manual")
        second = self.backup("--plan", "other")
        listed = self.snapshots()
        self.assertEqual([one["id"] for one in listed], [first["id"], second["id"]])
        self.assertEqual(listed[0]["tags"], ["alpha"])
        self.assertEqual(listed[0]["notes"], notes)
        self.assertEqual(listed[0]["kind"], "manual")
        self.assertEqual(listed[0]["sources"], [str(self.source)])
        self.assertEqual(listed[0]["counts"], first["counts"])
        table = self.yester("list").out
        for one in listed:
            self.assertIn(one["name"], table)
            self.assertIn(one["id"][:8], table)
        self.assertEqual([one["id"] for one in self.snapshots("--plan", "other")], [second["id"]])

    def test_counts(self):
        first = self.backup()["counts"]
        state = tree_state(self.source)
        self.assertEqual(first["files"], sum(mode >> 12 == 0o10 for mode, *_ in state.values()))
        self.assertEqual(first["links"], 1)
        self.assertEqual(first["others"], 1)
        again = self.backup()["counts"]
        self.assertEqual((again["added"], again["deleted"], again["bytes_read"]), (0, 0, 0))
        self.assertEqual(again["entries"], first["entries"])
        self.change_source()
        third = self.backup()["counts"]
        self.assertEqual((third["added"], third["deleted"]), (1, 1))
        # Two names of one changed file, a link, three directories; those on the way to the source may change as well.
        self.assertIn(third["modified"], range(6, 7 + len(self.source.parents)))
        self.assertEqual(third["entries"], third["added"] + third["modified"] + third["unchanged"])
        self.assertEqual(third["entries"], first["entries"])

    def test_a_snapshot_proven_at_once_through_a_mount(self):
        self.backup()
        self.assertIs(self.snapshots()[0]["verified"], False)
        (self.source / "new").write_bytes(b"new")
        self.backup("--verify", "mount")
        last = self.snapshots()[-1]
        self.assertEqual((last["verified"], last["verified_level"]), (True, "mount"))
        self.assertEqual(self.objects("leases"), [], "the mount was left behind")

    def test_progress_and_results_as_json_lines(self):
        ran = self.yester("backup", "--json", self.source)
        self.assertEqual(ran.json["dry_run"], False)
        for line in ran.err.splitlines():
            json.loads(line)
        self.assertEqual(self.yester("backup", "--quiet", self.source).out, "")

    def test_the_repository_and_the_secret_must_be_right(self):
        ran = self.yester("list", status=NO_REPOSITORY, env={"YESTER_REPOSITORY": self.temp / "nowhere"})
        self.assertIn(str(self.temp / "nowhere"), ran.err)
        self.yester("list", status=USAGE, env={"YESTER_REPOSITORY": None})
        self.yester("list", status=NO_REPOSITORY, env={"YESTER_REPOSITORY": self.source})
        other = self.temp / "other-key"
        other.write_text("ab" * 32 + "\n")
        self.yester("list", "--key-file", other, status=WRONG_KEY)
        other.write_text("this is no key\n")
        self.yester("list", "--key-file", other, status=WRONG_KEY)
        self.yester("list", "--no-such-option", status=USAGE)
        self.yester("backup", status=USAGE)
        ran = self.yester("init", "--key-file", self.key, status=1)
        self.assertIn(str(self.repository), ran.err)
        self.assertEqual(self.snapshots(), [])

    def test_passwords(self):
        self.repository = self.temp / "with-password"
        no_key = {"YESTER_KEY_FILE": None}
        password = self.temp / "password"
        password.write_text("pässword with spaces\nsecond line\n")
        self.yester("init", "--password-file", password, env=no_key)
        right, wrong = "pässword with spaces", "pässword with space"
        made = self.backup(env=no_key | {"YESTER_PASSWORD": right})
        point = self.mount("--password-command", f"cat {password}", env=no_key)
        self.assert_same_tree(self.source, self.in_mount(point, made["name"]))
        self.yester("list", status=WRONG_KEY, env=no_key | {"YESTER_PASSWORD": wrong})
        self.mount(at="refused", status=WRONG_KEY, env=no_key | {"YESTER_PASSWORD": "x"})
        self.assertFalse(os.path.ismount(self.temp / "refused"))
        self.yester("init", status=USAGE, env=no_key | {"YESTER_REPOSITORY": self.temp / "n", "YESTER_PASSWORD": ""})


if __name__ == "__main__":
    unittest.main()
