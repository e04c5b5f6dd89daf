"""A write-only key makes backups and cannot read any: its slot holds nothing that could."""

import hashlib
import random
import re
import unittest

from support.cases import EndToEndTest, make_tree, settle
from support.machine import DAMAGED, MIB, RECOVER, recover_python, run, USAGE, WRONG_KEY

# Runs in the Python that has the packages: everything from the page docs/format.md, through recover.py's reader.
PROBE = '''
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("recover", sys.argv[1])
recover = importlib.util.module_from_spec(spec)
spec.loader.exec_module(recover)
repository = recover.Repository(sys.argv[2], recover.Report())
secret = recover.read_key_file(sys.argv[3])
repository.open_key(secret, 2)
keys, found = repository.keys, {}
found["role"] = keys.role
found["private"] = [bool(key_set.private) for key_set in keys.sets.values()]
# The payload: role, writer seed, certificate, list key, root public key, then whether the root's private half follows.
for key in repository.store.keys("keys"):
    slot = repository.store.read(key, 1 << 16)
    payload = repository.open_slot(slot, 129 + slot[124], secret, 2)
    if payload:
        found["payload"] = payload.hex()
        found["root"] = payload[161]
        found["writer"] = slot[92:124].hex()
opened = refused = 0
# Whatever 32 bytes of it are tried as the private key, no pack's data key comes out.
payload = bytes.fromhex(found["payload"])
candidates = [payload[i:i + 32] for i in range(len(payload) - 31)]
packs = [key for first in range(256) for key in repository.store.keys(f"packs/{first:02x}")]
for key in packs:
    header = repository.store.open(key).read(128)
    for candidate in candidates:
        private = recover.X25519PrivateKey.from_private_bytes(candidate)
        key_set = next(iter(keys.sets.values()))._replace(private=private)
        try:
            repository.unwrap(key_set, header[48:80], header[80:128], header[:80], b"yester pack key 1")
            opened += 1
        except recover.Damage:
            refused += 1
found["packs"], found["opened"], found["refused"] = len(packs), opened, refused
records = recover.Records(repository)
found["snapshots"] = [snapshot.name for snapshot in records.snapshots]
print(json.dumps(found))
'''


