"""An ordinary user, without root: backup, mount through fusermount3, copy, restore."""

import os
import pathlib
import re
import shutil
import stat
import tempfile
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import BIN, driver_of, INCOMPLETE, is_gone, Ran, run, wait_until

USER = 65534  # nobody: fusermount3 asks for a user with a name


def become_user():
    os.setgroups([])
    os.setgid(USER)
    os.setuid(USER)
    os.umask(0o022)


class OrdinaryUserTest(EndToEndTest):
    """A test whose repository, key and directory belong to an ordinary user."""

    def setUp(self):
        super().setUp()
        # The tree of the project may lie where other users cannot look.
        self.programs = pathlib.Path(tempfile.mkdtemp(prefix="yester-bin-"))
        self.addCleanup(shutil.rmtree, self.programs)
        for program in ("yester", "yesterfs"):
            shutil.copy(BIN / program, self.programs / program)
            (self.programs / program).chmod(0o755)
        self.programs.chmod(0o755)
        os.chown(self.temp, USER, USER)
        mode = stat.S_IMODE(os.stat("/dev/fuse").st_mode)
        if mode & 0o006 != 0o006:
            os.chmod("/dev/fuse", 0o666)
            self.addCleanup(os.chmod, "/dev/fuse", mode)
        self.user_yester("init", "--key-file", self.key)

    def as_user(self, command, status=0) -> Ran:
        ran = run(command, env=self.environment(HOME=self.temp), preexec_fn=become_user, cwd="/")
        self.assertEqual(ran.status, status, f"{command}: {ran}")
        return ran

    def user_yester(self, *arguments, status=0):
        return self.as_user([self.programs / "yester", *arguments], status)


