package import Platform
package import RepositoryFormat
package import Reporting

/// How often a call is tried, and how long in between.
package struct RetryPolicy: Sendable {
  package var triesMax = 8
  /// Doubled after each try, up to `waitMax`. In nanoseconds, as that.
  package var firstWait: Int64 = 500_000_000
  /// A store that asks for a longer wait is not waited for.
  package var waitMax: Int64 = 30_000_000_000

  package init() {}

  /// The wait after try number `tries`, from 1; between a half and all of it as `jitter`, from 0 to 1, says: those who
  /// have lost their connection at the same moment shall not all come back at the same moment.
  func wait(after tries: Int, jitter: Double) -> Int64 {
    var full = min(firstWait, waitMax)
    for _ in 1..<max(tries, 1) where full < waitMax { full = min(full * 2, waitMax) }
    return full / 2 + Int64(Double(full / 2) * jitter)
  }
}

/// A store that tries again what failed for a reason that may pass (`YesterError.isTransient`), a bounded number of
/// times. For stores behind a network.
///
/// A call whose answer was lost may have done its work. So each is repeated in the way that its promise allows:
/// - **Reading** starts anew, into the same buffer.
/// - **Putting**: when the key is taken after a try that failed, what is there is compared. The same bytes are ours:
///   what is not named by its content has random parts in it.
/// - **Replacing** twice is replacing once: one process alone replaces an object.
/// - **Listing** hands nothing on until one list was whole, so that no name comes twice.
/// - **Deleting** twice is deleting once, for nobody uses the name of a deleted object again but for the claim of a
///   snapshot's name. Whoever loses one that way may share the name, which the format allows.
/// - **Uploads** that have begun are not repeated, since what was sent is not there any more. Around a `SpoolingStore`
///   all of them are whole objects, which are put.
package final class RetryingStore: StoreWrapper {
  package let store: any ObjectStore
  private let policy: RetryPolicy
  private let end: CancellationFlag
  private let clock: StoreClock
  private let jitter: @Sendable () -> Double
  private let report: @Sendable (_ error: YesterError, _ wait: Int64) -> Void

  /// With `end` raised nothing is tried again. `jitter` gives numbers from 0 to 1. `report` is called before each wait,
  /// whose length is in nanoseconds.
  package init(
    _ store: any ObjectStore, policy: RetryPolicy = RetryPolicy(), until end: CancellationFlag = CancellationFlag(),
    clock: StoreClock = .system, jitter: @escaping @Sendable () -> Double = { .random(in: 0...1) },
    report: @escaping @Sendable (_ error: YesterError, _ wait: Int64) -> Void = { _, _ in }
  ) {
    self.store = store
    self.policy = policy
    self.end = end
    self.clock = clock
    self.jitter = jitter
    self.report = report
  }

  private func retrying<Value>(_ body: () throws(YesterError) -> Value) throws(YesterError) -> Value {
    var tries = 0
    while true {
      tries += 1
      do throws(YesterError) {
        return try body()
      } catch {
        guard let wait = wait(after: error, tries) else { throw tries > 1 ? error.after(tries: tries) : error }
        report(error, wait)
        clock.wait(until: clock.now() + wait, unless: end)
      }
    }
  }

  /// Nil when it is not tried again.
  private func wait(after error: YesterError, _ tries: Int) -> Int64? {
    guard let asked = error.retryDelay, asked <= policy.waitMax, tries < policy.triesMax, !end.isRaised else {
      return nil
    }
    return max(asked, policy.wait(after: tries, jitter: jitter()))
  }

  // MARK: Reading

  package func size(_ key: ObjectKey) throws(YesterError) -> UInt64? {
    try retrying { () throws(YesterError) in try store.size(key) }
  }

  package func get(_ key: ObjectKey, limit: Int) throws(YesterError) -> [UInt8]? {
    try retrying { () throws(YesterError) in try store.get(key, limit: limit) }
  }

  package func get(
    _ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(YesterError) -> Bool {
    try retrying { () throws(YesterError) in try store.get(key, at: offset, into: buffer) }
  }

  package func ids(_ folder: ObjectFolder) throws(YesterError) -> [ObjectID] {
    try retrying { () throws(YesterError) in try store.ids(folder) }
  }

  package func list(
    _ folder: ObjectFolder, _ body: (_ name: String, _ size: UInt64) throws(YesterError) -> Void
  ) throws(YesterError) {
    let found = try retrying { () throws(YesterError) in
      var found: [(name: String, size: UInt64)] = []
      try store.list(folder) { found.append(($0, $1)) }
      return found
    }
    for (name, size) in found { try body(name, size) }
  }

  package func listCopies(
    of folder: ObjectFolder, _ body: (_ name: String, _ size: UInt64) throws(YesterError) -> Void
  ) throws(YesterError) {
    let found = try retrying { () throws(YesterError) in
      var found: [(name: String, size: UInt64)] = []
      try store.listCopies(of: folder) { found.append(($0, $1)) }
      return found
    }
    for (name, size) in found { try body(name, size) }
  }

  package func space() throws(YesterError) -> StoreSpace? {
    try retrying { () throws(YesterError) in try store.space() }
  }

  // MARK: Writing

  @discardableResult
  package func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    try putting(key, BytesContent(bytes)) { () throws(YesterError) in try store.put(key, bytes) }
  }

  @discardableResult
  package func putBriefly(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    try putting(key, BytesContent(bytes)) { () throws(YesterError) in try store.putBriefly(key, bytes) }
  }

  @discardableResult
  package func put(_ key: ObjectKey, content: any ObjectContent) throws(YesterError) -> Bool {
    try putting(key, content) { () throws(YesterError) in try store.put(key, content: content) }
  }

  package func replace(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) {
    try retrying { () throws(YesterError) in try store.replace(key, bytes) }
  }

  package func beginUpload() throws(YesterError) -> any ObjectUpload {
    try retrying { () throws(YesterError) in try store.beginUpload() }
  }
  package func delete(_ key: ObjectKey) throws(YesterError) {
    try retrying { () throws(YesterError) in try store.delete(key) }
  }
  package func removeAbandonedUploads() throws(YesterError) {
    try retrying { () throws(YesterError) in try store.removeAbandonedUploads() }
  }

  private func putting(
    _ key: ObjectKey, _ content: any ObjectContent, _ put: () throws(YesterError) -> Bool
  ) throws(YesterError) -> Bool {
    var mayBeOurs = false
    return try retrying { () throws(YesterError) in
      do throws(YesterError) {
        if try put() { return true }
      } catch {
        mayBeOurs = true
        throw error
      }
      return mayBeOurs ? try holds(key, content) : false
    }
  }

  /// Whether the object is there with just this content.
  private func holds(_ key: ObjectKey, _ content: any ObjectContent) throws(YesterError) -> Bool {
    guard let size = try store.size(key) else { throw vanished(key) }
    guard size == content.size else { return false }
    let room = Bytes(capacity: ObjectPart.sizeMax)
    var isSame = true
    try content.forEachPart { (offset, part) throws(YesterError) in
      guard isSame else { return }
      try room.withRoom(part.count) { (found) throws(YesterError) in
        guard try store.get(key, at: offset, into: found) else { throw vanished(key) }
        isSame = UnsafeRawBufferPointer(found).equals(part)
      }
    }
    return isSame
  }

  /// The name was taken a moment ago. Putting it again will show.
  private func vanished(_ key: ObjectKey) -> YesterError {
    YesterError(.failed, "The object \(key) in \(location) came and went while it was stored", retryDelay: 0)
  }
}

extension YesterError {
  fileprivate func after(tries: Int) -> YesterError {
    YesterError(code, "\(message) (tried \(tries) times)", advice: advice, cause: cause, retryDelay: retryDelay)
  }
}
