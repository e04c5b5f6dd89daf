// Objects that somebody made to do harm, and objects of other versions and repositories.
import Platform
import RepositoryFormat
import TestSupport
import Testing

private func message(_ body: () throws -> Void) -> String {
  do {
    try body()
  } catch {
    return (error as? FormatError)?.message ?? "\(error)"
  }
  return "no error"
}

@Suite struct HostilePackTests {
  private func block(_ sealed: UInt32, _ plain: UInt32, _ chunks: [UInt32]) -> PackDirectory.Block {
    PackDirectory.Block(
      sealedLength: sealed,
      plainLength: plain,
      compression: .none,
      chunks: chunks.map { PackDirectory.Chunk(id: .zero, length: $0) }
    )
  }
  private func read(_ blocks: [PackDirectory.Block], end: Int) throws -> PackDirectory {
    var directory = PackDirectory()
    directory.blocks = blocks
    return try PackDirectory(decoding: directory.encode(), directoryOffset: end)
  }

  /// Whoever rewrites packs hands each chunk to the writer, which takes none beyond the limit.
  @Test func chunksBeyondTheirLimitAreRefused() throws {
    let largest = UInt32(Limits.chunkSizeMax)
    #expect(try read([block(100, largest, [largest])], end: PackLayout.headerSize + 100).blocks.count == 1)
    #expect(throws: FormatError.self) {
      try read([block(100, largest + 1, [largest + 1])], end: PackLayout.headerSize + 100)
    }
  }

  @Test func lengthsMustBeTrue() throws {
    let start = PackLayout.headerSize
    let good = start + 100
    #expect(try read([block(100, 80, [50, 30])], end: good).blocks.count == 1)
    for end in [0, start - 1, start, good - 1, good + 1, Int.max] {
      #expect(throws: FormatError.self) { try read([block(100, 80, [50, 30])], end: end) }
    }
    #expect(throws: FormatError.self) { try read([block(100, 81, [50, 30])], end: good) }
    #expect(throws: FormatError.self) { try read([block(100, 79, [50, 30])], end: good) }
    #expect(throws: FormatError.self) { try read([block(100, 80, [])], end: good) }
    // The sums are 80 and what is good modulo 2^32.
    #expect(throws: FormatError.self) { try read([block(100, 80, [UInt32.max, 81])], end: good) }
    #expect(throws: FormatError.self) { try read([block(.max, 0, []), block(101, 0, [])], end: good) }
    let most = UInt32(Limits.blockSizeMax)
    #expect(throws: FormatError.self) { try read([block(100, most + 1, [most + 1])], end: good) }
  }

  @Test func countsMustFitTheBytes() {
    for count in [UInt32.max, UInt32(Limits.packBlocksMax) + 1, 1000, 1] {
      var blocks = ByteWriter()
      blocks.u32(count)
      #expect(throws: FormatError.self) {
        try PackDirectory(decoding: blocks.bytes, directoryOffset: PackLayout.headerSize)
      }
      var chunks = ByteWriter()
      for number in [UInt32(1), 16, 0] { chunks.u32(number) }
      chunks.u8(0)
      chunks.u32(count)
      #expect(throws: FormatError.self) {
        try PackDirectory(decoding: chunks.bytes, directoryOffset: PackLayout.headerSize + 16)
      }
    }
  }

  @Test func theTrailerMustPointIntoThePack() {
    let size = 10_000
    let good = UInt64(size - PackLayout.trailerSize - 500)
    #expect(throws: Never.self) {
      try PackLayout.readTrailer(PackLayout.trailer(directoryOffset: good, directoryLength: 500), packSize: size)
    }
    let bad: [(UInt64, UInt32)] = [
      (good, 501), (good, 499), (good + 1, 500), (0, .max), (.max, 500), (UInt64(1) << 63, 500), (127, 9849),
      (good &- (1 << 32), 500), (UInt64(size) + 1, 0), (good, UInt32(Limits.packDirectorySizeMax) + 1),
    ]
    for (offset, length) in bad {
      let trailer = PackLayout.trailer(directoryOffset: offset, directoryLength: length)
      #expect(throws: FormatError.self) { try PackLayout.readTrailer(trailer, packSize: size) }
    }
    let large = Limits.packSizeMax + 1
    let trailer = PackLayout.trailer(directoryOffset: UInt64(large - 524), directoryLength: 500)
    #expect(throws: FormatError.self) { try PackLayout.readTrailer(trailer, packSize: large) }
    for size in [0, 23, 24, PackLayout.headerSize + 23] {
      let trailer = PackLayout.trailer(directoryOffset: UInt64(PackLayout.headerSize), directoryLength: 0)
      #expect(throws: FormatError.self) { try PackLayout.readTrailer(trailer, packSize: size) }
    }
  }
}

