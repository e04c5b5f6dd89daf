// A test double: a store in which something happens, or goes wrong, at a call that the test picks.
package import ObjectStores
package import Reporting
package import RepositoryFormat

/// Passes everything on, and tells of each call before it is made. What `before` throws is what the call gives.
package final class WatchedStore: StoreWrapper {
  package enum Call: Equatable {
    case get(ObjectKey)
    case put(ObjectKey)
    case replace(ObjectKey)
    case upload
    case list(ObjectFolder)
    case delete(ObjectKey)
  }
  /// Thrown before a deletion: nothing is deleted, and the store says that it was.
  package struct Forgotten: Error {
    package init() {}
  }

  package let store: any ObjectStore
  private let before: @Sendable (Call) throws -> Void

  package init(_ store: any ObjectStore, before: @escaping @Sendable (Call) throws -> Void) {
    self.store = store
    self.before = before
  }

  private func tell(_ call: Call) throws(YesterError) {
    do {
      try before(call)
    } catch {
      throw Self.failure(error)
    }
  }

  private static func failure(_ error: any Error) -> YesterError {
    error as? YesterError ?? YesterError(.failed, "\(error)")
  }

  package func get(_ key: ObjectKey, limit: Int) throws(YesterError) -> [UInt8]? {
    try tell(.get(key))
    return try store.get(key, limit: limit)
  }
  package func get(
    _ key: ObjectKey, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(YesterError) -> Bool {
    try tell(.get(key))
    return try store.get(key, at: offset, into: buffer)
  }
  @discardableResult
  package func put(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    try tell(.put(key))
    return try store.put(key, bytes)
  }
  @discardableResult
  package func putBriefly(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) -> Bool {
    try tell(.put(key))
    return try store.putBriefly(key, bytes)
  }
  package func replace(_ key: ObjectKey, _ bytes: [UInt8]) throws(YesterError) {
    try tell(.replace(key))
    try store.replace(key, bytes)
  }
  @discardableResult
  package func put(_ key: ObjectKey, content: any ObjectContent) throws(YesterError) -> Bool {
    try tell(.put(key))
    return try store.put(key, content: content)
  }
  package func ids(_ folder: ObjectFolder) throws(YesterError) -> [ObjectID] {
    try tell(.list(folder))
    return try store.ids(folder)
  }
  package func list(_ folder: ObjectFolder, _ body: (String, UInt64) throws(YesterError) -> Void) throws(YesterError) {
    try tell(.list(folder))
    try store.list(folder, body)
  }
  package func delete(_ key: ObjectKey) throws(YesterError) {
    do {
      try before(.delete(key))
    } catch is Forgotten {
      return
    } catch {
      throw Self.failure(error)
    }
    try store.delete(key)
  }
  package func beginUpload() throws(YesterError) -> any ObjectUpload {
    try tell(.upload)
    return try store.beginUpload()
  }
}
