// Records: what is in objects behind their seal, and the sealed objects themselves.
import SnapshotTree
@testable internal import ChunkCodec
internal import Glibc
internal import Platform
internal import RepositoryCore
internal import RepositoryFormat
internal import TestSupport

let recordTargets: [Target] = [
  Target("snapshot-record", seeds: { random { $0.snapshot().encode() } }) { input in
    let record = try SnapshotRecord(decoding: input)
    let bytes = record.encode()
    expect(try SnapshotRecord(decoding: bytes).encode() == bytes, "a record survives its own writing")
    expect(isValidSnapshotName(record.name), "a snapshot has a name that a directory can have")
    for time in [record.start, record.end] { _ = time.iso8601(offset: record.utcOffset) }
    _ = record.mayHold(input)
  },
  Target("note", seeds: { random { $0.note().encode() } }) { input in
    let note = try NoteRecord(decoding: input)
    expect(try NoteRecord(decoding: note.encode()) == note, "a note survives its own writing")
  },
  Target("lease", seeds: { random { $0.lease().encode() } }) { input in
    let lease = try LeaseRecord(decoding: input)
    expect(try LeaseRecord(decoding: lease.encode()) == lease, "a lease survives its own writing")
  },
  Target("condemned", seeds: { random { $0.condemned().encode() } }) { input in
    let list = try CondemnedList(decoding: input)
    expect(try CondemnedList(decoding: list.encode()) == list, "a list of condemned packs survives its own writing")
  },
  Target("slot-header", seeds: { random { $0.slotHeader().encode(repository: testKeyring.repository) } }) { input in
    let slot = input + [UInt8](repeating: 0, count: SlotPayload.size + 16)
    let header = try SlotHeader(decoding: slot, repository: testKeyring.repository)
    expect(header.encode(repository: testKeyring.repository) == input, "a slot has one form only")
  },
  Target("epoch-head", seeds: { random { $0.epochParts().head.encode(repository: testKeyring.repository) } }) { input in
    // The signature, and no sealed parts but what the input itself has behind its head.
    let bytes = input + [UInt8](repeating: 0, count: EpochHead.signatureSize)
    let head = try EpochHead(decoding: bytes, repository: testKeyring.repository)
    expect(input.starts(with: head.encode(repository: testKeyring.repository)), "an epoch has one form only")
  },
  Target("epoch-parts", seeds: epochSeeds) { input in
    // As the holder of the root key would have signed it.
    let parts = try input.read { (reader) throws(FormatError) in
      let first = Array(try reader.string(limit: Limits.epochSizeMax))
      return (first: first, second: try reader.array(reader.remaining))
    }
    let shared = try SharedPart(decoding: parts.first, epoch: 1 << 60)
    let head = head(of: shared)
    try shared.check(head)
    expect(shared.encode() == parts.first, "what members share has one form only")
    let roster = Roster(shared.members)
    for member in shared.members {
      for writer in member.writers {
        let envelope = SignedEnvelope(
          magic: .note, keySet: testKeyring.current.id, epoch: head.number, writer: writer.publicKey)
        _ = accepted { try roster.authorship(envelope, sequence: 1, host: "host") }
        _ = roster.standing(of: writer.publicKey)
      }
    }
    let full = try FullPart(decoding: parts.second, of: shared)
    expect(full.encode() == parts.second, "what full members know has one form only")
  },
  Target("envelope-payload", seeds: { random { $0.envelopePayload().encode() } }) { input in
    expect(try EnvelopePayload(decoding: input).encode() == input, "an envelope has one form only")
  },
  Target("sealed", seeds: sealedSeeds) { input in
    _ = accepted { try SignedEnvelope(decoding: input, repository: testKeyring.repository) }
    _ = accepted { try RecordSealing.openSnapshot(input, testKeyring) }
    _ = accepted { try RecordSealing.openNote(input, testKeyring) }
    _ = accepted { try RecordSealing.openLease(input, testKeyring) }
    _ = accepted { try RecordSealing.openCondemned(input, testKeyring) }
    _ = accepted { try PackKey.open(header: input, testKeyring) }
    _ = accepted {
      try KeySlot.open(
        input, repository: testKeyring.repository, root: rootKeys.publicKey, with: .keyFile(testSecret))
    }
    _ = accepted {
      try SignedEpoch(input, number: 2, repository: testKeyring.repository, root: rootKeys.publicKey)
        .open(by: testKeyring.slot)
    }
    var rest = input[...]
    _ = accepted {
      _ = try IndexOpener.open(
        testKeyring,
        read: { (count: Int) throws(FormatError) in
          defer { rest = rest.dropFirst(count) }
          return Array(rest.prefix(count))
        }, emit: { (_: [UInt8]) throws(FormatError) in }, damaged: { $0 })
    }
  },
]

/// A few values of one kind, the same at every call.
func random(_ make: (inout SeededGenerator) throws -> [UInt8]) rethrows -> [[UInt8]] {
  var generator = SeededGenerator(seed: 1)
  return try (0..<8).map { _ in try make(&generator) }
}

