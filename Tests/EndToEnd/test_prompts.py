"""Questions at a terminal: however they end, the terminal is as it was, and a signal ends the program at once."""

import os
import shutil
import signal
import subprocess
import unittest

from support.cases import EndToEndTest, make_tree, tree_state
from support.machine import DONE, FAILED, INTERRUPTED, run, USAGE, WRONG_KEY, YESTER, YESTERFS
from support.terminal import Terminal

PASSWORD = "a password"


class AtATerminal(EndToEndTest):
    def terminal(self, *arguments, program=YESTER, env=None, **options):
        terminal = Terminal([program, *arguments], env=self.environment(**(env or {})), **options)
        self.addCleanup(terminal.close)
        return terminal

    def assert_ended(self, terminal, status):
        self.assertEqual(terminal.end(), status, terminal.seen)
        self.assertEqual(terminal.mode(), terminal.before, "the terminal is not as it was")


class Passwords(AtATerminal):
    def setUp(self):
        super().setUp()
        make_tree(self.source, files=4)
        (self.temp / "password").write_text(PASSWORD + "\n")
        (self.temp / "password").chmod(0o600)
        self.open = {"YESTER_KEY_FILE": None, "YESTER_PASSWORD_FILE": self.temp / "password"}
        self.ask = {"YESTER_KEY_FILE": None}

    def init_with_password(self):
        self.yester("init", env=self.open)
        self.yester("backup", self.source, env=self.open)

    def prompts(self):
        """Every place where a password is asked for: arguments, environment, and the answers before the last."""
        self.init_with_password()
        new = self.temp / "new"
        point = self.temp / "point"
        point.mkdir()
        return {
            "init": (["init", "--repository", new], self.ask, []),
            "init again": (["init", "--repository", new], self.ask, ["x"]),
            "open": (["list"], self.ask, []),
            "backup": (["backup", self.source], self.ask, []),
            "mount": (["mount", point], self.ask, []),
            "key add": (["key", "add"], self.open, []),
            "key add again": (["key", "add"], self.open, ["x"]),
            "key change-password": (["key", "change-password"], self.open, []),
            "key rotate": (["key", "rotate"], self.ask, []),
        }

    def at_prompt(self, arguments, env, answers, **options):
        terminal = self.terminal(*arguments, env=env, **options)
        for answer in answers:
            terminal.wait_for("[Pp]assword[^:]*: ")
            terminal.type(answer + "\n")
        terminal.wait_for("([Pp]assword[^:]*|again): ")
        terminal.wait_for_mode(lambda: not terminal.echoes(), "without echo")
        return terminal

    def test_ctrl_c_at_each_prompt(self):
        for name, (arguments, env, answers) in self.prompts().items():
            with self.subTest(name):
                terminal = self.at_prompt(arguments, env, answers)
                terminal.type("\x03")
                self.assert_ended(terminal, INTERRUPTED)
                self.assertRegex(terminal.seen, r"\A\r\n.*[Ii]nterrupted", "no new line")
        self.assertFalse((self.temp / "new").exists())
        self.assertEqual(len(self.yester("key", "list", "--json", env=self.open).json), 1)

    def test_ctrl_c_twice(self):
        self.init_with_password()
        terminal = self.at_prompt(["list"], self.ask, [])
        terminal.type("\x03\x03")
        self.assert_ended(terminal, INTERRUPTED)

    def test_signals(self):
        self.init_with_password()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            with self.subTest(number):
                terminal = self.at_prompt(["list"], self.ask, [])
                terminal.process.send_signal(number)
                self.assert_ended(terminal, INTERRUPTED)

    def test_the_driver(self):
        self.init_with_password()
        point = self.temp / "mnt"
        point.mkdir()
        for number in (None, signal.SIGTERM):
            with self.subTest(number):
                terminal = self.at_prompt([self.repository, point], self.ask, [], program=YESTERFS)
                if number:
                    terminal.process.send_signal(number)
                else:
                    terminal.type("\x03")
                self.assert_ended(terminal, INTERRUPTED)
        self.assertFalse(os.path.ismount(point))
        terminal = self.at_prompt([self.repository, point], self.ask, [], program=YESTERFS)
        terminal.type(PASSWORD + "\n")
        self.assert_ended(terminal, DONE)
        self.assertTrue(os.path.ismount(point))

    def test_an_answer(self):
        self.init_with_password()
        terminal = self.at_prompt(["list"], self.ask, [])
        terminal.type(PASSWORD + "\n")
        self.assert_ended(terminal, DONE)
        self.assertNotIn(PASSWORD, terminal.seen)
        self.assertTrue(terminal.seen.startswith("\r\n"), terminal.seen)
        terminal = self.at_prompt(["list"], self.ask, [])
        terminal.type("wrong\n")
        self.assert_ended(terminal, WRONG_KEY)
        terminal = self.at_prompt(["list"], self.ask, [])
        terminal.type("\x04")
        self.assert_ended(terminal, USAGE)

    def test_a_password_command_that_asks(self):
        self.init_with_password()
        terminal = self.terminal("list", "--password-command", "printf 'the secret: '>/dev/tty; read -r x; echo $x",
                                 env=self.ask)
        terminal.wait_for("the secret: ")
        terminal.type("\x03")
        self.assert_ended(terminal, INTERRUPTED)

    def test_ctrl_z_under_a_shell(self):
        self.init_with_password()
        shell = Terminal(["bash", "--norc", "--noprofile", "-i"], env=self.environment(PS1="ready> ", **self.ask))
        self.addCleanup(shell.close)
        shell.wait_for("ready> ")
        # Line editing would change the terminal by itself.
        shell.type("set +o emacs\n")
        shell.wait_for("ready> ")
        for stop in ("\x1a", "kill"):
            with self.subTest(stop):
                shell.type(f"{YESTER} list; echo status $?\n")
                shell.wait_for("repository: ")
                shell.wait_for_mode(lambda: not shell.echoes(), "without echo")
                if stop == "kill":
                    pid = run(["pgrep", "-f", f"^{YESTER} list", "-s", str(shell.process.pid)]).out.split()[0]
                    os.kill(int(pid), signal.SIGSTOP)
                else:
                    shell.type(stop)
                shell.wait_for("Stopped")
                shell.wait_for("ready> ")
                if stop != "kill":
                    self.assertTrue(shell.echoes(), "stopped without echo")
                shell.type("fg\n")
                shell.wait_for("repository: ")
                shell.wait_for_mode(lambda: not shell.echoes(), "without echo after fg")
                shell.type(PASSWORD + "\n")
                shell.wait_for("default")
                shell.wait_for("ready> ")
                shell.wait_for_mode(shell.echoes, "with echo")


