// Which stores keep the contract: all of them. A new kind of store is added to the list, and done when this passes.
import Platform
import RepositoryFormat
@testable import RepositoryStore
import TestSupport
import Testing

/// A way to make stores, each new and empty, in a folder of its own.
struct StoreMaker: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let make: @Sendable (_ folder: String) throws -> any ObjectStore

  init(_ name: String, _ make: @escaping @Sendable (_ folder: String) throws -> any ObjectStore) {
    testDescription = name
    self.make = make
  }

  /// The directory of objects in the folder of a store.
  private static func directory(_ folder: String) throws -> DirectoryStore {
    try DirectoryStore.create(folder + "/repository")
  }
  private static func spooled(_ store: any ObjectStore, _ folder: String) -> any ObjectStore {
    SpoolingStore(store, Spool(folder: folder + "/spool"))
  }
  private static func paced(_ store: any ObjectStore) -> any ObjectStore {
    PacedStore(store, bytesPerSecond: 1 << 20, until: CancellationFlag(), clock: TestClock().clock)
  }
  private static func retried(_ store: any ObjectStore) -> any ObjectStore {
    var policy = RetryPolicy()
    policy.triesMax = 100
    return RetryingStore(store, policy: policy, clock: TestClock().clock)
  }
  /// Two of five calls fail, one of them after its work was done.
  private static func unreliable(_ store: any ObjectStore) -> any ObjectStore {
    ScriptedStore(store, isNamedOnly: true) { call, _ in
      switch (call &* 2_654_435_761) >> 7 % 5 {
      case 0: .isLost
      case 1: .answerIsLost
      default: .works
      }
    }
  }

  static let all: [StoreMaker] =
    [
      StoreMaker("memory") { _ in MemoryStore() }
    ]
    // File systems without hard links, and those that know no rename either that spares what is there.
    + ObjectPlacing.Way.allCases.map { way in
      StoreMaker("directory, \(way)") { DirectoryStore(try directory($0).location, startingWith: way) }
    } + [
      StoreMaker("directory, paced") { paced(try directory($0)) },
      StoreMaker("directory, retried") { retried(try directory($0)) },
      StoreMaker("directory, spooled") { spooled(try directory($0), $0) },
      StoreMaker("directory, paced, retried, spooled") { spooled(retried(paced(try directory($0))), $0) },
      StoreMaker("named only, spooled") {
        spooled(ScriptedStore(MemoryStore(), isNamedOnly: true) { _, _ in .works }, $0)
      },
      StoreMaker("unreliable memory, retried, spooled") { spooled(retried(unreliable(MemoryStore())), $0) },
      StoreMaker("unreliable directory, retried, spooled") { spooled(retried(unreliable(try directory($0))), $0) },
    ]
}

@Suite struct ConformanceTests {
  @Test(arguments: StoreMaker.all, StoreContract.promises)
  func keeps(maker: StoreMaker, promise: StorePromise) throws {
    try withTemporaryDirectory { path in
      var number = 0
      try promise.check {
        number += 1
        let folder = "\(path)/\(number)"
        try Directory.makeAll(folder)
        return try maker.make(folder)
      }
      for number in 1...number {
        for leftovers in ["repository/tmp", "spool"] {
          let folder = "\(path)/\(number)/\(leftovers)"
          guard (try? FileStatus(of: folder)) != nil else { continue }
          #expect(try Directory.names(Descriptor.open(folder, Descriptor.directoryFlags)).isEmpty)
        }
      }
    }
  }

  /// A contract that anything keeps is none: each of these breaks a promise or two.
  @Test(arguments: BrokenStore.Fault.allCases)
  func aBrokenStoreIsFound(fault: BrokenStore.Fault) {
    let broken = StoreContract.promises.filter { promise in
      do { try promise.check { BrokenStore(fault) } } catch { return true }
      return false
    }
    #expect(!broken.isEmpty)
  }
}

/// A store that does one thing wrong.
struct BrokenStore: StoreWrapper {
  enum Fault: CaseIterable {
    case replaces, saysNewTwice, cutsRangesOff, listsTwice, listsOn, keepsDeleted, deleteFails, ignoresLimit
    case keepsCancelled, losesBytes, hasWrongSizes, unsorted
  }
  private let fault: Fault
  let store: any ObjectStore = MemoryStore()

  init(_ fault: Fault) { self.fault = fault }

  func get(_ key: ObjectKey, limit: Int) throws -> [UInt8]? {
    try store.get(key, limit: fault == .ignoresLimit ? .max : limit)
  }
  func get(_ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws -> Bool {
    do { return try store.get(key, at: offset, into: buffer) } catch {
      if fault == .cutsRangesOff { return true }
      throw error
    }
  }
  func put(_ key: ObjectKey, _ bytes: [UInt8]) throws -> Bool {
    if fault == .replaces { try store.delete(key) }
    return try store.put(key, bytes) || fault == .saysNewTwice
  }
  func put(_ key: ObjectKey, content: any ObjectContent) throws -> Bool {
    guard fault == .losesBytes, content.size > 1 << 20 else { return try store.put(key, content: content) }
    return try store.put(key, [1])
  }
  func ids(_ folder: ObjectFolder) throws -> [ObjectID] {
    fault == .unsorted ? try store.ids(folder).reversed() : try store.ids(folder)
  }
  func list(_ folder: ObjectFolder, _ body: (String, UInt64) throws -> Void) throws {
    var error: (any Error)?
    try store.list(folder) { name, size in
      do {
        try body(name, fault == .hasWrongSizes ? size + 1 : size)
        if fault == .listsTwice { try body(name, size) }
      } catch let failure {
        if fault != .listsOn { throw failure }
        error = failure
      }
    }
    if let error { throw error }
  }
  func delete(_ key: ObjectKey) throws {
    if fault == .keepsDeleted { return }
    if fault == .deleteFails, try store.size(key) == nil { throw YesterError(.failed, "not there") }
    try store.delete(key)
  }
  func beginUpload() throws -> any ObjectUpload {
    fault == .keepsCancelled ? Upload(base: try store.beginUpload()) : try store.beginUpload()
  }

  private final class Upload: ObjectUpload {
    private let base: any ObjectUpload
    init(base: any ObjectUpload) { self.base = base }
    func append(_ bytes: UnsafeRawBufferPointer) throws { try base.append(bytes) }
    func commit(as key: ObjectKey) throws -> Bool { try base.commit(as: key) }
    func cancel() {}
  }
}
