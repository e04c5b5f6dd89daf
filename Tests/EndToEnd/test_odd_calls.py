"""Odd ways to call yester: relative, nested and repeated sources, names that are no text, closed and full outputs."""

import os
import unittest

from support.cases import EndToEndTest, make_tree, tree_state
from support.machine import DONE, FAILED, NO_REPOSITORY, run, USAGE, YESTER


class OddCalls(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source)
        self.init()

    def test_relative_paths(self):
        for word, inside, wanted in ((".", self.source, self.source), ("dir0", self.source, self.source / "dir0"),
                                     ("../source/dir1/", self.source, self.source / "dir1"),
                                     ("dir0/..", self.source, self.source),
                                     ("./dir2", self.source, self.source / "dir2")):
            made = self.yester("backup", "--json", word, cwd=inside).json
            self.assertEqual(made["sources"], [str(wanted)], word)
        relative = {"YESTER_REPOSITORY": "../repository", "YESTER_KEY_FILE": "../key", "YESTER_CACHE_DIR": "../cache"}
        self.yester("list", env=relative, cwd=self.source)
        self.backup(env=relative, cwd=self.source)
        (self.temp / "mnt").mkdir()
        self.yester("mount", "../mnt", env=relative, cwd=self.source)
        self.assert_same_tree(self.source, self.in_mount(self.temp / "mnt"))
        self.yester("restore", f"latest:{self.source}", "--to", "../restored", env=relative, cwd=self.source)
        self.assert_same_tree(self.source, self.temp / "restored")

    def test_nested_and_repeated_sources(self):
        entries = self.backup()["counts"]["entries"]
        for words in ((self.source, self.source), (self.source, self.source / "dir0"),
                      (self.source / "dir0" / "file-000", self.source, self.source / "dir1")):
            made = self.backup(*words)
            self.assertEqual(made["counts"]["entries"], entries, words)
            self.assertEqual(made["counts"]["deleted"], 0)
            self.assert_same_tree(self.source, self.restored(made["name"], to=made["name"]))

    def test_sources_that_lie_apart(self):
        made = self.backup(self.source / "dir0", self.source / "dir2" / "file-002")
        target = self.temp / "all"
        self.yester("restore", made["name"], "--to", target)
        top = target / str(self.source)[1:]
        self.assertEqual(sorted(os.listdir(top)), ["dir0", "dir2"])
        self.assertEqual(os.listdir(top / "dir2"), ["file-002"])
        self.assert_same_tree(self.source / "dir0", top / "dir0", "--skip", "file-000")

    def test_names_that_are_no_utf8(self):
        """File names are bytes: also those that stand in a command line."""
        odd = os.fsencode(self.source) + b"/odd \xff\xfe"
        os.mkdir(odd)
        with open(odd + b"/in\xe9side", "wb") as file:
            file.write(b"content")
        self.run_bytes([b"backup", odd])
        target = os.fsencode(self.temp) + b"/target \xff"
        self.run_bytes([b"restore", b"latest:" + odd, b"--to", target])
        with open(target + b"/in\xe9side", "rb") as file:
            self.assertEqual(file.read(), b"content")
        self.run_bytes([b"ls", b"latest:" + odd])
        self.run_bytes([b"versions", odd + b"/in\xe9side"])
        with open(odd + b"/in\xe9side", "wb") as file:
            file.write(b"other")
        self.run_bytes([b"rollback", b"latest", odd, b"--yes"])
        with open(odd + b"/in\xe9side", "rb") as file:
            self.assertEqual(file.read(), b"content")

    def test_a_repository_whose_path_is_no_utf8(self):
        """So are the names of the repository, its key and the mount point."""
        temp = os.fsencode(self.temp)
        repository, mount, target = temp + b"/repository \xff\xe9", temp + b"/mount \xff", temp + b"/target \xe9"
        os.mkdir(mount)
        changes = {"YESTER_REPOSITORY": os.fsdecode(repository), "YESTER_KEY_FILE": os.fsdecode(temp + b"/key \xff"),
                   "YESTER_CACHE_DIR": os.fsdecode(temp + b"/cache \xff")}
        ran = self.run_bytes([b"backup", self.source], NO_REPOSITORY, **changes)
        self.assertIn(r"repository \xff\xe9.", ran.err)
        self.run_bytes([b"init"], **changes)
        for _ in range(2):
            self.run_bytes([b"backup", self.source], **changes)
        self.run_bytes([b"mount", mount], **changes)
        try:
            inside = mount + b"/latest" + os.fsencode(self.source)
            self.assertEqual(tree_state(inside), tree_state(self.source))
        finally:
            self.run_bytes([b"unmount", mount], **changes)
        self.run_bytes([b"restore", b"latest:" + os.fsencode(self.source), b"--to", target], **changes)
        self.assert_same_tree(self.source, target)
        self.run_bytes([b"rotate", b"--keep-last", b"1"], **changes)
        self.run_bytes([b"verify"], **changes)
        self.run_bytes([b"list", b"--repository", repository], YESTER_REPOSITORY=None,
                       **{name: value for name, value in changes.items() if name != "YESTER_REPOSITORY"})
        self.assertEqual(os.listdir(repository + b"/tmp"), [])
        for folder, _, files in os.walk(temp + b"/cache \xff"):
            self.assertFalse([name for name in files if b"tmp" in name], folder)

    def run_bytes(self, words, status=DONE, **changes):
        ran = run([os.fsencode(YESTER), *map(os.fsencode, words)], env=self.environment(**changes))
        self.assertEqual(ran.status, status, f"{words}: {ran}")
        return ran

    def test_a_closed_output(self):
        self.backup()
        ran = run(["sh", "-c", '"$0" ls -R latest | head -n 1', YESTER], env=self.environment())
        self.assertEqual(ran.status, 0)
        self.assertEqual(ran.err, "")
        ran = run(["sh", "-c", '"$0" list --json > /dev/full', YESTER], env=self.environment())
        self.assertEqual(ran.status, FAILED, "a list that could not be written looks complete")

    def test_without_home_and_without_a_terminal(self):
        env = {"HOME": None, "TERM": None, "PATH": None, "USER": None, "LOGNAME": None, "LC_ALL": "C", "TZ": "nonsense"}
        self.backup(env=env)
        self.yester("list", env=env)
        self.yester("list", env={"YESTER_KEY_FILE": None}, status=USAGE)
        self.verify(env=env)

    def test_deeper_than_there_are_descriptors(self):
        """The usual limit of 1,024 open files must do, however deep the tree is."""
        shallow = self.backup()
        deep = self.source / "deep" / "/".join(["d"] * 1200)
        self.assertEqual(run(["mkdir", "-p", deep]).status, 0)
        (deep / "bottom").write_bytes(b"at the bottom")
        target = self.temp / "restored"
        limited = ["sh", "-c", 'ulimit -n 1024; exec "$@"', "sh", YESTER]
        restore = ["restore", f"latest:{self.source}", "--to", target, "--delete"]
        for words in (["backup", self.source], ["backup", "--type", "full", self.source], ["verify"], restore, restore,
                      ["diff", f"latest:{self.source}", "live"], ["prune"]):
            ran = run([*limited, *words], env=self.environment())
            self.assertEqual(ran.status, 0, f"{words}: {ran}")
        self.assert_same_tree(self.source, target)
        ran = run([*limited, "restore", f"{shallow['name']}:{self.source}", "--to", target, "--delete"],
                  env=self.environment())
        self.assertEqual(ran.status, 0, ran)
        self.assertFalse((target / "deep").exists())

    def test_a_closed_umask(self):
        old = os.umask(0o777)
        try:
            self.yester("backup", self.source)
            self.yester("restore", f"latest:{self.source}", "--to", self.temp / "restored")
        finally:
            os.umask(old)
        self.verify()
        self.assert_same_tree(self.source, self.temp / "restored")


if __name__ == "__main__":
    unittest.main()