class GoOn(AtATerminal):
    """The question before a rollback."""

    def setUp(self):
        super().setUp()
        make_tree(self.source, files=8)
        self.init()
        self.backup()
        self.good = tree_state(self.source)
        shutil.rmtree(self.source / "dir1")
        (self.source / "extra").write_bytes(b"since then")
        self.spoiled = tree_state(self.source)
        self.arguments = ["rollback", "latest", self.source]

    def test_ctrl_c(self):
        terminal = self.terminal(*self.arguments)
        seen = terminal.wait_for(r"Go on\? \[y/N\] ")
        self.assertRegex(seen, r"delete +\S*extra")
        terminal.type("\x03")
        self.assert_ended(terminal, INTERRUPTED)
        self.assertRegex(terminal.seen, r"\A(\^C)?\r\n.*yester: Nothing was changed")
        self.assertEqual(tree_state(self.source), self.spoiled)
        self.assertEqual(len(self.snapshots()), 1)

    def test_before_a_removal(self):
        self.backup()
        name = self.snapshots()[0]["name"]
        terminal = self.terminal("remove", name)
        self.assertIn(name, terminal.wait_for(r"Go on\? \[y/N\] "))
        terminal.type("\x03")
        self.assert_ended(terminal, INTERRUPTED)
        self.assertEqual(len(self.snapshots()), 2)
        terminal = self.terminal("remove", name)
        terminal.wait_for(r"Go on\? \[y/N\] ")
        terminal.type("y\n")
        self.assert_ended(terminal, DONE)
        self.assertEqual(len(self.snapshots()), 1)

    def test_signals_and_no(self):
        for answer in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, "n\n", "\n", "\x04", "yesterday\n"):
            with self.subTest(answer):
                terminal = self.terminal(*self.arguments)
                terminal.wait_for(r"Go on\? \[y/N\] ")
                if isinstance(answer, str):
                    terminal.type(answer)
                else:
                    terminal.process.send_signal(answer)
                self.assert_ended(terminal, INTERRUPTED)
                self.assertEqual(tree_state(self.source), self.spoiled)

    def test_yes(self):
        terminal = self.terminal(*self.arguments)
        terminal.wait_for(r"Go on\? \[y/N\] ")
        terminal.type("y\n")
        self.assert_ended(terminal, DONE)
        self.assertIn("Done in", terminal.seen)
        self.assertEqual(tree_state(self.source), self.good)

    def test_the_list_is_seen_wherever_it_goes(self):
        """With --quiet and --json, too, and also where standard error is a file."""
        log = self.temp / "log"
        for options, streams in ((["--quiet"], []), (["--json"], []), ([], ["stdout"]), ([], ["stdout", "stderr"])):
            with self.subTest(options=options, streams=streams):
                with open(log, "wb") as file:
                    terminal = self.terminal(*self.arguments, *options, **{name: file for name in streams})
                seen = terminal.wait_for(r"Go on\? \[y/N\] ")
                self.assertRegex(seen, r"delete +\S*extra")
                self.assertIn("Plan: ", seen)
                terminal.type("n\n")
                self.assert_ended(terminal, INTERRUPTED)
                if streams:
                    self.assertRegex(log.read_text(), r"delete +\S*extra")

    def shell(self, pipeline):
        line = f"{YESTER} {' '.join(map(str, self.arguments))} {pipeline}; echo \"statuses ${{PIPESTATUS[*]}}\""
        terminal = self.terminal("-c", line, program="bash", env={"TERM": "xterm", "LESS": "", "LESSOPEN": ""})
        return terminal

    def test_tee(self):
        log = self.temp / "log"
        terminal = self.shell(f"| tee {log}")
        seen = terminal.wait_for(r"Go on\? \[y/N\] ")
        self.assertRegex(seen, r"delete +\S*extra")
        terminal.type("y\n")
        terminal.wait_for("Done in")
        terminal.wait_for("statuses 0 0")
        self.assert_ended(terminal, DONE)
        self.assertEqual(tree_state(self.source), self.good)
        self.assertRegex(log.read_text(), r"(?s)delete +\S*extra.*Made the restore point.*Done in")

    def test_a_pager_has_the_keyboard_until_it_ends(self):
        if not shutil.which("less"):
            raise AssertionError("the tool less is missing")
        terminal = self.shell("| less")
        seen = terminal.wait_for("(END)")
        self.assertIn("extra", seen)
        # These are commands of the pager, and no answer.
        terminal.type("y\ny\n")
        terminal.read(1)
        self.assertNotIn("Go on?", terminal.seen)
        self.assertEqual(tree_state(self.source), self.spoiled)
        terminal.type("q")
        seen = terminal.wait_for(r"Go on\? \[y/N\] ")
        self.assertRegex(seen, r"delete +\S*extra")
        terminal.type("y\n")
        terminal.wait_for("Made the restore point")
        terminal.wait_for("Done in")
        terminal.wait_for("statuses 0 0")
        self.assertEqual(tree_state(self.source), self.good)

    def test_a_reader_that_goes_away(self):
        """Neither an answer nor an end with 0."""
        terminal = self.shell("| head -n 1")
        terminal.wait_for(r"Go on\? \[y/N\] ")
        terminal.type("n\n")
        terminal.wait_for(f"statuses {INTERRUPTED} 0")
        self.assertEqual(tree_state(self.source), self.spoiled)
        # A script is not asked; what it began goes on to its end.
        process = self.start_yester(*self.arguments)
        process.stdout.close()
        self.assertEqual(process.wait(timeout=60), DONE)
        self.assertEqual(tree_state(self.source), self.good)


