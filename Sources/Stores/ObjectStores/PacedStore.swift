package import Platform
package import Reporting
internal import Synchronization

/// A store that writes no faster than it is told to, so that others have their part of the line. Reading, deleting and
/// leases are not held up.
package final class PacedStore: StoreWrapper {
  package let store: any ObjectStore
  private let pace: Pace

  /// `bytesPerSecond` is for all writes together. With `end` raised there is no limit any more: what is left of a run
  /// that was told to stop is not much, and somebody waits for it.
  package init(
    _ store: any ObjectStore, bytesPerSecond: Int, until end: CancellationFlag, clock: StoreClock = .system
  ) {
    self.store = store
    pace = Pace(bytesPerSecond: bytesPerSecond, until: end, clock)
  }

  @discardableResult
  package func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    pace.wait(for: bytes.count)
    return try store.put(key, bytes)
  }
  @discardableResult
  package func put(_ key: ObjectKey, content: any ObjectContent) throws(YesterError) -> Bool {
    try store.put(key, content: PacedContent(content: content, pace: pace))
  }
  package func replace(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) {
    pace.wait(for: bytes.count)
    try store.replace(key, bytes)
  }
  package func beginUpload() throws(YesterError) -> any ObjectUpload { PacedUpload(try store.beginUpload(), pace) }
}

/// A store reads of it what it sends next.
private struct PacedContent: ObjectContent {
  let content: any ObjectContent
  let pace: Pace

  var size: UInt64 { content.size }
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(YesterError) {
    pace.wait(for: buffer.count)
    try content.read(at: offset, into: buffer)
  }
}

private final class PacedUpload: ObjectUpload {
  private let upload: any ObjectUpload
  private let pace: Pace

  init(_ upload: any ObjectUpload, _ pace: Pace) {
    self.upload = upload
    self.pace = pace
  }

  func append(_ bytes: UnsafeRawBufferPointer) throws(YesterError) {
    pace.wait(for: bytes.count)
    try upload.append(bytes)
  }
  func commit(as key: ObjectKey) throws(YesterError) -> Bool { try upload.commit(as: key) }
  func cancel() { upload.cancel() }
}

/// When the next bytes may go.
private final class Pace: Sendable {
  private let nanosecondsPerByte: Double
  private let end: CancellationFlag
  private let clock: StoreClock
  /// The moment from which the line is free.
  private let free = Mutex<Int64>(0)

  init(bytesPerSecond: Int, until end: CancellationFlag, _ clock: StoreClock) {
    nanosecondsPerByte = 1e9 / Double(bytesPerSecond)
    self.end = end
    self.clock = clock
  }

  /// Takes the line for `count` bytes, and returns when it was free.
  func wait(for count: Int) {
    let now = clock.now()
    let start = free.withLock { free in
      let start = max(free, now)
      free = start + Int64(Double(count) * nanosecondsPerByte)
      return start
    }
    clock.wait(until: start, unless: end)
  }
}
