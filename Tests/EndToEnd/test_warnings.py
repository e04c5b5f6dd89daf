"""What a user is warned of: patterns that exclude nothing, and secrets that are open to others."""

import os
import stat
import unittest

from support.cases import EndToEndTest
from support.machine import run, YESTER


class UselessExcludes(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.init()
        (self.source / "ex" / "logs").mkdir(parents=True)
        (self.source / "ex" / "logs" / "log").write_text("x")

    def excluded(self, pattern, *arguments, **options):
        ran = self.yester("backup", self.source, *arguments, "--exclude", pattern, cwd=self.source, **options)
        return ran.err

    def test_a_slash_anchors_at_the_root(self):
        said = self.excluded("ex/logs")
        self.assertIn('the exclude pattern "ex/logs" begins here, outside of all that is backed up', said)
        self.assertIn(f'"{self.source}/ex/logs", or "**/ex/logs"', said)
        for better in (f"{self.source}/ex/logs", "**/ex/logs"):
            self.assertEqual(self.excluded(better), "")
            self.assertEqual(self.yester("ls", f"latest:{self.source}/ex").out, "")

    def test_outside_and_on_the_way(self):
        self.assertIn("matches nothing", self.excluded("/no/such/source/*.tmp"))
        self.assertIn(f'write "{self.source}/ex"', self.excluded("/ex"))
        self.assertIn("only leads to", self.excluded(str(self.temp)))

    def test_what_may_match_is_no_mistake(self):
        for pattern in ("*.o", "logs", "logs/", "**/x/y", f"{self.source}/not/there/yet", f"{self.temp}/x*", "/*/x", "!ex/y",
                        "# ex/y", f"{self.source}"[:-1] + "?/none"):
            self.assertEqual(self.excluded(pattern), "", pattern)

    def test_lists_are_shared_by_machines(self):
        shared = self.temp / "excludes"
        shared.write_text("/var/lib/only/elsewhere\nex/logs\n")
        said = self.yester("backup", self.source, "--exclude-from", shared).err
        self.assertNotIn("elsewhere", said)
        self.assertIn('"ex/logs"', said)


class OpenSecrets(EndToEndTest):
    def warned(self, *arguments, **options):
        return self.yester("list", *arguments, **options).err

    def test_a_key_file(self):
        self.init()
        self.assertEqual(stat.S_IMODE(self.key.stat().st_mode), 0o600)
        self.assertEqual(self.warned(), "")
        for mode in (0o640, 0o604, 0o660, 0o620):
            self.key.chmod(mode)
            said = self.warned()
            self.assertEqual(said.count("\n"), 1)
            self.assertIn(f"{self.key}, which opens the repository, is open to other users (mode {mode:04o})", said)
        self.assertIn("chmod 600", self.warned("--key-file", self.key, env={"YESTER_KEY_FILE": None}))
        self.key.chmod(0o400)
        os.chown(self.key, 65534, 0)
        self.assertIn("belongs to another user (nobody)", self.warned())
        # The result is as it was.
        self.assertEqual(self.yester("list", "--json").json, [])

    def test_the_driver(self):
        self.init()
        self.source.mkdir()
        (self.source / "file").write_text("x")
        self.backup()
        self.key.chmod(0o644)
        point = self.temp / "mnt"
        point.mkdir()
        self.assertEqual(self.yester("mount", point).err.count("is open to other users"), 1)
        self.unmount(point)

    def test_a_password_file_and_a_new_key(self):
        password = self.temp / "password"
        password.write_text("secret\n")
        password.chmod(0o600)
        environment = {"YESTER_KEY_FILE": None}
        self.yester("init", "--password-file", password, env=environment)
        self.assertEqual(self.warned("--password-file", password, env=environment), "")
        password.chmod(0o644)
        self.assertIn("is open to other users", self.warned("--password-file", password, env=environment))
        self.assertIn("is open", self.warned(env={**environment, "YESTER_PASSWORD_FILE": password}))
        new = self.temp / "new"
        self.yester("key", "add", "--password-file", password, "--new-key-file", new, env=environment)
        self.assertEqual(stat.S_IMODE(new.stat().st_mode), 0o600)

    def test_a_pipe_is_nobodys_business(self):
        self.init()
        script = f'exec "$0" list --key-file <(cat "{self.key}")'
        ran = run(["bash", "-c", script, YESTER], env=self.environment())
        self.assertEqual((ran.status, ran.err), (0, ""))


if __name__ == "__main__":
    unittest.main()
