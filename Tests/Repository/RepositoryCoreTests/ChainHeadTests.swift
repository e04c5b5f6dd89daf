import ChunkCodec
import ObjectStores
import Platform
import Reporting
@testable import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

/// The end of a chain, and whole chains: what others named and what this machine remembers tells that they are gone.
@Suite struct ChainHeadTests {
  private let memory = MemoryStore()
  private let test: TestRepository
  private let full: Repository

  init() throws {
    test = try TestRepository(in: memory)
    full = try test.open()
  }

  /// As another machine opens it, which has seen nothing yet.
  private func onOtherMachine(_ body: (Repository, _ warnings: () -> [String]) throws -> Void) throws {
    try withTemporaryDirectory { folder in
      let warnings = Monitor<[String]>([])
      let repository = try Repository.open(
        memory, secret: test.secret, folders: LocalFolders(caches: folder + "/c", memories: folder + "/m"),
        warn: { text in warnings.update { $0.append(text) } })
      try body(repository) { warnings.withLock { $0 } }
    }
  }

  /// Seals what a holder of that key can write, whatever it says.
  @discardableResult
  private func forge(
    _ repository: Repository, _ day: Int, _ change: (inout SnapshotRecord) -> Void
  ) throws -> ObjectID {
    var record = snapshotRecord(day)
    change(&record)
    let bytes = try RecordSealing.seal(record, repository.keyring)
    let id = ObjectID(nameOf: SHA256.hash(bytes))
    _ = try memory.put(.snapshot(id), bytes)
    return id
  }

  private func gaps(_ repository: Repository) throws -> [ChainCheck.Gap] { try SnapshotCatalog(repository).gaps }

  // MARK: What others named

  @Test func recordsNameTheHeadsOfOthersThatMoved() throws {
    let other = try test.addWriter(.full)
    let first = try full.addSnapshot(1)
    let second = try other.addSnapshot(2)
    let third = try full.addSnapshot(3)
    let fourth = try full.addSnapshot(4)
    try other.addNote(.pinned, [first])
    let catalog = try SnapshotCatalog(full)
    func heads(_ id: ObjectID) throws -> [ChainHead] {
      try #require(catalog.snapshots.first { $0.id == id }).record.heads
    }
    let (mine, others) = (full.keyring.writer.publicKey, other.keyring.writer.publicKey)
    #expect(try heads(first) == [])
    #expect(try heads(second) == [ChainHead(writer: mine, sequence: 1, id: first)])
    #expect(try heads(third) == [ChainHead(writer: others, sequence: 1, id: second)])
    // Nothing has moved since.
    #expect(try heads(fourth) == [])
    #expect(catalog.notes[0].note.heads == [ChainHead(writer: mine, sequence: 3, id: fourth)])
    #expect(catalog.gaps.isEmpty && catalog.forks.isEmpty)
  }

  @Test func aChainIsNotCutBehindTheBackOfOthers() throws {
    let other = try test.addWriter(.full)
    _ = try full.addSnapshot(1)
    let last = try full.addSnapshot(2)
    _ = try other.addSnapshot(3)
    try memory.delete(.snapshot(last))
    try onOtherMachine { repository, warnings in
      let gap = try #require(try gaps(repository).first)
      #expect(gap.id == last && gap.numbers == 2...2 && !gap.isHearsay)
      #expect(warnings().count == 1)
      #expect(warnings().first?.contains(last.short) == true)
    }
  }

  @Test func aWholeChainDoesNotVanish() throws {
    let other = try test.addWriter(.full)
    let ids = try (1...3).map { try full.addSnapshot($0) }
    _ = try other.addSnapshot(4)
    for id in ids { try memory.delete(.snapshot(id)) }
    try onOtherMachine { repository, _ in
      let gaps = try gaps(repository)
      #expect(gaps.contains { $0.id == ids[2] })
      #expect(gaps.contains { $0.id == nil && $0.numbers == 1...2 })
    }
  }

  @Test func whatWasRemovedProperlyIsNoGap() throws {
    let other = try test.addWriter(.full)
    let ids = try (1...3).map { try full.addSnapshot($0) }
    _ = try other.addSnapshot(4)
    try other.addNote(.removed, ids)
    for id in ids { try memory.delete(.snapshot(id)) }
    #expect(try gaps(full).isEmpty)
    try onOtherMachine { repository, warnings in
      let found = try gaps(repository)
      #expect(found.isEmpty)
      #expect(warnings() == [])
    }
  }