class StandardOutput(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, files=8)
        self.init()
        self.backup()

    def commands(self):
        return (["list"], ["list", "--json"], ["list", "--json", "--files"], ["show", "latest"], ["ls", "latest", "-R"],
                ["ls", "latest", "-R", "--json"], ["find", "file*"], ["find", "file*", "--json"],
                ["versions", self.source / "dir0" / "file-000"], ["diff", "latest", "live", "--json"], ["status"],
                ["verify"], ["verify", "--json"], ["rotate", "--dry-run"], ["prune"], ["key", "list"], ["--help"],
                ["--version"], ["backup", "--help"], ["--generate-completion-script", "bash"],
                ["restore", "latest", "--to", self.temp / "to"], ["backup", self.source])

    def into(self, place, *command, **options):
        return run(["bash", "-c", f'exec "$@" >{place}', "bash", *command], env=self.environment(), **options)

    def test_an_error_is_told(self):
        for command in self.commands():
            with self.subTest(command):
                ran = self.into("/dev/full", YESTER, *command)
                self.assertEqual(ran.status, FAILED, ran)
                self.assertEqual(ran.err.count("could not be written to standard output: No space left on device"), 1,
                                 ran)
        # What was to be done is done.
        self.assert_same_tree(self.source, self.temp / "to" / str(self.source)[1:])
        self.assertEqual(len(self.snapshots()), 2)
        for option in ("--help", "--version"):
            ran = self.into("/dev/full", YESTERFS, option)
            self.assertEqual(ran.status, FAILED, ran)
            self.assertIn("No space left on device", ran.err)

    def test_a_recovery_sheet_that_is_lost_leaves_no_key(self):
        for options in ([], ["--json"]):
            ran = self.into("/dev/full", YESTER, "key", "export", *options)
            self.assertEqual(ran.status, FAILED, ran)
            self.assertIn("its key was removed again", ran.err)
            self.assertEqual(len(self.yester("key", "list", "--json").json), 1)

    def test_a_reader_that_has_gone_is_no_error(self):
        for command in self.commands():
            with self.subTest(command):
                reading, writing = os.pipe()
                os.close(reading)
                ran = self.into(f"&{writing}", YESTER, *command, pass_fds=[writing])
                os.close(writing)
                self.assertEqual((ran.status, ran.err), (DONE, ""), ran)

    def test_closed_descriptors(self):
        """Nothing that is meant for standard output may get into a file that happens to have its number."""
        for closed in ("1>&-", "2>&-", "0<&-", "0<&- 1>&- 2>&-"):
            with self.subTest(closed):
                ran = run(["bash", "-c", f"exec {YESTER} backup {self.source} {closed}"], env=self.environment())
                self.assertEqual(ran.status, FAILED if "1>&-" in closed else DONE, ran)
        self.verify()
        for path in self.repository.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"Made snapshot", path.read_bytes(), path)


class Ignored(EndToEndTest):
    def test_nohup_protects_a_backup(self):
        make_tree(self.source, files=8)
        (self.source / "noise").write_bytes(os.urandom(3 << 20))
        self.init()
        process = self.start_yester("backup", "--limit-upload", "1024", self.source,
                                    preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        try:
            process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGHUP)
        self.assertEqual(process.wait(timeout=60), DONE)
        self.assertEqual(len(self.snapshots()), 1)


if __name__ == "__main__":
    unittest.main()
