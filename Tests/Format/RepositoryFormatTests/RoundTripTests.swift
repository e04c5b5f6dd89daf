// Whatever is written comes back the same, for values of all kinds.
import Platform
import RepositoryFormat
import TestSupport
import Testing

private let hint = Comment(rawValue: "YESTER_TEST_SEED=\(SeededGenerator.seed)")

@Suite struct ListingRoundTripTests {
  @Test func leavesHoldTheirEntries() throws {
    var random = SeededGenerator()
    for size in [0, 1, 2, 3, 17, 200] {
      let entries = random.entries(size)
      let bytes = leaf(entries)
      let read = try Leaf(bytes)
      #expect(read.count == size)
      var offset: UInt64 = 0
      for (index, entry) in entries.enumerated() {
        try #require(try read.entry(index) == entry, hint)
        try #require(try read.name(index).equals(entry.name) && read.type(index) == entry.type, hint)
        try #require(read.numberOffset(index) == offset, hint)
        try #require(read.index(holding: offset) == index, hint)
        try #require(read.index(holding: offset + entry.below) == index, hint)
        offset += 1 + entry.below
      }
      #expect(read.total == offset, hint)
      #expect(leaf(try (0..<size).map { try read.entry($0) }) == bytes, hint)
    }
  }

  @Test func namesAreFoundWhereTheyStand() throws {
    var random = SeededGenerator()
    let entries = random.entries(150)
    let present = Set(entries.map(\.name))
    let read = try Leaf(leaf(entries))
    for name in entries.map(\.name) + (0..<300).map({ _ in random.bytes(random.below(5)) }) {
      let (index, found) = try name.withUnsafeBytes { try read.find($0) }
      #expect(found == present.contains(name), hint)
      #expect(index == entries.count { $0.name.precedes(name) }, hint)
    }
  }

  @Test func theBuilderCountsAndBeginsAnew() {
    var random = SeededGenerator()
    let entries = random.entries(9)
    var builder = LeafBuilder()
    for entry in entries { builder.append(entry) }
    #expect(builder.count == 9)
    #expect(builder.firstName == entries[0].name)
    #expect(builder.total == entries.reduce(9) { $0 + $1.below }, hint)
    let first = builder.finish()
    #expect(builder.count == 0 && builder.total == 0 && builder.size == 0)
    for entry in entries { builder.append(entry) }
    #expect(builder.finish() == first, hint)
  }

  @Test func branchesHoldTheirChildren() throws {
    var random = SeededGenerator()
    var names: Set<[UInt8]> = []
    for _ in 0..<60 { names.insert(random.name()) }
    let branch = Branch(
      children: names.sorted { $0.precedes($1) }.map { name in
        let count = 1 + random.number() >> 40
        return Branch.Child(firstName: name, count: count, total: count + random.number() >> 40, object: random.id())
      }
    )
    #expect(try branch.encode().withUnsafeBytes { try Branch(decoding: $0) } == branch, hint)
  }

  @Test func contentListsHoldTheirParts() throws {
    var random = SeededGenerator()
    for _ in 0..<100 {
      let pieces = ContentList.pieces(random.pieces())
      let lists = ContentList.lists(level: 1 + random.below(7), random.references())
      for list in [pieces, lists] {
        let size: UInt64 =
          switch list {
          case .pieces(let pieces): pieces.reduce(0) { $0 + $1.length }
          case .lists(_, let lists): lists.reduce(0) { $0 + $1.length }
          }
        let read = try list.encode().withUnsafeBytes { try ContentList(decoding: $0, covering: size) }
        try #require(read == list, hint)
      }
    }
  }
}

@Suite struct RecordRoundTripTests {
  @Test func snapshotsNotesLeasesAndLists() throws {
    var random = SeededGenerator()
    for _ in 0..<50 {
      let snapshot = random.snapshot()
      try #require(dumped(try SnapshotRecord(decoding: snapshot.encode())) == dumped(snapshot), hint)
      let note = random.note()
      try #require(try NoteRecord(decoding: note.encode()) == note, hint)
      let lease = random.lease()
      try #require(try LeaseRecord(decoding: lease.encode()) == lease, hint)
      let condemned = random.condemned()
      try #require(try CondemnedList(decoding: condemned.encode()) == condemned, hint)
    }
  }

  @Test func everyCountOfASnapshotComesBack() throws {
    var random = SeededGenerator()
    var record = random.snapshot()
    record.counts.files = 1
    record.counts.directories = 2
    record.counts.links = 3
    record.counts.others = 4
    record.counts.added = 5
    record.counts.modified = 6
    record.counts.deleted = 7
    record.counts.unchanged = 8
    record.counts.bytesRead = 9
    record.counts.bytesNew = 10
    #expect(try SnapshotRecord(decoding: record.encode()).counts == record.counts)
  }

