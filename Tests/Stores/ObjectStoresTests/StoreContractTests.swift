import ObjectStores
import Platform
import Reporting
import RepositoryFormat
import TestSupport
import Testing

/// The wrappers keep the contract around a store that keeps it, and those for bad lines also around one that does not.
@Suite struct StoreContractTests {
  private static let memory = StoreMaker("memory") { _ in MemoryStore() }
  static let makers = [
    memory, memory.paced, memory.retried, memory.spooled, memory.namedOnly.spooled, memory.unreliable.retried.spooled,
  ]

  @Test(arguments: makers, StoreContract.promises)
  func storesInMemoryKeep(maker: StoreMaker, promise: StorePromise) throws { try maker.check(promise) }

  /// A contract that anything keeps is none: each of these breaks a promise or two.
  @Test(arguments: BrokenStore.Fault.allCases)
  func aBrokenStoreIsFound(fault: BrokenStore.Fault) {
    let broken = StoreContract.promises.filter { promise in
      do {
        try promise.check { BrokenStore(fault) }
      } catch {
        return true
      }
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

  func get(_ key: ObjectKey, limit: Int) throws(YesterError) -> [UInt8]? {
    try store.get(key, limit: fault == .ignoresLimit ? .max : limit)
  }
  func get(_ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(YesterError) -> Bool
  {
    do throws(YesterError) {
      return try store.get(key, at: offset, into: buffer)
    } catch {
      if fault == .cutsRangesOff { return true }
      throw error
    }
  }
  func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    if fault == .replaces { try store.delete(key) }
    return try store.put(key, bytes) || fault == .saysNewTwice
  }
  func put(_ key: ObjectKey, content: any ObjectContent) throws(YesterError) -> Bool {
    guard fault == .losesBytes, content.size > 1 << 20 else { return try store.put(key, content: content) }
    return try store.put(key, [1])
  }
  func ids(_ folder: ObjectFolder) throws(YesterError) -> [ObjectID] {
    fault == .unsorted ? try store.ids(folder).reversed() : try store.ids(folder)
  }
  func list(_ folder: ObjectFolder, _ body: (String, UInt64) throws(YesterError) -> Void) throws(YesterError) {
    var error: YesterError?
    try store.list(folder) { (name, size) throws(YesterError) in
      do throws(YesterError) {
        try body(name, fault == .hasWrongSizes ? size + 1 : size)
        if fault == .listsTwice { try body(name, size) }
      } catch let failure {
        if fault != .listsOn { throw failure }
        error = failure
      }
    }
    if let error { throw error }
  }
  func delete(_ key: ObjectKey) throws(YesterError) {
    if fault == .keepsDeleted { return }
    if fault == .deleteFails, try store.size(key) == nil { throw YesterError(.failed, "not there") }
    try store.delete(key)
  }
  func beginUpload() throws(YesterError) -> any ObjectUpload {
    fault == .keepsCancelled ? Upload(base: try store.beginUpload()) : try store.beginUpload()
  }

  private final class Upload: ObjectUpload {
    private let base: any ObjectUpload
    init(base: any ObjectUpload) { self.base = base }
    func append(_ bytes: UnsafeRawBufferPointer) throws(YesterError) { try base.append(bytes) }
    func commit(as key: ObjectKey) throws(YesterError) -> Bool { try base.commit(as: key) }
    func cancel() {}
  }
}
