"""A terminal to run programs in, as a person has one: tmux."""

import shlex
import subprocess
import time

from support.machine import Broken, wait_until


class Screen:
    """One tmux with one window. `run` gives it a command; `screen` says what can be seen."""

    def __init__(self, name, columns, rows, environment):
        self.name, self.rows, self.environment = name, rows, environment
        # What is above stays in sight as long as the screen is full, as it is after a while of work.
        self.tmux("new-session", "-d", "-x", columns, "-y", rows, "sh", "-c", "stty -echo; exec sh")
        self.tmux("set-option", "-g", "window-size", "manual")
        self.tmux("set-option", "-g", "history-limit", "50000")

    def tmux(self, *words):
        try:
            ran = subprocess.run(["tmux", "-L", self.name, "-f", "/dev/null", *map(str, words)], env=self.environment,
                                 capture_output=True, text=True, timeout=20)
        except FileNotFoundError:
            raise Broken("the tool tmux is missing") from None
        if ran.returncode != 0:
            raise AssertionError(f"tmux {words}: {ran.stderr}")
        return ran.stdout

    def run(self, *command, before="true"):
        """Start a command; the exit status comes behind it, on a line of its own."""
        words = " ".join(shlex.quote(str(word)) for word in command)
        # No prompt of the shell, whose own words would be on the screen.
        self.type(f"clear; PS1=; {before}; {words}; echo status $?")

    def type(self, text):
        self.tmux("send-keys", "-l", text)
        self.press("Enter")

    def press(self, key):
        self.tmux("send-keys", key)

    def resize(self, columns):
        self.tmux("resize-window", "-x", columns, "-y", self.rows)

    def screen(self, history=False):
        """The lines that can be seen, without empty ones at the end; with `history` those that have gone, too."""
        text = self.tmux("capture-pane", "-p", *(["-S", "-"] if history else []))
        return [line.rstrip() for line in text.rstrip("\n").split("\n")]

    def wait_for_end(self, seconds=60):
        wait_until(lambda: any(line.startswith("status ") for line in self.screen()), seconds, "the end of the command")
        return int(next(line for line in self.screen() if line.startswith("status "))[7:])

    def close(self):
        subprocess.run(["tmux", "-L", self.name, "kill-server"], env=self.environment, capture_output=True, timeout=20)


def pause():
    """Longer than a display takes to show something new, and tmux to tell of a new size."""
    time.sleep(0.3)
