"""What a mount shows beside the files: attributes, checksums, versions, the catalog; how it follows the repository."""

import hashlib
import json
import os
import random
import socket
import unittest
from shutil import rmtree

from support.cases import EndToEndTest, make_tree
from support.machine import run, wait_until


class View(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, big=1)
        self.init()

    def versions_of(self, point, path):
        return os.listdir(point / ".yester" / "versions" / str(path).lstrip("/"))

    def test_own_attributes_answer_but_are_not_listed(self):
        odd = self.source / "own"
        odd.write_bytes(b"content")
        os.setxattr(odd, "user.real", b"value")
        (self.source / "nothing").write_bytes(b"")
        made = self.backup()
        mounted = self.in_mount(self.mount())
        for name in ("own", "nothing", "big-0", "dir0/file-000"):
            wanted = hashlib.sha256((self.source / name).read_bytes()).hexdigest()
            ran = run(["getfattr", "--only-values", "-n", "user.yester.sha256", mounted / name])
            self.assertEqual((ran.status, ran.out), (0, wanted))
            ran = run(["getfattr", "--only-values", "-n", "user.yester.snapshot", mounted / name])
            self.assertEqual((ran.status, ran.out), (0, made["name"]))
        self.assertEqual(os.listxattr(mounted / "own"), ["user.real"])
        self.assertEqual(os.listxattr(mounted / "big-0"), [])
        self.assertNotIn("user.yester", run(["getfattr", "-d", "-m", "-", mounted / "own"]).out)
        with self.assertRaises(OSError):
            os.getxattr(mounted / "own", "user.yester.unknown")
        copy = self.temp / "copy"
        self.assertEqual(run(["cp", "-a", mounted / "own", copy]).status, 0)
        self.assertEqual(os.listxattr(copy), ["user.real"])

    def test_attributes_keep_the_order_of_the_source(self):
        rng, orders = random.Random(7), {}
        for number in range(20):
            path = self.source / f"many-{number}"
            path.write_bytes(b"x")
            for name in rng.sample(["user.a", "user.m", "user.z", "user.bb", "trusted.t", "security.s"], 6):
                os.setxattr(path, name, name.encode())
            orders[path.name] = os.listxattr(path)
        self.assertTrue(any(order != sorted(order) for order in orders.values()), "the file system sorts by itself")
        self.backup()
        mounted = self.in_mount(self.mount())
        self.assertEqual({name: os.listxattr(mounted / name) for name in orders}, orders)
        # Another order is no change.
        path = self.source / "many-0"
        first = os.listxattr(path)[0]
        value = os.getxattr(path, first)
        os.removexattr(path, first)
        os.setxattr(path, first, value)
        self.assertNotEqual(os.listxattr(path), orders["many-0"])
        self.backup("-d", "second")
        names = [one["name"] for one in self.snapshots()]
        self.assertEqual(self.yester("diff", *names).out.count("many-0"), 0)
        self.assertEqual(len(self.versions_of(self.temp / "mnt", path)), 1)

    def test_checksums(self):
        (self.source / "back\\slash\nline").write_bytes(b"escaped")
        made = self.backup()
        point = self.mount()
        restored = self.temp / "all"
        self.yester("restore", "latest", "--to", restored)
        sums = point / ".yester" / "checksums"
        # What is all of its day is listed as that, here too; both names can be read.
        self.assertEqual(os.listdir(sums), [made["name"][:8] + ".sha256"])
        for name in (made["name"] + ".sha256", made["name"][:8] + ".sha256"):
            lines = (sums / name).read_bytes().splitlines()
            self.assertEqual(len(lines), made["counts"]["files"])
            ran = run(["sha256sum", "-c", "--strict", "--quiet", sums / name], cwd=restored)
            self.assertEqual((ran.status, ran.out, ran.err), (0, "", ""))
        # The list is no decoration: it finds a changed file.
        changed = restored / str(self.source)[1:] / "big-0"
        data = bytearray(changed.read_bytes())
        data[5] ^= 1
        changed.write_bytes(data)
        ran = run(["sha256sum", "-c", "--quiet", sums / f"{made['name']}.sha256"], cwd=restored)
        self.assertEqual(ran.status, 1)
        self.assertIn("big-0: FAILED", ran.out)

    def test_versions_of_a_path(self):
        file, wanted = self.source / "grows", []
        for number in range(3):
            file.write_bytes(b"version %d\n" % number)
            first = self.backup()["name"]
            self.backup()  # without a change: no version of its own
            wanted.append((first, b"version %d\n" % number))
        file.unlink()
        self.backup()
        point = self.mount()
        found = self.versions_of(point, file)
        self.assertEqual(len(found), 3, found)
        contents = []
        for (name, content), shown in zip(wanted, sorted(found, key=[name for name, _ in wanted].index)):
            self.assertEqual(shown, name)
            contents.append((point / ".yester" / "versions" / str(file)[1:] / shown).read_bytes())
            self.assertEqual(contents[-1], content)
        self.assertEqual(len(self.versions_of(point, self.source / "big-0")), 1)
        with self.assertRaises(FileNotFoundError):
            self.versions_of(point, self.source / "never-there")

    def test_versions_can_be_found_by_looking(self):
        """What a shell completes: every name that ever was, and nothing else."""
        (self.source / "gone").mkdir()
        (self.source / "gone" / "inside").write_bytes(b"inside")
        (self.source / "private").mkdir(mode=0o755)
        (self.source / "private" / "secret").write_bytes(b"secret")
        first = self.backup()["name"]
        rmtree(self.source / "gone")
        (self.source / "later").write_bytes(b"later")
        (self.source / "private").chmod(0o700)
        second = self.backup()["name"]
        point = self.mount()
        top = point / ".yester" / "versions"
        for folder in self.source.parents:
            here = top / str(folder)[1:]
            names = [entry.name for entry in os.scandir(here) if entry.is_dir(follow_symlinks=False)]
            self.assertEqual(names, [self.source.relative_to(folder).parts[0]])
        here = top / str(self.source)[1:]
        kinds = {entry.name: (entry.is_symlink(), entry.is_dir(follow_symlinks=False), entry.inode())
                 for entry in os.scandir(here)}
        wanted = set(os.listdir(self.source)) | {"gone"}
        self.assertEqual(set(kinds), wanted | {first, second})
        for name, (is_link, is_directory, inode) in kinds.items():
            self.assertEqual((is_link, is_directory), (name not in wanted, name in wanted), name)
            self.assertEqual((here / name).lstat().st_ino, inode)
        self.assertEqual(set(os.listdir(here / first)), set(os.listdir(self.in_mount(point, first))))
        self.assertEqual(set(os.listdir(here / "gone")), {first, "inside"})
        self.assertEqual((here / "gone" / "inside" / first).read_bytes(), b"inside")
        self.assertEqual((here / "gone" / first / "inside").read_bytes(), b"inside")
        self.assertEqual(os.listdir(here / "later"), [second])
        # A name without a version is no name, a directory is left as it was entered, and .. is right.
        ran = run(["sh", "-c", f"cd '{here}/gone/inside' && cd .. && pwd -P && ls"])
        self.assertEqual(ran.out.split(), [str(here / "gone"), first, "inside"])
        # Names are told to those alone who could read them in all snapshots.
        self.assertEqual((here / "private").stat().st_mode & 0o777, 0o500)
        self.assertEqual((here / "gone").stat().st_mode & 0o777, 0o555)
        special = point / ".yester"
        others = [path for path in (*special.iterdir(), *(special / "checksums").iterdir()) if path.stat().st_mode & 0o077]
        self.assertEqual(sorted(path.name for path in others), ["health", "stats", "versions"])

    def test_very_many_names_over_many_snapshots(self):
        count, folder = 3000, self.source / "many"
        folder.mkdir()
        for number in range(count):
            (folder / f"name-{number:05d}").write_bytes(b"")
        self.backup("-d", "first")
        for step in range(3):
            for number in range(step, count, 7):
                (folder / f"name-{number:05d}").unlink(missing_ok=True)
            (folder / f"added-{step}").write_bytes(b"")
            self.backup("-d", str(step))
        point = self.mount()
        here = point / ".yester" / "versions" / str(folder)[1:]
        wanted = [f"added-{step}" for step in range(3)] + [f"name-{number:05d}" for number in range(count)]
        names = [entry.name for entry in os.scandir(here) if entry.is_dir(follow_symlinks=False)]
        self.assertEqual(names, wanted)
        # In two goes at once, and again from the beginning.
        with os.scandir(here) as one, os.scandir(here) as other:
            pairs = [(a.name, b.name) for a, b in zip(one, other)]
        self.assertEqual([a for a, _ in pairs], [b for _, b in pairs])
        self.assertEqual(len(pairs), len(wanted) + 4)

    def test_the_catalog_in_the_mount(self):
        daily = self.backup()
        change = self.backup("--kind", "pre-change", "-d", "upgrade", "--change-ticket", "CHG-1", "--purpose", "why",
                             "--notes", "a note")
        point = self.mount()
        catalog = json.loads((point / ".yester" / "backup_metadata.json").read_text())
        self.assertEqual(list(catalog["daily"]), [daily["name"][:8]])
        entry = catalog["daily"][daily["name"][:8]]
        self.assertEqual(entry["id"], daily["id"])
        self.assertEqual(entry["status"], "complete")
        self.assertIs(entry["verified"], False)
        self.assertEqual(len(entry["files"]), daily["counts"]["files"])
        file = entry["files"][str(self.source / "big-0")[1:]]
        content = (self.source / "big-0").read_bytes()
        self.assertEqual(file, {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
        entry = catalog["pre_change"][change["name"]]
        self.assertEqual((entry["change_ticket"], entry["purpose"], entry["notes"], entry["description"]),
                         ("CHG-1", "why", "a note", "upgrade"))
        self.verify()

        def is_verified():
            text = (point / ".yester" / "backup_metadata.json").read_text()
            try:
                return json.loads(text)["pre_change"][change["name"]]["verified"]
            except ValueError:
                # It was replaced between two reads of one reader, who has a part of each then.
                return False

        wait_until(is_verified, 5, "the mount does not know of verify")

    def test_a_new_snapshot_appears_in_a_running_mount(self):
        first = self.backup()
        point = self.mount()
        self.assertEqual(os.readlink(point / "latest"), first["name"])
        (self.source / "fresh").write_bytes(b"fresh")
        with self.assertRaises(FileNotFoundError):
            self.in_mount(point).joinpath("fresh").stat()
        second = self.backup("-d", "second")
        wait_until(lambda: second["name"] in os.listdir(point), 2, "the new snapshot is not listed")
        wait_until(lambda: os.readlink(point / "latest") == second["name"], 2, "latest is stale")
        self.assertEqual((point / second["name"] / str(self.source)[1:] / "fresh").read_bytes(), b"fresh")
        wait_until(lambda: (self.in_mount(point, first["name"][:8]) / "fresh").exists(), 2, "the day is stale")

    def test_a_removed_snapshot_vanishes_but_open_files_stay(self):
        first = self.backup("-d", "first")
        (self.source / "big-0").write_bytes(os.urandom(3 << 20))
        wanted = (self.source / "big-0").read_bytes()
        second = self.backup("-d", "second")
        (self.source / "big-0").write_bytes(b"x" * (2 << 20))
        self.backup("-d", "third")
        point = self.mount()
        with open(self.in_mount(point, second["name"], self.source / "big-0"), "rb") as file:
            self.assertEqual(file.read(1000), wanted[:1000])
            self.yester("rotate", "--keep-last", "1", "--max-unused", "0", "--minimum-age", "0")
            wait_until(lambda: second["name"] not in os.listdir(point), 2, "the removed snapshot is still listed")
            self.assertNotIn(first["name"], os.listdir(point))
            self.assertEqual(file.read(), wanted[1000:])
        with self.assertRaises(OSError):
            wait_until(lambda: (point / second["name"]).stat() and False, 4, "never")

    def test_two_plans_share_a_day(self):
        for name in ("etc", "home"):
            make_tree(self.source / "two" / name, seed=name, files=5)
        etc = self.backup("--plan", "etc", self.source / "two" / "etc")
        self.backup("--plan", "home", self.source / "two" / "home")
        (self.source / "two" / "home" / "later").write_bytes(b"later")
        self.backup("--plan", "home", self.source / "two" / "home")
        point = self.mount()
        day = self.in_mount(point, etc["name"][:8])
        self.assertEqual(sorted(os.listdir(day)), ["two"])
        self.assertEqual(sorted(os.listdir(day / "two")), ["etc", "home"])
        for name in ("etc", "home"):
            self.assert_same_tree(self.source / "two" / name, day / "two" / name)
        self.assertEqual((day / "two" / "home" / "later").read_bytes(), b"later")
        only = self.in_mount(point, etc["name"])
        self.assertEqual(os.listdir(only / "two"), ["etc"])

    def test_hosts(self):
        own = self.backup("-d", "own")
        other = self.backup("-d", "other", "--host", "elsewhere.example")
        self.assertEqual([one["id"] for one in self.snapshots("--host", "elsewhere.example")], [other["id"]])
        point = self.mount()
        self.assertIn(own["name"], os.listdir(point))
        self.assertNotIn(other["name"], os.listdir(point))
        point = self.mount("--host", "elsewhere.example", at="elsewhere")
        self.assertIn(other["name"], os.listdir(point))
        self.assertNotIn(own["name"], os.listdir(point))
        point = self.mount("--all-hosts", at="all")
        self.assertLessEqual({socket.gethostname(), "elsewhere.example"}, set(os.listdir(point)))
        for host, made in ((socket.gethostname(), own), ("elsewhere.example", other)):
            self.assert_same_tree(self.source, self.in_mount(point / host, made["name"]))
            self.assertEqual(os.readlink(point / host / "latest"), made["name"])
        third = self.backup("--host", "third.example")
        wait_until(lambda: "third.example" in os.listdir(point), 3, "a new host does not appear")
        self.assertIn(third["name"][:8], os.listdir(point / "third.example"))

    def test_inode_numbers_stay_the_same_after_a_remount(self):
        self.backup()
        seen = []
        for _ in range(2):
            point = self.mount()
            mounted = self.in_mount(point)
            seen.append({str(path.relative_to(mounted)): path.lstat().st_ino for path in mounted.rglob("*")})
            self.unmount(point)
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(seen[0]["dir0/file-000"], seen[0]["dir1/hard"])
        self.assertEqual(len(set(seen[0].values())), len(seen[0]) - 1)

    def test_nothing_can_be_written(self):
        self.backup()
        mounted = self.in_mount(self.mount())
        for attempt in (lambda: (mounted / "new").write_bytes(b""), lambda: (mounted / "big-0").unlink(),
                        lambda: (mounted / "big-0").chmod(0o777), lambda: (mounted / "dir0").rename(mounted / "x"),
                        lambda: open(mounted / "big-0", "r+b")):
            with self.assertRaisesRegex(OSError, "Read-only"):
                attempt()


if __name__ == "__main__":
    unittest.main()