class OrdinaryUser(OrdinaryUserTest):
    def setUp(self):
        super().setUp()
        self.root_owned = self.source / "closed"
        self.as_user(["mkdir", self.source])
        make_tree(self.source / "tree")
        for path in [self.source / "tree", *(self.source / "tree").rglob("*")]:
            os.chown(path, USER, USER, follow_symlinks=False)
        self.root_owned.write_text("only root may read this\n")
        self.root_owned.chmod(0o600)

    def test_backup_mount_copy_and_restore(self):
        ran = self.user_yester("backup", "--json", self.source, status=INCOMPLETE)
        self.assertIn(str(self.root_owned), ran.err)
        self.assertEqual(ran.json["counts"]["unreadable"], 1)
        self.assertEqual(ran.json["problems"], 1)
        self.assertEqual(self.key.stat().st_uid, USER)
        self.assertEqual(stat.S_IMODE(self.key.stat().st_mode), 0o600)
        for path in self.repository.rglob("*"):
            self.assertEqual(path.stat().st_mode & 0o077, 0, f"{path} is open to others")

        point = self.temp / "mnt"
        self.as_user(["mkdir", point])
        self.user_yester("mount", point)
        driver = driver_of(point)
        uids = re.search(r"^Uid:\t(.*)$", pathlib.Path(f"/proc/{driver}/status").read_text(), re.M)[1].split()
        self.assertEqual(set(uids), {str(USER)})
        mounted = self.in_mount(point, path=self.source / "tree")
        self.as_user(["ls", "-laR", point / "latest"])
        copied = self.temp / "copied"
        self.as_user(["cp", "-a", mounted, copied])
        self.assert_same_tree(self.source / "tree", copied)
        # Others, even root, see nothing of a user's mount.
        with self.assertRaises(PermissionError):
            os.listdir(point)
        self.user_yester("unmount", point)
        self.assertFalse(os.path.ismount(point))
        wait_until(lambda: is_gone(driver), 10, "the driver is still there")

        restored = self.temp / "restored"
        self.user_yester("restore", f"latest:{self.source}/tree", "--to", restored)
        self.assert_same_tree(self.source / "tree", restored)
        self.user_yester("verify")

    def test_what_could_not_be_read_is_not_there(self):
        self.user_yester("backup", self.source, status=INCOMPLETE)
        restored = self.temp / "restored"
        self.user_yester("restore", f"latest:{self.source}", "--to", restored)
        closed = restored / "closed"
        # Neither old nor empty content may stand for a file that was never read.
        self.assertFalse(closed.exists(), "an unreadable file came back as something else")

    def test_a_closed_directory_is_named(self):
        (self.source / "locked").mkdir()
        (self.source / "locked" / "inside").write_text("x")
        os.chmod(self.source / "locked", 0o700)
        self.root_owned.unlink()
        ran = self.user_yester("backup", "--json", self.source, status=INCOMPLETE)
        self.assertIn(str(self.source / "locked"), ran.err)

    def test_an_unreadable_repository_is_told_apart_from_damage(self):
        self.root_owned.unlink()
        self.user_yester("backup", self.source)
        os.chown(self.key, 0, 0)
        ran = self.user_yester("list", status=1)
        self.assertIn("ermission", ran.err)

    def without_mtab(self, script):
        """Runs a script of the user's in a namespace where /etc/mtab is missing, as in a root made by debootstrap."""
        etc = self.temp / "etc"
        shutil.copytree("/etc", etc, symlinks=True)
        (etc / "mtab").unlink(missing_ok=True)
        # Where / is no mount, as in a chroot, what others see of this one cannot be cut off: so it is taken away again.
        enter = """
            mount --make-rprivate / 2> /dev/null
            mount --bind "$0" /etc || exit
            setpriv --reuid $1 --regid $1 --clear-groups sh -euc "$2"
            status=$?
            umount -l /etc
            exit $status
        """
        return run(["unshare", "--mount", "--propagation", "unchanged", "--pid", "--fork", "--kill-child",
                    "--mount-proc", "sh", "-c", enter, etc, str(USER), script],
                   env=self.environment(HOME=self.temp, PATH=f"{self.programs}:{os.environ['PATH']}"), cwd=self.temp)

    def test_unmounting_without_etc_mtab(self):
        self.root_owned.unlink()
        self.user_yester("backup", self.source)
        ran = self.without_mtab(f"""
            mkdir mnt
            yester mount mnt
            ls mnt/latest{self.source}
            yester unmount mnt
            ! grep "^{self.repository} {self.temp}/mnt fuse.yesterfs " /proc/mounts
            # A mount whose driver died is taken away by the next.
            yester mount mnt
            for process in /proc/[0-9]*; do
              if [ "$(cat $process/comm)" = yesterfs ]; then kill -KILL ${{process#/proc/}}; fi
            done
            while stat -f mnt > /dev/null 2>&1; do sleep 0.1; done
            yester mount mnt
            ls mnt/latest
            # One that is in use goes as soon as nobody uses it.
            cd mnt/latest
            yester unmount {self.temp}/mnt
            ! grep "^{self.repository} {self.temp}/mnt fuse.yesterfs " /proc/mounts
        """)
        self.assertEqual(ran.status, 0, ran)
        self.assertEqual(ran.err, "yesterfs: took away the dead mount on mnt\n")

    def test_what_unmounting_needs_is_told(self):
        self.root_owned.unlink()
        self.user_yester("backup", self.source)
        helper = self.programs / "umount"
        helper.write_text("#!/bin/sh\nexit 1\n")
        helper.chmod(0o755)
        ran = self.without_mtab("mkdir mnt; yester mount mnt; yester unmount mnt")
        self.assertEqual(ran.status, 1, ran)
        self.assertIn("fusermount3 needs the file /etc/mtab, which is missing", ran.err)
        self.assertIn("ln -s /proc/self/mounts /etc/mtab", ran.err)

    def test_allow_other_needs_the_administrator(self):
        conf = pathlib.Path("/etc/fuse.conf")
        lines = conf.read_text().splitlines() if conf.exists() else []
        if any(line.strip() == "user_allow_other" for line in lines):
            raise AssertionError("this machine allows user_allow_other: the test would prove nothing")
        self.root_owned.unlink()
        self.user_yester("backup", self.source)
        point = self.temp / "mnt"
        self.as_user(["mkdir", point])
        ran = self.user_yester("mount", point, "-o", "allow_other", status=2)
        self.assertIn("user_allow_other", ran.err)
        self.assertFalse(os.path.ismount(point))


if __name__ == "__main__":
    unittest.main()