class WriteOnlyKey(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source, big=1)
        self.init()
        self.full_made = self.backup("-d", "by the full key")
        self.write_only = self.temp / "write-only"
        self.yester("key", "add", "--write-only", "--new-key-file", self.write_only, "--label", "server")
        # A server of its own: another cache, and nothing of the full key.
        self.server = {"YESTER_KEY_FILE": self.write_only, "YESTER_CACHE_DIR": self.temp / "server-cache"}

    def probe(self, key):
        ran = run([recover_python(), "-c", PROBE, RECOVER, self.repository, key])
        self.assertEqual(ran.status, 0, ran)
        return ran.json

    def test_backups_are_incremental_by_the_local_listings(self):
        first = self.backup(env=self.server)
        self.assertLess(first["counts"]["bytes_new"], MIB, "what is stored is stored again")
        self.assertGreater(first["counts"]["bytes_read"], MIB)
        second = self.backup(env=self.server)
        self.assertEqual((second["base"], second["counts"]["bytes_read"]), (first["id"], 0))
        (self.source / "added").write_bytes(b"added")
        (self.source / "dir0" / "file-000").write_bytes(b"changed")
        (self.source / "big-0").unlink()
        settle()
        third = self.backup(env=self.server)
        counts = third["counts"]
        self.assertEqual((counts["added"], counts["deleted"], counts["bytes_read"]), (1, 1, 12))
        # Without them, or with damaged ones, all is read again; the snapshot is as good.
        for path in (self.temp / "server-cache").rglob("listings/*"):
            data = path.read_bytes()
            path.write_bytes(data[:200] + bytes(100) + data[300:])
        fourth = self.backup(env=self.server)
        self.assertEqual(fourth["counts"]["entries"], third["counts"]["entries"])
        for made in (first, second, third, fourth):
            self.assertIn(made["id"], [one["id"] for one in self.snapshots()])
        self.assert_same_tree(self.source, self.restored(fourth["name"]))
        self.verify()

    def test_a_file_with_content_lists_is_read_once(self):
        (self.source / "large").write_bytes(random.Random(5).randbytes(80 * MIB))
        settle()
        self.assertGreaterEqual(self.backup(env=self.server)["counts"]["bytes_read"], 80 * MIB)
        for _ in range(3):
            self.assertEqual(self.backup(env=self.server)["counts"]["bytes_read"], 0)

    def test_the_local_listings_are_sealed(self):
        (self.source / "a-very-peculiar-name").write_bytes(b"a very peculiar content")
        self.backup(env=self.server)
        files = [path for path in (self.temp / "server-cache").rglob("*") if path.is_file()]
        self.assertTrue([path for path in files if path.parent.name == "listings"])
        for path in files + [path for path in self.repository.rglob("*") if path.is_file()]:
            for word in (b"peculiar", b"server-cache", str(self.source).encode()):
                self.assertNotIn(word, path.read_bytes(), path)
            self.assertEqual(path.stat().st_mode & 0o077, 0, f"{path} is open to others")

    def test_what_it_may_not_do(self):
        made = self.backup("-d", "own", env=self.server)
        ran = self.yester("list", "--json", env=self.server)
        self.assertEqual([one["id"] for one in ran.json], [made["id"]])
        self.assertIn("1 snapshots of other keys", ran.err)
        name, target = made["name"], self.temp / "target"
        before = {path: path.stat().st_mtime_ns for path in self.repository.rglob("*") if path.is_file()}
        for command in (["restore", name, "--to", target], ["verify", "--level", "data"],
                        ["verify", "--level", "structure"], ["ls", name], ["find", "file*"], ["diff", name, name],
                        ["rollback", name, self.source, "--yes"], ["rotate", "--keep-last", "1"], ["prune"],
                        ["key", "add", "--new-key-file", self.temp / "another"],
                        ["versions", self.source / "big-0"], ["key", "rotate"]):
            ran = self.yester(*command, env=self.server, status=WRONG_KEY)
            self.assertIn("write-only", ran.err.lower().replace("a full key", "write-only"), command)
        self.mount(env=self.server, status=WRONG_KEY)
        self.assertFalse(target.exists())
        self.assertFalse((self.temp / "another").exists())
        after = {path: path.stat().st_mtime_ns for path in self.repository.rglob("*") if path.is_file()}
        self.assertEqual(after, before)

    def test_it_verifies_that_all_bytes_are_there(self):
        self.backup(env=self.server)
        self.assertIn("packs", self.verify(env=self.server).out)
        self.verify("--level", "packs", env=self.server)
        pack = self.packs(1)[0]
        self.flip(pack, pack.stat().st_size // 2)
        ran = self.verify(env=self.server, status=DAMAGED)
        self.assertIn(pack.name, ran.err)

    def test_its_slot_holds_nothing_that_opens_a_pack(self):
        self.backup("-d", "own", env=self.server)
        full, weak = self.probe(self.key), self.probe(self.write_only)
        self.assertEqual((full["role"], full["root"], full["private"]), (1, 1, [True]))
        # The probe is no decoration: with the full key it finds the way into every pack.
        self.assertEqual(full["opened"], full["packs"])
        self.assertEqual((weak["role"], weak["root"], weak["private"]), (2, 0, [False]))
        self.assertEqual(weak["opened"], 0)
        self.assertGreater(weak["refused"], 100)
        self.assertGreater(weak["packs"], 1)
        # 1 role, 32 + 64 + 32 + 32 writer, 1 no root key, 1 count, then one key set of 128 bytes without a private key.
        self.assertEqual(len(weak["payload"]), 2 * (1 + 160 + 1 + 1 + 128 + 1))
        # Not a secret of the full key's that is not due to it: neither the root key nor the private key.
        strong = bytes.fromhex(full["payload"])
        root, private = strong[162:194], strong[-32:]
        for secret in (root, private):
            self.assertNotIn(secret.hex(), weak["payload"])
        self.assertNotEqual(full["writer"], weak["writer"])
        self.assertEqual(len(weak["snapshots"]), 1)
        self.assertEqual(len(full["snapshots"]), 2)

    def test_the_second_implementation_refuses_it_too(self):
        self.backup(env=self.server)
        ran = run([recover_python(), RECOVER, self.repository, self.temp / "out", "--key-file", self.write_only])
        self.assertEqual(ran.status, WRONG_KEY, ran)


class Keys(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source)
        self.init()
        self.backup()

    def key_list(self, **options):
        return self.yester("key", "list", "--json", **options).json

    def test_add_list_and_remove(self):
        other = self.temp / "other"
        self.yester("key", "add", "--new-key-file", other, "--label", "second")
        slots = self.key_list()
        self.assertEqual([slot["role"] for slot in slots].count("full"), 2)
        self.assertIn("second", [slot["label"] for slot in slots])
        env = {"YESTER_KEY_FILE": other}
        self.backup(env=env)
        self.assertEqual(len(self.snapshots(env=env)), 2)
        [mine] = [slot for slot in self.key_list() if slot["in_use"]]
        [theirs] = [slot for slot in self.key_list() if not slot["in_use"]]
        self.yester("key", "remove", theirs["id"][:10])
        self.yester("list", env=env, status=WRONG_KEY)
        self.verify()
        ran = self.yester("key", "remove", mine["id"], "--force", status={1, USAGE})
        self.assertIn("full", ran.err)
        self.assertEqual(len(self.key_list()), 1)

    def test_changing_the_secret(self):
        new = self.temp / "new"
        self.yester("key", "change-password", "--new-key-file", new)
        self.yester("list", status=WRONG_KEY)
        self.key = new
        self.assertEqual(len(self.snapshots()), 1)
        self.assertEqual(len(self.key_list()), 1)
        self.backup()
        self.verify()
        self.assert_same_tree(self.source, self.restored())

    def test_a_password_in_place_of_a_key_file(self):
        password = self.temp / "password"
        password.write_text("correct horse\n")
        self.yester("key", "add", "--new-password-file", password)
        env = {"YESTER_KEY_FILE": None, "YESTER_PASSWORD": "correct horse"}
        self.assertEqual(len(self.snapshots(env=env)), 1)

    def test_rotated_keys(self):
        weak = self.temp / "weak"
        self.yester("key", "add", "--write-only", "--new-key-file", weak)
        self.yester("key", "rotate")
        (self.source / "after").write_bytes(random.Random(1).randbytes(MIB))
        made = self.backup()
        self.assertGreater(made["counts"]["bytes_new"], MIB)
        for snapshot in self.snapshots():
            target = self.restored(snapshot["name"], to=snapshot["name"])
        self.assert_same_tree(self.source, target)
        self.verify()
        # What the old slot had in hand is of no use for what came after.
        self.yester("backup", self.source, env={"YESTER_KEY_FILE": weak}, status=(1, WRONG_KEY))
        ran = run([recover_python(), RECOVER, self.repository, self.temp / "recovered", "--key-file", self.key])
        self.assertEqual(ran.status, 0, ran)
        self.assert_same_tree(self.source, self.temp / "recovered" / made["name"] / str(self.source)[1:])
        self.yester("rotate", "--keep-last", "1", "--max-unused", "0")
        self.verify()

    def test_the_recovery_sheet(self):
        sheet = self.yester("key", "export").out
        self.assertNotIn(self.key.read_text().strip(), sheet.replace("\n", ""), "the key in use is printed")
        digits = "".join(re.findall(r"^((?: +[0-9a-f]{4}){8})$", sheet, re.M)).replace(" ", "")
        self.assertEqual(len(digits), 64, sheet)
        recovery = self.temp / "recovery.key"
        recovery.write_text(digits + "\n")
        check = hashlib.sha256(digits.encode()).hexdigest()[:8]
        self.assertIn(check, sheet)
        env = {"YESTER_KEY_FILE": recovery, "YESTER_CACHE_DIR": self.temp / "another-machine"}
        self.assert_same_tree(self.source, self.restored(env=env))
        self.verify(env=env)


if __name__ == "__main__":
    unittest.main()
