// Test doubles for what goes wrong between a program and a store that is far away.
package import ObjectStores
internal import Platform
package import Reporting
package import RepositoryFormat

/// Asks a script before each call what comes of it, and passes on the calls that arrive.
package final class ScriptedStore: StoreWrapper {
  package enum Event: Sendable {
    case works
    /// The connection drops before the call arrives.
    case isLost
    /// The call arrives and is done; its answer is lost. Of a list, some names have come by then.
    case answerIsLost
    case fails(YesterError)
  }
  package static let dropped = YesterError(.failed, "the connection was dropped", retryDelay: 0)

  package let store: any ObjectStore
  package let capabilities: StoreCapabilities
  private let script: @Sendable (_ call: Int, _ name: String) -> Event
  private let log = Monitor<[String]>([])

  /// `script` is told the number of the call, from 1, and its name. With `isNamedOnly`, the store takes no uploads
  /// before their keys are known.
  package init(
    _ store: any ObjectStore, isNamedOnly: Bool = false,
    script: @escaping @Sendable (_ call: Int, _ name: String) -> Event
  ) {
    self.store = store
    self.script = script
    capabilities = isNamedOnly ? store.capabilities.subtracting(.unnamedUpload) : store.capabilities
  }

  /// The first calls come to this, and all later ones work.
  package convenience init(_ store: any ObjectStore, _ events: [Event]) {
    self.init(store) { call, _ in call <= events.count ? events[call - 1] : .works }
  }

  /// The names of the calls so far.
  package var calls: [String] { log.withLock { $0 } }

  private func call<Value>(_ name: String, _ body: () throws(YesterError) -> Value) throws(YesterError) -> Value {
    let number = log.withLock {
      $0.append(name)
      return $0.count
    }
    switch script(number, name) {
    case .works: return try body()
    case .isLost: throw Self.dropped
    case .answerIsLost:
      _ = try body()
      throw Self.dropped
    case .fails(let error): throw error
    }
  }

  package func size(_ key: ObjectKey) throws(YesterError) -> UInt64? {
    try call("size") { () throws(YesterError) in try store.size(key) }
  }
  package func get(_ key: ObjectKey, limit: Int) throws(YesterError) -> [UInt8]? {
    try call("get") { () throws(YesterError) in try store.get(key, limit: limit) }
  }
  package func get(
    _ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(YesterError) -> Bool {
    try call("range") { () throws(YesterError) in try store.get(key, at: offset, into: buffer) }
  }
  package func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    try call("put") { () throws(YesterError) in try store.put(key, bytes) }
  }
  package func putBriefly(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    try call("put") { () throws(YesterError) in try store.putBriefly(key, bytes) }
  }
  package func replace(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) {
    try call("replace") { () throws(YesterError) in try store.replace(key, bytes) }
  }
  package func put(_ key: ObjectKey, content: any ObjectContent) throws(YesterError) -> Bool {
    try call("put") { () throws(YesterError) in try store.put(key, content: content) }
  }
  package func ids(_ folder: ObjectFolder) throws(YesterError) -> [ObjectID] {
    try call("ids") { () throws(YesterError) in try store.ids(folder) }
  }
  package func list(_ folder: ObjectFolder, _ body: (String, UInt64) throws(YesterError) -> Void) throws(YesterError) {
    try call("list") { () throws(YesterError) in try store.list(folder, body) }
  }
  package func delete(_ key: ObjectKey) throws(YesterError) {
    try call("delete") { () throws(YesterError) in try store.delete(key) }
  }
  package func removeAbandonedUploads() throws(YesterError) {
    try call("clear") { () throws(YesterError) in try store.removeAbandonedUploads() }
  }
  package func space() throws(YesterError) -> StoreSpace? {
    try call("space") { () throws(YesterError) in try store.space() }
  }
  package func beginUpload() throws(YesterError) -> any ObjectUpload {
    guard capabilities.contains(.unnamedUpload) else { throw YesterError(.failed, "an object without a name came") }
    return try call("upload") { () throws(YesterError) in try store.beginUpload() }
  }
}

/// A clock that stands still but for those who wait, and knows how long they did.
package final class TestClock: Sendable {
  private let state = Monitor((now: Int64(1_000), waits: [Int64]()))
  private let onSleep: @Sendable (Int64) -> Void

  /// `onSleep` is called with each wait, before it is over.
  package init(onSleep: @escaping @Sendable (Int64) -> Void = { _ in }) { self.onSleep = onSleep }

  package var now: Int64 { state.withLock { $0.now } }
  /// The waits in nanoseconds; pieces of one wait stand for themselves.
  package var waits: [Int64] { state.withLock { $0.waits } }

  package var clock: StoreClock {
    StoreClock(
      now: { self.now },
      sleep: { nanoseconds in
        self.onSleep(nanoseconds)
        self.state.withLock {
          $0.now += nanoseconds
          $0.waits.append(nanoseconds)
        }
      })
  }
}