  @Test func slots() throws {
    var random = SeededGenerator()
    for _ in 0..<50 {
      let header = random.slotHeader()
      let start = header.encode(repository: testRepository)
      let read = try SlotHeader(decoding: start + random.bytes(SlotPayload.size + 16), repository: testRepository)
      try #require(read == header && start.count == SlotHeader.size, hint)
      let payload = random.slotPayload()
      try #require(try SlotPayload(decoding: payload.encode()) == payload, hint)
    }
  }

  @Test func epochs() throws {
    var random = SeededGenerator()
    for _ in 0..<50 {
      var (head, shared, full) = random.epochParts()
      (head.envelopesLength, head.sharedLength, head.fullLength) = (7, 11, 0)
      let bytes = head.encode(repository: testRepository)
      let whole = bytes + random.bytes(18 + EpochHead.signatureSize)
      try #require(try EpochHead(decoding: whole, repository: testRepository) == head && bytes.count == head.size, hint)
      try #require(try SharedPart(decoding: shared.encode(), of: head) == shared, hint)
      try #require(try FullPart(decoding: full.encode(), of: shared) == full, hint)
      let envelope = random.envelopePayload()
      try #require(try EnvelopePayload(decoding: envelope.encode()) == envelope, hint)
    }
  }

  @Test func packs() throws {
    var random = SeededGenerator()
    for count in [0, 1, 2, 50] {
      let directory = random.packDirectory(count)
      let read = try PackDirectory(decoding: directory.encode(), directoryOffset: directory.blocksEnd)
      try #require(dumped(read) == dumped(directory), hint)
    }
    let keySet = random.keySetID()
    let ephemeral = random.bytes(32)
    let (wrapped, commitment) = (random.bytes(48), random.bytes(16))
    let start = PackLayout.headerStart(.tree, repository: testRepository, keySet: keySet, ephemeralKey: ephemeral)
    #expect(start.count == PackLayout.authenticatedHeaderSize)
    let (writer, signature) = (random.bytes(32), random.bytes(64))
    let header = try PackLayout.readHeader(start + wrapped + commitment + writer + signature, of: testRepository)
    #expect(header.kind == .tree && header.keySet == keySet)
    #expect(header.ephemeralKey == ephemeral && header.wrappedKey == wrapped && header.commitment == commitment)
    #expect(header.writer == writer && header.signature == signature)
    let trailer = PackLayout.trailer(directoryOffset: 5000, directoryLength: 300)
    #expect(trailer.count == PackLayout.trailerSize)
    #expect(try PackLayout.readTrailer(trailer, packSize: 5324) == (5000, 300))
  }

  @Test func envelopesAndHeads() throws {
    var random = SeededGenerator()
    for magic in [CommonHeader.Magic.snapshot, .note] {
      let envelope = SignedEnvelope(
        magic: magic,
        keySet: random.keySetID(),
        epoch: 1 + random.next() >> 3,
        writer: random.bytes(32)
      )
      let bytes = envelope.encode(repository: testRepository)
      #expect(bytes.count == SignedEnvelope.size)
      #expect(try SignedEnvelope(decoding: bytes, repository: testRepository) == envelope, hint)
    }
    let head = IndexLayout.Head(replaced: 1, statements: 2, writers: 7, packs: 3, blocks: 4, chunks: .max)
    var out = ByteWriter()
    head.encode(to: &out)
    #expect(out.count == IndexLayout.headSize)
    #expect(try out.bytes.read { (reader) throws(FormatError) in try IndexLayout.Head(&reader) } == head)
    let before = 24 + 32 + 2 * 48 + 7 * 32 + 3 * 48 + 4 * 16
    #expect(head.end == before + 32 * Int(UInt32.max))
  }

  @Test func idsAreBytesInTheirOrder() {
    var random = SeededGenerator()
    for _ in 0..<200 {
      let a = random.bytes(32)
      var b = a
      b[random.below(32)] = UInt8(random.below(256))
      guard let first = ObjectID(a), let second = ObjectID(b) else { return }
      #expect(first.bytes == a)
      #expect((first < second) == a.precedes(b), hint)
      #expect((first == second) == (a == b), hint)
      #expect(ObjectID(hex: first.hex) == first, hint)
    }
    #expect(ObjectID(hex: String(repeating: "A", count: 64)) == nil)
    #expect(ObjectID(hex: String(repeating: "a", count: 63)) == nil)
    #expect(ObjectID([1, 2, 3]) == nil)
  }
}
