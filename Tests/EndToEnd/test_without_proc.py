"""A machine whose /proc is missing, as in a chroot, or hides the processes of other users."""

import os
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import DONE, FAILED, run, wait_until, YESTER


class WithoutProc(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, files=10)
        for number, name in enumerate(["dir0", "dir0/file-000", "link", "fifo"]):
            os.setxattr(self.source / name, "trusted.mark", b"%d" % number, follow_symlinks=False)
        with open(os.fsencode(self.source) + b"/\xff\xfe name", "wb") as file:
            file.write(b"no UTF-8")
        self.init()

    def without_proc(self, script, *arguments, **options):
        """Runs a script of the shell in which "$@" are the arguments, where /proc is empty."""
        ran = run(["unshare", "-m", "bash", "-c", f"umount -l /proc || exit; {script}", "bash", *arguments],
                  env=self.environment(), **options)
        return ran

    def yester_without_proc(self, *arguments, status=DONE):
        ran = self.without_proc('exec "$@"', YESTER, *arguments)
        self.assertEqual(ran.status, status, ran)
        return ran

    def test_there_and_back(self):
        ran = self.yester_without_proc("backup", self.source)
        self.assertIn("Made snapshot", ran.out)
        self.assertEqual(ran.err, "")
        self.assertEqual(self.yester_without_proc("diff", "latest", "live", "--exit-code").err, "")
        self.assert_same_tree(self.source, self.restored())
        self.yester_without_proc("restore", f"latest:{self.source}", "--to", self.temp / "elsewhere")
        self.assert_same_tree(self.source, self.temp / "elsewhere")
        self.yester_without_proc("verify")
        self.yester_without_proc("rotate", "--keep-last", "1")

    def test_names_are_bytes(self):
        path = os.fsencode(self.source) + b"/\xff\xfe name"
        self.assertEqual(self.backup_of(path), [path])

    def backup_of(self, path):
        self.yester_without_proc("backup", path)
        out = self.temp / "listing"
        with open(out, "wb") as file:
            run(["bash", "-c", f"{YESTER} ls latest -R --null > {out}"], env=self.environment())
        return [b"/" + name for name in out.read_bytes().split(b"\0") if name.endswith(b" name")]

    def test_nothing_is_taken_from_virtual_file_systems(self):
        (self.source / "sys").mkdir()
        ran = self.without_proc(f'mount -t sysfs sysfs {self.source}/sys && exec "$@"', YESTER, "backup", self.source)
        self.assertEqual(ran.status, DONE, ran)
        self.assertEqual(self.yester("ls", f"latest:{self.source}/sys").out, "")
        self.assertLess(self.snapshots()[0]["counts"]["entries"], 100)

    def test_mounts(self):
        self.backup()
        point = self.temp / "mnt"
        point.mkdir()
        file = f"{point}/latest{self.source}/dir0/file-000"
        ran = self.without_proc(f'"$@" mount {point} && cmp {file} {self.source}/dir0/file-000 && "$@" unmount {point}; '
                                f"echo unmount $?; umount {point}", YESTER)
        self.assertEqual((ran.status, ran.out), (DONE, f"unmount {FAILED}\n"), ran)
        self.assertIn("reading /proc/self/mountinfo failed", ran.err)
        self.assertIn("umount", ran.err)
        # A driver that ends takes its mount away.
        script = (f'"$@" mount --foreground {point} & while [[ ! -e {file} ]]; do sleep 0.1; done; kill -TERM $!; wait $!; '
                  f"echo ended $?; ls {point}")
        ran = self.without_proc(script, YESTER)
        self.assertEqual((ran.status, ran.out), (DONE, "ended 0\n"), ran)
        self.yester_without_proc("backup", "--verify", "mount", self.source)
        wait_until(lambda: not os.listdir(self.repository / "leases"), 5, "the driver of the verification stays")

    def test_hidden_processes_are_not_dead(self):
        (self.source / "noise").write_bytes(os.urandom(3 << 20))
        # An ordinary user has the key, too.
        self.temp.chmod(0o755)
        self.key.chmod(0o644)
        process = self.start_yester("backup", "--limit-upload", "256", self.source)
        wait_until(lambda: self.objects("leases"), 30, "a lease")
        run(["chmod", "-R", "a+rX", self.repository])
        ran = run(["unshare", "-m", "bash", "-c",
                   'mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"',
                   "bash", YESTER, "status", "--json"], env=self.environment(YESTER_CACHE_DIR=self.temp / "nobody"))
        self.assertEqual(ran.status, DONE, ran)
        self.assertIsNone(process.poll(), "the backup ended too early")
        self.assertEqual([(lease["purpose"], lease["alive"]) for lease in ran.json["leases"]], [("backup", True)])
        process.kill()
        process.wait()
        leases = self.yester("status", "--json").json["leases"]
        self.assertEqual([lease["alive"] for lease in leases], [False])


if __name__ == "__main__":
    unittest.main()
