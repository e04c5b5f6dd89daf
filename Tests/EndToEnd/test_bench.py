"""The benchmark command runs, measures every work, and leaves nothing behind. How fast anything is does not matter.

The subject `bytes` is left out: what it builds takes minutes.
"""

import json
import signal
import subprocess
import sys
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import BIN, mounts_below, ROOT, run, start, wait_until

sys.path.insert(0, str(ROOT / "Scripts"))
from benchmarks.trees import change, first_difference  # noqa: E402: the path has to be set first

BENCH = ROOT / "Scripts" / "bench"
PEERS = ("yester", "limit", "none")
METRICS = {"find", "cat", "cp", "random_median", "random_p99", "one_reader", "four_readers"}


class BenchTest(EndToEndTest):
    """A test of one subject, with a small tree to work on."""
    subject: str
    options = ()

    def setUp(self):
        super().setUp()
        make_tree(self.source, big=2)
        self.work, self.result = self.temp / "work", self.temp / "result.json"
        self.command = [BENCH, self.subject, *self.options, "--runs", "1", "--work", self.work, "--json", self.result]

    def on_source(self, peers):
        return ["--small", self.source, "--big", "none", "--only", ",".join(peers)]

    def run_bench(self, *options):
        """Runs it to its end; what it printed, and its numbers."""
        ran = run([*self.command, *options], env=self.environment(YESTER_BIN=BIN), timeout=180)
        self.assertEqual(ran.status, 0, ran)
        self.assertEqual(mounts_below(self.temp), [])
        self.assertFalse(self.work.exists(), "something was left behind")
        return ran, json.loads(self.result.read_text())

    def interrupt(self, condition, options):
        """Runs it until the condition holds, then ends it as Ctrl-C does."""
        process = start([*self.command, *options], env=self.environment(YESTER_BIN=BIN), stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
        self.processes.append(process)
        wait_until(condition, 60, "the benchmark did not begin")
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        self.assertEqual(mounts_below(self.temp), [])
        self.assertFalse(self.work.exists(), "something was left behind")

    def assert_measured(self, tree, metrics, peers):
        for metric in metrics:
            for peer in peers:
                found = tree["measured"][metric][peer]
                self.assertEqual(len(found["values"]), 1, (metric, peer))
                self.assertGreater(found["best"], 0, (metric, peer))


class Mount(BenchTest):
    subject = "mount"

    def test_every_work_is_measured(self):
        ran, result = self.run_bench(*self.on_source(PEERS))
        tree = result["trees"]["small"]
        self.assertEqual(tree["complaints"], [])
        self.assert_measured(tree, METRICS, PEERS)
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
        self.interrupt(lambda: mounts_below(self.temp), self.on_source(PEERS))


class Write(BenchTest):
    subject = "write"
    options = ("--also", f"other={BIN}")

    def test_every_work_is_measured(self):
        ran, result = self.run_bench(*self.on_source(["yester", "other", "tar"]), "--history", "3")
        tree, times = result["trees"]["small"], ("first", "unchanged", "changed")
        self.assert_measured(tree, [*times, *(f"{work}_memory" for work in times)], ["yester", "other", "tar"])
        self.assert_measured(tree, ["verify", "verify_memory"], ["yester", "other"])
        self.assertNotIn("tar", tree["measured"]["verify"])
        size = {metric: tree["measured"][metric]["yester"]["best"]
                for metric in ("stored", "growth_unchanged", "growth_changed")}
        # In MiB and KiB. What has changed is new content.
        self.assertGreater(size["growth_changed"], size["growth_unchanged"])
        self.assertLess(size["growth_changed"], size["stored"] * 1024)
        past = result["history"]
        self.assertEqual(past["complaints"], [])
        self.assertEqual(set(past["peers"]), {"yester", "other"})
        for peer in past["peers"].values():
            self.assertEqual((len(peer["seconds"]), len(peer["growth_kib"])), (3, 3))
            self.assertGreater(min(peer["restore"]["last"] + peer["restore"]["fresh"]), 0)
        for heading in ("## Making backups", "| work | yester | other | tar |", "### 3 snapshots"):
            self.assertIn(heading, ran.out)

    def test_the_source_is_left_alone(self):
        state = {path: path.stat().st_mtime_ns for path in self.source.rglob("*") if path.is_file()}
        self.run_bench(*self.on_source(["yester"]), "--works", "changed")
        self.assertEqual({path: path.stat().st_mtime_ns for path in state}, state)

    def test_an_end_in_between_leaves_nothing(self):
        self.interrupt(lambda: list(self.work.glob("write-*/repository")), self.on_source(["yester"]))


class Restore(BenchTest):
    subject = "restore"

    def test_every_peer_restores_the_tree(self):
        ran, result = self.run_bench(*self.on_source(["yester", "tar"]))
        tree = result["trees"]["small"]
        self.assertEqual(tree["complaints"], [])
        self.assert_measured(tree, ["restore", "restore_memory"], ["yester", "tar"])
        for heading in ("## Restoring", "| work | yester | tar |"):
            self.assertIn(heading, ran.out)


class Scale(BenchTest):
    subject = "scale"

    def test_every_kind_of_tree_is_measured(self):
        ran, result = self.run_bench("--files", "250", "--directory", "200", "--sparse", "1", "--large", "0")
        trees = result["trees"]
        # With the directories of a hundred each.
        self.assertEqual({title: tree["entries"] for title, tree in trees.items()},
                         {"files": 253, "directory": 201, "sparse": 1})
        for tree in trees.values():
            works = ("backup", "unchanged", "list", "verify")
            self.assert_measured(tree, [*works, *(f"{work}_memory" for work in works), "stored", "first_ls", "look_up",
                                        "driver_memory"], ["yester"])
        for heading in ("## Scale", "### 200 files in one directory", "| work | yester |"):
            self.assertIn(heading, ran.out)


class Trees(EndToEndTest):
    """What the measurements rest on: changes that are the same for all, and a comparison that sees them."""

    def test_changes_are_the_same_everywhere(self):
        one, other = make_tree(self.temp / "one", files=300), make_tree(self.temp / "other", files=300)
        untouched = make_tree(self.temp / "untouched", files=300)
        self.assertIsNone(first_difference(one, untouched))
        for tree in (one, other):
            change(tree, 7)
        self.assertIsNotNone(first_difference(one, untouched))
        files = [path for path in one.rglob("*") if path.is_file()]
        changed = [path for path in files if path.read_bytes() != (untouched / path.relative_to(one)).read_bytes()]
        # One of a hundred files that are not empty; a second name of one of them may be among these.
        self.assertIn(len(changed), (2, 3))
        for path in files:
            self.assertEqual(path.read_bytes(), (other / path.relative_to(one)).read_bytes(), path)
            self.assertEqual(path.stat().st_size, (untouched / path.relative_to(one)).stat().st_size, path)


if __name__ == "__main__":
    unittest.main()
