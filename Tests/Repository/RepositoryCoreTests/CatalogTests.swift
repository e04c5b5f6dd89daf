import ObjectStores
import ChunkCodec
import Platform
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

extension Repository {
  fileprivate func remove(_ snapshots: [ObjectID]) throws {
    try addNote(.removed, snapshots)
    for id in snapshots { try store.delete(.snapshot(id)) }
  }

  fileprivate var findings: [String] { get throws { ChainCheck.findings(try SnapshotCatalog(self)) } }
}

@Suite struct CatalogTests {
  @Test func snapshotsStandInTheOrderOfTheirTimes() throws {
    let test = try TestRepository()
    let repository = try test.open()
    let ids = try [5, 3, 9, 1].map { try repository.addSnapshot($0) }
    let catalog = try SnapshotCatalog(repository)
    #expect(catalog.snapshots.map(\.id) == [ids[3], ids[1], ids[0], ids[2]])
    #expect(catalog.snapshots.map(\.record.sequence) == [4, 2, 1, 3])
    #expect(catalog.snapshots[0].record.previous == ids[2] && catalog.snapshots[2].record.previous == nil)
    #expect(catalog.damaged.isEmpty && catalog.notes.isEmpty && catalog.foreignCount == 0)
    // What is known is not read again.
    let counter = FaultyStore(test.store)
    let other = try test.open(counter)
    let before = counter.calls
    #expect(try SnapshotCatalog(other, reusing: catalog).snapshots.map(\.id) == catalog.snapshots.map(\.id))
    #expect(counter.calls - before == 1)
  }

  @Test func writeOnlyWritersSeeTheirOwn() throws {
    let test = try TestRepository()
    let full = try test.open()
    let writer = try test.addWriter(.writeOnly)
    let own = try writer.addSnapshot(1)
    let foreign = try full.addSnapshot(2)
    let seen = try SnapshotCatalog(writer)
    #expect(seen.snapshots.map(\.id) == [own] && seen.foreignCount == 1)
    let all = try SnapshotCatalog(full)
    #expect(all.snapshots.map(\.id) == [own, foreign] && all.foreignCount == 0)
    #expect(all.snapshots.map(\.record.sequence) == [1, 1])
  }

  @Test func onlyFullWritersRelease() throws {
    let test = try TestRepository()
    let full = try test.open()
    let writer = try test.addWriter(.writeOnly)
    let id = try writer.addSnapshot(1)
    func snapshot() throws -> CatalogedSnapshot { try #require(try SnapshotCatalog(full).snapshots.first) }
    let later = Timestamp(seconds: 1_000_000)
    try full.addNote(.pinned, [id], day: 1, until: later)
    #expect(try snapshot().pinnedUntil == later && !snapshot().isPinned)
    try full.addNote(.pinned, [id], day: 2)
    #expect(try snapshot().isPinned)
    // A write-only writer can neither unpin, nor pin for a shorter time, nor confirm.
    try writer.addNote(.unpinned, [id], day: 3)
    try writer.addNote(.confirmed, [id], day: 4)
    try writer.addNote(.pinned, [id], day: 5, until: Timestamp(seconds: 1))
    #expect(try snapshot().isPinned && !snapshot().isConfirmed)
    try full.addNote(.unpinned, [id], day: 6)
    try full.addNote(.confirmed, [id], day: 7)
    #expect(try !snapshot().isPinned && snapshot().isConfirmed)
  }

  @Test func damagedAndForeignRecordsAreRefused() throws {
    let store = MemoryStore()
    let test = try TestRepository(in: store)
    let repository = try test.open()
    let ids = try [1, 2].map { try repository.addSnapshot($0) }
    let first = try #require(store["snapshots/\(ids[0])"])
    let second = try #require(store["snapshots/\(ids[1])"])
    func refused() throws -> Set<ObjectID> { Set(try SnapshotCatalog(repository).damaged.map(\.id)) }

    // Two files whose names were swapped.
    (store["snapshots/\(ids[0])"], store["snapshots/\(ids[1])"]) = (second, first)
    #expect(try refused() == Set(ids))
    (store["snapshots/\(ids[0])"], store["snapshots/\(ids[1])"]) = (first, second)
    #expect(try refused().isEmpty)

    // A good record under a second name.
    store["snapshots/\(ObjectID.zero)"] = first
    #expect(try refused() == [.zero])
    store["snapshots/\(ObjectID.zero)"] = nil

    // Records of another repository: as it is, and with this repository's id, made by somebody who has seen it.
    let other = try TestRepository().open()
    let stranger = try strangersKeyring(repository.config.id)
    for bytes in [
      try RecordSealing.seal(snapshotRecord(3), other.keyring), try RecordSealing.seal(snapshotRecord(3), stranger),
    ] {
      let id = ObjectID(nameOf: SHA256.hash(bytes))
      store["snapshots/\(id)"] = bytes
      #expect(try refused() == [id])
      store["snapshots/\(id)"] = nil
    }
    for bytes in [[], [1, 2, 3], [UInt8](repeating: 0, count: 4000), first + [0], Array(first.dropLast())] {
      let id = ObjectID(nameOf: SHA256.hash(bytes))
      store["snapshots/\(id)"] = bytes
      #expect(try refused() == [id])
      store["snapshots/\(id)"] = nil
    }
    #expect(try SnapshotCatalog(repository).snapshots.map(\.id) == ids)
    #expect(try repository.findings == [])
  }

  @Test func aRecordThatIsListedAndNotGivenIsNoAbsence() throws {
    let test = try TestRepository()
    let ids = try [1, 2].map { try test.open().addSnapshot($0) }
    let blind = try test.open(BlindStore(test.store, to: .snapshot(ids[0])))
    #expect(errorMessage { _ = try SnapshotCatalog(blind) }.contains("does not give it"))
  }

  @Test func aRecordThatGoesWhileOthersAreReadIsAbsent() throws {
    let test = try TestRepository()
    let ids = try [1, 2].map { try test.open().addSnapshot($0) }
    let watched = WatchedStore(test.store) { call in
      if call == .get(.snapshot(ids[0])) { try test.store.delete(.snapshot(ids[0])) }
    }
    #expect(try SnapshotCatalog(test.open(watched)).snapshots.map(\.id) == [ids[1]])
  }
}

@Suite struct ChainCheckTests {
  @Test func wholeChainsHaveNoFindings() throws {
    let test = try TestRepository()
    let full = try test.open()
    #expect(try full.findings == [])
    let writer = try test.addWriter(.writeOnly)
    let second = try test.addWriter(.full)
    for day in 1...3 { for one in [full, writer, second] { _ = try one.addSnapshot(day) } }
    try full.addNote(.verified, try SnapshotCatalog(full).snapshots.map(\.id))
    _ = try full.addSnapshot(4)
    #expect(try full.findings == [])
    #expect(try second.findings == [])
  }

