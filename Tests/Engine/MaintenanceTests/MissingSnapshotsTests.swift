import ChunkCodec
import Maintenance
import ObjectStores
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

/// Snapshots that are out of sight are not taken for removed ones.
@Suite struct MissingSnapshotsTests {
  private let fixture: PruneFixture
  /// Of days 1 to 4, each with data of its own.
  private let ids: [ObjectID]

  init() throws {
    let fixture = try PruneFixture()
    self.fixture = fixture
    ids = try (1...4).map { day in
      try fixture.add(day, [.file("f", Self.content(day))])
    }
  }

  private static func content(_ day: Int) -> [UInt8] {
    var random = SeededGenerator(seed: UInt64(day))
    return random.bytes(1000)
  }

  private var packs: Set<ObjectID> { get throws { Set(try fixture.memory.ids(.packs)) } }

  /// Takes all records and notes away; what puts them back.
  private func moveAside() throws -> [ObjectID: [UInt8]] {
    var aside: [ObjectID: [UInt8]] = [:]
    for id in try fixture.memory.ids(.snapshots) {
      aside[id] = try fixture.memory.get(.snapshot(id), limit: 1 << 20)
      try fixture.memory.delete(.snapshot(id))
    }
    return aside
  }

  /// Nothing is deleted, condemned or removed; the error.
  private func expectRefusal(_ code: YesterError.Code, _ body: () throws -> Void) throws -> YesterError {
    let (packs, records) = (try packs, try fixture.memory.ids(.snapshots))
    let error = try #require(throws: YesterError.self) { try body() }
    #expect(error.code == code)
    #expect(error.advice.contains("Nothing was deleted"))
    #expect(error.advice.contains("yester prune --accept-missing-snapshots"))
    #expect(try self.packs == packs)
    #expect(try fixture.memory.ids(.snapshots) == records)
    #expect(try fixture.condemned.isEmpty)
    return error
  }

  @Test func packsWithoutAnySnapshotStay() throws {
    let aside = try moveAside()
    // This machine remembers them; another one sees nothing but packs.
    _ = try expectRefusal(.damaged) { try fixture.prune() }
    _ = try expectRefusal(.damaged) { try fixture.prune(isDryRun: true) }
    forget(fixture.test.id)
    _ = try expectRefusal(.failed) { try fixture.prune() }
    _ = try expectRefusal(.failed) { try fixture.prune(isDryRun: true) }
    for bytes in aside.values { _ = try fixture.memory.put(.snapshot(ObjectID(nameOf: SHA256.hash(bytes))), bytes) }
    #expect(try fixture.prune().packsDeleted == 0)
    #expect(try fixture.findings == [])
  }

  @Test(arguments: [0, 1, 2])
  func aRecordThatIsLostKeepsAllPacks(index: Int) throws {
    try fixture.memory.delete(.snapshot(ids[index]))
    let error = try expectRefusal(.damaged) { try fixture.prune() }
    #expect(error.message.contains(ids[index].short))
    _ = try expectRefusal(.damaged) { try fixture.prune(isDryRun: true) }
  }

  @Test func aLostRecordOfAWriteOnlyWriterKeepsAllPacks() throws {
    let writer = try fixture.test.addWriter(.writeOnly)
    let lost = try writer.addSnapshot(5, of: [.file("w", [1])])
    _ = try writer.addSnapshot(6, of: [.file("w", [2])])
    #expect(try fixture.prune().packsDeleted == 0)
    try fixture.memory.delete(.snapshot(lost))
    _ = try expectRefusal(.damaged) { try fixture.prune() }
  }

  @Test func nothingIsRemovedEither() throws {
    try fixture.memory.delete(.snapshot(ids[1]))
    _ = try expectRefusal(.damaged) { try fixture.remove(ids[0]) }
    let repository = try fixture.open()
    let catalog = try SnapshotCatalog(repository)
    let decisions = try Rotation.decide(
      catalog, host: nil, plan: nil, rules: RetentionRules(keepLast: 1), force: true)
    #expect(decisions.contains { !$0.isKept })
    _ = try expectRefusal(.damaged) { try Rotation.remove(decisions, repository) }
  }

  @Test func whatWasRemovedProperlyIsGivenBackToTheLast() throws {
    try fixture.remove(ids[0], ids[1], ids[2], ids[3])
    #expect(try fixture.prune().packsDeleted > 0)
    #expect(try packs.isEmpty)
    #expect(try fixture.prune().packsDeleted == 0)
  }

  @Test func anEmptyRepositoryIsPruned() throws {
    #expect(try PruneFixture().prune().packsDeleted == 0)
  }

  /// A write-only key must not be able to open the way.
  @Test func aWriteOnlyWritersWordThatAllWereRemovedIsNone() throws {
    _ = try moveAside()
    let writer = try fixture.test.addWriter(.writeOnly)
    let subject = NoteRecord.Subject(snapshot: ids[0], writer: writer.keyring.writer.publicKey, sequence: 1)
    try writer.store(
      NoteRecord(kind: .removed, time: .now(), subjects: [subject]), after: try SnapshotCatalog(writer))
    _ = try expectRefusal(.damaged) { try fixture.prune() }
    forget(fixture.test.id)
    _ = try expectRefusal(.failed) { try fixture.prune() }
  }

