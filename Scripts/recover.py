#!/usr/bin/env python3
"""Restore the snapshots of a yester repository without yester.

    recover.py REPOSITORY DESTINATION [--snapshot NAME]
               [--key-file FILE | --password-file FILE]
    recover.py REPOSITORY --list [--key-file FILE | --password-file FILE]

This is a second, independent implementation of a reader. It stems from the
page docs/format.md alone and shares no code with yester: the numbers in
brackets below are the sections of that page. It needs Python 3.11 or later
and the packages "cryptography" and "zstandard" (Debian: python3-cryptography,
python3-zstandard).

Every snapshot is restored to DESTINATION/NAME (DESTINATION/HOST/NAME when
several hosts have snapshots in the repository), absolute paths below that.
DESTINATION must not exist or be empty. Owners are restored, by number, when
run as root. Damage is made good by the parity and the second copies of the
repository, as far as it has them and they are enough, and is named. A file with
content that is lost is left out; whatever could not be restored is named on stderr, and the rest is restored all the same. Removed
snapshots that are still there are restored only when asked for by name.

Without --key-file and --password-file, the key is taken from YESTER_KEY_FILE
or YESTER_PASSWORD, else a password is asked for. The index is not needed; it
only serves in place of the damaged directory of a pack.

Exit status: 0 all is well; 1 something could not be restored; 2 wrong usage;
10 there is no repository; 11 the key opens nothing.
"""

import argparse
import array
import collections
import contextlib
import getpass
import hashlib
import hmac
import os
import re
import stat
import struct
import sys

import zstandard
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
FAILED, USAGE, NO_REPOSITORY, WRONG_KEY = 1, 2, 10, 11
DATA, TREE = 1, 2                                                       # kinds of chunks [5]
FILE, DIRECTORY, SYMLINK, FIFO, SOCKET, CHARACTER, BLOCK = range(1, 8)  # types of entries [9.1]
MODES = {FIFO: stat.S_IFIFO, SOCKET: stat.S_IFSOCK, CHARACTER: stat.S_IFCHR, BLOCK: stat.S_IFBLK}
ATTRIBUTES, LINK_GROUP, BIRTH, HASHED = 1, 2, 4, 16                     # flags of entries
CACHE_SIZE = 64 * MIB
PACK_HEADER = 248                                                       # [6]
ID_NAME = re.compile(r"[0-9a-f]{64}\Z")
EPOCH_NAME = re.compile(r"[0-9a-f]{16}\Z")
FULL, WRITE_ONLY = 1, 2                                                 # roles [4.1]


class Stop(Exception):
    """Nothing more can be done: (exit status, message)."""


class Damage(Exception):
    """Something is not as the page says it must be."""


def require(condition, message):
    if not condition:
        raise Damage(message)


def show(name):
    """A name for people: control characters and bytes that are no UTF-8 are escaped."""
    text = name.decode(errors="backslashreplace") if isinstance(name, bytes) else name
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


# Primitives [1]

def hkdf(key, salt, info):
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(key)


def nonce(domain, counter):
    return struct.pack("<IQ", domain, counter)


def unseal(key, number, additional, sealed, what):
    try:
        return AESGCM(key).decrypt(number, sealed, additional)
    except (InvalidTag, ValueError) as error:
        raise Damage(f"{what} is damaged") from error


def check_signature(public_key, signature, message, what):
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise Damage(f"{what} is not genuine") from error