@Sendable private func sealedSeeds() throws -> [[UInt8]] {
  var generator = SeededGenerator(seed: 1)
  var sealer = IndexSealer(testKeyring)
  var index = sealer.header
  [UInt8](repeating: 7, count: 100).withUnsafeBytes { bytes in sealer.write(bytes) { index += $0 } }
  index += sealer.finish()
  return [
    try RecordSealing.seal(generator.snapshot(), testKeyring), RecordSealing.seal(generator.note(), testKeyring),
    RecordSealing.seal(generator.lease(), testKeyring), RecordSealing.seal(generator.condemned(), testKeyring),
    try PackKey.make(.tree, testKeyring).header,
    testSlot.bytes, testEpoch, index,
  ]
}

// MARK: Keys that are the same in every run, so that inputs keep their meaning

let testSecret = [UInt8](repeating: 0x11, count: 32)
let rootKeys = keys(.ed25519, 0x22)

let testConfig = RepositoryConfig(rootPublicKey: rootKeys.publicKey) { SHA256.hash($0).bytes }

/// Its slot is new in each run, as nothing depends on its bytes.
let testSlot: (bytes: [UInt8], key: SlotKey) = {
  let slot = accepted {
    try KeySlot.make(
      with: .keyFile(testSecret), repository: testConfig.id, root: rootKeys.publicKey, created: .now())
  }
  guard let slot else { fatalError("the keys of the fuzzer fit in no slot") }
  return slot
}()

/// Of the first epoch, which nobody sees; the second is `testEpoch`.
let testKeyring: Keyring = {
  let writer = keys(.ed25519, 0x33)
  let pair = keys(.x25519, 0x44)
  let listKey = [UInt8](repeating: 0x55, count: 32)
  let keySet = KeySetRecord(
    publicKey: pair.publicKey, idKey: [UInt8](repeating: 0x66, count: 32),
    indexKey: [UInt8](repeating: 0x77, count: 32), chunkerSeed: [UInt8](repeating: 0x88, count: 32),
    privateKey: pair.privateKey)
  let member = RosterMember(
    id: MemberID([UInt8](repeating: 0x99, count: 16)), role: .full, state: .inForce(slot: testSlot.key.id),
    createdSeconds: 0, label: Array("fuzz".utf8), hosts: [],
    writers: [WriterKey(publicKey: writer.publicKey, since: 1)])
  return Keyring(
    repository: testConfig.id, epoch: EpochName(number: 1, digest: .zero), rootPublicKey: rootKeys.publicKey,
    slot: testSlot.key, member: member.id, role: .full, writer: writer, keySets: [KeySet(keySet)],
    roster: Roster([member]), ownKeys: [(writer.publicKey, listKey)],
    authority: Keyring.Authority(
      root: rootKeys, secrets: [member.id: FullPart.Member(writerSeed: writer.privateKey, listKeys: [listKey])],
      slotKeys: [testSlot.key.id: testSlot.key.pair.publicKey]))
}()

let testEpoch: [UInt8] = {
  guard let draft = EpochDraft(after: testKeyring), let epoch = accepted({ try draft.seal(created: .now()) }) else {
    fatalError("the keys of the fuzzer make no epoch")
  }
  return epoch
}()

/// A shared and a full part, behind the length of the first.
@Sendable private func epochSeeds() -> [[UInt8]] {
  var generator = SeededGenerator(seed: 1)
  return (0..<8).map { _ in
    let (_, shared, full) = generator.epochParts()
    var out = ByteWriter()
    out.string(shared.encode())
    out.raw(full.encode())
    return out.bytes
  }
}

/// A head that fits the part.
private func head(of shared: SharedPart) -> EpochHead {
  EpochHead(
    number: 1 << 60, createdSeconds: 0, rootPublicKey: rootKeys.publicKey, previous: .zero,
    keySet: testKeyring.current.id, keySetPublicKey: shared.keySets.first?.publicKey ?? [],
    ephemeralKey: rootKeys.publicKey,
    slots: shared.members.compactMap(\.slot).map { EpochHead.Slot(id: $0, publicKey: rootKeys.publicKey) },
    envelopesLength: 0, sharedLength: 0, fullLength: 0)
}

private func keys(_ algorithm: KeyPair.Algorithm, _ byte: UInt8) -> KeyPair {
  guard let pair = KeyPair(algorithm, privateKey: [UInt8](repeating: byte, count: 32)) else {
    fatalError("OpenSSL cannot make keys")
  }
  return pair
}

/// For files that must have a name. In memory, where there is such a place.
let scratchFolder: String = {
  let base = System.environment("YESTER_FUZZ_SCRATCH") ?? "/tmp"
  let folder = "\(base)/yester-fuzz-\(System.processID)"
  try? Directory.makeAll(folder)
  return folder
}()
