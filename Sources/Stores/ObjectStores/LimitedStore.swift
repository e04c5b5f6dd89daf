package import Platform
package import RepositoryFormat
internal import Synchronization

/// A store that writes no faster than it is told to, so that others have their part of the line. Reading, deleting and
/// leases are not held up.
package final class LimitedStore: ObjectStore {
  private let store: any ObjectStore
  private let pace: Pace

  /// `bytesPerSecond` is for all writes together. With `end` raised there is no limit any more: what is left of a run
  /// that was told to stop is not much, and somebody waits for it.
  package init(_ store: any ObjectStore, bytesPerSecond: Int, until end: CancellationFlag) {
    self.store = store
    pace = Pace(bytesPerSecond: bytesPerSecond, until: end)
  }

  package var location: String { store.location }
  package func size(_ key: ObjectKey) throws -> UInt64? { try store.size(key) }
  package func get(_ key: ObjectKey, limit: Int) throws -> [UInt8]? { try store.get(key, limit: limit) }
  package func get(_ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws -> Bool {
    try store.get(key, at: offset, into: buffer)
  }
  package func put(_ key: ObjectKey, _ bytes: [UInt8]) throws -> Bool {
    pace.wait(for: bytes.count)
    return try store.put(key, bytes)
  }
  package func putBriefly(_ key: ObjectKey, _ bytes: [UInt8]) throws -> Bool { try store.putBriefly(key, bytes) }
  package func ids(_ folder: ObjectFolder) throws -> [ObjectID] { try store.ids(folder) }
  package func beginUpload() throws -> any ObjectUpload { LimitedUpload(try store.beginUpload(), pace) }
  package func list(_ folder: ObjectFolder, _ body: (_ name: String, _ size: UInt64) throws -> Void) throws {
    try store.list(folder, body)
  }
  package func delete(_ key: ObjectKey) throws { try store.delete(key) }
}

private final class LimitedUpload: ObjectUpload {
  private let upload: any ObjectUpload
  private let pace: Pace

  init(_ upload: any ObjectUpload, _ pace: Pace) {
    self.upload = upload
    self.pace = pace
  }

  func append(_ bytes: UnsafeRawBufferPointer) throws {
    pace.wait(for: bytes.count)
    try upload.append(bytes)
  }
  func commit(as key: ObjectKey) throws -> Bool { try upload.commit(as: key) }
  func cancel() { upload.cancel() }
}

/// When the next bytes may go.
private final class Pace: Sendable {
  private static let patience: Int64 = 50_000_000
  private let nanosecondsPerByte: Double
  private let end: CancellationFlag
  /// The moment from which the line is free, on the boot clock.
  private let free = Mutex<Int64>(0)

  init(bytesPerSecond: Int, until end: CancellationFlag) {
    nanosecondsPerByte = 1e9 / Double(bytesPerSecond)
    self.end = end
  }

  /// Takes the line for `count` bytes, and returns when it was free.
  func wait(for count: Int) {
    let now = System.bootClock
    let start = free.withLock { free in
      let start = max(free, now)
      free = start + Int64(Double(count) * nanosecondsPerByte)
      return start
    }
    while !end.isRaised {
      let left = start - System.bootClock
      if left <= 0 { return }
      System.sleep(nanoseconds: min(left, Self.patience))
    }
  }
}
