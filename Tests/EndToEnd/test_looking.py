"""Looking without a mount: ls, find, diff, versions, show, status."""

import hashlib
import os
import shutil
import unittest

from support.cases import EndToEndTest, make_tree, unprotected
from support.machine import DAMAGED, FAILED, ROOT, wait_until


def keys_of(value):
    """All names of fields in a JSON value, at all depths."""
    if isinstance(value, dict):
        return set(value) | set().union(*map(keys_of, value.values()))
    return set().union(*map(keys_of, value)) if isinstance(value, list) else set()


class Looking(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source)
        (self.source / "odd\nname\x1b[31m").write_bytes(b"odd")
        os.mkdir(os.fsencode(self.source) + b"/invalid \xff")
        self.init()
        self.first = self.backup("-d", "first")
        file = self.source / "dir0" / "file-000"
        file.write_bytes(b"changed")
        (self.source / "dir1" / "added").write_bytes(b"added")
        (self.source / "dir2" / "file-002").unlink()
        (self.source / "dir3").chmod(0o711)
        shutil.rmtree(self.source / "dir4")
        (self.source / "dir4").symlink_to("dir0")
        self.second = self.backup("-d", "second")

    def test_ls(self):
        where = f"latest:{self.source}"
        names = self.yester("ls", "--null", where).out.split("\0")[:-1]
        self.assertEqual(sorted(names), sorted(os.fsencode(name).decode(errors="backslashreplace")
                                               for name in os.listdir(self.source)))
        text = self.yester("ls", where).out
        self.assertNotIn("\x1b", text)
        self.assertIn("\\x0Aname\\x1B", text.replace("\\x0a", "\\x0A").replace("\\x1b", "\\x1B"))
        self.assertEqual(len(text.splitlines()), len(os.listdir(self.source)))
        everything = self.yester("ls", "-R", "-0", where).out.split("\0")[:-1]
        self.assertEqual(len(everything), sum(1 for _ in self.source.rglob("*")))
        listed = {one["name"]: one for one in self.yester("ls", "--json", f"{where}/dir1").json}
        self.assertEqual(listed["added"]["sha256"], hashlib.sha256(b"added").hexdigest())
        self.assertEqual(listed["added"]["size"], 5)
        status = (self.source / "dir1" / "hard").stat()
        self.assertEqual(listed["hard"]["links"], status.st_nlink)
        self.assertEqual(int(listed["hard"]["mode"], 8), status.st_mode & 0o7777)
        self.assertIn("drwx--x--x", self.yester("ls", "-l", where).out)
        [alone] = self.yester("ls", "--json", f"{where}/dir1/added").json
        self.assertEqual(alone["path"], str(self.source / "dir1" / "added"))
        ran = self.yester("ls", f"{where}/nowhere", status=FAILED)
        self.assertIn("nowhere", ran.err)
        self.yester("ls", "20010101", status=FAILED)

    def test_find(self):
        found = self.yester("find", "--json", "file-000").json
        self.assertEqual([one["path"] for one in found], [str(self.source / "dir0" / "file-000")])
        versions = found[0]["versions"]
        self.assertEqual([one["first"] for one in versions], [self.first["name"], self.second["name"]])
        self.assertEqual(versions[1]["sha256"], hashlib.sha256(b"changed").hexdigest())
        found = self.yester("find", "--json", "file-002").json
        self.assertEqual(found[0]["versions"][0]["last"], self.first["name"])
        for arguments in (["--snapshot", "latest", "file-002"], ["FILE-000"]):
            self.assertEqual(self.yester("find", "--json", *arguments, status=FAILED).json, [])
        self.assertEqual(len(self.yester("find", "--json", "-i", "FILE-000").json), 1)
        links = self.yester("find", "--json", "--type", "l", "dir4").json
        self.assertEqual([[one["type"] for one in path["versions"]] for path in links], [["symlink"]])
        within = self.yester("find", "--json", f"{str(self.source)[1:]}/**/file-01[0-4]").json
        wanted = {str(path) for path in self.source.rglob("file-01[0-4]")}
        self.assertLessEqual(wanted, {one["path"] for one in within})
        self.assertTrue(wanted)
        text = self.yester("find", "odd*").out
        self.assertNotIn("\x1b", text)

    def found(self, *arguments):
        return {os.path.basename(one["path"]) for one in self.yester("find", "--json", *arguments).json}

    def test_a_plain_word_is_a_part_of_a_name(self):
        wanted = {path.name for path in self.source.rglob("*") if "le-01" in path.name}
        self.assertTrue(wanted)
        self.assertLessEqual(wanted, self.found("le-01"))
        self.assertEqual({name for name in self.found("le-01") if "le-01" not in name}, set())
        self.assertEqual(self.found("-i", "ADDE"), {"added"})
        # With wildcards whole names, with a slash whole paths.
        self.assertEqual(self.found("adde?"), {"added"})
        self.assertEqual(self.found("**/added"), {"added"})
        for pattern, words in (("dde?", "whole name"), ("*dde", "whole name"), ("dir1/added", "whole path"),
                               ("zzz", "No name contains")):
            ran = self.yester("find", pattern, status=FAILED)
            self.assertEqual(ran.out, "", pattern)
            self.assertIn(words, ran.err, pattern)

    def test_diff_of_two_snapshots(self):
        result = self.yester("diff", "--json", f"{self.first['name']}:{self.source}", self.second["name"]).json
        changes = {(one["change"], os.path.basename(one["path"])) for one in result["differences"]
                   if "/dir4/" not in one["path"]}
        self.assertEqual(changes, {("modified", "file-000"), ("modified", "hard"), ("added", "added"),
                                   ("removed", "file-002"), ("metadata", "dir3"), ("type", "dir4")})
        lines = self.yester("diff", self.first["name"], self.second["name"]).out.splitlines()
        self.assertIn(f"+ {self.source}/dir1/added", lines)
        self.assertIn(f"- {self.source}/dir2/file-002", lines)
        self.assertIn(f"M {self.source}/dir0/file-000", lines)
        self.assertIn(f"T {self.source}/dir4", lines)
        self.yester("diff", "--exit-code", self.first["name"], self.second["name"], status=FAILED)
        self.yester("diff", "--exit-code", self.second["name"], self.second["name"])

    def test_diff_against_the_live_files(self):
        where = f"latest:{self.source}"
        self.assertEqual(self.yester("diff", "--json", where, "live").json["differences"], [])
        (self.source / "dir0" / "file-000").write_bytes(b"chAnged")
        (self.source / "new").write_bytes(b"new")
        for live in ("live", f"live:{self.source}", str(self.source)):
            result = self.yester("diff", "--json", where, live).json
            self.assertEqual({(one["change"], os.path.basename(one["path"])) for one in result["differences"]},
                             {("modified", "file-000"), ("modified", "hard"), ("added", "new")}, live)
        self.yester("diff", "--exit-code", where, "live", status=FAILED)

    def test_versions(self):
        self.backup("-d", "third")
        found = self.yester("versions", "--json", self.source / "dir0" / "file-000").json["versions"]
        self.assertEqual([(one["first"], one["last"], one["snapshots"]) for one in found],
                         [(self.first["name"],) * 2 + (1,), (self.second["name"], self.snapshots()[2]["name"], 2)])
        self.assertEqual(found[1]["size"], 7)
        gone = self.yester("versions", "--json", self.source / "dir2" / "file-002").json["versions"]
        self.assertEqual([one["present"] for one in gone], [True, False])
        self.assertEqual(len(self.yester("versions", "--json", self.source / "dir1" / "hard").json["versions"]), 2)
        ran = self.yester("versions", self.source / "never", status={0, FAILED})
        self.assertIn("never", ran.out + ran.err)

    def test_show(self):
        made = self.backup("--kind", "pre-change", "--change-ticket", "CHG-7", "--notes", "a note", "--tag", "t",
                           "--exclude", "*.none", "-d", "with all")
        text = self.yester("show", "latest").out
        for word in (made["name"], made["id"], "CHG-7", "a note", "pre-change", str(self.source), "*.none", "with all"):
            self.assertIn(word, text)
        shown = self.yester("show", "--json", made["id"][:12]).json
        self.assertEqual((shown["id"], shown["counts"]), (made["id"], made["counts"]))
        self.yester("show", "nonsense", status=FAILED)

    def test_a_list_of_some(self):
        both = [self.first["name"], self.second["name"]]
        day = both[0][:8]
        for arguments, wanted in (([], both), ([day], both), (["latest"], both[1:]), ([both[0]], both[:1]),
                                  ([self.second["id"][:6], both[0]], both), ([both[1], both[1]], both[1:])):
            self.assertEqual([one["name"] for one in self.snapshots(*arguments)], wanted, arguments)
        table = self.yester("list", both[1]).out
        self.assertIn("second", table)
        self.assertEqual(len(table.splitlines()), 2)
        for arguments in (["nothing"], [both[0], "nothing"], [""], [day, "--host", "typo"]):
            self.assertEqual(self.yester("list", *arguments, status=FAILED).out, "", arguments)

    def test_status(self):
        found = self.yester("status", "--json").json
        self.assertEqual((found["snapshots"], found["repository"], found["leases"]), (2, str(self.repository), []))
        self.assertEqual(found["pack_bytes"], sum(path.stat().st_size for path in self.objects("packs")))
        self.assertEqual(found["plans"][0]["last"], self.second["name"])
        self.assertIsNone(found["last_verification"])
        self.verify()
        point = self.mount()
        found = self.yester("status", "--json").json
        self.assertIsNotNone(found["last_verification"])
        self.assertEqual([lease["purpose"] for lease in found["leases"]], ["mount"])
        self.assertIn(self.second["name"], self.yester("status").out)
        self.unmount(point)

    def test_the_list_with_files(self):
        catalog = self.yester("list", "--json", "--files").json
        [entry] = [one for one in catalog["daily"].values() if one["id"] == self.second["id"]]
        wanted = {str(path)[1:] for path in self.source.rglob("*") if path.is_file() and not path.is_symlink()}
        self.assertLessEqual(wanted, set(entry["files"]))
        self.assertEqual(len(entry["files"]), self.second["counts"]["files"])
        self.assertEqual(entry["files"][str(self.source / "dir1" / "added")[1:]],
                         {"size": 5, "sha256": hashlib.sha256(b"added").hexdigest()})

    def test_every_field_of_json_is_documented(self):
        page = (ROOT / "docs" / "json.md").read_text()
        point = self.mount()
        outputs = {
            "list": ["list"], "show": ["show", "latest"], "status": ["status"], "key": ["key", "list"],
            "ls": ["ls", "-R", f"latest:{self.source}"], "find": ["find", "file-00*"], "verify": ["verify"],
            "diff": ["diff", self.first["name"], "latest"], "versions": ["versions", self.source / "dir2" / "file-002"],
            "backup": ["backup", self.source], "rotate": ["rotate", "--keep-last", "1", "--dry-run"],
            "prune": ["prune", "--dry-run"], "annotate": ["annotate", "latest", "--add-tag", "x"],
            "remove": ["remove", "--dry-run", "--prune", self.first["name"]],
            "restore": ["restore", f"latest:{self.source}", "--to", self.temp / "to", "--dry-run"]}
        unknown = {name: sorted(field for field in keys_of(self.yester(*command, "--json").json)
                                if f"`{field}`" not in page) for name, command in outputs.items()}
        self.assertEqual({name: fields for name, fields in unknown.items() if fields}, {})
        self.unmount(point)

    @unprotected
    def test_damage_is_told_and_does_not_look_like_absence(self):
        for pack in self.packs(2):
            self.flip(pack, 300)
        for command in (["ls", "-R", f"latest:{self.source}"], ["find", "file-000"],
                        ["diff", self.first["name"], "latest"], ["versions", self.source / "dir0" / "file-000"]):
            ran = self.yester(*command, status=DAMAGED)
            self.assertTrue(ran.err)


