import ChunkCodec
import ObjectStores
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

/// Which list of condemned packs counts.
@Suite struct CondemnationTests {
  private let test: TestRepository
  private let pack = ObjectID.zero

  init() throws { test = try TestRepository() }

  private func names() throws -> [String] {
    var names: [String] = []
    try test.store.list(.condemned) { name, _ in names.append(name) }
    return names.sorted()
  }

  @Test func withoutAnyListNothingIsCondemned() throws {
    #expect(try test.open().readCondemned() == CondemnedList())
  }

  @Test func theLastListCountsAndIsAlone() throws {
    let repository = try test.open()
    try repository.condemn(pack, since: 7)
    let first = try test.open().readCondemned()
    #expect(first.number == 1 && first.packs == [pack: .init(list: 1, since: 7)])
    var next = first
    next.leases[[UInt8](repeating: 1, count: 16)] = .init(state: [UInt8](repeating: 2, count: 32), since: .max)
    try repository.storeCondemned(next, after: first)
    let second = try test.open().readCondemned()
    // It keeps the number of the list that condemned the pack first.
    #expect(second.number == 2 && second.packs == first.packs && second.leases == next.leases)
    #expect(try names() == ["0000000000000002"])
  }

  @Test func ofTwoWhoCondemnAtOnceOneIsTold() throws {
    let (one, other) = (try test.open(), try test.open())
    let (read, readByOther) = (try one.readCondemned(), try other.readCondemned())
    try one.storeCondemned(read, after: read)
    #expect(errorCode { try other.storeCondemned(readByOther, after: readByOther) } == .busy)
    #expect(try test.open().readCondemned().number == 1)
  }

  /// Between the look at what is there and the moment of writing.
  @Test func whoComesBetweenIsNotOverwritten() throws {
    let other = try test.open()
    let isFirst = Monitor(true)
    let watched = WatchedStore(test.store) { call in
      guard call == .put(.condemned(1)), isFirst.withLock({ $0 }) else { return }
      isFirst.withLock { $0 = false }
      try other.condemn(.zero, since: 99)
    }
    let repository = try test.open(watched)
    #expect(errorCode { try repository.condemn(.zero, since: 1) } == .busy)
    #expect(try test.open().readCondemned().packs[pack]?.since == 99)
  }

  /// Whoever deletes by a list at the moment of a rotation is seen by those who come after it.
  @Test func aRotationOfKeysTakesNoListBack() throws {
    try test.open().condemn(pack, since: 7)
    try test.rotate()
    let later = try test.open()
    let list = try later.readCondemned()
    #expect(list.number == 1 && list.packs[pack]?.since == 7)
    try later.storeCondemned(list, after: list)
    #expect(try test.open().readCondemned().number == 2)
  }

  /// Objects that no full writer has signed neither condemn anything, nor hide a list, nor block the next one.
  @Test func whatNoFullWriterSignedCountsForNothing() throws {
    let repository = try test.open()
    try repository.condemn(pack)
    var forged = CondemnedList()
    forged.number = 3
    // There would be no number behind it.
    var last = forged
    last.number = .max
    let writer = try test.addWriter(.writeOnly)
    let junk: [(UInt64, [UInt8])] = [
      (2, []), (3, RecordSealing.seal(forged, writer.keyring)), (9, [UInt8](repeating: 7, count: 500)),
      // A list of another number.
      (12, RecordSealing.seal(forged, repository.keyring)), (.max, RecordSealing.seal(last, repository.keyring)),
      (.max - 1, [UInt8](repeating: 0, count: Limits.recordSizeMax + 1)),
    ]
    for (number, bytes) in junk { try test.store.put(.condemned(number), bytes) }
    for reader in [try test.open(), writer, repository] {
      #expect(try reader.readCondemned().number == 1)
      #expect(reader.index.current.condemned.packs[pack] != nil)
    }
    try test.open().condemn(pack)
    #expect(try test.open().readCondemned().number == 2)
    #expect(try names() == ["0000000000000002"])
  }

  @Test func aListUnderOtherKeysIsAnError() throws {
    let repository = try test.open()
    var list = CondemnedList()
    list.number = 1
    try test.rotate()
    try test.store.put(.condemned(1), RecordSealing.seal(list, test.open().keyring))
    #expect(errorCode { try repository.readCondemned() } == .wrongKey)
    #expect(errorCode { try repository.storeCondemned(list, after: CondemnedList()) } == .wrongKey)
  }

  /// An error is not "no list".
  @Test func aReadErrorIsAnError() throws {
    try test.open().condemn(pack)
    let failing = WatchedStore(test.store) { call in
      if call == .get(.condemned(1)) { throw YesterError(.failed, "no", cause: .inputOutput) }
    }
    #expect(errorCode { try test.open(failing).readCondemned() } == .failed)
  }

  /// The list was replaced while it was being read.
  @Test func aListThatGoesIsLookedForAgain() throws {
    let repository = try test.open()
    try repository.condemn(pack)
    let isFirst = Monitor(true)
    let watched = WatchedStore(test.store) { call in
      guard call == .get(.condemned(1)), isFirst.withLock({ $0 }) else { return }
      isFirst.withLock { $0 = false }
      try repository.condemn(.zero, since: 5)
    }
    #expect(try test.open(watched).readCondemned().number == 2)
  }

  /// In a store that has lost the last list nothing becomes fit for use.
  @Test func numbersNeverGoDown() throws {
    let repository = try test.open()
    try repository.condemn(pack)
    try test.store.delete(.condemned(1))
    #expect(try repository.readCondemned().packs[pack] != nil)
    try repository.condemn(pack)
    #expect(try test.open().readCondemned().number == 2)
  }

  @Test func listsBeyondTheLimitsOfTheFormatAreRefused() throws {
    var list = CondemnedList()
    list.number = 5
    list.packs[pack] = .init(list: 6, since: 0)
    #expect(throws: FormatError.self) { try CondemnedList(decoding: list.encode()) }
    list.packs[pack] = .init(list: 0, since: 0)
    #expect(throws: FormatError.self) { try CondemnedList(decoding: list.encode()) }
    list.packs = [:]
    list.number = 0
    #expect(throws: FormatError.self) { try CondemnedList(decoding: list.encode()) }
  }
}
