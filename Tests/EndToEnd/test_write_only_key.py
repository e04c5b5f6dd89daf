"""A write-only key makes backups and cannot read any: its slot holds nothing that could."""

import hashlib
import random
import re
import shutil
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
# All that the secret gives: the slot's payload, the envelope, and what all members share.
epoch, gained = repository.newest_epoch(), []
for slot, (index, public) in epoch.slots.items():
    data = repository.store.read(f"keys/{slot.hex()}", 1 << 12)
    payload = repository.open_slot(data, secret, 2)
    if payload:
        gained.append(payload)
        private = recover.X25519PrivateKey.from_private_bytes(payload[:32])
        shared = private.exchange(recover.X25519PublicKey.from_public_bytes(epoch.ephemeral))
        key = recover.hkdf(shared, epoch.ephemeral + public, b"yester envelope 1" + repository.id)
        envelope = recover.unseal(key, bytes(12), epoch.head, epoch.envelopes[index][16:], "envelope")
        gained.append(envelope)
        list_keys = envelope[48]
        shared_key = envelope[49 + 32 * list_keys:81 + 32 * list_keys]
        gained.append(recover.unseal(shared_key, bytes(12), epoch.head, epoch.shared, "shared part"))
        rest = envelope[81 + 32 * list_keys:]
        if rest[0]:
            gained.append(recover.unseal(rest[1:], bytes(12), epoch.head, epoch.full, "full part"))
        found["seed"] = envelope[16:48].hex()