  /// A record that is removed and written again is another one.
  @Test func aChainThatWasWrittenAgainIsNotTheSame() throws {
    let other = try test.addWriter(.full)
    let first = try full.addSnapshot(1)
    let last = try full.addSnapshot(2)
    _ = try other.addSnapshot(3)
    try memory.delete(.snapshot(last))
    try forge(full, 2) { record in
      record.sequence = 2
      record.previous = first
      record.summary = "what somebody else would like"
    }
    try onOtherMachine { repository, _ in
      let found = try gaps(repository)
      #expect(found.contains { $0.id == last })
    }
    #expect(try gaps(full).contains { $0.id == last })
  }

  // MARK: What the machine remembers

  @Test func theMachineRemembersTheEnd() throws {
    _ = try full.addSnapshot(1)
    let last = try full.addSnapshot(2)
    let again = try test.open()
    try memory.delete(.snapshot(last))
    #expect(try gaps(again).contains { $0.id == last && !$0.isHearsay })
    // Nobody else knows of it.
    try onOtherMachine { repository, _ in
      let found = try gaps(repository)
      #expect(found.isEmpty)
    }
  }

  @Test func theMachineRemembersAWholeChain() throws {
    let other = try test.addWriter(.writeOnly)
    let ids = try (1...2).map { try other.addSnapshot($0) }
    _ = try SnapshotCatalog(full)
    for id in ids { try memory.delete(.snapshot(id)) }
    let gaps = try gaps(test.open())
    #expect(gaps.contains { $0.id == ids[1] && $0.writer == other.keyring.writer.publicKey })
    #expect(gaps.contains { $0.numbers == 1...1 })
  }

  /// A backup that finds what it builds on gone deletes its record, which others may have seen for a moment.
  @Test(arguments: [true, false]) func whatItsWriterMayTakeBackIsNotMissed(isAnnounced: Bool) throws {
    let other = try test.addWriter(.writeOnly)
    let lease = try #require(try Lease.take(other, .backup))
    defer { lease.release() }
    let id = try other.addSnapshot(1)
    if isAnnounced { try lease.announce(id) }
    try onOtherMachine { repository, _ in
      #expect(try gaps(repository).isEmpty)
      try memory.delete(.snapshot(id))
      #expect(try gaps(repository).isEmpty == isAnnounced)
    }
  }

  /// It compares ids, and not only numbers.
  @Test func whatTheMachineRemembersIsNotWrittenAgain() throws {
    let first = try full.addSnapshot(1)
    let last = try full.addSnapshot(2)
    try memory.delete(.snapshot(last))
    for (day, sequence) in [(2, UInt64(2)), (3, 3)] {
      try forge(full, day) { record in
        record.sequence = sequence
        record.previous = day == 2 ? first : nil
        record.summary = "what somebody else would like"
      }
    }
    #expect(try gaps(full).map(\.id) == [last])
  }

  @Test func aRepositoryThatWasSetBackIsNoticed() throws {
    try onOtherMachine { repository, warnings in
      _ = try full.addSnapshot(1)
      var old: [ObjectID] = try memory.ids(.snapshots)
      _ = try full.addSnapshot(2)
      _ = try SnapshotCatalog(repository)
      #expect(warnings() == [])
      for id in try memory.ids(.snapshots) where !old.contains(id) { try memory.delete(.snapshot(id)) }
      _ = try SnapshotCatalog(repository)
      #expect(warnings().count == 1)
      // It is said once by each command, and does not fade.
      _ = try SnapshotCatalog(repository)
      #expect(warnings().count == 1)
      old = []
    }
  }

  /// The record after a loss says that something came before it.
  @Test func noNumberIsUsedAgain() throws {
    let ids = try (1...3).map { try full.addSnapshot($0) }
    for id in ids[1...] { try memory.delete(.snapshot(id)) }
    let next = try full.addSnapshot(4)
    let catalog = try SnapshotCatalog(full)
    let record = try #require(catalog.snapshots.first { $0.id == next }).record
    #expect(record.sequence == 4 && record.previous == ids[2])
    #expect(!catalog.gaps.isEmpty)
    // Now everybody sees it.
    try onOtherMachine { repository, _ in
      let found = try gaps(repository)
      #expect(found.contains { $0.id == ids[2] })
    }
  }

  /// A machine that lost its memory, and its records, is told by what others saw.
  @Test func noNumberThatOthersNamedIsUsedAgain() throws {
    let other = try test.addWriter(.full)
    let ids = try (1...3).map { try full.addSnapshot($0) }
    _ = try other.addSnapshot(4)
    for id in ids { try memory.delete(.snapshot(id)) }
    try onOtherMachine { repository, _ in
      let next = try repository.addSnapshot(5)
      let record = try #require(try SnapshotCatalog(repository).snapshots.first { $0.id == next }).record
      #expect(record.sequence == 4 && record.previous == ids[2])
    }
  }