@Suite struct HostileSlotTests {
  @Test(
    arguments: [
      (9, 8, 1), (23, 8, 1), (0, 8, 1), (255, 8, 1), (64, 8, 1), (17, 0, 1), (17, 8, 0), (17, 33, 1), (17, 8, 33),
      (17, .max, .max), (22, 3, 1), (22, 32, 32), (20, 32, 1), (14, 32, 32),
    ] as [(UInt8, UInt32, UInt32)]
  )
  func absurdCostsOfScrypt(log2N: UInt8, r: UInt32, p: UInt32) {
    #expect(throws: FormatError.self) { try read(.password(log2N: log2N, r: r, p: p)) }
  }

  @Test(
    arguments: [(10, 1, 1), (17, 8, 1), (22, 2, 1), (22, 1, 2), (20, 8, 1), (13, 32, 32)]
      as [(UInt8, UInt32, UInt32)]
  )
  func costsWithinTheLimit(log2N: UInt8, r: UInt32, p: UInt32) throws {
    #expect(try read(.password(log2N: log2N, r: r, p: p)).lock == .password(log2N: log2N, r: r, p: p))
  }

  private func read(_ lock: SlotHeader.Lock) throws -> SlotHeader {
    let header = SlotHeader(
      lock: lock,
      createdSeconds: 0,
      salt: [UInt8](repeating: 2, count: 32),
      publicKey: [UInt8](repeating: 3, count: 32),
      commitment: [UInt8](repeating: 4, count: 16)
    )
    let slot = header.encode(repository: testRepository) + [UInt8](repeating: 5, count: SlotPayload.size + 16)
    return try SlotHeader(decoding: slot, repository: testRepository)
  }

  @Test func slotsOfImpossibleSize() {
    var random = SeededGenerator()
    let start = random.slotHeader().encode(repository: testRepository)
    for length in [0, 1, 79, 81, 4096, 65_536] {
      let slot = start + random.bytes(length)
      #expect(throws: FormatError.self) { try SlotHeader(decoding: slot, repository: testRepository) }
    }
  }
}

/// Epochs that are well formed and contradict themselves. The root key has signed none of them, but a faulty yester
/// with the root key might.
@Suite struct HostileEpochTests {
  @Test func headsOfImpossibleSize() {
    var random = SeededGenerator()
    let head = random.epochParts().head
    func read(_ edit: (inout EpochHead) -> Void, _ rest: Int = EpochHead.signatureSize) throws {
      var head = head
      edit(&head)
      let bytes = head.encode(repository: testRepository) + random.bytes(rest)
      _ = try EpochHead(decoding: bytes, repository: testRepository)
    }
    #expect(throws: Never.self) { try read { _ in } }
    for number in [0, Limits.epochNumberMax + 1, .max] {
      #expect(throws: FormatError.self) { try read { $0.number = number } }
    }
    #expect(throws: FormatError.self) { try read { $0.slots = [] } }
    #expect(throws: FormatError.self) { try read { $0.slots.append($0.slots[0]) } }
    #expect(throws: FormatError.self) { try read { $0.envelopesLength = .max } }
    #expect(throws: FormatError.self) {
      try read {
        $0.envelopesLength = .max
        $0.sharedLength = .max
        $0.fullLength = .max
      }
    }
    #expect(throws: FormatError.self) { try read({ _ in }, EpochHead.signatureSize - 1) }
    #expect(throws: FormatError.self) { try read({ _ in }, Limits.epochSizeMax) }
  }

  @Test func rostersThatContradictThemselves() {
    var random = SeededGenerator()
    var (head, shared, _) = random.epochParts()
    func read(_ edit: (inout SharedPart, inout EpochHead) -> Void) throws {
      var (shared, head) = (shared, head)
      edit(&shared, &head)
      _ = try SharedPart(decoding: shared.encode(), of: head)
    }
    #expect(throws: Never.self) { try read { _, _ in } }
    let second = RosterMember(
      id: MemberID(random.bytes(16)), role: .writeOnly, state: .removed(epoch: 2), createdSeconds: 0, label: [],
      hosts: [],
      writers: [
        WriterKey(publicKey: random.bytes(32), since: 1, end: WriterKey.End(epoch: 2, last: .nothing))
      ])
    shared.members.append(second)
    #expect(throws: Never.self) { try read { _, _ in } }
    let last = shared.members.count - 1
    // One writer key for two members: the one that is found first would say what it is worth.
    #expect(throws: FormatError.self) {
      try read { shared, _ in
        shared.members[last].writers = [
          WriterKey(
            publicKey: shared.members[0].writers[0].publicKey, since: 1, end: WriterKey.End(epoch: 2, last: .nothing))
        ]
      }
    }
    #expect(throws: FormatError.self) { try read { shared, _ in shared.members.append(second) } }
    #expect(throws: FormatError.self) {
      try read { shared, _ in shared.members[last].state = .inForce(slot: random.id()) }
    }
    #expect(throws: FormatError.self) { try read { shared, _ in shared.members[last].writers = [] } }
    #expect(throws: FormatError.self) { try read { shared, _ in shared.members[last].writers[0].end = nil } }
    #expect(throws: FormatError.self) {
      try read { shared, head in shared.members[last].state = .revoked(epoch: head.number + 1) }
    }
    // Nobody could read anything any more.
    #expect(throws: FormatError.self) {
      try read { shared, _ in
        shared.members = shared.members.map { member in
          RosterMember(
            id: member.id, role: .writeOnly, state: member.state, createdSeconds: 0, label: [], hosts: [],
            writers: member.writers)
        }
      }
    }
    #expect(throws: FormatError.self) { try read { shared, _ in shared.keySets = [] } }
    #expect(throws: FormatError.self) { try read { shared, _ in shared.keySets.append(shared.keySets[0]) } }
    #expect(throws: FormatError.self) { try read { _, head in head.keySetPublicKey = random.bytes(32) } }
    #expect(throws: FormatError.self) { try read { _, head in head.slots.removeLast() } }
  }
}

