"""A limit of processes that leaves no room for a thread: an error that says so, and nothing is left behind."""

import os
import resource
import unittest

from support.cases import make_tree
from support.machine import FAILED, run, wait_until
from test_ordinary_user import become_user, OrdinaryUserTest, USER

# Of a program that waits for a thread that never came. A start is tried again for two seconds.
HANG = 30


def limits():
    """How many processes and threads the user may have: each from one, then in larger steps."""
    limit = 1
    while limit < 2000:
        yield limit
        limit += max(1, limit // 4)


class ThreadLimits(OrdinaryUserTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, files=60)
        os.chmod(self.source, 0o755)
        run(["chown", "-hR", f"{USER}:{USER}", self.source])

    def within(self, limit, *arguments, program="yester"):
        """Run a program with at most so many threads and processes of the user's, its own first one included."""
        def prepare():
            resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
            become_user()
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
        self.as_user(["mkdir", point])
        refused = []
        for limit in limits():
            ran = run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", self.MOUNT, "sh", str(limit),
                       self.programs / "yester", point],
                      env=self.environment(HOME=self.temp), preexec_fn=become_user, timeout=HANG, cwd="/")
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
