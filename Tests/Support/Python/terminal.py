"""A program at a pseudo-terminal, as a person has it before him."""

import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time

ECHO = termios.ECHO


class Terminal:
    """Runs a command at a terminal of its own. Descriptors 0, 1 and 2 are the terminal but for those in `options`."""

    def __init__(self, command, **options):
        self.master, self.slave = pty.openpty()
        self.before = self.mode()
        self.seen = ""
        for name in ("stdin", "stdout", "stderr"):
            options.setdefault(name, self.slave)
        self.process = subprocess.Popen([str(word) for word in command], start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0), **options)

    def mode(self):
        return termios.tcgetattr(self.slave)

    def echoes(self):
        return bool(self.mode()[3] & ECHO)

    def type(self, text):
        os.write(self.master, text.encode())

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            try:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                pass

    def wait_for(self, pattern, timeout=30):
        """Waits for a pattern in what has not been waited for yet; gives everything up to its end."""
        end = time.monotonic() + timeout
        while True:
            if match := re.search(pattern, self.seen):
                text, self.seen = self.seen[:match.end()], self.seen[match.end():]
                return text
            if time.monotonic() > end:
                raise AssertionError(f"waited {timeout} s for {pattern!r} and saw {self.seen!r}")
            self.read(0.1)

    def wait_for_mode(self, condition, what, timeout=10):
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"the terminal is not {what} after {timeout} s; seen: {self.seen!r}")
            time.sleep(0.02)

    def end(self, timeout=30):
        """Waits for the end of the program; its exit status."""
        end = time.monotonic() + timeout
        while self.process.poll() is None:
            if time.monotonic() > end:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"the program hung for {timeout} s; seen: {self.seen!r}")
            self.read(0.05)
        while select.select([self.master], [], [], 0)[0]:
            self.read(0)
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)
