"""A limit of processes that leaves no room for a thread: an error that says so, and nothing is left behind."""

import itertools
import os
import pathlib
import resource
import shutil
import tempfile
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import BIN, FAILED, run, wait_until

# Of a program that waits for a thread that never came. A start is tried again for two seconds.
HANG = 30

# The limit counts all processes of a user on this machine, those too that have ended and were not collected yet: so each
# test has a user of its own.
USERS = itertools.count(600_000_000 + 100 * os.getpid())


def limits():
    """How many processes and threads the user may have: each from one, then in larger steps."""
    limit = 1
    while limit < 2000:
        yield limit
        limit += max(1, limit // 4)


class ThreadLimits(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.user = next(USERS)
        # The tree of the project may lie where other users cannot look.
        self.programs = pathlib.Path(tempfile.mkdtemp(prefix="yester-bin-"))
        self.addCleanup(shutil.rmtree, self.programs)
        for program in ("yester", "yesterfs"):
            shutil.copy(BIN / program, self.programs / program)
            (self.programs / program).chmod(0o755)
        self.programs.chmod(0o755)
        mode = os.stat("/dev/fuse").st_mode
        if mode & 0o006 != 0o006:
            os.chmod("/dev/fuse", 0o666)
            self.addCleanup(os.chmod, "/dev/fuse", mode & 0o7777)
        make_tree(self.source, files=60)
        (self.temp / "mnt").mkdir()
        run(["chown", "-hR", f"{self.user}:{self.user}", self.temp])
        self.user_yester("init", "--key-file", self.key)

    def become_user(self):
        os.setgroups([])
        os.setgid(self.user)
        os.setuid(self.user)
        os.umask(0o022)

    def user_yester(self, *arguments):
        ran = run([self.programs / "yester", *arguments], env=self.environment(HOME=self.temp),
                  preexec_fn=self.become_user, cwd="/")
        self.assertEqual(ran.status, 0, f"{arguments}: {ran}")
        return ran

    def within(self, limit, *arguments, program="yester"):
        """Run a program with at most so many threads and processes of the user's, its own first one included."""
        def prepare():
            resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
            self.become_user()
        return run([self.programs / program, *arguments], env=self.environment(HOME=self.temp), preexec_fn=prepare,
                   timeout=HANG, cwd="/")

    def assert_fails_well_until_it_works(self, *arguments, check=lambda: None):
        """With too few threads it fails with an error and leaves nothing; with enough of them it succeeds."""
        refused = 0
        for limit in limits():
            ran = self.within(limit, *arguments)
            if ran.status == 0:
                break
            refused += 1
            self.assertEqual(ran.status, FAILED, f"with {limit} threads: {ran}")
            self.assertIn("no room for another thread", ran.err)
            self.assertIn("ulimit -u", ran.err)
            self.assertEqual(os.listdir(self.repository / "leases"), [], f"with {limit} threads")
            check()
        self.assertEqual(ran.status, 0, f"{ran}")
        self.assertGreater(refused, 1, "no limit was low enough to be met")

    def test_a_backup_says_so_and_the_repository_stays_sound(self):
        self.assert_fails_well_until_it_works("backup", self.source)
        self.user_yester("verify")

    def test_a_verification_says_so(self):
        self.user_yester("backup", self.source)
        self.assert_fails_well_until_it_works("verify")

    def test_a_restore_says_so_and_makes_no_file_under_its_name(self):
        self.user_yester("backup", self.source)
        restored = self.temp / "restored"

        def check():
            made = [name for _, _, names in os.walk(restored) for name in names]
            self.assertEqual(made, [])
        self.assert_fails_well_until_it_works("restore", "latest", "--to", restored, check=check)

    # As the root of a user namespace, who mounts without fusermount3 and still has to keep to the limit. What stays
    # mounted after an error is a second one.
    MOUNT = """
        prlimit --nproc=$1 "$2" mount "$3"
        status=$?
        if grep -q " $3 " /proc/self/mountinfo; then
            [ $status = 0 ] || exit 99
            umount "$3"
        fi
        exit $status
    """

    def test_a_mount_says_so_and_is_taken_away_again(self):
        self.user_yester("backup", self.source)
        point = self.temp / "mnt"
        refused = []
        for limit in limits():
            ran = run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", self.MOUNT, "sh", str(limit),
                       self.programs / "yester", point],
                      env=self.environment(HOME=self.temp), preexec_fn=self.become_user, timeout=HANG, cwd="/")
            wait_until(lambda: os.listdir(self.repository / "leases") == [], 10, f"{limit} threads: a lease is left")
            if ran.status == 0:
                break
            self.assertEqual(ran.status, FAILED, f"with {limit} threads: {ran}")
            self.assertRegex(ran.err, "no room for another thread|no background process can be started")
            refused.append(limit)
        self.assertEqual(ran.status, 0, f"{ran}")
        # Its pool alone has eight threads.
        self.assertGreater(refused[-1], 8, "no limit was low enough to be met")


if __name__ == "__main__":
    unittest.main()