  @Test func aLossThatIsAcceptedIsNoGapAnyMore() throws {
    try fixture.remove(ids[0])
    for id in ids[1...2] { try fixture.memory.delete(.snapshot(id)) }
    let records = try fixture.memory.ids(.snapshots).count
    #expect(try fixture.prune(isDryRun: true, acceptingMissing: true).packsCondemned > 0)
    #expect(try fixture.memory.ids(.snapshots).count == records)
    #expect(try fixture.prune(acceptingMissing: true).packsDeleted > 0)
    #expect(try fixture.findings == [])
    // It was said once, in one note.
    #expect(try fixture.prune(acceptingMissing: true).packsDeleted == 0)
    #expect(try fixture.memory.ids(.snapshots).count == records + 1)
    #expect(try fixture.prune().packsDeleted == 0)
    #expect(try SnapshotCatalog(fixture.open()).snapshots.map(\.id) == [ids[3]])
  }

  @Test func theLossOfAllIsAcceptedWhenItIsSaid() throws {
    _ = try moveAside()
    #expect(try fixture.prune(acceptingMissing: true).packsDeleted > 0)
    #expect(try packs.isEmpty)
  }

  @Test func onlyAFullKeyAcceptsALoss() throws {
    _ = try moveAside()
    let writer = try fixture.test.addWriter(.writeOnly)
    var options = Prune.Options()
    options.acceptsMissingSnapshots = true
    let before = try packs
    let error = #expect(throws: YesterError.self) { try Prune.run(writer, options, progress: RunProgress()) }
    #expect(error?.code == .wrongKey)
    #expect(try packs == before)
  }

  /// A claim to any number must neither be counted out nor hinder that others are accepted; and it is settled once.
  @Test(.timeLimit(.minutes(1))) func aHostileNumberIsAccepted() throws {
    try fixture.memory.delete(.snapshot(ids[1]))
    let writer = try fixture.test.addWriter(.writeOnly)
    var record = try writer.storeTree(7, [.file("w", [1])])
    record.sequence = 1 << 50
    record.previous = ids[0]
    let bytes = try RecordSealing.seal(record, writer.keyring)
    _ = try fixture.memory.put(.snapshot(ObjectID(nameOf: SHA256.hash(bytes))), bytes)
    #expect(try fixture.prune(acceptingMissing: true).packsDeleted > 0)
    _ = try fixture.prune()
    #expect(try fixture.findings == [])
    // The next of that chain is not taken for one of what was given up.
    let later = try writer.addSnapshot(8, of: [.file("w", [2])])
    let catalog = try SnapshotCatalog(fixture.open())
    #expect(catalog.snapshots.first { $0.id == later }?.record.sequence == (1 << 50) + 1)
    #expect(catalog.gaps.isEmpty)
  }

  /// What a write-only key says of the chains of others stops nothing, and is not signed away either.
  @Test func hearsayStopsNothing() throws {
    let writer = try fixture.test.addWriter(.writeOnly)
    var record = try writer.storeTree(7, [.file("w", [1])])
    let victim = try fixture.open().keyring.writer.publicKey
    record.heads = [ChainHead(writer: victim, sequence: 1 << 50, id: ids[0].twin)]
    let bytes = try RecordSealing.seal(record, writer.keyring)
    _ = try fixture.memory.put(.snapshot(ObjectID(nameOf: SHA256.hash(bytes))), bytes)
    _ = try fixture.prune()
    // It is told by the verification.
    #expect(try fixture.findings.count == 1)
    _ = try fixture.prune(acceptingMissing: true)
    #expect(try SnapshotCatalog(fixture.open()).notes.isEmpty)
    // A true loss in that chain is found as ever.
    try fixture.memory.delete(.snapshot(ids[3]))
    _ = try expectRefusal(.damaged) { try fixture.prune() }
  }

  @Test func theEndOfAChainThatIsLostKeepsAllPacks() throws {
    let last = try #require(ids.last)
    try fixture.memory.delete(.snapshot(last))
    let error = try expectRefusal(.damaged) { try fixture.prune() }
    #expect(error.message.contains(last.short))
    // A backup after the loss does not hide it.
    try fixture.add(5, [.file("f", Self.content(5))])
    _ = try expectRefusal(.damaged) { try fixture.prune() }
    forget(fixture.test.id)
    _ = try expectRefusal(.damaged) { try fixture.prune() }
    #expect(try fixture.prune(acceptingMissing: true).packsCondemned > 0)
    #expect(try fixture.findings == [])
  }

  /// Of two records that come while the folder is listed, the later may be seen alone.
  @Test func aListingThatMissesWhatIsThereIsMadeAgain() throws {
    let lost = ids[1]
    let bytes = try #require(try fixture.memory.get(.snapshot(lost), limit: 1 << 20))
    try fixture.memory.delete(.snapshot(lost))
    let listings = Monitor(0)
    let memory = fixture.memory
    let watched = WatchedStore(memory) { call in
      guard call == .list(.snapshots) else { return }
      let count = listings.withLock {
        $0 += 1
        return $0
      }
      if count == 2 { _ = try memory.put(.snapshot(lost), bytes) }
    }
    #expect(try fixture.prune(watched).packsDeleted == 0)
    #expect(listings.withLock { $0 } >= 2)
    #expect(try fixture.findings == [])
  }
}

extension ObjectID {
  /// An id that nothing has.
  fileprivate var twin: ObjectID { ObjectID(nameOf: SHA256.hash(bytes)) }
}
