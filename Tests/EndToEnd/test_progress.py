"""The line that shows how far a run is, in a real terminal; and that nothing of it shows where there is none."""

import json
import os
import pty
import random
import re
import time
import unicodedata
import unittest

from support.cases import EndToEndTest
from support.machine import DONE, INCOMPLETE, INTERRUPTED, MIB, wait_until, YESTER
from support.screen import pause, Screen

# Parts of the line, each of them whole.
TIME = r"(?:\d+ s|\d+:\d\d(?::\d\d)?|\d+ days)"
LEFT = rf"\d\d? %(?:, {TIME} left)?"
SIZE = r"[\d.]+ (?:B|KiB|MiB|GiB)"
ENTRIES = r"[\d,]+ of [\d,]+ entries"
UNKNOWN = rf"(?:, |[\d,]+ entries|{SIZE}(?:/s)?)*{TIME}"
LINES = {
    20: rf"(?:{LEFT}|(?:[A-Z]\w+: )?{TIME})",
    40: rf"[A-Z][\w ]+: (?:{LEFT}(?:, {SIZE})?|{UNKNOWN})",
    80: rf"[A-Z][\w ]+: (?:{LEFT}(?:, {ENTRIES})?(?:, {SIZE} of {SIZE})?(?:, {SIZE}/s)?|{UNKNOWN})",
    200: rf"[A-Z][\w ]+(?: \[#*\.*\] {LEFT}, {ENTRIES}, {SIZE} of {SIZE}(?:, {SIZE}/s)?|: {UNKNOWN})(?:  \S.*)?",
}
ESCAPE = re.compile(rb"\x1b")
PAINT = b"\x1b[?7l"


