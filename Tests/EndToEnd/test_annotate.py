"""Snapshots get other descriptions, notes and tags, and everything goes by the new ones."""

import json
import os
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import DONE, FAILED, RECOVER, recover_python, run, USAGE, wait_until, WRONG_KEY


class Annotate(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, files=10)
        self.init()

    def test_all_that_shows_a_snapshot_shows_the_new_words(self):
        made = self.backup("-d", "before update", "--tag", "old", "--notes", "first")
        point = self.mount()
        catalog = point / ".yester" / "backup_metadata.json"
        self.assertEqual(json.loads(catalog.read_text())["daily"][made["name"][:8]]["tags"], ["old"])
        before = {path: path.read_bytes() for path in self.objects("snapshots")}
        said = self.yester("annotate", made["name"], "--description", "before the update of 2026", "--notes", "",
                           "--purpose", "P", "--change-ticket", "CHG-1", "--add-tag", "keep", "--remove-tag", "old")
        for word in ("before the update of 2026", "CHG-1", "keep", "none"):
            self.assertIn(word, said.out)
        wanted = {"description": "before the update of 2026", "notes": "", "purpose": "P", "change_ticket": "CHG-1",
                  "tags": ["keep"]}
        recorded = {"description": "before update", "notes": "first", "purpose": "", "change_ticket": "",
                    "tags": ["old"]}
        shown = self.yester("show", "--json", "latest").json
        [listed] = self.snapshots()
        for one in (shown, listed):
            self.assertEqual({name: one[name] for name in wanted}, wanted)
            self.assertEqual(one["annotated_by"].split("@")[1], os.uname().nodename)
        self.assertEqual(shown["recorded"], recorded)
        self.assertEqual((shown["name"], shown["id"]), (made["name"], made["id"]))
        text = self.yester("show", "latest").out
        self.assertIn("at first", text)
        self.assertIn("before update", text)
        table = self.yester("list").out
        self.assertIn("before the update of 2026", table)
        self.assertIn("keep", table)
        self.assertEqual(len(self.snapshots("--tag", "keep")), 1)
        self.assertIn("keep", self.yester("list", "--tag", "old", status=FAILED).err)
        # The name in the mount stays; its catalog is the new one.
        wait_until(lambda: json.loads(catalog.read_text())["daily"][made["name"][:8]]["tags"] == ["keep"], 5,
                   "the mount's catalog is old")
        self.assertIn(made["name"], os.listdir(point))
        entry = self.yester("list", "--json", "--files").json["daily"][made["name"][:8]]
        self.assertEqual({name: entry[name] for name in wanted}, wanted)
        # Records never change: there is one note more, and nothing else.
        after = {path: path.read_bytes() for path in self.objects("snapshots")}
        self.assertEqual({path: after[path] for path in before}, before)
        self.assertEqual(len(after), len(before) + 1)
        self.verify("--level", "structure")

    def test_the_last_word_counts_and_saying_it_twice_is_none(self):
        self.backup("--tag", "a", "--tag", "b")
        self.yester("annotate", "latest", "-d", "one")
        self.yester("annotate", "latest", "-d", "two", "--tag", "c", "--tag", "a")
        self.assertEqual((self.snapshots()[0]["description"], self.snapshots()[0]["tags"]), ("two", ["a", "c"]))
        objects = len(self.objects("snapshots"))
        again = self.yester("annotate", "latest", "-d", "two", "--add-tag", "a", "--json").json
        self.assertEqual((again["changed"], again["description"]), (False, "two"))
        self.assertEqual(len(self.objects("snapshots")), objects)
        planned = self.yester("annotate", "latest", "--no-tags", "-n", "--json").json
        self.assertEqual((planned["changed"], planned["dry_run"], planned["tags"]), (True, True, []))
        self.assertEqual(len(self.objects("snapshots")), objects)
        self.yester("annotate", "latest", "--no-tags", "-d", "")
        self.assertEqual((self.snapshots()[0]["description"], self.snapshots()[0]["tags"]), ("", []))

    def test_rotation_goes_by_the_new_tags(self):
        names = [self.backup("--tag", "forever" if number == 1 else "x", "-d", f"n{number}")["name"]
                 for number in range(4)]
        self.yester("annotate", names[0], "--add-tag", "forever")
        self.yester("annotate", names[1], "--remove-tag", "forever")
        self.yester("rotate", "--keep-last", "1", "--keep-tag", "forever")
        self.assertEqual([one["name"] for one in self.snapshots()], [names[0], names[3]])
        self.verify()

    def test_bad_values(self):
        self.backup()
        for arguments in ([], ["--add-tag", ""], ["--add-tag", "x" * 256], ["--tag", "a\nb"], ["-d", "x" * 70000],
                          ["--tag", "x", "--no-tags"], [word for n in range(300) for word in ("--add-tag", str(n))]):
            self.yester("annotate", "latest", *arguments, status=USAGE)
        self.yester("annotate", "nothing", "-d", "x", status=FAILED)
        self.yester("annotate", "latest:/etc", "-d", "x", status=USAGE)
        self.assertEqual(self.snapshots()[0]["annotated_by"], None)

    def test_a_write_only_key_describes_its_own(self):
        foreign = self.backup("-d", "foreign")["name"]
        self.yester("key", "add", "--write-only", "--new-key-file", self.temp / "weak")
        weak = {"YESTER_KEY_FILE": self.temp / "weak", "YESTER_CACHE_DIR": self.temp / "other-cache"}
        own = self.backup("-d", "own", "--tag", "forever", env=weak)["name"]
        self.yester("annotate", own, "-d", "described", "--add-tag", "more", "--notes", "n", env=weak)
        self.yester("annotate", foreign, "-d", "mine", env=weak, status=FAILED)
        for arguments in (["--remove-tag", "forever"], ["--no-tags"], ["--tag", "another"]):
            self.yester("annotate", own, *arguments, env=weak, status=WRONG_KEY)
        snapshots = {one["name"]: one for one in self.snapshots()}
        self.assertEqual((snapshots[own]["description"], snapshots[own]["tags"]), ("described", ["forever", "more"]))
        # What a full key has said stands.
        self.yester("annotate", own, "-d", "infected")
        self.assertIn("full key", self.yester("annotate", own, "-d", "harmless", env=weak, status=WRONG_KEY).err)
        self.yester("annotate", own, "--notes", "later", env=weak)
        [shown] = self.snapshots(env=weak)
        self.assertEqual((shown["description"], shown["notes"]), ("infected", "later"))

    def test_the_second_implementation_reads_on(self):
        made = self.backup("-d", "first")["name"]
        self.yester("annotate", made, "-d", "second words", "--add-tag", "t")
        ran = run([recover_python(), RECOVER, self.repository, "--list", "--key-file", self.key])
        self.assertEqual(ran.status, DONE, ran)
        self.assertIn(made, ran.out)
        self.assertIn("second words", ran.out)
        ran = run([recover_python(), RECOVER, self.repository, self.temp / "out", "--key-file", self.key])
        self.assertEqual(ran.status, DONE, ran)
        self.assert_same_tree(self.source, self.temp / "out" / made / str(self.source)[1:])


if __name__ == "__main__":
    unittest.main()