@Suite struct VersionTests {
  @Test(arguments: [2, 3, 99, 4_294_967_295])
  func aConfigOfTheFutureSaysSo(version: UInt32) {
    let text = "yester repository\nformat \(version)\nsomething else altogether\n"
    let said = message { _ = try RepositoryConfig(decoding: Array(text.utf8), digest: testDigest) }
    #expect(said.contains("newer yester") && said.contains("\(version)"))
  }

  @Test(
    arguments: [
      "", "\n", "yester repository", "yester repository\n", "yester repository\nformat\n",
      "yester repository\nformat x\n", "yester repository\nformat -1\n", "yester repository\nformat 0\n",
      "yester repository\nformat 1\n",
      "yester repository\nformat 1\nid 00\ncheck 00\n", "Yester repository\nformat 2\n", "restic\nformat 2\n",
    ])
  func aBrokenConfigIsNotOfTheFuture(text: String) {
    let said = message { _ = try RepositoryConfig(decoding: Array(text.utf8), digest: testDigest) }
    #expect(said.contains("damaged"))
  }

  @Test func aConfigIsExactlyItsBytes() throws {
    let good = RepositoryConfig(rootPublicKey: testRoot, digest: testDigest).encode(digest: testDigest)
    #expect(try RepositoryConfig(decoding: good, digest: testDigest).rootPublicKey == testRoot)
    let text = String(decoding: good, as: UTF8.self)
    // An id that is not made of the root key, with a right check.
    let other = RepositoryConfig(rootPublicKey: testRoot.map { $0 ^ 1 }, digest: testDigest)
    let lines = text.split(separator: "\n").prefix(4).map(String.init)
    let head = Array(([lines[0], lines[1], "id \(other.id)", lines[3]].joined(separator: "\n") + "\n").utf8)
    let exchanged = head + Array("check \(Hex.encode(testDigest(head).prefix(8)))\n".utf8)
    #expect(throws: FormatError.self) { try RepositoryConfig(decoding: exchanged, digest: testDigest) }
    for bad in [
      text + "\n", String(text.dropLast()), text + " ", text.replacing("format 1", with: "format 01"),
      text.replacing("format 1", with: "format +1"), text.replacing("\n", with: "\r\n"), text.uppercased(),
    ] {
      #expect(throws: FormatError.self) { try RepositoryConfig(decoding: Array(bad.utf8), digest: testDigest) }
    }
    #expect(throws: FormatError.self) {
      try RepositoryConfig(decoding: good + [UInt8](repeating: 0x0A, count: 100_000), digest: testDigest)
    }
  }

  @Test func objectsOfOtherVersionsAndRepositories() throws {
    var out = ByteWriter()
    CommonHeader.write(.pack, testRepository, to: &out)
    let good = out.bytes
    #expect(good.count == CommonHeader.size)
    func read(_ bytes: [UInt8]) throws {
      _ = try bytes.read { (reader) throws(FormatError) in
        try CommonHeader.read(.pack, .note, of: testRepository, from: &reader)
      }
    }
    try read(good)
    for (offset, value, words) in [
      (8, 2, "newer yester"), (11, 1, "newer yester"), (8, 0, "damaged"), (12, 1, "damaged"),
      (0, 0, "not what its place says"),
      (16, 0xFF, "another repository"), (31, 0, "another repository"),
    ] as [(Int, UInt8, String)] {
      var bad = good
      bad[offset] = value
      #expect(message { try read(bad) }.contains(words))
    }
  }
}