class OtherHosts(EndToEndTest):
    """What is said on a machine that has no snapshots itself."""

    def setUp(self):
        super().setUp()
        make_tree(self.source, files=5)
        self.init()

    def test_a_repository_without_snapshots(self):
        self.assertEqual(self.snapshots(), [])
        self.assertEqual(self.snapshots("--host", "any"), [])
        for command in (["ls", "latest"], ["find", "x"], ["restore", "latest", "--to", self.temp / "to"],
                        ["show", "latest"], ["cat", "latest:/x"]):
            self.assertIn("yester backup", self.yester(*command, status=FAILED).err, command)
        # It may be mounted before the first backup, also for a host that is named.
        for arguments in ([], ["--host", "any"]):
            point = self.mount(*arguments)
            self.assertEqual(os.listdir(point), [".yester"])
            self.unmount(point)

    def test_names_the_hosts_that_have_some(self):
        for number in range(2):
            self.backup("--host", "lost.example", "-d", f"n{number}")
        made = self.backup("--host", "another.example", "-d", "x")
        hosts = "The repository has snapshots of: another.example (1), lost.example (2)"
        own = f"no snapshots of this host ({os.uname().nodename})"
        for command in (["list"], ["ls", "latest"], ["show", made["name"][:8]],
                        ["cat", f"latest:{self.source}/dir0/file-000"],
                        ["restore", "latest", "--to", self.temp / "to", "--dry-run"]):
            ran = self.yester(*command)
            self.assertIn(own, ran.err, command)
            self.assertIn(hosts, ran.err, command)
        self.assertNotIn(own, self.yester("show", made["name"]).err, "it was named")
        for command in (["find", "file"], ["versions", self.source]):
            ran = self.yester(*command, status=FAILED)
            self.assertIn(own, ran.err, command)
            self.assertIn(hosts, ran.err, command)
        for command in (["list", "--json"], ["ls", "latest"], ["show", "latest"], ["find", "file"],
                        ["versions", "/etc"], ["restore", "latest", "--to", self.temp / "to"],
                        ["rotate", "--keep-last", "1"], ["annotate", "latest", "-d", "x"], ["remove", made["name"]]):
            ran = self.yester(*command, "--host", "typo", status=FAILED)
            self.assertIn("no snapshots of the host typo", ran.err, command)
            self.assertIn(hosts, ran.err, command)
        self.assertIn("another.example", self.yester("ls", "--host", "another.example", "latest").out + made["host"])
        self.assertEqual(self.yester("list", "--host", "lost.example").err, "")
        self.yester("list", "--plan", "typo", status=FAILED)
        self.assertEqual(len(self.snapshots()), 3)

    def test_names_that_would_upset_a_terminal(self):
        evil = "evil\x1b[31mhost"
        made = self.backup("--host", evil, "--tag", "t\x1b[0m", "-d", "d\x9b0m\n")
        for command, status in ((["list"], 0), (["ls", "latest"], 0), (["show", "latest"], 0), (["find", "no such"], FAILED),
                                (["list", "--host", "typo"], FAILED), (["list", "--tag", "typo"], FAILED),
                                (["list", "--plan", "typo", "--host", evil], FAILED), (["remove", "latest"], 2),
                                (["remove", made["name"]], FAILED), (["rotate", "-n"], 0)):
            ran = self.yester(*command, status=status)
            self.assertNotRegex(ran.out + ran.err, "[\x00-\x08\x0b-\x1f\x7f-\x9f]", command)

    def test_a_mount_says_so(self):
        self.backup("--host", "lost.example")
        point = self.temp / "mnt"
        point.mkdir()
        for arguments in (["--host", "typo"], ["-o", "host=typo"]):
            ran = self.yester("mount", point, *arguments, status=FAILED)
            self.assertIn("no snapshots of the host typo. The repository has snapshots of: lost.example (1)", ran.err)
            self.assertIn("-o host=lost.example", ran.err)
            self.assertFalse(os.path.ismount(point))
        # This machine's own may come yet.
        ran = self.yester("mount", point)
        self.assertIn("lost.example (1)", ran.err)
        self.assertEqual(os.listdir(point), [".yester"])
        made = self.backup()
        wait_until(lambda: made["name"][:8] in os.listdir(point), 3, "the first snapshot does not appear")
        self.unmount(point)
        self.assertEqual(self.yester("mount", point, "--host", "lost.example").err, "")
        self.unmount(point)


if __name__ == "__main__":
    unittest.main()