  @Test func aWriteOnlyKeyNoticesTheLossOfItsOwn() throws {
    let secret = try test.addSlot(.writeOnly)
    let server = try test.open(by: secret)
    _ = try full.addSnapshot(1)
    let ids = try (2...4).map { try server.addSnapshot($0) }
    #expect(try gaps(test.open(by: secret)).isEmpty)
    try memory.delete(.snapshot(ids[2]))
    #expect(try gaps(test.open(by: secret)).contains { $0.id == ids[2] })
  }

  /// It cannot read the records of others, and must not take what it cannot read for missing.
  @Test func aWriteOnlyKeyMissesNothingOfOthers() throws {
    let server = try test.addWriter(.writeOnly)
    let ids = try (1...3).map { try full.addSnapshot($0) }
    try full.addNote(.pinned, [ids[0]])
    _ = try SnapshotCatalog(full)
    _ = try server.addSnapshot(4)
    let catalog = try SnapshotCatalog(server)
    #expect(catalog.foreignCount == 3)
    #expect(catalog.gaps.isEmpty)
    // What a note names, or the same machine has seen with a full key, is looked for by its id.
    try memory.delete(.snapshot(ids[2]))
    #expect(try gaps(server).map(\.id) == [ids[2]])
    let note = try #require(try SnapshotCatalog(full).notes.first?.id)
    try memory.delete(.snapshot(note))
    #expect(try gaps(server).contains { $0.id == note })
  }

  // MARK: Lies

  /// What a write-only key says of the chains of others is told, and stops nothing.
  @Test func aWriteOnlyKeyCannotMakeUpLosses() throws {
    let server = try test.addWriter(.writeOnly)
    _ = try full.addSnapshot(1)
    let fake = ObjectID(nameOf: SHA256.hash([1]))
    try forge(server, 2) { record in
      record.heads = [ChainHead(writer: full.keyring.writer.publicKey, sequence: 1 << 40, id: fake)]
    }
    let found = try gaps(full)
    #expect(found.count == 1)
    #expect(found.allSatisfy { $0.isHearsay && $0.id == fake })
    // Nor does it move the chain of another one.
    let next = try full.addSnapshot(3)
    #expect(try SnapshotCatalog(full).snapshots.first { $0.id == next }?.record.sequence == 2)
  }

  /// Whoever has a copy of a key can use up its numbers: that is said, and does not trap.
  @Test func theLastNumberIsTheEnd() throws {
    let secret = try test.addSlot(.writeOnly)
    let server = try test.open(by: secret)
    try forge(server, 1) { $0.sequence = Limits.sequenceMax }
    let error = #expect(throws: YesterError.self) { try server.addSnapshot(2) }
    #expect(error?.message.contains("numbers") == true)
    #expect(try gaps(full).contains { $0.numbers == 1...(Limits.sequenceMax - 1) })
    _ = try full.addSnapshot(3)
  }

  @Test func twoRecordsOfOneNumberAreTold() throws {
    try onOtherMachine { repository, warnings in
      let first = try full.addSnapshot(1)
      for day in 2...3 {
        try forge(full, day) { record in
          record.sequence = 2
          record.previous = first
        }
      }
      let catalog = try SnapshotCatalog(repository)
      #expect(catalog.forks.map(\.number) == [2])
      #expect(catalog.gaps.isEmpty)
      #expect(warnings().count == 1)
      #expect(warnings().first?.contains("number 2") == true)
      // It happens with a key that two machines share: each machine is told once. Verification tells it always.
      _ = try SnapshotCatalog(repository)
      #expect(warnings().count == 1)
      #expect(try !SnapshotCatalog(repository).forks.isEmpty)
      #expect(try repository.addSnapshot(4) != first)
      #expect(try SnapshotCatalog(repository).gaps.isEmpty)
    }
  }

  @Test func manyHeadsAreNamedInTurns() throws {
    let writers = try (0..<3).map { _ in try test.addWriter(.writeOnly) }
    for (index, writer) in writers.enumerated() { _ = try writer.addSnapshot(index + 1) }
    let catalog = try SnapshotCatalog(full)
    #expect(catalog.movedHeads(for: full.keyring.writer.publicKey).count == 3)
    var record = snapshotRecord(9)
    record.heads = (0...Limits.headsMax).map { number in
      let writer = [UInt8(number >> 8), UInt8(number & 255)] + [UInt8](repeating: 0, count: 30)
      return ChainHead(writer: writer, sequence: 1, id: .zero)
    }
    #expect(throws: FormatError.self) { try RecordSealing.seal(record, full.keyring) }
    record.heads.removeLast()
    _ = try RecordSealing.seal(record, full.keyring)
  }
}
