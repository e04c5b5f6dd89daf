"""The benchmark command runs, measures every work, and leaves nothing behind. How fast anything is does not matter."""

import json
import signal
import subprocess
import unittest

from machine import BIN, mounts_below, ROOT, run, start, wait_until
from support import EndToEndTest, make_tree

BENCH = ROOT / "Scripts" / "bench"
PEERS = ("yester", "limit", "none")
METRICS = {"find", "cat", "cp", "random_median", "random_p99", "one_reader", "four_readers"}


class Bench(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, big=2)
        self.work, self.result = self.temp / "work", self.temp / "result.json"
        self.command = [BENCH, "mount", "--small", self.source, "--big", "none", "--only", ",".join(PEERS),
                        "--runs", "1", "--work", self.work, "--json", self.result]

    def run_bench(self, *options):
        ran = run([*self.command, *options], env=self.environment(YESTER_BIN=BIN), timeout=180)
        self.assertEqual(ran.status, 0, ran)
        self.assertEqual(mounts_below(self.temp), [])
        return ran

    def test_every_work_of_the_mount_is_measured(self):
        ran = self.run_bench()
        self.assertFalse(self.work.exists(), "something was left behind")
        tree = json.loads(self.result.read_text())["trees"]["small"]
        self.assertEqual(tree["complaints"], [])
        for metric in METRICS:
            for peer in PEERS:
                found = tree["measured"][metric][peer]
                self.assertEqual(len(found["values"]), 1, (metric, peer))
                self.assertGreater(found["best"], 0, (metric, peer))
        self.assertGreater(tree["measured"]["first_ls"]["yester"]["best"], 0)
        self.assertGreater(tree["memory"]["yester"]["peak"], 0)
        self.assertEqual(set(tree["idle"]), {"yester", "limit"})
        # The limit program tells what it was asked; in a copy every file is read or was stored ahead.
        asked = tree["requests"]["cp"]["limit"]
        self.assertGreater(asked["readdirplus"], 0)
        self.assertGreaterEqual(asked.get("read", 0) + asked["files stored ahead"], 40)
        for heading in ("## Mount", "| work | yester | limit | none |", "| work | files stored ahead |"):
            self.assertIn(heading, ran.out)

    def test_an_end_in_between_leaves_no_mount(self):
        process = start(self.command, env=self.environment(YESTER_BIN=BIN), stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
        self.processes.append(process)
        wait_until(lambda: mounts_below(self.temp), 60, "nothing was mounted")
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        self.assertEqual(mounts_below(self.temp), [])
        self.assertFalse(self.work.exists(), "something was left behind")


if __name__ == "__main__":
    unittest.main()
