// Every truncation and every changed byte of every object must throw or give a value: a trap would end the program.
import Platform
import RepositoryFormat
import TestSupport
import Testing

/// An encoded object, and a reader that also uses what it has read.
private struct Sample: CustomTestStringConvertible {
  let name: String
  let bytes: [UInt8]
  /// Whether every shorter or longer form of it must be refused. Records made of optional fields may lose some.
  var isWholeOnly = true
  let read: @Sendable ([UInt8]) throws -> Void
  var testDescription: String { name }

  static let all: [Sample] = {
    var random = SeededGenerator()
    return listings(&random) + objects(&random) + records(&random)
  }()

  private static func listings(_ random: inout SeededGenerator) -> [Sample] {
    let pieces = random.pieces()
    let lists = random.references()
    let root = leaf([random.root()])
    let branch = Branch(
      children: ["a", "b", "c"].map {
        Branch.Child(firstName: Array($0.utf8), count: 1000, total: 70_000, object: random.id())
      }
    )
    return [
      Sample(name: "leaf", bytes: leaf(random.entries(12))) { try use(Leaf($0)) },
      Sample(name: "empty leaf", bytes: leaf([])) { try use(Leaf($0)) },
      Sample(name: "root", bytes: root) { try use(Leaf($0, isRoot: true)) },
      Sample(name: "branch", bytes: branch.encode()) { _ = try $0.withUnsafeBytes { try Branch(decoding: $0) } },
      Sample(name: "content list", bytes: ContentList.pieces(pieces).encode()) { bytes in
        let size = pieces.reduce(0) { $0 + $1.length }
        _ = try bytes.withUnsafeBytes { try ContentList(decoding: $0, covering: size) }
      },
      Sample(name: "list of lists", bytes: ContentList.lists(level: 2, lists).encode()) { bytes in
        let size = lists.reduce(0) { $0 + $1.length }
        _ = try bytes.withUnsafeBytes { try ContentList(decoding: $0, covering: size) }
      },
    ]
  }

  private static func use(_ leaf: Leaf) throws {
    for index in 0..<leaf.count {
      let entry = try leaf.entry(index)
      _ = try leaf.type(index)
      _ = try entry.name.withUnsafeBytes { try leaf.find($0) }
      _ = leaf.index(holding: leaf.numberOffset(index))
    }
    _ = leaf.index(holding: leaf.total)
    _ = leaf.index(holding: .max)
  }

  private static func objects(_ random: inout SeededGenerator) -> [Sample] {
    let directory = random.packDirectory(8)
    let end = directory.blocksEnd
    let packHeader =
      PackLayout.headerStart(
        .data,
        repository: testRepository,
        keySet: random.keySetID(),
        ephemeralKey: random.bytes(32)
      )
      + random.bytes(PackLayout.headerSize - PackLayout.authenticatedHeaderSize)
    let slot = random.slotHeader().encode(repository: testRepository) + random.bytes(SlotPayload.size + 16)
    let envelope = SignedEnvelope(
      magic: .note,
      keySet: random.keySetID(),
      epoch: 1,
      writer: random.bytes(32)
    )
    let (emptyEpoch, shared, full) = random.epochParts()
    var epoch = emptyEpoch
    (epoch.envelopesLength, epoch.sharedLength, epoch.fullLength) = (10, 20, 30)
    let epochBytes = epoch.encode(repository: testRepository) + random.bytes(60 + EpochHead.signatureSize)
    let config = RepositoryConfig(rootPublicKey: random.bytes(32), digest: testDigest).encode(digest: testDigest)
    var head = ByteWriter()
    IndexLayout.Head(replaced: 1, statements: 2, writers: 1, packs: 3, blocks: 4, chunks: 5).encode(to: &head)
    return [
      Sample(name: "pack directory", bytes: directory.encode()) {
        _ = try PackDirectory(decoding: $0, directoryOffset: end)
      },
      Sample(name: "pack header", bytes: packHeader) { _ = try PackLayout.readHeader($0, of: testRepository) },
      Sample(name: "pack trailer", bytes: PackLayout.trailer(directoryOffset: 5000, directoryLength: 300)) {
        _ = try PackLayout.readTrailer($0, packSize: 5324)
      },
      Sample(name: "slot header", bytes: slot) { _ = try SlotHeader(decoding: $0, repository: testRepository) },
      Sample(name: "epoch head", bytes: epochBytes) { _ = try EpochHead(decoding: $0, repository: testRepository) },
      Sample(name: "shared part", bytes: shared.encode()) { [epoch] in _ = try SharedPart(decoding: $0, of: epoch) },
      Sample(name: "full part", bytes: full.encode()) { _ = try FullPart(decoding: $0, of: shared) },
      Sample(name: "envelope of a slot", bytes: random.envelopePayload().encode()) {
        _ = try EnvelopePayload(decoding: $0)
      },
      Sample(name: "envelope", bytes: envelope.encode(repository: testRepository)) {
        _ = try SignedEnvelope(decoding: $0, repository: testRepository)
      },
      Sample(name: "index head", bytes: head.bytes) {
        _ = try $0.read { (reader) throws(FormatError) in try IndexLayout.Head(&reader).end }
      },
      Sample(name: "config", bytes: config) { _ = try RepositoryConfig(decoding: $0, digest: testDigest) },
    ]
  }

