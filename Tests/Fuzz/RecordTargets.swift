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
  Target(
    "slot-header", seeds: { random { $0.slotHeader().encode(repository: testKeyring.repository, sealedLength: 0) } }
  ) {
    input in
    let (header, length) = try SlotHeader.decode(input, repository: testKeyring.repository)
    let again = header.encode(repository: testKeyring.repository, sealedLength: input.count - length)
    expect(again == Array(input[..<length]), "a slot has one form only")
  },
  Target("slot-payload", seeds: { random { $0.slotPayload().encode() } + [testKeyring.payload.encode()] }) { input in
    var payload = try SlotPayload(decoding: input)
    expect(payload.encode() == input, "a payload has one form only")
    // As the holder of the root key would have made it.
    guard let writer = KeyPair(.ed25519, privateKey: payload.writerPrivateKey) else { return }
    payload.rootPublicKey = rootKeys.publicKey
    payload.writerCertificate = WriterCertificate.make(
      writer: writer.publicKey, role: payload.role, repository: testKeyring.repository,
      rootPrivateKey: rootKeys.privateKey)
    let keyring = try Keyring(repository: testKeyring.repository, payload: payload)
    let store = MemoryStore()
    let cache = IndexCache(store: store, keyring: keyring, cacheDirectory: scratchFolder)
    _ = ChunkReader(store: store, keyring: keyring, index: ChunkIndex(store: store, cache: cache), cacheSize: 0)
  },
  Target("sealed", seeds: sealedSeeds) { input in
    _ = accepted { try SignedEnvelope(decoding: input, repository: testKeyring.repository) }
    _ = accepted { try RecordSealing.openSnapshot(input, testKeyring) }
    _ = accepted { try RecordSealing.openNote(input, testKeyring) }
    _ = accepted { try RecordSealing.openLease(input, testKeyring) }
    _ = accepted { try RecordSealing.openCondemned(input, testKeyring) }
    _ = accepted { try PackKey.open(header: input, testKeyring) }
    _ = accepted { try KeySlot.open(input, repository: testKeyring.repository, with: .keyFile(testSecret)) }
    var rest = input[...]
    _ = accepted {
      try IndexOpener.open(
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
    testSlot, index,
  ]
}

// MARK: Keys that are the same in every run, so that inputs keep their meaning

let testSecret = [UInt8](repeating: 0x11, count: 32)
let rootKeys = keys(.ed25519, 0x22)

let testKeyring: Keyring = {
  let repository = RepositoryID((0..<16).map { UInt8($0) })
  let writer = keys(.ed25519, 0x33)
  let pair = keys(.x25519, 0x44)
  let payload = SlotPayload(
    role: .full, writerPrivateKey: writer.privateKey,
    writerCertificate: WriterCertificate.make(
      writer: writer.publicKey, role: .full, repository: repository, rootPrivateKey: rootKeys.privateKey),
    listKey: [UInt8](repeating: 0x55, count: 32), rootPublicKey: rootKeys.publicKey,
    rootPrivateKey: rootKeys.privateKey,
    keySets: [
      KeySetRecord(
        publicKey: pair.publicKey, idKey: [UInt8](repeating: 0x66, count: 32),
        indexKey: [UInt8](repeating: 0x77, count: 32), chunkerSeed: [UInt8](repeating: 0x88, count: 32),
        privateKey: pair.privateKey)
    ])
  guard let keyring = accepted({ try Keyring(repository: repository, payload: payload) }) else {
    fatalError("the keys of the fuzzer are no keyring")
  }
  return keyring
}()

let testSlot: [UInt8] = {
  let slot = accepted { try KeySlot.seal(testKeyring, with: .keyFile(testSecret), label: "fuzz", created: .now()) }
  guard let slot else { fatalError("the keys of the fuzzer fit in no slot") }
  return slot
}()

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
