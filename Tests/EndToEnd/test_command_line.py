"""What the command line says: help, suggestions, sizes. Every error of usage ends with 2 and says what to do."""

import json
import re
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import DONE, FAILED, NO_REPOSITORY, run, USAGE, YESTER, YESTERFS


class CommandLine(EndToEndTest):
    def wrong(self, *arguments, says=""):
        ran = self.yester(*arguments, status=USAGE)
        self.assertEqual(ran.out, "", ran)
        self.assertIn(says, ran.err)
        return ran.err

    def commands(self):
        """Every command with those below it: its words, and what the parser knows of it."""
        def walk(command, path):
            yield path, command
            for below in command.get("subcommands", []):
                if below["commandName"] != "help":
                    yield from walk(below, [*path, below["commandName"]])
        dump = json.loads(self.yester("--experimental-dump-help").out)
        return [(path, command) for path, command in walk(dump["command"], []) if path]

    def test_help_wherever_it_is_looked_for(self):
        overview = self.yester("help").out
        self.assertIn("USAGE: yester <subcommand>", overview)
        for arguments in (["--help"], ["-h"]):
            self.assertEqual(self.yester(*arguments).out, overview)
        backup = self.yester("backup", "--help").out
        self.assertIn("USAGE: yester backup [<options>] [<path> ...]", backup)
        for arguments in (["help", "backup"], ["backup", "-h"]):
            self.assertEqual(self.yester(*arguments).out.strip(), backup.strip())
        add = self.yester("key", "add", "--help").out
        for arguments in (["help", "key", "add"], ["key", "help", "add"]):
            self.assertEqual(self.yester(*arguments).out.strip(), add.strip())
        self.assertEqual(self.yester("key", "help").out.strip(), self.yester("key", "--help").out.strip())
        self.assertRegex(self.yester("--version").out, r"\Ayester [0-9.]+\n\Z")
        self.assertEqual(self.yester("version").out, self.yester("--version").out)

    def test_nothing_is_done_with_0(self):
        for arguments in ([], ["--"], ["key"], ["key", "--"]):
            with self.subTest(arguments):
                error = self.wrong(*arguments, says="USAGE: yester ")
                self.assertTrue(error.endswith("yester: No command was given.\n"), error)

    def test_each_command(self):
        for path, command in self.commands():
            with self.subTest(path):
                text = self.yester(*path, "--help").out
                self.assertNotRegex(text, r"default: [0-9]\)|- \n|--repo <", "help shows what nobody understands")
                usage = re.search(r"^USAGE: .*$", text, re.MULTILINE)[0]
                self.assertRegex(usage, rf"\AUSAGE: yester {' '.join(path)}( <\S[^<>]*>( \.\.\.)?| --[a-z-]+ <[^<>]+>"
                                        r"| \[<[^<>]+>( \.\.\.)?\])*\Z")
                for line in text.splitlines():
                    self.assertLess(len(line), 200)
                if command.get("subcommands"):
                    continue
                needed = [argument for argument in command["arguments"] if not argument["isOptional"]]
                given = [word for argument in needed
                         for word in (["x"] if argument["kind"] == "positional"
                                      else ["--" + argument["preferredName"]["name"], "x"])]
                # What these need besides the parser cannot know.
                given += {"annotate": ["--description", "x"], "backup": ["x"]}.get(path[0], [])
                error = self.wrong(*path, *given, "--nonsense", says="yester: Unknown option '--nonsense'.")
                self.assertIn(f"See 'yester {' '.join(path)} --help'", error)
                if needed:
                    self.wrong(*path, says="yester: Missing expected argument '")
                if path[0] not in ("unmount",):
                    options = {name["name"] for argument in command["arguments"] for name in argument.get("names", [])}
                    self.assertLessEqual({"repository", "r", "repo"}, options)

    def test_kinds_and_types(self):
        text = self.yester("backup", "--help").out
        self.assertRegex(text, r"--kind <kind> +Why the snapshot is made \(default: daily\)\.\n +daily +- the regular run")
        self.assertRegex(text, r"--type <type> [^<]*\(default:\s+incremental\)\.\n +full +- with nothing")
        self.wrong("backup", "--kind", "weekly", "/", says="'daily', 'manual', 'pre-change' or 'restore-point'.")
        self.wrong("backup", "--type", "half", "/", says="'full', 'incremental' or 'differential'.")

    def test_mistyped_commands(self):
        for word, meant in (("backp", "backup"), ("bakcup", "backup"), ("Backup", "backup"), ("lst", "list"),
                            ("unmont", "unmount"), ("roll", "rollback"), ("stauts", "status"), ("key lst", "key list"),
                            ("key chnage-password", "key change-password"), ("help backp", "backup")):
            with self.subTest(word):
                error = self.wrong(*word.split(), "/x", says=f'Did you mean "{meant}"')
                self.assertIn(f'yester: There is no command "{word.removeprefix("help ")}".', error)
        self.wrong("frobnicate", says='There is no command "frobnicate". "yester help" shows what there is.')
        self.wrong("x" * 100_000, says="There is no command")
        self.wrong("", says='There is no command ""')
        self.wrong("list", "--repositry", self.repository, says="Did you mean '--repository'?")

    def test_a_mistyped_option_is_named_before_what_is_missing(self):
        for arguments in (["restore", "latest", "--too", "/x"], ["restore", "--too", "/x"], ["show", "--jsn"],
                          ["rollback", "latest", "--dryrun"], ["diff", "--exitcode"], ["cat", "--hsot", "x"],
                          ["backup", "--dryrun"], ["remove", "--prun"],
                          ["key", "remove", "--forc"]):
            with self.subTest(arguments):
                name = next(word for word in arguments[1:] if word.startswith("--"))
                self.wrong(*arguments, says=f"yester: Unknown option '{name}'.")
        self.wrong("restore", "latest", says="Missing expected argument '--to <directory>'")
        self.wrong("backup", "--stdin-from-command", says="--stdin-from-command needs --stdin-name.")

    def test_options_that_contradict_each_other(self):
        """The use of that command is shown below, not that of the program."""
        for arguments in (["verify", "latest", "--level", "packs"], ["backup", "-q", "-v", "/x"],
                          ["restore", "latest", "--to", "/x", "-q", "-v"], ["find", "x", "--snapshot", "a", "--host", "b"]):
            with self.subTest(arguments):
                self.assertIn(f"See 'yester {arguments[0]} --help'", self.wrong(*arguments))

    def test_empty_values(self):
        """As scripts give them that use a variable which is not set."""
        make_tree(self.source, files=4)
        self.init()
        self.backup()
        self.wrong("list", "--key-file", "", says="--key-file was given no name.")
        self.wrong("list", "--password-file", "", says="--password-file was given no name.")
        self.wrong("restore", "latest", "--to", "", says="--to was given no directory.")
        self.wrong("rollback", "latest", "", says="The path is empty.")
        self.wrong("mount", "", says="The mount point is empty.")
        self.wrong("unmount", "", says="The mount point is empty.")
        self.wrong("backup", "--tag", "", self.source, says='A tag has 1 to 255 bytes, which "" has not.')
        self.wrong("backup", "--tag", "t" * 256, self.source, says="A tag has 1 to 255 bytes")
        self.wrong("backup", "--notes", "n" * 65537, self.source, says="What is given as the notes is too long")
        self.wrong("backup", "--exclude", "", self.source, says="--exclude was given no pattern.")
        for name in ("", "a/b"):
            self.wrong("backup", "--exclude-if-present", name, self.source,
                       says=f'"{name}" is not the name of a file: --exclude-if-present takes one without a slash.')
        self.assertEqual(len(self.snapshots()), 1)
        self.wrong("find", "", says="The pattern is empty. Say what to look for.")

    def test_names_of_other_programs(self):
        for word, ours in (("snapshots", "list"), ("umount", "unmount"), ("mnt", "mount"), ("check", "verify"), ("forget", "rotate"), ("dump", "cat"), ("tag", "annotate"), ("delete", "remove"),
                           ("stats", "status"), ("create", "backup"), ("extract", "restore"), ("ls-files", "ls"),
                           ("archive", "backup"), ("undo", "rollback"), ("passwd", "key change-password"),
                           ("compact", "prune"), ("locate", "find"), ("compare", "diff")):
            with self.subTest(word):
                self.wrong(word, "/x", says=f'yester: There is no command "{word}". Use "yester {ours}" (')
        self.wrong("key", "passwd", says='Use "yester key change-password" (')
        for word in ("unlock", "cache", "rewrite", "self-update", "rebuild-index", "copy"):
            with self.subTest(word):
                self.assertRegex(self.wrong(word), rf'\Ayester: There is no command "{word}"\. \S.*\.\n\Z')

    def test_the_repository_by_its_other_names(self):
        make_tree(self.source, files=4)
        self.init()
        self.backup()
        elsewhere = {"YESTER_REPOSITORY": self.temp / "elsewhere"}
        for name in (["--repo", self.repository], [f"--repo={self.repository}"], ["-r", self.repository],
                     [f"-r{self.repository}"], ["--repository", self.repository]):
            with self.subTest(name):
                self.assertEqual(len(self.yester("list", "--json", *name, env=elsewhere).json), 1)
                self.assertEqual(len(self.yester(*name, "--json", "list", env=elsewhere).json), 1)
                self.assertEqual(len(self.yester(*name, "key", "list", "--json", env=elsewhere).json), 1)
        self.yester("list", status=NO_REPOSITORY, env=elsewhere)
        self.wrong("list", "--repo", "/a", "-r", "/b", says="yester: The repository is named twice.")

    def test_what_is_named_wrongly(self):
        make_tree(self.source, files=4)
        self.init()
        self.backup()
        for arguments in (["show", "20010101"], ["ls", "nonsense"], ["restore", "nonsense", "--to", self.temp / "to"],
                          ["rollback", "nonsense", self.source], ["verify", "nonsense"], ["diff", "nonsense", "live"]):
            with self.subTest(arguments):
                self.assertIn('"yester list" shows them.', self.yester(*arguments, status=FAILED).err)
        self.wrong("rotate", "--keep-daily=-1", says="Rules keep 0 or more snapshots.")
        self.assertIn('"yester find"', self.yester("versions", "/nowhere", status=FAILED).err)

    def test_one_of_a_kind(self):
        """Numbers and words agree."""
        self.init()
        self.source.mkdir()
        (self.source / "file").write_text("x")
        made = self.yester("backup", self.source).out
        self.assertRegex(made, r"\d entries, 1 B in 1 file\n")
        self.assertIn("1 snapshot, ", self.yester("verify").out)
        shown = self.yester("show", "latest").out
        self.assertIn("1 file, ", shown)
        (self.source / "file").unlink()
        (self.source / "large").write_bytes(bytes(range(256)) * 4096)
        self.backup()
        texts = [made, shown, self.yester("prune", "--dry-run").out, self.yester("prune").out,
                 self.yester("verify", "--level", "packs").out]
        for text in texts:
            self.assertNotRegex(text, r"\b1 (\w+ )?(packs|files|entries|snapshots|objects|chunks|directories)\b")

    def test_a_whole_snapshot_is_verified(self):
        make_tree(self.source, files=4)
        self.init()
        self.backup()
        self.wrong("verify", f"latest:{self.source}", says="A whole snapshot is to be named here")

    def test_sizes(self):
        make_tree(self.source, files=4, size=100)
        for name, size in (("small", 10_000), ("middle", 10_100), ("large", 11_000)):
            (self.source / name).write_bytes(b"x" * size)
        self.init()
        for limit, left in (("10000", 1), ("10KB", 1), ("9.8K", 1), ("10k", 2), ("10 KiB", 2), ("1M", 3), ("0.01 MB", 1)):
            with self.subTest(limit):
                self.backup("--exclude-larger-than", limit)
                names = set(self.yester("ls", f"latest:{self.source}").out.split())
                self.assertEqual(len(names & {"small", "middle", "large"}), left)
        self.backup("--limit-upload", "10M")
        for option in ("--exclude-larger-than", "--limit-upload"):
            for value in ("-1", "10X", "1,5G", "M", "", "16E", "99999999999999999999"):
                with self.subTest(option=option, value=value):
                    error = self.wrong("backup", option, value, self.source)
                    self.assertRegex(error, r"such as 500K, 10M or 1\.5 GiB|it must be \d+ \w+ to \d+ \w+")
        for value in ("-1", "0", "1.5X", "2048T"):
            with self.subTest(value):
                self.wrong("mount", "--cache-size", value, self.temp / "mnt", says=f"The value '{value}' is invalid")
                ran = run([YESTERFS, self.repository, self.temp / "mnt", "-o", f"cache_size={value}"])
                self.assertEqual(ran.status, USAGE, ran)
                self.assertIn(f"cache_size={value}", ran.err)
        for number, value in enumerate(("128M", "0.125 GiB", "128")):
            with self.subTest(value):
                point = self.mount("--cache-size", value, at=f"mnt{number}")
                self.assertEqual(json.loads((point / ".yester/stats").read_text())["cache_size_bytes"], 128 << 20)


if __name__ == "__main__":
    unittest.main()