class Cursor:
    """Reads the numbers and strings of the page from bytes, and never beyond the end."""

    def __init__(self, data, position=0):
        self.data, self.position = data, position

    def take(self, count):
        end = self.position + count
        require(end <= len(self.data), "ends too early")
        taken = self.data[self.position:end]
        self.position = end
        return taken

    def u8(self):
        return self.take(1)[0]

    def u32(self):
        return int.from_bytes(self.take(4), "little")

    def u64(self):
        return int.from_bytes(self.take(8), "little")

    def count(self, limit):
        value = self.varint()
        require(value <= limit, "has a count beyond the limits")
        return value

    def varint(self):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            require(value < 1 << 64 and shift < 70 and (byte or not shift), "a number is malformed")
            if byte < 0x80:
                return value
            shift += 7

    def svarint(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def bytes(self):
        return self.take(self.varint())

    def time(self):
        """Nanoseconds since 1970; Python's integers have no limit."""
        seconds, nanoseconds = self.svarint(), self.varint()
        require(nanoseconds < 10**9, "a time is malformed")
        return seconds * 10**9 + nanoseconds

    def end(self):
        require(self.position == len(self.data), "something follows its end")


# Objects and keys [2, 3, 4]

class Directory:
    """A repository's objects, in a directory.

    `parity` says whether the repository has that, and second copies [12].
    """

    def __init__(self, path, report):
        self.path, self.report = os.path.abspath(path), report  # the restorer changes its working directory
        self.parity = False
        self.healed = (None, None)  # the last pack that was made good, and its content

    def keys(self, prefix, name_form=ID_NAME):
        """The keys of the objects below a prefix whose names are ids, or of another form."""
        names = set()
        for folder in (prefix, f"copies/{prefix}") if self.parity else (prefix,):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                names.update(os.listdir(os.path.join(self.path, folder)))
        yield from (f"{prefix}/{name}" for name in sorted(names) if name_form.match(name))

    def open(self, key):
        return open(os.path.join(self.path, key), "rb", buffering=0)

    def read(self, key, limit):
        """A small object as a whole; where the key holds its SHA-256, that is checked."""
        try:
            return self.read_one(key, key, limit)
        except (OSError, Damage):
            if not self.parity:
                raise
            with contextlib.suppress(OSError, Damage):
                data = self.read_one(f"copies/{key}", key, limit)
                self.report.note(key, "is damaged or missing; its second copy was used")
                return data
            raise

    def read_one(self, path, key, limit):
        with self.open(path) as file:
            require(os.fstat(file.fileno()).st_size <= limit, "is too large")
            data = file.readall()
        if ID_NAME.match(key.rpartition("/")[2]):
            require(hashlib.sha256(data).hexdigest() == key.rpartition("/")[2], "is damaged (SHA-256)")
        return data

    def read_config(self):
        """The config, and the one of the second copy, which ends with its SHA-256; nothing for what is not there."""
        found = []
        with contextlib.suppress(OSError, Damage):
            found.append(self.read_one("config", "config", 4 * KIB))
        with contextlib.suppress(OSError, Damage):
            data = self.read_one("copies/config", "config", 4 * KIB + 32)
            if hashlib.sha256(data[:-32]).digest() == data[-32:]:
                found.append(data[:-32])
        return found

    def read_numbered_copy(self, key, limit):
        """The second copy of an object that is not named by its content, which ends with its SHA-256; None without."""
        if self.parity:
            with contextlib.suppress(OSError, Damage):
                data = self.read_one(f"copies/{key}", key, limit + 32)
                if hashlib.sha256(data[:-32]).digest() == data[-32:]:
                    return data[:-32]
        return None

    def heal(self, key):
        """The content of a pack or segment that was found damaged, made good; None when too much is lost."""
        if not self.parity:
            return None
        if self.healed[0] != key:
            content = None
            with contextlib.suppress(OSError, Damage):
                content = self.read_one(f"copies/{key}", key, PARITY_MIN)
            if content is None:
                with contextlib.suppress(OSError, Damage):
                    content = heal(self.path + "/" + key)
            if content is not None:
                self.report.note(key, "is damaged; what is lost of it was made good")
            self.healed = (key, content)
        return self.healed[1]

    def content(self, key):
        """A pack or segment as it lies there."""
        return FileContent(self.path + "/" + key, self.parity)

    def healed_content(self, key):
        """The same made good; None where that cannot be."""
        content = self.heal(key)
        return None if content is None else BytesContent(content)


class FileContent:
    """The content of a pack or segment, without what parity follows."""

    def __init__(self, path, parity):
        self.path = path
        size = os.stat(path).st_size
        self.size = content_size(size) if parity else size

    def read(self, offset, count):
        with open(self.path, "rb", buffering=0) as file:
            return os.pread(file.fileno(), count, offset)


class BytesContent:
    def __init__(self, data):
        self.data, self.size = data, len(data)

    def read(self, offset, count):
        return self.data[offset:offset + count]


# Parity [12]

SHARD, PARITY_MIN, TABLE = 16 * KIB, 256 * KIB, 48
SUM_MODULUS = (1 << 64) - 59


def layout(content):
    """Of an object with a content of so many bytes: shards, groups, size of a table, size of the object."""
    shards, groups = -(-content // SHARD), 128
    while groups > 8 and shards < 32 * groups:
        groups //= 2
    table = TABLE + 8 * (shards + groups)
    return shards, groups, table, content + 2 * table + groups * SHARD


def object_size(content):
    return content if content < PARITY_MIN else layout(content)[3]


def content_floor(size):
    """The largest content whose object has at most `size` bytes."""
    low, high = 0, size
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if object_size(middle) <= size else (low, middle - 1)
    return low


def content_size(size):
    content = content_floor(size)
    require(object_size(content) == size, "has a size that no such object has")
    return content


def find_table(data):
    """The size of the content and the sums of all shards, from one of the two tables.

    They are where the size of the object says; where the end is cut off, the first one is searched for.
    """
    def check(start, content):
        shards, groups, size, _ = layout(content)
        table = data[start:start + size]
        head = b"YSTRSUMS" + struct.pack("<Q", content)
        if table[:16] == head and hashlib.sha256(table[:-32]).digest() == table[-32:] and len(table) == size:
            return content, struct.unpack(f"<{shards + groups}Q", table[16:-32])
        return None

    content = content_floor(len(data))
    if content >= PARITY_MIN and (found := check(len(data) - layout(content)[2], content) or check(content, content)):
        return found
    start = max(content - 64 * KIB, PARITY_MIN)
    while (start := data.find(b"YSTRSUMS", start)) >= 0:
        if int.from_bytes(data[start + 8:start + 16], "little") == start and (found := check(start, start)):
            return found
        start += 1
    raise Damage("has lost its tables of sums")


def heal(path):
    """The content of an object with parity. What the disk cannot read counts as zeros."""
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        require(size <= 256 * MIB, "is too large")
        data = bytearray(size)
        for start in range(0, size, SHARD):
            with contextlib.suppress(OSError):
                part = os.pread(file.fileno(), SHARD, start)
                data[start:start + len(part)] = part
    content, sums = find_table(bytes(data))
    shards, groups, table, _ = layout(content)
    pieces = [bytes(data[start:min(start + SHARD, content)]) for start in range(0, content, SHARD)]
    pieces += [bytes(data[start:start + SHARD])
               for start in range(content + table, content + table + groups * SHARD, SHARD)]
    members = collections.defaultdict(list)  # group: indices of its shards, the parity among them
    for index in range(shards + groups):
        members[index % groups].append(index)  # parity goes on dealing where the content ended
    bad = [index for index, piece in enumerate(pieces) if int.from_bytes(piece, "little") % SUM_MODULUS != sums[index]]
    for index in bad:
        others = [other for other in members[index % groups] if other != index]
        require(not set(others) & set(bad), "has lost more than its parity can make good")
        value = 0
        for other in others:
            value ^= int.from_bytes(pieces[other], "little")
        require(value % SUM_MODULUS == sums[index], "has parity that does not fit")
        pieces[index] = value.to_bytes(SHARD, "little")
    return b"".join(pieces[:shards])[:content]


KeySet = collections.namedtuple("KeySet", "id public id_key index_key private")
Writer = collections.namedtuple("Writer", "label role hosts since until last")


def check_commitment(key, commitment, what):
    """Sealed bytes could open under two keys; this says which one is meant [4.5]."""
    require(hkdf(key, b"", b"yester commitment 1")[:16] == commitment, f"{what} is sealed with another key")


def public_bytes(private):
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


class Epoch:
    """Who may do what, signed by the root key [4.3]."""

    def __init__(self, data, number, repository):
        repository.check_header(data, b"YSTREPOC")
        require(len(data) >= 208 + 64 + 64, "is too short")
        check_signature(repository.root, data[-64:], b"yester epoch 1" + data[:-64], "its signature")
        head = Cursor(data, 32)
        self.number = head.u64()
        require(self.number == number, "has another number than its name")
        head.take(8)
        require(head.take(32) == repository.root, "names another root key")
        head.take(32 + 16 + 32)
        self.ephemeral = head.take(32)
        count, envelopes, shared, full = (head.u32() for _ in range(4))
        require(1 <= count <= 1024, "has a wrong number of slots")
        self.slots = {head.take(32): (index, head.take(32)) for index in range(count)}
        self.head = data[:head.position]
        self.envelopes = [head.take(head.u32()) for _ in range(count)]
        require(sum(4 + len(envelope) for envelope in self.envelopes) == envelopes, "has envelopes of a wrong length")
        self.shared, self.full = head.take(shared), head.take(full)
        head.take(64)
        head.end()


class Keys:
    """What an opened slot holds in an epoch [4.3]."""

    def __init__(self, repository, epoch, slot, private):
        index, public = epoch.slots[slot]
        require(public_bytes(private) == public, "is a slot for which the epoch names another key")
        shared = private.exchange(X25519PublicKey.from_public_bytes(epoch.ephemeral))
        key = hkdf(shared, epoch.ephemeral + public, b"yester envelope 1" + repository.id)
        check_commitment(key, epoch.envelopes[index][:16], "the envelope")
        payload = unseal(key, nonce(0, 0), epoch.head, epoch.envelopes[index][16:], "the envelope")
        cursor = Cursor(payload)
        member, _seed = cursor.take(16), cursor.take(32)
        list_keys = [cursor.take(32) for _ in range(cursor.count(256))]
        shared_key = cursor.take(32)
        full_key = cursor.take(32) if cursor.u8() else None
        cursor.end()
        self.epoch = epoch.number
        self.read_shared(unseal(shared_key, nonce(0, 0), epoch.head, epoch.shared, "the shared part"), member, list_keys)
        if full_key:
            self.read_full(unseal(full_key, nonce(0, 0), epoch.head, epoch.full, "the part of full keys"))
        require(self.role == (FULL if full_key else WRITE_ONLY), "has keys that do not fit its role")

    def read_shared(self, data, own, list_keys):
        cursor = Cursor(data)
        sets = []
        for _ in range(cursor.count(256)):
            public, id_key, index_key, _chunker = (cursor.take(32) for _ in range(4))
            name = hashlib.sha256(b"yester key set 1" + public).digest()[:16]
            sets.append(KeySet(name, public, id_key, index_key, None))
        require(sets, "has no key set")
        self.sets = {key_set.id: key_set for key_set in sets}
        self.writers, self.own = {}, {}  # public key: Writer; own public key: list key
        for _ in range(cursor.count(4096)):
            member, role, writers = self.read_member(cursor)
            self.writers.update(writers)
            if member == own:
                require(len(writers) == len(list_keys), "has list keys that do not fit its writer keys")
                self.role, self.own = role, dict(zip(writers, list_keys))
        cursor.end()
        require(self.own, "does not name the slot's member")

    @staticmethod
    def read_member(cursor):
        member, role, state = cursor.take(16), cursor.u8(), cursor.u8()
        require(role in (FULL, WRITE_ONLY) and state in (1, 2, 3), "has a member of an unknown kind")
        if state == 1:
            cursor.take(32)
        else:
            cursor.varint()
        cursor.take(8)
        label = cursor.bytes()
        hosts = [cursor.bytes() for _ in range(cursor.count(64))]
        writers = {}
        for _ in range(cursor.count(256)):
            public, since, until = cursor.take(32), cursor.varint(), cursor.varint()
            last = cursor.varint() if until else None
            if until:
                cursor.take(32)
            writers[public] = Writer(label, role, hosts, since, until, last)
        return member, role, writers

    def read_full(self, data):
        cursor = Cursor(data)
        cursor.take(32)  # root private key: only for changing
        for name, key_set in self.sets.items():
            private = X25519PrivateKey.from_private_bytes(cursor.take(32))
            require(public_bytes(private) == key_set.public, "holds a wrong private key")
            self.sets[name] = key_set._replace(private=private)

    def find(self, name):
        require(name in self.sets, f"needs the key set {name.hex()}, which this key does not have")
        return self.sets[name]

    def writer(self, key):
        require(key in self.writers, "is of a writer who is not one of the repository's")
        return self.writers[key]

    @staticmethod
    def objection(writer, epoch, sequence, host):
        """Why a record of this number counts for nothing, though it is genuine [4.4]; None when it counts."""
        if epoch < writer.since:
            return "it names an epoch in which its writer was none"
        if writer.until and (epoch >= writer.until or sequence > writer.last):
            return "its writer's key was taken out of force before"
        if host is not None and writer.hosts and host not in writer.hosts:
            return "its writer may not speak for this host"
        return None


class Repository:
    def __init__(self, path, report):
        self.store, self.report = Directory(path, report), report
        self.root, self.id = self.read_config()
        self.keys = None

    def read_config(self):
        found = self.store.read_config()
        if not found:
            raise Stop(NO_REPOSITORY, f"{self.store.path} is no repository: it has no config")
        try:
            return self.parse_config(found[0])
        except Stop:
            if len(found) < 2 or found[0] == found[1]:
                raise
            self.report.note("config", "is damaged; its second copy was used")
            return self.parse_config(found[1])

    def parse_config(self, config):
        lines = config.split(b"\n")
        if lines[0] != b"yester repository" or len(lines) < 2:
            raise Stop(NO_REPOSITORY, f"{self.store.path} is no repository")
        version = re.fullmatch(rb"format ([0-9]+)", lines[1])
        if version and int(version[1]) > 1:
            raise Stop(FAILED, f"the repository has format {int(version[1])}; a newer reader is needed")
        match = re.fullmatch(rb"(yester repository\nformat 1\nid ([0-9a-f]{32})\nroot ([0-9a-f]{64})\n"
                             rb"protection (none|parity)\n)check ([0-9a-f]{16})\n", config)
        if not match or hashlib.sha256(match[1]).hexdigest()[:16] != match[5].decode():
            raise Stop(NO_REPOSITORY, f"{self.store.path}/config is damaged")
        name, root = bytes.fromhex(match[2].decode()), bytes.fromhex(match[3].decode())
        if hashlib.sha256(b"yester repository 1" + root).digest()[:16] != name:
            raise Stop(NO_REPOSITORY, f"{self.store.path}/config names a root key that is not its id's")
        self.store.parity = match[4] == b"parity"
        return root, name

    def check_header(self, data, magic):
        require(data[:32] == magic + struct.pack("<II", 1, 0) + self.id,
                "does not begin like an object of this repository")

    def newest_epoch(self):
        """The newest that is genuine. Going on without a newer one that is damaged is better than nothing here."""
        for key in sorted(self.store.keys("epochs", EPOCH_NAME), reverse=True):
            with self.report.guard(key):
                number = int(key[-16:], 16)
                try:
                    return Epoch(self.store.read_one(key, key, 16 * MIB), number, self)
                except (OSError, Damage):
                    data = self.store.read_numbered_copy(key, 16 * MIB)
                    if data is None:
                        raise
                    epoch = Epoch(data, number, self)
                    self.report.note(key, "is damaged or missing; its second copy was used")
                    return epoch
        raise Stop(FAILED, "the repository has no usable epoch")

    def open_key(self, secret, kind):
        """Open the slot in force that the secret (of kind 1: password, 2: key file) fits, and the epoch by it."""
        epoch = self.newest_epoch()
        for slot in epoch.slots:
            key = f"keys/{slot.hex()}"
            with self.report.guard(key):
                data = self.store.read(key, 4 * KIB)
                self.check_header(data, b"YSTRSLOT")
                require(len(data) == 132 + 64 + 16, "has a wrong length")
                payload = data[32] == kind and self.open_slot(data, secret, kind)
                if payload:
                    require(payload[32:] == self.root, "was made for another root key")
                    self.keys = Keys(self, epoch, slot, X25519PrivateKey.from_private_bytes(payload[:32]))
                    return
        raise Stop(WRONG_KEY, "no key of the repository is opened by this " + ("key file", "password")[kind == 1])

    def open_slot(self, slot, secret, kind):
        salt = slot[52:84]
        if kind == 2:
            key = hkdf(secret, salt, b"yester key file 1")
        else:
            power, (r, p) = slot[33], struct.unpack("<II", slot[36:44])
            require(10 <= power <= 22 and 1 <= r <= 32 and 1 <= p <= 32 and (r * p << power) <= 1 << 23,
                    "has scrypt parameters beyond the limits")
            key = Scrypt(salt=salt, length=32, n=1 << power, r=r, p=p).derive(secret)
        if hkdf(key, b"", b"yester commitment 1")[:16] != slot[116:132]:
            return None
        return unseal(key, nonce(0, 0), slot[:132], slot[132:], "the slot")

    def unwrap(self, key_set, ephemeral, wrapped, additional, purpose):
        """Open a content key that was sealed to the repository; a commitment to it follows [4.5, 4.6]."""
        require(key_set.private, "cannot be opened by a write-only key")
        try:
            shared = key_set.private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        except ValueError as error:
            raise Damage("has a wrong ephemeral key") from error
        key = hkdf(shared, ephemeral + key_set.public, purpose + self.id)
        content_key = unseal(key, nonce(0, 0), additional, wrapped[:48], "the wrapped key")
        check_commitment(content_key, wrapped[48:], "the content")
        return content_key


# Packs and chunks [5, 6, 7]

Pack = collections.namedtuple("Pack", "key kind key_set data_key")


class Chunks:
    """Where each chunk is, and what it holds.

    A chunk is known by the first 20 bytes of its id. Its location is one integer, block << 48 | offset << 24 | length,
    and the fields of a block are in arrays, so that large repositories fit in memory too.
    """

    def __init__(self, repository):
        self.repository, self.store, self.report = repository, repository.store, repository.report
        self.locations, self.further = {}, {}
        self.packs = []
        self.pack, self.number, self.offset, self.sealed, self.plain = (array.array("I") for _ in range(5))
        self.cache, self.cached = collections.OrderedDict(), 0
        broken = {}  # key of a pack: its index in self.packs
        for first in range(256):
            for key in self.store.keys(f"packs/{first:02x}"):
                with self.report.guard(key):
                    self.add_pack(key, broken)
        for key in self.store.keys("index") if broken else ():
            with self.report.guard(key):
                self.add_segment(key, broken)

    def add_pack(self, key, broken):
        """Learn a pack's chunks from its directory."""
        try:
            content = self.store.content(key)
            pack = self.open_pack(key, content, self.store.parity)
            return self.add_directory(pack, *self.read_directory(content, pack.data_key))
        except (Damage, OSError):
            healed = self.store.healed_content(key)
            if healed:
                pack = self.open_pack(key, healed, False)
                return self.add_directory(pack, *self.read_directory(healed, pack.data_key))
        content = FileContent(self.store.path + "/" + key, False)
        pack = self.open_pack(key, content, False)
        try:
            self.add_directory(pack, *self.read_directory(self.store.content(key), pack.data_key))
        except Damage as error:
            self.packs.append(pack)
            broken[key] = len(self.packs) - 1
            self.report.failure(key, f"{error}; what the index says about it is used instead, if anything")

    def open_pack(self, key, content, strict):
        header = content.read(0, PACK_HEADER)
        self.repository.check_header(header, b"YSTRPACK")
        require(len(header) == PACK_HEADER and header[32] in (DATA, TREE) and header[33:40] == bytes(7), "is no pack")
        key_set = self.repository.keys.find(header[40:56])
        data_key = self.repository.unwrap(key_set, header[56:88], header[88:152], header[:88], b"yester pack key 1")
        # Whoever wrote it, a chunk proves itself by its id: a wrong signature is told, and takes nothing away.
        with contextlib.nullcontext() if strict else self.report.guard(key):
            check_signature(header[152:184], header[184:], b"yester pack 1" + header[:184], "the pack's header")
        return Pack(key, header[32], key_set, data_key)

    @staticmethod
    def read_directory(content, data_key):
        size = content.size
        require(PACK_HEADER + 24 <= size <= 256 * MIB, "has a wrong size")
        end = content.read(size - 24, 24)
        require(len(end) == 24, "is cut off")
        start, length, zero, magic = struct.unpack("<QII8s", end)
        require(magic == b"YSTRPEND" and not zero and start + length + 24 == size and start >= PACK_HEADER
                and length <= 64 * MIB, "has a wrong trailer")
        sealed = content.read(start, length)
        return unseal(data_key, nonce(2, 0), b"", sealed, "the directory"), start

    def add_directory(self, pack, directory, end):
        self.packs.append(pack)
        try:
            self.add_chunks_of(directory, end)
        except Damage:
            self.packs.pop()
            raise

    def add_chunks_of(self, directory, end):
        cursor, position, found = Cursor(directory), PACK_HEADER, []
        count = cursor.u32()
        require(count <= 1_000_000, "has too many blocks")
        for index in range(count):
            sealed, plain, compression, chunks = struct.unpack("<IIBI", cursor.take(13))
            block = self.add_block(len(self.packs) - 1, index, position, sealed, plain, compression)
            position += sealed
            offset = 0
            for name, length in struct.iter_unpack("<32sI", cursor.take(36 * chunks)):
                found.append((name[:20], block, offset, length))
                offset += length
            require(offset == plain, "has a directory with wrong lengths")
        cursor.end()
        require(position == end, "has a directory with wrong lengths")
        for chunk in found:
            self.add_chunk(*chunk)

    def add_block(self, pack, index, offset, sealed, plain, compression):
        require(plain <= 16 * MIB and 16 <= sealed <= 256 * MIB and compression <= 1, "has a block beyond the limits")
        self.pack.append(pack)
        self.number.append(index)
        self.offset.append(offset)
        self.sealed.append(sealed)
        self.plain.append(compression << 28 | plain)
        return len(self.pack) - 1

    def add_chunk(self, name, block, offset, length):
        require(length <= 8 * MIB and offset + length <= self.plain[block] & 0xFFFFFFF, "has a wrong chunk")
        location = block << 48 | offset << 24 | length
        if self.locations.setdefault(name, location) != location:
            self.further.setdefault(name, []).append(location)

    def add_segment(self, key, broken):
        """Learn the chunks of the packs with broken directories from an index segment [7].

        A replaced segment is as good as another here, and a stranger's as a friend's: what is read is checked by its id
        anyway.
        """
        try:
            self.add_segment_content(self.store.content(key), broken)
        except (Damage, OSError):
            healed = self.store.healed_content(key)
            if not healed:
                raise
            self.add_segment_content(healed, broken)

    def add_segment_content(self, content, broken):
        header = content.read(0, Frames.START)
        self.repository.check_header(header, b"YSTRINDX")
        require(len(header) == Frames.START, "is cut off")
        index_key = self.repository.keys.find(header[32:48]).index_key
        body = Frames(content, hkdf(index_key, header[48:80], b"yester index 1"))
        replaced, statements, writers, packs, blocks, chunks = struct.unpack("<6I", body.read(24))
        body.read(32 * replaced + 48 * statements + 32 * writers)
        wanted = {}  # index in the segment's list of packs: index in self.packs, first block
        for index in range(packs):
            name, _, _, _, first = struct.unpack("<32sQHHI", body.read(48))
            name = f"packs/{name[:1].hex()}/{name.hex()}"
            if name in broken:
                wanted[index] = broken[name], first
        self.add_indexed(body, blocks, chunks, wanted)

    def add_indexed(self, body, blocks, chunks, wanted):
        known = {}  # index in the segment's list of blocks: index in self.pack
        for index in range(blocks):
            pack, offset, sealed, plain = struct.unpack("<4I", body.read(16))
            if pack in wanted:
                pack, first = wanted[pack]
                known[index] = self.add_block(pack, index - first, offset, sealed, plain & 0xFFFFFFF, plain >> 28)
        for _ in range(chunks):
            name, block, offset, length = struct.unpack("<20s3I", body.read(32))
            if block in known:
                self.add_chunk(name, known[block], offset, length)

    def block(self, number):
        """The plaintext of a block; the last ones are kept."""
        if number in self.cache:
            self.cache.move_to_end(number)
            return self.cache[number]
        pack = self.packs[self.pack[number]]
        compression, size = self.plain[number] >> 28, self.plain[number] & 0xFFFFFFF
        index = self.number[number]
        what = f"block {index} of pack {pack.key[9:17]}"
        additional = struct.pack("<BBI", pack.kind, compression, size)
        try:
            with self.store.open(pack.key) as file:
                sealed = os.pread(file.fileno(), self.sealed[number], self.offset[number])
            data = unseal(pack.data_key, nonce(1, index), additional, sealed, what)
        except (Damage, OSError):
            healed = self.store.healed_content(pack.key)
            if not healed:
                raise
            sealed = healed.read(self.offset[number], self.sealed[number])
            data = unseal(pack.data_key, nonce(1, index), additional, sealed, what)
        if compression:
            data = decompress(data, size, what)
        require(len(data) == size, f"{what} has a wrong length")
        self.cache[number] = data
        self.cached += size
        while self.cached > CACHE_SIZE:
            self.cached -= len(self.cache.popitem(last=False)[1])
        return data

    def read(self, name, kind):
        """A chunk, from the first good place. The id has the last word on what is good."""
        key, problem = name[:20], Damage(f"chunk {name.hex()[:16]} is missing")
        locations = [self.locations[key]] if key in self.locations else []
        for location in locations + self.further.get(key, []):
            block, offset, length = location >> 48, location >> 24 & 0xFFFFFF, location & 0xFFFFFF
            try:
                data = self.block(block)[offset:offset + length]
                id_key = self.packs[self.pack[block]].key_set.id_key
                require(chunk_id(id_key, hashlib.sha256(data).digest(), kind) == name,
                        f"chunk {name.hex()[:16]} does not fit its id")
                return data
            except (Damage, OSError) as error:
                problem = Damage(str(error))
        raise problem

    def id_of(self, digest):
        """The id of the data chunk with this SHA-256: under whichever key set it was stored."""
        names = [chunk_id(key_set.id_key, digest, DATA) for key_set in self.repository.keys.sets.values()]
        return next((name for name in names if name[:20] in self.locations), names[0])


class Frames:
    """The body of an index segment, opened frame by frame."""

    START, SIGNATURE = 112, 64

    def __init__(self, content, key):
        self.content, self.key, self.number, self.ahead = content, key, 0, b""
        self.left = content.size - self.START - self.SIGNATURE

    def read(self, count):
        while len(self.ahead) < count:
            require(self.left > 0, "ends too early")
            size = min(MIB + 16, self.left)
            self.left -= size
            sealed = self.content.read(self.START + self.number * (MIB + 16), size)
            last = bytes([self.left == 0])
            self.ahead += unseal(self.key, nonce(3, self.number), last, sealed, f"frame {self.number}")
            self.number += 1
        taken, self.ahead = self.ahead[:count], self.ahead[count:]
        return taken


def chunk_id(id_key, digest, kind):
    return hmac.digest(id_key, digest + bytes([kind]), "sha256")


def decompress(data, size, what):
    """One zstd frame, never more than one byte beyond what was announced."""
    try:
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=False) as reader:
            return reader.read(size + 1)
    except zstandard.ZstdError as error:
        raise Damage(f"{what} cannot be decompressed") from error


# Snapshot records and notes [8]

Snapshot = collections.namedtuple("Snapshot", "id name host plan description counts root writer")


class Records:
    """All genuine snapshot records, oldest first, and what the notes say."""

    def __init__(self, repository):
        self.repository, self.keys = repository, repository.keys
        self.snapshots, self.removed = [], {}  # removed: (writer, sequence): id
        self.lost = collections.defaultdict(list)  # writer: [(first, last)]
        self.heads = set()  # (writer, sequence, id) that full writers name
        self.annotations = []  # in any order: rank, snapshot, description
        self.links = collections.defaultdict(list)  # writer: [(sequence, id, id before)]
        self.ids = set()
        for key in repository.store.keys("snapshots"):
            self.ids.add(bytes.fromhex(key[-64:]))
            with repository.report.guard(key):
                self.add(key, repository.store.read(key, 16 * MIB))
        self.snapshots.sort()
        self.snapshots = [snapshot for _, snapshot in self.snapshots]
        self.describe()
        for writer, links in self.links.items():
            self.check_chain(writer, links)
        self.check_heads()

    def add(self, key, data):
        require(len(data) >= 200, "is too short")
        note = data[:8] == b"YSTRNOTE"
        self.repository.check_header(data, b"YSTRNOTE" if note else b"YSTRSNAP")
        epoch, writer = int.from_bytes(data[48:56], "little"), data[56:88]
        purpose = b"yester note 1" if note else b"yester snapshot 1"
        check_signature(writer, data[-64:], purpose + data[:-64], "its signature")
        fields = read_fields(self.open_note(data) if note else self.open_snapshot(data), NOTE if note else SNAPSHOT)
        name = bytes.fromhex(key[-64:])
        member = self.keys.writer(writer)
        objection = self.keys.objection(member, epoch, number(fields, 20), None if note else fields.get(2, b""))
        if not objection or not member.until:
            self.links[writer].append((number(fields, 20), name, fields.get(21)))
        if objection:
            self.repository.report.note(key, f"counts for nothing: {objection}")
            return
        role = member.role
        if role == FULL and 24 in fields:
            self.heads.update(read_heads(fields[24]))
        if not note:
            self.snapshots.append((Cursor(fields[11]).time(), read_snapshot(name, fields, writer)))
        elif role == FULL and fields.get(1) == b"\1":
            subjects = Cursor(fields[3])
            for _ in range(subjects.varint()):
                subject = subjects.take(32)
                self.removed[subjects.take(32), subjects.varint()] = subject
            losses = Cursor(fields.get(8, b"\0"))
            for _ in range(losses.varint()):
                self.lost[losses.take(32)].append((losses.varint(), losses.varint()))
        if note and 64 in fields:
            annotation = Cursor(fields[64])
            snapshot, revision, present = annotation.take(32), annotation.varint(), annotation.u8()
            if present & 1:
                rank = role == FULL, revision, Cursor(fields[2]).time(), name
                self.annotations.append((rank, snapshot, writer, annotation.bytes().decode()))

    def describe(self):
        """Descriptions that were given later: those by full keys last, write-only keys' for their own only [8.3]."""
        indices = {snapshot.id: index for index, snapshot in enumerate(self.snapshots)}
        for rank, subject, writer, description in sorted(self.annotations):
            index = indices.get(subject)
            if index is not None and (rank[0] or self.snapshots[index].writer == writer):
                self.snapshots[index] = self.snapshots[index]._replace(description=description)

    def open_note(self, data):
        index_key = self.keys.find(data[32:48]).index_key
        key = hkdf(index_key, data[88:120], b"yester note 1")
        return unseal(key, nonce(0, 0), data[:120], data[120:-64], "the body")

    def open_snapshot(self, data):
        key_set, ephemeral = self.keys.find(data[32:48]), data[88:120]
        if key_set.private or data[56:88] not in self.keys.own:
            key = self.repository.unwrap(key_set, ephemeral, data[120:184], data[:120], b"yester snapshot key 1")
        else:
            own = hkdf(self.keys.own[data[56:88]], ephemeral, b"yester own snapshot 1")
            key = unseal(own, nonce(0, 0), data[:120], data[184:232], "the wrapped key")
            check_commitment(key, data[168:184], "the body")
        return unseal(key, nonce(0, 0), data[:232], data[232:-64], "the body")

    def check_chain(self, writer, links):
        """Each number of a writer's chain must be there or be named as removed [8.3]."""
        known = collections.defaultdict(set)  # Two records may have one number.
        for sequence, name, _ in links:
            known[sequence].add(name)
        for (owner, sequence), name in self.removed.items():
            if owner == writer:
                known[sequence].add(name)
        before = 0
        for first, last in sorted([(sequence, sequence) for sequence in known] + self.lost[writer]):
            if first > before + 1:
                self.repository.report.failure(
                    "snapshots", f"records {before + 1} to {first - 1} of the writer {writer.hex()[:8]} are gone")
            before = max(before, last)
        for sequence, name, previous in links:
            if known.get(sequence - 1) and previous not in known[sequence - 1]:
                self.repository.report.failure(f"snapshots/{name.hex()}", "does not follow the record before it")

    def check_heads(self):
        """What full writers have seen must be there, or be named as removed or lost [8.3]."""
        gone = set(self.removed.values())
        for writer, sequence, name in sorted(self.heads):
            lost = any(first <= sequence <= last for first, last in self.lost[writer])
            if name not in self.ids and name not in gone and not lost:
                self.repository.report.failure(
                    "snapshots", f"record {sequence} of the writer {writer.hex()[:8]} is gone, which others have seen")

    def is_removed(self, snapshot):
        return snapshot.id in self.removed.values()


SNAPSHOT, NOTE = set(range(1, 25)), {*range(1, 9), 20, 21, 24}


def read_fields(body, known):
    cursor, fields, last = Cursor(body), {}, 0
    while cursor.position < len(body):
        tag = cursor.varint()
        require(tag > last and (tag in known or tag >= 64), "has fields out of order or unknown ones")
        fields[tag], last = cursor.bytes(), tag
    return fields


def read_heads(data):
    cursor = Cursor(data)
    return [(cursor.take(32), cursor.varint(), cursor.take(32)) for _ in range(cursor.varint())]


def number(fields, tag):
    return Cursor(fields[tag]).varint() if tag in fields else 0


def read_snapshot(name, fields, writer):
    require(11 in fields and 14 in fields, "lacks its start or its root")
    root, = read_leaf(fields[14])
    require(root.type == DIRECTORY and root.name == b"", "has a wrong root")
    counts = Cursor(fields.get(16, b""))
    counts = [counts.varint() for _ in range(14)] if counts.data else [0] * 14
    return Snapshot(name, *(fields.get(tag, b"").decode() for tag in (1, 2, 3, 6)), counts, root, writer)


# Trees [9]

class Entry:
    """An entry of a directory [9.1]."""

    def __init__(self, data, owners):
        cursor = Cursor(data)
        self.type, self.flags, self.name = cursor.u8(), cursor.u8(), cursor.bytes()
        require(FILE <= self.type <= BLOCK and self.flags < 64, "has an entry of an unknown type")
        self.mode, owner = cursor.varint(), cursor.varint()
        require(self.mode < 4096 and owner < len(owners), "has an entry with a wrong mode or owner")
        self.uid, self.gid = owners[owner]
        self.mtime = cursor.time()
        cursor.time()  # of change; cannot be restored
        if self.flags & BIRTH:
            cursor.time()
        cursor.varint(), cursor.varint()  # links, inode
        self.group = cursor.varint() if self.flags & LINK_GROUP else None
        count = cursor.varint() if self.flags & ATTRIBUTES else 0
        self.attributes = [(cursor.bytes(), cursor.bytes()) for _ in range(count)]
        require(len({name for name, _ in self.attributes}) == count, "has an entry with an attribute twice")
        self.below = 0
        if self.type == FILE:
            self.size, self.content = cursor.varint(), cursor  # the rest is read when it is restored
            require(self.size < 1 << 63, "has an entry of a wrong size")
            return
        if self.type == DIRECTORY:
            self.below, self.listing = cursor.varint(), cursor.take(32)
        elif self.type == SYMLINK:
            self.target = cursor.bytes()
        elif self.type in (CHARACTER, BLOCK):
            self.device = cursor.varint(), cursor.varint()
        cursor.end()


def is_name(name):
    return 1 <= len(name) <= 255 and b"/" not in name and b"\0" not in name and name not in (b".", b"..")


def read_leaf(data):
    cursor = Cursor(data)
    require(cursor.u8() == 1, "is no leaf")
    owners = []
    for _ in range(cursor.varint()):
        owners.append((cursor.varint(), cursor.varint()))
        cursor.bytes(), cursor.bytes()
    count = cursor.varint()
    require(count <= 1_000_000, "has too many entries")
    entries = [Entry(cursor.bytes(), owners) for _ in range(count)]
    cursor.end()
    return entries


class Listing:
    """The entries of one directory, in order; a damaged part is reported and passed over."""

    def __init__(self, chunks, entry, fail):
        self.chunks, self.fail = chunks, fail
        self.entry, self.counted, self.damaged, self.last = entry, 0, False, b""
        self.entries = self.read(entry.listing, 0)

    def read(self, name, depth):
        try:
            require(depth <= 8, "has too many levels")
            data = self.chunks.read(name, TREE)
            entries, children = ([], read_branch(data)) if data[:1] == b"\2" else (read_leaf(data), [])
        except Damage as error:
            self.damaged = True
            self.fail(f"a part of this directory is lost: {error}")
            return
        for child in children:
            yield from self.read(child, depth + 1)
        for entry in entries:
            if is_name(entry.name) and entry.name > self.last:
                self.last = entry.name
                self.counted += 1 + entry.below
                yield entry
            else:
                self.damaged = True
                self.fail(f"the entry '{show(entry.name)}' has a wrong name or place")


def read_branch(data):
    cursor, children = Cursor(data, 1), []
    for _ in range(cursor.varint()):
        cursor.bytes(), cursor.varint(), cursor.varint()  # for readers that look up single names
        children.append(cursor.take(32))
    cursor.end()
    return children


def read_pieces(chunks, cursor, form):
    """Yield the pieces (length, id or None for a hole) of a file [9.3], from behind its SHA-256."""
    if form == 2:
        yield from read_piece_list(cursor)
    else:
        yield from read_lists(chunks, cursor, None)


def read_piece_list(cursor):
    for _ in range(cursor.varint()):
        value = cursor.varint()
        require(value > 1, "has an empty piece")
        yield value >> 1, None if value & 1 else cursor.take(32)
    cursor.end()


def read_lists(chunks, cursor, level):
    """Content lists; all of them have the given level, None: that of the first."""
    for _ in range(cursor.varint()):
        length, inner = cursor.varint(), Cursor(chunks.read(cursor.take(32), TREE))
        require(inner.u8() == 3, "is no content list")
        found = inner.u8()
        require(found == level or level is None and found < 8, "has content lists of wrong levels")
        level = found
        for piece in read_lists(chunks, inner, level - 1) if level else read_piece_list(inner):
            length -= piece[0]
            yield piece
        require(length == 0, "has a content list of a wrong length")
    cursor.end()


# Restoring

class Report:
    """Says what went wrong and counts it."""

    def __init__(self):
        self.failures = 0
        self.noted = set()

    def failure(self, subject, message):
        self.failures += 1
        print(f"recover: {subject}: {message}", file=sys.stderr, flush=True)

    def note(self, subject, message):
        """Says what needs attention and takes nothing away, once."""
        if (subject, message) not in self.noted:
            self.noted.add((subject, message))
            print(f"recover: {subject}: {message}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def guard(self, subject):
        """Report what goes wrong inside, and go on. The subject may be a function, called only then."""
        try:
            yield
        except (Damage, OSError, OverflowError, ValueError) as error:
            message = error.strerror if isinstance(error, OSError) and error.strerror else error
            self.failure(subject() if callable(subject) else subject, message)


class Restorer:
    """Restores one snapshot.

    The working directory of the process is always the directory that is being restored, so that every name is a single
    component, however long the path gets, and no symbolic link is ever followed. Directories belong to us alone (mode
    0700) until they are complete: then they get their attributes, mode and times.
    """

    def __init__(self, chunks, snapshot, report, pool):
        self.chunks, self.snapshot, self.report, self.pool = chunks, snapshot, report, pool
        self.stack = []       # of listings, from the root to the working directory
        self.identities = []      # of their (device, inode), to be sure on the way back
        self.name = None      # what is being restored in it
        self.count = 0

    def path(self):
        names = [listing.entry.name for listing in self.stack[1:]]
        return f"{show(self.snapshot.name)}:/" + show(b"/".join(names + ([self.name] if self.name else [])))

    def fail(self, message):
        self.report.failure(self.path(), message)

    def attempt(self, call, *arguments, **options):
        with self.report.guard(self.path):
            call(*arguments, **options)

    def restore(self, directory):
        """Restore into a directory that was just made."""
        os.fchdir(directory)
        for name in ("system.posix_acl_default", "system.posix_acl_access"):
            with contextlib.suppress(OSError):
                os.removexattr(directory, name)  # inherited; nothing below shall inherit them
        self.push(self.snapshot.root)
        while self.stack:
            entry = next(self.stack[-1].entries, None)
            if entry is None:
                self.leave()
                continue
            self.name = entry.name
            with self.report.guard(self.path):
                if entry.type == DIRECTORY:
                    self.enter(entry)
                else:
                    self.make(entry)
                    self.count += 1
            self.name = None

    def push(self, entry):
        status = os.stat(".")
        self.identities.append((status.st_dev, status.st_ino))
        self.stack.append(Listing(self.chunks, entry, self.fail))

    def enter(self, entry):
        require(len(self.stack) < 16_384, "is nested too deeply")
        os.mkdir(entry.name, 0o700)
        child = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchdir(child)
        finally:
            os.close(child)
        self.name = None
        self.push(entry)

    def leave(self):
        """Complete the working directory and go up."""
        listing = self.stack[-1]
        if not listing.damaged and listing.counted != listing.entry.below:
            self.fail(f"has {listing.counted} entries below it instead of {listing.entry.below}")
        here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            if len(self.stack) > 1:
                os.chdir("..")
                status = os.stat(".")
                if (status.st_dev, status.st_ino) != self.identities[-2]:
                    raise Stop(FAILED, f"{self.path()} was moved while it was restored")
            self.apply(listing.entry, here)
        finally:
            os.close(here)
        self.stack.pop()
        self.identities.pop()
        self.count += 1

    def make(self, entry):
        """Make anything but a directory, or link it to what was made of its group before."""
        pooled = None if entry.group is None else b"%d" % entry.group
        if pooled:
            try:
                return os.link(pooled, entry.name, src_dir_fd=self.pool, follow_symlinks=False)
            except FileNotFoundError:
                pass  # the first of its group
            except OSError as error:
                self.fail(f"became a copy instead of a hard link: {error.strerror}")
                pooled = None
        if entry.type == FILE:
            self.make_file(entry)
        else:
            if entry.type == SYMLINK:
                os.symlink(entry.target, entry.name)
            else:
                device = os.makedev(*entry.device) if entry.type in (CHARACTER, BLOCK) else 0
                os.mknod(entry.name, MODES[entry.type] | 0o600, device)
            self.apply(entry, entry.name, follow_symlinks=False)
        if pooled:
            # A directory of links costs no memory, and a path of any length does.
            self.attempt(os.link, entry.name, pooled, dst_dir_fd=self.pool, follow_symlinks=False)

    def make_file(self, entry):
        file = os.open(entry.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            self.write(entry, file)
            self.apply(entry, file)
        except BaseException:
            os.unlink(entry.name)
            raise
        finally:
            os.close(file)

    def write(self, entry, file):
        cursor = entry.content
        form = cursor.u8()
        require(form <= 3 and (form or not entry.size), "has content of an unknown form")
        digest = cursor.take(32) if form == 1 or form and entry.flags & HASHED else None
        if form < 2:
            cursor.end()
        if form == 0:
            return
        os.ftruncate(file, entry.size)
        pieces = [(entry.size, self.chunks.id_of(digest))] if form == 1 else read_pieces(self.chunks, cursor, form)
        position, holes, sha = 0, 0, hashlib.sha256()
        for length, name in pieces:
            require(position + length <= entry.size, "has content beyond its size")
            if name:
                data = self.chunks.read(name, DATA)
                require(len(data) == length, "has a chunk of a wrong length")
                write_at(file, data, position)
                sha.update(data)
            else:
                holes += length
                if digest and holes <= GIB:
                    hash_zeros(sha, length)
            position += length
        require(position == entry.size, "has less content than its size")
        # Beyond 1 GiB of holes the ids of the chunks must do.
        require(not digest or holes > GIB or sha.digest() == digest, "has content that differs from its SHA-256")

    def apply(self, entry, target, **options):
        """Owner, attributes, mode and time, in this order: each one may undo those behind it.

        The target is a descriptor, or a name that was just made in the working directory.
        """
        if os.geteuid() == 0:
            self.attempt(os.chown, target, entry.uid, entry.gid, **options)
        for name, value in entry.attributes:
            with self.report.guard(lambda: f"{self.path()}: attribute {show(name)}"):
                os.setxattr(target, name, value, **options)
        if entry.type != SYMLINK:
            self.attempt(os.chmod, target, entry.mode)
        self.attempt(os.utime, target, ns=(entry.mtime, entry.mtime), **options)


def write_at(file, data, position):
    data = memoryview(data)
    while data:
        written = os.pwrite(file, data, position)
        data, position = data[written:], position + written


def hash_zeros(sha, length):
    zeros = bytes(min(length, MIB))
    while length > 0:
        sha.update(zeros[:length])
        length -= len(zeros)


class Destination:
    """The directory in which each snapshot gets one."""

    def __init__(self, path):
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
            self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise Stop(USAGE, f"{path}: {error.strerror}") from error
        if os.listdir(self.fd):
            raise Stop(USAGE, f"{path} is not empty")

    def make(self, *names):
        """Make a directory below, with those above it, and return its descriptor. It must be new."""
        here = os.dup(self.fd)
        for index, name in enumerate(names, 1):
            with contextlib.suppress(() if index == len(names) else FileExistsError):
                os.mkdir(name, 0o700, dir_fd=here)
            here, above = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here), here
            os.close(above)
        return here

    @contextlib.contextmanager
    def pool(self):
        """A directory that holds one more link to what has several."""
        name = ".recover-links"
        pool = self.make(name)
        try:
            yield pool
        finally:
            for link in os.listdir(pool):
                os.unlink(link, dir_fd=pool)
            os.close(pool)
            os.rmdir(name, dir_fd=self.fd)


def names_of(snapshots, selected):
    """Where each selected snapshot goes: names below the destination, none twice, all of them safe."""
    hosts = {snapshot.host for snapshot in snapshots}
    taken = collections.Counter((snapshot.host, snapshot.name) for snapshot in snapshots)
    for snapshot in selected:
        name, host = snapshot.name, snapshot.host
        if taken[host, name] > 1:
            name += f"-{snapshot.id.hex()[:8]}"
        if not is_name(name.encode()):
            name = snapshot.id.hex()
        if not is_name(host.encode()):
            host = "host-" + hashlib.sha256(host.encode()).hexdigest()
        yield snapshot, (host, name) if len(hosts) > 1 else (name,)


def restore_all(repository, records, selected, path):
    if not any(key_set.private for key_set in repository.keys.sets.values()):
        raise Stop(WRONG_KEY, "this key is write-only: it cannot open the content of snapshots")
    report, destination = repository.report, Destination(path)
    chunks = Chunks(repository)
    os.umask(0o077)
    for snapshot, names in names_of(records.snapshots, selected):
        shown = show("/".join(names))
        print(f"Restoring {shown}", flush=True)
        before, restorer = report.failures, None
        with report.guard(shown), destination.pool() as pool:
            restorer = Restorer(chunks, snapshot, report, pool)
            restorer.restore(destination.make(*names))
        print(f"Restored {restorer.count if restorer else 0:,} entries of {shown}, "
              f"{report.failures - before:,} errors", flush=True)


# The command line

def read_secret(options):
    """The secret, and its kind: 1 a password, 2 a key file's 32 bytes."""
    key_file = options.key_file
    if not key_file and not options.password_file:
        key_file = os.environ.get("YESTER_KEY_FILE")
    try:
        if key_file:
            return read_key_file(key_file), 2
        if options.password_file:
            with open(options.password_file, "rb") as file:
                return file.readline().rstrip(b"\r\n"), 1
    except OSError as error:
        raise Stop(WRONG_KEY, f"{error.filename}: {error.strerror}") from error
    try:
        return os.environb.get(b"YESTER_PASSWORD") or os.fsencode(getpass.getpass("Password: ")), 1
    except EOFError as error:
        raise Stop(WRONG_KEY, "no password was given") from error


def read_key_file(path):
    with open(path, "rb") as file:
        data = file.read(4 * KIB)
    if len(data) == 32:
        return data
    if not re.fullmatch(rb"[0-9A-Fa-f]{64}", data.strip()):
        raise Stop(WRONG_KEY, f"{path} holds no key")
    return bytes.fromhex(data.strip().decode())


def select(records, wanted):
    if wanted is None:
        return [snapshot for snapshot in records.snapshots if not records.is_removed(snapshot)]
    found = [snapshot for snapshot in records.snapshots
             if snapshot.name == wanted or len(wanted) >= 8 and snapshot.id.hex().startswith(wanted)]
    if not found:
        raise Stop(USAGE, f"there is no snapshot {show(wanted)}")
    return found


def print_list(records, selected):
    for snapshot in selected:
        removed = "  (removed)" if records.is_removed(snapshot) else ""
        print(f"{show(snapshot.name)}  {snapshot.id.hex()[:8]}  {show(snapshot.host)}  {show(snapshot.plan)}  "
              f"{snapshot.counts[0]:,} entries  {snapshot.counts[5]:,} bytes{removed}"
              + (f"  {show(snapshot.description)}" if snapshot.description else ""))


def parse_arguments():
    parser = argparse.ArgumentParser(description="Restore the snapshots of a yester repository without yester.")
    parser.add_argument("repository", metavar="REPOSITORY")
    parser.add_argument("destination", metavar="DESTINATION", nargs="?", help="a directory that is new or empty")
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument("--key-file", metavar="FILE", help="the file that holds the key (or YESTER_KEY_FILE)")
    secret.add_argument("--password-file", metavar="FILE", help="a file whose first line is the password")
    parser.add_argument("--snapshot", metavar="NAME", help="only this snapshot, by name or by the start of its id")
    parser.add_argument("--list", action="store_true", help="only list the snapshots")
    options = parser.parse_args()
    if options.list == bool(options.destination):
        parser.error("give either DESTINATION or --list")
    return options


def main():
    options, report = parse_arguments(), Report()
    sys.stdout.reconfigure(errors="backslashreplace")
    sys.stderr.reconfigure(errors="backslashreplace")
    try:
        repository = Repository(options.repository, report)
        repository.open_key(*read_secret(options))
        records = Records(repository)
        selected = select(records, options.snapshot)
        if options.list:
            print_list(records, selected)
        else:
            restore_all(repository, records, selected, options.destination)
    except Stop as stop:
        print(f"recover: {stop.args[1]}", file=sys.stderr)
        return stop.args[0]
    return FAILED if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