def cells(text):
    """How many cells a text takes, by Python's own knowledge of Unicode."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


class Progress(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.init()

    def make_source(self, files=48, size=MIB // 2):
        """Names that terminals find hard, and content that does not get smaller."""
        rng = random.Random(6)
        for number in range(files):
            folder = self.source / f"音楽 cafe\u0301 {number % 4}"
            folder.mkdir(parents=True, exist_ok=True)
            name = os.fsencode(folder / f"😀 {number} ") + b"\x1b[31m\n\xff\xc2\x9b" + b"x" * 60
            with open(name, "wb") as file:
                file.write(rng.randbytes(size))

    def terminal(self, columns, rows=24, **environment):
        name = self.temp.name
        terminal = Screen(name, columns, rows, self.environment(**environment))
        self.addCleanup(terminal.close)
        return terminal

    def progress_line(self, terminal, columns, above):
        """Wait until nothing but one whole line for this width is below `above`; that line."""
        form = re.compile(LINES[columns])

        def is_right():
            screen = terminal.screen()
            return screen[:-1] == above[1 - len(screen):] and form.fullmatch(screen[-1]) is not None

        try:
            wait_until(is_right, 5, "a line for this width")
        except AssertionError as error:
            raise AssertionError(f"at {columns} columns: {terminal.screen()}") from error
        line = terminal.screen()[-1]
        self.assertLess(cells(line), columns)
        return line

    def test_the_line_fits_whatever_the_width_and_leaves_nothing_behind(self):
        self.make_source()
        terminal = self.terminal(200)
        above = [f"line {number}" for number in range(60)]
        terminal.run(YESTER, "backup", "--limit-upload", 2 << 10, self.source,
                     before="for i in $(seq 0 59); do echo line $i; done")
        widths = [200, 80, 40, 20, 80, 200, 20, 40, 200]
        seen = {}
        for columns in widths:
            terminal.resize(columns)
            pause()
            seen[columns] = self.progress_line(terminal, columns, above)
        self.assertEqual(terminal.wait_for_end(), DONE)
        everything = terminal.screen(history=True)
        self.assertEqual(everything[:60], above)
        self.assertRegex(everything[60], "^Made snapshot", "something of the line stayed")
        # Times are rounded and paths are cut, but all of this was there to be seen.
        self.assertRegex(seen[200], r"  \S*.*😀 \d+ \\x1b\[31m\\x0a\\xff\\xc2\\x9bx{60}$")
        self.assertNotIn(" 0 s", " ".join(seen.values()))

    def test_results_and_warnings_stay_whole(self):
        """The list on stdout, warnings on stderr and the line share one terminal."""
        self.make_source(files=24)
        small = self.source / "small"
        small.mkdir()
        for number in range(300):
            (small / f"file {number:03d}").write_text(str(number))
            (small / f"file {number:03d}").chmod(0 if number % 10 == 0 else 0o644)
        terminal = self.terminal(180)
        # Root reads everything, unless it gives up the right to.
        drop = "cap_dac_override,cap_dac_read_search"
        command = f"{YESTER} backup -v --limit-upload 2048 {self.source}"
        terminal.run("capsh", f"--drop={drop}", "--", "-c", command)
        wait_until(lambda: re.fullmatch(r"Backing up.* left.*", terminal.screen()[-1]), 20, "the line")
        self.assertEqual(terminal.wait_for_end(), INCOMPLETE)
        shown = "\n".join(terminal.screen(history=True))
        self.assertNotIn("Backing up", shown)
        for number in range(300):
            path = re.escape(f"{small}/file {number:03d}")
            line = (rf"yester: {path}: reading it failed: Permission denied\." if number % 10 == 0
                    else rf"added     {path}")
            self.assertRegex(shown, rf"(?m)^{line}$")
        self.assertEqual(len(re.findall(r"(?m)^added ", shown)), 24 + 270 + 6 + len(self.source.parents))
        self.assertRegex(shown, r"(?m)^  \d+ added, 0 modified")

    def test_an_interrupted_run_takes_its_line_away(self):
        self.make_source()
        terminal = self.terminal(80)
        for presses, status in ((1, INTERRUPTED), (2, INTERRUPTED)):
            terminal.run(YESTER, "backup", "--limit-upload", 512, self.source)
            wait_until(lambda: "Backing up" in terminal.screen()[-1], 20, "the line")
            for _ in range(presses):
                terminal.press("C-c")
            self.assertEqual(terminal.wait_for_end(), status)
            self.assertNotIn("Backing up", "\n".join(terminal.screen()))

    def run_in_pty(self, *arguments, **environment):
        """Run yester with stderr at a terminal that records; the bytes, and how long it took."""
        ours, theirs = pty.openpty()
        start = time.monotonic()
        process = self.start_yester(*arguments, env=environment, stderr=theirs)
        os.close(theirs)
        recorded = b""
        try:
            while data := os.read(ours, 1 << 16):
                recorded += data
        except OSError:
            pass  # The other end is closed.
        finally:
            os.close(ours)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, DONE)
        return recorded, time.monotonic() - start

    def test_it_is_painted_four_times_a_second_at_most(self):
        self.make_source(files=24)
        recorded, seconds = self.run_in_pty("backup", "--limit-upload", 4 << 10, self.source, TERM="xterm")
        self.assertIn(PAINT, recorded)
        self.assertLessEqual(recorded.count(PAINT), 4 * seconds + 1)
        self.assertTrue(recorded.endswith(b"\r\x1b[J"), "the line stayed")

    def test_a_dumb_terminal_gets_whole_lines_now_and_then(self):
        self.make_source(files=30)
        recorded, _ = self.run_in_pty("backup", "--limit-upload", 1 << 10, self.source, TERM="dumb")
        self.assertNotRegex(recorded, ESCAPE)
        lines = recorded.replace(b"\r\n", b"\n").decode().splitlines()
        self.assertIn(len(lines), (1, 2))
        self.assertRegex(lines[0], rf"^Backing up.* {LEFT}")

    def test_without_a_terminal_there_is_none_of_it(self):
        self.make_source(files=24)
        ran = self.yester("backup", "--limit-upload", 4 << 10, self.source)
        self.assertEqual(ran.err, "")
        ran = self.yester("restore", f"latest:{self.source}", "--to", self.temp / "to", "--json")
        for line in ran.err.splitlines():
            told = json.loads(line)
            self.assertEqual(told["progress"], "running")
            self.assertIn(told["phase"], ("compare", "restore"))
            self.assertLess(told.get("share", 0), 1)
            self.assertGreaterEqual(told.get("seconds_left", 1), 1)

    def test_a_restore_knows_how_much_there_is(self):
        """Files count by their bytes, too, when they lie below a directory that is made."""
        (self.source / "small").mkdir(parents=True)
        (self.source / "large").write_bytes(random.Random(7).randbytes(3 * MIB))
        os.link(self.source / "large", self.source / "small" / "again")
        for number in range(10):
            (self.source / "small" / f"{number}").write_bytes(b"x" * 1000)
        self.backup()
        plan = self.yester("restore", "latest", "--to", self.temp / "to", "--dry-run", "--json").json
        self.assertEqual(plan["bytes"], 3 * MIB + 10 * 1000)


if __name__ == "__main__":
    unittest.main()
