// A test double: a store in which something happens, or goes wrong, at a call that the test picks.
package import ObjectStores

/// Passes everything on, and tells of each call before it is made. What `before` throws is what the call gives.
package final class WatchedStore: ObjectStore {
  package enum Call: Equatable {
    case get(ObjectKey)
    case put(ObjectKey)
    case upload
    case list(ObjectFolder)
    case delete(ObjectKey)
  }
  /// Thrown before a deletion: nothing is deleted, and the store says that it was.
  package struct Forgotten: Error {
    package init() {}
  }

  private let base: any ObjectStore
  private let before: @Sendable (Call) throws -> Void
  package var location: String { base.location }

  package init(_ base: any ObjectStore, before: @escaping @Sendable (Call) throws -> Void) {
    self.base = base
    self.before = before
  }

  package func size(_ key: ObjectKey) throws -> UInt64? { try base.size(key) }
  package func get(_ key: ObjectKey, limit: Int) throws -> [UInt8]? {
    try before(.get(key))
    return try base.get(key, limit: limit)
  }
  package func get(_ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws -> Bool {
    try before(.get(key))
    return try base.get(key, at: offset, into: buffer)
  }
  @discardableResult
  package func put(_ key: ObjectKey, _ bytes: [UInt8]) throws -> Bool {
    try before(.put(key))
    return try base.put(key, bytes)
  }
  package func list(_ folder: ObjectFolder, _ body: (String, UInt64) throws -> Void) throws {
    try before(.list(folder))
    try base.list(folder, body)
  }
  package func delete(_ key: ObjectKey) throws {
    do { try before(.delete(key)) } catch is Forgotten { return }
    try base.delete(key)
  }
  package func beginUpload() throws -> any ObjectUpload {
    try before(.upload)
    return try base.beginUpload()
  }
}
