// Attacks on the index by those who hold a key: write-only ones, and such as were removed. What they store is well-formed,
// sealed and signed; none of it may take a snapshot away, nor come into one.
import ChunkCodec
@testable import Maintenance
import ObjectStores
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import SnapshotTree
import TestSupport
import Testing

@Suite struct IndexAttackTests {
  enum Thief: String, CaseIterable {
    case writeOnly, removedWriteOnly, removedFull
  }

  /// A repository with one snapshot, and somebody who wants to harm it.
  private struct Scene {
    static let text = "what must not be lost"
    static let more = "and something else"
    let fixture: PruneFixture
    let snapshot: ObjectID
    /// The packs of the snapshot.
    let packs: [ObjectID]
    let attacker: Attacker
    /// Ids and lengths of all chunks of the snapshot, data and listings apart.
    let chunks: [ChunkKind: [(id: ObjectID, length: Int)]]

    /// `author` is the role of who has made the snapshot: the first full key, or a write-only one.
    init(_ thief: Thief, author: KeyRole = .full) throws {
      fixture = try PruneFixture()
      let writer = author == .full ? try fixture.open() : try fixture.test.addWriter(.writeOnly)
      try writer.index.refresh()
      snapshot = try writer.addSnapshot(1, of: [.file("a", Self.text), .directory("d", [.file("b", Self.more)])])
      packs = try fixture.memory.ids(.packs)
      let reader = try fixture.open()
      var chunks: [ChunkKind: [(id: ObjectID, length: Int)]] = [:]
      for pack in packs {
        let file = try PackFile(reader, pack)
        for block in file.blocks {
          chunks[file.key.key.kind, default: []] += block.chunks.map { ($0.id, Int($0.length)) }
        }
      }
      self.chunks = chunks
      let stolen = try fixture.test.addWriter(thief == .removedFull ? .full : .writeOnly)
      attacker = Attacker(stolen, fixture.memory)
      if thief != .writeOnly {
        try fixture.test.open().beginEpoch { $0.remove(stolen.keyring.member, [:]) }
      }
    }

    /// All that the snapshot holds is there, for somebody who has looked at nothing before.
    func expectWhole(_ location: SourceLocation = #_sourceLocation) throws {
      let reader = try fixture.open()
      let tree = try reader.snapshot(snapshot)
      var found: [String] = []
      try tree.walk(from: tree.root) { node, _ in
        if case .file(let size, let body) = node.entry.body {
          var text: [UInt8] = []
          let content = FileContentReader(tree: tree.tree, keySet: tree.snapshot.keySet)
          try content.forEachPiece(of: body, size: size, from: 0) { _, piece in
            if let chunk = piece.chunk {
              text += try content.chunk(chunk, length: piece.length).withBytes { Array($0) }
            }
            return true
          }
          found.append(String(decoding: text, as: UTF8.self))
        }
        return true
      }
      #expect(found == [Self.text, Self.more], sourceLocation: location)
    }

    /// Reclaims space as often as it takes until nothing more goes.
    func reclaim() throws {
      for day in 1...5 { try fixture.prune(now: Int64(day) * 1_000_000) }
    }

    func storeGarbage() throws -> [IndexedPack] {
      try ChunkKind.allKinds.map { try attacker.storeGarbage(under: chunks[$0] ?? [], kind: $0) }
    }

    /// What a new snapshot of the same files by this writer builds on.
    func expectNothingIsBuilt(on packs: [IndexedPack], by repository: Repository) throws {
      try repository.index.refresh()
      _ = try repository.index.avoidMissingPacks()
      for (id, _) in chunks.values.joined() {
        let place = try repository.index.findReusable(id)
        #expect(!packs.contains { $0.pack.id == place?.pack })
      }
    }
  }

  @Test(arguments: Thief.allCases)
  func garbageUnderTheIDsOfOthers(thief: Thief) throws {
    let scene = try Scene(thief)
    let garbage = try scene.storeGarbage()
    try scene.expectWhole()
    #expect(try scene.packs.allSatisfy { try scene.fixture.has($0) })
    for role in [KeyRole.full, .writeOnly] {
      try scene.expectNothingIsBuilt(on: garbage, by: scene.fixture.test.addWriter(role))
    }
    try scene.reclaim()
    #expect(try scene.packs.allSatisfy { try scene.fixture.has($0) })
    #expect(try !garbage.contains { try scene.fixture.has($0.pack.id) }, "nobody needs it")
    try scene.expectWhole()
    #expect(try scene.fixture.findings == [])
  }