  private static func records(_ random: inout SeededGenerator) -> [Sample] {
    [
      Sample(name: "snapshot", bytes: random.snapshot().encode(), isWholeOnly: false) {
        let record = try SnapshotRecord(decoding: $0)
        _ = record.start.iso8601(offset: record.utcOffset)
      },
      Sample(name: "note", bytes: random.note().encode(), isWholeOnly: false) { _ = try NoteRecord(decoding: $0) },
      Sample(name: "lease", bytes: random.lease().encode(), isWholeOnly: false) { _ = try LeaseRecord(decoding: $0) },
      Sample(name: "condemned", bytes: random.condemned().encode(), isWholeOnly: false) {
        _ = try CondemnedList(decoding: $0)
      },
    ]
  }
}

/// Stands for SHA-256, which this module has not: FNV-1a, four times.
func testDigest(_ bytes: [UInt8]) -> [UInt8] {
  let hash = bytes.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  return (0..<32).map { UInt8(truncatingIfNeeded: hash >> UInt64($0 % 8 * 8)) }
}

@Suite struct BrokenBytesTests {
  private static let hint = Comment(rawValue: "YESTER_TEST_SEED=\(SeededGenerator.seed)")

  @Test(arguments: Sample.all)
  private func wholeObjectsAreRead(sample: Sample) throws {
    try sample.read(sample.bytes)
  }

  @Test(arguments: Sample.all)
  private func truncationIsRefused(sample: Sample) {
    for length in 0..<sample.bytes.count {
      let part = Array(sample.bytes[..<length])
      if sample.isWholeOnly {
        #expect(throws: FormatError.self, Self.hint) { try sample.read(part) }
      } else {
        try? sample.read(part)
      }
    }
  }

  @Test(arguments: Sample.all)
  private func changedBytesDoNotTrap(sample: Sample) {
    var refused = 0
    for offset in sample.bytes.indices {
      var changed = sample.bytes
      let original = changed[offset]
      let values: Set<UInt8> = [
        original ^ 1, original ^ 0x80, original ^ 0xFF, original &+ 1, original &- 1, original ^ 0x10, 0, 0x7F, 0x80,
        0xFF,
      ]
      for value in values where value != original {
        changed[offset] = value
        do {
          try sample.read(changed)
        } catch {
          refused += 1
        }
      }
    }
    #expect(refused > 0, Self.hint)
  }

  @Test(arguments: Sample.all)
  private func removedAndDoubledBytesDoNotTrap(sample: Sample) {
    for offset in sample.bytes.indices {
      var changed = sample.bytes
      changed.remove(at: offset)
      try? sample.read(changed)
      changed = sample.bytes
      changed.insert(changed[offset], at: offset)
      try? sample.read(changed)
    }
  }

  @Test(arguments: Sample.all)
  private func garbageDoesNotTrap(sample: Sample) {
    var random = SeededGenerator()
    for _ in 0..<200 {
      // A good beginning, so that the reader gets somewhere.
      let kept = random.below(min(sample.bytes.count, 60) + 1)
      try? sample.read(Array(sample.bytes[..<kept]) + random.bytes(random.below(300)))
    }
  }

  @Test func everyChangedByteOfTheConfigIsFound() {
    let good = RepositoryConfig(rootPublicKey: testRoot, digest: testDigest).encode(digest: testDigest)
    for offset in good.indices {
      for bit in 0..<8 {
        var changed = good
        changed[offset] ^= 1 << UInt8(bit)
        #expect(throws: FormatError.self) { try RepositoryConfig(decoding: changed, digest: testDigest) }
      }
    }
  }
}