  @Test(arguments: [0, 1, 2])
  func aRecordThatIsTakenAwayIsFound(index: Int) throws {
    let test = try TestRepository()
    let repository = try test.open()
    let ids = try (1...4).map { try repository.addSnapshot($0) }
    try test.store.delete(.snapshot(ids[index]))
    #expect(try !repository.findings.isEmpty)
  }

  @Test func removalWithANoteIsNoFinding() throws {
    let test = try TestRepository()
    let repository = try test.open()
    let ids = try (1...5).map { try repository.addSnapshot($0) }
    try repository.remove([ids[1], ids[2]])
    #expect(try repository.findings == [])
    try repository.remove([ids[0]])
    #expect(try repository.findings == [])
    // Also of the last one, whose position in the chain the next takes up.
    try repository.remove([ids[4]])
    _ = try repository.addSnapshot(6)
    #expect(try repository.findings == [])
    #expect(try SnapshotCatalog(repository).snapshots.last?.record.sequence == 9)
  }

  @Test func aThiefCannotHideBehindARemoval() throws {
    let test = try TestRepository()
    let repository = try test.open()
    let ids = try (1...4).map { try repository.addSnapshot($0) }
    try repository.remove([ids[1]])
    // Nothing that is left points at the first record: only the numbers tell.
    try test.store.delete(.snapshot(ids[0]))
    #expect(try !repository.findings.isEmpty)
  }

  @Test func aNoteThatIsTakenAwayIsFound() throws {
    let test = try TestRepository()
    let repository = try test.open()
    let id = try repository.addSnapshot(1)
    try repository.addNote(.pinned, [id])
    let note = try #require(try SnapshotCatalog(repository).notes.first?.id)
    _ = try repository.addSnapshot(2)
    #expect(try repository.findings == [])
    try test.store.delete(.snapshot(note))
    #expect(try !repository.findings.isEmpty)
  }

  @Test func aWriteOnlyWritersNoteExcusesNothing() throws {
    let test = try TestRepository()
    let full = try test.open()
    let writer = try test.addWriter(.writeOnly)
    let ids = try (1...3).map { try writer.addSnapshot($0) }
    try writer.addNote(.removed, [ids[1]])
    #expect(try full.findings == [])
    try test.store.delete(.snapshot(ids[1]))
    #expect(try !full.findings.isEmpty)
  }

  @Test func aHostileNoteMovesNoOthersChain() throws {
    let test = try TestRepository()
    let full = try test.open()
    let writer = try test.addWriter(.writeOnly)
    _ = try full.addSnapshot(1)
    for sequence in [UInt64(1) << 40, .max] {
      let subject = NoteRecord.Subject(snapshot: .zero, writer: full.keyring.writer.publicKey, sequence: sequence)
      let note = NoteRecord(kind: .removed, time: Timestamp(seconds: 1), subjects: [subject])
      try writer.store(note, after: SnapshotCatalog(writer))
    }
    _ = try full.addSnapshot(2)
    #expect(try SnapshotCatalog(full).snapshots.map(\.record.sequence) == [1, 2])
    #expect(try full.findings == [])
  }
}

/// Of somebody who has seen the repository's id.
private func strangersKeyring(_ repository: RepositoryID) throws -> Keyring {
  var keys = TestKeys(repository: repository)
  keys.add(.full)
  return try keys.epoch().keyrings[0]
}