  /// Neither copy is by a full writer, so that neither goes: until both were looked at.
  @Test(arguments: Thief.allCases)
  func garbageUnderTheIDsOfAWriteOnlyWriter(thief: Thief) throws {
    let scene = try Scene(thief, author: .writeOnly)
    let garbage = try scene.storeGarbage()
    try scene.expectWhole()
    try scene.expectNothingIsBuilt(on: garbage, by: scene.fixture.test.addWriter(.writeOnly))
    try scene.expectNothingIsBuilt(on: garbage, by: scene.fixture.open())
    try scene.reclaim()
    try scene.expectWhole()
    let repository = try scene.fixture.open()
    let catalog = try repository.readCatalog()
    let all = catalog.snapshots
    let (result, sound) = try Verify.snapshots(repository, catalog, all, .data, progress: RunProgress()) { _ in }
    #expect(result.findings > 0 && sound.count == 1, "the garbage is told, and the snapshot is sound")
    try Verify.state(repository, verified: result.verifiedPacks)
    try scene.reclaim()
    #expect(try !garbage.contains { try scene.fixture.has($0.pack.id) })
    try scene.expectWhole()
  }

  /// Packs of write-only writers are shared once a full key has opened them and said so.
  @Test func whatIsVerifiedIsShared() throws {
    let scene = try Scene(.writeOnly, author: .writeOnly)
    func isShared() throws -> Bool {
      let other = try scene.fixture.test.addWriter(.writeOnly)
      try other.index.refresh()
      return try scene.chunks.values.joined().allSatisfy { try other.index.findReusable($0.id) != nil }
    }
    #expect(try !isShared())
    let repository = try scene.fixture.open()
    let catalog = try repository.readCatalog()
    let all = catalog.snapshots
    let (result, _) = try Verify.snapshots(repository, catalog, all, .data, progress: RunProgress()) { _ in }
    #expect(Set(result.verifiedPacks) == Set(scene.packs))
    try Verify.state(repository, verified: result.verifiedPacks)
    #expect(try isShared())
    let segments = try scene.fixture.memory.ids(.index)
    try Verify.state(scene.fixture.open(), verified: result.verifiedPacks)
    #expect(try scene.fixture.memory.ids(.index) == segments, "what was said is not said again")
    try scene.reclaim()
    #expect(try isShared(), "and it stays said")
  }

  @Test(arguments: Thief.allCases)
  func whoMayNotSayThatAPackIsVerified(thief: Thief) throws {
    let scene = try Scene(thief, author: .writeOnly)
    let garbage = try scene.storeGarbage()
    try scene.attacker.storeSegment(garbage, verified: garbage.map(\.pack.id) + scene.packs)
    try scene.expectNothingIsBuilt(on: garbage, by: scene.fixture.open())
    try scene.reclaim()
    try scene.expectWhole()
  }

  @Test(arguments: Thief.allCases)
  func aSegmentThatReplacesAllOthers(thief: Thief) throws {
    let scene = try Scene(thief)
    let all = try scene.fixture.memory.ids(.index)
    try scene.attacker.storeSegment(replaced: all)
    try scene.expectWhole()
    let reader = try scene.fixture.open()
    #expect(try scene.chunks.values.joined().allSatisfy { try reader.index.findReusable($0.id) != nil })
    try scene.reclaim()
    try scene.expectWhole()
    #expect(try scene.fixture.findings == [])
  }

  /// The packs of others, with other places of their chunks, with another size, under another writer.
  @Test(arguments: Thief.allCases)
  func placesThatLie(thief: Thief) throws {
    let scene = try Scene(thief)
    let reader = try scene.fixture.open()
    let said = try scene.packs.map { try PackFile(reader, $0).indexed }
    let mine = scene.attacker.keyring.writer.publicKey
    let lies: [(IndexedPack) -> IndexedPack] = [
      { $0.claiming(shift: 7) },
      { $0.claiming(writer: mine, shift: 7) },
      { $0.claiming(size: 5000) },
      { $0.claiming(writer: mine) },
      { pack in pack.claiming(pack: scene.packs.first { $0 != pack.pack.id }, writer: mine) },
    ]
    for lie in lies {
      try scene.attacker.storeSegment(said.map(lie))
      try scene.expectWhole()
      let backup = try scene.fixture.open()
      #expect(try backup.index.avoidMissingPacks() == [], "the packs are there, whatever is said of their sizes")
      for (id, _) in scene.chunks.values.joined() {
        let place = try #require(try backup.index.findReusable(id))
        #expect(said.contains { pack in pack.pack.id == place.pack && pack.blocks[0].location == place.block })
      }
    }
    try scene.reclaim()
    #expect(try scene.packs.allSatisfy { try scene.fixture.has($0) })
    try scene.expectWhole()
    #expect(try scene.fixture.findings == [])
  }

