// A test double: a store whose power fails.
package import ObjectStores
internal import Platform
package import Reporting
package import RepositoryFormat

/// Passes everything on up to its n-th change; from then on nothing is answered any more. What was under way at that moment
/// may have happened or not: so the next few changes fail, and some of them take effect all the same.
///
/// What was stored briefly may be lost at a crash, or damaged; `losesBrief` takes care of that.
package final class CrashingStore: StoreWrapper {
  /// What a crash leaves of what was stored briefly.
  package enum Brief: CaseIterable, Sendable { case isThere, isLost, isEmpty, isTorn }
  private struct State {
    var changes = 0
    var brief: [ObjectKey] = []
  }

  package let store: any ObjectStore
  /// The number of the first change that fails, from 1; 0 for none.
  private let change: Int
  /// Bit i: the change with the number `change` + i takes effect.
  private let effective: UInt8
  private let state = Monitor(State())

  package init(_ store: any ObjectStore, at change: Int = 0, effective: UInt8 = 0) {
    self.store = store
    self.change = change
    self.effective = effective
  }

  /// How many changes were asked for.
  package var changes: Int { state.withLock { $0.changes } }
  package var hasCrashed: Bool { state.withLock { change > 0 && $0.changes >= change } }

  /// Does to what was stored briefly, and is still there, what a crash may do.
  package func lose(_ brief: Brief) throws(YesterError) {
    for key in state.withLock({ $0.brief }) {
      guard let bytes = try store.get(key, limit: .max), brief != .isThere else { continue }
      try store.delete(key)
      switch brief {
      case .isThere, .isLost: break
      case .isEmpty: try store.put(key, [])
      case .isTorn: try store.put(key, Array(bytes.prefix(bytes.count / 2)))
      }
    }
  }

  private static let failure = YesterError(.failed, "the store has crashed", cause: .inputOutput)

  fileprivate func look<Value>(_ body: () throws(YesterError) -> Value) throws(YesterError) -> Value {
    if hasCrashed { throw Self.failure }
    return try body()
  }

  fileprivate func change<Value>(
    briefly key: ObjectKey? = nil, _ body: () throws(YesterError) -> Value
  ) throws(YesterError) -> Value {
    let number = state.withLock { state in
      state.changes += 1
      return state.changes
    }
    let place = number - change
    let isOver = change > 0 && place >= 0
    guard !isOver || place < 8 && effective & (1 << UInt8(place)) != 0 else { throw Self.failure }
    let value = try body()
    if let key { state.withLock { $0.brief.append(key) } }
    if isOver { throw Self.failure }
    return value
  }

  package func size(_ key: ObjectKey) throws(YesterError) -> UInt64? {
    try look { () throws(YesterError) in try store.size(key) }
  }
  package func get(_ key: ObjectKey, limit: Int) throws(YesterError) -> [UInt8]? {
    try look { () throws(YesterError) in try store.get(key, limit: limit) }
  }
  package func get(
    _ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(YesterError) -> Bool {
    try look { () throws(YesterError) in try store.get(key, at: offset, into: buffer) }
  }
  @discardableResult
  package func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    try change { () throws(YesterError) in try store.put(key, bytes) }
  }
  @discardableResult
  package func putBriefly(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    try change(briefly: key) { () throws(YesterError) in try store.putBriefly(key, bytes) }
  }
  @discardableResult
  package func put(_ key: ObjectKey, content: any ObjectContent) throws(YesterError) -> Bool {
    try change { () throws(YesterError) in try store.put(key, content: content) }
  }
  package func replace(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) {
    try change { () throws(YesterError) in try store.replace(key, bytes) }
  }
  package func ids(_ folder: ObjectFolder) throws(YesterError) -> [ObjectID] {
    try look { () throws(YesterError) in try store.ids(folder) }
  }
  package func list(_ folder: ObjectFolder, _ body: (String, UInt64) throws(YesterError) -> Void) throws(YesterError) {
    try look { () throws(YesterError) in try store.list(folder, body) }
  }
  package func listCopies(
    of folder: ObjectFolder, _ body: (String, UInt64) throws(YesterError) -> Void
  ) throws(YesterError) {
    try look { () throws(YesterError) in try store.listCopies(of: folder, body) }
  }
  package func delete(_ key: ObjectKey) throws(YesterError) {
    try change { () throws(YesterError) in try store.delete(key) }
  }
  package func beginUpload() throws(YesterError) -> any ObjectUpload {
    Upload(self, try look { () throws(YesterError) in try store.beginUpload() })
  }

  private final class Upload: ObjectUpload {
    private let store: CrashingStore
    private let base: any ObjectUpload
    init(_ store: CrashingStore, _ base: any ObjectUpload) {
      self.store = store
      self.base = base
    }
    func append(_ bytes: UnsafeRawBufferPointer) throws(YesterError) {
      try store.look { () throws(YesterError) in try base.append(bytes) }
    }
    func commit(as key: ObjectKey) throws(YesterError) -> Bool {
      do throws(YesterError) {
        return try store.change { () throws(YesterError) in try base.commit(as: key) }
      } catch {
        base.cancel()
        throw error
      }
    }
    func cancel() { base.cancel() }
  }
}