found["gained"] = [part.hex() for part in gained]
opened = refused = 0
# Whatever 32 bytes of it are tried as the private key, no pack's data key comes out.
candidates = [part[i:i + 32] for part in gained for i in range(len(part) - 31)]
packs = [key for first in range(256) for key in repository.store.keys(f"packs/{first:02x}")]
for key in packs:
    header = repository.store.open(key).read(recover.PACK_HEADER)
    for candidate in candidates:
        private = recover.X25519PrivateKey.from_private_bytes(candidate)
        key_set = next(iter(keys.sets.values()))._replace(private=private)
        try:
            repository.unwrap(key_set, header[56:88], header[88:152], header[:88], b"yester pack key 1")
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
        self.assertEqual((full["role"], full["private"], len(full["gained"])), (1, [True], 4))
        # The probe is no decoration: with the full key it finds the way into every pack.
        self.assertEqual(full["opened"], full["packs"])
        self.assertEqual((weak["role"], weak["private"], len(weak["gained"])), (2, [False], 3))
        self.assertEqual(weak["opened"], 0)
        self.assertGreater(weak["refused"], 100)
        self.assertGreater(weak["packs"], 1)
        # Not a secret that is not due to it: the root key, the private key, others' keys for signing and listing.
        part = bytes.fromhex(full["gained"][3])
        secrets = [part[:32], part[32:64], bytes.fromhex(full["seed"])]
        for secret in secrets:
            self.assertNotIn(secret.hex(), "".join(weak["gained"]))
        self.assertIn(secrets[2].hex(), full["gained"][1])
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
        server = {"YESTER_KEY_FILE": weak, "YESTER_CACHE_DIR": self.temp / "server-cache"}
        self.backup("--host", "server", env=server)
        before = self.repository_copy()
        self.assertEqual(self.yester("key", "rotate", "--json").json["epoch"], 3)
        (self.source / "after").write_bytes(random.Random(1).randbytes(MIB))
        made = self.backup()
        self.assertGreater(made["counts"]["bytes_new"], MIB)
        for snapshot in self.snapshots():
            target = self.restored(snapshot["name"], to=snapshot["name"])
        self.assert_same_tree(self.source, target)
        self.verify()
        # Nobody had to do anything: the other key goes on, and sees its own old and new snapshots.
        self.backup("--host", "server", env=server)
        self.assertEqual(len(self.snapshots("--host", "server", env=server)), 2)
        ran = run([recover_python(), RECOVER, self.repository, self.temp / "recovered", "--key-file", self.key,
                   "--snapshot", made["id"]])
        self.assertEqual(ran.status, 0, ran)
        [recovered] = (self.temp / "recovered").rglob(made["name"])
        self.assert_same_tree(self.source, recovered / str(self.source)[1:])
        self.yester("rotate", "--keep-last", "1", "--max-unused", "0", "--minimum-age", "0")
        self.verify()
        # A store that gives the old state back is found out, and nothing is sealed to the old keys.
        for folder in ("epochs", "copies/epochs"):
            shutil.rmtree(self.repository / folder)
            shutil.copytree(before / folder, self.repository / folder)
        ran = self.yester("backup", self.source, status=DAMAGED)
        self.assertIn("has seen epoch 3", ran.err)
        self.assertIn("epoch 3", self.yester("list", status={0, DAMAGED, WRONG_KEY, 1}).err)

    def repository_copy(self):
        copy = self.temp / "copy"
        shutil.copytree(self.repository, copy)
        return copy

    def test_a_removed_key_and_what_a_store_puts_back(self):
        other = self.temp / "other"
        self.yester("key", "add", "--new-key-file", other, "--label", "second")
        before = self.repository_copy()
        self.yester("key", "remove", "second")
        for name in (before / "keys").iterdir():
            if not (self.repository / "keys" / name.name).exists():
                shutil.copy(name, self.repository / "keys")
        self.yester("list", env={"YESTER_KEY_FILE": other}, status=WRONG_KEY)
        self.assertEqual([key["state"] for key in self.key_list()], ["in-force"])
        self.assertEqual([key["state"] for key in self.yester("key", "list", "--all", "--json").json],
                         ["in-force", "removed"])

    def test_a_revoked_key(self):
        stolen = self.temp / "stolen"
        self.yester("key", "add", "--write-only", "--host", "web", "--new-key-file", stolen, "--label", "web")
        env = {"YESTER_KEY_FILE": stolen, "YESTER_CACHE_DIR": self.temp / "server-cache"}
        self.yester("backup", self.source, env=env, status=WRONG_KEY)
        made = self.backup("--host", "web", env=env)
        self.assertEqual(self.yester("key", "revoke", "web", "--dry-run", "--json").json["kept"], [made["id"]])
        done = self.yester("key", "revoke", "web", "--drop", "--yes", "--json").json
        self.assertEqual((done["kept"], done["dropped"], done["epoch"]), ([], [made["id"]], 3))
        self.yester("backup", self.source, "--host", "web", env=env, status=WRONG_KEY)
        self.yester("list", "--host", "web", status=1)
        self.assertIn(made["id"][:8], self.verify().err)
        self.assertEqual(self.yester("status", "--json").json["uncounted_records"], 1)

    def test_an_unusable_epoch(self):
        self.yester("key", "rotate")
        path = self.repository / "epochs" / "0000000000000003"
        path.write_bytes(b"put there by a stranger")
        ran = self.yester("list", status=DAMAGED)
        self.assertIn("YESTER_EPOCH=2", ran.err)
        old = {"YESTER_EPOCH": "2"}
        self.assert_same_tree(self.source, self.restored(env=old))
        self.yester("backup", self.source, env=old, status={1, DAMAGED})
        self.yester("key", "rotate", env=old, status={1, DAMAGED})
        self.assertIn("epoch 3", self.yester("verify", "--level", "packs", status=DAMAGED).err)
        ran = run([recover_python(), RECOVER, self.repository, "--list", "--key-file", self.key])
        self.assertIn("epochs/0000000000000003", ran.err)
        self.assertIn(self.snapshots(env=old)[0]["name"], ran.out)
        self.yester("key", "drop-epoch", "2", "--yes", status=1)
        self.yester("key", "drop-epoch", "3", "--yes")
        self.assertFalse(path.exists())
        self.backup()
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