  /// A chunk that was never stored is not taken for stored because somebody says that a good pack holds it.
  @Test(arguments: Thief.allCases)
  func aPlaceInASoundPackThatHoldsSomethingElse(thief: Thief) throws {
    let scene = try Scene(thief)
    let reader = try scene.fixture.open()
    let said = try scene.packs.map { try PackFile(reader, $0).indexed }
    let new = reader.chunkID(of: Array("a file to come".utf8))
    for writer in [said[0].writer, scene.attacker.keyring.writer.publicKey] {
      let lie = IndexedPack(
        pack: said[0].pack, writer: writer,
        blocks: [(said[0].blocks[0].location, [PackDirectory.Chunk(id: new, length: 5)])])
      try scene.attacker.storeSegment([lie])
    }
    try scene.reclaim()
    for role in [KeyRole.full, .writeOnly] {
      let other = try scene.fixture.test.addWriter(role)
      try other.index.refresh()
      #expect(try other.index.findReusable(new) == nil)
    }
    try scene.fixture.add(2, [.file("new", "a file to come")])
    #expect(try scene.fixture.findings == [])
  }

  /// What a stranger says of a pack does not become the word of the full key that joins segments.
  @Test(arguments: Thief.allCases)
  func aPackThatNobodyElseLists(thief: Thief) throws {
    let scene = try Scene(thief)
    let full = try scene.fixture.open()
    let (held, said) = (full.chunkID(of: [1, 2, 3]), full.chunkID(of: [4, 5, 6]))
    // A run that was broken off has left it.
    let pack = try Attacker(full, scene.fixture.memory).storePack([(held, [1, 2, 3])])
    let lie = (pack.blocks[0].location, [PackDirectory.Chunk(id: said, length: 3)])
    try scene.attacker.storeSegment([IndexedPack(pack: pack.pack, writer: pack.writer, blocks: [lie])])
    let repository = try scene.fixture.open()
    try repository.replaceIndexSegments(repository.index.current.segments) { _ in true }
    #expect(try repository.index.findReusable(said) == nil)
    #expect(try repository.index.findReusable(held)?.pack == pack.pack.id)
    #expect(repository.index.current.segments.count == 1)
    try scene.expectWhole()
  }

  /// One that contradicts itself, and one whose signature is another's.
  @Test func aSegmentThatIsWrongInItself() throws {
    let scene = try Scene(.writeOnly)
    let own = scene.attacker.keyring.writer.publicKey
    let block = BlockLocation(number: 0, offset: 224, sealedLength: 100, plainLength: 10, compression: .none)
    let outside = IndexedPack(
      pack: IndexLayout.Pack(id: .zero, size: 1, kind: .data), writer: own,
      blocks: [(block, scene.chunks[.data]?.map { PackDirectory.Chunk(id: $0.id, length: .max >> 2) } ?? [])])
    try scene.attacker.storeSegment([outside])
    try scene.expectWhole()
    let good = try #require(scene.fixture.memory["index/\(try scene.attacker.storeSegment([outside]))"])
    var forged = good
    forged[forged.count - 1] ^= 1
    let id = ObjectID(nameOf: SHA256.hash(forged))
    try scene.fixture.memory.put(.index(id), forged)
    try scene.expectWhole()
    #expect(errorMessage { try scene.fixture.prune() }.contains("--rebuild-index"))
    let findings = try scene.fixture.findings
    #expect(findings.count == 1 && findings[0].contains(id.hex))
    _ = try IndexRebuild.run(scene.fixture.open(), isDryRun: false, progress: RunProgress())
    #expect(try scene.fixture.findings == [])
    try scene.reclaim()
    try scene.expectWhole()
  }

  /// More places than anybody would try, all of them in packs that are there.
  @Test func veryManyPlacesOfOneChunk() throws {
    let scene = try Scene(.writeOnly, author: .writeOnly)
    let data = try #require(scene.chunks[.data]?.first)
    let pack = try scene.attacker.storePack(
      (0..<3000).map { _ in (data.id, [UInt8](repeating: 1, count: 1)) })
    try scene.attacker.storeSegment([pack])
    try scene.expectWhole()
    try scene.reclaim()
    try scene.expectWhole()
  }
}

extension ChunkKind {
  fileprivate static let allKinds = [ChunkKind.data, .tree]
}
