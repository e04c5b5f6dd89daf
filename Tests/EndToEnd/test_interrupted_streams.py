"""Ctrl-C at a pipeline reaches all of its programs at once: what came until then is no whole stream."""

import os
import signal
import subprocess
import sys
import unittest

from support.cases import EndToEndTest
from support.machine import DONE, INTERRUPTED, YESTER, wait_until


class InterruptedStreams(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.init()

    def pipeline(self, script):
        """A shell that runs a script, in a process group of its own."""
        return subprocess.Popen(
            ["/bin/sh", "-c", script],
            env=self.environment(YESTER=YESTER),
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def interrupt(self, process, number):
        """The signal goes to all of the group; what the shell ends with, and what was said."""
        os.killpg(process.pid, number)
        _, err = process.communicate(timeout=30)
        return process.returncode, err

    def test_no_snapshot_of_a_stream_whose_writer_was_interrupted_as_well(self):
        for number in (signal.SIGINT, signal.SIGTERM) * 3:
            flowing = self.temp / "flowing"
            script = f"""
                trap : INT TERM
                (head -c 3000000 /dev/urandom; touch {flowing}; exec sleep 60) |
                  (trap - INT TERM; exec "$YESTER" backup --stdin-name dump -q)
            """
            process = self.pipeline(script)
            wait_until(flowing.exists, 20, "nothing flows")
            flowing.unlink()
            status, err = self.interrupt(process, number)
            self.assertEqual(status, INTERRUPTED, err)
            self.assertEqual(self.snapshots(), [])
        self.verify()

    def test_no_snapshot_of_a_command_that_ends_well_because_it_was_interrupted(self):
        flowing = self.temp / "flowing"
        command = f"""trap "exit 0" TERM INT; echo first half; touch {flowing}; sleep 15 & wait"""
        process = self.pipeline(
            f"""exec "$YESTER" backup -q --stdin-name dump --stdin-from-command -- sh -c '{command}'"""
        )
        wait_until(flowing.exists, 20, "the command does not run")
        status, err = self.interrupt(process, signal.SIGTERM)
        self.assertEqual(status, INTERRUPTED, err)
        self.assertEqual(self.snapshots(), [])

    def test_a_list_that_is_slow_to_come_can_be_interrupted(self):
        reading, writing = os.pipe()
        try:
            process = self.start_yester("backup", "--files-from", "-", stdin=reading)
            os.write(writing, os.fsencode(self.source) + b"\n")
            # It has opened the repository, and waits for the rest of the list.
            wait_until(lambda: self.waits(process.pid), 20, "it does not wait")
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
            self.assertEqual(process.returncode, INTERRUPTED, err)
        finally:
            os.close(reading)
            os.close(writing)

    def waits(self, process):
        """Whether a process has read all of its input that is there, and is asleep."""
        with open(f"/proc/{process}/wchan") as file:
            place = file.read()
        return "pipe_read" in place or "poll" in place

    def test_a_command_under_a_parent_that_ignores_the_end_of_children(self):
        program = (
            "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
        )
        ran = subprocess.run(
            [sys.executable, "-c", program, YESTER]
            + ["backup", "-q", "--stdin-name", "dump", "--stdin-from-command", "--", "echo", "whole"],
            env=self.environment(),
            capture_output=True,
            text=True,
        )
        self.assertEqual(ran.returncode, DONE, ran.stderr)
        self.assertEqual(self.yester("cat", "latest:/dump").out, "whole\n")


if __name__ == "__main__":
    unittest.main()
